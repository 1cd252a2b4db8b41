"""Bring the notebooks into the one form in which they are committed.

    .venv/bin/python tools/format_notebooks.py            # rewrite what differs
    .venv/bin/python tools/format_notebooks.py --check    # name what differs, exit code 1

Outputs go, except in cells tagged ``nbval-check-output``, whose outputs are tests. So do execution counts, timings
and the names of the machine's kernels. Where ``_config.yml`` names the project's public address, notebooks of chapters
begin with a cell that installs the library from it; ``CITATION.cff`` and ``pyproject.toml`` name it, too.
"""

import sys
from pathlib import Path

import nbformat
from address import INSTALL_TAG, AddressError, disagreeing, install_cell, public_address

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("chapters", "assignments/source")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# What editors and runners leave in a cell's metadata.
PASSING = ("execution", "papermill", "collapsed", "scrolled", "ExecuteTime", "jupyter", "vscode", "outputId", "colab")


def tracked_notebooks(root: Path = ROOT) -> list[Path]:
    """The notebooks that are committed."""
    found = [path for folder in FOLDERS for path in (root / folder).rglob("*.ipynb")]
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def normalized(text: str, address: str = "", page: str = "") -> str:
    """A notebook's committed form.

    Args:
        text: of the file.
        address: from which its first code cell installs the library; empty: it has no such cell.
        page: of the book that shows it; that cell names it.
    """
    notebook = nbformat.reads(text, as_version=4)
    set_install_cell(notebook, address, page)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat_minor = 5
    for index, cell in enumerate(notebook.cells):
        normalize_cell(cell, f"cell-{index}")
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def set_install_cell(notebook: nbformat.NotebookNode, address: str, page: str) -> None:
    """Have the library installed by the first code cell, from the address; with none, by no cell."""
    notebook.cells = [cell for cell in notebook.cells if INSTALL_TAG not in cell.metadata.get("tags", [])]
    if not address:
        return
    first = next(index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code")
    tags = {"tags": [INSTALL_TAG, "remove-cell"]}  # the page of the book does without
    notebook.cells.insert(first, nbformat.v4.new_code_cell(install_cell(address, page), metadata=tags, id=INSTALL_TAG))


def committed_form(path: Path, root: Path = ROOT) -> str:
    """How a notebook's file should read: of those that are handed out, none installs anything."""
    of_chapter = path.is_relative_to(root / "chapters")
    page = path.relative_to(root).with_suffix("").as_posix()
    return normalized(path.read_text(encoding="utf-8"), public_address(root) if of_chapter else "", page)


def differing(root: Path = ROOT) -> dict[Path, str]:
    """The files that are not in their committed form, each with that form."""
    forms = {path: committed_form(path, root) for path in tracked_notebooks(root)}
    changed = {path: form for path, form in forms.items() if form != path.read_text(encoding="utf-8")}
    return {**changed, **disagreeing(root)}


def normalize_cell(cell: nbformat.NotebookNode, identifier: str) -> None:
    """Drop what a run or an editor left in one cell."""
    cell.setdefault("id", identifier)
    for key in PASSING:
        cell.metadata.pop(key, None)
    if cell.cell_type != "code":
        return
    compared = "nbval-check-output" in cell.metadata.get("tags", [])
    cell.execution_count = 1 if compared else None  # nbval takes outputs without a count for a cell that never ran
    if not compared:
        cell.outputs = []
    for output in cell.outputs:
        if "execution_count" in output:
            output.execution_count = None


def main() -> None:
    """Rewrite the notebooks, or with ``--check`` only name those that would change."""
    try:
        changed = differing()
    except AddressError as error:
        sys.exit(str(error))
    if "--check" in sys.argv[1:]:
        for path in changed:
            print(f"{path.relative_to(ROOT)} is not in the committed form: make format")
        sys.exit(bool(changed))
    for path, form in changed.items():
        path.write_text(form, encoding="utf-8")
        print(f"formatted {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
