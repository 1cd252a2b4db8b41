"""One process at a time where two would spoil each other's files, by a lock of the operating system."""

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from teachlib.errors import TeachlibError

# The child of a process that was just killed needs a moment to notice (teachlib.attached).
PATIENCE = 3.0  # seconds


@contextmanager
def alone(lock: Path, doing: str, *, patience: float | None = None) -> Iterator[None]:
    """Keep out, within the block, everybody else who asks for the same lock.

    The lock ends with the process, however that dies; its file may stay, and stands in nobody's way. Where the file
    cannot be made, or the file system knows no locks, the block is run without one.

    Args:
        lock: file of the lock, in the folder that is guarded; removed at the end.
        doing: what the others are told, e.g. ``"trains here"``.
        patience: seconds to wait for another process; by default, as long as a child of one that was killed may live.

    Raises:
        TeachlibError: another process still holds it.
    """
    descriptor = None
    with suppress(OSError):  # what the block writes says more about such a folder
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _taken(lock, doing, time.monotonic() + (PATIENCE if patience is None else patience))
    try:
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):
                lock.unlink()  # first: once it is closed, it may be another's
            os.close(descriptor)


def _taken(lock: Path, doing: str, deadline: float) -> int:
    while True:
        with ExitStack() as closing:
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
            closing.callback(os.close, descriptor)
            if locked(descriptor) and _still_named(descriptor, lock):
                with suppress(OSError):  # a full disk has no room for a name
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
                closing.pop_all()
                return descriptor
            holder = os.read(descriptor, 200).decode(errors="replace") or "another process"
        if time.monotonic() > deadline:
            raise TeachlibError(f"{lock.parent}: {holder} {doing}; wait until it ends, or choose another folder")
        time.sleep(0.02)


def locked(descriptor: int, *, wait: bool = False) -> bool:
    """Lock an open file until it is closed; ``False`` where another process has it.

    Raises:
        OSError: the file system knows no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):
        return False
    return True


def _still_named(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one of this name: who held the lock before may have removed or renamed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
