"""Marks given by hand: a table to fill in, and what is kept of it."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from teachlib.checkpoints import write_atomically
from teachlib.classroom.source import Assignment
from teachlib.classroom.worksheets import as_csv, bare, read_csv
from teachlib.errors import TeachlibError

COLUMNS = ("id", "name", "question", "of", "mark", "comment")
Key = tuple[str, str]  # a student's id, a question's name


@dataclass(frozen=True)
class Marks:
    """Marks and comments that were merged into the grades."""

    kept: Mapping[Key, tuple[float, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, out: Path) -> "Marks":
        """What was merged before."""
        path = out / "marks.json"
        if not path.exists():
            return cls()
        try:
            return cls({(row[0], row[1]): (float(row[2]), str(row[3])) for row in json.loads(path.read_text())})
        except (ValueError, TypeError, IndexError) as error:
            raise TeachlibError(f"{path}: damaged; remove it, and merge the marks again") from error

    def write(self, out: Path) -> None:
        """Keep them beside the grades."""
        rows = [[*key, *value] for key, value in sorted(self.kept.items())]
        write_atomically(out / "marks.json", json.dumps(rows).encode())

    def mark(self, student: str, question: str) -> float | None:
        """Points; ``None`` where nobody has marked it."""
        kept = self.kept.get((student, question))
        return None if kept is None else kept[0]

    def comment(self, student: str, question: str) -> str:
        """What was written beside the mark."""
        return self.kept.get((student, question), (0.0, ""))[1]


def read_marks(path: Path) -> dict[Key, tuple[str, str]]:
    """(Id, question) → mark and comment as they were written; nothing where there is no such file."""
    if not path.exists():
        return {}
    header, rows = read_csv(path)
    missing = {"id", "question", "mark"} - set(header)
    if missing:
        raise TeachlibError(f"{path}: no column {sorted(missing)[0]}; expected {', '.join(COLUMNS)}")
    return {
        (bare(row["id"]), row["question"]): (row["mark"].strip(), bare(row.get("comment", "")).strip()) for row in rows
    }


def marks_table(
    assignment: Assignment, results: Sequence[Mapping[str, Any]], written: Mapping[Key, tuple[str, str]], marks: Marks
) -> str:
    """A row for each explanation; what was written into an earlier table, or merged, stays."""
    rows = []
    for question in assignment.questions:
        for one in results if question.by_hand else ():
            key = (one["id"], question.name)
            mark = marks.mark(*key)
            noted = written.get(key, ("", ""))
            rows.append(
                {
                    "id": one["id"],
                    "name": one["name"],
                    "question": question.name,
                    "of": question.points,
                    "mark": noted[0] or ("" if mark is None else f"{mark:g}"),
                    "comment": noted[1] or marks.comment(*key),
                }
            )
    return as_csv(rows, COLUMNS)


def merged(assignment: Assignment, students: Sequence[str], path: Path, before: Marks) -> Marks:
    """Earlier marks and those of a table; rows without a mark are left for later.

    Raises:
        TeachlibError: an unknown student or question, or a mark that is no number from 0 to the question's points.
    """
    most = {question.name: question.points for question in assignment.questions if question.by_hand}
    if not path.exists():
        raise TeachlibError(f"{path}: no such file; 'teachlib grade' writes marks.csv, to be filled in")
    kept = dict(before.kept)
    for (student, question), (mark, comment) in read_marks(path).items():
        if student not in students:
            raise TeachlibError(f"{path}: nobody with the id '{student}' handed anything in; correct the row")
        if question not in most:
            raise TeachlibError(f"{path}: '{question}' is not marked by hand; expected {', '.join(most)}")
        if not mark:
            continue
        try:
            points = float(mark.replace(",", "."))
        except ValueError:
            points = math.nan
        if not 0 <= points <= most[question]:
            raise TeachlibError(
                f"{path}: {student}, {question}: mark '{mark}'; expected a number from 0 to {most[question]}"
            )
        kept[student, question] = (points, comment)
    return Marks(kept)
