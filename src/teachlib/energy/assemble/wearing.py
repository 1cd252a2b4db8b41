"""Whether glasses are put on faces, and faces behind glasses, as was asked.

Nothing here is trained. What adds an object is given a picture and what the finished one shall show; real pictures and
planted errors go through the same hands as a model's.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.distances import distances
from teachlib.energy.assemble.measures import boxes_of, distance, overlap, seen
from teachlib.energy.assemble.networks import Assembler, masks
from teachlib.energy.assemble.objective import Assembled
from teachlib.energy.assemble.shapes import SIZE
from teachlib.energy.assemble.worn import FACE, GLASSES, Worn
from teachlib.errors import TeachlibError
from teachlib.metrics import untrained
from teachlib.modes import evaluating

Adds = Callable[[int, Tensor, Worn], Tensor]
"""Pictures (N, 3, 32, 32) with the object of a number added to those given, of what the finished ones shall show."""

_RIM = 0.9  # of a pixel that is the rim's alone
_MOVES = 3  # pixels, at most


def real(number: int, before: Tensor, asked: Worn) -> Tensor:
    """What the real pictures show: the first of whatever is measured."""
    return asked.draw()


def centres_of(on: Tensor) -> Tensor:
    """x and y of the middle of pixels (N, 32, 32) that are on, (N, 2); of none, of the picture."""
    boxes = boxes_of(on)
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    return torch.where(on.flatten(1).any(1, keepdim=True), middle, torch.tensor(SIZE / 2))


def alone(add: Adds, asked: Worn, number: int) -> float:
    """Mean overlap of the box of an object on black with the one that was asked for."""
    black = torch.zeros(len(asked), 3, SIZE, SIZE)
    on = seen(add(number, black, asked.showing(number)))
    return overlap(boxes_of(on), asked.boxes()[:, number]).mean().item()


def put_on(add: Adds, asked: Worn) -> dict[str, float]:
    """Glasses, put on real faces.

    Returns:
        ``put on``, the mean overlap of their box with the real ones'; ``off``, the mean distance of its middle from the
        real ones', in pixels, and ``off by chance``, from another picture's; ``beside``, the mean absolute change of
        pixels outside of the real box; ``recognized``, the share of heads with glasses that are nearer to their own
        bare face than to any other's, in features of a network that was never trained.
    """
    before, both = asked.showing(FACE).draw(), asked.showing(FACE, GLASSES)
    after = add(GLASSES, before, both)
    change = after - before
    on, boxes = seen(change), asked.boxes()[:, GLASSES]
    away = centres_of(on)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    nearest = distances(*map(untrained((3, SIZE, SIZE)).features, (after, before))).argmin(1)
    outside = F.max_pool2d(masks(both.conditions())[:, GLASSES : GLASSES + 1], 3, 1, 1) == 0
    return {
        "put on": overlap(boxes_of(on), boxes).mean().item(),
        "off": (away - middles).norm(dim=1).mean().item(),
        "off by chance": (away - middles.roll(1, 0)).norm(dim=1).mean().item(),
        "beside": ((change.abs().mean(1, keepdim=True) * outside).sum() / outside.sum()).item(),
        "recognized": (nearest == torch.arange(len(asked))).float().mean().item(),
    }


def behind(add: Adds, asked: Worn) -> dict[str, float]:
    """Faces, put behind real glasses.

    Returns:
        ``behind``, the mean overlap of the face's box with the real one's; ``rims``, how much rims change, over how
        much they would if the real face were painted over them: 0 for a face behind glasses, 1 for one before them.
    """
    before, both = asked.showing(GLASSES).draw(), asked.showing(FACE, GLASSES)
    after = add(FACE, before, both)
    rims = asked.alphas()[:, GLASSES, None] >= _RIM
    changed, covered = (
        ((some - before).abs().mean(1, keepdim=True) * rims).sum() for some in (after, asked.over(before, FACE))
    )
    on = seen((after - before) * ~rims)
    return {
        "behind": overlap(boxes_of(on), asked.boxes()[:, FACE]).mean().item(),
        "rims": (changed / covered.clamp_min(1e-12)).item(),
    }


def shifted(pictures: Tensor, by: Tensor) -> Tensor:
    """Pictures (N, 3, 32, 32), each moved by its own x and y in whole pixels, (N, 2); black comes in."""
    ticks = torch.arange(SIZE)
    x, y = ((ticks - by[:, axis : axis + 1]) for axis in (0, 1))
    inside = ((x >= 0) & (x < SIZE))[:, None, :] & ((y >= 0) & (y < SIZE))[:, :, None]
    rows = torch.arange(len(pictures))[:, None, None]
    moved = pictures[rows, :, y.clamp(0, SIZE - 1)[:, :, None], x.clamp(0, SIZE - 1)[:, None, :]]
    return moved.movedim(3, 1) * inside[:, None]


def follows(add: Adds, asked: Worn, *, seed: int) -> float:
    """Slope of where glasses are put on where the face is, when the face alone is moved: 1 for glasses that follow it.

    Raises:
        TeachlibError: fewer than two pictures.
    """
    if len(asked) < 2:
        raise TeachlibError(f"{len(asked)} pictures; a slope needs two at least")
    generator = torch.Generator().manual_seed(seed)
    by = torch.randint(-_MOVES, _MOVES + 1, (len(asked), 2), generator=generator)
    faces, both = asked.showing(FACE).draw(), asked.showing(FACE, GLASSES)
    places = [centres_of(seen(add(GLASSES, some, both) - some)) for some in (faces, shifted(faces, by))]
    moved, asked_for = (places[1] - places[0]).flatten(), by.float().flatten()
    apart = asked_for - asked_for.mean()
    return ((moved * apart).sum() / apart.square().sum()).item()


def measured(add: Adds, asked: Worn, *, seed: int) -> dict[str, float]:
    """All measures of something that adds objects: a model's painters, or the real pictures themselves."""
    row = {name: alone(add, asked, number) for number, name in ((FACE, "face"), (GLASSES, "glasses"))}
    return row | put_on(add, asked) | behind(add, asked) | {"follows": follows(add, asked, seed=seed)}


def painters_of(model: Assembled, seed: int) -> Adds:
    """A model's painters, the noise of whose n-th picture is always the same.

    Raises:
        TeachlibError: a model that has none.
    """
    generator = model.painters()

    @torch.no_grad()
    def add(number: int, before: Tensor, asked: Worn) -> Tensor:
        z = model.noise(len(asked), torch.Generator().manual_seed(seed))
        return generator.add(number, before, model.told(asked.conditions()), z)

    return add


def evaluate(model: Assembled, asked: Worn, *, seed: int = 0) -> dict[str, float]:
    """All measures of a model; of a joint one, which has no painters, the distances alone.

    Args:
        model: to draw by.
        asked: what to ask for.
        seed: of the noise.
    """
    with evaluating(model), torch.no_grad():
        z = model.noise(len(asked), torch.Generator().manual_seed(seed))
        told = asked.conditions()
        row = {"distance": distance(model(told, z), asked.draw())}
        if isinstance(model.generator, Assembler):
            row["distance, glasses first"] = distance(model(told, z, (GLASSES, FACE)), asked.draw())
            row |= measured(painters_of(model, seed), asked, seed=seed)
    return row
