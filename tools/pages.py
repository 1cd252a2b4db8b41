"""Text that the book writes itself: a page's line ``<!-- generated: NAME -->`` becomes what ``GENERATORS[NAME]`` says.

To add one: write a function without arguments that returns MyST Markdown, and enter it in ``GENERATORS`` below.
A generator reads committed files only, so that the same commit always gives the same book.
"""

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from anywhere_page import changelog, colab, slurm, torchrun
from assignments_page import assignments, misconceptions
from data_page import data_catalogue, string_catalogue
from glossary_page import glossary
from measured_page import paper_vs_measured
from page_error import PageError
from welcome_page import demo

ROOT = Path(__file__).resolve().parent.parent

THESIS_CHAPTERS = {
    "1": "Introduction",
    "2": "Generative models",
    "3": "From variational to deterministic autoencoders",
    "4": "Gaussian mixtures as priors of VAEs",
    "5": "Controlling generative adversarial networks",
    "6": "Invertible GANs",
    "7": "Conclusion",
    "A": "Regularized autoencoders",
    "B": "Generative interpretable faces",
    "C": "Invertible GANs",
}


@dataclass(frozen=True)
class Entry:
    """A numbered thing of the thesis and where the course treats it, if it does."""

    kind: str
    number: str
    title: str
    page: str | None
    code: tuple[str, ...]
    run: str = ""
    results: str = ""

    @property
    def covered(self) -> bool:
        """Whether a reader finds it in the course."""
        return bool(self.page or self.code)


def read_entry(raw: dict[str, Any]) -> Entry:
    """Check one entry of ``book/thesis-map.yml``.

    Raises:
        PageError: a key is missing, or YAML read the number as a decimal fraction, where 3.10 is 3.1.
    """
    missing = {"kind", "number", "title"} - raw.keys()
    if missing:
        raise PageError(f"book/thesis-map.yml: {raw} lacks {', '.join(sorted(missing))}")
    if isinstance(raw["number"], float):
        raise PageError(f'book/thesis-map.yml: "{raw["title"]}" needs quotes around its number: "{raw["number"]}"')
    code = raw.get("code") or ()
    names = (code,) if isinstance(code, str) else tuple(code)
    run, results = (str(raw.get(key, "")) for key in ("run", "results"))
    return Entry(str(raw["kind"]), str(raw["number"]), str(raw["title"]), raw.get("page"), names, run, results)


def thesis_entries(path: Path = ROOT / "book" / "thesis-map.yml") -> list[Entry]:
    """All entries of the map, in the file's order."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [read_entry(entry) for entry in (raw["entries"] if isinstance(raw, dict) else raw)]


def page_link(page: str) -> str:
    """A link from a page in ``book/`` to a page named as in ``_toc.yml``, with or without an anchor."""
    document, _, anchor = page.partition("#")
    document = document.removesuffix(".md").removesuffix(".ipynb")
    if not anchor:
        return f"{{doc}}`/{document}`"
    suffix = next((suffix for suffix in (".ipynb", ".md") if (ROOT / f"{document}{suffix}").is_file()), ".md")
    return f"[{anchor.replace('-', ' ')}](../{document}{suffix}#{anchor})"


def code_link(name: str) -> str:
    """A link to the library reference, shown without the package's name."""
    return f"{{py:obj}}`{name.removeprefix('teachlib.')} <{name}>`"


def where(entry: Entry) -> str:
    """Where an entry is treated, or that it is not."""
    if not entry.covered:
        return "not yet"
    page = [page_link(entry.page)] if entry.page else []
    return " · ".join(page + [code_link(name) for name in entry.code])


def how(entry: Entry) -> str:
    """Whether an entry is explained or was run, and on what; nothing was run on the thesis's own scale."""
    if not entry.covered:
        return "–"
    kept = f"; `measured/{entry.results}`" if entry.results else ""
    return f"run on {entry.run}{kept}" if entry.run else "explained"


def table(entries: Iterable[Entry]) -> str:
    """A Markdown table, one row an entry."""
    about = [(entry, entry.title.replace("|", "\\|")) for entry in entries]
    rows = [
        f"| {entry.kind.capitalize()} {entry.number} | {title} | {where(entry)} | {how(entry)} |"
        for entry, title in about
    ]
    return "\n".join(["| In the thesis | About | In the course | How |", "|---|---|---|---|", *rows])


def chapter_heading(chapter: str) -> str:
    """The heading over one chapter's table."""
    name = f"Appendix {chapter}" if chapter.isalpha() else f"Chapter {chapter}"
    return f"## {name}: {THESIS_CHAPTERS[chapter]}" if chapter in THESIS_CHAPTERS else f"## {name}"


def by_chapter(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The entries by the chapter or appendix they stand in, e.g. ``3`` or ``A``.

    The section above an entry decides: algorithms, and some figures, are not numbered by chapters.
    """
    groups: dict[str, list[Entry]] = {}
    chapter = ""
    for entry in entries:
        if entry.kind == "section" or not chapter:
            chapter = entry.number.split(".")[0]
        groups.setdefault(chapter, []).append(entry)
    return groups


def thesis_map() -> str:
    """Each numbered thing of the thesis beside its place in the course, a table per thesis chapter."""
    entries = thesis_entries()
    covered = sum(entry.covered for entry in entries)
    lines = [f"**{covered} of {len(entries)} entries are covered so far.**"]
    for chapter, mine in by_chapter(entries).items():
        done = sum(entry.covered for entry in mine)
        lines += [chapter_heading(chapter), f"{done} of {len(mine)} covered.", table(mine)]
    return "\n\n".join(lines)


def exports(init: Path) -> bool:
    """Whether a package's ``__init__.py`` says by ``__all__`` what it offers."""
    return _offered(ast.parse(init.read_text(encoding="utf-8"))) is not None


def public_modules(folder: Path, name: str) -> list[str]:
    """The modules of a package that a reader imports from: itself where it has ``__all__``, else each one in it."""
    init = folder / "__init__.py"
    if exports(init):
        return [name]
    own = [name] if ast.get_docstring(ast.parse(init.read_text(encoding="utf-8"))) else []
    return own + [f"{name}.{path.stem}" for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")]


def _described(folder: Path, name: str) -> Iterable[tuple[str, list[str]]]:
    """Sections below a package in reading order: a module, a package, and after it the packages inside it."""
    for path in sorted(folder.iterdir(), key=lambda path: path.stem):
        inner = f"{name}.{path.stem}"
        if path.stem.startswith("_"):
            continue
        if (path / "__init__.py").is_file():
            yield inner, public_modules(path, inner)
            yield from (section for section in _described(path, inner) if (path / section[0].split(".")[-1]).is_dir())
        elif path.suffix == ".py":
            yield inner, [inner]


PACKAGE = ROOT / "src" / "teachlib"
CHAPTERS = {
    "primer": "1-density-estimation",
    "rae": "2-regularized-autoencoders",
    "gmmvae": "3-gaussian-mixture-vae",
    "gif": "4-interpretable-faces",
    "invgan": "5-invertible-gans",
    "energy": "6-gans-as-energy-models",
}
"""A chapter's package → its folder."""
ROLE = re.compile(r":([\w:]+):`")  # as docstrings write it
REFERENCE = "book/reference"  # its pages are written by the build alone: one a module


def reference_pages(package: Path = PACKAGE) -> dict[str, str]:
    """A page for each module directly below ``teachlib`` and each package, described by its docstrings.

    Returns:
        Page, as the contents name it → MyST Markdown.
    """
    described = dict(_described(package, package.name))
    written = {}
    for name, modules in described.items():
        shared = {
            other for page, others in described.items() if not f"{page}.".startswith(f"{name}.") for other in others
        }
        directives = [_directive(module, shared) for module in modules]
        text = f"# {name}\n\n```{{eval-rst}}\n" + "\n\n".join(directives) + "\n```\n"
        written[f"{REFERENCE}/{name}"] = text
    return written


def _directive(module: str, elsewhere: set[str]) -> str:
    """What describes a module, but for what it offers of modules that are described elsewhere."""
    tree = _source(module)
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module in elsewhere]
    borrowed = {alias.name for node in imported for alias in node.names} & (_offered(tree) or set())
    left_out = f"\n   :exclude-members: {', '.join(sorted(borrowed))}" if borrowed else ""
    return f".. automodule:: {module}\n   :members:{left_out}"


def _offered(tree: ast.Module) -> set[str] | None:
    """The names that ``__all__`` spells out; ``None`` where a module has none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            constants = (inner.value for inner in ast.walk(node.value) if isinstance(inner, ast.Constant))
            return {value for value in constants if isinstance(value, str)}
    return None


def _source(module: str) -> ast.Module:
    path = PACKAGE.parent.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8"))


def _docstring(name: str) -> str:
    return ast.get_docstring(_source(name)) or ""


def _listed(pages: Iterable[str]) -> str:
    """A list of pages of the reference with the first line of what each module says of itself."""
    names = [page.removeprefix(f"{REFERENCE}/") for page in pages]
    said = {name: ROLE.sub(r"{\1}`", _docstring(name).partition("\n")[0].rstrip(":.")) for name in names}
    return "\n".join(
        f"- {{doc}}`{name} </{REFERENCE}/{name}>`" + (f": {said[name]}" if said[name] else "") for name in names
    )


def library_reference() -> str:
    """The modules of the library: what chapters share, then each chapter's."""
    groups: dict[str, list[str]] = {"": [], **{package: [] for package in CHAPTERS}}
    for page in reference_pages():
        inside = page.removeprefix(f"{REFERENCE}/").split(".")[1]
        groups[inside if inside in CHAPTERS else ""].append(page)
    parts = ["## What chapters share", _listed(groups.pop(""))]
    for package, listed in groups.items():
        folder = CHAPTERS[package]
        parts += [
            f"## Chapter {folder[0]}",
            f"The models of {{doc}}`/chapters/{folder}/index` in full.",
            _listed(listed),
        ]
    return "\n\n".join(parts)


GENERATORS: dict[str, Callable[[], str]] = {
    "assignments": assignments,
    "changelog": changelog,
    "colab": colab,
    "glossary": glossary,
    "misconceptions": misconceptions,
    "slurm": slurm,
    "torchrun": torchrun,
    "data-catalogue": data_catalogue,
    "string-catalogue": string_catalogue,
    "library-reference": library_reference,
    "paper-vs-measured": paper_vs_measured,
    "thesis-map": thesis_map,
    "welcome-demo": demo,
}
