"""What large models ask of the loop: steps, states, parts, clipping, averages, looks, compilers, loggers."""

import itertools
import json
import os
import random
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from loops import Pair, points
from small_run import Denoiser, images
from torch import Tensor, nn

from teachlib import rae
from teachlib.checkpoints import part, read_checkpoint
from teachlib.errors import TeachlibError
from teachlib.primer import plane_game
from teachlib.training import Schedule, Watch, fit, make_fabric
from teachlib.training import loop as the_loop
from teachlib.training.machine import average_gradients, described
from teachlib.training.schedule import mix, refuse_uneven
from teachlib.training.states import (
    optimizer_state,
    random_states,
    refuse_other_settings,
    restore_optimizers,
    restore_own,
)
from teachlib.training.watch import undisturbed

HERE = Path(__file__).parent
PATIENCE = 300  # seconds, against hanging alone: on a busy machine a moment can take half a minute
PLAN = Schedule(steps=12, batch_size=16, checkpoint_every=5, log_every=1)


def _weights(objective: Pair) -> dict[str, torch.Tensor]:
    return {f"{name}.{key}": value for name, net in objective.nets.items() for key, value in net.state_dict().items()}


def test_a_lazy_penalty_and_an_objectives_own_state_resume_exactly(tmp_path: Path) -> None:
    whole = Pair()
    fit(whole, points(), PLAN, folder=tmp_path / "whole", progress=False)
    assert whole.penalized == [0, 4, 8]
    with pytest.raises(KeyboardInterrupt):
        fit(Pair(stop=7), points(), PLAN, folder=tmp_path / "pieces", progress=False)
    again = Pair()
    fit(again, points(), PLAN, folder=tmp_path / "pieces", resume=True, progress=False)
    assert again.penalized == [8]  # on from step 5
    assert torch.equal(again.mean, whole.mean)
    assert all(torch.equal(a, b) for a, b in zip(_weights(again).values(), _weights(whole).values(), strict=True))


def test_only_the_network_that_is_updated_collects_gradients() -> None:
    objective = Pair()
    fit(objective, points(), Schedule(steps=1, batch_size=16), progress=False)
    (first, second), (first_then, second_then) = objective.collected
    assert first is None
    assert first_then is not None
    assert second is not None
    assert second_then is not None
    assert torch.equal(second, second_then)  # the first one's loss passed through it, and left nothing


def test_parts_add_up_to_the_batch() -> None:
    whole, parts = Denoiser(norm=False), Denoiser(norm=False)
    plan = Schedule(steps=20, batch_size=20, log_every=5)
    histories = [
        fit(objective, images(), replace(plan, accumulate=count), progress=False).series("denoise")[1]
        for objective, count in ((whole, 1), (parts, 4))
    ]
    assert histories[1] == pytest.approx(histories[0], rel=1e-3)
    for mine, theirs in zip(whole.nets["net"].parameters(), parts.nets["net"].parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-5)
    with pytest.raises(TeachlibError, match="cannot be shared evenly"):
        fit(whole, images(), Schedule(steps=1, batch_size=20, accumulate=3), progress=False)


@pytest.mark.parametrize(
    ("size", "processes", "parts", "words"),
    [
        (21, 2, 1, "a batch of 21 cannot be shared evenly by 2 processes; take 20, or"),
        (20, 1, 3, "a batch of 20 cannot be shared evenly by 1 processes in 3 parts; take 18, or"),
        (3, 2, 2, "a batch of 3 cannot be shared evenly by 2 processes in 2 parts; take 4, or"),
    ],
)
def test_the_nearest_batch_that_can_be_shared_is_named(size: int, processes: int, parts: int, words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        refuse_uneven(Schedule(steps=1, batch_size=size, accumulate=parts), {}, processes)


@pytest.mark.parametrize("processes", [1, 3])
def test_batch_norm_wants_two_samples_a_process(processes: int) -> None:
    plain, normed = {"net": nn.Linear(2, 2)}, {"net": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))}
    with pytest.raises(TeachlibError, match=f"{processes} on {processes} leave one"):
        refuse_uneven(Schedule(steps=1, batch_size=processes), normed, processes)
    refuse_uneven(Schedule(steps=1, batch_size=processes), plain, processes)
    refuse_uneven(Schedule(steps=1, batch_size=2 * processes), normed, processes)


def test_a_logged_loss_is_the_mean_over_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two, the other of which has three times this one's; then of one whose loss is no number."""
    plan, fabric = Schedule(steps=3, batch_size=16, log_every=1), make_fabric(accelerator="cpu")
    own = fit(Pair(), points(), plan, progress=False).series("first")[1]
    monkeypatch.setattr(fabric, "all_gather", lambda loss: torch.stack([loss, 3 * loss]))
    means = fit(Pair(), points(), plan, fabric=fabric, progress=False).series("first")[1]
    assert means == pytest.approx([2 * loss for loss in own])
    monkeypatch.setattr(fabric, "all_gather", lambda loss: torch.stack([loss, loss / 0]))
    with pytest.raises(TeachlibError, match="is inf at step 0 on process 1; no checkpoint was written yet"):
        fit(Pair(), points(), plan, fabric=fabric, progress=False)


def test_a_bar_is_shown_to_those_who_want_one(capsys: pytest.CaptureFixture[str]) -> None:
    for progress in (True, False):
        fit(Pair(), points(), Schedule(steps=2, batch_size=16), progress=progress)
        assert ("step/s" in capsys.readouterr().err) == progress


def test_random_numbers_of_a_gpu_are_left_alone_without_one() -> None:
    torch.manual_seed(3)
    tensors = {"random.torch": torch.get_rng_state(), "random.cuda": torch.zeros(16, dtype=torch.uint8)}
    expected, fabric = torch.rand(3), make_fabric(accelerator="cpu")
    restore_own(tensors, random_states(), {}, None, fabric)
    assert torch.equal(torch.rand(3), expected)


def test_moments_come_back_as_their_weights_lie_in_memory() -> None:
    """Rows and columns in a checkpoint, channels last in the network: the next step is the same."""
    gradient = torch.randn(4, 3, 2, 2)
    weights = [nn.Parameter(torch.ones(4, 3, 2, 2).to(memory_format=torch.channels_last)) for _ in range(2)]
    first, second = (torch.optim.Adam([weight], lr=0.1, fused=True) for weight in weights)
    weights[0].grad = gradient.to(memory_format=torch.channels_last)
    first.step()
    tensors, groups = optimizer_state({"net": first})
    kept = {key: value.clone(memory_format=torch.contiguous_format) for key, value in tensors.items()}
    restore_optimizers({"net": second}, kept, groups)
    weights[1].data.copy_(weights[0].data)
    assert second.state[weights[1]]["exp_avg"].stride() == weights[1].stride()
    weights[1].grad = weights[0].grad.clone()
    for optimizer in (first, second):
        optimizer.step()
    assert torch.equal(*weights)


def test_seconds_add_up_over_pieces_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that moves by an eighth of a second whenever a step asks it for the time."""
    ticks = itertools.count(10.0, 0.125)
    monkeypatch.setattr(the_loop, "time", SimpleNamespace(perf_counter=ticks.__next__))
    plan = Schedule(steps=9, batch_size=16, checkpoint_every=4)
    with pytest.raises(KeyboardInterrupt):
        fit(Pair(stop=6), points(), plan, folder=tmp_path, progress=False)
    fit(Pair(), points(), plan, folder=tmp_path, resume=True, progress=False)
    assert read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["seconds"] == 9 * 0.125
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1]) == {"step": 9, "seconds": 1.1}


class Two:
    """What one of two processes sees of the other, whose gradients are known."""

    device, world_size = torch.device("cpu"), 2

    def __init__(self, other: list[float]) -> None:
        self.other = torch.tensor(other)

    def all_reduce(self, own: torch.Tensor, *, reduce_op: str) -> torch.Tensor:
        assert reduce_op == "mean"
        return (own + self.other) / 2


def test_gradients_are_averaged_and_one_that_is_missing_counts_as_zero() -> None:
    """Of four weights both, this process, the other, and neither has a gradient; the last numbers say which it has."""
    weights = [nn.Parameter(torch.zeros(size)) for size in (2, 1, 2, 1)]
    weights[0].grad, weights[1].grad = torch.tensor([1.0, 2.0]), torch.tensor([8.0])
    average_gradients(weights, Two([3.0, 0.0, 0.0, 4.0, 6.0, 0.0, 1.0, 0.0, 1.0, 0.0]))  # type: ignore[arg-type]
    found = [None if weight.grad is None else weight.grad.tolist() for weight in weights]
    assert found == [[2.0, 1.0], [4.0], [2.0, 3.0], None]


def test_a_machine_is_described_as_it_was_made() -> None:
    for tf32 in (True, False):
        fabric = make_fabric(accelerator="cpu", tf32=tf32)
        assert described(fabric, None) == {"precision": "32-true", "devices": 1, "tf32": tf32, "compile": None}


def test_a_run_of_before_there_were_settings_goes_on_with_what_they_were() -> None:
    plan = asdict(Schedule(steps=1))
    before = {key: value for key, value in plan.items() if key not in ("accumulate", "ema_ramp")}
    machine = {"precision": "32-true", "devices": 1, "tf32": False, "compile": None}
    header = {"schedule": before, "machine": {"precision": "32-true", "devices": 1}}
    refuse_other_settings(Path("run"), header, {"schedule": plan, "machine": machine})
    for name, other in (("ema_ramp", 0.0), ("accumulate", 2)):
        with pytest.raises(TeachlibError, match=f"started with schedule.{name} = "):
            refuse_other_settings(Path("run"), header, {"schedule": plan | {name: other}, "machine": machine})


def test_seeds_are_spread_over_sixty_three_bits() -> None:
    seeds = {mix(first, second) for first in range(30) for second in range(30)}
    assert len(seeds) == 900
    assert 2**62 < max(seeds) < 2**63


def test_parts_of_two_updates_take_the_first_step_before_the_second_loss() -> None:
    whole, parts = Pair(penalty=0), Pair(penalty=0)
    fit(whole, points(), Schedule(steps=3, batch_size=16), progress=False)
    fit(parts, points(), Schedule(steps=3, batch_size=16, accumulate=2), progress=False)
    torch.testing.assert_close(_weights(whole), _weights(parts))


def test_a_clipped_gradient_has_the_norm_that_was_asked_for() -> None:
    before, objective = _weights(Pair()), Pair(rate=1.0)
    fit(objective, points(), Schedule(steps=1, batch_size=16, clip=0.01), progress=False)
    for name in ("first", "second"):
        moved = [value - before[key] for key, value in _weights(objective).items() if key.startswith(name)]
        assert torch.cat([part.flatten() for part in moved]).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_half_life_is_one_and_ramps_up() -> None:
    steady = Schedule(steps=1, batch_size=50, ema_half_life=0.5, ema_ramp=0)
    assert steady.ema_decay(1) ** 10 == pytest.approx(0.5)  # 500 samples are ten steps
    ramped = Schedule(steps=1, batch_size=50, ema_half_life=0.5, ema_ramp=0.1)
    assert ramped.ema_decay(1) == pytest.approx(0.5**10)  # a half-life of five samples
    assert ramped.ema_decay(1_000) == pytest.approx(steady.ema_decay(1_000))


def _noisy_look(step: int, nets: object) -> dict[str, float]:
    torch.rand(3), np.random.rand(3), random.random()
    assert not torch.is_grad_enabled()
    assert all(not net.training for net in nets.values())  # type: ignore[attr-defined]
    return {"distance": abs(step - 6.0)}


def test_a_look_disturbs_nothing_and_keeps_the_best(tmp_path: Path) -> None:
    plan = Schedule(steps=12, batch_size=20, checkpoint_every=4)
    alone, watched, watch = Denoiser(), Denoiser(), Watch(3, _noisy_look, best="distance")
    for objective, folder, looks in ((alone, "alone", None), (watched, "watched", watch)):
        torch.manual_seed(0)
        np.random.seed(0)
        random.seed(0)
        history = fit(objective, images(), plan, folder=tmp_path / folder, watch=looks, progress=False)
    states = [read_checkpoint(tmp_path / folder / "checkpoint.safetensors")[1] for folder in ("alone", "watched")]
    assert states[0]["random"] == states[1]["random"]
    tmp_path = tmp_path / "watched"
    assert history.series("distance") == ([3, 6, 9, 12], [3.0, 0.0, 3.0, 6.0])
    for mine, theirs in zip(alone.nets["net"].parameters(), watched.nets["net"].parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert read_checkpoint(tmp_path / "best.safetensors")[1]["step"] == 6
    assert read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["best"] == 0.0
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"] == 12
    with pytest.raises(TeachlibError, match=r"the watch gives \['distance'\], not 'FD'"):
        fit(Denoiser(), images(), plan, watch=Watch(3, _noisy_look, best="FD"), progress=False)


def test_a_watch_that_never_looks_is_refused() -> None:
    with pytest.raises(TeachlibError, match="every is 0; expected at least 1"):
        Watch(0, _noisy_look)


def test_a_look_sees_the_average() -> None:
    seen: dict[str, torch.Tensor] = {}

    def look(step: int, nets: dict[str, nn.Module]) -> dict[str, float]:
        seen["weight"] = nets["net"][1].weight.clone()  # type: ignore[index]
        return {}

    objective = Denoiser()
    plan = Schedule(steps=4, batch_size=20, ema_half_life=100, ema_ramp=0)
    fit(objective, images(), plan, watch=Watch(4, look), progress=False)
    start = Denoiser().nets["net"].state_dict()["1.weight"]
    moved = (objective.nets["net"].state_dict()["1.weight"] - start).abs().max()
    assert (seen["weight"] - start).abs().max() < 0.01 * moved  # a half-life of 100,000 samples has hardly begun


def test_checkpoints_are_written_while_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, steps, release = the_loop.write_checkpoint, [], threading.Event()

    class Noted(Denoiser):
        def updates(self, batch, generator, step):
            steps.append(step)
            if step == 7:
                release.set()
            yield from super().updates(batch, generator, step)

    def slow(path, tensors, header):
        if header["step"] == 5:
            assert release.wait(PATIENCE), "training waited for the checkpoint"
        plain(path, tensors, header)

    monkeypatch.setattr(the_loop, "write_checkpoint", slow)
    fit(Noted(), images(), Schedule(steps=8, batch_size=20, checkpoint_every=5), folder=tmp_path, progress=False)
    assert read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["step"] == 8


def test_a_checkpoint_holds_the_weights_of_its_step(tmp_path: Path) -> None:
    """Not those that training has gone on to while it was written."""
    plan = Schedule(steps=9, batch_size=20, checkpoint_every=5)
    seen: list[dict[str, torch.Tensor]] = []
    plain, later = the_loop.write_checkpoint, threading.Event()

    class Further(Denoiser):
        def updates(self, batch, generator, step):
            if step == 8:
                later.set()
            yield from super().updates(batch, generator, step)

    def kept(path, tensors, header):
        if header["step"] == 5:
            assert later.wait(PATIENCE)
            seen.append({key: value.clone() for key, value in tensors.items()})
        plain(path, tensors, header)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(the_loop, "write_checkpoint", kept)
        fit(Further(), images(), plan, folder=tmp_path, progress=False)
    short = Denoiser()
    fit(short, images(), Schedule(steps=5, batch_size=20), progress=False)
    for key, value in short.nets["net"].state_dict().items():
        assert torch.equal(part(seen[0], "model.net")[key], value), key


def test_a_checkpoint_that_cannot_be_written_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = the_loop.write_checkpoint

    def full(path, tensors, header):
        if header["step"] == 5:
            raise TeachlibError("disk: cannot write (No space left on device)")
        plain(path, tensors, header)

    monkeypatch.setattr(the_loop, "write_checkpoint", full)
    with pytest.raises(TeachlibError, match="No space left"):
        fit(
            Denoiser(), images(), Schedule(steps=12, batch_size=20, checkpoint_every=5), folder=tmp_path, progress=False
        )
    assert read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["step"] == 0


def test_compiled_networks_learn_the_same_and_penalized_ones_stay_plain(tmp_path: Path) -> None:
    plan, plain, compiled = Schedule(steps=5, batch_size=20), Denoiser(norm=False), Denoiser(norm=False)
    fit(plain, images(), plan, progress=False)
    fit(compiled, images(), plan, compiler="aot_eager", folder=tmp_path, progress=False)
    for mine, theirs in zip(plain.nets["net"].parameters(), compiled.nets["net"].parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)
    tensors, header = read_checkpoint(tmp_path / "checkpoint.safetensors")
    assert header["machine"]["compile"] == "aot_eager"
    assert part(tensors, "model.net").keys() == compiled.nets["net"].state_dict().keys()
    recipe = rae.recipe("rae-gp", "digits", scale="ci", width=2, steps=2)
    _, history = rae.train(recipe, compiler="aot_eager", limit=200, progress=False, log_every=1)
    _, same = rae.train(recipe, limit=200, progress=False, log_every=1)
    assert history.series("autoencoder")[1] == pytest.approx(same.series("autoencoder")[1], rel=1e-4)


def _run(what: str, folder: Path, *, launcher: tuple[str, ...] = ()) -> dict[str, torch.Tensor]:
    command = [sys.executable, *launcher, str(HERE / "small_run.py"), what, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return read_checkpoint(folder / "checkpoint.safetensors")[0]


@pytest.mark.slow
def test_processes_of_torchrun_reach_the_weights_of_one(tmp_path: Path) -> None:
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--standalone")
    one, two = _run("1", tmp_path / "one"), _run("2", tmp_path / "two", launcher=torchrun)
    for name, value in part(one, "model").items():
        torch.testing.assert_close(two[f"model.{name}"], value, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_two_processes_play_a_game_as_one_would(tmp_path: Path) -> None:
    """The generator's update passes through the discriminator, whose own reducer would wait for gradients for ever."""
    one, two = _run("game-1", tmp_path / "one"), _run("game-2", tmp_path / "two")
    for name, value in part(one, "model").items():
        torch.testing.assert_close(two[f"model.{name}"], value, rtol=2e-2, atol=5e-3)


def test_a_game_has_no_validation_loss() -> None:
    with pytest.raises(TeachlibError, match="Game has no validation_loss; leave validation out, or write one"):
        fit(plane_game(), points(), PLAN, validation=points(), progress=False)


@pytest.mark.parametrize("logger", ["tensorboard", "wandb"])
@pytest.mark.slow
def test_loggers_log(logger: str, tmp_path: Path) -> None:
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "teachlib.cli", "train", "rae", "--dataset", "digits", "--scale", "ci"]
    options = ["--width", "2", "--steps", "50", "--logger", logger, "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [*command, *options], capture_output=True, text=True, check=False, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    losses = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    value = next(line["autoencoder"] for line in losses if "autoencoder" in line)
    assert _logged(logger, tmp_path / "run") == pytest.approx([value], rel=1e-6)


def _logged(logger: str, folder: Path) -> list[float]:
    """The values of the loss ``autoencoder``, read back by the logger's own package."""
    if logger == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        (events,) = folder.rglob("events.out.tfevents.*")
        accumulator = EventAccumulator(str(events))
        accumulator.Reload()
        return [event.value for event in accumulator.Scalars("autoencoder")]
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.rglob("run-*.wandb")
    items = [item for data in _records(file.read_bytes()) for item in Record.FromString(data).history.item]
    named = [item for item in items if "autoencoder" in (item.key, *item.nested_key)]
    return [json.loads(item.value_json) for item in named]


def _records(contents: bytes) -> list[bytes]:
    """Of LevelDB's log, which follows seven bytes of W&B's own: checksum, length, kind (1 whole, 2 to 4 parts)."""
    records, whole, at = [], b"", 7
    while at + 7 <= len(contents):
        if 2**15 - at % 2**15 < 7:  # no header crosses the edge of a block
            at += 2**15 - at % 2**15
            continue
        length, kind = struct.unpack("<HB", contents[at + 4 : at + 7])
        whole += contents[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            records.append(whole)
            whole = b""
    return records


class _Watched:
    """A set of bytes that remembers who asked it for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, list[int]]] = []
        self.second = threading.Event()

    def __len__(self) -> int:
        return 40

    def __getitem__(self, index: Any) -> tuple[Tensor, Tensor]:
        return self.stored(index)

    def stored(self, index: Tensor) -> tuple[Tensor, Tensor]:
        self.asked.append((threading.current_thread().name, index.tolist()))
        if len(self.asked) > 1:
            self.second.set()
        return torch.zeros(len(index), 1, 2, 2, dtype=torch.uint8), index


@pytest.mark.parametrize(("device", "ahead"), [("meta", True), ("cpu", False)])
def test_the_next_batch_is_gathered_meanwhile_unless_all_cores_compute(device: str, ahead: bool) -> None:
    """The meta device stands for any that computes by itself."""
    fabric = SimpleNamespace(device=torch.device(device), global_rank=0, world_size=1)
    trainer = SimpleNamespace(schedule=Schedule(steps=5, batch_size=4, seed=3), fabric=fabric, step=0)
    data, order = _Watched(), the_loop.batches(40, 4, 3, 0)
    stream = the_loop._batches(cast(Any, trainer), data)
    images, _ = next(stream)
    assert images.device.type == device
    assert images.is_floating_point()
    assert data.second.wait(PATIENCE if ahead else 0.1) == ahead
    next(stream)
    stream.close()
    assert [index for _, index in data.asked[:2]] == [next(order).tolist() for _ in range(2)]
    assert all(name.startswith("batches") == ahead for name, _ in data.asked)


class Own(Denoiser):
    """Its network has a loss of its own, as likelihood models have; one of its layers is kept as it is."""

    class Net(nn.Sequential):
        def loss(self, x: Tensor) -> Tensor:
            return self(x).square().mean()

    def __init__(self) -> None:
        super().__init__()
        self.nets = {"net": Own.Net(nn.Flatten(), nn.Linear(16, 4), nn.BatchNorm1d(4))}
        self.computed: set[torch.dtype] = set()
        self.nets["net"][1].register_forward_hook(lambda *seen: self.computed.add(seen[-1].dtype))

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        yield "denoise", self.nets["net"].loss(batch[0])
        yield "denoise", 100 * self.nets["net"].loss(batch[0])


@pytest.mark.parametrize(("precision", "computed"), [("32-true", torch.float32), ("bf16-mixed", torch.bfloat16)])
def test_a_loss_of_the_networks_own_is_computed_in_the_precision_asked_for(
    precision: str, computed: torch.dtype
) -> None:
    objective = Own()
    history = fit(objective, images(), PLAN, fabric=make_fabric(precision=precision), progress=False)
    assert objective.computed == {computed}
    losses, penalties = (history.series(name)[1] for name in ("denoise", "denoise, penalty"))
    assert len(losses) == len(penalties) == PLAN.steps  # a second loss of one name takes no other's place
    assert min(penalties) > 10 * max(losses)


def test_a_look_leaves_each_layer_in_its_own_mode() -> None:
    objective = Own()
    frozen = objective.nets["net"][2].eval()
    with undisturbed(objective.nets):
        assert not any(module.training for module in objective.nets["net"].modules())
    assert objective.nets["net"].training
    assert not frozen.training


@pytest.mark.parametrize("sign", [1, -1])
def test_losses_below_zero_reach_a_plateau_too(sign: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate is halved when more than two validations in a row were no better."""
    objective = Denoiser()
    monkeypatch.setattr(objective, "validation_loss", lambda batch, generator: torch.tensor(float(sign)))
    monkeypatch.setattr(objective, "updates", lambda batch, generator, step: iter(()))
    plan = replace(PLAN, steps=8, validate_every=1, plateau_patience=2)
    optimizers = objective.optimizers()
    monkeypatch.setattr(objective, "optimizers", lambda: optimizers)
    fit(objective, images(), plan, validation=images(40), progress=False)
    assert optimizers["denoise"].param_groups[0]["lr"] == 1e-2 / 4
