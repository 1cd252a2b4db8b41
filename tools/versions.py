"""Build the book of every tag, each with its own library and packages, and one page that leads to all of them.

    .venv/bin/python tools/versions.py --scale laptop

The result is ``_build/versions``: plain files, a folder for each tag such as ``v1.0.0``, and ``latest``, the book that
was built last. What is there already, of the same commit and scale, is kept.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path

from staging import BookError

from book import ROOT, SCALES, Book, of_whole_book, whole

TAG = re.compile(r"v\d+(\.\d+)*")
LATEST = "latest"
NOTE = "version.json"  # of what a version was made
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
def checked_out(commit: str, root: Path, folder: Path) -> Iterator[Path]:
    """The files of a commit, in a folder of their own that is gone afterwards."""
    shutil.rmtree(folder, ignore_errors=True)  # of a build that was killed
    _git("worktree", "prune", root=root)
    _git("worktree", "add", "--detach", str(folder), commit, root=root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _git("worktree", "prune", root=root)


def built(tag: str, scale: str, folder: Path) -> Path:
    """Build a tag's book by its own ``make book``; returns its pages.

    Raises:
        BookError: that failed; the message has the end of what it said.
    """
    if not (folder / "Makefile").is_file():
        raise BookError(f"{tag} has no Makefile that could build its book")
    # What this make was told is not meant for the other.
    own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    command = ("make", "book", f"SCALE={scale}", f"PYTHON={sys.executable}")
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=own,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate()
    except BaseException:  # its notebooks run in processes of their own
        os.killpg(process.pid, signal.SIGTERM)
        raise
    pages = folder / "_build" / "html"
    if process.returncode or not pages.is_dir():
        end = "\n".join(said.strip().splitlines()[-SHOWN_LINES:])
        raise BookError(f"the book of {tag} could not be built:\n{end}")
    return pages


def published(pages: Path, target: Path, said: str) -> None:
    """Copy pages to ``target`` as a whole or not at all, each with a line that says which version it is."""
    unfinished = target.with_name(f".{target.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        _copied(pages, unfinished, said)
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _copied(pages: Path, unfinished: Path, said: str) -> None:
    shutil.copytree(pages, unfinished)
    for page in unfinished.rglob("*.html"):
        up = "../" * len(page.relative_to(unfinished).parts)
        line = f'<aside aria-label="Version" class="course-version" style="padding:.2rem 1rem">{escape(said)} '
        line += f'<a href="{up}index.html">All versions</a></aside>'
        page.write_text(BODY.sub(rf"\g<1>{line}", page.read_text(encoding="utf-8"), count=1), encoding="utf-8")


def overview(names: list[str]) -> str:
    """The page that leads to all versions."""
    lines = "\n".join(f'<li><a href="{name}/index.html">{name}</a></li>' for name in names)
    title = "Reining in the Deep Generative Models: versions of the course"
    style = "<style>body{font:1.1rem/1.6 sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}</style>"
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>{style}'
    body = f"<h1>{title}</h1>\n<ul>\n{lines}\n</ul>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{body}</body></html>\n'


def all_versions(book: Book, scale: str, root: Path = ROOT) -> list[str]:
    """Build what is missing, publish the present book, write the overview; returns what went wrong, tag by tag.

    Raises:
        BookError: there is no tag, or this is no clone.
    """
    folder, failures = book.build / "versions", []
    names = tags(root)
    folder.mkdir(parents=True, exist_ok=True)
    for tag in names:
        made_of = {"commit": _git("rev-parse", f"refs/tags/{tag}^{{commit}}", root=root).strip(), "scale": scale}
        note = folder / tag / NOTE
        if note.is_file() and json.loads(note.read_text(encoding="utf-8")) == made_of:
            continue
        print(f"building {tag}", flush=True)
        try:
            with checked_out(made_of["commit"], root, book.build / "version") as files:
                published(built(tag, scale, files), folder / tag, f"Version {tag[1:]} of this course.")
            note.write_text(json.dumps(made_of), encoding="utf-8")
        except BookError as error:
            failures.append(str(error))
    with suppress(BookError):
        published(whole(book).html, folder / LATEST, "The course as it is now, between versions.")
    there = [name for name in (LATEST, *names) if (folder / name).is_dir()]
    (folder / "index.html").write_text(overview(there), encoding="utf-8")
    return failures


def main() -> None:
    """Build all versions; exit code 1 and the cause when that fails."""
    parser = argparse.ArgumentParser(description="Build the book of every tag.")
    parser.add_argument("--scale", choices=SCALES, default="laptop", help="how much the notebooks compute")
    options, book = parser.parse_args(), Book()
    with of_whole_book(book, "versions"):
        failures = all_versions(book, options.scale)
    print(os.path.relpath(book.build / "versions" / "index.html"))
    if failures:
        sys.exit("versions: " + "\n".join(failures))


if __name__ == "__main__":
    main()
