"""Submitted notebooks, which may hold anything: read within limits, and reduced to what is graded."""

import io
import json
import keyword
import tokenize
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from teachlib.classroom.source import Assignment, grader_id

SIZE = 20 << 20  # bytes of a notebook
CELLS, CELL = 500, 1 << 20  # cells that are looked at; characters of one
TEXT = 20_000  # characters of an explanation
COMPARED = 100_000  # characters of a submission's code that are compared with others'
_SHINGLE = 6  # tokens


class Unreadable(Exception):
    """No notebook; the text says what is wrong with it, without quoting it."""


@dataclass(frozen=True)
class Cell:
    """A cell of a submission: its text, whether it is code, and nbgrader's name of it, forged or missing perhaps."""

    source: str
    code: bool
    name: str


def read_cells(raw: bytes) -> list[Cell]:
    """The cells of a notebook of format 4.

    Raises:
        Unreadable: too large, no JSON, no list of cells.
    """
    if len(raw) > SIZE:
        raise Unreadable(f"larger than {SIZE >> 20} MiB; clear its outputs")
    try:
        notebook = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise Unreadable("not a notebook: no JSON") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise Unreadable("not a notebook of format 4: no list of cells")
    return [cell for cell in map(_cell, cells[:CELLS]) if cell is not None]


def _cell(cell: Any) -> Cell | None:
    if not isinstance(cell, Mapping) or cell.get("cell_type") not in ("code", "markdown"):
        return None
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str):
        return None
    # Lone surrogates cannot be sent on, and no compiler takes a NUL.
    text = source[:CELL].encode("utf-8", "replace").decode()
    try:
        name = grader_id(cell)
    except (AttributeError, TypeError):  # metadata of another form
        name = ""
    return Cell(text, cell["cell_type"] == "code", name)


def own_cells(cells: Iterable[Cell], assignment: Assignment) -> list[Cell]:
    """The cells of code that are the student's: without the locked ones, of which the grader has its own."""
    locked = set(assignment.locked)
    return [cell for cell in cells if cell.code and cell.name not in locked]


def explanations(cells: Iterable[Cell], assignment: Assignment) -> dict[str, str]:
    """What was written in answer to each question that a person marks; empty where nothing was."""
    by_name = {cell.name: cell.source for cell in cells if not cell.code}
    asked = [question.name for question in assignment.questions if question.by_hand]
    texts = {name: by_name.get(name, "").strip()[:TEXT] for name in asked}
    return {name: "" if text == "YOUR ANSWER HERE" else text for name, text in texts.items()}


def shingles(cells: Iterable[Cell]) -> list[int]:
    """Numbers of all runs of six tokens of the code, names replaced by one sign: alike for renamed copies."""
    found: set[int] = set()
    left = COMPARED
    for cell in cells:
        tokens = _tokens(cell.source[:left])
        left -= min(left, len(cell.source))
        for start in range(len(tokens) - _SHINGLE + 1):
            found.add(zlib.crc32(" ".join(tokens[start : start + _SHINGLE]).encode()))
    return sorted(found)


def _tokens(source: str) -> list[str]:
    kept = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME:
                kept.append(token.string if keyword.iskeyword(token.string) else "name")
            elif token.type in (tokenize.OP, tokenize.NUMBER):
                kept.append(token.string)
    except (tokenize.TokenError, SyntaxError):  # what came before the fault counts
        pass
    return kept
