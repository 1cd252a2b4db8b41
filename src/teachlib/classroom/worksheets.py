"""Grades as spreadsheets: our own, and those that Moodle and Canvas export to be filled in and read back."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from teachlib.errors import TeachlibError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def safe(value: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if value.startswith(_FORMULA) and not _number(value) else value


def as_csv(rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> str:
    """Rows as CSV with a header, text made safe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([safe(column) for column in columns])
    writer.writerows([safe(str(row.get(column, ""))) for column in columns] for row in rows)
    return out.getvalue()


def read_csv(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a CSV file with a header; a byte-order mark and other separators are understood.

    Raises:
        TeachlibError: no such file, or no CSV.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        first = text.partition("\n")[0]
        separator = max(",;\t", key=first.count)
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TeachlibError(f"{path}: not a CSV file in UTF-8 that can be read ({type(error).__name__})") from None
    if not rows or not rows[0]:
        raise TeachlibError(f"{path}: empty; expected a header and a row a student")
    header = rows[0]
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise TeachlibError(f"{path}: two columns are called '{twice[0]}'; rename one")
    return header, [
        dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=False)) for row in rows[1:] if row
    ]


def fill(
    path: Path,
    grades: Mapping[str, tuple[str, float, str]],
    full: int,
    *,
    column: str | None = None,
    scale: bool = False,
) -> tuple[str, list[str]]:
    """A worksheet with the grades filled in, everything else as it was.

    Args:
        path: Moodle's grading worksheet, or Canvas's gradebook.
        grades: id → name, points and feedback in a line.
        full: points of the assignment.
        column: of Canvas's gradebook; by default, the only one that could be meant.
        scale: convert to the worksheet's own maximum where it differs.

    Returns:
        The file's new text, and the ids that it has no row for.

    Raises:
        TeachlibError: neither kind of file; a column that is not there; another maximum.
    """
    header, rows = read_csv(path)
    if "Identifier" in header and "Grade" in header:
        filled = _moodle(path, rows, grades, full, scale)
    elif "Student" in header and "ID" in header:
        filled = _canvas(path, header, rows, grades, full, column, scale)
    else:
        raise TeachlibError(
            f"{path}: neither Moodle's grading worksheet (columns Identifier, Grade) nor Canvas's gradebook (Student, "
            f"ID); found {', '.join(header[:6])}"
        )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([row[name] for name in header] for row in rows)
    return out.getvalue(), sorted(set(grades) - filled)


def _moodle(
    path: Path, rows: list[dict[str, str]], grades: Mapping[str, tuple[str, float, str]], full: int, scale: bool
) -> set[str]:
    for row in rows:  # before any is filled in
        _scaled(path, 0.0, full, row.get("Maximum Grade", ""), scale)
    filled = set()
    for row in rows:
        number = row["Identifier"].rpartition(" ")[2]
        known = (number, row.get("ID number", ""), row.get("Email address", ""))
        student = _match(known, row.get("Full name", ""), grades)
        if student is None:
            continue
        _, points, feedback = grades[student]
        row["Grade"] = _scaled(path, points, full, row.get("Maximum Grade", ""), scale)
        if "Feedback comments" in row:
            row["Feedback comments"] = safe(feedback)
        filled.add(student)
    return filled


def _canvas(
    path: Path,
    header: Sequence[str],
    rows: list[dict[str, str]],
    grades: Mapping[str, tuple[str, float, str]],
    full: int,
    column: str | None,
    scale: bool,
) -> set[str]:
    fixed = {"Student", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Section", "Root Account"}
    possible = [name for name in header if name not in fixed and name.endswith(")") and "(" in name]
    asked = [name for name in header if column is not None and (name == column or name.startswith(f"{column} ("))]
    chosen = asked if column is not None else possible
    if len(chosen) != 1:
        known = ", ".join(possible) or "none"
        raise TeachlibError(f"{path}: say by --column which assignment is meant; its columns: {known}")
    head = next((row for row in rows if row["Student"].strip() == "Points Possible"), {})
    _scaled(path, 0.0, full, head.get(chosen[0], ""), scale)
    filled = set()
    for row in rows:
        known_ids = (row["ID"], row.get("SIS User ID", ""), row.get("SIS Login ID", ""))
        student = None if row is head else _match(known_ids, row["Student"], grades)
        if student is not None:
            row[chosen[0]] = _scaled(path, grades[student][1], full, head.get(chosen[0], ""), scale)
            filled.add(student)
    return filled


def _match(ids: Sequence[str], name: str, grades: Mapping[str, tuple[str, float, str]]) -> str | None:
    """The student of a row: by an id, or else by a name that only one has."""
    for one in ids:
        if one and one in grades:
            return one
    same = [student for student, (known, _, _) in grades.items() if known and known == name]
    return same[0] if len(same) == 1 else None


def _scaled(path: Path, points: float, full: int, maximum: str, scale: bool) -> str:
    most = float(maximum) if _number(maximum) else float(full)
    if most != full and not scale:
        raise TeachlibError(
            f"{path}: its maximum is {most:g}, this assignment has {full} points; set it there, or pass --scale"
        )
    return f"{points * most / full:.6g}"


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
