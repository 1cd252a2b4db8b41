"""Build the book of every tag, each with its own library and packages, and one page that leads to all of them.

    .venv/bin/python tools/versions.py --scale laptop

The result is ``_build/versions``: plain files, a folder for each tag such as ``v1.0.0``, and ``latest``, the book that
was built last. What is there already is kept: a tag does not change.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path

from staging import BookError

from book import ROOT, SCALES, Book, read_stamp
from teachlib.alone import alone
from teachlib.errors import TeachlibError

TAG = re.compile(r"v\d+(\.\d+)*")
LATEST = "latest"
BODY = re.compile(r"(<body[^>]*>)")
SHOWN_LINES = 12


def _git(*words: str, root: Path) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BookError("git is not installed; tags are read with it") from None
    if done.returncode:
        raise BookError(f"git {words[0]} failed: {done.stderr.strip()}")
    return done.stdout


def tags(root: Path = ROOT) -> list[str]:
    """The tags that name a version, newest first.

    Raises:
        BookError: this is no clone, or there is no such tag.
    """
    found = [name for name in _git("tag", "--list", root=root).split() if TAG.fullmatch(name)]
    if not found:
        raise BookError("no tag names a version yet; name one, such as 'git tag v0.1.0', or use 'make book' alone")
    return sorted(found, key=lambda name: [int(part) for part in name[1:].split(".")], reverse=True)


@contextmanager
def checked_out(tag: str, root: Path, folder: Path) -> Iterator[Path]:
    """The files of a tag, in a folder of their own that is gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
    _git("worktree", "prune", root=root)
    _git("worktree", "add", "--detach", str(folder), tag, root=root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _git("worktree", "prune", root=root)


def built(tag: str, scale: str, root: Path, folder: Path) -> Path:
    """Build a tag's book by its own ``make book``; returns its pages.

    Raises:
        BookError: that failed; the message has the end of what it said.
    """
    done = subprocess.run(["make", "book", f"SCALE={scale}"], cwd=folder, capture_output=True, text=True, check=False)
    pages = folder / "_build" / "html"
    if done.returncode or not pages.is_dir():
        end = "\n".join((done.stdout + done.stderr).strip().splitlines()[-SHOWN_LINES:])
        raise BookError(f"the book of {tag} could not be built:\n{end}")
    return pages


def published(pages: Path, target: Path, said: str) -> None:
    """Copy pages to ``target`` as a whole or not at all, each with a line that says which version it is."""
    unfinished = target.with_name(f".{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(pages, unfinished)
    for page in unfinished.rglob("*.html"):
        up = "../" * len(page.relative_to(unfinished).parts)
        line = f'<p class="course-version" style="margin:0;padding:.2rem 1rem">{escape(said)} '
        line += f'<a href="{up}index.html">All versions</a></p>'
        page.write_text(BODY.sub(rf"\g<1>{line}", page.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def overview(names: list[str]) -> str:
    """The page that leads to all versions."""
    lines = "\n".join(f'<li><a href="{name}/index.html">{name}</a></li>' for name in names)
    title = "Reining in the Deep Generative Models: versions of the course"
    style = "<style>body{font:1.1rem/1.6 sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>{style}'
    body = f"<h1>{title}</h1>\n<ul>\n{lines}\n</ul>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def all_versions(book: Book, scale: str, root: Path = ROOT) -> list[str]:
    """Build what is missing, and write the overview; returns the names, newest first.

    Raises:
        BookError: no tag, or a book that could not be built; what was finished stays.
    """
    names, folder = tags(root), book.build / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    for tag in names:
        if not (folder / tag).is_dir():
            print(f"building {tag}", flush=True)
            with checked_out(tag, root, book.build / "version") as files:
                published(built(tag, scale, root, files), folder / tag, f"Version {tag[1:]} of this course.")
    if read_stamp(book):
        published(book.html, folder / LATEST, "The course as it is now, between versions.")
    there = [LATEST] if (folder / LATEST).is_dir() else []
    (folder / "index.html").write_text(overview([*there, *names]), encoding="utf-8")
    return names


def main() -> None:
    """Build all versions; exit code 1 and the cause when that fails."""
    parser = argparse.ArgumentParser(description="Build the book of every tag.")
    parser.add_argument("--scale", choices=SCALES, default="laptop", help="how much the notebooks compute")
    options, book = parser.parse_args(), Book()
    try:
        with alone(book.build / ".lock", "builds the book here"):
            names = all_versions(book, options.scale)
    except (BookError, TeachlibError) as error:
        sys.exit(f"versions: {error}")
    except KeyboardInterrupt:
        sys.exit("\nstopped; finished versions are kept")
    print(f"{len(names)} versions: {os.path.relpath(book.build / 'versions' / 'index.html')}")


if __name__ == "__main__":
    main()
