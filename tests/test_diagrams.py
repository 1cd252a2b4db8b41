"""Diagrams: what is drawn, and what is refused."""

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import diagrams  # noqa: E402

TWO = {
    "caption": "A & B",
    "alt": "x goes to <y>",
    "nodes": {"x": [0, 0, "a value *x*", "value"], "y": [2, 1, "net", "net"]},
    "edges": [["x", "y"]],
}


def box(node: ElementTree.Element) -> tuple[float, float, float, float]:
    rect = next(child for child in node if child.tag.endswith("rect"))
    x, y, width, height = (float(rect.get(name, "")) for name in ("x", "y", "width", "height"))
    return x, y, x + width, y + height


@pytest.mark.parametrize("name", list(diagrams.diagrams()))
def test_arrows_lead_from_border_to_border_inside_the_picture(name: str) -> None:
    diagram = diagrams.diagrams()[name]
    figure = ElementTree.fromstring(diagrams.drawn(name, diagram))
    svg = figure[0]
    _, _, width, height = map(float, svg.get("viewBox", "").split())
    groups = dict(zip(diagram["nodes"], [child for child in svg if child.tag.endswith(("}g", "}a"))], strict=True))
    boxes = {node: box(group) for node, group in groups.items()}
    assert all(left >= 0 and top >= 0 and right <= width and low <= height for left, top, right, low in boxes.values())
    lines = [child for child in svg if child.tag.endswith("}line")]
    for (start, end, *_), line in zip(diagram["edges"], lines, strict=True):
        for node, x, y in ((start, "x1", "y1"), (end, "x2", "y2")):
            left, top, right, low = boxes[node]
            px, py = float(line.get(x, "")), float(line.get(y, ""))
            outside = max(left - px, px - right, top - py, py - low)
            assert 0 < outside < 4, (start, end)
    assert svg.get("aria-label") == diagram["alt"]


@pytest.mark.parametrize("chapter", sorted(path.parent.name for path in (ROOT / "chapters").glob("*/index.md")))
def test_a_map_leads_to_every_notebook_of_its_chapter(chapter: str) -> None:
    name = f"map-{chapter[0]}"
    diagram = diagrams.diagrams()[name]
    assert diagram["chapter"] == chapter
    assert set(diagram["nodes"]) == {path.stem for path in (ROOT / "chapters" / chapter).glob("*.ipynb")}
    assert f"<!-- generated: diagram-{name} -->" in (ROOT / "chapters" / chapter / "index.md").read_text()
    svg = ElementTree.fromstring(diagrams.drawn(name, diagram))[0]
    assert svg.get("role") == "group"  # links inside of an image are hidden from screen readers
    links = {str(child.get("href")): str(child.get("aria-label")) for child in svg if child.tag.endswith("}a")}
    assert links == {f"{node}.html": text for node, (_, _, text, _) in diagram["nodes"].items()}


def test_letters_of_html_are_escaped_and_stars_are_italics() -> None:
    drawn = diagrams.drawn("two", TWO)
    assert "A &amp; B" in drawn
    assert "x goes to &lt;y&gt;" in drawn
    assert 'a value <tspan font-style="italic">x</tspan>' in drawn


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"edges": [["x", "z"]]}, "leads to z, which is no node"),
        ({"nodes": {"x": [0, 0, "x", "value"], "y": [0, 0, "y", "net"]}}, "in one place"),
        ({"nodes": {"x": [0, 0, "x", "cloud"], "y": [2, 1, "y", "net"]}}, "x is no node"),
        ({"nodes": {"x": [4, 0, "x", "value"], "y": [2, 1, "y", "net"]}}, "x is no node"),
        ({"nodes": {"x": [0, 0, "anunbreakableword", "value"], "y": [2, 1, "y", "net"]}}, "longer"),
        ({"nodes": {"x": [0, 0, "x", "value"], "y": [2, 0, "y", "net"], "m": [1, 0, "m", "net"]}}, "runs through m"),
        ({"title": "more"}, "caption, alt, nodes and edges"),
        ({"nodes": {"x": [0, 0, "x", "page"], "y": [2, 1, "y", "net"]}}, "x is no notebook of the chapter None"),
    ],
)
def test_what_cannot_be_drawn_is_named(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "diagrams.yml"
    path.write_text(yaml.safe_dump({"two": {**TWO, **change}}))
    with pytest.raises(diagrams.DiagramError, match=re.escape(said)):
        diagrams.diagrams(path)
