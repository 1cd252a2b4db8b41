"""Whether what was asked for was drawn.

Nothing here is trained: an object is what is bright around its box, where no other one is near; its own box is that of
the bright pixels, and its class the solid shape that covers them best. Real pictures go through the same hands.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.energy.assemble.networks import CROP, masks
from teachlib.energy.assemble.shapes import CIRCLE, OBJECTS, SIZE, SQUARE, TRIANGLE, Scenes
from teachlib.errors import TeachlibError, require_shape
from teachlib.metrics import frechet_between, statistics_of, untrained

Draws = Callable[[Scenes], Tensor]
"""Pictures (N, 3, 32, 32) of scenes; what is not told by them, such as noise, stays the same from call to call."""

_FAINT = 0.1  # a pixel that differs by less does not
_TURNS = 24  # of the triangle


def seen(difference: Tensor) -> Tensor:
    """Pixels that differ by half of what the strongest do, and visibly: (N, 3, 32, 32) → (N, 32, 32) booleans."""
    require_shape(difference, (3, SIZE, SIZE))
    strength = difference.abs().amax(1)
    strong = strength.flatten(1).quantile(0.99, dim=1)[:, None, None]
    return strength > (0.5 * strong).clamp_min(_FAINT)


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
    ticks = (torch.arange(CROP) + 0.5) / CROP * 2 - 1
    down, across = torch.meshgrid(ticks, ticks, indexing="ij")
    solids = [across.square() + down.square() < 1, torch.ones(CROP, CROP, dtype=torch.bool)]
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
    share = (torch.arange(CROP) + 0.5) / CROP
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
        count: of scenes.
    """

    overlap: float
    named: float
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
    """Of each object that is asked for with no other one near it; there may be objects that never are.

    Args:
        draw: pictures of scenes.
        scenes: what is asked for.
    """
    pictures, found = draw(scenes), {}
    for number, name in enumerate(OBJECTS):
        chosen = clear(scenes, number)
        if not chosen.any():
            continue
        around = F.max_pool2d(masks(scenes[chosen].conditions())[:, number : number + 1], 5, 1, 2) > 0
        on = seen(pictures[chosen] * around)
        asked = boxes_of(scenes[chosen].alphas()[:, number] >= 0.5)
        right = (classes_of(on)[0] == number) & on.flatten(1).any(1)
        found[name] = Obedience(
            overlap(boxes_of(on), asked).mean().item(), right.double().mean().item(), int(chosen.sum())
        )
    return found


def spilled(draw: Draws, scenes: Scenes) -> float:
    """Mean brightness of the ground, a pixel around the boxes left out; black is 0."""
    ground = F.max_pool2d(masks(scenes.conditions()), 3, 1, 1).amax(1) == 0
    return ((draw(scenes).mean(1) * ground).sum() / ground.sum()).item()


def disturbed(draw: Draws, scenes: Scenes, number: int) -> float:
    """How much the others change when an object is taken away: mean absolute change of pixels outside of its box; 0
    where it never is there."""
    chosen = scenes[scenes.present[:, number]]
    if not len(chosen):
        return 0.0
    outside = F.max_pool2d(masks(chosen.conditions())[:, number : number + 1], 3, 1, 1) == 0
    change = (draw(chosen) - draw(_without(chosen, number))).abs().mean(1, keepdim=True)
    return ((change * outside).sum() / outside.sum()).item()


def miscounted(draw: Draws, scenes: Scenes) -> float:
    """Share of pictures with more or fewer separate things in them than were asked for, of scenes with room between;
    0 where there are none."""
    apart = torch.stack([clear(scenes, number) | ~scenes.present[:, number] for number in range(len(OBJECTS))]).all(0)
    chosen = scenes[apart]
    if not len(chosen):
        return 0.0
    visible = (draw(chosen).amax(1) > 2 * _FAINT).numpy()
    things = torch.tensor([scipy.ndimage.label(one, np.ones((3, 3)))[1] for one in visible])
    return (things != chosen.present.sum(1)).double().mean().item()


def apexes(draw: Draws, scenes: Scenes) -> tuple[Tensor, Tensor]:
    """Top of the triangle, in pixels, (N,), and whether one is seen, (N,): what is bright outside the square's box.

    Args:
        draw: pictures of scenes.
        scenes: with a triangle and a square, and no circle.
    """
    square = masks(scenes.conditions())[:, SQUARE : SQUARE + 1] > 0
    on = seen(draw(scenes) * ~square)
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
    if len(scenes) < 2:
        raise TeachlibError(f"{len(scenes)} scenes; whether one thing minds another takes two or more")
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


def distance(pictures: Tensor, others: Tensor) -> float:
    """Fréchet distance of two sets of pictures, in features of a network that was never trained."""
    features = untrained((3, SIZE, SIZE)).features
    ours, theirs = (statistics_of(features(some)) for some in (pictures, others))
    return frechet_between(ours, theirs, relative=True)
