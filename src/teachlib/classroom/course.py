"""Grading a class: the record, the jobs, and the files that come of it. Everything may be killed and started again.

The folder of a class holds ``record.json`` (assignment, variants and the secret seed; for the teacher alone),
``results/`` (a file a submission), and what is made of these: ``grades.csv``, ``feedback/`` (a page a student),
``report.html`` and ``log.txt`` for the teacher, ``marks.csv`` and ``explanations.html`` for what is marked by hand.
"""

import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from teachlib import attached
from teachlib.alone import alone
from teachlib.checkpoints import write_atomically
from teachlib.classroom import pages
from teachlib.classroom.grading import Limits
from teachlib.classroom.job import STOP, fingerprint, said_variant
from teachlib.classroom.marks import Marks, marks_table, read_marks
from teachlib.classroom.notebooks import Unreadable, read_cells
from teachlib.classroom.sandbox import WAYS, refuse_impossible
from teachlib.classroom.source import Assignment
from teachlib.classroom.submissions import File, Submission, find_submissions
from teachlib.classroom.worksheets import as_csv, bare, fill, read_csv
from teachlib.errors import TeachlibError, unknown

ATTEMPTS = 3  # of a job that dies
# What a result must hold to be read.
KEPT = {"id", "name", "file", "variant", "verdicts", "explanations", "notes", "log", "printed", "seconds", "shingles"}


@dataclass(frozen=True)
class Record:
    """What is known of a class beforehand, and kept beside its grades.

    Attributes:
        assignment: its name.
        seed: secret: the inputs of hidden tests follow from it.
        variant: of whoever is not among ``variants``.
        variants: id → variant.
    """

    assignment: str
    seed: int
    variant: int = 0
    variants: Mapping[str, int] = field(default_factory=dict)

    def of(self, student: str) -> int:
        """A student's variant."""
        return self.variants.get(student, self.variant)


@dataclass(frozen=True)
class Worksheets:
    """Files of learning-management systems to fill in, and how."""

    files: Sequence[Path] = ()
    column: str | None = None
    rescale: bool = False


def grade_class(
    assignment: Assignment,
    place: Path,
    out: Path,
    *,
    jobs: int = 2,
    way: str = "strict",
    variant: int | None = None,
    variants: Path | None = None,
    worksheets: Worksheets = Worksheets(),
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    progress: bool = True,
) -> list[dict[str, Any]]:
    """Grade all submissions that are not graded yet, and write everything that follows from the grades.

    Args:
        assignment: what was handed out.
        place: folder or zip file of submissions.
        out: folder of the class.
        jobs: processes at a time.
        way: of the sandbox.
        variant: that all students have; by default what the record says, or 0.
        variants: a CSV file with columns ``id`` and ``variant``.
        worksheets: filled in beside the grades.
        limits: of each submission.
        progress: whether to show a bar.

    Returns:
        What is kept of each submission, sorted by id.

    Raises:
        TeachlibError: a sandbox that this machine does not have, submissions or a record that do not fit.
    """
    if way not in WAYS:
        raise unknown("sandbox", way, WAYS)
    refuse_impossible(way)
    submissions = find_submissions(place)
    if out.resolve() == place.resolve() or place.resolve() in out.resolve().parents:
        raise TeachlibError(f"--out {out} lies within the submissions; choose a folder beside them")
    names = [sheet.name for sheet in worksheets.files]
    if len(set(names)) < len(names):
        raise TeachlibError("two worksheets have the same name, and so would the filled ones; rename one")
    for sheet in worksheets.files:  # what is wrong with them is said now, and not after an hour
        fill(sheet, {}, assignment.points, column=worksheets.column, rescale=worksheets.rescale)
    with alone(out / ".lock", "grades here"):
        record = open_record(assignment, out, variant, variants)
        results = out / "results"
        results.mkdir(parents=True, exist_ok=True)
        chosen = {one.key: one.chosen(assignment)[0] for one in submissions}
        _compare_variants(submissions, chosen, record, told=variant is not None or bool(record.variants))
        mark = fingerprint(assignment, record.seed, limits)
        waiting = [one for one in submissions if not _finished(results, one, chosen[one.key], record, mark)]
        _run_jobs(assignment, waiting, record, mark, results, jobs, way, limits, progress)
        _forget_others(results, submissions)
        return write_all(assignment, out, worksheets)


def open_record(assignment: Assignment, out: Path, variant: int | None, variants: Path | None) -> Record:
    """The record of a class; made where there is none.

    Raises:
        TeachlibError: it is another assignment's, or says other variants.
    """
    path = out / "record.json"
    asked = {} if variants is None else _read_variants(variants)
    if not path.exists():
        record = Record(assignment.name, secrets.randbits(48), variant or 0, asked)
        _write_record(path, record)
        return record
    try:
        record = Record(**json.loads(path.read_text()))
        if not isinstance(record.seed, int) or not isinstance(record.variant, int):
            raise ValueError("numbers are expected")
        record = replace(record, variants={str(one): int(number) for one, number in record.variants.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise TeachlibError(f"{path}: not a record of a class; restore it, or choose another --out") from error
    if record.assignment != assignment.name:
        raise TeachlibError(f"{out} holds the grades of '{record.assignment}'; choose another --out")
    if (variant is None or variant == record.variant) and (not asked or asked == record.variants):
        return record
    if any((out / "results").glob("*.json")):
        raise TeachlibError(f"{path} says other variants, by which the class was graded; choose another --out")
    record = Record(record.assignment, record.seed, variant or 0, asked)
    _write_record(path, record)
    return record


def _write_record(path: Path, record: Record) -> None:
    write_atomically(path, json.dumps(asdict(record), indent=1).encode())
    path.chmod(0o600)


def _read_variants(path: Path) -> dict[str, int]:
    header, rows = read_csv(path)
    if not {"id", "variant"} <= set(header):
        raise TeachlibError(f"{path}: expected columns id and variant; found {', '.join(header)}")
    bad = next((row for row in rows if not re.fullmatch(r"\d{1,9}", row["variant"].strip())), None)
    if bad is not None:
        raise TeachlibError(f"{path}: the variant of {bad['id']} is '{bad['variant']}'; expected a whole number")
    return {bare(row["id"].strip()): int(row["variant"]) for row in rows}


def _compare_variants(
    submissions: Sequence[Submission], chosen: Mapping[str, File | None], record: Record, *, told: bool
) -> None:
    """Say so where notebooks tell another variant than the record; refuse where most do, or nobody told the variants.

    Raises:
        TeachlibError: the record cannot be the right one.
    """
    others, read = [], 0
    for one in submissions:
        file = chosen[one.key]
        try:
            said = None if file is None else said_variant(read_cells(file.read()))
        except Unreadable:
            continue
        read += said is not None
        if said not in (None, record.of(one.id)):
            others.append(f"{one.id} says {said}, the record {record.of(one.id)}")
    absent = sorted(set(record.variants) - {one.id for one in submissions})
    if absent:
        print(f"variants of {len(absent)} who handed in nothing: {', '.join(absent[:5])}", file=sys.stderr)
    if 2 * len(others) > read or (others and not told):
        raise TeachlibError(
            f"{len(others)} of {read} notebooks have another SEED ({others[0]}); pass --variants, the table that "
            "'teachlib assignment build --students' wrote, or --variant for all; ids must be those of the submissions"
        )
    if others:
        print(
            f"graded by the record, whatever they say: {'; '.join(others[:5])} ({len(others)} in all)", file=sys.stderr
        )


def _finished(results: Path, submission: Submission, chosen: File | None, record: Record, mark: str) -> bool:
    """Whether the kept result is of this very submission, source, seed and variant."""
    try:
        kept = json.loads((results / f"{submission.key}.json").read_text())
        if kept["fingerprint"] != mark or kept["variant"] != record.of(submission.id) or not kept.keys() >= KEPT:
            return False
        return bool(kept["hash"] == hashlib.sha256(chosen.read() if chosen else b"").hexdigest())
    except (
        OSError,
        ValueError,
        TypeError,
        KeyError,
        Unreadable,
    ):  # nothing kept, or damaged; a file that cannot be read
        return False


def _forget_others(results: Path, submissions: Sequence[Submission]) -> None:
    """Remove results of what is no longer among the submissions."""
    kept = {f"{one.key}.json" for one in submissions}
    for path in results.glob("*.json"):
        if path.name not in kept:
            path.unlink()


def _run_jobs(
    assignment: Assignment,
    waiting: Sequence[Submission],
    record: Record,
    mark: str,
    results: Path,
    jobs: int,
    way: str,
    limits: Limits,
    progress: bool,
) -> None:
    """Share what is waiting among processes; one that dies is started again on what is left of its share."""
    for one in waiting:
        (results / f"{one.key}.json").unlink(missing_ok=True)  # of an earlier submission or source
    shares = [waiting[number::jobs] for number in range(min(jobs, len(waiting)))]
    with (
        TemporaryDirectory() as folder,
        attached.lifeline() as end,
        tqdm(total=len(waiting), unit="submission", disable=not progress) as bar,
    ):
        running = [_Share(number, share, Path(folder), end) for number, share in enumerate(shares)]
        common = {"source": str(assignment.path.resolve()), "fingerprint": mark, "out": str(results.resolve())}
        common |= {"way": way, "seed": record.seed, "limits": asdict(limits)}  # type: ignore[dict-item]
        for share in running:
            share.start(common, record, results)
        try:
            while running:
                time.sleep(0.1)
                new = sum((results / f"{one.key}.json").exists() for one in waiting) - bar.n
                if new:
                    bar.update(new)
                running = [share for share in running if share.goes_on(common, record, results)]
        finally:
            for share in running:
                share.process.terminate()


class _Share:
    """A process and the submissions that it grades."""

    def __init__(self, number: int, submissions: Sequence[Submission], folder: Path, end: int) -> None:
        self.number, self.submissions, self.folder, self.end = number, submissions, folder, end
        self.starts = 0

    def start(self, common: Mapping[str, Any], record: Record, results: Path) -> None:
        left = [one for one in self.submissions if not (results / f"{one.key}.json").exists()]
        listed = [
            {
                "id": one.id,
                "name": one.name,
                "files": [(file.path, file.members) for file in one.files],
                "notes": one.notes,
                "variant": record.of(one.id),
            }
            for one in left
        ]
        task = self.folder / f"task-{self.number}.json"
        task.write_text(json.dumps({**common, "job": self.number, "submissions": listed}))
        task.chmod(0o600)
        self.said = self.folder / f"said-{self.number}"
        self.starts += 1
        with open(self.said, "wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "teachlib.attached", "teachlib.classroom.job:main", str(task)],
                stdin=self.end,
                stdout=said,
                stderr=said,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )

    def goes_on(self, common: Mapping[str, Any], record: Record, results: Path) -> bool:
        """Whether it is at work; a process that died is started again, a few times."""
        code = self.process.poll()
        if code is None:
            return True
        if code == 0:
            return False
        said = self.said.read_text(errors="replace").strip().splitlines()
        if code == STOP or self.starts >= ATTEMPTS:
            raise TeachlibError(f"grading stopped: {said[-1] if said else f'a process ended with {code}'}")
        self.start(common, record, results)
        return True


def write_all(assignment: Assignment, out: Path, worksheets: Worksheets = Worksheets()) -> list[dict[str, Any]]:
    """Write grades, pages and worksheets from the kept results and marks; return the results, sorted by id."""
    results = sorted(map(_read_result, (out / "results").glob("*.json")), key=lambda one: (one["id"], one["name"]))
    marks = Marks.of(out)
    rows = [grades_row(assignment, one, marks) for one in results]
    columns = [
        "id",
        "name",
        "total",
        "of",
        "unmarked points",
        *(question.name for question in assignment.questions),
        "notes",
    ]
    _write(out / "grades.csv", as_csv(rows, columns))
    kept = {one["key"] for one in results}
    for page in (out / "feedback").glob("*.html"):
        if page.stem not in kept:
            page.unlink()
    for one, row in zip(results, rows, strict=True):
        _write(out / "feedback" / f"{one['key']}.html", pages.feedback(assignment, one, row, marks))
    _write(out / "report.html", pages.report(assignment, results, rows))
    _write(out / "log.txt", _log(results))
    if any(question.by_hand for question in assignment.questions):
        _write(out / "marks.csv", marks_table(assignment, results, read_marks(out / "marks.csv"), marks))
        _write(out / "explanations.html", pages.explanations(assignment, results))
    grades = {
        one["id"]: (one["name"], float(row["total"]), pages.in_a_line(assignment, one, row, marks))
        for one, row in zip(results, rows, strict=True)
    }
    for sheet in worksheets.files:
        text, without = fill(sheet, grades, assignment.points, column=worksheets.column, rescale=worksheets.rescale)
        if without and len(without) == len(grades):
            raise TeachlibError(
                f"{sheet.name} has no row for any of {len(grades)}, such as {without[0]}; is it another class's?"
            )
        _write(out / f"{sheet.stem}-filled.csv", text)
        if without:
            print(
                f"{sheet.name} has no row for {len(without)} of {len(grades)}: {', '.join(without[:5])}",
                file=sys.stderr,
            )
    return results


def _read_result(path: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(path.read_text()) | {"key": path.stem}
        if not result.keys() >= KEPT:
            raise ValueError("incomplete")
    except (ValueError, TypeError) as error:
        raise TeachlibError(f"{path}: damaged; remove it, and grade again") from error
    return result


def grades_row(assignment: Assignment, result: Mapping[str, Any], marks: Marks) -> dict[str, Any]:
    """Points by question, what is not marked yet, and the sum."""
    right = {verdict["exercise"]: verdict["points"] for verdict in result["verdicts"]}
    points: dict[str, float | str] = {}
    unmarked = 0
    for question in assignment.questions:
        if question.by_hand:
            mark = marks.mark(result["id"], question.name)
            if mark is None and not result["explanations"].get(question.name):
                mark = 0.0  # nothing was written
            points[question.name] = "" if mark is None else mark
            unmarked += question.points if mark is None else 0
        else:
            points[question.name] = question.points * right.get(question.name, 0)
    total = sum(float(value) for value in points.values() if value != "")
    named = {name: value if value == "" else f"{float(value):g}" for name, value in points.items()}
    return {
        **named,
        "id": result["id"],
        "name": result["name"],
        "total": f"{total:g}",
        "of": assignment.points,
        "unmarked points": unmarked,
        "notes": "; ".join(result["notes"]),
    }


def _log(results: Sequence[Mapping[str, Any]]) -> str:
    lines = [f"{one['id']}: {line}" for one in results for line in [*one["notes"], *one["log"]]]
    return "\n".join([*lines, f"{len(results)} submissions, {sum(one['seconds'] for one in results):.0f} s in all", ""])


def _write(path: Path, text: str) -> None:
    write_atomically(path, text.encode("utf-8", "replace"))
