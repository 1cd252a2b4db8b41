"""What a benchmark found, and how it is printed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison; ``ratio`` is how many times as fast we are."""

    what: str
    ours: str
    peer: str
    ratio: float | None = None


def print_table(rows: list[Row]) -> None:
    head = Row("benchmark", "ours", "peer")
    widths = [max(len(getattr(row, column)) for row in [head, *rows]) for column in ("what", "ours", "peer")]
    for row in [head, *rows]:
        cells = [cell.ljust(width) for cell, width in zip((row.what, row.ours, row.peer), widths, strict=True)]
        times = "ratio" if row is head else "" if row.ratio is None else f"{row.ratio:.2f}×"
        print("  ".join([*cells, times]).rstrip())
