"""The loop itself."""

import json
import math
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm import tqdm

from teachlib import memory
from teachlib.alone import alone
from teachlib.checkpoints import read_checkpoint, write_atomically, write_checkpoint
from teachlib.errors import TeachlibError
from teachlib.training import states
from teachlib.training.machine import average_gradients, described, make_fabric, mean_over_processes, quiet, wrapped
from teachlib.training.protocols import Batch, Objective, Planned, Samples, Stored, Twice, Validates
from teachlib.training.schedule import History, Schedule, batches, mix, refuse_uneven
from teachlib.training.watch import Watch, undisturbed

if TYPE_CHECKING:
    from lightning_fabric import Fabric

BEST = "best.safetensors"


class _Trainer:
    """The state of one run; :func:`fit` drives it."""

    def __init__(
        self,
        objective: Objective,
        schedule: Schedule,
        fabric: "Fabric",
        settings: Mapping[str, Any],
        compiler: str | None,
        watch: Watch | None,
    ) -> None:
        refuse_uneven(schedule, objective.nets, fabric.world_size)
        self.objective, self.schedule, self.fabric, self.watch = objective, schedule, fabric, watch
        self.settings = {**settings, "schedule": asdict(schedule), "machine": described(fabric, compiler)}
        self.nets = dict(objective.nets)  # unwrapped: what checkpoints hold
        twice = objective.differentiated_twice if isinstance(objective, Twice) else ()
        for name, net in self.nets.items():
            objective.nets[name] = wrapped(net, fabric, None if name in twice else compiler)
        self.averages = states.Averages(self.nets) if schedule.ema_half_life is not None else None
        self.optimizers = objective.optimizers()
        self.plateaus = [
            ReduceLROnPlateau(  # a relative threshold would take every loss below zero for an improvement
                optimizer, factor=0.5, patience=schedule.plateau_patience, threshold_mode="abs"
            )
            for optimizer in self.optimizers.values()
            if schedule.plateau_patience is not None
        ]
        self.wrapped = {
            name: cast(Optimizer, fabric.setup_optimizers(optimizer)) for name, optimizer in self.optimizers.items()
        }
        self.parameters = {
            name: [weight for group in optimizer.param_groups for weight in group["params"]]
            for name, optimizer in self.optimizers.items()
        }
        self.collecting = {name: self._collecting(weights) for name, weights in self.parameters.items()}
        self.step = 0
        self.seconds = 0.0  # of training, over all resumed pieces
        self.best = math.inf
        self.history = History([])
        self.last_saved: Path | None = None
        self.writer = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self.writing: Future[None] | None = None

    # ------------------------------------------------------------------------------------------------- training

    def take_step(self, batch: Batch) -> dict[str, Tensor]:
        """All updates of one batch; their losses by name, as this process had them."""
        generator = torch.Generator(self.fabric.device)
        generator.manual_seed(mix(self.schedule.seed, self.step, self.fabric.global_rank))
        parts = zip(*(half.chunk(self.schedule.accumulate) for half in batch), strict=True)
        streams = [self.objective.updates(share, generator, self.step) for share in parts]
        losses: dict[str, Tensor] = {}
        while (update := self._descend(streams)) is not None:
            name, loss = update
            losses[name if name not in losses else f"{name}, penalty"] = loss
        self.step += 1
        if self.averages is not None:
            self.averages.update(self.nets, self.schedule.ema_decay(self.step))
        return losses

    def _descend(self, streams: list[Iterator[tuple[str, Tensor]]]) -> tuple[str, Tensor] | None:
        """One step of one optimizer, from the gradients of all parts; ``None`` after the last."""
        total = None
        for number, stream in enumerate(streams):
            update = next(stream, None)
            if update is None:
                return None
            name, loss = update
            if self.fabric.device.type == "cpu":  # free there; on a GPU it would wait for every step
                self.refuse_nonfinite({name: loss})
            if number == 0:
                self.wrapped[name].zero_grad(set_to_none=True)
            share = loss / len(streams)
            self.fabric.backward(share, inputs=self.collecting[name])
            total = share.detach() if total is None else total + share.detach()
        assert total is not None
        average_gradients(self.parameters[name], self.fabric)
        if self.schedule.clip is not None:
            net = cast(Any, next(iter(self.objective.nets.values())))  # fabric asks for one, and takes the optimizer's
            self.fabric.clip_gradients(net, self.wrapped[name], max_norm=self.schedule.clip, error_if_nonfinite=False)
        self.wrapped[name].step()
        return name, total

    def _collecting(self, weights: list[Tensor]) -> list[Tensor] | None:
        """What an update's gradients are for; ``None`` where there is nothing else, which costs autograd less."""
        learnable = {weight for net in self.nets.values() for weight in net.parameters() if weight.requires_grad}
        return None if learnable <= set(weights) else weights

    def refuse_nonfinite(self, losses: Mapping[str, Tensor]) -> dict[str, float]:
        """Losses as numbers, averaged over all processes, every one of which stops when one of them has gone wrong."""
        means = {}
        for name, loss in losses.items():
            # The others would wait for ever for a process that stopped alone.
            each = cast(Tensor, self.fabric.all_gather(loss.detach())).flatten().tolist()
            means[name] = sum(each) / len(each)
            wrong = [(value, rank) for rank, value in enumerate(each) if not math.isfinite(value)]
            if wrong:
                value, rank = wrong[0]
                self.finish_writing()
                where = (
                    f"the last good checkpoint is {self.last_saved}"
                    if self.last_saved
                    else "no checkpoint was written yet"
                )
                process = f" on process {rank}" if len(each) > 1 else ""
                raise TeachlibError(
                    f"the loss '{name}' is {value} at step {self.step}{process}; {where}; try a smaller learning rate"
                )
        return means

    def validate(self, data: Samples) -> float:
        """Mean over the held-out set of the objective's validation loss, networks in evaluation mode.

        Averaged over the processes, whose batch-norm statistics differ: what decides on learning rates must be the
        same for all, or their weights drift apart.
        """
        for net in self.objective.nets.values():
            net.eval()
        generator = torch.Generator(self.fabric.device).manual_seed(mix(self.schedule.seed, self.step))
        total, size = 0.0, self.schedule.batch_size
        with torch.no_grad():
            for start in range(0, len(data), size):
                x, y = on_device(fetched(data, slice(start, start + size)), self.fabric.device)
                total += cast(Validates, self.objective).validation_loss((x, y), generator).item() * len(x)
        for net in self.objective.nets.values():
            net.train()
        value = mean_over_processes(total / len(data), self.fabric)
        for plateau in self.plateaus:
            plateau.step(value)
        return value

    def looked(self, path: Path | None) -> dict[str, float]:
        """What the watch says of this step, the same in every process; its best weights are kept."""
        assert self.watch is not None
        numbers: dict[str, float] = {}
        if self.fabric.is_global_zero:
            nets = self.averages.nets if self.averages is not None else self.nets
            with undisturbed(nets):
                numbers = {name: float(value) for name, value in self.watch.look(self.step, nets).items()}
        numbers = self.fabric.broadcast(numbers)
        best = self.watch.best
        if best is not None and best not in numbers:
            raise TeachlibError(f"the watch gives {sorted(numbers)}, not '{best}', which decides on the best weights")
        if best is not None and numbers[best] < self.best:
            self.best = numbers[best]
            if path is not None:
                self.save(path.with_name(BEST))
        return numbers

    # ---------------------------------------------------------------------------------------------- checkpoints

    def save(self, path: Path) -> None:
        """Write everything, in the background: what is written are copies, and training goes on."""
        others, random_of_others = states.others_state(self.nets, self.objective, self.fabric)
        if not self.fabric.is_global_zero:
            self.last_saved = path
            return
        own, random_of_own = states.own_state(self.nets, self.objective, self.fabric.device)
        moments, groups = states.optimizer_state(self.optimizers)
        tensors = {key: value for key, value in own.items() if not key.startswith("buffer.")} | others | moments
        tensors |= states.weights_of("model", self.nets)
        if self.averages is not None:
            tensors |= states.weights_of("average", self.averages.nets)
        header = {
            **self.settings,
            **random_of_own,
            **({"processes": random_of_others} if random_of_others else {}),
            "step": self.step,
            "seconds": self.seconds,
            "history": list(self.history.lines),
            "optimizers": groups,
            "plateaus": [states.plain(plateau.state_dict()) for plateau in self.plateaus],
            "best": self.best if math.isfinite(self.best) else None,
        }
        copies = {key: value.detach().to("cpu", copy=True) for key, value in tensors.items()}
        header = json.loads(json.dumps(header))  # a copy: optimizers and plateaus go on changing theirs
        self.finish_writing()
        self.writing = self.writer.submit(self._write, path, copies, header)

    def _write(self, path: Path, tensors: dict[str, Tensor], header: dict[str, Any]) -> None:
        write_checkpoint(path, tensors, header)
        self.last_saved = path
        if path.name != BEST:
            _write_log(path.with_name("log.jsonl"), header)

    def finish_writing(self) -> None:
        """Wait for the checkpoint that is being written.

        Raises:
            TeachlibError: it could not be written.
        """
        writing, self.writing = self.writing, None
        if writing is not None:
            writing.result()

    def restore(self, path: Path, longer: bool) -> int:
        """Take up a run, which may be made longer; returns how many steps it was to have.

        Raises:
            TeachlibError: a damaged checkpoint, one of another run, or of a length that it cannot have.
        """
        tensors, header = read_checkpoint(path)
        states.refuse_other_settings(path, header, self.settings, states.LENGTH if longer else ())
        planned: int = header["schedule"]["steps"]
        if planned != self.schedule.steps and isinstance(self.objective, Planned):
            raise TeachlibError(
                f"{path}: what this run descends was planned over its {planned} steps, so that it cannot have "
                f"{self.schedule.steps}; ask for as many, or choose another folder"
            )
        if header["step"] > self.schedule.steps:
            raise TeachlibError(
                f"{path}: this run has taken {header['step']} steps, more than {self.schedule.steps}; "
                "ask for at least as many, or choose another folder"
            )
        states.restore_weights("model", self.nets, tensors, path)
        if self.averages is not None:
            states.restore_weights("average", self.averages.nets, tensors, path)
        states.restore_optimizers(self.optimizers, tensors, header["optimizers"])
        for plateau, state in zip(self.plateaus, header["plateaus"], strict=True):
            plateau.load_state_dict(state)
        states.restore_own(tensors, header, self.nets, self.objective, self.fabric)
        self.step, self.seconds = header["step"], header["seconds"]
        self.best = math.inf if header.get("best") is None else header["best"]
        self.history, self.last_saved = History(header["history"]), path
        if self.fabric.is_global_zero:
            _write_log(path.with_name("log.jsonl"), header)  # which a run killed just before it did not come to
        return planned


def _write_log(file: Path, header: Mapping[str, Any]) -> None:
    """The whole log, rewritten beside each checkpoint, so that both tell of the same steps."""
    lines = [*header["history"], {"step": header["step"], "seconds": round(header["seconds"], 1)}]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    if not file.is_file() or file.read_bytes() != text:  # a finished run may lie where nothing can be written
        write_atomically(file, text)


def fit(
    objective: Objective,
    data: Samples,
    schedule: Schedule,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    longer: bool = False,
    validation: Samples | None = None,
    fabric: "Fabric | None" = None,
    settings: Mapping[str, Any] | None = None,
    watch: Watch | None = None,
    compiler: str | None = None,
    progress: bool = True,
) -> History:
    """Train an objective; killed at any moment and resumed, it ends bit for bit where it would have ended (CPU).

    Args:
        objective: networks, optimizers and losses. Its networks end in evaluation mode.
        data: training set.
        schedule: steps, batch size, seed, logging.
        folder: where ``checkpoint.safetensors`` and ``log.jsonl`` go; nothing is written for ``None``.
        resume: continue from the folder's checkpoint where there is one.
        longer: the schedule of a resumed run may have more steps than it had, or fewer, but not fewer than were taken;
            those of a :class:`Planned` objective are fixed.
        validation: held-out set, evaluated every ``schedule.validate_every`` steps.
        fabric: devices and precision, already launched; by default one process on the best device.
        settings: what must be equal for a run to be resumed, e.g. the recipe; stored in the checkpoint.
        watch: a look at the run every so many steps.
        compiler: backend of ``torch.compile``, e.g. ``inductor``; networks that are differentiated twice stay plain.
        progress: show a bar with the loss and the time left.

    Returns:
        The history of losses.

    Raises:
        TeachlibError: a loss that is not finite; a folder that holds another run; an unwritable folder or full disk.
    """
    if validation is not None and not isinstance(objective, Validates):
        raise TeachlibError(f"{type(objective).__name__} has no validation_loss; leave validation out, or write one")
    fabric = fabric or make_fabric()
    unwrapped = dict(objective.nets)
    try:
        with memory.kept(), quiet():
            trainer = _Trainer(objective, schedule, fabric, settings or {}, compiler, watch)
            return _run(trainer, data, validation, folder, resume, longer, progress)
    finally:
        objective.nets.update(unwrapped)
        for net in unwrapped.values():
            net.eval()


def _run(
    trainer: _Trainer,
    data: Samples,
    validation: Samples | None,
    folder: str | Path | None,
    resume: bool,
    longer: bool,
    progress: bool,
) -> History:
    path = Path(folder) / "checkpoint.safetensors" if folder is not None else None
    next(batches(len(data), trainer.schedule.batch_size, seed=0))  # too few are refused before anything is written
    with _alone_in(path, trainer.fabric), trainer.writer:  # what is being written ends before others may come in
        if path is not None:
            _open_run(trainer, path, resume, longer)
        loop = _loop(trainer, data, validation, path)
        hidden = not progress or not trainer.fabric.is_global_zero
        with tqdm(
            loop, total=trainer.schedule.steps, initial=trainer.step, disable=hidden, unit="step", leave=False
        ) as bar:
            for losses in bar:
                if losses:
                    bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items()})
        trainer.finish_writing()
        trainer.fabric.barrier()  # nobody looks for a checkpoint that the first process is still writing
    return trainer.history


@contextmanager
def _alone_in(path: Path | None, fabric: "Fabric") -> Iterator[None]:
    """No other training in the folder of a checkpoint. The first process asks for all; refused, all of them stop."""
    with ExitStack() as held:
        refusal = ""
        if path is not None and fabric.is_global_zero:
            try:
                held.enter_context(alone(path.with_name(".lock"), "trains here"))
            except TeachlibError as error:
                refusal = str(error)
        if refusal := fabric.broadcast(refusal):
            raise TeachlibError(refusal)
        yield


def _open_run(trainer: _Trainer, path: Path, resume: bool, longer: bool) -> None:
    # The first process looks for all: one that looked later would find what the first has just written.
    there = trainer.fabric.broadcast(path.exists())
    if there and not resume:
        raise TeachlibError(f"{path.parent} already holds a run; resume it (--resume) or choose another folder")
    if not there or trainer.restore(path, longer) != trainer.schedule.steps:
        trainer.save(path)  # finds an unwritable folder before an hour of training; says how long it is to be
        trainer.finish_writing()


def _loop(
    trainer: _Trainer, data: Samples, validation: Samples | None, path: Path | None
) -> Iterator[dict[str, float]]:
    """Take the remaining steps; yields the losses whenever they are logged, else nothing, once a step."""
    schedule, fabric, watch = trainer.schedule, trainer.fabric, trainer.watch
    epoch = schedule.validate_every or len(data) // schedule.batch_size
    stream = _batches(trainer, data)
    while trainer.step < schedule.steps:
        started = time.perf_counter()
        losses = trainer.take_step(next(stream))
        line: dict[str, float] = {}
        last = trainer.step == schedule.steps
        if trainer.step % schedule.log_every == 0 or last:
            line = trainer.refuse_nonfinite(losses)
        if validation is not None and (trainer.step % epoch == 0 or last):
            line["validation"] = trainer.validate(validation)
        if watch is not None and (trainer.step % watch.every == 0 or last):
            line |= trainer.looked(path)
        trainer.seconds += time.perf_counter() - started
        if line:
            trainer.history.lines.append({"step": trainer.step, **line})
            fabric.log_dict(line, trainer.step)
        if path is not None and (trainer.step % schedule.checkpoint_every == 0 or last):
            trainer.refuse_nonfinite(losses)
            trainer.save(path)
        yield line


def _batches(trainer: _Trainer, data: Samples) -> Iterator[Batch]:
    """This process's share of each batch from the present step on, on its device.

    Where indexing is no more than gathering bytes, the next share is gathered while a GPU computes on the present one.
    On a CPU all cores compute already, and a thread beside theirs, with a team of its own, made steps of small networks
    a third longer. Sets of other kinds may draw random numbers when they are indexed, and are asked in turn.
    """
    schedule, fabric = trainer.schedule, trainer.fabric
    share = slice(fabric.global_rank, None, fabric.world_size)
    order = batches(len(data), schedule.batch_size, schedule.seed, trainer.step)
    if not isinstance(data, Stored) or fabric.device.type == "cpu":
        while True:
            yield on_device(fetched(data, next(order)[share]), fabric.device)
    pinned = fabric.device.type == "cuda"
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as gatherer:
        coming = gatherer.submit(fetched, data, next(order)[share], pinned)
        while True:
            batch = coming.result()
            coming = gatherer.submit(fetched, data, next(order)[share], pinned)
            yield on_device(batch, fabric.device)


def fetched(data: Samples, index: Any, pinned: bool = False) -> Batch:
    """Samples and labels as they are kept, in memory that a GPU copies from by itself where it is ``pinned``."""
    x, y = data.stored(index) if isinstance(data, Stored) else data[index]
    return (x.pin_memory(), y.pin_memory()) if pinned else (x, y)


def on_device(batch: Batch, device: torch.device) -> Batch:
    """Samples, bytes among them as numbers in [0, 1], and labels."""
    x, y = (half.to(device, non_blocking=True) for half in batch)
    return (x.float() / 255 if x.dtype == torch.uint8 else x), y
