"""Whether painters that were told boxes, and not what is in them, have found the classes by themselves."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from teachlib.energy.assemble.measures import boxes_of, classes_of, overlap, seen
from teachlib.energy.assemble.objective import Assembled, shuffled
from teachlib.energy.assemble.shapes import OBJECTS, SIZE, Scenes
from teachlib.errors import TeachlibError
from teachlib.modes import evaluating

Paints = Callable[[int, Tensor], Tensor]
"""Pictures (N, 3, 32, 32) of what the painter of a number puts on black into boxes (N, 5)."""


@dataclass(frozen=True)
class Found:
    """What each painter draws, whatever box it is given.

    Attributes:
        shares: of what a painter (row) draws, how much is of a class (column), (K, K).
        overlap: mean intersection over union of the boxes of what is drawn with those asked for.
    """

    shares: Tensor
    overlap: float

    @property
    def matched(self) -> float:
        """Mean share of a painter's own class, when each has another one: 1/K where all draw alike, 1 at best."""
        count = len(self.shares)
        return max(self.shares[range(count), list(order)].mean().item() for order in permutations(range(count)))

    @property
    def bits(self) -> float:
        """Mutual information of painter and class, painters being asked as often: 0 … log₂ K."""
        joint = self.shares / len(self.shares)
        chance = joint.sum(1, keepdim=True) * joint.sum(0)
        return torch.where(joint > 0, joint * (joint / chance).log2(), 0.0).sum().item()


def found(paint: Paints, asked: Scenes) -> Found:
    """What painters draw into the boxes of all things, of each class, that scenes show.

    Args:
        paint: draws on black.
        asked: their boxes count, their classes do not.

    Raises:
        TeachlibError: nothing is shown.
    """
    boxes = asked.conditions()[asked.present]
    if not len(boxes):
        raise TeachlibError("the scenes show nothing; expected boxes to paint into")
    real = boxes_of(asked.alphas()[asked.present] >= 0.5)
    shares, overlaps = [], []
    for number in range(len(OBJECTS)):
        on = seen(paint(number, boxes))
        there = on.flatten(1).any(1)
        shares.append(torch.bincount(classes_of(on)[0][there], minlength=len(OBJECTS)).double() / len(on))
        overlaps.append(overlap(boxes_of(on), real).mean().item())
    return Found(torch.stack(shares), sum(overlaps) / len(overlaps))


def one_of_each(steps: Iterable[tuple[int, Tensor]]) -> float:
    """Share of pictures whose things, one a painter, are one of each class.

    Args:
        steps: each painter's number and the pictures after it, (N, 3, 32, 32), which all of them paint into, at first
            black.
    """
    before, classes = None, []
    for _, after in steps:
        classes.append(classes_of(seen(after if before is None else after - before))[0])
        before = after
    drawn = torch.stack(classes, 1).sort(1).values
    return (drawn == torch.arange(len(OBJECTS))).all(1).double().mean().item()


def painters_of(model: Assembled, seed: int) -> Paints:
    """A model's painters on black.

    Raises:
        TeachlibError: a model that has none.
    """
    generator = model.painters()

    @torch.no_grad()
    def paint(number: int, boxes: Tensor) -> Tensor:
        z = model.noise(len(boxes), torch.Generator().manual_seed(seed))
        told = boxes[:, None].expand(-1, len(OBJECTS), -1)
        return generator.add(number, torch.zeros(len(boxes), 3, SIZE, SIZE), told, z)

    return paint


def evaluate(model: Assembled, asked: Scenes, *, seed: int = 0) -> dict[str, float]:
    """All measures of a model whose painters may have found the classes, or were told them.

    Args:
        model: to draw by.
        asked: whose boxes each painter gets by itself. Where there are three, they are given to the painters as well to
            paint in turn, in a random order, unless painters were told classes.
        seed: of the noise and of that order.

    Raises:
        TeachlibError: a model without painters, or scenes of which none has three things.
    """
    three = asked[asked.present.all(1)]
    if not len(three):
        raise TeachlibError("no scene has three things; expected more scenes")
    generator, paint = torch.Generator().manual_seed(seed), painters_of(model, seed)
    with evaluating(model), torch.no_grad():
        what = found(paint, asked)
        told = three.conditions()
        told = shuffled(told, generator) if model.recipe.untold else told
        steps = model.painters().steps(told, model.noise(len(three), generator), range(len(OBJECTS)))
        together = one_of_each(steps)
    return {"matched": what.matched, "bits": what.bits, "overlap": what.overlap, "one of each": together}
