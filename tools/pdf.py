"""Print the rendered book as one document: contents with page numbers, the pages in reading order, all solutions last.

    .venv/bin/python tools/pdf.py

Chromium prints; the result is ``_build/course.pdf``.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from html import escape
from importlib.metadata import version
from pathlib import Path
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page, sync_playwright
from pypdf import PdfReader
from pypdf.errors import PyPdfError
from staging import BookError, toc_depths

from book import ROOT, Book, of_whole_book, read_stamp, whole

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Three hundred sheets of signatures, and a second copy of every figure, help nobody on paper.
LEFT_OUT = re.compile("book/(gallery|library-reference|reference/.*)")
ASIDE = ("Solution", "Answer")
LAST = "solutions"
POINTING = ("for", "aria-labelledby", "aria-describedby", "aria-controls")
PATIENCE = 900_000  # milliseconds: more than a thousand formulas are set at once
# What only a screen can use, the other theme's pictures, what scripts would write, and links to their own heading.
SCREEN = (
    "script, .headerlink, .on-dark, .teachlib-live, .teachlib-demo .offer, .teachlib-slider input, "
    ".teachlib-slider button, .viewcode-link, .erratum, .sd-tab-set > input, .toctree-wrapper, .course-end"
)
FOOTER = '<p style="width:100%;margin:0;text-align:center;font:8pt serif"><span class="pageNumber"></span></p>'


def anchor(page: str, name: str = "") -> str:
    """Where a page of the book, or a place on it, stands in the one document."""
    return re.sub(r"\W", "-", page) + (f"--{name}" if name else "")


def article(html: Path, page: str) -> Tag:
    """What an author wrote on a page, without what belongs to a screen.

    Raises:
        BookError: the page was not rendered.
    """
    source = html / f"{page}.html"
    if not source.is_file():
        raise BookError(f"{source} is missing: build the book first, 'make book'")
    found = BeautifulSoup(source.read_text(encoding="utf-8"), "html.parser").find("article")
    if not isinstance(found, Tag):
        raise BookError(f"{source} has no article; the theme has changed, and tools/pdf.py should follow")
    for node in found.select(SCREEN):
        node.decompose()
    return found


def joined(part: Tag, page: str, pages: Mapping[str, int]) -> None:
    """Make anchors of a page unique in the whole, point its links there, and its pictures to where they lie."""
    for node in part.find_all(True):
        for key, value in list(node.attrs.items()):
            if key == "id":
                node[key] = anchor(page, str(value))
            elif key in POINTING:
                node[key] = " ".join(anchor(page, name) for name in str(value).split())
            elif isinstance(value, str) and "url(#" in value:  # heads of arrows
                node[key] = re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{anchor(page, found[1])})", value)
    for node in part.find_all("a", href=True):
        target = urlsplit(str(node["href"]))
        if target.scheme or target.netloc:
            continue
        path = normpath(f"{page}/../{unquote(target.path)}") if target.path else f"{page}.html"
        name = path.removesuffix(".html")
        if name in pages:
            node["href"] = "#" + anchor(name, unquote(target.fragment))
        else:  # a file to load, an index: not in print
            node.unwrap()
    for node in part.find_all(src=True):
        if not str(node["src"]).startswith("data:"):
            node["src"] = "html/" + normpath(f"{page}/../{node['src']}")


def lowered(part: Tag, depth: int) -> None:
    """Headings as deep as the page lies in the contents, so that the document has one outline."""
    for node in part.find_all(re.compile("^h[1-6]$")):
        node.name = f"h{min(6, int(node.name[1]) + depth)}"


def set_aside(soup: BeautifulSoup, part: Tag, page: str, title: str) -> Tag | None:
    """Take the solutions out of a page and return them under its title; ``None``: it has none."""
    folded = [(node, node.summary) for node in part.find_all("details")]
    found = [(node, said) for node, said in folded if said is not None and said.get_text() in ASIDE]
    if not found:
        return None
    section = soup.new_tag("section")
    heading = soup.new_tag("h2")
    heading.string = title
    section.append(heading)
    for number, (node, said) in enumerate(found, 1):
        here, there = anchor(page, f"exercise-{number}"), anchor(page, f"solution-{number}")
        kind = said.extract().get_text()
        node.replace_with(_link(soup, f"{kind} {number}: among the solutions, at the end", there, here))
        node.name = "div"
        node.insert(0, _link(soup, f"{kind} {number}", here, there))
        section.append(node)
    return section


def _link(soup: BeautifulSoup, text: str, to: str, name: str) -> Tag:
    line = soup.new_tag("p", attrs={"id": name, "class": "aside"})
    link = soup.new_tag("a", href=f"#{to}")
    link.string = text
    line.append(link)
    return line


def head(html: Path, pages: Sequence[str]) -> str:
    """The styles of the book, and the scripts that set its formulas, from a page that has some."""
    texts = ((page, (html / f"{page}.html").read_text(encoding="utf-8")) for page in pages)
    page, text = next((found for found in texts if "window.MathJax" in found[1]), (pages[0], ""))
    lines = []
    for node in BeautifulSoup(text.partition("</head>")[0], "html.parser").select('link[rel="stylesheet"], script'):
        key = "href" if node.name == "link" else "src"
        if node.get(key):
            node[key] = "html/" + normpath(f"{page}/../{node[key]}")
        if node.name == "link" or "mathjax/es5" in str(node.get("src")) or "window.MathJax" in node.get_text():
            lines.append(str(node))
    return "\n".join(lines)


@dataclass
class Whole:
    """The parts of the one document, gathered page by page."""

    soup: BeautifulSoup = field(default_factory=lambda: BeautifulSoup("", "html.parser"))
    bodies: list[str] = field(default_factory=list)
    solutions: list[str] = field(default_factory=list)
    contents: list[tuple[str, str, int]] = field(default_factory=list)

    def add(self, name: str, title: str, depth: int, body: str) -> None:
        """Begin a sheet, and a line of the contents."""
        self.contents.append((name, title, depth))
        self.bodies.append(f'<section class="sheet" id="{name}">{body}</section>')


def document(book: Book) -> str:
    """The whole course as one HTML page that stands beside the folder ``html``.

    Raises:
        BookError: a page is missing.
    """
    pages = {page: depth for page, depth in toc_depths(ROOT).items() if not LEFT_OUT.fullmatch(page)}
    gathered = Whole()
    for page, depth in pages.items():
        part = article(book.html, page)
        title = part.h1.get_text().strip() if part.h1 else page
        joined(part, page, pages)
        if aside := set_aside(gathered.soup, part, page, title):
            gathered.solutions.append(str(aside))
        lowered(part, depth)
        for node in part.find_all("details"):  # what a screen folds away
            node["open"] = ""
        gathered.add(anchor(page), title, depth, part.decode_contents())
    if gathered.solutions:
        gathered.add(LAST, "Solutions and answers", 0, "<h1>Solutions and answers</h1>" + "".join(gathered.solutions))
    return _PAGE.format(
        head=head(book.html, list(pages)),
        version=escape(version("teachlib")),
        scale=escape(read_stamp(book).get("scale", "unknown")),
        lines="\n".join(_line(*line) for line in gathered.contents),
        body="\n".join(gathered.bodies),
    )


def _line(name: str, title: str, depth: int) -> str:
    """A line of the contents; its number is known only when all is printed once."""
    return f'<li class="depth-{depth}"><a href="#{name}">{escape(title)}</a><span class="number">0000</span></li>'


_PAGE = """<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">
<title>Reining in the Deep Generative Models: an executable course</title>
{head}
<style>
html, body {{ font-size: 10pt; background: #fff; }}
body {{ margin: 0; display: block; }}
.bd-article {{ padding: 0; font-size: 10pt; line-height: 1.45; }}
.sheet {{ break-before: page; }}
h1, h2, h3, h4, h5, h6 {{ break-after: avoid; }}
pre, code {{ white-space: pre-wrap !important; overflow-wrap: anywhere; overflow: visible !important; }}
pre {{ font-size: 7.8pt !important; line-height: 1.35; padding: 4pt 6pt !important; }}
:is(img, svg, canvas, mjx-container[display="true"], figure, tr) {{ break-inside: avoid; }}
img, svg {{ max-width: 100% !important; max-height: 230mm; }}
table {{ font-size: 8pt; display: table !important; width: auto !important; max-width: 100% !important; }}
:is(th, td) {{ white-space: normal !important; overflow-wrap: anywhere; padding: 2pt 4pt !important; }}
div, section {{ overflow: visible !important; max-height: none !important; }}
details > summary {{ list-style: none; font-weight: bold; }}
.aside {{ font-weight: bold; margin-top: 8pt; }}
.titles {{ height: 240mm; display: grid; align-content: center; text-align: center; }}
.lines {{ list-style: none; padding: 0; }}
.lines li {{ display: flex; gap: 4pt; align-items: baseline; break-inside: avoid; }}
.lines li.depth-0 {{ font-weight: bold; margin-top: 4pt; }}
.lines li.depth-1 {{ padding-left: 14pt; }}
.lines li a {{ text-decoration: none; color: inherit; }}
.lines li .number {{ margin-left: auto; min-width: 24pt; text-align: right; }}
</style></head>
<body><div class="bd-article">
<div class="titles"><div><p style="font-size:24pt;line-height:1.2">Reining in the Deep Generative Models</p>
<p style="font-size:14pt">an executable course</p>
<p>teachlib {version}; notebooks run at scale {scale}</p>
<p>An independent course on Partha Ghosh’s doctoral thesis (Tübingen, 2022). Text: CC BY 4.0. Code: MIT.</p></div></div>
<section class="sheet"><p style="font-size:18pt">Contents</p><ul class="lines">
{lines}
</ul></section>
{body}
</div></body></html>
"""


def browser() -> str:
    """The path of a Chromium.

    Raises:
        BookError: there is none.
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise BookError(f"no browser to print with; install Chromium ({', '.join(BROWSERS)} were looked for)")
    return found


def page_numbers(file: Path) -> dict[str, int]:
    """On which sheet, from 1, each anchor that is linked to stands."""
    reader = PdfReader(file)
    found = {}
    for name, place in reader.named_destinations.items():
        number = reader.get_destination_page_number(place)
        if number is not None:
            found[name.removeprefix("/")] = number + 1
    return found


def printed(source: Path, file: Path) -> int:
    """Print a page twice, the second time with the numbers that the first gave; returns how many sheets it has.

    Raises:
        BookError: the browser failed.
    """
    flags = ["--no-sandbox", "--allow-file-access-from-files"]
    try:
        with sync_playwright() as driver, driver.chromium.launch(executable_path=browser(), args=flags) as chromium:
            page = chromium.new_page()
            page.set_default_timeout(PATIENCE)
            page.goto(source.as_uri(), timeout=PATIENCE)
            page.evaluate("window.MathJax?.startup?.promise")
            _print(page, file)
            page.evaluate(_FILL, page_numbers(file))
            _print(page, file)
        return len(PdfReader(file).pages)
    except (BrowserError, PyPdfError) as error:
        raise BookError(f"the browser could not print: {str(error).splitlines()[0]}") from error


_FILL = """numbers => document.querySelectorAll(".lines li").forEach(line => {
  line.querySelector(".number").textContent = numbers[line.querySelector("a").hash.slice(1)];
})"""


def _print(page: Page, file: Path) -> None:
    page.pdf(
        path=file,
        format="A4",
        margin={"top": "18mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
        outline=True,
        tagged=True,
        print_background=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOTER,
    )


def main() -> None:
    """Print the book that was built last; exit code 1 and the cause when that fails."""
    book = Book()
    file, source = book.build / "course.pdf", book.build / "course.html"
    unfinished = file.with_suffix(".part.pdf")
    try:
        with of_whole_book(book, "pdf"):
            print("printing the book; this takes minutes", flush=True)
            source.write_text(document(whole(book)), encoding="utf-8")
            sheets = printed(source, unfinished)
            unfinished.replace(file)
    finally:
        for left in (source, unfinished):
            with suppress(OSError):
                left.unlink(missing_ok=True)
    print(f"{sheets} sheets: {os.path.relpath(file)}")


if __name__ == "__main__":
    main()
