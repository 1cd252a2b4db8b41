"""Whether what was asked for was drawn: measured on a picture with an object and the same one without it.

Nothing here is trained: an object is what changes, its box is that of the pixels that change, and its class is the
solid shape that covers them best. Real pictures go through the same hands, which is what these measures can reach.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import label
from torch import Tensor

from teachlib.energy.assemble.networks import masks
from teachlib.energy.assemble.shapes import CIRCLE, OBJECTS, SIZE, SQUARE, TRIANGLE, Scenes
from teachlib.errors import require_shape

Draws = Callable[[Scenes], Tensor]
"""Pictures (N, 3, 32, 32) of scenes; what is not told by them, such as noise, stays the same from call to call."""

_FAINT = 0.1  # a pixel that changes by less has not changed
_CROP = 16  # side of the grid that shapes are compared on
_TURNS = 24  # of the triangle


def changed(before: Tensor, after: Tensor) -> Tensor:
    """Pixels that differ by half of what the strongest do, and visibly, (N, 32, 32) booleans."""
    require_shape(before, after.shape[1:])
    difference = (after - before).abs().amax(1)
    strong = difference.flatten(1).quantile(0.99, dim=1)[:, None, None]
    return difference > (0.5 * strong).clamp_min(_FAINT)


def boxes_of(on: Tensor) -> Tensor:
    """Left, top, right and bottom of the pixels that are on, (N, 32, 32) → (N, 4); zeros of none."""
    sides = []
    for along in (on.any(1), on.any(2)):
        first = along.float().argmax(1)
        last = along.shape[1] - along.flip(1).float().argmax(1)
        sides.append((first, last))
    (left, right), (top, bottom) = sides
    boxes = torch.stack([left, top, right, bottom], 1).float()
    return boxes * on.flatten(1).any(1, keepdim=True)


def overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (N, 4) and (N, 4), (N,); 0 where either is empty."""
    upper, lower = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    common = (lower - upper).clamp_min(0).prod(1)
    union = (a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - common
    return common / union.clamp_min(1e-6)


@cache
def _solids() -> tuple[Tensor, Tensor]:
    """Circle, square and triangles as they fill their boxes, (26, 256), and their classes, (26,)."""
    ticks = (torch.arange(_CROP) + 0.5) / _CROP * 2 - 1
    down, across = torch.meshgrid(ticks, ticks, indexing="ij")
    solids = [across.square() + down.square() < 1, torch.ones(_CROP, _CROP, dtype=torch.bool)]
    for number in range(_TURNS):
        turn = torch.tensor([0.0, 1.0, 2.0]) * (2 * math.pi / 3) + number * 2 * math.pi / 3 / _TURNS
        corners = torch.stack([turn.cos(), turn.sin()], 1)
        low, high = corners.amin(0), corners.amax(0)
        corners = (corners - low) / (high - low) * 2 - 1
        edges = corners.roll(-1, 0) - corners
        inside = [
            edge[0] * (down - corner[1]) - edge[1] * (across - corner[0]) >= 0
            for edge, corner in zip(edges, corners, strict=True)
        ]
        solids.append(torch.stack(inside).all(0))
    classes = [CIRCLE, SQUARE, *[TRIANGLE] * _TURNS]
    return torch.stack(solids).flatten(1).float(), torch.tensor(classes)


def classes_of(on: Tensor) -> tuple[Tensor, Tensor]:
    """The solid shape that pixels (N, 32, 32) are most like, as they fill their box: class and overlap, (N,) each."""
    boxes = boxes_of(on)
    share = (torch.arange(_CROP) + 0.5) / _CROP
    x = (boxes[:, :1] + share * (boxes[:, 2:3] - boxes[:, :1])).long().clamp(0, SIZE - 1)
    y = (boxes[:, 1:2] + share * (boxes[:, 3:] - boxes[:, 1:2])).long().clamp(0, SIZE - 1)
    crops = on[torch.arange(len(on))[:, None, None], y[:, :, None], x[:, None]].flatten(1).float()
    solids, classes = _solids()
    common = crops @ solids.T
    fit = common / (crops.sum(1, keepdim=True) + solids.sum(1) - common)
    best, which = fit.max(1)
    return classes[which], best


@dataclass(frozen=True)
class Obedience:
    """What became of one kind of object, over the scenes that ask for it.

    Attributes:
        overlap: mean intersection over union of the box that was drawn and the real object's, both of pixels that are
            covered by half.
        named: share that is of the right class.
        kept: mean absolute change of pixels outside the box, one pixel around it left out; 0 is best.
        count: of scenes.
    """

    overlap: float
    named: float
    kept: float
    count: int


def _without(scenes: Scenes, number: int) -> Scenes:
    present = scenes.present.clone()
    present[:, number] = False
    return scenes.showing(present)


def clear(scenes: Scenes, number: int) -> Tensor:
    """Scenes whose object of this number is there and two pixels away from all others, (N,) booleans."""
    boxes = masks(scenes.conditions())
    grown = F.max_pool2d(boxes, 5, 1, 2)
    others = boxes.sum(1) - boxes[:, number]
    return scenes.present[:, number] & ((grown[:, number] * others).flatten(1).amax(1) == 0)


def obedience(draw: Draws, scenes: Scenes) -> dict[str, Obedience]:
    """Of each object, in scenes where nothing hides it.

    Args:
        draw: pictures of scenes.
        scenes: what is asked for.
    """
    found = {}
    for number, name in enumerate(OBJECTS):
        chosen = scenes[clear(scenes, number)]
        with_it, without = draw(chosen), draw(_without(chosen, number))
        on = changed(without, with_it)
        asked = boxes_of(chosen.alphas()[:, number] >= 0.5)
        outside = F.max_pool2d(masks(chosen.conditions())[:, number : number + 1], 3, 1, 1)[:, 0] == 0
        moved = ((with_it - without).abs().mean(1) * outside).sum() / outside.sum().clamp_min(1)
        right = classes_of(on)[0] == number
        drawn = on.flatten(1).any(1)
        found[name] = Obedience(
            overlap(boxes_of(on), asked).mean().item(), (right & drawn).float().mean().item(), moved.item(), len(chosen)
        )
    return found


def miscounted(draw: Draws, scenes: Scenes) -> float:
    """Share of pictures with more or fewer separate things in them than were asked for, of scenes with room between."""
    apart = torch.stack([clear(scenes, number) | ~scenes.present[:, number] for number in range(len(OBJECTS))]).all(0)
    chosen = scenes[apart]
    visible = (draw(chosen).amax(1) > 2 * _FAINT).numpy()
    things = torch.tensor([label(one, np.ones((3, 3)))[1] for one in visible])
    return (things != chosen.present.sum(1)).double().mean().item()


def apexes(draw: Draws, scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Top of what the triangle adds, in pixels, (N,), and whether it adds anything, (N,); all scenes ask for one."""
    on = changed(draw(_without(scenes, TRIANGLE)), draw(scenes))
    return boxes_of(on)[:, 1], on.flatten(1).any(1)


@dataclass(frozen=True)
class Dependency:
    """How far the triangle minds the square.

    Attributes:
        above: share of triangles whose top is above the square's.
        chance: the same, where each triangle is set against another scene's square.
        slope: of the triangle's top on the square's, as the square alone is moved.
        real_slope: of tops on tops over real pictures, by least squares.
        distance: largest difference of the distributions of the gap, drawn and real (Kolmogorov & Smirnov).
        count: of scenes.
    """

    above: float
    chance: float
    slope: float
    real_slope: float
    distance: float
    count: int


def dependency(draw: Draws, scenes: Scenes, moved: Scenes) -> Dependency:
    """How far the triangle minds the square, of scenes that have both and no circle.

    Args:
        draw: pictures of scenes.
        scenes: real ones.
        moved: the same ones with squares elsewhere, and nothing else.
    """
    tops, drawn = apexes(draw, scenes)
    squares, (real, _) = scenes.boxes()[:, SQUARE, 1], apexes(Scenes.draw, scenes)
    again, redrawn = apexes(draw, moved)
    both = drawn & redrawn
    shift = (moved.boxes()[:, SQUARE, 1] - squares)[both]
    slope = ((again - tops)[both] * shift).sum() / shift.square().sum().clamp_min(1e-9)
    return Dependency(
        (drawn & (tops < squares)).float().mean().item(),
        (drawn & (tops < squares.roll(1))).float().mean().item(),
        slope.item(),
        torch.cov(torch.stack([squares, real]))[0, 1].item() / squares.var().item(),
        largest_difference((squares - tops)[drawn], squares - real),
        len(scenes),
    )


def largest_difference(a: Tensor, b: Tensor) -> float:
    """Of the distribution functions of two samples (N,) and (M,): Kolmogorov's and Smirnov's statistic; 1 of none."""
    if not (len(a) and len(b)):
        return 1.0
    at = torch.cat([a, b]).sort().values
    below = [torch.searchsorted(x.sort().values, at, right=True) / len(x) for x in (a, b)]
    return (below[0] - below[1]).abs().max().item()
