"""``teachlib grade``."""

from pathlib import Path

from teachlib.alone import alone
from teachlib.classroom.course import Worksheets, grade_class, write_all
from teachlib.classroom.grading import Limits
from teachlib.classroom.marks import Marks, merged
from teachlib.classroom.sandbox import WAYS, WEAKER, Warm, lacking
from teachlib.classroom.source import open_assignment
from teachlib.errors import TeachlibError


def grade(
    name: str,
    submissions: Path,
    out: Path,
    *,
    jobs: int,
    sandbox: str,
    variant: int | None,
    variants: Path | None,
    worksheet: list[Path] | None,
    column: str | None,
    rescale: bool,
    seconds: float,
    total: float,
    source: Path,
) -> None:
    """Grade a class, and say where the grades are.

    Raises:
        TeachlibError: no such assignment, submissions or sandbox.
    """
    assignment = open_assignment(name, source)
    if sandbox == "weak":
        print(f"! {WEAKER}")
    results = grade_class(
        assignment,
        submissions,
        out,
        jobs=jobs,
        way=sandbox,
        variant=variant,
        variants=variants,
        worksheets=Worksheets(worksheet or (), column, rescale),
        limits=Limits(call=seconds, total=total),
    )
    by_hand = [question.name for question in assignment.questions if question.by_hand]
    print(f"{len(results)} submissions: {out / 'grades.csv'}, {out / 'report.html'}, {out / 'feedback'}")
    if by_hand:
        print(f"to be marked by hand: {', '.join(by_hand)}; fill in {out / 'marks.csv'}, then 'teachlib grade marks'")


def marks(
    name: str,
    out: Path,
    marks: Path | None,
    *,
    worksheet: list[Path] | None,
    column: str | None,
    rescale: bool,
    source: Path,
) -> None:
    """Merge marks into a graded class.

    Raises:
        TeachlibError: nothing is graded there; a table that does not fit.
    """
    assignment = open_assignment(name, source)
    if not (out / "results").is_dir():
        raise TeachlibError(
            f"{out}: nothing is graded there; run 'teachlib grade {name} SUBMISSIONS --out {out}' first"
        )
    with alone(out / ".lock", "grades here"):
        students = [one["id"] for one in write_all(assignment, out)]
        kept = merged(assignment, students, marks or out / "marks.csv", Marks.of(out))
        kept.write(out)
        write_all(assignment, out, Worksheets(worksheet or (), column, rescale))
    print(f"{len(kept.kept)} marks: {out / 'grades.csv'}")


def doctor() -> None:
    """Start each sandbox, run something in it, and say what this machine can give."""
    able = []
    for way in WAYS:
        trouble = lacking(way) or _tried(way)
        print(f"{way}: {trouble or 'works'}")
        if not trouble:
            able.append(way)
    print(f"  weak means: {WEAKER}")
    if able:
        print(
            f"submissions can be graded here: {able[0]} is what to use"
            + (", as it is by default" if able[0] == "strict" else "")
        )
    if not able:
        print("! nothing can be graded here; a virtual machine with Linux, or a container with user namespaces, can")


def _tried(way: str) -> str:
    try:
        warm = Warm(way)
    except TeachlibError as error:
        return str(error)
    try:
        session = warm.fork(30)
        session.request({"do": "cell", "source": "1 + 1"}, 30)
        session.close()
    except TeachlibError as error:
        return str(error)
    finally:
        warm.close()
    return ""
