"""Pages about all notebooks: their figures, their claims, their exercises, each with a link to where it stands.

A page of Markdown says where by a line ``<!-- outputs: NAME -->``, NAME of :data:`INDICES`. What is written there comes
from the notebooks as they were run for this book.
"""

import base64
import html
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
from mdit_py_plugins.anchors.index import slugify
from notebooks import digest, write_cache
from PIL import Image

LINE = re.compile(r"^<!-- outputs: (?P<name>\w+) -->$", re.MULTILINE)
GALLERY = "_assets/gallery"
_WIDTH = 200  # of a picture in the gallery, in pixels
_PICTURES = re.compile(r'<img class="on-(?:light|dark)".*?src="data:image/png;base64,([^"]+)"', re.DOTALL)
_ALT = re.compile(r' alt="([^"]*)"')
_FRAME = re.compile(r"aspect-ratio:(\d+)/(\d+)")  # of a slider's picture, which holds all its frames side by side
_CLAIM = re.compile(r"^(?P<mark>✓|✗ as reported:) (?P<claim>.+)\n(?P<numbers>(?:  .+\n?)*)", re.MULTILINE)
_HEADING = re.compile(r"^(#{1,4}) (.+)$", re.MULTILINE)
_EXERCISE = re.compile(r"^\*\*(?P<number>\d+)\.(?P<title>[^*]*)\*\*(?P<text>.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A part of a notebook that has a heading, and the cells below it."""

    page: str
    heading: str
    cells: tuple[nbformat.NotebookNode, ...]

    @property
    def plain(self) -> bool:
        """Whether its heading is text alone; what an anchor makes of formulas and code is not worth knowing."""
        return not re.search(r"[$`\[<]", self.heading)

    @property
    def link(self) -> str:
        """To it, from a page of the folder ``book``."""
        return f"../{self.page}" + (f"#{slugify(self.heading)}" if self.plain else "")

    @property
    def named(self) -> str:
        """The link, under the heading's words."""
        return f"[{self.heading if self.plain else 'there'}]({self.link})"


def sections(page: str, content: bytes) -> list[Section]:
    """Of a notebook, in order; the first one has its title."""
    found: list[tuple[str, list[nbformat.NotebookNode]]] = []
    for cell in nbformat.reads(content.decode(), as_version=4).cells:
        headings = _HEADING.findall(cell.source) if cell.cell_type == "markdown" else []
        found += [(heading.strip(), []) for _, heading in headings]
        if found:
            found[-1][1].append(cell)
    return [Section(page, heading, tuple(cells)) for heading, cells in found]


def _shown(cells: tuple[nbformat.NotebookNode, ...]) -> Iterator[tuple[str, str]]:
    """Kind and HTML of each figure: a picture, a slider or a demo."""
    for cell in cells:
        for output in cell.get("outputs", []):
            content = output.get("data", {}).get("text/html", "")
            kind = re.match(r'<div class="teachlib-(figure|slider|demo)"', content)
            if kind and _PICTURES.search(content):
                yield {"figure": "", "slider": "with a slider", "demo": "runs in the page"}[kind[1]], content


def thumbnail(encoded: str, frame: float | None) -> bytes:
    """A small picture: of a slider's strip, the first frame.

    Args:
        encoded: a PNG file, as letters.
        frame: width over height of a frame; ``None``: the picture is one.
    """
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as opened:
        whole = opened.convert("RGBA")
    if frame:
        whole = whole.crop((0, 0, min(whole.width, round(whole.height * frame)), whole.height))
    whole.thumbnail((_WIDTH, _WIDTH), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    whole.quantize(64, method=Image.Quantize.FASTOCTREE).save(written, "PNG", optimize=True)
    return written.getvalue()


def _small(encoded: str, frame: float | None, cache: Path) -> tuple[str, bytes]:
    """Name and content of a thumbnail, made once."""
    name = f"{digest([(str(_WIDTH), encoded.encode())])[:16]}.png"
    kept = cache / name
    if not kept.is_file():
        write_cache(kept, thumbnail(encoded, frame))
    return name, kept.read_bytes()


def gallery(every: list[list[Section]], cache: Path) -> tuple[str, dict[str, bytes]]:
    """All figures, a line each with what they show; pictures that are in the folder ``cache`` are not made again."""
    lines: list[str] = []
    files: dict[str, bytes] = {}
    for of_page in every:
        entries = []
        for section in of_page:
            for kind, content in _shown(section.cells):
                frame = _FRAME.search(content)
                shape = int(frame[1]) / int(frame[2]) if frame else None
                small = [_small(picture, shape, cache) for picture in _PICTURES.findall(content)[:2]]
                files |= {f"{GALLERY}/{name}": picture for name, picture in small}
                described = _ALT.search(content)
                entries.append(
                    _entry(
                        section.link,
                        [name for name, _ in small],
                        html.unescape(described[1]) if described else "",
                        kind,
                    )
                )
        if entries:
            lines += [f"## [{of_page[0].heading}](../{of_page[0].page})\n", "::::{grid} 1 2 3 3", *entries, "::::\n"]
    return "\n".join(lines), files


def _entry(link: str, names: list[str], described: str, kind: str) -> str:
    pictures = "".join(
        f'<img class="only-{theme}" loading="lazy" alt="" role="presentation" src="../_static/gallery/{name}">'
        for theme, name in zip(("light", "dark"), names, strict=True)
    )
    more = f" *({kind})*" if kind else ""
    return f":::{{grid-item}}\n```{{raw}} html\n{pictures}\n```\n[{_escaped(described)}]({link}){more}\n:::"


def _escaped(text: str) -> str:
    """Text of an output, as Markdown shows it unchanged."""
    return re.sub(r"([\\`*_\[\]<>$#|~])", r"\\\1", text)


def claims(every: list[list[Section]], _: Path) -> tuple[str, dict[str, bytes]]:
    """All checks of the notebooks, and the numbers that they came out with."""
    lines, total, failed = [], 0, 0
    for of_page in every:
        found = [(section, claim) for section in of_page for claim in _claims(section.cells)]
        total, failed = total + len(found), failed + sum(claim["mark"] != "✓" for _, claim in found)
        if found:
            lines += [f"\n## [{of_page[0].heading}](../{of_page[0].page})\n"]
            lines += [f"- {_claimed(claim)} {section.named}" for section, claim in found]
    said = f"{total} checks: {total - failed} hold; {failed} known not to hold, each with the reason."
    return "\n".join([said, *lines]), {}


def _claims(cells: tuple[nbformat.NotebookNode, ...]) -> Iterator[re.Match[str]]:
    for cell in cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stdout":
                yield from _CLAIM.finditer(output.text)


def _claimed(claim: re.Match[str]) -> str:
    numbers = "; ".join(line.strip() for line in claim["numbers"].splitlines())
    mark = "✓" if claim["mark"] == "✓" else "✗"
    return f"{mark} {_escaped(claim['claim'])}" + (f" ({_escaped(numbers)})" if numbers else "")


def exercises(every: list[list[Section]], _: Path) -> tuple[str, dict[str, bytes]]:
    """All exercises, by their first lines."""
    lines = []
    for of_page in every:
        found = [
            (section, match)
            for section in of_page
            if section.heading == "Exercises"
            for cell in section.cells
            if cell.cell_type == "markdown"
            for match in _EXERCISE.finditer(cell.source)
        ]
        if found:
            lines += [f"\n## [{of_page[0].heading}]({found[0][0].link})\n"]
            lines += [f"- **{match['number']}.**{match['title']} {match['text'].strip()}" for _, match in found]
    return "\n".join(lines), {}


INDICES: dict[str, Callable[[list[list[Section]], Path], tuple[str, dict[str, bytes]]]] = {
    "gallery": gallery,
    "claims": claims,
    "exercises": exercises,
}


def filled(static: Mapping[str, bytes], outputs: Mapping[str, bytes], cache: Path) -> dict[str, bytes]:
    """Pages that have such a line, with what belongs there, and the pictures that they show.

    Args:
        static: name → content of what is staged, pages among it.
        outputs: name → content of the notebooks with their outputs, in reading order.
        cache: keeps what takes long.
    """
    every: list[list[Section]] = []
    changed: dict[str, bytes] = {}
    for name, content in static.items():
        text = content.decode() if Path(name).suffix == ".md" else ""
        if not (line := LINE.search(text)):
            continue
        every = every or [sections(page, notebook) for page, notebook in outputs.items()]
        written, files = INDICES[line["name"]](every, cache)
        start, end = line.span()
        changed |= {**files, name: f"{text[:start]}{written}{text[end:]}".encode()}
    return changed
