"""``heads``: synthetic photographs with the exact parameters of each, made from seeds when they are asked for."""

import ast
import hashlib
import json
from dataclasses import dataclass, fields
from functools import cache as kept
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from teachlib.checkpoints import read_checkpoint, write_checkpoint
from teachlib.data import cache
from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.gif import parameters, wardrobe
from teachlib.gif.parameters import Parameters
from teachlib.gif.photographs import photograph
from teachlib.gif.rendering import condition

SPLITS = {"train": 12_000, "validation": 1_000, "test": 1_000}
SIZES = (32, 64, 128, 256)
# What the photographs follow from: when one of these changes, they are made again.
_MADE_BY = (
    *("appearance.py", "camera.py", "head.py", "head.safetensors", "heads.py", "light.py", "mesh.py", "parameters.py"),
    *("photographs.py", "rasterizer.py", "rendering.py", "rotations.py", "textures.py", "wardrobe.py"),
)
_CHUNK = 50  # photographs that one seed makes; a shorter set is the beginning of a longer one
_FIRST = {"train": 0, "validation": 10**6, "test": 2 * 10**6}  # seeds of no split are another's


@dataclass(frozen=True)
class Heads:
    """Photographs, what they were asked to show, and renderings of it.

    Attributes:
        images: bytes, (N, 3, size, size).
        conditions: renderings in bytes, 0 for -1 and 255 for 1, (N, 6, size, size).
        parameters: of each picture.
    """

    images: Tensor
    conditions: Tensor
    parameters: Parameters

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], and the number of each: with it a model finds its condition and style."""
        images, numbers = self.stored(index)
        return images.float() / 255, numbers

    def stored(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Images as bytes, and their numbers."""
        return self.images[index], torch.arange(len(self))[index]

    def condition(self, numbers: Tensor) -> Tensor:
        """Renderings of these pictures, in [-1, 1], (N, 6, size, size)."""
        return self.conditions[numbers].float() / 127.5 - 1

    @property
    def sha256(self) -> str:
        """Hash of pictures and parameters."""
        parts = (self.images, *(value.contiguous() for value in vars(self.parameters).values()))
        return hashlib.sha256(b"".join(hashlib.sha256(part.numpy()).digest() for part in parts)).hexdigest()

    def first(self, count: int | None) -> "Heads":
        """The first ``count`` of them; all for ``None``."""
        rows = slice(count)
        return Heads(self.images[rows], self.conditions[rows], self.parameters[rows])


def load(split: str = "train", size: int = 64, limit: int | None = None) -> Heads:
    """A split of the set, made where it is not there yet: minutes for thousands, and kept for the next time.

    Args:
        split: ``train``, ``validation`` or ``test``.
        size: height and width: 32, 64, 128 or 256 pixels.
        limit: only the first so many; no more are made.

    Raises:
        TeachlibError: another split or size, or no folder for them.
    """
    if split not in SPLITS:
        raise unknown("split of heads", split, SPLITS)
    if size not in SIZES:
        raise TeachlibError(f"heads of {size} pixels; expected {', '.join(map(str, SIZES))}")
    require_at_least(1, limit=limit)
    count = min(limit or SPLITS[split], SPLITS[split])
    whole = -(-count // _CHUNK) * _CHUNK
    folder = cache.entry_folder(
        f"heads-{split}-{size}-{whole}-{_recipe()}", lambda place: _make(place, split, size, whole)
    )
    tensors, _ = read_checkpoint(folder / "parameters.safetensors")
    images = cache.mapped(folder / "images", (whole, 3, size, size))
    conditions = cache.mapped(folder / "conditions", (whole, 6, size, size))
    return Heads(images, conditions, Parameters(**tensors)).first(count)


@kept
def _recipe() -> str:
    """A hash of all files that decide what the photographs look like; their comments and docstrings do not."""
    contents = (_meaning(name, files("teachlib.gif").joinpath(name).read_bytes()) for name in _MADE_BY)
    return hashlib.sha256(json.dumps([hashlib.sha256(part).hexdigest() for part in contents]).encode()).hexdigest()[:16]


def _meaning(name: str, contents: bytes) -> bytes:
    """What of a file a computer reads."""
    if not name.endswith(".py"):
        return contents
    tree = ast.parse(contents)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return ast.dump(tree).encode()


def _make(place: Path, split: str, size: int, count: int) -> dict[str, Any]:
    images = cache.new_array(place / "images", (count, 3, size, size))
    conditions = cache.new_array(place / "conditions", (count, 6, size, size))
    drawn = []
    for start in tqdm(range(0, count, _CHUNK), desc=f"heads {split}, {size}×{size}", unit_scale=_CHUNK, leave=False):
        generator = torch.Generator().manual_seed(_FIRST[split] + start // _CHUNK)
        chosen, style = parameters.randomly(_CHUNK, generator), wardrobe.randomly(_CHUNK, generator)
        rows = slice(start, start + _CHUNK)
        images[rows] = (photograph(chosen, style, size) * 255).round().byte().numpy()
        conditions[rows] = ((condition(chosen, size) + 1) * 127.5).round().byte().numpy()
        drawn.append(chosen)
    tensors = {field.name: torch.cat([getattr(one, field.name) for one in drawn]) for field in fields(Parameters)}
    write_checkpoint(place / "parameters.safetensors", tensors, {})
    return {"split": split, "size": size}
