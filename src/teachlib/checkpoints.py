"""Checkpoints: one safetensors file that also holds, as JSON, what the tensors belong to.

A pickle can run code when it is opened, so none is ever opened here. Writing goes through a temporary file in the
same folder, ``fsync`` and a rename: whenever the process dies, the file is the old one or the new one, never half.
"""

import glob
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from teachlib.alone import locked
from teachlib.errors import TeachlibError

SCHEMA = 1
_SUFFIX = ".safetensors"
_PARTIAL = ".partial"


def write_atomically(path: Path, contents: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        TeachlibError: the disk is full, or the folder cannot be written; an earlier file of this name is untouched.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        descriptor, temporary = _temporary(path)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)  # mkstemp's files are for their owner alone
            file.write(contents)
            file.flush()
            os.fsync(descriptor)
            os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise TeachlibError(
            f"{path}: cannot write ({error.strerror}); free some space or choose another folder; "
            "what was there before is intact"
        ) from None


def _temporary(path: Path) -> tuple[int, Path]:
    """A file to be renamed to ``path``, open and locked, so that nobody takes it for what a killed process left."""
    while True:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL)
        with suppress(OSError):  # without locks, nobody removes leftovers either
            locked(descriptor, wait=True)
        if Path(name).exists():  # else somebody removed it before it was locked
            return descriptor, Path(name)
        os.close(descriptor)


def _remove_leftovers(path: Path) -> None:
    """Remove what processes left that were killed while they wrote this file: what nobody locks."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*{_PARTIAL}"):
        with suppress(OSError), left.open("r+b") as file:
            if locked(file.fileno()):
                left.unlink()


def write_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors and a JSON header as one file, atomically.

    Args:
        path: ends in ``.safetensors``.
        tensors: name → tensor; copied to the CPU.
        header: JSON values: what this is a checkpoint of.

    Raises:
        TeachlibError: the file cannot be written.
    """
    write_atomically(Path(path), checkpoint_bytes(tensors, header))


def checkpoint_bytes(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> bytes:
    """What :func:`write_checkpoint` writes."""
    # A clone each: safetensors refuses tensors that share memory.
    plain = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    whole = {"schema": SCHEMA, **header}
    return save(plain, metadata={"teachlib": json.dumps({**whole, "digest": _digest(plain, whole)})})


def _digest(tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> str:
    """A hash of everything in a checkpoint, so that a single altered bit is found."""
    digest = hashlib.sha256(json.dumps(header).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the header of a file of :func:`write_checkpoint`.

    Raises:
        TeachlibError: no such file; a pickle (never opened); truncated or altered; not one of ours; of a newer
            schema than this version reads.
    """
    file = Path(path)
    _refuse_other_formats(file)
    try:
        with safe_open(file, framework="pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)
            metadata = opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise TeachlibError(f"{file}: truncated or altered safetensors file ({error}); restore or retrain it") from None
    try:
        header = json.loads(metadata["teachlib"])
        schema = int(header["schema"])
    except (KeyError, ValueError, TypeError, OverflowError, RecursionError):
        raise TeachlibError(f"{file}: a safetensors file, but no checkpoint of teachlib (no header)") from None
    if schema > SCHEMA:
        raise TeachlibError(f"{file}: written by a newer teachlib (schema {schema}, this one reads {SCHEMA}); upgrade")
    if header.pop("digest", None) != _digest(tensors, header):
        raise TeachlibError(f"{file}: truncated or altered: its contents are not those that were written; retrain it")
    return tensors, header


def _refuse_other_formats(file: Path) -> None:
    if not file.is_file():
        raise TeachlibError(f"{file}: no such checkpoint; train one by 'teachlib train', or check the path")
    try:
        with file.open("rb") as opened:
            start = opened.read(9)
    except OSError as error:
        raise TeachlibError(f"{file}: cannot be read ({error.strerror}); check its permissions") from None
    # safetensors: eight bytes of length, then a JSON object. No pickle, bare or in torch.save's zip, looks like that.
    if file.suffix != _SUFFIX or (len(start) == 9 and start[8:] != b"{"):
        raise TeachlibError(
            f"{file}: not a safetensors file; pickles (.pt, .pth, .ckpt) can run code and are never opened: "
            "convert it with safetensors first"
        )


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix.``, without it."""
    return {name.removeprefix(f"{prefix}."): value for name, value in tensors.items() if name.startswith(f"{prefix}.")}


def weights_of(tensors: Mapping[str, Tensor], average: bool) -> dict[str, Tensor]:
    """The model's weights in a checkpoint: with ``average`` the moving average of them, where one was kept."""
    return (part(tensors, "average") if average else {}) or part(tensors, "model")


def load_weights(module: torch.nn.Module, tensors: Mapping[str, Tensor], *, source: str | Path) -> None:
    """Copy tensors into a module, all of them.

    Raises:
        TeachlibError: names or shapes do not fit: a checkpoint of another recipe or width.
    """
    own = module.state_dict()
    missing, surplus = own.keys() - tensors.keys(), tensors.keys() - own.keys()
    wrong = [name for name in own.keys() & tensors.keys() if own[name].shape != tensors[name].shape]
    for kind, names in (("lacks", missing), ("has unknown", surplus), ("has another shape of", wrong)):
        if names:
            raise TeachlibError(
                f"{source}: a checkpoint of another recipe or width: it {kind} '{min(names)}'; "
                "load it with the recipe it was trained by"
            )
    module.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
