"""Every notebook runs at scale ci through nbval; its tagged outputs are compared exactly."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from notebooks import kernel_environment  # noqa: E402
from staging import notebooks  # noqa: E402
from warm_kernels import warm_kernels  # noqa: E402

NOTEBOOKS = sorted((ROOT / "chapters").rglob("*.ipynb"))
PUBLISHED = notebooks(ROOT)  # those of a chapter that is being written wait for its place
LONGEST_CELL = 20  # lines


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """As the book's notebooks have it: scale ci, one thread, embedded data only."""
    with warm_kernels(kernel_environment("ci")) as warm:
        yield warm


@pytest.mark.parametrize("notebook", PUBLISHED, ids=lambda path: path.stem)
def test_notebook_runs_at_scale_ci(notebook: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-cell-timeout=300", "-p", "no:cacheprovider"]
    command.append(str(notebook))
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_one_is_compared(notebook: Path) -> None:
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    assert "parameters" in cells[0].metadata.get("tags", [])
    assert max(len(cell.source.splitlines()) for cell in cells) <= LONGEST_CELL
    assert any("nbval-check-output" in cell.metadata.get("tags", []) for cell in cells)
