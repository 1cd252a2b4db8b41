"""The rendered book, and a browser to look at it, for all tests."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from installed import Reader

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

import notebooks  # noqa: E402
import serve  # noqa: E402
import staging  # noqa: E402

import book as book_tool  # noqa: E402

PATIENCE = 300_000  # milliseconds, against hanging alone: on a busy machine pages and Chromium can take a minute
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def html(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rendered pages: the reader's own when they are up to date, else a build at ci scale beside them."""
    book = book_tool.Book()
    if book_tool.is_fresh(book):
        return book.html
    book = book_tool.Book(book.build / "tests")
    # Tests run in several processes: the first one here builds, the others wait and find the book up to date.
    with FileLock(tmp_path_factory.getbasetemp().parent / "book.lock"):
        if not book_tool.is_fresh(book):
            lay_in(book, request.getfixturevalue("reader"), tmp_path_factory)
            command = [sys.executable, str(TOOLS / "book.py"), "--scale", "ci", "--output", str(book.folder)]
            process = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            assert process.returncode == 0, process.stdout + process.stderr
    return book.html


def lay_in(book: book_tool.Book, reader: Reader, folders: pytest.TempPathFactory) -> None:
    """Put into the book's cache what notebooks gave the reader who has installed the library: they run once."""
    environment = notebooks.environment_digest(ROOT, "ci")
    for notebook in staging.notebooks(ROOT):
        cached = book.build / "cache" / f"{notebooks.notebook_digest(notebook, environment)}.ipynb"
        if notebooks.read_cache(cached) is None:
            code, said, outputs = reader.run(notebook, folders.mktemp("notebook"))
            assert code == 0, said
            notebooks.write_cache(cached, outputs.read_bytes())


@pytest.fixture(scope="session")
def address(html: Path) -> Iterator[str]:
    server = serve.local_server(html, (0,))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=PATIENCE)
        yield chromium
        chromium.close()
