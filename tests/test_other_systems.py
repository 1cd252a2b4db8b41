"""What macOS and Windows lack is missed in one line, never in a traceback; the page of known limits says so."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from teachlib import results
from teachlib.commands import train
from teachlib.errors import TeachlibError

# A Mac, as far as Linux can be one: without the calls that only Linux has, and with its names. What is compiled for
# Linux is imported before.
MAC = """
import os, platform, signal, sys
import teachlib, torch, torchvision, pandas, matplotlib.pyplot, sklearn.mixture, lightning_fabric, ipywidgets, resource
import asyncio, multiprocessing, subprocess, tempfile
for module, names in ((os, "pidfd_open memfd_create sched_getaffinity sched_setaffinity setns unshare"),
                      (signal, "pidfd_send_signal")):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
platform.libc_ver = lambda *given, **options: ("", "")
platform.system, platform.machine = lambda: "Darwin", lambda: "arm64"
sys.platform = "darwin"
opened = os.open
def without_proc(path, *given, **options):
    if str(path).startswith(("/proc", "/sys")):
        raise FileNotFoundError(2, "No such file or directory", path)
    return opened(path, *given, **options)
os.open = without_proc
from teachlib.cli import main
"""


def command(preamble: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = f"{preamble}\nsys.argv = {['teachlib', *words]!r}\nmain()"
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_mac_trains_and_is_measured(tmp_path: Path) -> None:
    quick = ("--dataset", "digits", "--scale", "ci", "--width", "2", "--steps", "4", "--out", "run")
    done = command(MAC, "train", "ae", *quick, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Darwin" in done.stdout
    done = command(MAC, "evaluate", "run", "--samples", "200", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("grade", "primer", "in", "--out", "out"), "no strict sandbox on this machine: it needs Linux on x86-64"),
        (("grade", "primer", "in", "--out", "out", "--sandbox", "weak"), "no weak sandbox on this machine: it needs"),
        (("assignment", "check", "primer", "--sandbox", "strict"), "no strict sandbox on this machine: it needs"),
    ],
)
@pytest.mark.slow
def test_a_mac_is_told_in_a_line_where_to_grade(tmp_path: Path, words: tuple[str, ...], line: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_text("{}")
    source = ("--source", str(Path(__file__).resolve().parents[1] / "assignments" / "source"))
    done = command(MAC, *words, *source, folder=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.startswith(f"teachlib: {line}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_a_mac_has_one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    train._refuse_machine(1, 1, "32-true", False)
    with pytest.raises(TeachlibError, match="--devices 2 --nodes 1, but MPS knows one GPU"):
        train._refuse_machine(2, 1, "32-true", False)


@pytest.mark.parametrize("name", [r"C:\venv\Scripts\teachlib.exe", "teachlib", "-m"])
def test_windows_is_refused_in_a_line(name: str) -> None:
    name = name.replace("\\", "/")  # as Windows would split it
    program = f"import importlib.metadata, sys; sys.platform, sys.argv = 'win32', [{name!r}]; import teachlib"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "teachlib runs on Linux and macOS; on Windows, install it within WSL 2, which is Linux\n"


def test_a_notebook_on_windows_gets_an_error_it_can_show() -> None:
    program = (
        "import importlib.metadata, sys; sys.platform, sys.argv = 'win32', ['ipykernel_launcher.py']; import teachlib"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("ImportError: teachlib runs on Linux and macOS; on Windows, install")


def test_a_measurement_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert results.provenance([0], 1.0)["commit"]
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert results.provenance([0], 1.0)["commit"] == "unknown"
