"""Copy the book's sources to where they are built, touching only what changed.

Sphinx decides by modification times what to read again, so an unchanged file must keep its own.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from diagrams import diagram
from pages import GENERATORS, reference_pages

# Folders copied whole, except for the pages in them: of those, only the ones that the contents name.
FOLDERS = ("book", "chapters", "_assets")
FILES = (
    "tools/book_extension.py",
    "tools/book_search.py",
    "tools/page_start.py",
    "tools/page_end.py",
    "tools/address.py",
    "tools/captions.py",
    "tools/citations.py",
)
PAGE_SUFFIXES = (".md", ".ipynb")
LIBRARY = "book/library-reference"
DIAGRAM = "diagram-"
GENERATED = re.compile(r"^<!-- generated: (?P<name>[\w-]+) -->$", re.MULTILINE)


class BookError(Exception):
    """A mistake in the book's sources that an author can mend; printed without a traceback."""


def contents(root: Path) -> dict[str, Any]:
    """What ``_toc.yml`` says, and below the library reference its pages, which no author wrote."""
    found: dict[str, Any] = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    for entry in _entries(found):
        if entry.get("file") == LIBRARY:
            entry["sections"] = [{"file": page} for page in reference_pages()]
    return found


def toc_depths(root: Path) -> dict[str, int]:
    """The pages of the book, in reading order, without their suffixes; 1: a section of another page."""
    return dict(_named_pages(contents(root), 0))


def toc_pages(root: Path) -> list[str]:
    """The pages of the book, in reading order, without their suffixes."""
    return list(toc_depths(root))


def written_pages(root: Path) -> list[str]:
    """Those of them that an author wrote: they have a file."""
    generated = reference_pages()
    return [page for page in toc_pages(root) if page not in generated]


def _entries(node: Any) -> Iterable[dict[str, Any]]:
    """Every mapping of the contents, at any depth."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _entries(inner)


def _named_pages(node: Any, depth: int) -> Iterable[tuple[str, int]]:
    if isinstance(node, list):
        for entry in node:
            yield from _named_pages(entry, depth)
    elif isinstance(node, dict):
        yield from ((node[key], depth) for key in ("root", "file") if key in node)
        yield from _named_pages([node[key] for key in ("parts", "chapters") if key in node], depth)
        yield from _named_pages(node.get("sections"), depth + 1)


def page_source(root: Path, page: str) -> Path:
    """The file of a page of the contents.

    Raises:
        BookError: there is none, or there are two.
    """
    found = [path for suffix in PAGE_SUFFIXES if (path := root / f"{page}{suffix}").is_file()]
    if len(found) != 1:
        have = " and ".join(path.name for path in found) or "no file"
        raise BookError(f"_toc.yml names {page}, and there is {have}: one {' or '.join(PAGE_SUFFIXES)} file is needed")
    return found[0]


def notebooks(root: Path) -> list[Path]:
    """The notebooks that ``_toc.yml`` names, in reading order."""
    sources = [page_source(root, page) for page in written_pages(root)]
    return [path for path in sources if path.suffix == ".ipynb"]


def fill_generated(text: str, page: str) -> str:
    """Replace each ``<!-- generated: NAME -->`` line by what ``pages.GENERATORS[NAME]`` writes.

    Raises:
        BookError: no such generator.
    """

    def generate(match: re.Match[str]) -> str:
        name = match["name"]
        if name.startswith(DIAGRAM):
            return diagram(name.removeprefix(DIAGRAM))
        if name not in GENERATORS:
            known = ", ".join(sorted(GENERATORS))
            raise BookError(f"{page}: nothing generates '{name}'; tools/pages.py has: {known}")
        return GENERATORS[name]()

    return GENERATED.sub(generate, text)


def _config(root: Path) -> bytes:
    """The configuration with execution switched off: the notebooks arrive with their outputs."""
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] = {**config.get("execute", {}), "execute_notebooks": "off"}
    return yaml.safe_dump(config, allow_unicode=True, sort_keys=False).encode()


def _is_wanted(path: Path, root: Path) -> bool:
    parts = path.relative_to(root).parts
    hidden = any(part.startswith(".") or part in ("__pycache__", "runs") for part in parts)
    return path.is_file() and path.suffix not in PAGE_SUFFIXES and not hidden


def static_sources(root: Path) -> dict[str, bytes]:
    """Everything that is staged except for the notebooks: name relative to the root, and content."""
    folders = [path for folder in FOLDERS for path in (root / folder).rglob("*")]
    files = [path for path in folders if _is_wanted(path, root)] + [root / name for name in FILES]
    sources = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(files)}
    sources["_config.yml"] = _config(root)
    sources["_toc.yml"] = yaml.safe_dump(contents(root), allow_unicode=True, sort_keys=False).encode()
    sources |= {f"{page}.md": text.encode() for page, text in reference_pages().items()}
    for page in written_pages(root):
        path = page_source(root, page)
        if path.suffix == ".md":
            text = fill_generated(path.read_text(encoding="utf-8"), f"{page}.md")
            sources[f"{page}.md"] = text.encode()
    return sources


def write_changed(path: Path, content: bytes) -> None:
    """Write a file unless it already reads so."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def stage(folder: Path, sources: Mapping[str, bytes], keep: Iterable[str]) -> None:
    """Make ``folder`` hold ``sources`` and, where they exist, the files named by ``keep``; nothing else."""
    for name, content in sources.items():
        write_changed(folder / name, content)
    wanted = {*sources, *keep}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
