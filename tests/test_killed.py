"""Processes that are killed while they write, or that meet in one folder: the next start goes on, or says one line."""

import errno
import fcntl
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from small_run import Denoiser, images

import teachlib.alone
from teachlib import checkpoints, data, zoo
from teachlib.alone import alone
from teachlib.checkpoints import read_checkpoint, write_atomically, write_checkpoint
from teachlib.errors import TeachlibError
from teachlib.fill import fill
from teachlib.training import Schedule, fit

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

import book  # noqa: E402

CARD = {"recipe": {}, "command": "by hand"}
BRIEF = Schedule(steps=4, batch_size=20, checkpoint_every=2, log_every=1)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second of two processes speaks at once."""
    monkeypatch.setattr(teachlib.alone, "PATIENCE", 0.0)


def _killed(work: Callable[..., None], *arguments: object) -> None:
    """Run what kills itself in a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def _kill_myself(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _kill(*options: str) -> None:
    done = subprocess.run([sys.executable, TOOLS / "kill.py", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 faults" in done.stdout
    assert " 0 ends compared" not in done.stdout


@pytest.mark.parametrize(("what", "times"), [("fit", "4"), ("data", "8"), ("zoo", "4")])
@pytest.mark.slow
def test_killed_at_any_moment_the_next_start_comes_to_the_same_end(what: str, times: str) -> None:
    _kill("--what", what, "--times", times)


@pytest.mark.parametrize(("what", "times"), [("fit", "2"), ("data", "4"), ("zoo", "2")])
@pytest.mark.slow
def test_of_two_that_meet_in_one_folder_both_are_right_or_the_second_is_refused(what: str, times: str) -> None:
    _kill("--what", what, "--times", times, "--together")


# ---------------------------------------------------------------------------------------------------- files and locks


def _write_and_die(file: Path) -> None:
    checkpoints.os.fsync = _kill_myself  # type: ignore[attr-defined]
    write_atomically(file, b"half of it")


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    file = tmp_path / "a [1].json"
    write_atomically(file, b"old")
    for _ in range(2):
        _killed(_write_and_die, file)
        assert file.read_bytes() == b"old"
        assert len(list(tmp_path.iterdir())) == 2  # the second removes what the first left
    left = next(path for path in tmp_path.iterdir() if path != file)
    with left.open("r+b") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        write_atomically(file, b"new")
        assert left.exists()
    write_atomically(file, b"newer")
    assert list(tmp_path.iterdir()) == [file]
    assert file.read_bytes() == b"newer"


def _hold_and_die(lock: Path) -> None:
    with alone(lock, "works here"):
        _kill_myself()


@pytest.mark.usefixtures("impatient")
def test_a_lock_ends_with_the_process_that_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    _killed(_hold_and_die, lock)
    assert lock.exists()
    said = rf"{tmp_path}: process {os.getpid()} on .* works here; wait until"
    with alone(lock, "works here"), pytest.raises(TeachlibError, match=said), alone(lock, "works here"):
        raise AssertionError
    assert not lock.exists()


@pytest.mark.usefixtures("impatient")
def test_where_there_are_no_locks_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with alone(tmp_path / "file" / ".lock", "works here"):  # a folder that cannot be made
        pass

    def unknown(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with alone(tmp_path / ".lock", "works here"), alone(tmp_path / ".lock", "works here"):
        write_atomically(tmp_path / "a", b"a")
    assert (tmp_path / "a").read_bytes() == b"a"


def _gone(process: int) -> bool:
    """Whether a process has ended; one that nobody has asked for its exit code yet has ended too."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_child_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        textwrap.dedent(
            """
            import os, pathlib, sys, time
            def main():
                pathlib.Path(sys.argv[1], "coming").write_text(str(os.getpid()))
                pathlib.Path(sys.argv[1], "coming").rename(pathlib.Path(sys.argv[1], "pid"))
                time.sleep(600)
            """
        )
    )
    code = f"from teachlib import attached; attached.run('-m', 'teachlib.attached', 'slow:main', {str(tmp_path)!r})"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    while not (tmp_path / "pid").exists():
        assert parent.poll() is None
        time.sleep(0.01)
    child = int((tmp_path / "pid").read_text())
    assert not _gone(child)
    parent.kill()
    parent.wait()
    for _ in range(6000):  # it sleeps for longer
        if _gone(child):
            return
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child goes on")


# -------------------------------------------------------------------------------------------------- runs and tables


def _train_and_die_before_the_last_log(folder: Path) -> None:
    from teachlib.training import loop

    written = loop._write_log
    loop._write_log = lambda file, header: (_kill_myself if header["step"] == BRIEF.steps else written)(file, header)
    fit(Denoiser(), images(), BRIEF, folder=folder, progress=False)


def test_a_run_killed_between_checkpoint_and_log_gets_its_log(tmp_path: Path) -> None:
    _killed(_start_anew, _train_and_die_before_the_last_log.__name__, tmp_path)
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"] == 2
    assert read_checkpoint(tmp_path / "checkpoint.safetensors")[1]["step"] == 4
    fit(Denoiser(), images(), BRIEF, folder=tmp_path, resume=True, progress=False)
    assert json.loads((tmp_path / "log.jsonl").read_text().splitlines()[-1])["step"] == 4


def _start_anew(name: str, folder: Path) -> None:
    """In a Python of its own: autograd does not survive a fork."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_killed as t, pathlib\n"
    os.execv(sys.executable, [sys.executable, "-c", f"{code}t.{name}(pathlib.Path({str(folder)!r}))"])


def _train_and_stop(folder: Path) -> None:
    from teachlib.training import loop

    loop._write_log = lambda *_: os.kill(os.getpid(), signal.SIGSTOP)
    fit(Denoiser(), images(), BRIEF, folder=folder, progress=False)


@pytest.mark.usefixtures("impatient")
def test_of_two_trainings_the_second_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    first = multiprocessing.get_context("fork").Process(
        target=_start_anew, args=(_train_and_stop.__name__, tmp_path / "one")
    )
    first.start()
    assert first.pid is not None
    assert os.WIFSTOPPED(os.waitpid(first.pid, os.WUNTRACED)[1])
    with pytest.raises(TeachlibError, match=rf"one: process {first.pid} on .* trains here; wait until it ends"):
        fit(Denoiser(), images(), BRIEF, folder=tmp_path / "one", resume=True, progress=False)
    first.kill()
    first.join()
    for name in ("one", "other"):
        fit(Denoiser(), images(), BRIEF, folder=tmp_path / name, resume=True, progress=False)
    one, other = (read_checkpoint(tmp_path / name / "checkpoint.safetensors")[0] for name in ("one", "other"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one if not key.startswith("random."))
    assert {file.name for file in (tmp_path / "one").iterdir()} == {"checkpoint.safetensors", "log.jsonl"}


def _refused(doing: str) -> str:
    return rf"process {os.getpid()} on .* {doing}; wait until it ends, or choose another folder$"


@pytest.mark.usefixtures("impatient")
def test_the_second_of_two_in_one_folder_gets_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with alone(tmp_path / ".lock", "holds it"):
        with pytest.raises(TeachlibError, match=_refused("trains here")):
            fit(Denoiser(), images(), BRIEF, folder=tmp_path, progress=False)
        with pytest.raises(TeachlibError, match=_refused("fills a table here")):
            fill({"ae": ["ae"]}, "digits", tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    fit(Denoiser(), images(), BRIEF, folder=tmp_path, progress=False)
    with alone(tmp_path / ".mnist.lock", "holds it"), pytest.raises(TeachlibError, match=_refused("fetches mnist")):
        data.get("mnist", root=tmp_path)
    monkeypatch.setattr(sys, "argv", ["book.py", "--output", str(tmp_path)])
    said = _refused("builds the book here")
    with alone(tmp_path / "_build" / ".lock", "holds it"), pytest.raises(SystemExit, match=said):
        book.main()


def test_what_one_that_was_killed_at_its_very_end_fetched_is_kept_and_its_lock_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".mnist.lock").touch()
    monkeypatch.setattr(data, "_sound", lambda *_: True)
    assert data.get("mnist", root=tmp_path) == tmp_path / "MNIST" / "raw"
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------ zoo and book


def _add_and_die(checkpoint: Path, folder: Path, written: int) -> None:
    """Add a model, and die after so many files."""
    before, left = zoo.write_atomically, [written]

    def write(path: Path, contents: bytes) -> None:
        before(path, contents)
        left[0] -= 1
        if not left[0]:
            _kill_myself()

    zoo.write_atomically = write  # type: ignore[attr-defined]
    zoo.add("a", checkpoint, {**CARD, "number": 2}, where=folder)


def test_a_model_of_the_zoo_is_the_old_or_the_new_one_whoever_dies(tmp_path: Path) -> None:
    checkpoint, folder = tmp_path / "run.safetensors", tmp_path / "zoo"
    net = Denoiser().nets["net"].state_dict()
    for number in (1, 2):
        weights = {f"model.net.{key}": number * value for key, value in net.items()}
        write_checkpoint(checkpoint.with_stem(f"run{number}"), weights, {"step": number})
    for written, number in ((1, 1), (2, 2)):
        zoo.add("a", checkpoint.with_stem("run1"), {**CARD, "number": 1}, where=folder)
        _killed(_add_and_die, checkpoint.with_stem("run2"), folder, written)
        _, card = zoo.read("a", folder)
        assert card["number"] == card["steps"] == number
    zoo.add("a", checkpoint.with_stem("run2"), {**CARD, "number": 2}, where=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "a.safetensors"]


def test_a_model_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = Denoiser().nets["net"].state_dict()
    for number in (1, 2):
        weights = {f"model.net.{key}": number * value for key, value in net.items()}
        write_checkpoint(tmp_path / f"{number}.safetensors", weights, {"step": number})
    zoo.add("a", tmp_path / "1.safetensors", {**CARD, "number": 1}, where=tmp_path / "zoo")
    plain, coming = zoo.card, [2]

    def card(name: str, where: Path | None = None) -> dict[str, object]:
        found = plain(name, where)
        if coming:
            number = coming.pop()
            zoo.add("a", tmp_path / f"{number}.safetensors", {**CARD, "number": number}, where=where)
        return found

    monkeypatch.setattr(zoo, "card", card)
    tensors, found = zoo.read("a", tmp_path / "zoo")
    assert found["number"] == 2
    assert torch.equal(tensors["net.1.bias"], 2 * net["1.bias"])


def test_a_model_too_large_for_the_zoo_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = {f"model.net.{key}": value for key, value in Denoiser().nets["net"].state_dict().items()}
    write_checkpoint(tmp_path / "run.safetensors", weights, {"step": 1})
    zoo.add("a", tmp_path / "run.safetensors", CARD, where=tmp_path / "zoo")
    monkeypatch.setattr(zoo, "LARGEST", 100)
    with pytest.raises(TeachlibError, match="takes small models only"):
        zoo.add("a", tmp_path / "run.safetensors", CARD, where=tmp_path / "zoo")
    assert zoo.read("a", tmp_path / "zoo")


@pytest.mark.parametrize("changed", ["nothing", "scale", "sources", "a page gone", "a page touched", "a page more"])
def test_a_book_is_built_again_when_anything_of_it_has_changed(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = book.Book(tmp_path)
    (made.html / "chapters").mkdir(parents=True)
    for name in ("index", "chapters/a"):
        (made.html / f"{name}.html").write_text("page", encoding="utf-8")
    sources = "others" if changed == "sources" else book.sources_digest()
    made.stamp.write_text(json.dumps({"scale": "ci", "sources": sources, "pages": book.pages_digest(made)}))
    page = made.html / "chapters" / "a.html"
    if changed == "a page gone":
        page.unlink()
    if changed == "a page touched":
        page.write_text("PAGE", encoding="utf-8")
    if changed == "a page more":
        (made.html / "b.html").touch()

    class Begun(Exception):
        pass

    def begin(*_: object) -> None:
        raise Begun

    monkeypatch.setattr(book, "forget_unfinished", begin)
    if changed == "nothing":
        assert "nothing has changed" in book.build(made, "ci")
    else:
        with pytest.raises(Begun):
            book.build(made, "laptop" if changed == "scale" else "ci")


def test_a_book_whose_pages_are_being_removed_is_no_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = book.Book(tmp_path)
    build.html.mkdir(parents=True)
    (build.html / "index.html").touch()
    build.stamp.write_text(json.dumps({"structure": "another", "sources": book.sources_digest()}))
    assert book.is_fresh(build)

    class Killed(Exception):
        pass

    def die(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(book.shutil, "rmtree", die)
    with pytest.raises(Killed):
        book.forget_unfinished(build)
    assert not book.is_fresh(build)
