"""The zoo: small trained models that ship with the package, each with a card that says how it was made.

Weights are stored in half precision where that loses nothing that matters; opening one checks its hash.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor

from teachlib.checkpoints import checkpoint_bytes, read_checkpoint, weights_of, write_atomically
from teachlib.errors import TeachlibError, unknown

LARGEST = 3 * 2**20  # bytes of one model
_COMING = ".json.partial"


def folder() -> Path:
    """Where the models lie: beside this file."""
    return Path(str(files("teachlib.zoo")))


def names(where: Path | None = None) -> list[str]:
    """The models of the zoo, e.g. ``rae-l2-glyphs``; with ``where``, of a zoo in that folder."""
    return sorted(card_file.stem for card_file in (where or folder()).glob("*.json"))


def card(name: str, where: Path | None = None) -> dict[str, Any]:
    """How a model was made and how good it is: recipe, seed, data hash, command, metrics, hash of the weights.

    Args:
        name: of the model.
        where: folder of another zoo than the one that ships.

    Raises:
        TeachlibError: no such model, or its card is damaged.
    """
    if name not in names(where):
        raise unknown("zoo model", name, names(where))
    _finish(name, where or folder())
    file = (where or folder()) / f"{name}.json"
    described = _described(file)
    if described is None:
        raise TeachlibError(f"{file}: not the card of a model; reinstall teachlib")
    return described


def _described(file: Path) -> dict[str, Any] | None:
    """What a card says; nothing where there is none or it is damaged."""
    with suppress(OSError, ValueError, RecursionError):
        match json.loads(file.read_text("utf-8")):
            case {"recipe": {}, "sha256": str(), "parameters": int(), "steps": int(), "command": str()} as described:
                return described
    return None


def _finish(name: str, where: Path) -> None:
    """Put the card in its place whose weights are there already, where :func:`add` was killed between the two."""
    weights, coming = where / f"{name}.safetensors", where / f".{name}{_COMING}"
    described = _described(coming)
    with suppress(OSError):
        if described and described["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest():
            coming.replace(where / f"{name}.json")


def read(name: str, where: Path | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Weights, as float32, and card of a model.

    Args:
        name: of the model.
        where: folder of another zoo than the one that ships.

    Raises:
        TeachlibError: no such model, or its file is not the one the card describes.
    """
    file = (where or folder()) / f"{name}.safetensors"
    for _ in range(2):  # again, where somebody replaces the model between the reading of its card and of its weights
        described = card(name, where)
        if not file.is_file():
            raise TeachlibError(f"{file}: missing; reinstall teachlib")
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest == described["sha256"]:
            break
    else:
        raise TeachlibError(
            f"{file}: wrong hash: {digest[:12]}…, its card says {described['sha256'][:12]}…; reinstall teachlib"
        )
    tensors, _ = read_checkpoint(file)
    return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}, described


def add(
    name: str,
    checkpoint: str | Path,
    description: Mapping[str, Any],
    *,
    average: bool = False,
    where: Path | None = None,
) -> Path:
    """Put the weights of a run into the zoo, with a card.

    Matrices and kernels become float16; biases and batch-norm statistics stay as they are.

    Args:
        name: of the new model.
        checkpoint: of :func:`teachlib.training.fit`.
        description: for the card: recipe, seed, data hash, command, metrics, device.
        average: the moving average of the weights, where the run kept one.
        where: folder of another zoo than the one that ships.

    Returns:
        The card's file.

    Raises:
        TeachlibError: not a checkpoint, or more than 3 MiB.
    """
    tensors, header = read_checkpoint(checkpoint)
    weights = {key: value.half() if value.ndim > 1 else value for key, value in weights_of(tensors, average).items()}
    contents = checkpoint_bytes(weights, {"step": header["step"]})
    if len(contents) > LARGEST:
        raise TeachlibError(f"{name}: more than {LARGEST >> 20} MiB of weights; the zoo takes small models only")
    written = {
        **description,
        "steps": header["step"],
        "parameters": sum(value.numel() for key, value in weights.items() if _is_parameter(key)),
        "sha256": hashlib.sha256(contents).hexdigest(),
    }
    file = (where or folder()) / f"{name}.json"
    coming = file.with_name(f".{name}{_COMING}")
    # The card waits beside the old one until its weights are there: at any moment, one of the two fits them.
    write_atomically(coming, (json.dumps(written, indent=1, ensure_ascii=False) + "\n").encode())
    write_atomically(file.with_suffix(".safetensors"), contents)
    _finish(name, file.parent)
    return file


def _is_parameter(key: str) -> bool:
    return not key.endswith(("running_mean", "running_var", "num_batches_tracked"))
