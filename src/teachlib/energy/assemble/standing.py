"""Whether a ground of its own was learned, and whether shapes are put on real grounds and leave the rest alone.

Nothing here is trained. What adds an object is given a picture and what the finished one shall show; real pictures and
planted errors go through the same hands as a model's.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.energy.assemble.grounds import BRIGHTEST, Grounded
from teachlib.energy.assemble.measures import boxes_of, classes_of, clear, distance, overlap, seen
from teachlib.energy.assemble.networks import Assembler, masks
from teachlib.energy.assemble.objective import Assembled
from teachlib.energy.assemble.shapes import OBJECTS
from teachlib.modes import evaluating

Adds = Callable[[int, Tensor, Grounded], Tensor]
"""Pictures (N, 3, 32, 32) with a shape of a number added to those given, of what the finished ones shall show."""

_BEYOND = 0.02  # any ground's brightness; half of what the darkest object is
_SOME = 4  # pixels, that they count as an object


def real(number: int, before: Tensor, asked: Grounded) -> Tensor:
    """What the real pictures show: the first of whatever is measured."""
    return asked.draw()


def none(pictures: Grounded) -> Grounded:
    """The grounds alone."""
    return pictures.showing(torch.zeros_like(pictures.scenes.present))


def peopled(pictures: Tensor) -> float:
    """Share of pictures (N, 3, 32, 32) that show more than a ground: some pixels brighter than any real one."""
    beyond = pictures.amin(1) > BRIGHTEST + _BEYOND
    return (beyond.flatten(1).sum(1) >= _SOME).double().mean().item()


def striped(pictures: Tensor) -> float:
    """How far each picture changes along one direction alone, in the mean: 1 for stripes, about .2 for soft blobs.

    It is the coherence of the structure tensor of the whole picture, (λ₁ - λ₂) / (λ₁ + λ₂) (Bigün & Granlund, 1987).

    Args:
        pictures: (N, C, H, W); one without any change counts as 0.
    """
    x = pictures.double()
    first, second, third, fourth = x[..., :-1, :-1], x[..., :-1, 1:], x[..., 1:, :-1], x[..., 1:, 1:]
    # Of four pixels, at one place, so that grain changes as much along each direction.
    across, down = second - first + fourth - third, third - first + fourth - second
    along, between, below = (each.sum((1, 2, 3)) for each in (across.square(), across * down, down.square()))
    apart = ((along - below).square() + 4 * between.square()).sqrt()
    return (apart / (along + below).clamp_min(1e-12)).mean().item()


def moved_ground(whole: Tensor, alone: Tensor, asked: Grounded) -> float:
    """Mean absolute change of what no box covers, when shapes are added to grounds.

    Args:
        whole: pictures with their shapes, (N, 3, 32, 32).
        alone: the same without any.
        asked: says where boxes are.
    """
    out = F.max_pool2d(masks(asked.scenes.conditions()), 3, 1, 1).amax(1, keepdim=True) == 0
    return (((whole - alone).abs().mean(1, keepdim=True) * out).sum() / out.sum()).item()


def put(add: Adds, asked: Grounded) -> dict[str, float]:
    """Shapes, each put alone on real pictures that lack it and have room for it.

    Returns:
        For each shape the mean overlap of its box with the real one's, and ``… named``, the share that is of the right
        class; ``beside``, the mean absolute change of pixels outside of the box, over all shapes.
    """
    row, changed, outside = {}, torch.zeros(()), torch.zeros(())
    for number, name in enumerate(OBJECTS):
        present = asked.scenes.present.clone()
        present[:, number] = True
        whole = asked.showing(present)
        chosen = clear(whole.scenes, number) & ~asked.scenes.present[:, number]
        if not chosen.any():
            continue
        both = whole.those(chosen)
        before = asked.those(chosen).draw()
        change = add(number, before, both) - before
        on = seen(change)
        boxes = boxes_of(both.scenes.alphas()[:, number] >= 0.5)
        row[name] = overlap(boxes_of(on), boxes).mean().item()
        row[f"{name} named"] = ((classes_of(on)[0] == number) & on.flatten(1).any(1)).double().mean().item()
        out = F.max_pool2d(masks(both.scenes.conditions())[:, number : number + 1], 3, 1, 1) == 0
        changed, outside = changed + (change.abs().mean(1, keepdim=True) * out).sum(), outside + out.sum()
    return row | {"beside": (changed / outside).item()} if row else row


def painters_of(model: Assembled, seed: int) -> Adds:
    """A model's painters of shapes, the noise of whose n-th picture is always the same.

    Raises:
        TeachlibError: a model that has none.
    """
    generator = model.painters()

    @torch.no_grad()
    def add(number: int, before: Tensor, asked: Grounded) -> Tensor:
        z = model.noise(len(asked), torch.Generator().manual_seed(seed))
        return generator.add(1 + number, before, model.told(asked.conditions()), z)

    return add


def evaluate(model: Assembled, asked: Grounded, *, seed: int = 0) -> dict[str, float]:
    """All measures of a model; of a joint one, which has no painter of shapes alone, those of whole pictures.

    Args:
        model: to draw by.
        asked: what to ask for.
        seed: of the noise.

    Returns:
        ``distance`` of whole pictures to the real ones, ``ground`` of grounds, asked for without any shape, to the real
        grounds; ``peopled`` and ``striped``, see there, of these, and their mean ``contrast``, a deviation over pixels;
        ``moved``, how much of them changes where shapes come and no box is; and what :func:`put` returns.
    """
    with evaluating(model), torch.no_grad():
        z = model.noise(len(asked), torch.Generator().manual_seed(seed))
        alone = model(none(asked).conditions(), z)
        whole = model(asked.conditions(), z)
        row = {
            "distance": distance(whole, asked.draw()),
            "ground": distance(alone, asked.grounds),
            "peopled": peopled(alone),
            "striped": striped(alone),
            "contrast": alone.std((2, 3)).mean().item(),
            "moved": moved_ground(whole, alone, asked),
        }
        if isinstance(model.generator, Assembler):
            row |= put(painters_of(model, seed), asked)
    return row
