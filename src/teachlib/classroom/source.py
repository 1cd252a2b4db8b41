"""An assignment's one source: a notebook that holds tasks, solutions, named mistakes, visible and hidden tests.

A solution is written once. A mistake is a gap in it: a comment below the statement that it replaces, and what to tell
whoever made it::

    ### BEGIN SOLUTION
    divergence = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).sum(1)
    # instead (mean_over_dimensions): divergence = 0.5 * (log_variance.exp() + mean**2 - 1 - log_variance).mean(1)
    #     the divergences of independent dimensions add up; this is their average
    return divergence
    ### END SOLUTION

A further line of code below ``# instead`` begins with ``#:``. The hidden part of a test cell defines
``observe(answer, seed)``: what is looked at of an answer, by name, on inputs drawn from the seed. ``tolerance = 1e-3``
there widens what passes as equal (:class:`teachlib.checks.Exercise`; 1e-4 otherwise; a dictionary, by name).
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import nbformat

from teachlib.checks import Exercise, WrongAnswer
from teachlib.classroom.answers import answer_of
from teachlib.errors import TeachlibError, unknown

SOURCES = Path("assignments/source")
KINDS = ("derive", "implement", "predict", "explain", "experiment")
_HIDDEN = re.compile(r"^[^\n]*### BEGIN HIDDEN TESTS\n(.*?)^[^\n]*### END HIDDEN TESTS", re.DOTALL | re.MULTILINE)
_INSTEAD = re.compile(r"^\s*# instead \((?P<name>\w+)\): (?P<code>.*)$")
_MORE, _MESSAGE = re.compile(r"^\s*#: (?P<code>.*)$"), re.compile(r"^\s*# {5}(?P<text>\S.*)$")


@dataclass(frozen=True)
class Gap:
    """A mistake: the solution's cell with one statement changed, and what to tell whoever made it."""

    code: str
    message: str


@dataclass(frozen=True)
class Question:
    """A question that is marked.

    Attributes:
        name: of the function or value that is asked for.
        kind: one of :data:`KINDS`.
        points: full marks.
        cell: the solution's cell, with its named mistakes; the expected answer of an explanation.
        mistakes: by name.
        hidden: code that defines ``observe``; empty for explanations, which are marked by hand.
    """

    name: str
    kind: str
    points: int
    cell: str
    mistakes: Mapping[str, Gap] = field(default_factory=dict)
    hidden: str = ""

    @property
    def by_hand(self) -> bool:
        """Whether a person marks it."""
        return self.kind == "explain"


@dataclass(frozen=True)
class Assignment:
    """An assignment as its source says it.

    Attributes:
        name: of the source's file.
        title: first heading.
        path: of the source.
        given: code of the locked cells without points, in order: imports, constants that follow from ``SEED``,
            functions that the answers get.
        questions: in the notebook's order.
        locked: nbgrader's names of the cells that students cannot change.
    """

    name: str
    title: str
    path: Path
    given: tuple[str, ...]
    questions: tuple[Question, ...]
    locked: tuple[str, ...] = ()

    @property
    def graded(self) -> tuple[Question, ...]:
        """The questions that the grader decides."""
        return tuple(question for question in self.questions if not question.by_hand)

    @property
    def points(self) -> int:
        """Full marks of all questions."""
        return sum(question.points for question in self.questions)

    @property
    def modules(self) -> tuple[str, ...]:
        """What the given cells import: worth importing once, before any submission."""
        nodes = [node for code in self.given for node in ast.walk(ast.parse(code))]
        plain = [name.name for node in nodes if isinstance(node, ast.Import) for name in node.names]
        return (*plain, *(node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module))

    def space(self, variant: int) -> dict[str, Any]:
        """Names that the locked cells define, for this variant."""
        space: dict[str, Any] = {"__name__": "assignment"}
        for code in self.given:
            _run(code, space, f"{self.name}: a given cell")
            if "SEED" in space:
                space["SEED"] = variant
        return space

    def exercises(self, variant: int, seed: int) -> dict[str, Exercise]:
        """What judges the answers to a variant on inputs of a seed, by the questions' names.

        Raises:
            TeachlibError: the source does not run, or lacks a name that it promises.
        """
        space = self.space(variant)
        before = {}
        for question in self.graded:  # an answer may build on the right answers above it
            before[question.name] = dict(space)
            _run(question.cell, space, f"{self.name}: the solution of {question.name}")
        exercises, hidden = {}, dict(space)
        for question in self.graded:  # and hidden tests on what those above them import and define
            hidden = {name: value for name, value in hidden.items() if name not in ("observe", "tolerance")}
            _run(question.hidden, hidden, f"{self.name}: the hidden tests of {question.name}")
            exercises[question.name] = self._exercise(question, before[question.name], hidden, seed)
        return exercises

    def _exercise(self, question: Question, before: dict[str, Any], hidden: dict[str, Any], seed: int) -> Exercise:
        for name in ("observe", question.name):
            if name not in hidden:
                raise TeachlibError(
                    f"{self.path}: {question.name} does not define {name}; see teachlib.classroom.source"
                )
        wrong = {}
        for name, gap in question.mistakes.items():
            space = dict(before)
            _run(gap.code, space, f"{self.name}: mistake {name} of {question.name}")
            wrong[name] = WrongAnswer(answer_of(space.get(question.name)), gap.message)
        return Exercise(
            question.name,
            question.kind,
            partial(hidden["observe"], seed=_own_seed(seed, question.name)),
            answer_of(hidden[question.name]),
            wrong,
            hidden.get("tolerance", 1e-4),
        )


def _own_seed(seed: int, question: str) -> int:
    """A question's seed: what is learned of one tells nothing of another."""
    return int.from_bytes(hashlib.sha256(f"{seed} {question}".encode()).digest()[:7])


def _run(code: str, space: dict[str, Any], what: str) -> None:
    """Run the teacher's own code."""
    try:
        exec(compile(code, what, "exec"), space)
    except Exception as error:
        raise TeachlibError(
            f"{what} stopped with {type(error).__name__}: {error}; run the source's notebook"
        ) from error


def sources(folder: Path = SOURCES) -> dict[str, Path]:
    """Name → notebook of each assignment in a folder of sources."""
    return {path.stem: path for path in sorted(folder.glob("*/*.ipynb")) if path.parent.name == path.stem}


def open_assignment(name: str, folder: Path = SOURCES) -> Assignment:
    """Read an assignment by its name, or by the path of its notebook.

    Raises:
        TeachlibError: no such assignment; a notebook that is no source.
    """
    known = sources(folder)
    path = Path(name) if name.endswith(".ipynb") else known.get(name)
    if path is None and not known:
        raise TeachlibError(f"no assignments in {folder}; run this in a clone of the course, or pass --source")
    if path is None:
        raise unknown("assignment", name, known)
    return read_source(path)


def read_source(path: Path) -> Assignment:
    """Read a source.

    Raises:
        TeachlibError: not a notebook, or one whose cells contradict each other.
    """
    try:
        cells = nbformat.read(path, as_version=4).cells
    except Exception as error:  # JSON, its schema, the file itself
        raise TeachlibError(f"{path}: not a notebook that can be read ({type(error).__name__})") from error
    title = next((line[2:] for cell in cells for line in cell.source.splitlines() if line.startswith("# ")), path.stem)
    marks = [(cell, grader_id(cell), cell.metadata.get("nbgrader", {})) for cell in cells]
    given = tuple(
        cell.source
        for cell, name, mark in marks
        if cell.cell_type == "code" and name and not mark.get("grade") and not mark.get("solution")
    )
    locked = tuple(name for _, name, mark in marks if mark.get("locked"))
    return Assignment(path.stem, title, path, given, tuple(_questions(path, marks)), locked)


def grader_id(cell: Any) -> str:
    """The name that nbgrader knows a cell by; empty for others."""
    mark = cell.get("metadata", {}).get("nbgrader", {})
    name = mark.get("grade_id", "") if isinstance(mark, Mapping) else ""
    return name if isinstance(name, str) else ""


def _questions(path: Path, marks: Sequence[tuple[Any, str, Mapping[str, Any]]]) -> Iterable[Question]:
    solutions = {name: cell.source for cell, name, mark in marks if mark.get("solution")}
    for cell, name, mark in marks:
        if not mark.get("grade"):
            continue
        kind, points = cell.metadata.get("teachlib", {}).get("kind", ""), int(mark.get("points", 0))
        if kind not in KINDS or points < 1:
            raise TeachlibError(
                f"{path}: {name} has kind '{kind}' and {points} points; expected {', '.join(KINDS)}, ≥ 1"
            )
        if kind == "explain":
            yield Question(name, kind, points, cell.source)
            continue
        asked = name.removesuffix("_test")
        if asked not in solutions or asked == name:
            raise TeachlibError(f"{path}: the test cell {name} has no solution's cell {name.removesuffix('_test')}")
        hidden = "\n".join(_HIDDEN.findall(cell.source))
        solution = solutions[asked]
        yield Question(asked, kind, points, solution, dict(_gaps(path, asked, solution)), hidden)


def _gaps(path: Path, question: str, cell: str) -> Iterable[tuple[str, Gap]]:
    """The named mistakes of a solution's cell."""
    lines = cell.splitlines()
    number, above = 0, 0  # of the line; of the last line that is no part of a mistake
    while number < len(lines):
        start = _INSTEAD.match(lines[number])
        if start is None:
            number, above = number + 1, number
            continue
        code, message = [start["code"]], []
        number += 1
        while number < len(lines) and (more := _MORE.match(lines[number])):
            code.append(more["code"])
            number += 1
        while number < len(lines) and (text := _MESSAGE.match(lines[number])):
            message.append(text["text"])
            number += 1
        if not message:
            raise TeachlibError(f"{path}: mistake {start['name']} of {question} has no message below it")
        yield start["name"], Gap(_with_gap(path, question, cell, above, code), " ".join(message))


def _with_gap(path: Path, question: str, cell: str, above: int, code: Sequence[str]) -> str:
    """The cell with the statement that ends on line ``above``, counted from 0, replaced."""
    ends = [node for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.stmt) and node.end_lineno == above + 1]
    if not ends:
        raise TeachlibError(f"{path}: a mistake of {question} does not stand below the statement that it replaces")
    statement = max(ends, key=lambda node: node.lineno)  # the innermost
    lines = cell.splitlines()
    indent = " " * statement.col_offset
    return "\n".join([*lines[: statement.lineno - 1], *(indent + line for line in code), *lines[above + 1 :]])
