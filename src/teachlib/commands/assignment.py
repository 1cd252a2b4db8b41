"""``teachlib assignment``."""

import secrets
import shutil
from pathlib import Path

from teachlib.checkpoints import write_atomically
from teachlib.checks import Exercise, Verdict
from teachlib.classroom.grading import Grading
from teachlib.classroom.notebooks import Cell
from teachlib.classroom.release import release, trial, write_releases
from teachlib.classroom.sandbox import Warm
from teachlib.classroom.source import Assignment, Question, open_assignment, read_source, sources
from teachlib.classroom.worksheets import as_csv, read_csv
from teachlib.errors import TeachlibError, unknown

FIXED = ("predict", "experiment")  # kinds whose answer may well be fixed numbers


def show(source: Path) -> None:
    """Print the assignments.

    Raises:
        TeachlibError: there are none.
    """
    known = sources(source)
    if not known:
        raise TeachlibError(f"no assignments in {source}; run this in a clone of the course, or pass --source")
    for name, path in known.items():
        assignment = read_source(path)
        print(f"{name}: {assignment.title} ({assignment.points} points)")
        for question in assignment.questions:
            named = f", {len(question.mistakes)} named mistakes" if question.mistakes else ", marked by hand"
            print(f"  {question.points} {question.name} ({question.kind}{named})")


def build(
    name: str,
    *,
    variant: int,
    students: Path | None,
    out: Path | None,
    term: str | None,
    solutions: bool,
    replace: bool,
    source: Path,
) -> None:
    """Write what students get, or the teacher's notebook, which by default goes into another folder.

    Raises:
        TeachlibError: no such assignment; a term, or a notebook, that is something else already.
    """
    assignment = open_assignment(name, source)
    if term is not None and not _names_a_folder(term):
        raise TeachlibError(f"--term {term!r}: expected a plain name, such as 2027-spring")
    ids = [] if students is None else _ids(students)
    out = out or Path("solved" if solutions else "handed-out")
    if term is not None:
        _keep_source(assignment, out.parent / "terms" / term)
        out = out / term
    if students is None:
        folder = out / assignment.name if variant == 0 else out / f"{assignment.name}-{variant}"
        print(*write_releases(assignment, {folder: variant}, solutions=solutions, replace=replace))
        return
    folders = {out / assignment.name / one: variant + number for number, one in enumerate(ids)}
    write_releases(assignment, folders, solutions=solutions, replace=replace)
    table = out / assignment.name / "variants.csv"
    rows = [{"id": one, "variant": variant + number} for number, one in enumerate(ids)]
    write_atomically(table, as_csv(rows, ("id", "variant")).encode())
    print(f"{len(rows)} notebooks in {out / assignment.name}; grade with --variants {table}")


def _ids(path: Path) -> list[str]:
    header, rows = read_csv(path)
    if "id" not in header:
        raise TeachlibError(f"{path}: no column 'id'; found {', '.join(header)}")
    ids = [row["id"].strip() for row in rows]
    if not ids:
        raise TeachlibError(f"{path}: nobody in it; expected a row a student")
    bad = next((one for one in ids if not _names_a_folder(one) or ids.count(one) > 1), None)
    if bad is not None:
        raise TeachlibError(f"{path}: the id {bad!r} is empty, repeated, or no name of a folder")
    return ids


def _names_a_folder(name: str) -> bool:
    """Whether a folder can have this name, visibly, and nothing else is meant by it."""
    return bool(name) and name.isprintable() and not set(name) & set("/\\") and not name.startswith(".")


def _keep_source(assignment: Assignment, folder: Path) -> None:
    """A copy of the source as it was when it was handed out; it is graded with, whatever becomes of the source.

    It lies outside the folder that is handed out, as it holds solutions and hidden tests.
    """
    kept = folder / "source" / assignment.name / f"{assignment.name}.ipynb"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(assignment.path, kept)
    elif kept.read_bytes() != assignment.path.read_bytes():
        raise TeachlibError(
            f"{kept} was handed out and differs from today's source; choose another --term, or build from it by "
            f"--source {folder / 'source'}"
        )


def check(name: str, *, variants: int, sandbox: str, source: Path) -> None:
    """Print what the grader says to every answer that is known, and whether it should.

    Raises:
        TeachlibError: an answer gets what it should not.
    """
    if sandbox not in ("none", "strict", "weak"):
        raise unknown("sandbox", sandbox, ("none", "strict", "weak"))
    assignment = open_assignment(name, source)
    release(assignment)  # what nbgrader does not take is said first
    warm = None if sandbox == "none" else Warm(sandbox, preload=assignment.modules)
    wrong = 0
    try:
        for variant in range(variants):
            wrong += _check_variant(assignment, variant, warm)
    finally:
        if warm is not None:
            warm.close()
    if not wrong:
        print(f"{assignment.name}: all answers are judged as they should be")
    else:
        raise TeachlibError(f"{assignment.name}: {wrong} answers were not judged as they should be, marked with !")


def _check_variant(assignment: Assignment, variant: int, warm: Warm | None) -> int:
    seed = secrets.randbits(48)
    exercises, others = (assignment.exercises(variant, seed + shift) for shift in (0, 1))
    print(f"{assignment.name}, variant {variant}, seed {seed}")
    wrong = 0
    for question in assignment.graded:
        exercise = exercises[question.name]
        said = trial(exercise, others[question.name])
        if warm is not None:
            said |= _in_sandbox(assignment, question, exercises, warm, variant, seed)
        for answer, verdict in said.items():
            good = _as_it_should(question, exercise, answer, verdict)
            wrong += not good
            fixed = " (a fixed answer may be right here)" if answer == "fixed" and verdict.points and good else ""
            print(f"{' ' if good else '!'} {question.name}, {answer}: {verdict.message}{fixed}")
    return wrong


def _as_it_should(question: Question, exercise: Exercise, answer: str, verdict: Verdict) -> bool:
    if answer == "right":
        return verdict.points == 1
    if answer in exercise.wrong:
        return verdict.message == exercise.wrong[answer].message
    return verdict.points == 0 or (answer == "fixed" and question.kind in FIXED)


def _in_sandbox(
    assignment: Assignment,
    question: Question,
    exercises: dict[str, Exercise],
    warm: Warm,
    variant: int,
    seed: int,
) -> dict[str, Verdict]:
    """The verdicts on solution and mistakes as submissions."""
    codes = {"right": question.cell, **{name: gap.code for name, gap in question.mistakes.items()}}
    judged = {question.name: exercises[question.name]}
    said = {}
    for name, code in codes.items():
        cells = [Cell(code if one is question else one.cell, True, one.name) for one in assignment.graded]
        said[name] = Grading(warm, assignment, judged, cells, variant, seed).outcome().verdicts[0]
    return said
