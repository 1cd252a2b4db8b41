"""Which cells a page folds away."""

import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from folding import folded, is_folded

IMPORTS = "import math\n\nimport torch\nfrom torch import nn\nfrom teachlib import data\n\nsession = begin(scale)"


@pytest.mark.parametrize(
    ("source", "away"),
    [
        (IMPORTS, True),
        ("import math\nx = 1", False),
        ('show(\n    figures.curves(lines),\n    alt="Lines.",\n)', True),
        ('figures.slider(\n    frames,\n    label="t",\n)', True),
        ('lines = {}\nshow(\n    figures.curves(lines),\n    alt="Lines.",\n)', True),
        ('show(figures.curves(lines), alt="Lines.")\nexpect("a", 1, above(0))', False),
        ('def f(x):\n    return x\n\n\nshow(\n    a,\n    b,\n    c,\n    d,\n    e,\n    f,\n    alt="x",\n)', False),
        ("a = 1\nb = 2\nc = a + b\ndisplay(c)", False),
        ("%matplotlib inline", False),
    ],
)
def test_imports_and_drawings_are_folded_and_nothing_else(source: str, away: bool) -> None:
    assert is_folded(source) == away


def test_a_page_has_no_cell_of_papermill_and_keeps_other_tags() -> None:
    own, injected, code = (nbformat.v4.new_code_cell(text) for text in ("scale = None", "scale = 'ci'", IMPORTS))
    own.metadata["tags"], injected.metadata["tags"] = ["parameters"], ["injected-parameters"]
    notebook = nbformat.v4.new_notebook(cells=[own, injected, code])
    (content,) = folded({"a.ipynb": nbformat.writes(notebook).encode()}).values()
    tags = [cell.metadata.get("tags", []) for cell in nbformat.reads(content.decode(), as_version=4).cells]
    assert tags == [["parameters"], ["injected-parameters", "remove-cell"], ["hide-input"]]
