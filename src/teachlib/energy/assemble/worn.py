"""``glasses``: a head, a pair of glasses, or a head that wears them, on black (thesis § 7.5.2, "beyond this toy case").

Both come from chapter 4's renderer, apart, so that what each covers is known exactly. Heads fill the picture and rims
are thick and of all colours, so that 32 pixels show them.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from teachlib.data import cache
from teachlib.energy.assemble.measures import boxes_of
from teachlib.energy.assemble.shapes import SIZE
from teachlib.errors import require_at_least, unknown
from teachlib.gif import heads, parameters, wardrobe
from teachlib.gif.parameters import Parameters
from teachlib.gif.photographs import layers

OBJECTS = ("face", "glasses")
FACE, GLASSES = range(2)
SPLITS = {"train": 6_000, "validation": 500, "test": 1_000}
_FIRST = {"train": 3 * 10**6, "validation": 4 * 10**6, "test": 5 * 10**6}  # seeds of no split are another's
_CHUNK = 50  # that one seed makes; a shorter set is the beginning of a longer one
_APPEARS = 0.75  # each one's probability, by itself
_NEARER = 1.35  # than chapter 4's camera
_FINER = 2  # pixels a side that each one is averaged from
_COVERED = 0.5  # of a pixel, that it counts to a box


@dataclass(frozen=True)
class Worn:
    """Pictures of heads and glasses, and what they are made of.

    Attributes:
        colours: of both, the head first, bytes, (N, 2, 3, 32, 32).
        covers: how much of each pixel each covers, bytes, (N, 2, 32, 32).
        present: which are shown, (N, 2) booleans.
    """

    colours: Tensor
    covers: Tensor
    present: Tensor

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Pictures in [0, 1], and where their objects are, or could be."""
        images, places = self.stored(index)
        return images.float() / 255, places

    def stored(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Pictures as bytes, and where their objects are, or could be."""
        some = self.those(index)
        return (some.draw() * 255).round().to(torch.uint8), some.places()

    def those(self, index: slice | Tensor) -> "Worn":
        """Some of them."""
        return Worn(self.colours[index], self.covers[index], self.present[index])

    def showing(self, *objects: int) -> "Worn":
        """The same ones with these objects of theirs shown."""
        shown = torch.zeros_like(self.present)
        shown[:, list(objects)] = True
        return replace(self, present=shown)

    def alphas(self) -> Tensor:
        """How much of each pixel each object covers, shown or not, (N, 2, 32, 32) in [0, 1]."""
        return self.covers.float() / 255

    def boxes(self) -> Tensor:
        """Left, top, right and bottom of each object in pixels, (N, 2, 4), from what it covers by half."""
        on = self.alphas() >= _COVERED
        return boxes_of(on.flatten(0, 1)).unflatten(0, (-1, len(OBJECTS)))

    def places(self) -> Tensor:
        """Of each object 1 or 0 for there or not, and its box, there or not: where it could be put, (N, 2, 5)."""
        return torch.cat([self.present[..., None].float(), self.boxes()], -1)

    def conditions(self) -> Tensor:
        """What a generator is told of each object: 1 or 0 for there or not, and its box; 0 if not, (N, 2, 5)."""
        places = self.places()
        return places * places[..., :1]

    def over(self, pictures: Tensor, number: int) -> Tensor:
        """Pictures (N, 3, 32, 32) with an object of each of these laid over them, whether it is shown or not."""
        alpha = self.alphas()[:, number, None]
        return alpha * self.colours[:, number].float() / 255 + (1 - alpha) * pictures

    def draw(self) -> Tensor:
        """The pictures, on black, glasses over heads: (N, 3, 32, 32) in [0, 1]."""
        pictures = torch.zeros(len(self), 3, SIZE, SIZE)
        for number in (FACE, GLASSES):
            shown = self.present[:, number, None, None, None]
            pictures = torch.where(shown, self.over(pictures, number), pictures)
        return pictures

    @property
    def sha256(self) -> str:
        """Hash of what all pictures are made of."""
        parts = (self.colours, self.covers, self.present)
        return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).hexdigest()


def load(split: str = "train", limit: int | None = None) -> Worn:
    """A split of the set, made where it is not there yet: minutes for thousands, and kept for the next time.

    Args:
        split: ``train``, ``validation`` or ``test``.
        limit: only the first so many; no more are made.

    Raises:
        TeachlibError: another split, or no folder for them.
    """
    if split not in SPLITS:
        raise unknown("split of glasses", split, SPLITS)
    require_at_least(1, limit=limit)
    count = min(limit or SPLITS[split], SPLITS[split])
    whole = -(-count // _CHUNK) * _CHUNK
    folder = cache.entry_folder(f"glasses-{split}-{whole}-{heads.origin()}", lambda place: _make(place, split, whole))
    return Worn(
        cache.mapped(folder / "colours", (whole, 2, 3, SIZE, SIZE))[:count],
        cache.mapped(folder / "covers", (whole, 2, SIZE, SIZE))[:count],
        _shown(split, whole)[:count],
    )


def _shown(split: str, count: int) -> Tensor:
    """Which objects pictures show, (count, 2)."""
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(_FIRST[split] - 1)) < _APPEARS


def _make(place: Path, split: str, count: int) -> dict[str, Any]:
    colours = cache.new_array(place / "colours", (count, 2, 3, SIZE, SIZE))
    covers = cache.new_array(place / "covers", (count, 2, SIZE, SIZE))
    for first in tqdm(range(0, count, _CHUNK), desc=f"glasses {split}", unit_scale=_CHUNK, leave=False):
        rows = slice(first, first + _CHUNK)
        drawn = layers(*_drawn(_FIRST[split] + first // _CHUNK), SIZE, finer=_FINER)
        colours[rows], covers[rows] = ((part * 255).round().byte().numpy() for part in drawn)
    return {"split": split}


def _drawn(seed: int) -> tuple[Parameters, wardrobe.Style]:
    """What one chunk of pictures shows."""
    generator = torch.Generator().manual_seed(seed)
    told, style = parameters.randomly(_CHUNK, generator), wardrobe.randomly(_CHUNK, generator)
    camera = torch.cat([told.camera[:, :1] * _NEARER, told.camera[:, 1:]], 1)
    rim = torch.cat([style.rim[:, :1], 0.004 + 0.003 * torch.rand(_CHUNK, 1, generator=generator), style.rim[:, 2:]], 1)
    frame = 0.1 + 0.9 * torch.rand(_CHUNK, 3, generator=generator)
    return replace(told, camera=camera), replace(style, rim=rim, frame=frame)
