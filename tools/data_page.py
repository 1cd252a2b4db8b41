"""The table of data sets on the page about data and licences."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teachlib.data import Entry

HEADER = "| Name | What | Shape | Classes | Train / validation / test | Kept as | Terms | Source |"


def row(entry: "Entry") -> str:
    """One data set of the catalogue."""
    cells = (
        f"`{entry.name}`",
        entry.title,
        " × ".join(map(str, entry.shape)),
        str(entry.classes),
        " / ".join(f"{count:,}" for count in entry.splits.values()),
        "ships" if entry.embedded else "files",
        entry.terms,
        entry.source,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def data_catalogue() -> str:
    """A table of :data:`teachlib.data.CATALOGUE`; shapes are channels × height × width."""
    from teachlib.data import CATALOGUE  # here: it costs seconds, and not every tool needs it

    rows = [row(entry) for entry in CATALOGUE.values()]
    return "\n".join([HEADER, "|---" * HEADER.count(" | ") + "|---|", *rows])
