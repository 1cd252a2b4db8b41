"""``shapes``: pictures assembled of a circle, a triangle and a square, each there or not (thesis § 7.5.2, Figure 7.1a).

Where a triangle and a square are both in a picture, at least one corner of the triangle lies above the whole square.
Everything is drawn from a seed, so that what a picture should show is known exactly.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from teachlib.errors import require_at_least, unknown

SIZE = 32  # pixels
OBJECTS = ("circle", "triangle", "square")
CIRCLE, TRIANGLE, SQUARE = range(3)
SPLITS = {"train": 12_000, "validation": 1_000, "test": 2_000}
_SEEDS = {"train": 501, "validation": 502, "test": 503}
_APPEARS = 0.7  # each object's probability, by itself
_MARGIN = 1.0  # pixels that the triangle's highest corner is above the square at least
_APART = 0.35  # centres are further apart than this share of two sizes, so that little is hidden


@dataclass(frozen=True)
class Scenes:
    """What is in N pictures, before they are drawn.

    Attributes:
        present: which objects, in the order of :data:`OBJECTS`, (N, 3) booleans.
        centres: of each, x and y in pixels from the upper left corner, (N, 3, 2).
        sizes: diameter, diameter of the circle through the corners, side; in pixels, (N, 3).
        angles: of the triangle's first corner, in radians, (N,).
        colours: (N, 3, 3) in [0, 1].
        order: which object is drawn first, second, third, (N, 3).
    """

    present: Tensor
    centres: Tensor
    sizes: Tensor
    angles: Tensor
    colours: Tensor
    order: Tensor

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: slice | Tensor) -> "Scenes":
        """Some of them."""
        return Scenes(**{name: value[index] for name, value in vars(self).items()})

    def showing(self, present: Tensor) -> "Scenes":
        """The same scenes with other objects of theirs shown, (N, 3)."""
        return replace(self, present=present)

    def corners(self) -> Tensor:
        """The triangle's, (N, 3, 2): x and y in pixels."""
        turn = self.angles[:, None] + torch.tensor([0.0, 1.0, 2.0]) * (2 * math.pi / 3)
        radius = self.sizes[:, TRIANGLE, None, None] / 2
        return self.centres[:, None, TRIANGLE] + radius * torch.stack([turn.cos(), turn.sin()], -1)

    def boxes(self) -> Tensor:
        """Left, top, right and bottom of each object in pixels, (N, 3, 4)."""
        half = self.sizes[..., None] / 2
        boxes = torch.cat([self.centres - half, self.centres + half], -1)
        corners = self.corners()
        boxes[:, TRIANGLE] = torch.cat([corners.amin(1), corners.amax(1)], 1)
        return boxes

    def conditions(self) -> Tensor:
        """What a generator is told of each object: 1 or 0 for there or not, and its box; 0 if not, (N, 3, 5)."""
        there = self.present[..., None].float()
        return torch.cat([there, there * self.boxes()], -1)

    def alphas(self) -> Tensor:
        """How much of each pixel each object covers, drawn or not, (N, 3, 32, 32): edges are smooth over a pixel."""
        ticks = torch.arange(SIZE) + 0.5
        across = ticks - self.centres[..., 0, None, None]
        down = ticks[:, None] - self.centres[..., 1, None, None]
        half = self.sizes[..., None, None] / 2
        circle = (across[:, CIRCLE].square() + down[:, CIRCLE].square()).sqrt() - half[:, CIRCLE]
        square = torch.maximum(across[:, SQUARE].abs(), down[:, SQUARE].abs()) - half[:, SQUARE]
        # A triangle is where all three edges are on the same side: at most half the radius along each normal.
        normals = self.angles[:, None] + (torch.tensor([1.0, 3.0, 5.0]) * math.pi / 3)
        along = (
            across[:, TRIANGLE, None] * normals.cos()[..., None, None]
            + down[:, TRIANGLE, None] * normals.sin()[..., None, None]
        )
        triangle = along.amax(1) - half[:, TRIANGLE] / 2
        return (0.5 - torch.stack([circle, triangle, square], 1)).clamp(0, 1)

    def draw(self, grounds: Tensor | None = None) -> Tensor:
        """The pictures, each object over those before it, on black or on grounds: (N, 3, 32, 32) in [0, 1]."""
        rows = torch.arange(len(self))
        alphas = self.alphas() * self.present[..., None, None]
        pictures = torch.zeros(len(self), 3, SIZE, SIZE) if grounds is None else grounds
        for chosen in self.order.unbind(1):
            alpha = alphas[rows, chosen][:, None]
            pictures = alpha * self.colours[rows, chosen][..., None, None] + (1 - alpha) * pictures
        return pictures


def depends(scenes: Scenes) -> Tensor:
    """Where the triangle's highest corner is above the square, drawn or not, (N,) booleans."""
    boxes = scenes.boxes()
    return boxes[:, TRIANGLE, 1] < boxes[:, SQUARE, 1] - _MARGIN


def scenes(count: int, generator: torch.Generator, *, dependent: bool = True) -> Scenes:
    """Random scenes.

    Args:
        count: how many.
        generator: draws them.
        dependent: whether triangles are above squares; otherwise each is placed by itself.
    """
    require_at_least(1, count=count)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    sizes = torch.stack([8 + 8 * uniform(count), 10 + 8 * uniform(count), 8 + 8 * uniform(count)], 1)
    grey = uniform(count, 3, 1) < 0.5
    colours = 0.35 + 0.65 * uniform(count, 3, 3)
    drawn = Scenes(
        uniform(count, 3) < _APPEARS,
        torch.zeros(count, 3, 2),
        sizes,
        2 * math.pi * uniform(count),
        torch.where(grey, colours[..., :1].expand(-1, -1, 3), colours),
        uniform(count, 3).argsort(1),
    )
    waiting = torch.arange(count)
    while len(waiting):  # places that break a rule are drawn again
        room = sizes[waiting, :, None] / 2 + 0.5
        drawn.centres[waiting] = room + uniform(len(waiting), 3, 2) * (SIZE - 2 * room)
        waiting = waiting[_breaks_a_rule(drawn[waiting], dependent)]
    return drawn


def _breaks_a_rule(placed: Scenes, dependent: bool) -> Tensor:
    both = placed.present[:, TRIANGLE] & placed.present[:, SQUARE]
    wrong = both & ~depends(placed) if dependent else torch.zeros_like(both)
    for one, other in ((CIRCLE, TRIANGLE), (CIRCLE, SQUARE), (TRIANGLE, SQUARE)):
        apart = (placed.centres[:, one] - placed.centres[:, other]).abs().amax(1)
        close = apart < _APART * (placed.sizes[:, one] + placed.sizes[:, other])
        wrong |= close & placed.present[:, one] & placed.present[:, other]
    return wrong


@dataclass(frozen=True)
class Shapes:
    """Pictures, and what they were drawn from.

    Attributes:
        images: bytes, (N, 3, 32, 32).
        scenes: of each.
        conditions: of each, (N, 3, 5), see :meth:`Scenes.conditions`.
    """

    images: Tensor
    scenes: Scenes
    conditions: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Pictures in [0, 1], and their conditions."""
        images, conditions = self.stored(index)
        return images.float() / 255, conditions

    def stored(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Pictures as bytes, and their conditions."""
        return self.images[index], self.conditions[index]

    @property
    def sha256(self) -> str:
        """Hash of pictures and conditions."""
        return hashlib.sha256(self.images.numpy().tobytes() + self.conditions.numpy().tobytes()).hexdigest()


def refuse_unknown(name: str, split: str, limit: int | None) -> None:
    """Let pass a split of a set with these splits, and a number of its pictures.

    Raises:
        TeachlibError: another split, or no pictures.
    """
    if split not in SPLITS:
        raise unknown(f"split of {name}", split, SPLITS)
    require_at_least(1, limit=limit)


def load(split: str = "train", limit: int | None = None) -> Shapes:
    """A split of the set, the same at every call.

    Args:
        split: ``train``, ``validation`` or ``test``.
        limit: only the first so many.

    Raises:
        TeachlibError: another split.
    """
    refuse_unknown("shapes", split, limit)
    return drawn(_whole(split)[slice(limit)])


def drawn(some: Scenes) -> Shapes:
    """Scenes with their pictures."""
    return Shapes((some.draw() * 255).round().to(torch.uint8), some, some.conditions())


@lru_cache(maxsize=3)
def _whole(split: str) -> Scenes:
    """All scenes of a split: a few are drawn thousands of times before they break no rule."""
    return scenes(SPLITS[split], torch.Generator().manual_seed(_SEEDS[split]))
