"""What a page folds away, one click from being read: imports, and cells that do little more than draw."""

import ast
from collections.abc import Mapping

import nbformat

FOLD, REMOVE = "hide-input", "remove-cell"  # as MyST-NB calls them
_IMPORTS = 4  # as many statements make a cell the one that imports
_DRAWING = 2 / 3  # of a cell's lines
_DRAWERS, _CHECKS = ("show", "display"), ("expect", "agree")


def folded(notebooks: Mapping[str, bytes]) -> dict[str, bytes]:
    """Executed notebooks, by name, with the tags that fold cells; papermill's own cell is left out of the page."""
    return {name: _folded(content) for name, content in notebooks.items()}


def _folded(content: bytes) -> bytes:
    notebook = nbformat.reads(content.decode("utf-8"), as_version=4)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "injected-parameters" in tags:  # the cell before it says the same, and what it means
            cell.metadata["tags"] = [*tags, REMOVE]
        elif cell.cell_type == "code" and FOLD not in tags and is_folded(cell.source):
            cell.metadata["tags"] = [*tags, FOLD]
    return nbformat.writes(notebook).encode()


def is_folded(source: str) -> bool:
    """Whether a cell's code imports, or draws and neither defines nor checks anything."""
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # a magic
        return False
    if sum(isinstance(statement, ast.Import | ast.ImportFrom) for statement in statements) >= _IMPORTS:
        return True
    if any(isinstance(statement, ast.FunctionDef | ast.ClassDef) for statement in statements):
        return False
    called = {_called(statement) for statement in statements}
    lines = sum(_length(statement) for statement in statements)
    drawn = sum(_length(statement) for statement in statements if _called(statement) in _DRAWERS)
    return not called & set(_CHECKS) and 0 < drawn >= _DRAWING * lines


def _called(statement: ast.stmt) -> str:
    """The function whose call is the whole statement; of ``figures.slider`` and its like, *show*."""
    function = (
        statement.value.func if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) else None
    )
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "figures":
        return "show"
    return function.id if isinstance(function, ast.Name) else ""


def _length(statement: ast.stmt) -> int:
    return (statement.end_lineno or statement.lineno) - statement.lineno + 1
