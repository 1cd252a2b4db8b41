"""The tables of data sets on the page about data and licences."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from teachlib.data import Entry


def markdown(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def facts(entry: "Entry") -> tuple[str, ...]:
    """What a data set holds."""
    counts = " / ".join(f"{count:,}" for count in entry.splits.values())
    size = " × ".join(map(str, entry.shape))
    return f"`{entry.name}`", size, str(entry.classes), counts, "ships" if entry.embedded else "files"


def origin(entry: "Entry") -> tuple[str, ...]:
    """Where a data set comes from, and on which terms."""
    return f"`{entry.name}`", f"{entry.title}. {entry.source}", entry.terms


def string_catalogue() -> str:
    """The data sets that belong to single chapters: so far, sets of strings."""
    from teachlib.commands.sets import own_data

    rows: list[tuple[str, ...]] = []
    for name, own in own_data().items():
        counts = " / ".join(f"{count:,}" for count in own.splits.values())
        rows.append((f"`{name}`", counts, f"{own.title}; {own.source}"))
    return markdown(("Name", "Train / validation / test", "What, and from where"), rows)


def data_catalogue() -> str:
    """Two tables of :data:`teachlib.data.CATALOGUE`: one of eight columns would be too wide for a page."""
    from teachlib.data import CATALOGUE  # here: it costs seconds, and not every tool needs it

    entries = CATALOGUE.values()
    head = ("Name", "Size", "Classes", "Train / validation / test", "Kept as")
    return "\n\n".join(
        (
            markdown(head, [facts(entry) for entry in entries]),
            markdown(("Name", "What, and from where", "Terms"), [origin(entry) for entry in entries]),
        )
    )
