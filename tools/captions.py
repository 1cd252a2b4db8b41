"""Figures of a rendered notebook: numbers and captions below them, and their descriptions folded away in the code.

A figure's description (``alt``) is written once, where it is drawn. Screen readers get it with the picture; below the
picture it is the caption, so that it need not be seen in the code as well.
"""

import re
from collections.abc import Iterator
from html import unescape

FIGURE = '<div class="output text_html"><div class="teachlib-'
_PAGE = re.compile(r"chapters/(\d+)-[^/]+/(\d+)-")
_KIND = re.compile(r"figure|slider|demo")
_DIV = re.compile(r"<(/?)div\b[^>]*>")
_ALT = re.compile(r' alt="([^"]+)"')
# In highlighted code: the argument, if it is nothing but letters.
_ARGUMENT = re.compile(
    r'(<span class="n">alt</span><span class="o">=</span>)'
    r'((?:\s*<span class="s[12e]">[^<]*</span>)+)(?=\s*<span class="p">[,)])'
)


def numbered(page: str) -> str | None:
    """What figures of a page are numbered after, ``5.3``; ``None`` of a page that is no notebook."""
    found = _PAGE.match(page)
    return f"{found[1]}.{found[2]}" if found else None


def _figures(body: str) -> Iterator[tuple[int, int]]:
    """Where the elements of figures begin and end."""
    at = body.find(FIGURE)
    while at >= 0:
        start = at + FIGURE.index("><") + 1
        if _KIND.match(body, at + len(FIGURE)):
            depth = 0
            for tag in _DIV.finditer(body, start):
                depth += -1 if tag[1] else 1
                if not depth:
                    yield start, tag.end()
                    break
        at = body.find(FIGURE, at + 1)


def captioned(body: str, page: str) -> str:
    """The body of a page, its figures with numbers and captions, and descriptions in code folded away.

    Args:
        body: as HTML.
        page: its name, e.g. ``chapters/5-invertible-gans/3-against-the-others``.
    """
    number = numbered(page)
    if number is None:
        return body
    parts, done = [], 0
    for count, (start, end) in enumerate(_figures(body), 1):
        described = _ALT.search(body, start, end)
        words = f' <span aria-hidden="true">{described[1]}</span>' if described else ""
        parts += [
            body[done:end],
            f'<p class="figure-caption" id="figure-{count}"><b>Figure {number}.{count}.</b>{words}</p>',
        ]
        done = end
    return _ARGUMENT.sub(_folded, "".join([*parts, body[done:]]))


def _folded(argument: re.Match[str]) -> str:
    letters = unescape(re.sub(r"<[^>]*>", "", argument[2])).strip()
    if len(letters) < 30:
        return argument[0]
    return f'{argument[1]}<span class="described">{argument[2]}</span>'
