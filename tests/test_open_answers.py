"""What folded answers say in numbers was tried, and is what came out."""

import ast
import builtins
import re
import sys
from pathlib import Path

import nbformat
import pytest

from teachlib.results import read_results

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from staging import notebooks  # noqa: E402

from benchmarks.answers import TRIES, Try  # noqa: E402

BOX = re.compile(r"<details>\s*<summary>(Answer|Solution)</summary>(.*?)</details>", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.])\d*\.\d+")
# Numbers that need no trial: of a rule that is given, or of a table that the page prints.
GIVEN = {("3-stylegan2-taken-apart", "cell-38"), ("6-what-codes-know", "cell-33")}


def text_of(tried: Try) -> str:
    """Of the cell that tells what came out, on one line."""
    (cell,) = [cell for cell in tried.cells() if cell["id"] == tried.answer]
    return " ".join("".join(cell["source"]).split())


@pytest.mark.parametrize("name", TRIES)
def test_a_page_says_what_came_out(name: str) -> None:
    tried = TRIES[name]
    row = read_results("answers")[tried.row(name)]
    assert row["recipe"] == tried.recipe(name)
    sentences = tried.says({key: value["values"] for key, value in row["values"].items()})
    assert sentences
    for sentence in sentences:
        assert sentence in text_of(tried)


@pytest.mark.parametrize("name", TRIES)
def test_what_is_tried_can_still_be_read(name: str) -> None:
    """Each name that it uses is still made by the notebook's cells, or by itself."""
    tried, source = TRIES[name], ast.parse(TRIES[name].source())
    made = {node.id for node in ast.walk(source) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    made |= {node.name for node in ast.walk(source) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    made |= {node.arg for node in ast.walk(source) if isinstance(node, ast.arg)}
    made |= {(node.asname or node.name).split(".")[0] for node in ast.walk(source) if isinstance(node, ast.alias)}
    used = {node.id for node in ast.walk(ast.parse(tried.code)) if isinstance(node, ast.Name)}
    assert used - made - set(dir(builtins)) == set()


def decimals(text: str) -> set[str]:
    """Numbers with a point, however they are written: 0.5 is .5."""
    return {number.lstrip("0") for number in NUMBER.findall(text)}


def test_every_number_of_a_folded_answer_was_tried() -> None:
    """Or, of an answer to a prediction, which what follows on the page explains, stands in the page's own prose."""
    tried = {(Path(some.notebook).name, some.answer) for some in TRIES.values()} | GIVEN
    for path in notebooks(ROOT):
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
        prose = decimals("\n".join(BOX.sub("", cell.source) for cell in cells))
        for cell in cells:
            for _, answer in BOX.findall(cell.source):
                if "```python" not in answer and (path.stem, cell["id"]) not in tried:
                    told = decimals(re.sub(r"\$[^$]*\$", "", answer))
                    assert told - (prose if "**Predict" in cell.source else set()) == set(), (path.stem, cell["id"])
