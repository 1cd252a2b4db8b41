"""Assembled pictures as they were measured; the thesis prints no number of them."""

from teachlib.energy.assemble.recipes import RECIPES
from teachlib.energy.assemble.shapes import OBJECTS
from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

_HIDDEN = "+hides=triangle"
_TITLES = {
    "assemble": "a painter an object, by alpha",
    "assemble-direct": "a painter an object, anew",
    "assemble-joint": "one painter for all",
}
COLUMNS = (*OBJECTS, "triangle named", "miscounted", "above", "slope", "gap")
TABLES = {
    "assemble": Table(
        title="Pictures assembled of shapes",
        folder="assemble",
        rows={
            f"{name}{own}": f"{_TITLES[name]}{', height of the triangle hidden' if own else ''}"
            for own in ("", _HIDDEN)
            for name in RECIPES
        },
        columns=COLUMNS,
        dataset="shapes",
    )
}


def page() -> str:
    """The measured table, in Markdown."""
    measured = read_results("assemble", "shapes")
    if not measured:
        return ""
    rows = [
        [title, *(shown(measured[label]["values"][column], digits=2) for column in COLUMNS)]
        for label, title in TABLES["assemble"].rows.items()
        if label in measured
    ]
    origins = "\n".join(f"- **{name}**: {machine_of(row)}" for name, row in measured.items())
    return "\n\n".join(
        [
            "## Assembled pictures",
            "The thesis proposes them (§ 7.5.2) and prints no number. Measured on shapes: overlap of drawn and real "
            "boxes, the share of triangles that are triangles, of pictures with another number of things than asked "
            "for, and of triangles above their square; the slope of the triangle's top on the square's when the square "
            "alone is moved, and the largest difference of the gap's distribution from that of real pictures.",
            markdown(["model", *COLUMNS], rows),
            origins,
        ]
    )
