"""A model's pictures through :mod:`teachlib.energy.assemble.measures`, with noise that stays while scenes change."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.energy.assemble import roofs
from teachlib.energy.assemble.measures import (
    Dependency,
    Draws,
    boxes_of,
    classes_of,
    dependency,
    disturbed,
    miscounted,
    obedience,
    overlap,
    seen,
    spilled,
)
from teachlib.energy.assemble.networks import Assembler
from teachlib.energy.assemble.objective import Assembled
from teachlib.energy.assemble.shapes import OBJECTS, SIZE, SQUARE, TRIANGLE, Scenes, scenes
from teachlib.errors import require_at_least
from teachlib.modes import evaluating

_BATCH = 500


def pictures_of(model: Assembled, seed: int) -> Draws:
    """A model as something that draws scenes: the noise of the n-th scene is always the same."""

    @torch.no_grad()
    def draw(asked: Scenes) -> Tensor:
        z = model.noise(len(asked), torch.Generator().manual_seed(seed))
        parts = zip(asked.conditions().split(_BATCH), z.split(_BATCH), strict=True)
        return torch.cat([model(conditions, noise) for conditions, noise in parts])

    return draw


def pairs(count: int, seed: int) -> tuple[Scenes, Scenes]:
    """Scenes with a triangle and a square and nothing else, and the same ones, their squares at heights of others.

    So squares stand where squares do stand in real pictures, and leave room above them.
    """
    require_at_least(1, count=count)
    generator = torch.Generator().manual_seed(seed)
    drawn = scenes(6 * count + 100, generator)
    drawn = drawn[drawn.present[:, TRIANGLE] & drawn.present[:, SQUARE]][:count]
    drawn = drawn.showing(torch.tensor([False, True, True]).expand(len(drawn), 3))
    centres = drawn.centres.clone()
    room = drawn.sizes[:, SQUARE] / 2 + 0.5
    centres[:, SQUARE, 1] = centres[:, SQUARE, 1].roll(1).clamp(room, SIZE - room)
    return drawn, Scenes(**{**vars(drawn), "centres": centres})


Pairs = Callable[[int, int], tuple[Scenes, Scenes]]
"""So many scenes from a seed, and the same ones with other squares."""
PAIRS: dict[str, Pairs] = {"shapes": pairs, "roofs": roofs.pairs}


def minds(draw: Draws, *, seed: int, count: int = 400, pairs: Pairs = pairs) -> Dependency:
    """How far the triangle minds the square, over so many scenes."""
    return dependency(draw, *pairs(count, seed))


@torch.no_grad()
def alone(model: Assembled, pictures: Tensor, asked: Scenes, *, seed: int) -> dict[str, float]:
    """Each painter by itself, on real pictures that lack its object: mean overlap and share of the right class.

    Args:
        model: of painters; of a joint one, nothing can be taken alone.
        pictures: real ones, (N, 3, 32, 32) in [0, 1].
        asked: their scenes, whose hidden objects say where one could be put.
        seed: of the noise.
    """
    if not isinstance(model.generator, Assembler):
        return {}
    found: dict[str, float] = {}
    z = model.noise(len(pictures), torch.Generator().manual_seed(seed))
    whole = asked.showing(torch.ones_like(asked.present))
    for number, name in enumerate(OBJECTS):
        lacking = ~asked.present[:, number]
        before, conditions = pictures[lacking], model.told(whole.conditions())[lacking]
        after = model.generator.add(number, before, conditions, z[lacking])
        if len(before):
            found |= _added(asked[lacking], number, after - before, f"{name} alone")
    return found


def laid_over(pictures: Tensor, asked: Scenes) -> dict[str, float]:
    """What :func:`alone` finds of the *real* shapes, laid over the same pictures: its ceiling.

    It is less than one: most shapes come to lie over another object, and where both have one colour nothing changes.

    Args:
        pictures: real ones, (N, 3, 32, 32) in [0, 1].
        asked: their scenes, whose hidden objects are laid over them.
    """
    found: dict[str, float] = {}
    for number, name in enumerate(OBJECTS):
        lacking = ~asked.present[:, number]
        some, before = asked[lacking], pictures[lacking]
        alpha, colour = some.alphas()[:, number, None], some.colours[:, number, :, None, None]
        if len(before):
            found |= _added(some, number, alpha * (colour - before), f"{name} laid over")
    return found


def _added(asked: Scenes, number: int, change: Tensor, title: str) -> dict[str, float]:
    """Mean overlap of what has changed with an object's box, and how often it is named rightly."""
    on = seen(change)
    real = boxes_of(asked.alphas()[:, number] >= 0.5)
    named = (classes_of(on)[0] == number) & on.flatten(1).any(1)
    return {title: overlap(boxes_of(on), real).mean().item(), f"{title}, named": named.double().mean().item()}


def evaluate(model: Assembled, pictures: Tensor, asked: Scenes, *, seed: int = 0) -> dict[str, float]:
    """All measures of a model.

    Args:
        model: to draw by.
        pictures: real ones of the scenes, (N, 3, 32, 32) in [0, 1].
        asked: what to ask for.
        seed: of the noise, and of the scenes that dependency is measured on.
    """
    with evaluating(model):
        row = measured(pictures_of(model, seed), asked, seed=seed, pairs=PAIRS[model.recipe.dataset])
        return row | alone(model, pictures, asked, seed=seed)


def measured(draw: Draws, asked: Scenes, *, seed: int, pairs: Pairs = pairs) -> dict[str, float]:
    """All measures of something that draws scenes: a model, or what real pictures are drawn by."""
    row: dict[str, float] = {}
    for number, (name, found) in enumerate(obedience(draw, asked).items()):
        row |= {name: found.overlap, f"{name} named": found.named}
        row[f"without the {name}"] = disturbed(draw, asked, number)
    minded = minds(draw, seed=seed, pairs=pairs)
    return row | {
        "miscounted": miscounted(draw, asked),
        "spilled": spilled(draw, asked),
        "above": minded.above,
        "above by chance": minded.chance,
        "slope": minded.slope,
        "gap": minded.distance,
    }
