"""Whether painters that were told boxes, and not what is in them, have found the classes by themselves."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise, permutations

import torch
from torch import Tensor

from teachlib.energy.assemble.measures import boxes_of, classes_of, overlap, seen
from teachlib.energy.assemble.objective import Assembled, AssembledObjective, shuffled
from teachlib.energy.assemble.shapes import OBJECTS, SIZE, Scenes
from teachlib.errors import TeachlibError
from teachlib.modes import evaluating

Paints = Callable[[int, Tensor], Tensor]
"""Pictures (N, 3, 32, 32) of what the painter of a number puts on black into boxes (N, 5)."""


def bits(joint: Tensor) -> float:
    """Mutual information, in bits, of two things of which one has the row and one the column of a table of shares."""
    joint = joint / joint.sum().clamp_min(1e-12)
    chance = joint.sum(1, keepdim=True) * joint.sum(0)
    return torch.where(joint > 0, joint * (joint / chance).log2(), 0.0).sum().item()


@dataclass(frozen=True)
class Found:
    """What each painter draws, whatever box it is given.

    Attributes:
        drawn: of what a painter (first) draws into the boxes of real things of a class (second), how many are of a
            class (third), (K, K, K).
        overlap: mean intersection over union of the boxes of what is drawn with those of the real things.
    """

    drawn: Tensor
    overlap: float

    @property
    def shares(self) -> Tensor:
        """Of what a painter (row) draws, how much is of a class (column), (K, K)."""
        count = self.drawn.sum(1)
        return count / count.sum(1, keepdim=True).clamp_min(1)

    @property
    def matched(self) -> float:
        """Mean share of a painter's own class, when each has another one: 1/K where all draw alike, 1 at best."""
        count = len(self.shares)
        return max(self.shares[range(count), list(order)].mean().item() for order in permutations(range(count)))

    @property
    def by_painter(self) -> float:
        """Bits by which who draws tells what is drawn, painters being asked as often: 0 … log₂ K."""
        return bits(self.shares)

    @property
    def by_box(self) -> float:
        """Bits by which what really was in a box tells what the same painter draws there: 0 … log₂ K. It knows of that
        only what the box says."""
        return sum(bits(own) for own in self.drawn) / len(self.drawn)


def found(paint: Paints, asked: Scenes) -> Found:
    """What painters draw into the boxes of all things, of each class, that scenes show.

    Args:
        paint: draws on black; every painter gets every box, one at a time.
        asked: their boxes count, their classes do not.

    Raises:
        TeachlibError: nothing is shown.
    """
    boxes, kinds = asked.conditions()[asked.present], asked.present.nonzero()[:, 1]
    if not len(boxes):
        raise TeachlibError("the scenes show nothing; expected boxes to paint into")
    real = boxes_of(asked.alphas()[asked.present] >= 0.5)
    count = len(OBJECTS)
    drawn, overlaps = [], []
    for number in range(count):
        on = seen(paint(number, boxes))
        there = on.flatten(1).any(1)
        cells = count * kinds[there] + classes_of(on)[0][there]
        drawn.append(torch.bincount(cells, minlength=count**2).view(count, count).double())
        overlaps.append(overlap(boxes_of(on), real).mean().item())
    return Found(torch.stack(drawn), sum(overlaps) / count)


def added(steps: Iterable[tuple[int, Tensor]]) -> list[Tensor]:
    """What each step has changed: of painters' numbers and the pictures after them, which were black before."""
    pictures = [after for _, after in steps]
    return [pictures[0], *(after - before for before, after in pairwise(pictures))]


def one_of_each(things: Iterable[Tensor]) -> float:
    """Share of pictures whose things, one a painter, (N, 3, 32, 32) each, are one of each class; black is of none."""
    shapes = [seen(thing) for thing in things]
    there = torch.stack([shape.flatten(1).any(1) for shape in shapes], 1)
    drawn = torch.stack([classes_of(shape)[0] for shape in shapes], 1).where(there, -1).sort(1).values
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
        told = model.told(boxes[:, None].expand(-1, len(OBJECTS), -1))
        return generator.add(number, torch.zeros(len(boxes), 3, SIZE, SIZE), told, z)

    return paint


def recognized(model: Assembled, pictures: Tensor, told: Tensor, seed: int = 0) -> float:
    """Bits by which a drawing tells its painter, to the guesser of a model: at most log₂ K.

    Raises:
        TeachlibError: a model that has no guesser.
    """
    if model.guesser is None:
        raise TeachlibError(f"classes={model.recipe.classes}: nobody guesses who has painted; take classes=found")
    loss = AssembledObjective(model).guessed(pictures, told, torch.Generator().manual_seed(seed))
    return math.log2(model.objects) - loss.item() / math.log(2)


def evaluate(model: Assembled, asked: Scenes, *, seed: int = 0) -> dict[str, float]:
    """All measures of a model whose painters may have found the classes, or were told them.

    Args:
        model: to draw by.
        asked: whose boxes each painter gets by itself. Where there are three, they are given to the painters as well to
            paint in turn, in a random order, unless painters were told classes.
        seed: of the noise and of that order.

    Returns:
        ``matched``, ``by painter``, ``by box`` and ``overlap`` of :class:`Found`, and its shares, as "first: circle";
        ``one of each``, the share of pictures that show one thing of each class, and ``unseen``, if every painter
        paints on black; and how well painters are ``recognized``, where they must be.

    Raises:
        TeachlibError: a model without painters, or scenes of which none has three things.
    """
    three = asked[asked.present.all(1)]
    if not len(three):
        raise TeachlibError("no scene has three things; expected more scenes")
    generator, paint = torch.Generator().manual_seed(seed), painters_of(model, seed)
    with evaluating(model), torch.no_grad():
        what = found(paint, asked)
        told = model.told(three.conditions())
        told = shuffled(told, generator) if model.recipe.untold else told
        z, painters = model.noise(len(three), generator), model.painters()
        steps = list(painters.steps(told, z, range(len(OBJECTS))))
        black = torch.zeros_like(steps[0][1])
        alone = [painters.add(number, black, told, z) for number in range(len(OBJECTS))]
        row = {"matched": what.matched, "by painter": what.by_painter, "by box": what.by_box, "overlap": what.overlap}
        row |= {"one of each": one_of_each(added(steps)), "unseen": one_of_each(alone)}
        if model.guesser is not None:
            row["recognized"] = recognized(model, steps[-1][1], told, seed)
    return row | {
        f"{painter}: {kind}": what.shares[i, j].item()
        for i, painter in enumerate(("first", "second", "third"))
        for j, kind in enumerate(OBJECTS)
    }
