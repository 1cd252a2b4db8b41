"""Assembled pictures as they were measured; the thesis prints no number of them."""

from collections.abc import Mapping
from typing import Any

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
STANDING = (
    "distance",
    "ground",
    "peopled",
    "striped",
    "moved",
    *(f"{name}{own}" for own in ("", " named") for name in OBJECTS),
    "beside",
)
FINDING = ("matched", "by painter", "by box", "overlap", "one of each", "unseen")
COLUMNS = (*OBJECTS, "triangle named", "miscounted", "above", "slope", "gap")
WORN = ("face", "glasses", "put on", "beside", "behind", "rims", "off", "off by chance", "follows", "distance")
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
    ),
    "roofs": Table(
        title="Triangles that stand on squares, assembled",
        folder="assemble",
        rows={f"{name}{_HIDDEN}": f"{_TITLES[name]}, height of the triangle hidden" for name in RECIPES},
        columns=("square", "square named", "triangle named", "miscounted", "slope", "gap"),
        dataset="roofs",
    ),
    "glasses": Table(
        title="Heads and glasses, assembled",
        folder="assemble",
        rows={
            "assemble+from_black=True": "a painter an object, from black",
            "assemble": "the same, half from real pictures",
            "assemble+from_real=True": "the same, from real pictures alone",
            "assemble+hides=glasses+from_real=True": "and not told where glasses are",
            "assemble-direct": _TITLES["assemble-direct"],
            "assemble-joint": _TITLES["assemble-joint"],
        },
        columns=WORN,
        dataset="glasses",
    ),
    "grounds": Table(
        title="Shapes on grounds, assembled",
        folder="assemble",
        rows={name: _TITLES[name] for name in RECIPES},
        columns=STANDING,
        dataset="grounds",
    ),
    "classes": Table(
        title="Boxes without classes",
        folder="assemble",
        rows={
            "assemble+classes=untold": "a painter an object, boxes without classes",
            "assemble+classes=found": "the same, recognizable by what they draw",
        },
        columns=FINDING,
        dataset="shapes",
    ),
}


_SAID = {
    "assemble": "The thesis proposes them (§ 7.5.2) and prints no number. Measured on shapes: overlap of drawn and "
    "real boxes, the share of triangles that are triangles, of pictures with another number of things than asked for, "
    "and of triangles above their square; the slope of the triangle's top on the square's when the square alone is "
    "moved, and the largest difference of the gap's distribution from that of real pictures.",
    "roofs": "Scenes in which a triangle stands on its square, so that one who is not told its height has to look "
    "(notebook 5 of chapter 6). The same measures; the slope of a real triangle on its square is 1.",
    "glasses": "Heads and glasses of chapter 4's renderer, on black. Overlap of drawn and real boxes, of each by "
    "itself, of glasses put on real faces and of faces put behind real glasses; how much a face changes beside the "
    "glasses that are put on it; how much rims change when a face is put behind them (1: it is painted over them); the "
    "distance of glasses from the real ones' place, and from another picture's, in pixels; the slope of their place on "
    "the face's when the face alone is moved; and the Fréchet distance of whole pictures, in features of a network "
    "that was never trained.",
    "grounds": "Shapes on grounds of stripes, the ground an object like the others (§ 7.4). Fréchet distances, in "
    "features of a network that was never trained, of whole pictures to real ones and of grounds by themselves to real "
    "grounds; the share of such grounds that show more than one; how far they change along one direction alone (1: "
    "stripes); how much of them changes beside the boxes when shapes come; of each shape, put alone on real pictures, "
    "overlap of boxes and the share of the right class; and how much the rest of the picture changes.",
    "classes": 'Painters that are told boxes and not what is in them (§ 7.5.2, "unlabelled"). The share of what a '
    "painter draws that is of its own class, when each has another one (a third by chance); bits of what is "
    "drawn that the painter tells, and that the box tells (log₂ 3 = 1.58 at most); overlap of boxes with those of real "
    "things; the share of pictures that show one thing of each class, where three were asked for, and where no painter "
    "sees what the others have drawn.",
}


def page() -> str:
    """The measured tables, in Markdown."""
    parts = [part for name in TABLES for part in _part(name)]
    return "\n\n".join(["## Assembled pictures", *parts]) if parts else ""


def _part(name: str) -> list[str]:
    table = TABLES[name]
    measured = read_results("assemble", table.dataset)
    rows = [
        [title, *(_shown(measured[label]["values"].get(column)) for column in table.columns)]
        for label, title in table.rows.items()
        if label in measured
    ]
    origins = "\n".join(f"- **{label}** ({table.dataset}): {machine_of(row)}" for label, row in measured.items())
    return [_SAID[name], markdown(["model", *table.columns], rows), origins] if rows else []


def _shown(value: Mapping[str, Any] | None) -> str:
    return shown(value, digits=2) if value else "–"
