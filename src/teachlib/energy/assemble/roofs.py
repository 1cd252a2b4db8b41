"""``roofs``: a triangle that stands on its square, so that a painter who is not told its height has to look.

In ``shapes`` a triangle that minds no square breaks the rule in one picture of fifteen; here it floats in nearly all.
"""

import math
from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor

from teachlib.energy.assemble import shapes
from teachlib.energy.assemble.shapes import CIRCLE, SIZE, SQUARE, TRIANGLE, Scenes, Shapes
from teachlib.errors import require_at_least

SPLITS = shapes.SPLITS
_SEEDS = {"train": 521, "validation": 522, "test": 523}
_EDGE = 0.5  # pixels that everything keeps from the edge


def scenes(count: int, generator: torch.Generator) -> Scenes:
    """Random scenes: an upright triangle, on the square where both are there, and a circle where there is room.

    Args:
        count: how many.
        generator: draws them.
    """
    drawn = shapes.scenes(count, generator, dependent=False)
    drawn = replace(drawn, angles=torch.full((count,), -math.pi / 2))
    reach = torch.maximum(drawn.sizes[:, SQUARE], drawn.sizes[:, TRIANGLE] * math.sqrt(3) / 2) / 2 + _EDGE
    across = reach + torch.rand(count, generator=generator) * (SIZE - 2 * reach)
    highest, lowest = _room(drawn)
    below = torch.stack([across, highest + torch.rand(count, generator=generator) * (lowest - highest)], 1)
    both = (drawn.present[:, TRIANGLE] & drawn.present[:, SQUARE])[:, None]
    drawn.centres[:, SQUARE] = torch.where(both, below, drawn.centres[:, SQUARE])
    drawn.centres[:, TRIANGLE] = torch.where(both, _standing(drawn), drawn.centres[:, TRIANGLE])
    drawn.present[:, CIRCLE] &= ~_in_the_way(drawn)
    return drawn


def _room(of: Scenes) -> tuple[Tensor, Tensor]:
    """The highest and the lowest place of a square's middle that leaves room for the triangle on it, (N,) each."""
    half, radius = of.sizes[:, SQUARE] / 2, of.sizes[:, TRIANGLE] / 2
    return 1.5 * radius + half + _EDGE, SIZE - half - _EDGE


def _standing(of: Scenes) -> Tensor:
    """Where triangles' middles are if they stand on their squares, (N, 2)."""
    x, y = of.centres[:, SQUARE].unbind(1)
    return torch.stack([x, y - of.sizes[:, SQUARE] / 2 - of.sizes[:, TRIANGLE] / 4], 1)


def _in_the_way(of: Scenes) -> Tensor:
    """Whether a circle's box would touch another object's, (N,) booleans."""
    boxes = of.boxes()
    circle, others = boxes[:, CIRCLE, None], boxes[:, CIRCLE + 1 :]
    touches = ((circle[..., :2] < others[..., 2:]) & (others[..., :2] < circle[..., 2:])).all(-1)
    return (touches & of.present[:, CIRCLE + 1 :]).any(1)


def pairs(count: int, seed: int) -> tuple[Scenes, Scenes]:
    """Scenes with a triangle on a square and nothing else, and the same ones, their squares at heights of others.

    The triangles of the second stay where they were; what has learned to put them on squares moves them along.
    """
    require_at_least(1, count=count)
    drawn = scenes(6 * count + 100, torch.Generator().manual_seed(seed))
    drawn = drawn[drawn.present[:, TRIANGLE] & drawn.present[:, SQUARE]][:count]
    drawn = drawn.showing(torch.tensor([False, True, True]).expand(len(drawn), 3))
    centres = drawn.centres.clone()
    centres[:, SQUARE, 1] = centres[:, SQUARE, 1].roll(1).clamp(*_room(drawn))
    return drawn, replace(drawn, centres=centres)


def raised(of: Scenes) -> Scenes:
    """The same scenes, triangles standing on the squares."""
    centres = of.centres.clone()
    centres[:, TRIANGLE] = _standing(of)
    return replace(of, centres=centres)


def load(split: str = "train", limit: int | None = None) -> Shapes:
    """A split of the set, the same at every call.

    Args:
        split: ``train``, ``validation`` or ``test``.
        limit: only the first so many.

    Raises:
        TeachlibError: another split.
    """
    shapes.refuse_unknown("roofs", split, limit)
    return shapes.drawn(_whole(split)[slice(limit)])


@lru_cache(maxsize=3)
def _whole(split: str) -> Scenes:
    return scenes(SPLITS[split], torch.Generator().manual_seed(_SEEDS[split]))
