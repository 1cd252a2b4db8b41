"""Sphinx extension: what stands at the end of a page: where to go next, pages that are like it, a mark "read"."""

import re
from html import escape
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from docutils import nodes  # type: ignore[import-untyped]
from sklearn.feature_extraction.text import TfidfVectorizer

if TYPE_CHECKING:
    from sphinx.application import Sphinx

RELATED = 3
SIMILAR = 0.05  # cosine of two pages' words, below which they are not called related
LEAD = 220  # letters
# Lists of everything are like every page, and pages of signatures like no other.
LISTS = re.compile(
    r"book/(gallery|claims|exercises|changelog|bibliography|glossary|notation|thesis-map|errata|paper-vs-measured"
    r"|library-reference|reference-.*|misconceptions|teaching)"
)


def lead(doctree: "nodes.document") -> str:
    """The first sentence of a page; empty where it begins with something else."""
    paragraph = next(
        (node for node in doctree.findall(nodes.paragraph) if isinstance(node.parent, nodes.section)), None
    )
    if paragraph is None or paragraph.next_node(nodes.math) is not None:
        return ""
    sentence = re.match(r".*?[.?!:](?=\s+[^a-z\d]|$)", " ".join(paragraph.astext().split()))
    return sentence[0].replace(":", ".") if sentence and len(sentence[0]) <= LEAD else ""


def related(texts: dict[str, str]) -> dict[str, list[str]]:
    """For each page the pages of other places whose words are most like its own, the nearest first."""
    pages = [page for page in texts if not LISTS.fullmatch(page) and PurePosixPath(page).name != "index"]
    words = TfidfVectorizer(stop_words="english", sublinear_tf=True, token_pattern=r"(?u)\b[^\W\d_]{3,}\b", max_df=0.6)
    vectors = words.fit_transform(texts[page] for page in pages)
    likeness = (vectors @ vectors.T).toarray()
    found = {}
    for index, page in enumerate(pages):
        near = (int(other) for other in np.argsort(-likeness[index], kind="stable"))
        found[page] = [pages[other] for other in near if other != index and likeness[index, other] >= SIMILAR]
    return found


def prose(doctree: "nodes.document") -> str:
    """What a page says in sentences, its headings three times; no code, and nothing that code has printed."""
    titles = [node.astext() for node in doctree.findall(nodes.title)]
    return " ".join([*titles * 3, *(node.astext() for node in doctree.findall(nodes.paragraph))])


class Ends:
    """The ends of all pages of one build."""

    def __init__(self, app: "Sphinx") -> None:
        self.app = app
        self.related: dict[str, list[str]] | None = None

    def forget(self, *_: object) -> None:
        """Look at the pages again: they may have changed."""
        self.related = None

    def add(self, app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
        """Put the end below what an author wrote."""
        if doctree is None:
            return
        if self.related is None:
            self.related = related({name: prose(app.env.get_doctree(name)) for name in sorted(app.env.found_docs)})
        _, before, after = app.builder.relations.get(page, (None, None, None))  # type: ignore[attr-defined]
        near = [other for other in self.related.get(page, ()) if other not in (before, after)][:RELATED]
        lines = []
        if after:
            stop = "" if app.env.titles[after].astext().endswith("?") else "."
            lines.append(f"<p>{self.link(page, after)}{stop} {escape(lead(app.env.get_doctree(after)))}</p>")
        if near:
            links = ", ".join(self.link(page, other) for other in near)
            lines.append(f"<p>Related: {links}</p>")
        mark = f'<div class="course-progress" data-page="{escape(page)}" data-pages="{len(app.env.found_docs)}"></div>'
        heading = '<p class="rubric" id="what-next">What next</p>' if lines else ""
        label = ' aria-labelledby="what-next"' if lines else ' aria-label="Progress"'
        context["body"] += f'<nav class="course-end"{label}>{heading}{"".join(lines)}{mark}</nav>'

    def link(self, page: str, other: str) -> str:
        """A link from one page to another, by its title."""
        title = escape(self.app.env.titles[other].astext())
        return f'<a href="{escape(self.app.builder.get_relative_uri(page, other))}">{title}</a>'


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register with Sphinx."""
    ends = Ends(app)
    app.connect("env-updated", ends.forget)
    app.connect("html-page-context", ends.add, priority=600)  # after the link to report an erratum
    app.add_js_file("progress.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True}
