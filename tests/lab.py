"""JupyterLab over a folder, as a reader starts it, for tests that a browser makes."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Seconds, against hanging alone. Beside a dozen other programs on two cores JupyterLab answered after 213 s, 37 of them
# for the import of one extension, and its page had a kernel 138 s later, after a check for builds of 87 s.
PATIENCE = 900


@contextmanager
def jupyter_lab(folder: Path, home: Path) -> Iterator[str]:
    """The server's address; ``home`` is an empty place for its settings and log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        "lab",
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--IdentityProvider.token=open",
        f"--notebook-dir={folder}",
    ]
    environment = {**os.environ, "HOME": str(home), "JUPYTER_CONFIG_DIR": str(home), "JUPYTER_RUNTIME_DIR": str(home)}
    with open(home / "lab.log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter", *words], stdout=log, stderr=log, env=environment, cwd=folder
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_it_answers(f"{address}/api?token=open", process, home / "lab.log")
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_answers(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(address, timeout=PATIENCE).read()
            return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


def run_all(page: Any) -> None:
    """Run all cells of the notebook that a page shows, as a reader does, once its kernel listens.

    The indicator in the notebook's toolbar says "idle" before there is a kernel, and cells that are run then are
    dropped without a word; the status bar says what the kernel says.
    """
    page.locator(".jp-StatusBar-Widget", has_text="| Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()


def visited(chromium: str, patience: float, visit: Callable[[Any], None], **options: Any) -> None:
    """Open a page and let ``visit`` use it; in a thread, because another test's playwright may run in this one.

    Args:
        chromium: the browser.
        patience: seconds that it may take to start, and a page to do what is asked of it.
        visit: is given the page.
        options: of the page.
    """
    from playwright.sync_api import sync_playwright

    def work() -> None:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"], timeout=1000 * patience)
            page = browser.new_page(viewport={"width": 1280, "height": 900}, **options)
            page.set_default_timeout(1000 * patience)
            visit(page)
            browser.close()

    with ThreadPoolExecutor(1) as executor:
        executor.submit(work).result()
