"""Kill what writes files, at random moments, and see that the next start goes on to the same end, bit for bit.

    .venv/bin/python tools/kill.py --what fit --times 100 --seed 0

What is killed is the real thing at its smallest. It is started in one folder again and again until it ends by itself;
then all that lies there is compared with what an undisturbed run left, but for the times that runs record.
"""

import argparse
import gzip
import hashlib
import json
import multiprocessing
import os
import random
import runpy
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import make_zoo
import nbformat
import torch
from torchvision import datasets

from teachlib import cli, data, registry, zoo
from teachlib.chapter import Shipped
from teachlib.checkpoints import read_checkpoint

ROOT = Path(__file__).resolve().parent.parent
TIMES = {"seconds", "training_seconds", "provenance"}  # differ from run to run
SMALL = ("--scale", "ci", "--width", "8", "--steps")
_fork = multiprocessing.get_context("fork")  # everything is imported already: a kill seldom hits an import


@dataclass(frozen=True)
class Kind:
    """What is killed: made ready in a new folder, then started there by the program's own words."""

    start: Callable[[Path], None]
    prepare: Callable[[Path], object] = lambda folder: folder.mkdir()
    may_fail: bool = False  # where the world around it fails, too


# ------------------------------------------------------------------------------------------------------- the kinds


def command(program: Callable[[], None], *words: object) -> None:
    """Run a program of the command line in this process."""
    sys.argv = [getattr(program, "__module__", "program"), *map(str, words)]
    program()


def change_chapter(key: str, **changes: Any) -> None:
    """Have the registry give a chapter with other settings, and know no other."""
    changed = replace(registry.chapter(key), **changes)
    registry.CHAPTERS = {key: registry.CHAPTERS[key]}
    registry.chapter = lambda key: changed


def start_fit(folder: Path) -> None:
    usual = registry.chapter("rae").schedule
    change_chapter("rae", schedule=lambda *asked: replace(usual(*asked), checkpoint_every=2))
    command(cli.main, "train", "ae", "--dataset", "digits", *SMALL, 24, "--out", folder, "--resume")


def start_table(folder: Path) -> None:
    command(cli.main, "table", "3.1", "--dataset", "digits", "--train", "ae", *SMALL, 6, "--out", folder)


def prepare_zoo(folder: Path) -> None:
    """An earlier model is there, and to be replaced."""
    shutil.copytree(zoo.folder(), folder / "zoo", ignore=lambda _, names: [n for n in names if "s-digits" not in n])


def start_zoo(folder: Path) -> None:
    usual = registry.chapter("metrics").recipe
    small: dict[str, Any] = {"scale": "ci", "width": 8, "steps": 6}
    recipe = lambda name, dataset, **_: usual(name, dataset, **small)  # noqa: E731
    change_chapter("metrics", zoo=(Shipped("features", "digits"),), recipe=recipe)
    zoo.read("features-digits", folder / "zoo")  # old or new, but whole at any time
    command(make_zoo.main, "--runs", folder / "runs", "--zoo", folder / "zoo")


@cache
def idx_files() -> dict[str, bytes]:
    """A small MNIST: its four files, before compression."""
    files, luck = {}, random.Random(0)
    for part, count in (("train", 300), ("t10k", 100)):
        head = b"".join(number.to_bytes(4, "big") for number in (2051, count, 28, 28))
        files[f"{part}-images-idx3-ubyte"] = head + luck.randbytes(count * 784)
        files[f"{part}-labels-idx1-ubyte"] = head[:3] + b"\x01" + head[4:8] + bytes(n % 10 for n in range(count))
    return files


class Server(BaseHTTPRequestHandler):
    """Serves the small MNIST; every third time it stalls, lies, or hangs up."""

    luck = random.Random(0)
    honest = False

    def do_GET(self) -> None:
        contents = gzip.compress(idx_files()[Path(self.path).stem], mtime=0)
        mood = "good" if self.headers.get("Method") == "HEAD" or self.honest else self.luck.choice(MOODS)
        self.send_response(500 if mood == "error" else 200)
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        for start in range(0, len(contents) // (2 if mood in ("truncate", "stall") else 1), 2**14):
            self.wfile.write(bytes(2**14) if mood == "lie" else contents[start : start + 2**14])
            time.sleep(0.005)
        time.sleep(1.0 if mood == "stall" else 0)

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing."""


MOODS = ("truncate", "stall", "lie", "error", *["good"] * 12)


@cache
def server() -> ThreadingHTTPServer:
    """The server, which runs in this process."""
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    serving.handle_error = lambda *_: None  # type: ignore[method-assign]  # who asked was killed
    Thread(target=serving.serve_forever, daemon=True).start()
    return serving


def prepare_data(folder: Path) -> None:
    folder.mkdir()
    server()


def start_data(folder: Path) -> None:
    hashes = {name: hashlib.sha256(contents).hexdigest() for name, contents in idx_files().items()}
    splits = {"train": 200, "validation": 100, "test": 100}
    data.CATALOGUE["mnist"] = replace(data.CATALOGUE["mnist"], hashes=hashes, splits=splits)
    packed = {name: gzip.compress(contents, mtime=0) for name, contents in idx_files().items()}
    datasets.MNIST.mirrors = [f"http://127.0.0.1:{server().server_port}/"]
    datasets.MNIST.resources = [(f"{name}.gz", hashlib.md5(file).hexdigest()) for name, file in packed.items()]
    data.PATIENCE = 0.5
    os.environ["TEACHLIB_DATA"] = str(folder)
    command(cli.main, "data", "get", "mnist")


def prepare_book(folder: Path) -> None:
    """A book of one page and two notebooks."""
    root = folder.with_name(f"{folder.name}-sources")
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("src", "_assets", "_config.yml", "requirements.lock"):
        (root / name).symlink_to(ROOT / name)
    (root / "book").mkdir()
    (root / "book" / "welcome.md").write_text("# Welcome\n\nRead on.\n")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/welcome\nchapters:\n- file: book/1\n- file: book/2\n")
    for name in ("1", "2"):
        cells = [nbformat.v4.new_code_cell(text) for text in ('scale = "ci"', f"print(sum(range({name}000)))")]
        cells = [nbformat.v4.new_markdown_cell(f"# Number {name}"), *cells]
        cells[1].metadata.tags = ["parameters"]
        for number, cell in enumerate(cells):
            cell.id = str(number)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "book" / f"{name}.ipynb")
    folder.mkdir()


def start_book(folder: Path) -> None:
    tools = folder.with_name(f"{folder.name}-sources") / "tools"
    sys.path[0] = str(tools)
    command(
        lambda: runpy.run_path(str(tools / "book.py"), run_name="__main__") and None,
        "--scale",
        "ci",
        "--output",
        folder,
    )


KINDS = {
    "fit": Kind(start_fit),
    "table": Kind(start_table),
    "data": Kind(start_data, prepare_data, may_fail=True),
    "zoo": Kind(start_zoo, prepare_zoo),
    "book": Kind(start_book, prepare_book),
}

# ------------------------------------------------------------------------------------------- killing and comparing


def started(kind: Kind, folder: Path) -> BaseProcess:
    """The program in a process of its own; what it prints goes into files beside the folder."""

    def run() -> None:
        for number, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(folder.with_suffix(f".{name}"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        kind.start(folder)

    process = _fork.Process(target=run)
    process.start()
    return process


def contents(folder: Path) -> dict[str, object]:
    """Name → contents of every file, without the times that runs record, and without Sphinx's own notes."""
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and ".doctrees" not in file.parts]
    return {str(file.relative_to(folder)): _timeless(file) for file in files}


def _timeless(file: Path) -> object:
    if file.suffix == ".safetensors":
        tensors, header = read_checkpoint(file)
        return _without_times(header), {name: value.numpy().tobytes() for name, value in tensors.items()}
    if file.suffix in (".json", ".jsonl"):
        return [_without_times(json.loads(line)) for line in _documents(file)]
    return file.read_bytes()


def _documents(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]


def _without_times(value: Any) -> Any:
    return {key: value[key] for key in value if key not in TIMES} if isinstance(value, dict) else value


def differences(whole: dict[str, object], pieces: dict[str, object]) -> Iterator[str]:
    """What is wrong with the end of a run that was killed."""
    yield from (f"left behind: {name}" for name in sorted(pieces.keys() - whole.keys()))
    yield from (f"missing: {name}" for name in sorted(whole.keys() - pieces.keys()))
    yield from (f"differs: {name}" for name in sorted(whole.keys() & pieces.keys()) if whole[name] != pieces[name])


def complaints(kind: Kind, process: BaseProcess, folder: Path) -> Iterator[str]:
    """What is wrong with how a program ended by itself."""
    lines = folder.with_suffix(".err").read_text().strip().splitlines()
    if "Traceback (most recent call last):" in lines:
        yield f"a traceback: {lines[-1]}"
    elif process.exitcode and not kind.may_fail:
        yield f"does not go on: {lines[-1] if lines else process.exitcode}"


def undisturbed(kind: Kind, folder: Path) -> tuple[dict[str, object], float]:
    """What a run leaves that nobody kills, and the seconds that it takes."""
    Server.honest = True
    kind.prepare(folder)
    begun = time.monotonic()
    process = started(kind, folder)
    process.join()
    if process.exitcode:
        sys.exit(f"kill: the undisturbed run fails: {folder.with_suffix('.err').read_text().strip()}")
    Server.honest = False
    return contents(folder), time.monotonic() - begun


def killed(kind: Kind, times: int, seed: int, place: Path) -> tuple[int, int, list[str]]:
    """Kills, ends that were compared, and faults."""
    luck = Server.luck = random.Random(seed)
    whole, duration = undisturbed(kind, place / "whole")
    moments = [duration * (number + luck.random()) / times for number in range(times)]
    luck.shuffle(moments)
    faults: list[str] = []
    kills, ends, folder, fresh = 0, 0, place / "pieces", True
    while moments or not fresh:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
            kind.prepare(folder)
        Server.honest = not moments
        process = started(kind, folder)
        process.join(moments[-1] if moments else None)
        if process.exitcode is None:
            process.kill()
            process.join()
            moments.pop()
            kills, fresh = kills + 1, False
            continue
        new = [*complaints(kind, process, folder)]
        if new or not process.exitcode:
            new += differences(whole, contents(folder)) if not new else []
            if fresh:
                moments.pop()
            ends, fresh = ends + 1, True
        for fault in new:
            print(f"after {kills} kills: {fault}", flush=True)
        faults += new
    return kills, ends, faults


def main() -> None:
    """Kill one kind of program; exit code 1 when there were faults."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--what", choices=tuple(KINDS), required=True)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory(prefix="kill-") as place:
        kills, ends, faults = killed(KINDS[options.what], options.times, options.seed, Path(place))
    print(f"{options.what}: {kills} kills, {ends} ends compared, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
