"""Every notebook runs at scale ci as its reader has it: the library installed from its wheel, an empty folder.

Where bubblewrap works, that folder, and one for temporary files, is all that can be written: home, data and the library
are read-only, as in a service that lends machines. Its tagged outputs are compared exactly, by nbval.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import dist  # noqa: E402
from address import INSTALL_TAG  # noqa: E402
from notebooks import kernel_environment  # noqa: E402
from staging import notebooks  # noqa: E402
from warm_kernels import warm_kernels  # noqa: E402

NOTEBOOKS = sorted((ROOT / "chapters").rglob("*.ipynb"))
PUBLISHED = notebooks(ROOT)  # those of a chapter that is being written wait for its place
LONGEST_CELL = 20  # lines


def _plain(environment: dict[str, str]) -> dict[str, str]:
    """Without a way to the checkout's own copy of the library."""
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}


def _call(*command: str | Path, **options: object) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        check=False,
        env=_plain({**os.environ}),
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return str(done.stdout)


def _install(folder: Path) -> None:
    """A fresh environment with the library's wheel; what it depends on is lent by the one that runs the tests."""
    _, wheel = dist.build(folder)
    venv.create(folder / "env", with_pip=False, symlinks=True)
    python = folder / "env" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    _call(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    packages = Path(_call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # As a plain folder on the path: its own .pth files, of which one leads to the checkout, are not read.
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "home").mkdir()
    (folder / "ready").touch()


def _nothing_else_writable(places: Path, installed: Path) -> tuple[str, ...]:
    """What runs a command so that it can write below one folder only, as on a machine whose inputs are read-only.

    Nothing where bubblewrap is missing or not allowed to.
    """
    bind = ("--bind", str(places), str(places), "--ro-bind", str(installed), str(installed))
    command = ("bwrap", "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev", "--proc", "/proc", *bind, "--")
    allowed = shutil.which("bwrap") and subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if allowed and allowed.returncode == 0 else ()


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the fresh environment, made once for all processes of a test run."""
    parallel = "PYTEST_XDIST_WORKER" in os.environ
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if parallel else folder) / "installed"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "ready").exists():
            _install(folder)
    return folder / "env" / "bin" / "python"


@pytest.fixture(scope="session")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds those of all tests of this process."""
    return tmp_path_factory.getbasetemp().resolve()


@pytest.fixture(scope="session")
def sandbox(python: Path, places: Path) -> tuple[str, ...]:
    """Runs a command that can write nowhere but in the folders of tests."""
    return _nothing_else_writable(places, python.parents[2].resolve())


@pytest.fixture(scope="session")
def reader(python: Path, places: Path) -> dict[str, str]:
    """A reader's environment: home and data cannot be written; temporary files have a place."""
    scratch = places / "scratch"
    scratch.mkdir(exist_ok=True)
    home = python.parents[2] / "home"
    own = {"HOME": str(home), "TEACHLIB_DATA": str(home), "TMPDIR": str(scratch), "JUPYTER_RUNTIME_DIR": str(scratch)}
    foreign = ("PYTHONPATH", "TEACHLIB_CACHE", "XDG_CACHE_HOME", "MPLCONFIGDIR", "IPYTHONDIR")
    return {name: value for name, value in {**kernel_environment("ci"), **own}.items() if name not in foreign}


@pytest.fixture(scope="module")
def environment(python: Path, reader: dict[str, str], sandbox: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """As the book's notebooks have it, with one thread and embedded data; and nothing to write but their folder."""
    with warm_kernels(reader, str(python), sandbox) as warm:
        yield warm


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}


def test_the_wheel_is_what_is_imported_and_holds_what_is_read(python: Path, tmp_path: Path) -> None:
    program = (
        "import teachlib; from teachlib.results import measured_folder; print(teachlib.__file__, measured_folder())"
    )
    for place in _call(python, "-c", program, cwd=tmp_path).split():
        assert Path(place).is_relative_to(python.parents[1])
    installed = Path(_call(python, "-c", "import teachlib; print(teachlib.__path__[0])", cwd=tmp_path).strip())
    assert _files(installed) == _files(ROOT / "src" / "teachlib")
    assert "rae-l2" in _call(python.parent / "teachlib", "table", "3.1", "--dataset", "glyphs", cwd=tmp_path).lower()


def test_nothing_but_the_folder_can_be_written(
    python: Path, reader: dict[str, str], sandbox: tuple[str, ...], tmp_path: Path
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
    done = subprocess.run([*sandbox, python, "-c", program], cwd=tmp_path, env=reader, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "False", "False", "False", "False"], done.stderr


@pytest.mark.parametrize("notebook", PUBLISHED, ids=lambda path: path.stem)
def test_notebook_runs_at_scale_ci(notebook: Path, python: Path, environment: dict[str, str], tmp_path: Path) -> None:
    patience = ("--nbval-cell-timeout=300", "--nbval-kernel-startup-timeout=300")  # the first kernel waits for imports
    command = [str(python), "-m", "pytest", "--nbval-lax", *patience, "-p", "no:cacheprovider"]
    copy = shutil.copy(notebook, tmp_path)
    done = subprocess.run(
        [*command, str(copy)], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " passed" in done.stdout


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_one_is_compared(notebook: Path) -> None:
    cells = [cell for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    cells = [cell for cell in cells if INSTALL_TAG not in cell.metadata.get("tags", [])]
    assert "parameters" in cells[0].metadata.get("tags", [])
    assert min(len(cell.source.split()) for cell in cells) >= 1
    assert max(len(cell.source.splitlines()) for cell in cells) <= LONGEST_CELL
    assert any("nbval-check-output" in cell.metadata.get("tags", []) for cell in cells)
