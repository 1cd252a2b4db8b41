"""Look at the rendered book as a reader's browser would: offline, small, described, without dead links.

.venv/bin/python tools/check_html.py _build/html
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

PAGE_LIMIT = 2_000_000

# Attributes by which a page makes the browser fetch something; an <a href> is only followed by a reader's click.
FETCHING = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "track": ("src",),
    "embed": ("src",),
    "object": ("data",),
    "image": ("href", "xlink:href"),
    "use": ("href", "xlink:href"),
}
# <link> elements that only name an address.
NAMING_RELATIONS = {"canonical", "next", "prev", "search", "index", "license", "author", "alternate"}
CSS_ADDRESS = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""")
JS_ADDRESS = re.compile(
    r"""(?:\bimport\s*\(?\s*|\bfrom\s*|importScripts\(\s*|\bfetch\(\s*)["']((?:https?:)?//[^"']+)"""
)
# myst-nb and Sphinx write the file's name where nobody gave a text.
FILE_NAME = re.compile(r"\S+\.(png|svg|jpe?g|gif|webp)$", re.IGNORECASE)


@dataclass
class Page:
    """What one HTML file refers to and can be referred to by."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    images: list[tuple[str, str]] = field(default_factory=list)


class PageReader(HTMLParser):
    """Collects a :class:`Page` while the parser walks through a file."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self._inside = tag
        self.page.anchors.update(value for name in ("id", "name") if (value := values.get(name)))
        if tag == "a" and "href" in values:
            self.page.links.append(values["href"])
        if tag == "img" and values.get("role") != "presentation":  # what only decorates is described beside it
            self.page.images.append((values.get("src", ""), values.get("alt", "")))
        self.page.fetched += CSS_ADDRESS.findall(values.get("style", ""))
        if tag == "link" and NAMING_RELATIONS & set(values.get("rel", "").split()):
            return
        self.page.fetched += [url for name in FETCHING.get(tag, ()) for url in addresses(values.get(name, ""))]

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "style":
            self.page.fetched += CSS_ADDRESS.findall(data)
        if self._inside == "script":
            self.page.fetched += JS_ADDRESS.findall(data)


def addresses(value: str) -> list[str]:
    """The addresses of an attribute: one, or several with their widths in a ``srcset``."""
    if value.startswith("data:"):
        return []
    return [part.split()[0] for part in value.split(",") if part.strip()]


@cache
def read_page(path: Path) -> Page:
    """Parse one HTML file, once."""
    reader = PageReader()
    reader.feed(path.read_text(encoding="utf-8"))
    return reader.page


def pages(html: Path) -> list[Path]:
    """The book's pages; the themes' templates under ``_static`` are none."""
    return [path for path in sorted(html.rglob("*.html")) if "_static" not in path.relative_to(html).parts]


def is_external(url: str) -> bool:
    """Whether fetching ``url`` would leave the site."""
    return url.startswith(("http:", "https:", "//", "ftp:"))


def oversized(html: Path) -> Iterator[str]:
    """Pages that are too heavy for a phone."""
    for path in pages(html):
        if (size := path.stat().st_size) > PAGE_LIMIT:
            yield f"{path.relative_to(html)}: {size / 1e6:.1f} MB, at most {PAGE_LIMIT / 1e6:.0f} MB are allowed"


def external_requests(html: Path) -> Iterator[str]:
    """Everything that the book would fetch from another host."""
    for path in pages(html):
        for url in filter(is_external, read_page(path).fetched):
            yield f"{path.relative_to(html)}: fetches {url}"
    for pattern, suffix in ((CSS_ADDRESS, "css"), (JS_ADDRESS, "js")):
        for path in sorted(html.rglob(f"*.{suffix}")):
            for url in pattern.findall(path.read_text(encoding="utf-8", errors="replace")):
                yield f"{path.relative_to(html)}: fetches {url}"


def missing_files(html: Path) -> Iterator[str]:
    """Scripts, styles and pictures of the book's own that are not there."""
    for path in pages(html):
        for url in sorted(set(read_page(path).fetched)):
            parts = urlsplit(url)
            own = parts.path and not parts.scheme and not parts.netloc
            if own and not (path.parent / unquote(parts.path)).is_file():
                yield f"{path.relative_to(html)}: {url} is missing"


def undescribed_images(html: Path) -> Iterator[str]:
    """Images without a text for those who cannot see them."""
    for path in pages(html):
        for source, text in read_page(path).images:
            if not text.strip() or FILE_NAME.match(text.strip()):
                yield f"{path.relative_to(html)}: no alt text for the image {source[:80]}"


def dead_links(html: Path) -> Iterator[str]:
    """Links and anchors inside the book that lead nowhere."""
    for path in pages(html):
        for link in sorted(set(read_page(path).links)):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                yield f"{path.relative_to(html)}: the link {link} leads to no file"
            elif not has_anchor(target, unquote(parts.fragment)):
                yield f"{path.relative_to(html)}: the link {link} leads to no anchor"


def has_anchor(target: Path, name: str) -> bool:
    """Whether ``target`` can be opened at ``name``; the top of a page always can."""
    return not name or name == "top" or target.suffix != ".html" or name in read_page(target).anchors


def findings(html: Path) -> list[str]:
    """All that is wrong with the rendered book, one line each; empty when nothing is."""
    read_page.cache_clear()
    checks = (oversized, external_requests, missing_files, undescribed_images, dead_links)
    return [line for check in checks for line in check(html)]


def main() -> None:
    """Print the findings; exit code 1 when there are any."""
    html = Path(sys.argv[1] if len(sys.argv) > 1 else "_build/html")
    if not pages(html):
        sys.exit(f"no pages in {html}: build the book first (make book)")
    found = findings(html)
    print("\n".join(found) or f"{len(pages(html))} pages, nothing wrong")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
