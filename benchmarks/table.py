"""What a benchmark found, and how it is printed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tqdm import tqdm


@dataclass(frozen=True)
class Row:
    """One comparison; ``ratio`` is how many times as fast we are."""

    what: str
    ours: str
    peer: str
    ratio: float | None = None


def print_table(benches: Mapping[str, Callable[[], Row]]) -> None:
    """Each row as soon as it is measured: the next may take minutes, or fail. What is being measured is said before."""
    bar = tqdm(benches.items(), unit="bench", leave=False)
    for name, bench in bar:
        bar.set_description(name)
        row = bench()
        times = "" if row.ratio is None else f"{row.ratio:.2f}×"
        bar.write("  ".join([row.what.ljust(58), row.ours.ljust(36), row.peer.ljust(44), times]).rstrip())
