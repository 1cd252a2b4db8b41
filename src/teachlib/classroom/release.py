"""What students get of an assignment, and what a teacher wants to see of it."""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import torch

from teachlib.checkpoints import write_atomically
from teachlib.checks import Exercise, Unfit, Verdict
from teachlib.classroom.source import Assignment
from teachlib.errors import TeachlibError

_VALUE = re.compile(r"⟨(\w+)⟩")
SEED = re.compile(r"^SEED = \d+", re.MULTILINE)


def release(assignment: Assignment, variant: int = 0) -> str:
    """The notebook that is handed out, as text: locked cells, gaps for the answers, no solution, no hidden test.

    Args:
        assignment: its source.
        variant: fills in the ``SEED`` of the locked cell, and what follows from it in the text as ⟨NAME⟩.

    Raises:
        TeachlibError: nbgrader is not installed, or does not take the source.
    """
    try:
        from nbgrader import preprocessors
    except ImportError as error:
        raise TeachlibError("building an assignment needs nbgrader; pip install 'teachlib[classroom]'") from error
    notebook = _varied(assignment, variant)
    steps = ("LockCells", "ClearSolutions", "ClearOutput", "ClearHiddenTests", "ClearMarkScheme")
    try:
        for step in (*steps, "CheckCellMetadata", "ComputeChecksums"):
            notebook, _ = getattr(preprocessors, step)().preprocess(notebook, {})
    except Exception as error:
        raise TeachlibError(f"{assignment.path}: nbgrader does not take this source: {error}") from error
    for cell in notebook.cells:
        cell.metadata.pop("teachlib", None)
    return str(nbformat.writes(notebook))


def solved(assignment: Assignment, variant: int = 0) -> str:
    """The notebook with its solutions, expected answers and mistakes, for whoever teaches it."""
    return str(nbformat.writes(_varied(assignment, variant)))


def _varied(assignment: Assignment, variant: int) -> Any:
    notebook = nbformat.read(assignment.path, as_version=4)
    space = assignment.space(variant)
    for cell in notebook.cells:
        cell.source = SEED.sub(f"SEED = {variant}", cell.source, count=1)
        if cell.cell_type == "markdown":
            cell.source = _VALUE.sub(lambda name: _shown(assignment, space, name[1]), cell.source)
    return notebook


def _shown(assignment: Assignment, space: Mapping[str, Any], name: str) -> str:
    if name not in space:
        raise TeachlibError(f"{assignment.path}: the text names ⟨{name}⟩, which no given cell defines")
    value = space[name]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def write_releases(
    assignment: Assignment, folders: Mapping[Path, int], *, solutions: bool = False, replace: bool = False
) -> list[Path]:
    """Write notebooks that are handed out, or with ``solutions`` the teacher's, and return their paths.

    Args:
        assignment: its source.
        folders: each gets the notebook of its variant.
        solutions: whether solutions, expected answers and mistakes stay in it.
        replace: whether what lies there and is not the same may be lost.

    Raises:
        TeachlibError: another notebook lies there, which somebody may have worked in; then none is written.
    """
    make = solved if solutions else release
    name = f"{assignment.name}{'-solved' if solutions else ''}.ipynb"
    texts = {folder / name: make(assignment, variant).encode() for folder, variant in folders.items()}
    others = [path for path, text in texts.items() if path.exists() and path.read_bytes() != text]
    if others and not replace:
        raise TeachlibError(
            f"{others[0]}: somebody worked in it, or the source has changed since it was built ({len(others)} in all); "
            "move it away, or lose it by --replace"
        )
    for path, text in texts.items():
        write_atomically(path, text)
    return list(texts)


def trial(exercise: Exercise, other: Exercise) -> dict[str, Verdict]:
    """What the grader says to the solution, to each named mistake, to an empty answer and to fixed numbers.

    Args:
        exercise: on the judged seed.
        other: the same on another seed: its right results are what ``fixed`` repeats.
    """
    answers = {
        "right": exercise.solution,
        **{name: mistake.answer for name, mistake in exercise.wrong.items()},
        "empty": None,
        "fixed": repeated(other),
    }
    return {name: exercise.check(answer, hidden=True) for name, answer in answers.items()}


def repeated(exercise: Exercise) -> Callable[..., Any]:
    """An answer that returns, call by call, what the solution returned on another seed's inputs."""
    results: list[Any] = []

    def recording(*inputs: Any, **named: Any) -> Any:
        results.append(exercise.solution(*inputs, **named))
        return results[-1]

    with suppress(Unfit):  # a class was asked for: there is nothing to repeat
        exercise.observe(recording)
    remaining = iter(results)
    return lambda *inputs, **named: next(remaining, torch.zeros(()))
