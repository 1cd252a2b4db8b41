"""Sphinx extension: what stands at the end of a page: where to go next, pages that are like it, a mark "read"."""

import re
from html import escape
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from book_search import with_titles
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
    r"|library-reference|reference/.*|misconceptions|teaching)"
)


def lead(doctree: "nodes.document") -> str:
    """The first sentence of a page; empty where it begins with something else."""
    paragraph = next(
        (node for node in doctree.findall(nodes.paragraph) if isinstance(node.parent, nodes.section)), None
    )
    if paragraph is None or paragraph.next_node(nodes.math) is not None:
        return ""
    sentence = re.match(r".*?[.?!:](?=\s+[^a-z\d]|$)", " ".join(paragraph.astext().split()))
    return sentence[0] if sentence and not sentence[0].endswith(":") and len(sentence[0]) <= LEAD else ""


def related(texts: dict[str, str]) -> dict[str, list[str]]:
    """For each page the pages of other places whose words are most like its own, the nearest first."""
    pages = [page for page in texts if not LISTS.fullmatch(page) and PurePosixPath(page).name != "index"]
    words = TfidfVectorizer(stop_words="english", sublinear_tf=True, token_pattern=r"(?u)\b[^\W\d_]{3,}\b", max_df=0.6)
    try:
        vectors = words.fit_transform(texts[page] for page in pages)
    except ValueError:  # of a few pages every word is on most
        return {}
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


def ends(app: "Sphinx") -> dict[str, str]:
    """What stands at the end of each page, as HTML."""
    env = app.env
    doctrees = {page: with_titles(app, page) for page in sorted(env.found_docs)}
    near = related({page: prose(doctree) for page, doctree in doctrees.items()})
    found = {}
    for page, (_, before, after) in env.collect_relations().items():
        lines = []
        if after:
            stop = "" if env.titles[after].astext().endswith("?") else "."
            lines.append(f"<p>{_link(app, page, after)}{stop} {escape(lead(doctrees[after]))}</p>")
        others = [other for other in near.get(page, ()) if other not in (before, after)][:RELATED]
        if others:
            items = "".join(f"<li>{_link(app, page, other)}</li>" for other in others)
            lines.append(f"<p>Related pages:</p><ul>{items}</ul>")
        mark = f'<div class="course-progress" data-page="{escape(page)}"></div>'
        heading = '<p class="rubric" id="what-next">What next</p>' if lines else ""
        label = ' aria-labelledby="what-next"' if lines else ' aria-label="Progress"'
        found[page] = f'<nav class="course-end"{label}>{heading}{"".join(lines)}{mark}</nav>'
    return found


def _link(app: "Sphinx", page: str, other: str) -> str:
    title = escape(app.env.titles[other].astext())
    return f'<a href="{escape(app.builder.get_relative_uri(page, other))}">{title}</a>'


def renew(app: "Sphinx", env: Any) -> list[str]:
    """Work out the ends of all pages, and have those written whose end is another, their own text changed or not."""
    if app.builder.format != "html":
        return []
    before, env.course_ends = getattr(env, "course_ends", {}), ends(app)
    return [page for page, end in env.course_ends.items() if before.get(page) != end]


def add_end(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Put the end below what an author wrote."""
    if doctree is not None:
        context["body"] += app.env.course_ends.get(page, "")  # type: ignore[attr-defined]


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("env-updated", renew)
    app.connect("html-page-context", add_end, priority=600)  # after the link to report an erratum
    app.add_js_file("progress.js", loading_method="defer")
    return {"version": "1", "parallel_read_safe": True}
