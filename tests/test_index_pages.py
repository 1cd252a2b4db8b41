"""Gallery, claims and exercises: what is found in notebooks, and where it leads."""

import base64
import io
import sys
from pathlib import Path

import nbformat
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import index_pages  # noqa: E402


def picture(colours: list[str], side: int = 300) -> str:
    """Squares side by side, as letters of a PNG file."""
    whole = Image.new("RGBA", (side * len(colours), side))
    for n, colour in enumerate(colours):
        whole.paste(Image.new("RGBA", (side, side), colour), (n * side, 0))
    written = io.BytesIO()
    whole.save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


def figure(alt: str, colours: list[str], kind: str = "figure", more: str = "") -> nbformat.NotebookNode:
    images = "".join(
        f'<img class="on-{theme}" alt="{alt}" {more} src="data:image/png;base64,{picture(colours)}">'
        for theme in ("light", "dark")
    )
    return nbformat.v4.new_output("display_data", {"text/html": f'<div class="teachlib-{kind}">{images}</div>'})


def said(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def notebook(*cells: str | list[nbformat.NotebookNode]) -> bytes:
    """Text for Markdown, outputs for code."""
    made = [
        nbformat.v4.new_markdown_cell(cell) if isinstance(cell, str) else nbformat.v4.new_code_cell("", outputs=cell)
        for cell in cells
    ]
    return nbformat.writes(nbformat.v4.new_notebook(cells=made)).encode()


PAGE = "chapters/1-one/2-two.ipynb"
HOLDS = "scale ci, seed 0\n✓ the sum is\n  expected 1 ± 0.1, measured 1.02\n"
FAILS = "✗ as reported: faster\n  expected > 2, measured 1.5\n  does not hold here: the thread is one\n"
CONTENT = notebook(
    "# What *two* says\n\nWords.",
    [figure("A red_square.", ["red"]), said(HOLDS)],
    "## In a plane\n\nWords.\n\n### Why $x$?",
    [said(FAILS + "✓ twins: yours and teachlib's agree (largest difference 0.0e+00)\n")],
    "## Turn a number",
    [
        figure("A strip.", ["red", "blue", "green"], "slider", 'style="aspect-ratio:300/300"'),
        figure("A map.", ["red"], "demo"),
    ],
    "## Exercises\n\n**1. See.** Return $x$.",
    [],
    "<details>\n\nsolution\n\n</details>\n\n**2.** Return `y`.",
)


def page(name: str, cache: Path) -> tuple[str, dict[str, bytes]]:
    static = {f"book/{name}.md": f"# Title\n\n<!-- outputs: {name} -->\n\nEnd.\n".encode(), "_toc.yml": b""}
    found = index_pages.filled(static, {PAGE: CONTENT}, cache)
    text = found.pop(f"book/{name}.md").decode()
    assert text.startswith("# Title\n\n")
    assert text.endswith("\n\nEnd.\n")
    return text, found


def test_every_figure_has_an_entry_that_leads_to_its_section(tmp_path: Path) -> None:
    text, files = page("gallery", tmp_path)
    assert r"[A red\_square.](../chapters/1-one/2-two.ipynb#what-two-says)" in text
    assert "[A strip.](../chapters/1-one/2-two.ipynb#turn-a-number) *(with a slider)*" in text
    assert "[A map.](../chapters/1-one/2-two.ipynb#turn-a-number) *(runs in the page)*" in text
    shown = [name for name in files if Path(name).name in text]
    assert shown
    assert len(shown) == len(files)


def test_of_a_slider_the_gallery_shows_one_frame(tmp_path: Path) -> None:
    small = index_pages.thumbnail(picture(["red", "blue", "green"]), 1.0)
    with Image.open(io.BytesIO(small)) as opened:
        assert opened.size == (200, 200)
        assert opened.convert("RGB").getcolors() == [(200 * 200, (255, 0, 0))]
    with Image.open(io.BytesIO(index_pages.thumbnail(picture(["red", "blue"]), None))) as opened:
        assert opened.size == (200, 100)


def test_thumbnails_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = page("gallery", tmp_path)
    monkeypatch.setattr(index_pages, "thumbnail", None)
    assert page("gallery", tmp_path) == first


def test_every_claim_is_listed_with_its_numbers_and_those_that_fail_are_counted(tmp_path: Path) -> None:
    text, files = page("claims", tmp_path)
    assert not files
    assert "3 checks: 2 hold; 1 known not to hold" in text
    assert (
        "- ✓ the sum is (expected 1 ± 0.1, measured 1.02) [What *two* says](../chapters/1-one/2-two.ipynb#what-" in text
    )
    assert (
        "- ✗ faster (expected \\> 2, measured 1.5; does not hold here: the thread is one) [there](../chapters" in text
    )
    assert "- ✓ twins: yours and teachlib's agree (largest difference 0.0e+00) [there]" in text


def test_every_exercise_is_listed_and_solutions_are_not(tmp_path: Path) -> None:
    text, _ = page("exercises", tmp_path)
    assert "## [What *two* says](../chapters/1-one/2-two.ipynb#exercises)" in text
    assert "- **1.** See. Return $x$.\n- **2.** Return `y`.\n" in text
    assert "solution" not in text


def test_pages_without_such_a_line_are_left_alone(tmp_path: Path) -> None:
    assert index_pages.filled({"book/one.md": b"# One\n", "x.bin": b"\xff"}, {PAGE: CONTENT}, tmp_path) == {}
