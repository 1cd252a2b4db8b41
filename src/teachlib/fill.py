"""Fill rows of a table from nothing: train every recipe and seed, a process each, then measure."""

import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from teachlib.data import short_name
from teachlib.errors import TeachlibError


def fill(
    names: Sequence[str],
    dataset: str,
    folder: Path,
    *,
    seeds: Sequence[int] = (0,),
    scale: str | None = None,
    steps: int | None = None,
    width: int | None = None,
    jobs: int = 1,
) -> Path:
    """Train and measure recipes by the commands that a reader would type; call again to go on where it stopped.

    Several processes of one thread each use the cores of a machine better than one process of several threads: these
    networks are small.

    Args:
        names: of recipes.
        dataset: of the catalogue.
        folder: a run each goes to ``<folder>/<dataset>-<recipe>-<seed>``, results to ``<folder>/results``.
        seeds: of each recipe.
        scale: of the recipes.
        steps: other than the scale's.
        width: other than the scale's.
        jobs: processes at a time.

    Returns:
        The folder of the results.

    Raises:
        TeachlibError: a command failed; the others were finished first, and nothing of them is lost.
    """
    options = [
        word
        for name, value in (("--scale", scale), ("--steps", steps), ("--width", width))
        if value is not None
        for word in (name, str(value))
    ]
    failures: list[str] = []
    short = short_name(dataset)
    with (
        tqdm(total=len(names) * (len(seeds) + 1), unit="run", desc=f"{short}, {jobs} at a time") as bar,
        ThreadPoolExecutor(jobs) as pool,
    ):

        def row(name: str) -> None:
            runs = [folder / f"{short}-{name}-{seed}" for seed in seeds]
            for seed, run in zip(seeds, runs, strict=True):
                own = ("--dataset", dataset, "--seed", str(seed), "--out", str(run), "--resume")
                _teachlib("train", name, *own, *options, jobs=jobs)
                bar.update()
            _teachlib("evaluate", *map(str, runs), "--record", str(folder / "results"), jobs=jobs)
            bar.update()
            bar.write(f"{name}: done")

        for name, running in [(name, pool.submit(row, name)) for name in names]:
            try:
                running.result()
            except TeachlibError as error:
                failures.append(f"{name}: {error}")
    if failures:
        raise TeachlibError("; ".join(failures) + "; call again to go on")
    return folder / "results"


def _teachlib(*arguments: str, jobs: int) -> None:
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if jobs > 1 else {})}
    command = [sys.executable, "-m", "teachlib.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise TeachlibError(lines[-1].removeprefix("teachlib: "))
