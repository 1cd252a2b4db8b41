"""JupyterLab over a folder, as a reader starts it, for tests that a browser makes."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
