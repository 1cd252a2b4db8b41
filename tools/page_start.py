"""Sphinx extension: below the title of a notebook, how long it takes to read."""

from typing import TYPE_CHECKING, Any

from docutils import nodes  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from sphinx.application import Sphinx

WORDS = 200  # read in a minute; what is not prose, code and formulas on lines of their own, has its own pace


def minutes(doctree: "nodes.document") -> int:
    """That a page's sentences take."""
    words = sum(len(paragraph.astext().split()) for paragraph in doctree.findall(nodes.paragraph))
    return max(1, round(words / WORDS))


def add_start(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Put a line below the title of a chapter's notebook."""
    if doctree is None or not page.startswith("chapters/") or page.endswith("/index"):
        return
    took = minutes(doctree)
    line = f'<p class="course-reading">About {took} minute{"s" * (took > 1)} to read, code aside.</p>'
    context["body"] = context["body"].replace("</h1>", f"</h1>\n{line}", 1)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("html-page-context", add_start, priority=600)
    return {"version": "1", "parallel_read_safe": True}
