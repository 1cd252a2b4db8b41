"""Large sets as bytes on disk, made once: later runs map the file into memory instead of decoding pictures again."""

import atexit
import json
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from teachlib.alone import alone
from teachlib.checkpoints import write_atomically
from teachlib.errors import TeachlibError

_FACTS = "facts.json"


def home_cache() -> Path:
    """``~/.cache/teachlib``; below the folder for temporary files where the user has no home."""
    try:
        return Path.home() / ".cache" / "teachlib"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / "teachlib"


@lru_cache(maxsize=1)
def _writable_root(asked: str | None) -> Path:
    root = Path(asked).expanduser() if asked else home_cache() / "pictures"
    try:
        root.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=root).close()
        return root
    except OSError as error:
        print(
            f"{root}: cannot be written ({error.strerror}); what is decoded is kept for this run only; "
            "choose a folder by TEACHLIB_CACHE",
            file=sys.stderr,
        )
    try:
        root = Path(tempfile.mkdtemp(prefix="teachlib-"))
    except OSError as error:
        raise TeachlibError(f"no folder for decoded pictures ({error.strerror}); name one by TEACHLIB_CACHE") from None
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def _read_root() -> Path:
    asked = os.environ.get("TEACHLIB_CACHE")
    return Path(asked).expanduser() if asked else home_cache() / "pictures"


def entry_folder(key: str, make: Callable[[Path], dict[str, Any]]) -> Path:
    """The folder of what is cached under ``key``; made by ``make`` where it is not there yet.

    ``make`` writes into a folder that takes its place only when all is written, so that a process that dies leaves no
    half entry. Of two processes that ask at once, one makes it and the other waits.

    Args:
        key: a name that says what is inside: a hash of contents and settings.
        make: writes files into a folder, and returns facts about them, as JSON values.

    Raises:
        TeachlibError: no folder can be written, or the disk is full.
    """
    if (_read_root() / key / _FACTS).is_file():
        return _read_root() / key
    root = _writable_root(os.environ.get("TEACHLIB_CACHE"))
    folder, partial = root / key, root / f"{key}.partial"
    try:
        with alone(root / f"{key}.lock", "reads the same data", patience=math.inf):
            if not (folder / _FACTS).is_file():
                shutil.rmtree(partial, ignore_errors=True)  # of a process that died
                partial.mkdir()
                facts = make(partial)
                (partial / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
                shutil.rmtree(folder, ignore_errors=True)
                partial.rename(folder)
    except OSError as error:
        raise TeachlibError(
            f"{root}: cannot write ({error.strerror or error}); free some space or choose a folder by TEACHLIB_CACHE"
        ) from None
    return folder


def facts_of(folder: Path) -> dict[str, Any]:
    """What ``make`` returned when the entry was made."""
    facts: dict[str, Any] = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
    return facts


def new_array(file: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A file of bytes that is written through memory."""
    if 0 in shape:
        file.touch()
        return np.empty(shape, np.uint8)
    return np.memmap(file, np.uint8, "w+", shape=shape)


def mapped(file: Path, shape: tuple[int, ...], *, skip: int = 0) -> Tensor:
    """Bytes of a file as a tensor that is read when it is indexed; ``skip`` bytes lie before them."""
    if 0 in shape:
        return torch.empty(shape, dtype=torch.uint8)
    # "c": writing to the tensor would change a copy of the page, never the file.
    return torch.from_numpy(np.memmap(file, np.uint8, "c", offset=skip, shape=shape))


@dataclass(frozen=True)
class Note:
    """A small JSON file beside the entries; one that is lost or damaged only costs time."""

    file: Path

    def read(self) -> dict[str, Any]:
        """What was written last, or nothing."""
        try:
            held = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return held if isinstance(held, dict) else {}

    def write(self, values: Mapping[str, Any]) -> None:
        """Replace it, where the folder can be written."""
        with suppress(TeachlibError):
            write_atomically(self.file, json.dumps(values).encode())


def notes(name: str) -> Note:
    """The note of this name."""
    return Note(_read_root() / name)
