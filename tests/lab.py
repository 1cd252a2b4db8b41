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
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/api?token=open", timeout=5).read()
                break
            except OSError:
                assert process.poll() is None, (home / "lab.log").read_text()
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()
