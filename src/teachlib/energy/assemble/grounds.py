"""``grounds``: the shapes on a ground of soft stripes, which is itself an object (thesis § 7.4: "plus a background").

No ground is brighter than :data:`BRIGHTEST`, and every object is, in every channel, so that it is known of each pixel
which of them it shows.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from teachlib.energy.assemble import shapes
from teachlib.energy.assemble.shapes import SIZE, Scenes, scenes
from teachlib.errors import require_at_least

OBJECTS = ("ground", *shapes.OBJECTS)
SPLITS = shapes.SPLITS
BRIGHTEST = 0.3
_SEEDS = {"train": 511, "validation": 512, "test": 513}
_PERIODS = (0.5, 2.0)  # of the stripes, across a picture


@dataclass(frozen=True)
class Grounded:
    """Pictures of shapes on grounds, and what they were drawn from.

    Attributes:
        grounds: in [0, 1], (N, 3, 32, 32).
        scenes: what stands on each.
    """

    grounds: Tensor
    scenes: Scenes

    def __len__(self) -> int:
        return len(self.grounds)

    def __getitem__(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Pictures in [0, 1], and their conditions."""
        images, conditions = self.stored(index)
        return images.float() / 255, conditions

    def stored(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Pictures as bytes, and their conditions."""
        some = self.those(index)
        return (some.draw() * 255).round().to(torch.uint8), some.conditions()

    def those(self, index: slice | Tensor) -> "Grounded":
        """Some of them."""
        return Grounded(self.grounds[index], self.scenes[index])

    def showing(self, present: Tensor) -> "Grounded":
        """The same grounds, with others of their shapes shown, (N, 3)."""
        return replace(self, scenes=self.scenes.showing(present))

    def conditions(self) -> Tensor:
        """What a generator is told: a ground's box is the whole picture, those of shapes as without one, (N, 4, 5)."""
        whole = torch.tensor([1.0, 0.0, 0.0, SIZE, SIZE]).expand(len(self), 1, 5)
        return torch.cat([whole, self.scenes.conditions()], 1)

    def draw(self) -> Tensor:
        """The pictures, (N, 3, 32, 32) in [0, 1]."""
        return self.scenes.draw(self.grounds)

    @property
    def sha256(self) -> str:
        """Hash of the pictures and their conditions."""
        images, conditions = self.stored(slice(None))
        return hashlib.sha256(images.numpy().tobytes() + conditions.numpy().tobytes()).hexdigest()


def grounds(count: int, generator: torch.Generator) -> Tensor:
    """Stripes in any direction, between two dark colours: (count, 3, 32, 32) in [0, .3]."""
    require_at_least(1, count=count)
    low, high = _PERIODS
    periods, turn, phase = torch.rand(3, count, 1, 1, generator=generator).unbind()
    ticks = (torch.arange(SIZE) + 0.5) / SIZE
    turn = 2 * math.pi * turn
    along = turn.cos() * ticks + turn.sin() * ticks[:, None]
    wave = (1 + (2 * math.pi * ((low + (high - low) * periods) * along + phase)).sin()) / 2
    one, other = (BRIGHTEST * torch.rand(2, count, 3, 1, 1, generator=generator)).unbind()
    return one + (other - one) * wave[:, None]


def load(split: str = "train", limit: int | None = None) -> Grounded:
    """A split of the set, the same at every call.

    Args:
        split: ``train``, ``validation`` or ``test``.
        limit: only the first so many.

    Raises:
        TeachlibError: another split.
    """
    shapes.refuse_unknown("grounds", split, limit)
    return _whole(split).those(slice(limit))


@lru_cache(maxsize=3)
def _whole(split: str) -> Grounded:
    generator = torch.Generator().manual_seed(_SEEDS[split])
    return Grounded(grounds(SPLITS[split], generator), scenes(SPLITS[split], generator))
