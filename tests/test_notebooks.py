"""Every notebook runs at scale ci through nbval; its tagged outputs are compared exactly."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "chapters").rglob("*.ipynb"))
LONGEST_CELL = 20  # lines


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_at_scale_ci(notebook: Path) -> None:
    environment = {**os.environ, "TEACHLIB_SCALE": "ci", "OMP_NUM_THREADS": "1"}
    environment.pop("TEACHLIB_DATA", None)  # embedded data only, as everyone has them
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", str(notebook)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_one_is_compared(notebook: Path) -> None:
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert "parameters" in cells[0].metadata.get("tags", [])
    assert max(len(cell.source.splitlines()) for cell in cells) <= LONGEST_CELL
    assert any("nbval-check-output" in cell.metadata.get("tags", []) for cell in cells)
