"""Which way imports run: read off the registry, so that a new chapter changes no rule."""

from typing import Any

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, output

from teachlib.registry import CHAPTERS


class ChaptersContract(Contract):
    """Shared modules import no chapter, and an earlier chapter no later one.

    A chapter's package is imported by name, through the registry, so that a shared module has nothing to import.
    """

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import of every module of the library."""
        wrong = [
            (importer, imported)
            for importer in sorted(graph.modules)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if not allowed(importer, imported)
        ]
        return ContractCheck(kept=not wrong, metadata={"wrong": wrong})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each import that runs the wrong way."""
        pairs: list[tuple[str, str]] = check.metadata["wrong"]
        for importer, imported in pairs:
            output.print_error(f"{importer} imports {imported}")


def place(module: str) -> int | None:
    """The number of the chapter that a module belongs to, in reading order; ``None`` for shared modules.

    A chapter may lie within another's package. What it is made of then belongs to the inner one.
    """
    inside: list[tuple[int, int]] = []
    for number, (key, line) in enumerate(CHAPTERS.items()):
        # The feature classifiers are shared: all chapters measure by them.
        if key != "metrics" and (module == line.package or module.startswith(f"{line.package}.")):
            inside.append((len(line.package), number))
    return max(inside)[1] if inside else None


def allowed(importer: str, imported: Any) -> bool:
    """Whether the one may import the other."""
    chapter, target = place(importer), place(imported)
    return target is None or (chapter is not None and target <= chapter)
