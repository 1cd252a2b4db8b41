"""Pictures of what is made of what, drawn as SVG in the page's own colours, from ``book/diagrams.yml``."""

import math
import re
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml
from page_error import PageError

ROOT = Path(__file__).resolve().parent.parent
COLUMN, ROW = 138, 74  # from middle to middle, in units of the drawing: pixels on a desk
WIDTH, HEIGHT = 112, 44
MARGIN = 4
LETTERS = 15  # of a line in a node
KINDS = ("value", "net", "loss", "page")
COLUMNS = 4  # more would be too small on a phone


class DiagramError(PageError):
    """A diagram that cannot be drawn, in words for its author."""


Point = tuple[float, float]


def diagrams(path: Path = ROOT / "book" / "diagrams.yml") -> dict[str, dict[str, Any]]:
    """All diagrams, each looked over.

    Raises:
        DiagramError: a node that is no node, two in one place, too long a word, or an arrow through a third node.
    """
    return _looked_over(path.name, path.read_text(encoding="utf-8"))


@cache  # eighteen pages ask for one diagram each
def _looked_over(file: str, text: str) -> dict[str, dict[str, Any]]:
    """The diagrams of a file's text."""
    try:
        found: dict[str, dict[str, Any]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DiagramError(f"{file} is no YAML: {error}") from error
    for name, diagram in found.items():
        if set(diagram) - {"chapter"} != {"caption", "alt", "nodes", "edges"}:
            raise DiagramError(
                f"{name}: a diagram has caption, alt, nodes and edges, and a map of a chapter its folder"
            )
        for node, (column, row, text, kind) in diagram["nodes"].items():
            if kind not in KINDS or not 0 <= column < COLUMNS or row < 0:
                raise DiagramError(
                    f"{name}: {node} is no node: kinds are {', '.join(KINDS)}, columns 0 to {COLUMNS - 1}"
                )
            if kind == "page" and not (ROOT / "chapters" / diagram.get("chapter", "") / f"{node}.ipynb").is_file():
                raise DiagramError(f"{name}: {node} is no notebook of the chapter {diagram.get('chapter')}")
            if len(lines := wrapped(text)) > 2 or max(map(_letters, lines)) > LETTERS:
                raise DiagramError(f"{name}: {node} has two lines of {LETTERS} letters, and '{text}' is longer")
        places = [tuple(node[:2]) for node in diagram["nodes"].values()]
        if len(set(places)) < len(places):
            raise DiagramError(f"{name}: two nodes lie in one place")
        for start, end, *_ in diagram["edges"]:
            for missing in {start, end} - set(diagram["nodes"]):
                raise DiagramError(f"{name}: an arrow leads to {missing}, which is no node")
            for other in set(diagram["nodes"]) - {start, end}:
                if _crosses(*(_middle(diagram["nodes"][node]) for node in (start, end, other))):
                    raise DiagramError(f"{name}: the arrow from {start} to {end} runs through {other}")
    return found


def wrapped(text: str) -> list[str]:
    """The lines of a node, at most LETTERS each where words allow it; stars, which set italics, count for nothing."""
    lines: list[str] = []
    for word in text.split():
        if lines and _letters(f"{lines[-1]} {word}") <= LETTERS:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _letters(text: str) -> int:
    return len(text.replace("*", ""))


def _middle(node: list[Any]) -> Point:
    return MARGIN + WIDTH / 2 + node[0] * COLUMN, MARGIN + HEIGHT / 2 + node[1] * ROW


def _crosses(start: Point, end: Point, middle: Point) -> bool:
    """Whether the line meets the box round ``middle``, looked at in small steps."""
    steps = [n / 200 for n in range(201)]
    points = [(start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])) for t in steps]
    return any(abs(x - middle[0]) < WIDTH / 2 + 2 and abs(y - middle[1]) < HEIGHT / 2 + 2 for x, y in points)


def _border(start: Point, end: Point, gap: float) -> Point:
    """Where the line from the middle of a box leaves it, ``gap`` further on."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    share = min(abs(WIDTH / 2 / dx) if dx else math.inf, abs(HEIGHT / 2 / dy) if dy else math.inf)
    share += gap / math.hypot(dx, dy)
    return start[0] + share * dx, start[1] + share * dy


def _arrow(start: Point, end: Point, marker: str) -> str:
    (x1, y1), (x2, y2) = _border(start, end, 1), _border(end, start, 3)
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" marker-end="url(#{marker})"/>'


def _text(text: str, x: float, y: float) -> str:
    lines = wrapped(text)
    parts = []
    for number, line in enumerate(lines):
        height = y + 4.5 + 15 * (number - (len(lines) - 1) / 2)
        words = re.sub(r"\*(.+?)\*", r'<tspan font-style="italic">\1</tspan>', escape(line))
        parts.append(f'<text x="{x:g}" y="{height:g}">{words}</text>')
    return "".join(parts)


def _node(name: str, node: list[Any]) -> str:
    (x, y), kind = _middle(node), node[3]
    box = f'x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" height="{HEIGHT}"'
    inside = f'<rect {box} rx="{HEIGHT / 2 if kind == "value" else 5:g}"/>{_text(node[2], x, y)}'
    if kind != "page":
        return f'<g class="{kind}">{inside}</g>'
    return f'<a class="{kind}" href="{name}.html" aria-label="{escape(node[2])}">{inside}</a>'


def drawn(name: str, diagram: dict[str, Any]) -> str:
    """A diagram as HTML, with its caption and what it shows in words."""
    nodes = diagram["nodes"]
    width = 2 * MARGIN + WIDTH + COLUMN * max(node[0] for node in nodes.values())
    height = 2 * MARGIN + HEIGHT + ROW * max(node[1] for node in nodes.values())
    marker = f"arrow-{name}"
    arrows = "".join(_arrow(_middle(nodes[a]), _middle(nodes[b]), marker) for a, b in diagram["edges"])
    head = f'<marker id="{marker}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    head += '<path d="M0,0 8,4 0,8z"/></marker>'
    boxes = "".join(_node(name, node) for name, node in nodes.items())
    # What is inside an image is hidden from screen readers, so that a map, whose boxes are links, is a group.
    words = f'role="{"group" if "chapter" in diagram else "img"}" aria-label="{escape(diagram["alt"])}"'
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {words} viewBox="0 0 {width} {height}" width="{width}">'
        f"<defs>{head}</defs>{arrows}{boxes}</svg>"
    )
    return f'<figure class="course-diagram">{picture}<figcaption>{escape(diagram["caption"])}</figcaption></figure>'


def diagram(name: str) -> str:
    """What a page's line ``<!-- generated: diagram-NAME -->`` becomes."""
    found = diagrams()
    if name not in found:
        raise DiagramError(f"no diagram {name}; book/diagrams.yml has: {', '.join(found)}")
    return f"```{{raw}} html\n{drawn(name, found[name])}\n```"
