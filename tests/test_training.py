"""The loop: resumed runs are bit-identical, processes agree, and what goes wrong is said in one line."""

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import cast

import pytest
import small_run
import torch
from small_run import Denoiser, images
from torch import nn
from two_processes import both

from teachlib.alone import alone
from teachlib.checkpoints import part, read_checkpoint, write_checkpoint
from teachlib.errors import TeachlibError
from teachlib.training import Schedule, Watch, batches, fit, make_fabric
from teachlib.training.schedule import mix


def _start(folder: Path) -> BaseProcess:
    """The run in a process of its own, a fork of this one, which has imported everything already."""
    process = multiprocessing.get_context("fork").Process(target=small_run.resume, args=(folder,))
    process.start()
    return process


def _comparable(folder: Path) -> tuple[dict[str, torch.Tensor], dict]:
    tensors, header = read_checkpoint(folder / "checkpoint.safetensors")
    return tensors, {key: value for key, value in header.items() if key != "seconds"}


def _kill_somewhere(folder: Path, delay: float) -> bool:
    process, file = _start(folder), folder / "checkpoint.safetensors"
    before = file.stat().st_mtime_ns if file.exists() else 0
    # Waiting for a new checkpoint makes sure that the kill lands inside training.
    while process.is_alive() and (not file.exists() or file.stat().st_mtime_ns == before):
        time.sleep(0.001)
    time.sleep(delay)
    process.kill()
    process.join()
    return process.exitcode == -signal.SIGKILL


def test_a_run_killed_ten_times_ends_bit_identical(tmp_path: Path) -> None:
    whole = _start(tmp_path / "whole")
    whole.join()
    luck = random.Random(0)
    kills = sum(_kill_somewhere(tmp_path / "pieces", luck.uniform(0, 0.05)) for _ in range(10))
    last = _start(tmp_path / "pieces")
    last.join()
    assert (whole.exitcode, last.exitcode, kills) == (0, 0, 10)
    (tensors, header), (pieced, pieced_header) = _comparable(tmp_path / "whole"), _comparable(tmp_path / "pieces")
    assert header == pieced_header
    assert tensors.keys() == pieced.keys()
    assert all(torch.equal(tensors[name], pieced[name]) for name in tensors)


@pytest.mark.slow
def test_two_processes_reach_the_weights_of_one(tmp_path: Path) -> None:
    for devices in ("1", "2"):
        command = [sys.executable, small_run.__file__, devices, str(tmp_path / devices)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    one, two = (part(read_checkpoint(tmp_path / n / "checkpoint.safetensors")[0], "model") for n in ("1", "2"))
    start = Denoiser(norm=False).nets["net"].state_dict()
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=0, atol=1e-5)
        assert (one[name] - start[name.removeprefix("net.")]).abs().max() > 1e-2  # it did learn


def test_two_processes_with_batch_norm_and_a_plateau_keep_one_set_of_weights(tmp_path: Path) -> None:
    codes, said = both("plain", tmp_path)
    assert codes == [0, 0], said
    (first, _), (second, _) = (read_checkpoint(tmp_path / f"{rank}.safetensors") for rank in (0, 1))
    for name in ("drawn", "memory"):  # each process has noise and a memory of its own
        assert not torch.equal(first.pop(name), second.pop(name))
    assert first["p"] > 0.1
    for name, value in first.items():
        assert torch.equal(value, second[name]) != ("running" in name), name  # statistics are each one's own
    history = read_checkpoint(tmp_path / "checkpoint.safetensors")[1]
    assert history["plateaus"][0]["num_bad_epochs"] >= 0
    assert any("validation" in line for line in history["history"])


def test_a_loss_that_is_no_number_on_one_process_stops_both_and_both_go_on(tmp_path: Path) -> None:
    codes, said = both("plain", tmp_path / "whole")
    assert codes == [0, 0], said
    codes, said = both("poisoned", tmp_path / "pieces")
    assert codes == [1, 1], said
    assert [line[:2] for line in said] == ["0:", "1:"]
    assert all("the loss 'denoise' is nan at step 24 on process 1; the last good checkpoint" in line for line in said)
    codes, said = both("plain", tmp_path / "pieces")
    assert codes == [0, 0], said
    for file in ("0", "1", "checkpoint"):
        whole, pieced = (read_checkpoint(tmp_path / run / f"{file}.safetensors")[0] for run in ("whole", "pieces"))
        assert whole.keys() == pieced.keys()
        assert all(torch.equal(whole[name], pieced[name]) for name in whole), file


def test_where_another_trains_both_processes_are_refused(tmp_path: Path) -> None:
    with alone(tmp_path / ".lock", "trains here"):
        codes, said = both("plain", tmp_path)
    assert codes == [1, 1], said
    assert [line[:2] for line in said] == ["0:", "1:"]
    assert all(f"process {os.getpid()} on " in line and line.endswith("choose another folder") for line in said)


def test_a_batch_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    for what, words in (("uneven", "21 cannot be shared evenly by 2"), ("alone", "batch norm needs two samples")):
        codes, said = both(what, tmp_path / what)
        assert 1 in codes
        assert any(words in line for line in said), said


def test_loss_falls_and_the_log_says_so(tmp_path: Path) -> None:
    objective, data = Denoiser(), images()
    history = fit(objective, data, Schedule(steps=100, batch_size=20, log_every=10), folder=tmp_path, progress=False)
    _, values = history.series("denoise")
    assert values[-1] < 0.5 * values[0]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "denoise" in line] == list(range(10, 101, 10))


def test_nan_stops_and_names_step_and_checkpoint(tmp_path: Path) -> None:
    objective, data = Denoiser(), images()
    plain = objective.updates

    def poisoned(batch, generator, step):
        for name, loss in plain(batch, generator, step):
            poisoned.calls += 1
            yield name, loss * (float("nan") if poisoned.calls == 13 else 1.0)

    poisoned.calls = 0
    objective.updates = poisoned
    with pytest.raises(TeachlibError, match=r"'denoise' is nan at step 12; the last good checkpoint is .*checkpoint"):
        fit(objective, data, Schedule(steps=50, batch_size=20, checkpoint_every=5), folder=tmp_path, progress=False)
    tensors, header = read_checkpoint(tmp_path / "checkpoint.safetensors")
    assert header["step"] == 10
    assert all(t.isfinite().all() for t in tensors.values())


def test_a_run_that_is_made_longer_ends_like_one_that_was_planned_so(tmp_path: Path) -> None:
    short, long = (Schedule(steps=steps, batch_size=20, ema_half_life=0.2) for steps in (5, 9))
    for name, plan in (("whole", long), ("pieces", short)):
        torch.manual_seed(0)
        fit(Denoiser(), images(), plan, folder=tmp_path / name, progress=False)
    history = fit(Denoiser(), images(), long, folder=tmp_path / "pieces", resume=True, longer=True, progress=False)
    (expected, _), (tensors, header) = (
        read_checkpoint(tmp_path / name / "checkpoint.safetensors") for name in ("whole", "pieces")
    )
    assert (header["step"], header["schedule"]["steps"], history.lines[-1]["step"]) == (9, 9, 9)
    assert all(torch.equal(expected[key], tensors[key]) for key in expected.keys() | tensors.keys())


def test_a_run_may_end_where_it_stopped_and_not_before(tmp_path: Path) -> None:
    def trained(steps: int) -> None:
        plan = Schedule(steps=steps, batch_size=20, checkpoint_every=5)
        fit(Denoiser(), images(), plan, folder=tmp_path, resume=True, longer=longer, watch=watch, progress=False)

    def stop(step: int, nets: object) -> dict[str, float]:
        raise TeachlibError("stopped")

    longer, watch = False, cast(Watch | None, Watch(6, stop))
    with pytest.raises(TeachlibError, match="stopped"):
        trained(9)
    watch = None
    with pytest.raises(TeachlibError, match=r"started with schedule.steps = 9, not 5"):
        trained(5)
    longer = True
    trained(5)
    trained(5)
    assert read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["schedule"]["steps"] == 5
    with pytest.raises(TeachlibError, match=r"has taken 5 steps, more than 4; ask for at least as many"):
        trained(4)


def test_a_run_whose_weights_are_planned_keeps_its_length(tmp_path: Path) -> None:
    objective = Denoiser()
    objective.planned = 5
    fit(objective, images(), Schedule(steps=5, batch_size=20), folder=tmp_path, progress=False)
    again = {"folder": tmp_path, "resume": True, "progress": False}
    for longer, said in ((False, "started with schedule.steps = 5, not 9"), (True, "planned over its 5 steps")):
        with pytest.raises(TeachlibError, match=said):
            fit(objective, images(), Schedule(steps=9, batch_size=20), longer=longer, **again)
    fit(objective, images(), Schedule(steps=5, batch_size=20), longer=True, **again)


def test_resuming_with_other_settings_is_refused(tmp_path: Path) -> None:
    objective, data = Denoiser(), images()
    fit(objective, data, Schedule(steps=5, batch_size=20), folder=tmp_path, progress=False)
    objective, data = Denoiser(), images()
    with pytest.raises(TeachlibError, match=r"started with schedule.batch_size = 20, not 10"):
        fit(objective, data, Schedule(steps=5, batch_size=10), folder=tmp_path, resume=True, progress=False)
    with pytest.raises(TeachlibError, match=r"started with machine.precision = '32-true', not 'bf16-mixed'"):
        fit(
            objective,
            data,
            Schedule(steps=5, batch_size=20),
            folder=tmp_path,
            resume=True,
            fabric=make_fabric(precision="bf16-mixed"),
            progress=False,
        )
    with pytest.raises(TeachlibError, match="already holds a run"):
        fit(objective, data, Schedule(steps=5, batch_size=20), folder=tmp_path, progress=False)


LEAST = {"steps": 1, "batch_size": 1, "log_every": 1, "checkpoint_every": 1, "accumulate": 1}
LEAST |= {"seed": 0, "validate_every": 0, "ema_ramp": 0, "plateau_patience": 0}


@pytest.mark.parametrize("name", LEAST)
def test_a_schedule_that_means_nothing_is_refused(name: str) -> None:
    Schedule(**LEAST)
    with pytest.raises(TeachlibError, match=f"{name} is {LEAST[name] - 1}; expected at least {LEAST[name]}"):
        Schedule(**{**LEAST, name: LEAST[name] - 1})


def test_unwritable_folder_is_found_before_training(tmp_path: Path) -> None:
    objective, data = Denoiser(), images()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TeachlibError, match="cannot write"):
        fit(objective, data, Schedule(steps=5, batch_size=20), folder=tmp_path / "file" / "run", progress=False)


def test_average_follows_the_weights(tmp_path: Path) -> None:
    objective, data = Denoiser(), images()
    half_life = Schedule(steps=1, batch_size=20, ema_half_life=0.04, ema_ramp=0)  # 40 samples: two steps
    fit(objective, data, half_life, folder=tmp_path, progress=False)
    tensors, _ = read_checkpoint(tmp_path / "checkpoint.safetensors")
    start, kept = Denoiser().nets["net"].state_dict(), 0.5**0.5
    expected = kept * start["1.weight"] + (1 - kept) * tensors["model.net.1.weight"]
    torch.testing.assert_close(tensors["average.net.1.weight"], expected)
    for buffer in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(tensors[f"average.net.2.{buffer}"], tensors[f"model.net.2.{buffer}"])


def test_learning_rate_halves_on_a_plateau() -> None:
    class Stuck:
        def __init__(self) -> None:
            self.nets: dict[str, nn.Module] = {"net": nn.Linear(1, 1)}
            self.optimizer = torch.optim.SGD(self.nets["net"].parameters(), lr=1.0)

        def optimizers(self):
            return {"stuck": self.optimizer}

        def updates(self, batch, generator, step):
            yield "stuck", self.validation_loss(batch, generator)

        def validation_loss(self, batch, generator):
            return 0 * self.nets["net"](torch.ones(1, 1)).sum() + 1

    objective, data = Stuck(), images()
    schedule = Schedule(steps=4, batch_size=20, validate_every=1, plateau_patience=2)
    fit(objective, data, schedule, validation=data, progress=False)
    assert objective.optimizer.param_groups[0]["lr"] == 0.5


def test_validation_looks_at_networks_as_they_will_be_used() -> None:
    """In evaluation mode: by their running statistics, which it leaves alone."""

    class Looked(Denoiser):
        def validation_loss(self, batch, generator):
            modes.append((self.nets["net"].training, torch.is_grad_enabled()))
            return super().validation_loss(batch, generator)

    modes: list[tuple[bool, bool]] = []
    objective, data = Looked(), images()
    schedule = Schedule(steps=2, batch_size=20, validate_every=1)
    history = fit(objective, data, schedule, validation=images(20), progress=False)
    # The training losses of the two steps pass here too; each step's validation is one batch.
    assert modes == [(True, True), (False, False)] * 2
    net = objective.nets["net"]
    assert net[2].num_batches_tracked == 2  # type: ignore[index]
    x = images(20)[:][0]
    noisy = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(mix(0, 2)))
    by_hand = (net(noisy) - x.flatten(1)).square().mean().item()
    assert history.series("validation")[1][-1] == pytest.approx(by_hand, rel=1e-5)


def test_batches_are_permutations_and_restart_anywhere() -> None:
    stream = batches(10, 3, seed=5)
    seen = [next(stream) for _ in range(7)]
    assert len(torch.cat(seen[:3]).unique()) == 9
    assert not torch.equal(torch.cat(seen[:3]), torch.cat(seen[3:6]))
    for start in range(7):
        assert torch.equal(next(batches(10, 3, seed=5, start=start)), seen[start])
    with pytest.raises(TeachlibError, match="do not fill a batch"):
        next(batches(2, 3, seed=0))


def test_full_disk_is_one_line_and_keeps_the_old_checkpoint(tmp_path: Path) -> None:
    fit(Denoiser(), images(), Schedule(steps=2, batch_size=20), folder=tmp_path, progress=False)
    path = tmp_path / "checkpoint.safetensors"
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # from here on every longer write fails
    try:
        with pytest.raises(TeachlibError, match=r"cannot write \(File too large\); free some space"):
            write_checkpoint(path, {"w": torch.ones(5000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_bytes() == before
    assert [file for file in os.listdir(tmp_path) if file.startswith(".")] == []
