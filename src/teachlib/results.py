"""Measured tables on disk: ``<folder>/<table>/<recipe>-<dataset>.json``, each with its provenance."""

import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from teachlib.checkpoints import write_atomically
from teachlib.data import is_folder, short_name
from teachlib.errors import TeachlibError


def measured_folder() -> Path:
    """Where the measured tables that ship lie: inside the package, as the zoo does."""
    return Path(str(files("teachlib") / "measured"))


def spread(values: Sequence[float]) -> dict[str, float | int | list[float]]:
    """Mean, sample standard deviation (0 for a single value) and the values themselves, one a seed."""
    deviation = stdev(values) if len(values) > 1 else 0.0
    return {"mean": mean(values), "std": deviation, "values": list(values)}


def shown(value: Mapping[str, Any], *, digits: int = 4, factor: float = 1.0) -> str:
    """``mean ± standard deviation`` of a :func:`spread`; of a single value, which has none, the value alone.

    A deviation that would be rounded to nothing is told by what it is below: ``0.072 ± <0.001``.

    Args:
        value: of :func:`spread`.
        digits: after the point.
        factor: both are multiplied by, e.g. 1000 for thousandths.
    """
    centre, apart = (f"{factor * value[what]:.{digits}f}" for what in ("mean", "std"))
    if len(value["values"]) < 2:
        return centre
    small = value["std"] > 0 and not float(apart)
    return f"{centre} ± {f'<{10.0**-digits:.{digits}f}' if small else apart}"


def provenance(seeds: Sequence[int], seconds: float) -> dict[str, Any]:
    """Where and how numbers were measured: command, commit, versions, machine, date, time, peak memory."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "command": " ".join([_program(), *sys.argv[1:]]),
        "commit": _commit(),
        "seeds": list(seeds),
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else f"cpu ({platform.machine()})",
        "cores": os.cpu_count(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "seconds": round(seconds, 1),
        "peak_memory_mib": round(peak / 2**20),
    }


def _program() -> str:
    """``teachlib``, or the script that measures in its place."""
    script = Path(sys.argv[0])
    own = script.suffix == ".py" and script.stem != "__main__"  # python -m teachlib
    return f"python {script.parent.name}/{script.name}" if own else "teachlib"


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # git is not installed
        return "unknown"
    return done.stdout.strip() or "unknown"


def refuse_unwritable(folder: Path) -> None:
    """Find out whether results can be written, before they are measured.

    Raises:
        TeachlibError: the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise TeachlibError(f"{folder}: cannot write ({error.strerror}); choose another folder") from None


def refuse_another_row(file: Path, recipe: Mapping[str, Any]) -> None:
    """Keep a row from being replaced by one of another variant, width or length that has the same name.

    Raises:
        TeachlibError: ``file`` holds a row whose recipe differs.
    """
    if not file.is_file():
        return
    held = _read_row(file)["recipe"]
    differ = [name for name in {**held, **recipe} if held.get(name) != recipe.get(name)]
    if differ:
        there, here = (values.get(differ[0]) for values in (held, recipe))
        raise TeachlibError(
            f"{file}: holds a row whose {differ[0]} is {there!r}, not {here!r}; record in another folder, or remove it"
        )


def row_file(folder: Path, table: str, recipe: str, dataset: str) -> Path:
    """Where a row lies: ``<folder>/<table>/<recipe>-<dataset>.json``, of a folder of pictures by its short name."""
    return folder / table / f"{recipe}-{short_name(dataset)}.json"


def write_result(folder: Path, table: str, recipe: str, dataset: str, result: Mapping[str, Any]) -> Path:
    """Write one measured row; one of the same recipe that is there already is replaced.

    Raises:
        TeachlibError: the file cannot be written, or holds a row of another recipe.
    """
    file = row_file(folder, table, recipe, dataset)
    refuse_another_row(file, result["recipe"])
    write_atomically(file, (json.dumps(result, indent=1, ensure_ascii=False) + "\n").encode())
    return file


def read_results(table: str, dataset: str | None = None, *, folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """The measured rows of one of the thesis's tables: recipe → result, as :func:`write_result` got them.

    Args:
        table: number in the thesis, e.g. ``"3.1"``.
        dataset: only rows of this data set; with ``None``, keys are ``recipe-dataset``.
        folder: other than :func:`measured_folder`.

    Raises:
        TeachlibError: a file there that is no measured row.
    """
    files = sorted(((folder or measured_folder()) / table).glob("*.json"))
    rows = {file.stem: _read_row(file) for file in files}
    if dataset is None:
        return rows
    ending = f"-{short_name(dataset)}"
    asked = {stem: row for stem, row in rows.items() if _same_data(row["recipe"]["dataset"], dataset)}
    return {stem.removesuffix(ending): row for stem, row in asked.items()}


def _same_data(one: str, other: str) -> bool:
    """Whether two names mean the same pictures; of a folder, at whatever size and in whatever colours."""
    return one.partition("?")[0] == other.partition("?")[0] if is_folder(one) else one == other


def _read_row(file: Path) -> dict[str, Any]:
    """One measured row.

    Raises:
        TeachlibError: a file that is not one.
    """
    try:
        row = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError, OSError):
        row = None
    if not _is_row(row):
        raise TeachlibError(
            f"{file}: not a measured row; remove it, or measure it again by 'teachlib evaluate --record'"
        )
    return row


def _is_row(row: Any) -> bool:
    """Whether a row has what readers of it ask for."""
    match row:
        case {"recipe": {"name": str(), "dataset": str()}, "values": dict(values), "metric": str(), "samples": int()}:
            return all(map(_is_spread, values.values()))
    return False


def _is_spread(value: Any) -> bool:
    match value:
        case {"mean": centre, "std": deviation, "values": [_, *_] as each}:
            return all(
                isinstance(one, float) or (isinstance(one, int) and abs(one) < 2**63)
                for one in (centre, deviation, *each)
            )
    return False
