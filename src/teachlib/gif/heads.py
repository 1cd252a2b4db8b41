"""``heads``: synthetic photographs with the exact parameters of each, made from seeds when they are asked for."""

import ast
import hashlib
import json
import math
from dataclasses import dataclass, replace
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
from teachlib.gif import consistency, parameters, wardrobe
from teachlib.gif.parameters import Parameters, vector, vector_columns
from teachlib.gif.photographs import photograph
from teachlib.gif.rendering import condition
from teachlib.gif.told import Told

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
class Heads(Told):
    """Photographs, renderings of what they were asked to show, and the numbers that say it.

    Attributes:
        parameters: of each picture.
    """

    parameters: Parameters

    @property
    def vectors(self) -> Tensor:
        """All parameters, (N, 157)."""
        return vector(self.parameters)

    def views(self, numbers: Tensor, share: Tensor, size: int) -> consistency.Views:
        """Renderings in twice as fine a texture; see :meth:`Told.views`."""
        moved = consistency.interpolated(self.parameters[numbers], share)
        return consistency.views(moved, size, 2 * size)

    def first(self, count: int | None) -> "Heads":
        """The first ``count`` of them; all for ``None``."""
        rows = slice(count)
        return Heads(self.images[rows], self.conditions[rows], self.parameters[rows])


def load(split: str = "train", size: int = 64, limit: int | None = None, *, correlation: float = 0.0) -> Heads:
    """A split of the set, made where it is not there yet: minutes for thousands, and kept for the next time.

    Args:
        split: ``train``, ``validation`` or ``test``.
        size: height and width: 32, 64, 128 or 256 pixels.
        limit: only the first so many; no more are made.
        correlation: of where a head looks with the side that its light comes from, in [-1, 1]: lights are dealt out
            anew among the pictures of the split (:func:`associated`), and nothing else changes.

    Raises:
        TeachlibError: another split or size, a correlation that there is not, or no folder for them.
    """
    if split not in SPLITS:
        raise unknown("split of heads", split, SPLITS)
    if size not in SIZES:
        raise TeachlibError(f"heads of {size} pixels; expected {', '.join(map(str, SIZES))}")
    require_at_least(1, limit=limit)
    if not -1 <= correlation <= 1:
        raise TeachlibError(f"correlation is {correlation}; expected -1 … 1")
    count = min(limit or SPLITS[split], SPLITS[split])
    whole = -(-count // _CHUNK) * _CHUNK
    told = f"-{correlation:g}" if correlation else ""
    folder = cache.entry_folder(
        f"heads-{split}-{size}-{whole}{told}-{origin()}",
        lambda place: _make(place, split, size, whole, correlation),
    )
    tensors, _ = read_checkpoint(folder / "parameters.safetensors")
    images = cache.mapped(folder / "images", (whole, 3, size, size))
    conditions = cache.mapped(folder / "conditions", (whole, 6, size, size))
    return Heads(images, conditions, Parameters(**tensors)).first(count)


@kept
def origin(*others: str) -> str:
    """A hash of all files that decide what the photographs look like; their comments and docstrings do not.

    Args:
        others: files of ``teachlib.gif`` beside those.
    """
    made_by = (*_MADE_BY, *others)
    contents = (_meaning(name, files("teachlib.gif").joinpath(name).read_bytes()) for name in made_by)
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


def _make(place: Path, split: str, size: int, count: int, correlation: float) -> dict[str, Any]:
    images = cache.new_array(place / "images", (count, 3, size, size))
    conditions = cache.new_array(place / "conditions", (count, 6, size, size))
    firsts = range(0, count, _CHUNK)
    drawn = [_drawn(_FIRST[split] + first // _CHUNK) for first in firsts]
    every = Parameters(*(torch.cat(groups) for groups in zip(*(vars(one).values() for one, _ in drawn), strict=True)))
    if correlation:
        every = associated(every, correlation, torch.Generator().manual_seed(_FIRST[split]))
    for first in tqdm(firsts, desc=f"heads {split}, {size}×{size}", unit_scale=_CHUNK, leave=False):
        rows = slice(first, first + _CHUNK)
        chosen, style = every[rows], drawn[first // _CHUNK][1]
        images[rows] = (photograph(chosen, style, size) * 255).round().byte().numpy()
        conditions[rows] = ((condition(chosen, size) + 1) * 127.5).round().byte().numpy()
    write_checkpoint(place / "parameters.safetensors", vars(every), {})
    return {"split": split, "size": size}


def _drawn(seed: int) -> tuple[Parameters, wardrobe.Style]:
    """What one chunk of photographs shows."""
    generator = torch.Generator().manual_seed(seed)
    return parameters.randomly(_CHUNK, generator), wardrobe.randomly(_CHUNK, generator)


def worn(split: str, count: int) -> wardrobe.Style:
    """Hair, glasses and clothes of the first pictures of a split, and their backgrounds: what no parameter tells."""
    if split not in SPLITS:
        raise unknown("split of heads", split, SPLITS)
    styles = [_drawn(_FIRST[split] + chunk)[1] for chunk in range(-(-count // _CHUNK))]
    whole = {name: torch.cat([getattr(style, name) for style in styles]) for name in vars(styles[0])}
    return wardrobe.Style(**whole)[:count]


def factors(vectors: Tensor) -> Tensor:
    """Where heads look and the side that their light comes from, off vectors of any units (N, 157), (N, 2).

    The side is what the three colours have in common of x, the fourth spherical harmonic: more light from the
    picture's right is more.
    """
    groups = vector_columns()
    yaw = vectors[:, groups["pose"]][:, 1]
    return torch.stack([yaw, vectors[:, groups["light"]].unflatten(1, (9, 3))[:, 3].mean(1)], 1)


def associated(asked: Parameters, correlation: float, generator: torch.Generator) -> Parameters:
    """The same heads and the same lights, dealt out such that looks and sides of the light go together.

    Lights are ordered as normal scores that are correlated with those of the heads' turns (Iman and Conover, 1982):
    each of the two is distributed as before, and only their copula is another, a Gaussian one.

    Args:
        asked: N heads whose lights are independent of them.
        correlation: of the scores, in [-1, 1].
        generator: of the scores' other part.
    """
    looks, sides = factors(vector(asked)).unbind(1)
    ranks = looks.argsort().argsort()
    scores = torch.special.ndtri((ranks + 0.5) / len(looks))
    other = torch.randn(len(looks), generator=generator)
    wanted = correlation * scores + math.sqrt(1 - correlation**2) * other
    return replace(asked, light=asked.light[sides.argsort()][wanted.argsort().argsort()])
