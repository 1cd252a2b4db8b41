"""Every solution that a notebook prints gets full marks from the checker it stands beside."""

import ast
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from staging import notebooks  # noqa: E402

CALL = re.compile(r"exercises\.(\w+)\.check\((\w+)\)")
BOX = re.compile(r"<summary>Solution</summary>\s*```python\n(.*?)```", re.DOTALL)


def _boxes(notebook: Path) -> list[tuple[str, str, str, str]]:
    """Exercise, name of the answer, printed solution, and all imports of the notebook."""
    cells = nbformat.read(notebook, as_version=4).cells
    imports = []
    for cell in cells:
        if cell.cell_type == "code":
            nodes = ast.parse(cell.source).body
            imports += [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    boxes = []
    for cell, after in pairwise(cells):
        for name, answer in CALL.findall(cell.source) if cell.cell_type == "code" else []:
            box = BOX.search(after.source)
            boxes.append((name, answer, box[1] if box else "", "\n".join(imports)))
    return boxes


BOXES = [(path.stem, *box) for path in notebooks(ROOT) for box in _boxes(path)]


@pytest.mark.parametrize(
    ("notebook", "name", "answer", "solution", "imports"), BOXES, ids=[f"{b[0]}-{b[1]}" for b in BOXES]
)
def test_a_printed_solution_is_right(notebook: str, name: str, answer: str, solution: str, imports: str) -> None:
    assert solution, "no solution stands below this exercise"
    names: dict[str, Any] = {}
    exec(f"{imports}\n{solution}", names)
    verdict = getattr(names["exercises"], name).check(names[answer])
    assert (verdict.points, verdict.message) == (1, "correct")


def test_a_notebook_has_three_exercises_or_none() -> None:
    counts = Counter(notebook for notebook, *_ in BOXES)
    assert set(counts.values()) == {3}
    assert len(counts) == len(notebooks(ROOT))
