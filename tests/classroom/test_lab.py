"""A student with JupyterLab in a real browser opens what was handed out, solves it, saves it, and gets the points."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import PATIENCE, jupyter_lab, run_all, visited
from sandboxes import usable
from toy_assignment import CELLS, NAMES, write_toy

from teachlib.classroom.course import grade_class
from teachlib.classroom.release import release
from teachlib.classroom.source import Assignment

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture
def toy(tmp_path: Path) -> Assignment:
    return write_toy(tmp_path / "source")


@pytest.fixture
def lab(tmp_path: Path, toy: Assignment) -> Iterator[tuple[str, Path]]:
    """The address of JupyterLab over a folder with the notebook that was handed out."""
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "toy.ipynb").write_text(release(toy, 0), encoding="utf-8")
    home = tmp_path / "home"
    home.mkdir()
    with jupyter_lab(folder, home) as address:
        yield address, folder


@pytest.mark.slow
def test_a_student_solves_the_assignment_and_gets_full_marks(
    lab: tuple[str, Path], toy: Assignment, tmp_path: Path
) -> None:
    usable("strict")
    address, folder = lab
    cells = json.loads((folder / "toy.ipynb").read_text())["cells"]

    def visit(page: Any) -> None:
        page.goto(f"{address}/lab/tree/toy.ipynb?token=open")
        for number, cell in enumerate(cells):
            if cell["id"] in CELLS:
                page.locator(f".jp-Notebook [data-windowed-list-index='{number}'] .cm-content").click()
                page.keyboard.press("Control+a")
                page.keyboard.insert_text(CELLS[cell["id"]].strip("\n"))
        run_all(page)
        page.locator(".jp-InputPrompt", has_text=f"[{2 + 2 * len(NAMES)}]:").wait_for()
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !document.querySelector('.jp-mod-dirty')")

    visited(CHROMIUM, PATIENCE, visit)
    saved = json.loads((folder / "toy.ipynb").read_text())["cells"]
    by_id = {cell["id"]: "".join(cell["source"]) for cell in saved}
    assert {name: by_id[name] for name in NAMES} == {name: CELLS[name].strip("\n") for name in NAMES}
    errors = [output for cell in saved for output in cell.get("outputs", []) if output["output_type"] == "error"]
    assert errors == []
    (result,) = grade_class(toy, folder.parent / "student", tmp_path / "graded", jobs=1, progress=False)
    assert {verdict["exercise"]: verdict["points"] for verdict in result["verdicts"]} == dict.fromkeys(NAMES, 1)
