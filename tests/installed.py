"""Notebooks as their reader has them: the library installed from its wheel, an empty folder, one run for all tests.

Where bubblewrap works, that folder, and one for temporary files, is all that can be written: home, data and the library
are read-only, as in a service that lends machines. nbval runs each notebook, compares its tagged outputs exactly, and
keeps all of them: the book of the tests is made of this run.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import dist  # noqa: E402
from notebooks import cleaned, kernel_environment  # noqa: E402
from warm_kernels import warm_kernels  # noqa: E402


def _plain(environment: dict[str, str]) -> dict[str, str]:
    """Without a way to the checkout's own copy of the library."""
    return {name: value for name, value in environment.items() if name != "PYTHONPATH"}


def called(*command: str | Path, **options: object) -> str:
    """What a command prints that must go well, with no way to the checkout's own copy of the library."""
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
    called(*pip, "--python", python, "install", "--no-deps", "--no-index", wheel)
    packages = Path(called(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
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
def reader_environment(python: Path, places: Path) -> dict[str, str]:
    """A reader's environment: home and data cannot be written; temporary and decoded files have a place."""
    scratch = places / "scratch"
    scratch.mkdir(exist_ok=True)
    home = python.parents[2] / "home"
    own = {"HOME": str(home), "TEACHLIB_DATA": str(home), "TMPDIR": str(scratch), "JUPYTER_RUNTIME_DIR": str(scratch)}
    own["TEACHLIB_CACHE"] = str(scratch / "cache")  # heads that one notebook drew need not be drawn by the next
    foreign = ("PYTHONPATH", "XDG_CACHE_HOME", "MPLCONFIGDIR", "IPYTHONDIR")
    return {name: value for name, value in {**kernel_environment("ci"), **own}.items() if name not in foreign}


@dataclass(frozen=True)
class Reader:
    """Somebody who runs a notebook by nbval, with an installed library and nothing else.

    Attributes:
        python: of the environment with the library.
        environment: of a notebook's process.
        kept: holds what came out, for all processes of a test run.
    """

    python: Path
    environment: dict[str, str]
    kept: Path

    def run(self, notebook: Path, folder: Path) -> tuple[int, str, Path]:
        """How nbval ended, what it said, and the notebook with its outputs; the first who asks runs it.

        Args:
            notebook: as its author wrote it.
            folder: empty.
        """
        place = self.kept / notebook.relative_to(ROOT).with_suffix("")
        place.mkdir(parents=True, exist_ok=True)
        ended, outputs = place / "ended.json", place / "outputs.ipynb"
        with FileLock(place / "lock"):
            if not ended.exists():
                code, said = self._nbval(notebook, folder, outputs)
                ended.write_text(json.dumps([code, said]))
        return *json.loads(ended.read_text()), outputs

    def _nbval(self, notebook: Path, folder: Path, outputs: Path) -> tuple[int, str]:
        from papermill.iorw import load_notebook_node  # here: the light tests run without it
        from papermill.parameterize import parameterize_notebook

        alone = folder / "alone"
        alone.mkdir()
        shutil.copy(ROOT / "tests" / "keep_outputs.py", folder / "conftest.py")
        plain = load_notebook_node(str(notebook))
        told = parameterize_notebook(plain, {"scale": "ci"}, kernel_name="python3", language="python")
        nbformat.write(told, alone / notebook.name)
        patience = (
            "--nbval-cell-timeout=300",
            "--nbval-kernel-startup-timeout=300",
        )  # the first kernel waits for imports
        nbval = ("-p", "nbval.plugin", "--nbval-lax", *patience, "-p", "no:cacheprovider")
        done = subprocess.run(
            [self.python, "-m", "pytest", *nbval, f"--confcutdir={folder}", f"--keep-outputs={outputs}", notebook.name],
            cwd=alone,
            env={**self.environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # a second for each notebook
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            nbformat.write(cleaned(nbformat.read(outputs, as_version=4)), outputs)
        return done.returncode, done.stdout[-6000:]


@pytest.fixture(scope="session")
def reader(python: Path, reader_environment: dict[str, str], sandbox: tuple[str, ...]) -> Iterator[Reader]:
    """Whoever runs the notebooks, with kernels at hand that have imported what notebooks import."""
    with warm_kernels(reader_environment, str(python), sandbox) as warm:
        yield Reader(python, warm, python.parents[2] / "runs")
