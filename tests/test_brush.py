"""A picture that is painted on, in JupyterLab and a real browser: what the kernel gets, and what it answers."""

import base64
import io
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lab import PATIENCE, jupyter_lab, run_all, visited
from PIL import Image
from torch import Tensor

from teachlib import figures
from teachlib.errors import TeachlibError
from teachlib.figures import brushes

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
HEIGHT, WIDTH = 16, 24
GREY = torch.full((HEIGHT, WIDTH), 0.4)


def _negative(marks: Tensor) -> Tensor:
    if marks.all():
        raise TeachlibError("everything is marked; leave something")
    return torch.where(marks, 1.0, 0.0)


def _seen(address: str) -> np.ndarray:
    kind, _, contents = address.partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(contents))).convert("L"))


def test_marks_are_read_row_by_row_and_answered() -> None:
    marks = "1" + "0" * (HEIGHT * WIDTH - 2) + "1"
    marked = brushes.marked_pixels(marks, HEIGHT, WIDTH)
    assert marked.nonzero().tolist() == [[0, 0], [HEIGHT - 1, WIDTH - 1]]
    assert brushes.marked_pixels("010000", 2, 3).nonzero().tolist() == [[0, 1]]
    made, said = brushes.answered(GREY, _negative, marks)
    assert np.array_equal(_seen(made) == 255, marked.numpy())
    assert said == "2 of 384 pixels are marked."


def test_without_marks_or_an_answer_the_picture_itself_is_shown_and_why() -> None:
    for marks, words in (("0" * 384, "Nothing is marked yet."), ("1" * 384, "everything is marked; leave something.")):
        made, said = brushes.answered(GREY, _negative, marks)
        assert (_seen(made) == 102).all()
        assert said == words
    assert "expected a 0 or 1 for each of 16×24" in brushes.answered(GREY, _negative, "01")[1]
    assert "expected a 0 or 1" in brushes.answered(GREY, _negative, "2" * 384)[1]


def test_a_canvas_answers_whatever_the_page_sets() -> None:
    pytest.importorskip("anywidget")
    canvas = figures.brush(GREY[None], lambda marks: _negative(marks)[None], label="Paint", alt="white where painted")
    assert (canvas.shape, set(canvas.marks), len(canvas.marks)) == ([HEIGHT, WIDTH], {"0"}, 384)
    assert (_seen(canvas.picture) == 102).all()
    canvas.marks = "1" + canvas.marks[1:]
    assert _seen(canvas.made).nonzero()[0].tolist() == [0]
    assert canvas.said == "1 of 384 pixels are marked."


def test_what_is_no_picture_has_no_words_or_no_anywidget_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TeachlibError, match="expected"):
        figures.brush(torch.zeros(4), _negative, label="x", alt="y")
    with pytest.raises(TeachlibError, match="expected"):
        figures.brush(torch.zeros(2, 4, 4), _negative, label="x", alt="y")
    with pytest.raises(TeachlibError, match="without label"):
        figures.brush(GREY, _negative, label=" ", alt="y")
    with pytest.raises(TeachlibError, match="without description"):
        figures.brush(GREY, _negative, label="x", alt=" ")
    monkeypatch.setitem(sys.modules, "teachlib.figures.canvas", None)
    with pytest.raises(TeachlibError, match="pip install anywidget"):
        figures.brush(GREY, _negative, label="x", alt="y")


# ------------------------------------------------------------------------------------------------ in a real browser

_CELL = f"""import torch
from teachlib import figures
canvas = figures.brush(torch.full(({HEIGHT}, {WIDTH}), 0.4), lambda marks: marks.float(), label="Paint", alt="painted")
canvas"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """JupyterLab over a notebook that shows a brush."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    cell = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": [], "source": _CELL}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    below = {**cell, "source": "# where an arrow would lead that the notebook takes for itself"}
    notebook = {"cells": [cell, below], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 4}
    folder, home = tmp_path / "folder", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (folder / "brush.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    with jupyter_lab(folder, home) as address:
        yield address


def _answered(page: Any, count: int) -> np.ndarray:
    """What the kernel made of so many marks."""
    page.locator(".teachlib-brush output", has_text=f"{count} of 384 pixels are marked").wait_for()
    return _seen(page.locator(".teachlib-brush img").get_attribute("src")) == 255


def _point(page: Any, row: int, column: int) -> tuple[float, float]:
    """Where a pixel's middle lies on the page."""
    box = page.locator(".teachlib-brush canvas").bounding_box()
    return box["x"] + (column + 0.5) * box["width"] / WIDTH, box["y"] + (row + 0.5) * box["height"] / HEIGHT


def _paint_by_mouse(page: Any) -> None:
    page.mouse.move(*_point(page, 4, 6))
    page.mouse.down()
    page.mouse.move(*_point(page, 4, 15))  # in one go: what lies between is painted, too
    page.mouse.up()
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[4, 6:16] = True
    assert np.array_equal(_answered(page, 10), expected)


def _erase_by_keys(page: Any) -> None:
    page.mouse.click(*_point(page, 4, 6))  # the brush goes there, and marks what is marked
    for key in ("ArrowRight", "ArrowRight", "Delete", "ArrowDown", "ArrowDown", " ", "ArrowDown", " "):
        page.keyboard.press(key)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[4, [6, 7, *range(9, 16)]] = True
    expected[6:8, 8] = True
    assert np.array_equal(_answered(page, 11), expected)  # another count than before, to wait for


def _erase_by_touch_with_a_larger_brush(page: Any) -> None:
    page.get_by_role("checkbox", name="Erase").check()
    page.get_by_role("slider", name="Brush").fill("1")
    page.touchscreen.tap(*_point(page, 4, 10))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[4, [6, 7, 12, 13, 14, 15]] = True
    expected[6:8, 8] = True
    assert np.array_equal(_answered(page, 8), expected)


@pytest.mark.slow
def test_a_reader_paints_in_jupyterlab_by_mouse_keys_and_touch(lab: str) -> None:
    pytest.importorskip("anywidget")

    def visit(page: Any) -> None:
        page.goto(f"{lab}/lab/tree/brush.ipynb?token=open")
        run_all(page)
        page.locator(".teachlib-brush output", has_text="Nothing is marked yet").wait_for()
        page.get_by_role("slider", name="Brush").fill("0")
        for paint in (_paint_by_mouse, _erase_by_keys, _erase_by_touch_with_a_larger_brush):
            paint(page)
        page.get_by_role("button", name="Clear", exact=True).click()
        page.locator(".teachlib-brush output", has_text="Nothing is marked yet").wait_for()
        active = "() => [...document.querySelectorAll('.jp-Cell')].findIndex(cell => cell.matches('.jp-mod-active'))"
        assert page.evaluate(active) == 0, "keys moved the notebook on"

    visited(CHROMIUM, PATIENCE, visit, has_touch=True)
