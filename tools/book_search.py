"""Sphinx extension: the search puts the page first that teaches a term, and shows excerpts from a disk, too.

Which page teaches what stands in ``book/glossary.yml``, of which the glossary page is made, too.
"""

import json
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING, Any

import yaml
from docutils import nodes  # type: ignore[import-untyped]
from sphinx import addnodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.config import Config

TEXTS = "search-texts.js"
# A browser gives no page to a script of a page on disk; the texts come as a script, to the search page alone.
_FROM_DISK = """
if (location.protocol === "file:" && location.pathname.endsWith("/search.html")) {
  const texts = new Promise((done) => addEventListener("load", () => {
    const script = document.createElement("script");
    script.src = document.documentElement.dataset.content_root + "_static/TEXTS";
    script.onload = script.onerror = () => done(globalThis.courseTexts || {});
    document.head.append(script);
  }));
  const root = new URL(document.documentElement.dataset.content_root, location).href;
  const inner = globalThis.fetch;
  globalThis.fetch = async (address, ...options) => {
    if (!String(address).endsWith(".html")) return inner(address, ...options);
    const page = new URL(address, location).href.slice(root.length).replace(/\\.html$/, "");
    const main = document.createElement("div");
    main.setAttribute("role", "main");
    main.textContent = (await texts)[page] || "";
    return { text: async () => main.outerHTML };
  };
}
"""
_SCORER = """
const taught = TAUGHT;
// Letters and numbers alone; plurals and the two spellings of "-ize" count as one.
const words = (text) => {
  const plain = text.toLowerCase().normalize("NFKD").replace(/\\p{M}/gu, "").replace(/[^\\p{L}\\p{N}]+/gu, " ");
  const folded = plain.trim().split(" ").map((word) => word.length > 3 ? word.replace(/([^s])s$/, "$1") : word);
  return " " + folded.join(" ").replace(/is(e[drs]?|ing|ation)\\b/g, "iz$1") + " ";
};
const close = (text) => words(text).replace(/ /g, "");
// The longest term among the words wins: "Gaussian mixture model" over "mixture".
const first = () => {
  const query = new URLSearchParams(location.search).get("q") || "";
  const asked = words(query);
  const found = Object.keys(taught).filter((term) => asked.includes(words(term)) || close(query) === close(term));
  return taught[found.sort((a, b) => b.length - a.length)[0]];
};
var Scorer = {
  score: ([page, title, anchor, description, score]) => score + (!anchor && page === first() ? 1000 : 0),
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
// A page that teaches what is asked for is found, whether it has every word of the question or not. Search is defined
// in another script, so it is changed once this one has run.
queueMicrotask(() => {
  if (typeof Search === "undefined") return;
  const inner = Search._performSearch;
  Search._performSearch = (...question) => {
    const results = inner(...question);
    const page = first();
    const { docnames, titles, filenames } = Search._index;
    const number = docnames.indexOf(page);
    if (number >= 0 && !results.some((result) => result[0] === page && !result[2])) {
      results.push([page, titles[number], "", null, 1000, filenames[number]]);
    }
    return results;
  };
});
// Where a browser keeps nothing, Sphinx's script would stop at the words it wants to have marked.
try {
  localStorage.setItem("course-probe", "1");
  localStorage.removeItem("course-probe");
} catch {
  const kept = new Map();
  const stand = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) };
  Object.defineProperty(window, "localStorage", { value: { ...stand, removeItem: (key) => kept.delete(key) } });
}
"""


def taught(glossary: Path) -> dict[str, str]:
    """The page that teaches each term, under all names that the glossary has for it."""
    entries = yaml.safe_load(glossary.read_text(encoding="utf-8"))
    return {name: entry["page"] for entry in entries for name in (entry["term"], *entry.get("also", ()))}


def write_scorer(app: "Sphinx", config: "Config") -> None:
    """Tell Sphinx's search which page is first."""
    terms = json.dumps(taught(Path(app.confdir) / "book" / "glossary.yml"), sort_keys=True)
    scorer = Path(app.doctreedir) / "scorer.js"
    scorer.parent.mkdir(parents=True, exist_ok=True)
    text = _SCORER.replace("TAUGHT", terms) + _FROM_DISK.replace("TEXTS", TEXTS)
    scorer.write_text(text, encoding="utf-8")
    config.html_search_scorer = str(scorer)


def add_keywords(app: "Sphinx", doctree: "nodes.document") -> None:
    """Let a page be found by all names of what it teaches, whether its text has them or not."""
    terms = taught(Path(app.confdir) / "book" / "glossary.yml")
    names = [name for name, page in terms.items() if page == app.env.docname]
    # Sphinx takes each of them as one word, so they are given word by word.
    if words := sorted({word.lower() for name in names for word in re.findall(r"\w+", name)}):
        doctree.append(nodes.meta(name="keywords", content=", ".join(words)))


def with_titles(app: "Sphinx", page: str) -> "nodes.document":
    """A page as it was read, with the titles of pages where it leads to them by name."""
    doctree = app.env.get_doctree(page)
    for link in doctree.findall(addnodes.pending_xref):
        target = normpath(PurePosixPath(page).parent / link["reftarget"]).lstrip("/")
        if link["reftype"] == "doc" and not link["refexplicit"] and target in app.env.titles:
            link.children = [nodes.Text(app.env.titles[target].astext())]
    return doctree


def write_texts(app: "Sphinx", exception: Exception | None) -> None:
    """The words of all pages, as one script."""
    if exception or app.builder.name != "html":
        return
    texts = {page: " ".join(with_titles(app, page).astext().split()) for page in sorted(app.env.found_docs)}
    script = Path(app.outdir) / "_static" / TEXTS
    script.write_text(f"globalThis.courseTexts = {json.dumps(texts, ensure_ascii=False)};\n", encoding="utf-8")


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("config-inited", write_scorer)
    app.connect("doctree-read", add_keywords)
    app.connect("build-finished", write_texts)
    return {"version": "1", "parallel_read_safe": True}
