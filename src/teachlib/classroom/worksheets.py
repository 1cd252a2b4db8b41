"""Grades as spreadsheets: our own, and those that Moodle and Canvas export to be filled in and read back."""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from teachlib.errors import TeachlibError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SEPARATED = re.compile(r"([;|\t]\s*)([=+\-@])")


def safe(value: str) -> str:
    """Text that no spreadsheet takes for a formula, whatever separates its cells."""
    inner = _SEPARATED.sub(r"\1'\2", value)
    formula = inner.lstrip("'").startswith(_FORMULA) and not _number(inner)
    return f"'{inner}" if formula else inner


def bare(value: str) -> str:
    """What :func:`safe` was made from, where that only put a sign before it."""
    return value[1:] if value.startswith("'") and safe(value[1:]) == value else value


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
    header, rows, _ = _separated(path)
    return header, rows


def _separated(path: Path) -> tuple[list[str], list[dict[str, str]], str]:
    """The same, and what separates the cells."""
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
    filled = [[*row, *[""] * (len(header) - len(row))] for row in rows[1:] if row]
    return header, [dict(zip(header, row, strict=False)) for row in filled], separator


def fill(
    path: Path,
    grades: Mapping[str, tuple[str, float, str]],
    full: int,
    *,
    column: str | None = None,
    rescale: bool = False,
) -> tuple[str, list[str]]:
    """A worksheet with the grades filled in, everything else as it was.

    Args:
        path: Moodle's grading worksheet, or Canvas's gradebook.
        grades: id → name, points and feedback in a line.
        full: points of the assignment.
        column: of Canvas's gradebook; by default, the only one that could be meant.
        rescale: convert to the worksheet's own maximum where it differs.

    Returns:
        The file's new text, and the ids that it has no row for.

    Raises:
        TeachlibError: neither kind of file; a column that is not there; another maximum.
    """
    header, rows, separator = _separated(path)
    if "Identifier" in header and "Grade" in header:
        filled = _moodle(path, rows, grades, full, rescale)
    elif "Student" in header and "ID" in header:
        filled = _canvas(path, header, rows, grades, full, column, rescale)
    else:
        raise TeachlibError(
            f"{path}: neither Moodle's grading worksheet (columns Identifier, Grade) nor Canvas's gradebook (Student, "
            f"ID); found {', '.join(header[:6])}"
        )
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", delimiter=separator)
    writer.writerow(header)
    writer.writerows([row[name] for name in header] for row in rows)
    return out.getvalue(), sorted(set(grades) - filled)


def _moodle(
    path: Path, rows: list[dict[str, str]], grades: Mapping[str, tuple[str, float, str]], full: int, rescale: bool
) -> set[str]:
    for row in rows:  # before any is filled in
        _scaled(path, 0.0, full, row.get("Maximum Grade", ""), rescale)
    filled = set()
    kinds = [[row["Identifier"].rpartition(" ")[2] for row in rows]]
    kinds += [[row.get(column, "") for row in rows] for column in ("ID number", "Email address")]
    for row, student in zip(rows, _matched(kinds, [row.get("Full name", "") for row in rows], grades), strict=True):
        if student is None:
            continue
        _, points, feedback = grades[student]
        row["Grade"] = _scaled(path, points, full, row.get("Maximum Grade", ""), rescale)
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
    rescale: bool,
) -> set[str]:
    fixed = {"Student", "ID", "SIS User ID", "SIS Login ID", "Integration ID", "Section", "Root Account"}
    possible = [name for name in header if name not in fixed and name.endswith(")") and "(" in name]
    asked = [name for name in header if column is not None and (name == column or name.startswith(f"{column} ("))]
    chosen = asked if column is not None else possible
    if len(chosen) != 1:
        known = ", ".join(possible) or "none"
        raise TeachlibError(f"{path}: say by --column which assignment is meant; its columns: {known}")
    head = next((row for row in rows if row["Student"].strip() == "Points Possible"), {})
    _scaled(path, 0.0, full, head.get(chosen[0], ""), rescale)
    filled = set()
    kinds = [[row.get(column, "") for row in rows] for column in ("ID", "SIS User ID", "SIS Login ID")]
    for row, student in zip(rows, _matched(kinds, [row["Student"] for row in rows], grades), strict=True):
        if student is not None and row is not head:
            row[chosen[0]] = _scaled(path, grades[student][1], full, head.get(chosen[0], ""), rescale)
            filled.add(student)
    return filled


def _matched(
    kinds: Sequence[Sequence[str]], names: Sequence[str], grades: Mapping[str, tuple[str, float, str]]
) -> list[str | None]:
    """The student of each row: by one kind of id, the one that most rows are known by; else by a name that one has."""
    ids = max(kinds, key=lambda kind: sum(one in grades for one in kind if one))
    known = [name for name, _, _ in grades.values()]
    by_name = {name: student for student, (name, _, _) in grades.items() if name and known.count(name) == 1}
    taken = {one for one in ids if one in grades}
    found: list[str | None] = []
    for one, name in zip(ids, names, strict=True):
        student = one if one in grades else by_name.get(name)
        found.append(None if student in taken and one not in grades else student)
    return found


def _scaled(path: Path, points: float, full: int, maximum: str, rescale: bool) -> str:
    plain = maximum.strip().replace(",", ".")
    if plain and not (_number(plain) and 0 < float(plain) < math.inf):
        raise TeachlibError(f"{path}: its maximum is '{maximum}'; expected a number")
    most = float(plain) if plain else float(full)
    if most != full and not rescale:
        raise TeachlibError(
            f"{path}: its maximum is {most:g}, this assignment has {full} points; set it there, or pass --rescale"
        )
    return f"{points * most / full:.6g}"


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
