"""Every notebook runs at scale ci as its reader has it, by nbval; and what is asked of its cells."""

import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from address import INSTALL_TAG
from installed import ROOT, Reader, called
from staging import notebooks

NOTEBOOKS = sorted((ROOT / "chapters").rglob("*.ipynb"))
PUBLISHED = notebooks(ROOT)  # those of a chapter that is being written wait for its place
LONGEST_CELL = 20  # lines


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_the_wheel_is_what_is_imported_and_holds_what_is_read(python: Path, tmp_path: Path) -> None:
    program = (
        "import teachlib; from teachlib.results import measured_folder; print(teachlib.__file__, measured_folder())"
    )
    for place in called(python, "-c", program, cwd=tmp_path).split():
        assert Path(place).is_relative_to(python.parents[1])
    installed = Path(called(python, "-c", "import teachlib; print(teachlib.__path__[0])", cwd=tmp_path).strip())
    assert _files(installed) == _files(ROOT / "src" / "teachlib")
    assert "rae-l2" in called(python.parent / "teachlib", "table", "3.1", "--dataset", "glyphs", cwd=tmp_path).lower()


def test_nothing_but_the_folder_can_be_written(
    python: Path, reader_environment: dict[str, str], sandbox: tuple[str, ...], tmp_path: Path
) -> None:
    if not sandbox:
        pytest.skip("bubblewrap is missing, or not allowed to")
    program = """
import os, tempfile
from pathlib import Path
import teachlib
def writable(folder):
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
print(*map(writable, (".", Path.home(), os.environ["TEACHLIB_DATA"], teachlib.__path__[0], "/usr")))
"""
    done = subprocess.run(
        [*sandbox, python, "-c", program], cwd=tmp_path, env=reader_environment, capture_output=True, text=True
    )
    assert done.stdout.split() == ["True", "False", "False", "False", "False"], done.stderr


@pytest.mark.parametrize("notebook", PUBLISHED, ids=lambda path: path.stem)
def test_notebook_runs_at_scale_ci(notebook: Path, reader: Reader, tmp_path: Path) -> None:
    code, said, outputs = reader.run(notebook, tmp_path)
    assert code == 0, said
    assert " passed" in said
    kept = nbformat.read(outputs, as_version=4).cells
    assert sum(bool(cell.get("outputs")) for cell in kept) >= 1


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_one_is_compared(notebook: Path) -> None:
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    cells = [cell for cell in cells if INSTALL_TAG not in cell.metadata.get("tags", [])]
    assert "parameters" in cells[0].metadata.get("tags", [])
    assert min(len(cell.source.split()) for cell in cells) >= 1
    assert max(len(cell.source.splitlines()) for cell in cells) <= LONGEST_CELL
    assert any("nbval-check-output" in cell.metadata.get("tags", []) for cell in cells)


@pytest.mark.parametrize("notebook", PUBLISHED, ids=lambda path: path.stem)
def test_each_prediction_has_a_folded_answer(notebook: Path) -> None:
    """Before the next prediction is asked for, so that a reader can check the guess where it was made."""
    cells = nbformat.read(notebook, as_version=4).cells
    prose = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    for asked in re.split(r"\*\*Predict\b", prose)[1:]:
        assert re.search(r"<summary>Answer</summary>\n\n\S", asked), asked[:200]
