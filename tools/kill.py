"""Kill what writes files, at random moments, and see that the next start goes on to the same end, bit for bit.

    .venv/bin/python tools/kill.py --what fit --times 100 --seed 0

A program is started in one folder again and again until it ends by itself; then all that lies there is compared with
what an undisturbed run left, but for what differs from run to run anyway. The moments of the kills are spread evenly
over the time of an undisturbed run. Where a run that went on ends before its kill, the kill falls to the next folder;
after ten kills in one folder it is let go on to its end, so that ends are compared of programs that keep little, too.

    .venv/bin/python tools/kill.py --what fit --together --times 10 --seed 0

starts two programs in one folder, the second at a random moment of the first, which is killed every other time. Each
ends well or is refused in one line, at least one that nobody kills ends well, and one more start comes to the same end.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from kill_kinds import KINDS, Kind, Server

from teachlib.checkpoints import read_checkpoint

# What differs from run to run: times, and the states of NumPy's and Python's own generators, which nothing seeds.
UNLIKE = {"seconds", "training_seconds", "provenance", "random"}
REFUSED = "wait until it ends, or choose another folder"  # what the second of two in one folder is told
# Sphinx's own notes, with times and paths in them; what a teacher is told of a class, with times, too.
PASSING = (".doctrees", ".buildinfo", "report.html", "log.txt")
IN_A_ROW = 10  # kills in one folder
_fork = multiprocessing.get_context("fork")  # everything is imported already: a kill seldom falls into an import


def started(kind: Kind, folder: Path, name: str = "") -> BaseProcess:
    """The program in a process of its own; what it prints goes into files beside the folder."""

    def run() -> None:
        for number, stream in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder.with_suffix(f"{name}.{stream}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        kind.start(folder)

    process = _fork.Process(target=run)
    process.start()
    return process


def contents(folder: Path) -> dict[str, object]:
    """Name → what a file holds that every run has alike."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not set(PASSING) & set(file.parts)]
    return {str(file.relative_to(folder)): _comparable(file) for file in files}


def _comparable(file: Path) -> object:
    if file.suffix == ".safetensors":
        tensors, header = read_checkpoint(file)
        return _alike(header), {name: value.numpy().tobytes() for name, value in tensors.items()}
    if file.suffix == ".jsonl":
        return [_alike(json.loads(line)) for line in file.read_text().splitlines()]
    return _alike(json.loads(file.read_text())) if file.suffix == ".json" else file.read_bytes()


def _alike(value: Any) -> Any:
    return {key: value[key] for key in value if key not in UNLIKE} if isinstance(value, dict) else value


def differences(whole: dict[str, object], pieces: dict[str, object]) -> Iterator[str]:
    """What is wrong with what a run left that was killed."""
    yield from (f"left behind: {name}" for name in sorted(pieces.keys() - whole.keys()))
    yield from (f"missing: {name}" for name in sorted(whole.keys() - pieces.keys()))
    yield from (f"differs: {name}" for name in sorted(whole.keys() & pieces.keys()) if whole[name] != pieces[name])


def complaint(kind: Kind, process: BaseProcess, folder: Path, name: str = "") -> str:
    """What is wrong with how a program ended by itself, or nothing."""
    said = folder.with_suffix(f"{name}.err").read_text().strip()
    lines = said.splitlines() or [f"ended with {process.exitcode}"]
    if "Traceback (most recent call last)" in said:
        return f"a traceback: {lines[-1]}"
    excused = REFUSED in lines[-1] if name else kind.may_fail
    return f"does not go on: {lines[-1]}" if process.exitcode and not excused else ""


def undisturbed(kind: Kind, folder: Path) -> tuple[dict[str, object], float]:
    """What a run leaves that nobody kills, and the seconds that it takes."""
    kind.prepare(folder)
    begun = time.monotonic()
    process = started(kind, folder)
    process.join()
    if process.exitcode:
        sys.exit(f"kill: the undisturbed run fails: {folder.with_suffix('.err').read_text().strip()}")
    return contents(folder), time.monotonic() - begun


def killed(kind: Kind, times: int, seed: int, place: Path) -> tuple[int, int, list[str]]:
    """Kills, ends that were compared, and faults."""
    luck = Server.luck = random.Random(seed)
    whole, duration = undisturbed(kind, place / "whole")
    moments = [duration * (number + luck.random()) / times for number in range(times)]
    luck.shuffle(moments)
    kills, here, ends, faults = 0, 0, 0, list[str]()  # here: in this folder
    folder, fresh = place / "pieces", True
    while moments or not fresh:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
            kind.prepare(folder)
            here = 0
        Server.honest = not moments
        process = started(kind, folder)
        process.join(moments[-1] if moments and here < IN_A_ROW else None)
        if process.exitcode is None:
            process.kill()
            process.join()
            moments.pop()
            kills, here, fresh = kills + 1, here + 1, False
            continue
        wrong = [complaint(kind, process, folder)]
        if process.exitcode and not any(wrong):
            continue  # the world failed, the program said so, and is started again
        if not any(wrong):
            wrong = [*differences(whole, contents(folder))]
        for fault in wrong:
            print(f"after {kills} kills: {fault}", flush=True)
        if fresh and moments:
            moments.pop()  # an undisturbed run that was faster than the first
        ends, faults, fresh = ends + 1, [*faults, *wrong], True
    return kills, ends, faults


def together(kind: Kind, times: int, seed: int, place: Path) -> tuple[int, int, list[str]]:
    """Kills, ends that were compared, and faults, of two that meet in one folder."""
    luck = Server.luck = random.Random(seed)
    Server.honest = True
    whole, duration = undisturbed(kind, place / "whole")
    kills, faults, folder = 0, list[str](), place / "pieces"
    for number in range(times):
        shutil.rmtree(folder, ignore_errors=True)
        kind.prepare(folder)
        first = started(kind, folder, ".first")
        time.sleep(luck.choice((0, luck.random() * duration)))
        second = started(kind, folder, ".second")
        if number % 2:
            first.join(luck.random() * duration)
            first.kill()
        for process in (first, second):
            process.join()
        killed_first = first.exitcode == -signal.SIGKILL
        kills += killed_first
        wrong = [complaint(kind, second, folder, ".second")]
        wrong += [] if killed_first else [complaint(kind, first, folder, ".first")]
        if first.exitcode and second.exitcode and not killed_first:
            wrong.append("neither ended well")
        last = started(kind, folder)
        last.join()
        wrong += [complaint(kind, last, folder), *differences(whole, contents(folder))]
        wrong = [f"pair {number}: {fault}" for fault in wrong if fault]
        print(*wrong, sep="\n", end="\n" if wrong else "", flush=True)
        faults += wrong
    return kills, times, faults


def main() -> None:
    """Kill one kind of program; exit code 1 when there were faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=tuple(KINDS), required=True)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--together", action="store_true", help="two at once in one folder")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="kill-", ignore_cleanup_errors=True) as place:
        run = together if options.together else killed
        kills, ends, faults = run(KINDS[options.what], options.times, options.seed, Path(place))
    print(f"{options.what}: {kills} kills, {ends} ends compared, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
