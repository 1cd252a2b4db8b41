"""Data files: found, read whole, and compared with the catalogue's hash before anyone believes them."""

import csv
import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from teachlib.errors import TeachlibError

LARGEST = 2**31  # bytes of a file once unpacked; a packed file of a few megabytes can hold any number of zeros


def find(folder: Path, name: str) -> Path | None:
    """The file ``name``, or ``name.gz``, in ``folder``; ``None`` where there is neither."""
    candidates = (folder / name, folder / f"{name}.gz")
    return next((file for file in candidates if file.is_file()), None)


def read_bytes(file: Path) -> bytes:
    """The uncompressed contents of a plain or gzipped file.

    Raises:
        TeachlibError: the file cannot be read, or its gzip stream is cut short, damaged, or longer than 2 GiB.
    """
    try:
        return _unpacked(file) if file.suffix == ".gz" else file.read_bytes()
    except EOFError:
        raise TeachlibError(
            f"{file}: truncated: its gzip stream ends too early; delete the file and get it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error):
        raise TeachlibError(f"{file}: not a sound gzip file; delete it and get it again") from None
    except OSError as error:
        raise TeachlibError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None


def _unpacked(file: Path) -> bytes:
    with gzip.open(file) as opened:
        contents = opened.read(LARGEST + 1)
    if len(contents) > LARGEST:
        raise TeachlibError(f"{file}: more than {LARGEST >> 20} MiB when unpacked; get it again")
    return contents


def read_arrays(file: Path) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file.

    Raises:
        OSError, ValueError: or any other error that the bytes of a damaged file lead numpy's reader to; or more than
            4 GiB when unpacked, which no file here has.
    """
    with zipfile.ZipFile(file) as packed:
        if sum(part.file_size for part in packed.infolist()) > 2 * LARGEST:
            raise ValueError("too large when unpacked")
    with np.load(file, allow_pickle=False) as kept:
        return dict(kept)


def read_rows(file: Path, expected: str) -> list[list[str]]:
    """The rows of comma-separated values; an empty list for each blank line.

    Args:
        file: UTF-8, with a byte order mark or without.
        expected: what the file should be, for the message.

    Raises:
        TeachlibError: it cannot be read, or is no such text.
    """
    try:
        return list(csv.reader(file.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TeachlibError(f"{file}: cannot be read ({type(error).__name__}); expected {expected}") from None


def check_hash(contents: bytes, file: Path, hashes: Mapping[str, str]) -> None:
    """Compare the contents with the hash under the file's name: a sha256, or an md5 by its length of 32 digits.

    Raises:
        TeachlibError: they differ.
    """
    kind = _kind(file, hashes)
    _refuse_other(file, hashes, hashlib.new(kind, contents, usedforsecurity=False).hexdigest())


def check_hash_of_file(file: Path, hashes: Mapping[str, str]) -> None:
    """:func:`check_hash` of a file too large to be read whole.

    Raises:
        TeachlibError: they differ, or the file cannot be read.
    """
    kind = _kind(file, hashes)
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, lambda: hashlib.new(kind, usedforsecurity=False))
    except OSError as error:
        raise TeachlibError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
    _refuse_other(file, hashes, digest.hexdigest())


def _kind(file: Path, hashes: Mapping[str, str]) -> str:
    return "md5" if len(hashes[file.name.removesuffix(".gz")]) == 32 else "sha256"


def _refuse_other(file: Path, hashes: Mapping[str, str], hexdigest: str) -> None:
    expected, kind = hashes[file.name.removesuffix(".gz")], _kind(file, hashes)
    if hexdigest != expected:
        raise TeachlibError(
            f"{file}: wrong hash: contents have {kind} {hexdigest[:12]}…, expected {expected[:12]}…; "
            "the file was altered or is another one: get it again"
        )
