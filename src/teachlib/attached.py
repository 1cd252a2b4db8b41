"""Children that end with the process that started them, however it dies.

A killed process takes nobody with it. Its children would go on writing where the next start writes, too.

    python -m teachlib.attached MODULE:FUNCTION ARGUMENT …      a program that ends when its standard input does
"""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pkgutil import resolve_name


def run(
    *command: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a Python program that calls :func:`end_with_parent`, and keep what it prints.

    Args:
        command: Python's arguments, e.g. ``-m teachlib.attached MODULE:FUNCTION``.
        environment: of the program; by default, this process's.
        folder: to run it in.
    """
    with lifeline() as end:
        return subprocess.run(
            [sys.executable, *command],
            stdin=end,
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            cwd=folder,
        )


@contextmanager
def lifeline() -> Iterator[int]:
    """A standard input for children that call :func:`end_with_parent`: it ends with this process, or with the block."""
    reading, writing = os.pipe()  # Only this process holds the end for writing: it closes when this process dies.
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def end_with_parent() -> None:
    """From now on, end this process at once when its standard input ends."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    end_with_parent()
    del sys.argv[0]
    sys.exit(resolve_name(sys.argv[0])())
