"""What a benchmark found, and how it is printed."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison; ``ratio`` is how many times as fast we are."""

    what: str
    ours: str
    peer: str
    ratio: float | None = None


def print_table(rows: Iterable[Row]) -> None:
    """Each row as soon as it is measured: the next may take minutes, or fail."""
    for row in rows:
        times = "" if row.ratio is None else f"{row.ratio:.2f}×"
        print("  ".join([row.what.ljust(58), row.ours.ljust(36), row.peer.ljust(44), times]).rstrip(), flush=True)
