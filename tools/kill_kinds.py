"""What `kill.py` kills: the real programs at their smallest, each started by the words that a reader would type.

A start runs in a process forked for it, so whatever it changes in the library lasts no longer than that process.
"""

import gzip
import hashlib
import importlib
import json
import os
import random
import runpy
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import make_zoo
import nbformat
from torchvision import datasets
from warm_kernels import PRELOADED

from teachlib import cli, data, registry, zoo
from teachlib.chapter import Shipped

for name in PRELOADED:  # else each start imports what it needs, for seconds
    importlib.import_module(name)

ROOT = Path(__file__).resolve().parent.parent
SMALL = ("--scale", "ci", "--width", "8", "--steps")


def program(main: Callable[[], object], *words: object) -> None:
    """Run a program of the command line in this process."""
    sys.argv = ["program", *map(str, words)]
    main()


@dataclass(frozen=True)
class Kind:
    """How a program is started in a folder, and what is put there before its first start."""

    start: Callable[[Path], None]
    prepare: Callable[[Path], object] = Path.mkdir
    may_fail: bool = False  # with one line, where the world around it fails, too


# ----------------------------------------------------------------------------------------- training, a table, the zoo


def start_fit(folder: Path) -> None:
    chapter = registry.chapter("rae")
    usual = chapter.schedule
    vars(chapter).update(schedule=lambda *asked: replace(usual(*asked), checkpoint_every=2))
    program(cli.main, "train", "ae", "--dataset", "digits", *SMALL, 24, "--out", folder, "--resume")


def start_table(folder: Path) -> None:
    program(cli.main, "table", "3.1", "--dataset", "digits", "--train", "ae", *SMALL, 6, "--out", folder)


def prepare_zoo(folder: Path) -> None:
    """An earlier model is there, and to be replaced."""
    (folder / "zoo").mkdir(parents=True)
    for file in zoo.folder().glob("features-digits.*"):
        shutil.copy(file, folder / "zoo")


def start_zoo(folder: Path) -> None:
    chapter = registry.chapter("metrics")
    usual, small = chapter.recipe, {"scale": "ci", "width": 8, "steps": 6}
    asked: dict[str, Any] = {"recipe": lambda name, dataset, **_: usual(name, dataset, **small)}
    vars(chapter).update(asked, zoo=(Shipped("features", "digits"),))
    zoo.read("features-digits", folder / "zoo")  # old or new, but whole at any time
    program(make_zoo.main, "--only", "metrics", "--runs", folder / "runs", "--zoo", folder / "zoo")


# ------------------------------------------------------------------------------------------------------- a download


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
    """Serves the small MNIST; now and then it sends too little, falls silent, lies, refuses, or talks nonsense."""

    moods = ("truncate", "stall", "lie", "refuse", "babble", *["good"] * 15)
    luck = random.Random(0)
    honest = True

    def do_GET(self) -> None:
        contents = gzip.compress(idx_files()[Path(self.path).stem], mtime=0)
        mood = "good" if self.honest else self.luck.choice(self.moods)
        if mood == "babble":
            self.wfile.write(b"no HTTP\r\n\r\n")
            return
        self.send_response(500 if mood == "refuse" else 200)
        self.send_header("Content-Length", str(len(contents)))
        self.end_headers()
        for start in range(0, len(contents) // (2 if mood in ("truncate", "stall") else 1), 2**14):
            self.wfile.write(bytes(2**14) if mood == "lie" else contents[start : start + 2**14])
            time.sleep(0.01)
        time.sleep(1.0 if mood == "stall" else 0)

    def log_message(self, format: str, *words: object) -> None:
        """Say nothing."""


@cache
def server_port() -> int:
    """The port of a server in this process, started at the first call."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    vars(server).update(handle_error=lambda *_: None)  # who asked was killed
    Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def prepare_data(folder: Path) -> None:
    folder.mkdir()
    server_port()


def start_data(folder: Path) -> None:
    hashes = {name: hashlib.sha256(contents).hexdigest() for name, contents in idx_files().items()}
    splits = {"train": 200, "validation": 100, "test": 100}
    data.CATALOGUE["mnist"] = replace(data.CATALOGUE["mnist"], hashes=hashes, splits=splits)
    packed = {name: gzip.compress(contents, mtime=0) for name, contents in idx_files().items()}
    datasets.MNIST.mirrors = [f"http://127.0.0.1:{server_port()}/"]
    datasets.MNIST.resources = [(f"{name}.gz", hashlib.md5(file).hexdigest()) for name, file in packed.items()]
    if not Server.honest:  # an honest one may be slow, on a machine with much to do
        vars(data).update(PATIENCE=0.5)
    os.environ["TEACHLIB_DATA"] = str(folder)
    program(cli.main, "data", "get", "mnist")


# --------------------------------------------------------------------------------------------------------- the book


def sources(folder: Path) -> Path:
    """Where the sources of a book lie that is built into ``folder``."""
    return folder.with_name(f"{folder.name}-sources")


def prepare_book(folder: Path) -> None:
    """A book of one page and two notebooks."""
    root = sources(folder)
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(ROOT / "tools", root / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("src", "_assets", "_config.yml", "requirements.lock"):
        (root / name).symlink_to(ROOT / name)
    (root / "book").mkdir()
    (root / "book" / "welcome.md").write_text("# Welcome\n\nRead on.\n")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/welcome\nchapters:\n- file: book/1\n- file: book/2\n")
    for name in ("1", "2"):
        texts = 'scale = "ci"', f"print(sum(range({name}000)))"
        cells = [nbformat.v4.new_markdown_cell(f"# Number {name}"), *map(nbformat.v4.new_code_cell, texts)]
        cells[1].metadata.tags = ["parameters"]
        for number, cell in enumerate(cells):
            cell["id"] = str(number)
        nbformat.write(nbformat.v4.new_notebook(cells=cells), root / "book" / f"{name}.ipynb")
    folder.mkdir()


def start_book(folder: Path) -> None:
    tools = sources(folder) / "tools"
    sys.path[0] = str(tools)
    program(lambda: runpy.run_path(str(tools / "book.py"), run_name="__main__"), "--scale", "ci", "--output", folder)


# -------------------------------------------------------------------------------------------------------- a class


def prepare_grade(folder: Path) -> None:
    """Four submissions of the first assignment, one of which ends its process; the seed is one that is known."""
    source = ROOT / "assignments" / "source" / "primer" / "primer.ipynb"
    (folder / "in").mkdir(parents=True)
    for number in range(4):
        notebook = nbformat.read(source, as_version=4)
        if number:
            notebook.cells[number * 4].source = "import os; os._exit(1)"
        nbformat.write(notebook, folder / "in" / f"student_{number}_primer.ipynb")
    (folder / "out").mkdir()
    record = {"assignment": "primer", "seed": 1, "variant": 0, "variants": {}}
    (folder / "out" / "record.json").write_text(json.dumps(record))


def start_grade(folder: Path) -> None:
    where = ("--source", ROOT / "assignments" / "source", "--out", folder / "out", "--jobs", 2)
    program(cli.main, "grade", "primer", folder / "in", *where)


KINDS = {
    "fit": Kind(start_fit),
    "table": Kind(start_table),
    "data": Kind(start_data, prepare_data, may_fail=True),
    "zoo": Kind(start_zoo, prepare_zoo),
    "book": Kind(start_book, prepare_book),
    "grade": Kind(start_grade, prepare_grade),
}
