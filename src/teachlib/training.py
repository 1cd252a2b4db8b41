"""One training loop for every model of the course, on Lightning Fabric.

An *objective* holds networks and says, batch by batch, which losses to descend. The loop knows devices, precision,
logs and checkpoints, and none of the mathematics.
"""

import copy
import json
import math
import random
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from tqdm import tqdm

from teachlib import memory
from teachlib.checkpoints import load_weights, part, read_checkpoint, write_atomically, write_checkpoint
from teachlib.errors import TeachlibError, require_at_least

Batch = tuple[Tensor, Tensor]


class Samples(Protocol):
    """What :func:`fit` trains on: indexed by a tensor or a slice, it gives samples and labels."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Batch: ...


@runtime_checkable
class Stored(Protocol):
    """A set whose images are kept as bytes: they travel as bytes, and become numbers in [0, 1] on the device."""

    def stored(self, index: Any, /) -> Batch:
        """As indexing does, with bytes for numbers."""
        ...


# DDP's remarks on channels-last kernels of one channel, whose strides are ambiguous, and on an option's new name, which
# the oldest torch allowed does not know.
_HARMLESS = ("Grad strides do not match bucket view strides", "`broadcast_buffers` is deprecated")


class Objective(Protocol):
    """What :func:`fit` trains.

    Attributes:
        nets: name → network. ``fit`` replaces each by one that is wrapped for its device, precision and processes,
            so losses must call ``self.nets[name](…)``.
    """

    nets: dict[str, nn.Module]

    def optimizers(self) -> dict[str, Optimizer]:
        """Name of an update → its optimizer."""
        ...

    def updates(self, batch: Batch, generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """The updates of one batch in order: (name, scalar loss); the step is taken before the next is computed."""
        ...


@runtime_checkable
class Validates(Protocol):
    """An objective that can say how far it is: one with a loss that means something on held-out data."""

    def validation_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Scalar loss of a held-out batch, networks in evaluation mode; gradients are off."""
        ...


@dataclass(frozen=True)
class Schedule:
    """How long and how to train.

    Attributes:
        steps: batches in all.
        batch_size: samples a step, over all processes, which must be able to share them evenly.
        seed: of the order of the data and of the noise.
        checkpoint_every: steps between checkpoints; the last step always writes one.
        log_every: steps between lines of the log.
        validate_every: steps between validations; 0: an epoch.
        plateau_patience: halve the learning rates after so many validations without improvement; ``None``: never.
        ema: decay of an exponential moving average of all weights; ``None``: none is kept.
    """

    steps: int
    batch_size: int = 100
    seed: int = 0
    checkpoint_every: int = 500
    log_every: int = 50
    validate_every: int = 0
    plateau_patience: int | None = None
    ema: float | None = None

    def __post_init__(self) -> None:
        require_at_least(1, steps=self.steps, batch_size=self.batch_size, log_every=self.log_every)
        require_at_least(1, checkpoint_every=self.checkpoint_every)
        require_at_least(0, seed=self.seed, validate_every=self.validate_every)


@dataclass
class History:
    """What a run logged: one dictionary a line, each with its ``step``."""

    lines: list[dict[str, float]]

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Steps and values of one quantity, e.g. ``autoencoder`` or ``validation``."""
        found = [(line["step"], line[name]) for line in self.lines if name in line]
        return [step for step, _ in found], [value for _, value in found]


def make_fabric(
    *, devices: int = 1, precision: str = "32-true", accelerator: str = "auto", loggers: list[Any] | None = None
) -> Fabric:
    """Fabric as this loop needs it: plain on one device, DDP on several.

    Batch-norm statistics stay each process's own: broadcasting them would alter tensors that a GAN's second
    forward pass still needs.
    """
    strategy = DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto"
    return Fabric(
        accelerator=accelerator, devices=devices, strategy=strategy, precision=cast(Any, precision), loggers=loggers
    )


def batches(count: int, batch_size: int, seed: int, start: int = 0) -> Iterator[Tensor]:
    """Indices of batch ``start``, ``start + 1``, … for ever: a new permutation an epoch, incomplete batches dropped.

    The order depends on nothing but the arguments, so a resumed run continues exactly where it stopped.

    Raises:
        TeachlibError: fewer samples than one batch.
    """
    per_epoch = count // batch_size
    if per_epoch == 0:
        raise TeachlibError(f"{count} samples do not fill a batch of {batch_size}; take a smaller batch")
    step, epoch, order = start, -1, torch.empty(0)
    while True:
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = torch.randperm(count, generator=torch.Generator().manual_seed(_mix(seed, epoch)))
        position = step % per_epoch * batch_size
        yield order[position : position + batch_size]
        step += 1


def _mix(*numbers: int) -> int:
    """One well-spread 63-bit seed from several small numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _batch(data: Samples, index: Any, device: torch.device) -> Batch:
    """Samples and labels on the device."""
    x, y = data.stored(index) if isinstance(data, Stored) else data[index]
    x, y = x.to(device, non_blocking=True), y.to(device, non_blocking=True)
    return (x.float() / 255 if x.dtype == torch.uint8 else x), y


def _refuse_uneven(schedule: Schedule, nets: Mapping[str, nn.Module], processes: int) -> None:
    """A share that is larger than another would count less; one sample alone has no batch statistics."""
    size = schedule.batch_size
    if size % processes:
        nearest = max(size // processes, 1) * processes
        raise TeachlibError(
            f"a batch of {size} cannot be shared evenly by {processes} processes; take {nearest}, or other --devices"
        )
    normed = any(isinstance(layer, _BatchNorm) for net in nets.values() for layer in net.modules())
    if size == processes and normed:
        raise TeachlibError(f"batch norm needs two samples a process; {size} on {processes} leave one: more a batch")


class _Trainer:
    """The state of one run; :func:`fit` drives it."""

    def __init__(self, objective: Objective, schedule: Schedule, fabric: Fabric, settings: Mapping[str, Any]) -> None:
        _refuse_uneven(schedule, objective.nets, fabric.world_size)
        self.objective, self.schedule, self.fabric = objective, schedule, fabric
        machine = {"precision": str(fabric._precision.precision), "devices": fabric.world_size}
        self.settings = {**settings, "schedule": asdict(schedule), "machine": machine}
        self.nets = dict(objective.nets)  # unwrapped: what checkpoints hold
        self.averages = copy.deepcopy(self.nets) if schedule.ema is not None else {}
        for name, net in self.nets.items():
            # Images run a quarter faster on CPUs in this layout than in the default one, and tensor cores want it.
            net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            wrapped = fabric.setup_module(net)
            if hasattr(net, "loss"):  # a network's own loss must pass through the wrapper, as its forward does
                wrapped.mark_forward_method("loss")
            # In mixed precision fabric refuses every gradient but fabric.backward's, also those that penalties take of
            # a network's output. Its guard has no switch; here the loss does go through fabric.backward.
            vars(wrapped)["_register_backward_hook"] = lambda tensor: tensor
            objective.nets[name] = wrapped
        self.optimizers = objective.optimizers()
        self.plateaus = [
            ReduceLROnPlateau(optimizer, factor=0.5, patience=schedule.plateau_patience)
            for optimizer in self.optimizers.values()
            if schedule.plateau_patience is not None
        ]
        self.wrapped = {
            name: cast(Optimizer, fabric.setup_optimizers(optimizer)) for name, optimizer in self.optimizers.items()
        }
        for average in self.averages.values():
            average.to(fabric.device)
        self.step = 0
        self.seconds = 0.0  # of training, over all resumed pieces
        self.history = History([])

    def take_step(self, batch: Batch) -> dict[str, Tensor]:
        generator = torch.Generator(self.fabric.device)
        generator.manual_seed(_mix(self.schedule.seed, self.step, self.fabric.global_rank))
        losses = {}
        for name, loss in self.objective.updates(batch, generator):
            if self.fabric.device.type == "cpu":  # free there; on a GPU it would wait for every step
                self.refuse_nonfinite({name: loss})
            optimizer = self.wrapped[name]
            optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss)
            optimizer.step()
            losses[name] = loss.detach()
        self.step += 1
        self._update_averages()
        return losses

    def _update_averages(self) -> None:
        decay = self.schedule.ema
        if decay is None:
            return
        with torch.no_grad():
            for name, average in self.averages.items():
                for old, new in zip(average.state_dict().values(), self.nets[name].state_dict().values(), strict=True):
                    if old.is_floating_point():
                        old.lerp_(new, 1 - decay)
                    else:
                        old.copy_(new)

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
                saved = getattr(self, "last_saved", None)
                where = f"the last good checkpoint is {saved}" if saved else "no checkpoint was written yet"
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
        generator = torch.Generator(self.fabric.device).manual_seed(_mix(self.schedule.seed, self.step))
        total = 0.0
        with torch.no_grad():
            for start in range(0, len(data), self.schedule.batch_size):
                x, y = _batch(data, slice(start, start + self.schedule.batch_size), self.fabric.device)
                loss = cast(Validates, self.objective).validation_loss((x, y), generator)
                total += loss.item() * len(x)
        for net in self.objective.nets.values():
            net.train()
        mean = torch.tensor(total / len(data), dtype=torch.float64)
        value = float(cast(Tensor, self.fabric.all_reduce(mean.to(self._number_device()), reduce_op="mean")))
        for plateau in self.plateaus:
            plateau.step(value)
        return value

    def _number_device(self) -> torch.device:
        """Where float64 numbers live: MPS knows none."""
        return self.fabric.device if self.fabric.device.type == "cuda" else torch.device("cpu")

    def _own_state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What differs between the processes: buffers such as batch-norm statistics, and random states."""
        tensors = {"random.torch": torch.get_rng_state()}
        if self.fabric.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.fabric.device)
        for name, net in self.nets.items():
            tensors |= {f"buffer.{name}.{key}": value.detach().cpu() for key, value in net.named_buffers()}
        return tensors, _random_states()

    def _others_state(self) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
        """The same of every process but the first, whose own is in the checkpoint's usual places."""
        if self.fabric.world_size == 1:
            return {}, []
        each: list[Any] = [None] * self.fabric.world_size
        torch.distributed.all_gather_object(each, self._own_state())
        tensors = {f"process.{r}.{key}": value for r in range(1, len(each)) for key, value in each[r][0].items()}
        return tensors, [random for _, random in each[1:]]

    def save(self, path: Path) -> None:
        others, random_states = self._others_state()
        if self.fabric.is_global_zero:
            own, _ = self._own_state()
            tensors = {key: value for key, value in own.items() if key.startswith("random.")} | others
            for kind, nets in (("model", self.nets), ("average", self.averages)):
                for name, net in nets.items():
                    tensors |= {f"{kind}.{name}.{key}": value for key, value in net.state_dict().items()}
            progress = {"step": self.step, "seconds": self.seconds, "history": self.history.lines}
            header = {**self.settings, **progress, **_random_states(), "optimizers": {}}
            header |= {"processes": random_states} if random_states else {}
            for name, optimizer in self.optimizers.items():
                state = optimizer.state_dict()
                for index, slots in state["state"].items():
                    tensors |= {f"optimizer.{name}.{index}.{slot}": value for slot, value in slots.items()}
                header["optimizers"][name] = state["param_groups"]
            header["plateaus"] = [_plain(plateau.state_dict()) for plateau in self.plateaus]
            write_checkpoint(path, tensors, header)
        self.fabric.barrier()
        self.last_saved = path

    def restore(self, path: Path) -> None:
        tensors, header = read_checkpoint(path)
        _refuse_other_settings(path, header, json.loads(json.dumps(self.settings)))
        for kind, nets in (("model", self.nets), ("average", self.averages)):
            for name, net in nets.items():
                load_weights(net, part(tensors, f"{kind}.{name}"), source=path)
        for name, optimizer in self.optimizers.items():
            slots: dict[int, dict[str, Tensor]] = {}
            for key, value in part(tensors, f"optimizer.{name}").items():
                index, slot = key.split(".", 1)
                slots.setdefault(int(index), {})[slot] = value
            optimizer.load_state_dict({"state": slots, "param_groups": header["optimizers"][name]})
        for plateau, state in zip(self.plateaus, header["plateaus"], strict=True):
            plateau.load_state_dict(state)
        self._restore_own(tensors, header)
        self.step, self.seconds = header["step"], header["seconds"]
        self.history, self.last_saved = History(header["history"]), path

    def _restore_own(self, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
        """Each process takes up its own buffers and random states again."""
        rank, random_states = self.fabric.global_rank, header
        if rank:
            tensors, random_states = part(tensors, f"process.{rank}"), header["processes"][rank - 1]
            for name, net in self.nets.items():
                for key, value in net.named_buffers():
                    value.copy_(tensors[f"buffer.{name}.{key}"])
        torch.set_rng_state(tensors["random.torch"])
        if self.fabric.device.type == "cuda" and "random.cuda" in tensors:
            torch.cuda.set_rng_state(tensors["random.cuda"], self.fabric.device)
        _set_random_states(random_states)


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if isinstance(value, int | float | str | list | None)}


def _random_states() -> dict[str, Any]:
    kind, keys, position, has_gauss, gauss = np.random.get_state()
    version, internal, gauss_next = random.getstate()
    numpy_state = [kind, np.asarray(keys).tolist(), position, has_gauss, gauss]
    return {"random": {"numpy": numpy_state, "python": [version, list(internal), gauss_next]}}


def _set_random_states(header: Mapping[str, Any]) -> None:
    np.random.set_state(tuple(header["random"]["numpy"]))
    version, internal, gauss_next = header["random"]["python"]
    random.setstate((version, tuple(internal), gauss_next))


def _refuse_other_settings(path: Path, header: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        leaves: dict[str, Any] = {}
        for key, value in values.items():
            leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        return leaves

    before, now = flat({key: header.get(key) for key in settings}), flat(settings)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise TeachlibError(
                f"{path}: this run was started with {key} = {before.get(key)!r}, not {now.get(key)!r}; "
                "resume it with the same settings, or choose another folder"
            )


def fit(
    objective: Objective,
    data: Samples,
    schedule: Schedule,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    validation: Samples | None = None,
    fabric: Fabric | None = None,
    settings: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> History:
    """Train an objective; killed at any moment and resumed, it ends bit for bit where it would have ended (CPU).

    Args:
        objective: networks, optimizers and losses. Its networks end in evaluation mode.
        data: training set.
        schedule: steps, batch size, seed, logging.
        folder: where ``checkpoint.safetensors`` and ``log.jsonl`` go; nothing is written for ``None``.
        resume: continue from the folder's checkpoint where there is one.
        validation: held-out set, evaluated every ``schedule.validate_every`` steps.
        fabric: devices and precision, already launched; by default one process on the best device.
        settings: what must be equal for a run to be resumed, e.g. the recipe; stored in the checkpoint.
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
        with memory.kept(), warnings.catch_warnings():
            for text in _HARMLESS:
                warnings.filterwarnings("ignore", message=text)
            trainer = _Trainer(objective, schedule, fabric, settings or {})
            return _run(trainer, data, validation, folder, resume, progress)
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
    progress: bool,
) -> History:
    path = Path(folder) / "checkpoint.safetensors" if folder is not None else None
    if path is not None:
        _open_run(trainer, path, resume)
    loop = _loop(trainer, data, validation, path)
    hidden = not progress or not trainer.fabric.is_global_zero
    with tqdm(
        loop, total=trainer.schedule.steps, initial=trainer.step, disable=hidden, unit="step", leave=False
    ) as bar:
        for losses in bar:
            if losses:
                bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items()})
    return trainer.history


def _open_run(trainer: _Trainer, path: Path, resume: bool) -> None:
    # The first process looks for all: one that looked later would find what the first has just written.
    found = trainer.fabric.broadcast(path.exists())
    if found and not resume:
        raise TeachlibError(f"{path.parent} already holds a run; resume it (--resume) or choose another folder")
    if found:
        trainer.restore(path)
    else:
        trainer.save(path)  # finds an unwritable folder before an hour of training, not after it


def _loop(
    trainer: _Trainer, data: Samples, validation: Samples | None, path: Path | None
) -> Iterator[dict[str, float]]:
    """Take the remaining steps; yields the losses whenever they are logged, else nothing, once a step."""
    schedule, fabric = trainer.schedule, trainer.fabric
    order = batches(len(data), schedule.batch_size, schedule.seed, trainer.step)
    share = slice(fabric.global_rank, None, fabric.world_size)
    epoch = schedule.validate_every or max(len(data) // schedule.batch_size, 1)
    while trainer.step < schedule.steps:
        started = time.perf_counter()
        losses = trainer.take_step(_batch(data, next(order)[share], fabric.device))
        line: dict[str, float] = {}
        last = trainer.step == schedule.steps
        if trainer.step % schedule.log_every == 0 or last:
            line = trainer.refuse_nonfinite(losses)
        if validation is not None and (trainer.step % epoch == 0 or last):
            line["validation"] = trainer.validate(validation)
        trainer.seconds += time.perf_counter() - started
        if line:
            trainer.history.lines.append({"step": trainer.step, **line})
            fabric.log_dict(line, trainer.step)
        if path is not None and (trainer.step % schedule.checkpoint_every == 0 or last):
            trainer.refuse_nonfinite(losses)
            trainer.save(path)
            _write_log(path.with_name("log.jsonl"), trainer)
        yield line


def _write_log(path: Path, trainer: _Trainer) -> None:
    """The whole history, rewritten beside each checkpoint, so that both always tell of the same steps."""
    if trainer.fabric.is_global_zero:
        lines = [*trainer.history.lines, {"step": trainer.step, "seconds": round(trainer.seconds, 1)}]
        write_atomically(path, "".join(json.dumps(line) + "\n" for line in lines).encode())
