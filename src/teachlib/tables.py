"""Tables of published and of measured numbers: what ``teachlib table`` prints, and Markdown for the page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd


def _not_printed(dataset: str) -> pd.DataFrame | None:
    return None


@dataclass(frozen=True)
class Table:
    """A table that measured rows can be set beside.

    Attributes:
        title: for people, e.g. ``Table 3.1 of the thesis``.
        folder: of the measured rows, below ``--record``.
        rows: label of a recipe → its name in the table, in the table's order.
        columns: the quantities.
        dataset: that is shown where none is named.
        printed: data set → the published numbers, index recipes and columns quantities; ``None`` where there are none.
    """

    title: str
    folder: str
    rows: Mapping[str, str]
    columns: tuple[str, ...]
    dataset: str
    printed: Callable[[str], pd.DataFrame | None] = _not_printed


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [list(head), ["---"] + ["--:"] * (len(head) - 1), *map(list, rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine_of(row: Mapping[str, Any]) -> str:
    """Where a measured row comes from, e.g. ``cpu (x86_64), 2 cores, torch 2.13.0, 2026-11-01, commit 1a2b3c4``."""
    origin = row["provenance"]
    return (
        f"{origin['device']}, {origin['cores']} cores, torch {origin['torch']}, {origin['date']}, "
        f"commit {origin['commit']}"
    )
