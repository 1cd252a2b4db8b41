"""Fill rows of a table from nothing: train every recipe and seed, a process each, then measure."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from teachlib import attached
from teachlib.alone import alone
from teachlib.data import short_name
from teachlib.errors import TeachlibError


def fill(
    rows: Mapping[str, Sequence[str]],
    dataset: str,
    folder: Path,
    *,
    seeds: Sequence[int] = (0,),
    options: Sequence[str] = (),
    jobs: int = 1,
) -> Path:
    """Train and measure recipes by the commands that a reader would type; call again to go on where it stopped.

    Several processes of one thread each use the cores of a machine better than one process of several threads: these
    networks are small.

    Args:
        rows: label → the words after ``teachlib train`` that make it: the recipe, and options of its own.
        dataset: of the catalogue.
        folder: a run each goes to ``<folder>/<dataset>-<label>-<seed>``, results to ``<folder>/results``.
        seeds: of each row.
        options: of all rows, as words.
        jobs: processes at a time.

    Returns:
        The folder of the results.

    Raises:
        TeachlibError: a command failed; the others were finished first, and nothing of them is lost. Or another
            process fills a table in the folder.
    """
    failures: list[str] = []
    short = short_name(dataset)
    with (
        alone(folder / ".lock", "fills a table here"),
        tqdm(total=len(rows) * (len(seeds) + 1), unit="run", desc=f"{short}, {jobs} at a time") as bar,
        ThreadPoolExecutor(jobs) as pool,
    ):

        def row(label: str) -> None:
            runs = [folder / f"{short}-{label}-{seed}" for seed in seeds]
            for seed, run in zip(seeds, runs, strict=True):
                own = ("--dataset", dataset, "--seed", str(seed), "--out", str(run), "--resume")
                _teachlib("train", *rows[label], *own, *options, jobs=jobs)
                bar.update()
            _teachlib("evaluate", *map(str, runs), "--record", str(folder / "results"), jobs=jobs)
            bar.update()
            bar.write(f"{label}: done")

        for label, running in [(label, pool.submit(row, label)) for label in rows]:
            try:
                running.result()
            except TeachlibError as error:
                failures.append(f"{label}: {error}")
    if failures:
        raise TeachlibError("; ".join(failures) + "; call again to go on")
    return folder / "results"


def _teachlib(*arguments: str, jobs: int) -> None:
    environment = {**os.environ, **({"OMP_NUM_THREADS": "1"} if jobs > 1 else {})}
    done = attached.run("-m", "teachlib.attached", "teachlib.cli:main", *arguments, environment=environment)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        raise TeachlibError(lines[-1].removeprefix("teachlib: "))
