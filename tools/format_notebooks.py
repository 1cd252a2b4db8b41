"""Bring the notebooks into the one form in which they are committed.

    .venv/bin/python tools/format_notebooks.py            # rewrite what differs
    .venv/bin/python tools/format_notebooks.py --check    # name what differs, exit code 1

Outputs go, except in cells tagged ``nbval-check-output``, whose outputs are tests. So do execution counts, timings
and the names of the machine's kernels.
"""

import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("chapters", "assignments/source")
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# What editors and runners leave in a cell's metadata.
PASSING = ("execution", "papermill", "collapsed", "scrolled", "ExecuteTime", "jupyter", "vscode", "outputId", "colab")


def tracked_notebooks(root: Path = ROOT) -> list[Path]:
    """The notebooks that are committed."""
    found = [path for folder in FOLDERS for path in (root / folder).rglob("*.ipynb")]
    return sorted(path for path in found if ".ipynb_checkpoints" not in path.parts)


def normalized(text: str) -> str:
    """A notebook's committed form."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    notebook.nbformat_minor = 5
    for index, cell in enumerate(notebook.cells):
        normalize_cell(cell, f"cell-{index}")
    return nbformat.writes(notebook).rstrip("\n") + "\n"


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
    texts = {path: path.read_text(encoding="utf-8") for path in tracked_notebooks()}
    changed = {path: form for path, text in texts.items() if (form := normalized(text)) != text}
    if "--check" in sys.argv[1:]:
        for path in changed:
            print(f"{path.relative_to(ROOT)} is not in the committed form: make format")
        sys.exit(bool(changed))
    for path, form in changed.items():
        path.write_text(form, encoding="utf-8")
        print(f"formatted {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
