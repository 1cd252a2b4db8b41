"""Build the book: stage the sources, run the notebooks, render, check.

    .venv/bin/python tools/book.py --scale laptop

The result is ``_build/html``: plain files for any static host, or for no host at all.
"""

import argparse
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import check_html
import index_pages
import live_models
from address import AddressError
from folding import folded
from notebooks import digest, executed
from pages import PageError
from staging import FILES, BookError, notebooks, stage, static_sources, toc_pages

from teachlib import attached
from teachlib.alone import alone
from teachlib.errors import TeachlibError

ROOT = Path(__file__).resolve().parent.parent
SCALES = ("ci", "laptop", "paper")
# What changes the shape of every page: Sphinx would keep old pages, or parts of them.
STRUCTURE = ("_config.yml", "_toc.yml", "requirements.lock", "book/glossary.yml", *FILES)
WARNING = re.compile(r"\b(WARNING|ERROR|CRITICAL|SEVERE)\b|^.*Error: ")

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Book:
    """Where one build of the book lives. jupyter-book insists on the folder's name, ``_build``."""

    folder: Path = ROOT

    @property
    def build(self) -> Path:
        """Everything that a build writes."""
        return self.folder / "_build"

    @property
    def src(self) -> Path:
        """The staged sources."""
        return self.build / "src"

    @property
    def html(self) -> Path:
        """The rendered pages."""
        return self.build / "html"

    @property
    def stamp(self) -> Path:
        """Written last, when all went well: scale and hash of what the pages were made from."""
        return self.build / "book.json"


def sources_digest(root: Path = ROOT) -> str:
    """The hash of everything the book is made from, the notebooks' library and the tools included."""
    files = [path for folder in ("src/teachlib", "tools") for path in (root / folder).rglob("*") if path.is_file()]
    files += [*notebooks(root), *(root / "assignments" / "source").rglob("*.ipynb"), root / "requirements.lock"]
    kept = [path.relative_to(root) for path in sorted(files) if path.suffix != ".pyc"]
    own = [(str(name), (root / name).read_bytes()) for name in kept]
    return digest([*sorted(static_sources(root).items()), *own])


def live_digest(root: Path = ROOT) -> str:
    """The hash of what the book's live models are made from: the library, the lock and what packs them."""
    files = [path for path in (root / "src" / "teachlib").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    files += [root / "tools" / "live_models.py", root / "requirements.lock"]
    return digest([(path.relative_to(root).as_posix(), path.read_bytes()) for path in sorted(files)])


def structure_digest(root: Path = ROOT) -> str:
    """The hash of what, when it changes, has every page rendered anew.

    The web files are among it: Sphinx copies them only when some page is written.
    """
    assets = [path.relative_to(root).as_posix() for path in (root / "_assets").rglob("*") if path.is_file()]
    own = [(name, (root / name).read_bytes()) for name in [*STRUCTURE, *sorted(assets)]]
    named = ("contents", "\n".join(toc_pages(root)).encode())  # pages of the reference come and go with modules
    return digest([*own, named, ("live models", live_digest(root).encode())])


def read_stamp(book: Book) -> dict[str, str]:
    """What the last successful build noted; empty when there was none."""
    try:
        stamp = json.loads(book.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_fresh(book: Book) -> bool:
    """Whether the rendered pages are those of the present sources, at any scale."""
    return (book.html / "index.html").is_file() and read_stamp(book).get("sources") == sources_digest()


def pages_digest(book: Book) -> str:
    """The hash of all that was rendered: no page is missing, cut short, or touched since."""
    files = sorted(path for path in book.html.rglob("*") if path.is_file())
    return digest([(path.relative_to(book.html).as_posix(), path.read_bytes()) for path in files])


def is_unchanged(book: Book, scale: str) -> bool:
    """Whether another build at this scale would write the same pages again."""
    stamp = read_stamp(book)
    return stamp.get("scale") == scale and is_fresh(book) and stamp.get("pages") == pages_digest(book)


def whole(book: Book) -> Book:
    """The same book, of which the last build went well.

    Raises:
        BookError: there is none.
    """
    if not read_stamp(book) or not (book.html / "index.html").is_file():
        raise BookError("there is no whole book here: build it first, 'make book'")
    return book


@contextmanager
def of_whole_book(book: Book, tool: str) -> Iterator[None]:
    """While a tool works on a book nobody builds it, and what goes wrong ends the tool in a line of its own."""
    try:
        with alone(book.build / ".lock", "builds the book here"):
            yield
    except (BookError, TeachlibError, OSError) as error:
        sys.exit(f"{tool}: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; what is not whole was not kept")


def forget_unfinished(book: Book) -> None:
    """Start from nothing after a failed build or a changed structure.

    Sphinx keeps what it has parsed. A page that gave a warning last time is not read again, and the next build would
    pass in silence.
    """
    kept = read_stamp(book).get("structure") == structure_digest()
    book.stamp.unlink(missing_ok=True)  # first: killed in the midst of what follows, this is no book
    if not kept:
        shutil.rmtree(book.html, ignore_errors=True)
        shutil.rmtree(book.build / ".doctrees", ignore_errors=True)
    shutil.rmtree(book.build / "failed", ignore_errors=True)


def render(book: Book) -> None:
    """Let jupyter-book write the pages; every warning is an error.

    Raises:
        BookError: it failed; the message holds the warnings.
    """
    options = ("--path-output", str(book.folder), "-W", "-n", "--keep-going", "-q")
    process = attached.run(
        "-m", "teachlib.attached", "jupyter_book.cli.main:main", "build", str(book.src), *options, folder=ROOT
    )
    if process.returncode == 0:
        return
    output = COLOUR.sub("", process.stdout + process.stderr).replace(f"{book.src}{os.sep}", "")
    lines = [line for line in output.splitlines() if WARNING.search(line)]
    raise BookError("the pages could not be rendered:\n" + ("\n".join(lines) or output.strip()))


def build(book: Book, scale: str, at_once: int | None = None) -> str:
    """Build the book and return one line about it.

    Raises:
        BookError: a notebook, the rendering or a check failed.
    """
    start = time.monotonic()
    if is_unchanged(book, scale):
        return f"{len(toc_pages(ROOT))} pages at scale {scale}; nothing has changed since they were built"
    forget_unfinished(book)
    before = sources_digest()
    names = {path.relative_to(ROOT).as_posix(): path for path in notebooks(ROOT)}
    live = live_models.sources(ROOT, book.build / "cache" / f"live-{live_digest()}")
    static = {**live_models.without_runtime(static_sources(ROOT)), **live}
    stage(book.src, static, keep=names)
    outputs, cached = executed(names, root=ROOT, src=book.src, build=book.build, scale=scale, at_once=at_once)
    index = index_pages.filled(static, outputs, book.build / "cache" / "gallery")
    stage(book.src, {**static, **folded(outputs), **index}, keep=())
    render(book)
    if found := check_html.findings(book.html):
        raise BookError("the rendered pages are not fit to publish:\n" + "\n".join(found))
    stamp = {"scale": scale, "sources": before, "structure": structure_digest(), "pages": pages_digest(book)}
    book.stamp.write_text(json.dumps(stamp), encoding="utf-8")
    seconds = time.monotonic() - start
    return (
        f"{len(toc_pages(ROOT))} pages at scale {scale} in {seconds:.0f} s; "
        f"{len(names) - cached} of {len(names)} notebooks run, {cached} from the cache"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Build the book.")
    parser.add_argument("--scale", choices=SCALES, default="laptop", help="how much the notebooks compute")
    parser.add_argument("--jobs", type=int, help="notebooks at once (default: as many as cores and memory allow)")
    parser.add_argument("--output", type=Path, default=ROOT, help="folder that gets _build (default: the project's)")
    return parser.parse_args()


def main() -> None:
    """Build the book; exit code 1 and the cause when that fails."""
    options = arguments()
    book = Book(options.output.resolve())
    print(f"building the book at scale {options.scale}", flush=True)
    try:
        with alone(book.build / ".lock", "builds the book here"):
            line = build(book, options.scale, options.jobs)
    except TeachlibError as error:
        sys.exit(f"book: {error}")
    except (AddressError, BookError, PageError) as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; the notebooks that were finished are in the cache")
    index = book.html / "index.html"
    print(f"{line}\n  {os.path.relpath(index)}\n  {index.as_uri()}")


if __name__ == "__main__":
    main()
