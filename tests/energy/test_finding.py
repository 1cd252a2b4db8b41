"""Boxes without classes: nothing tells painters what is in them, and what they find is measured by planted painters."""

import math
from functools import cache

import pytest
import torch

from teachlib.energy.assemble import Assembled, AssembledObjective, finding, load, masks, recipe
from teachlib.energy.assemble.networks import CROP, Guesser, crops
from teachlib.energy.assemble.objective import shuffled
from teachlib.energy.assemble.shapes import OBJECTS, SIZE, Shapes
from teachlib.errors import TeachlibError


@cache
def held() -> Shapes:
    return load("test", 400)


def _painting(*classes: int):
    """Painters on black, each of solid shapes of one class; -1: of another class in every box."""

    def paint(number: int, boxes: torch.Tensor) -> torch.Tensor:
        x = (torch.arange(SIZE) + 0.5 - (boxes[:, 1:2] + boxes[:, 3:4]) / 2) / ((boxes[:, 3:4] - boxes[:, 1:2]) / 2)
        y = (torch.arange(SIZE) + 0.5 - (boxes[:, 2:3] + boxes[:, 4:5]) / 2) / ((boxes[:, 4:5] - boxes[:, 2:3]) / 2)
        across, down = x[:, None, :], y[:, :, None]
        square = (across.abs() < 1) & (down.abs() < 1)
        solids = torch.stack([across.square() + down.square() < 1, square & (2 * across.abs() < 1 + down), square], 1)
        kind = torch.arange(len(boxes)) % 3 if classes[number] < 0 else torch.full((len(boxes),), classes[number])
        return solids[torch.arange(len(boxes)), kind][:, None].float().expand(-1, 3, -1, -1)

    return paint


def test_painters_of_one_class_each_are_told_from_painters_of_everything() -> None:
    own = finding.found(_painting(2, 0, 1), held().scenes)
    assert own.matched > 0.99
    assert own.by_painter == pytest.approx(math.log2(3), abs=0.05)
    assert own.overlap > 0.9
    alike = finding.found(_painting(-1, -1, -1), held().scenes)
    assert alike.matched == pytest.approx(1 / 3, abs=0.02)
    assert alike.by_painter == pytest.approx(0, abs=0.01)
    one = finding.found(_painting(2, 2, 2), held().scenes)
    assert one.matched == pytest.approx(1 / 3, abs=0.02)
    two = finding.found(_painting(2, 2, 0), held().scenes)  # by hand: log 3 - 2/3 log 2
    assert two.by_painter == pytest.approx(math.log2(3) - 2 / 3, abs=0.05)
    with pytest.raises(TeachlibError, match="show nothing"):
        finding.found(_painting(2, 0, 1), held().scenes.showing(torch.zeros(400, 3, dtype=torch.bool)))


def _by_the_box(number: int, boxes: torch.Tensor) -> torch.Tensor:
    """Painters who all draw squares into square boxes and triangles into others."""
    uneven = (boxes[:, 3] - boxes[:, 1] - (boxes[:, 4] - boxes[:, 2])).abs() > 0.5
    kinds = (_painting(kind, kind, kind)(0, boxes) for kind in (2, 1))
    squares, triangles = kinds
    return torch.where(uneven[:, None, None, None], triangles, squares)


def test_boxes_that_give_their_class_away_are_told_from_painters_that_divide_the_work() -> None:
    scenes = held().scenes
    read = finding.found(_by_the_box, scenes)
    assert read.by_painter == pytest.approx(0, abs=1e-9)
    # Squares go into all boxes but those of most triangles: by hand, from how many of each there are.
    sides = scenes.boxes()[..., 2:] - scenes.boxes()[..., :2]
    uneven = ((sides[..., 0] - sides[..., 1]).abs() > 0.5)[scenes.present]
    kinds = scenes.present.nonzero()[:, 1]
    assert not uneven[kinds != 1].any()
    table = torch.stack([torch.bincount(kinds[uneven == way], minlength=3) for way in (False, True)]).double()
    assert read.by_box == pytest.approx(finding.bits(table), abs=0.02)
    assert read.by_box > 0.4
    assert finding.found(_painting(2, 0, 1), scenes).by_box == pytest.approx(0, abs=0.02)
    joint = torch.tensor([[0.5, 0.0], [0.25, 0.25]])  # by hand: H(3/4, 1/4) - 1/2
    assert finding.bits(joint) == pytest.approx(0.8113 - 0.5, abs=1e-4)


def _in_turn(asked, alphas):
    """Pictures as their things are laid over each other, white over grey over dark."""
    picture = torch.zeros(len(asked), 3, SIZE, SIZE)
    for number in range(3):
        alpha = alphas[:, number, None]
        picture = alpha * (0.4 + 0.3 * number) + (1 - alpha) * picture
        yield number, picture


def test_real_pictures_show_one_of_each_and_three_alike_do_not() -> None:
    three = held().scenes[held().scenes.present.all(1)]
    # What lies over another thing changes it less than it changes black, so that a part of it may not be seen.
    assert finding.one_of_each(finding.added(_in_turn(three, three.alphas()))) > 0.95
    assert finding.one_of_each(finding.added(_in_turn(three, three.alphas().roll(1, 1)))) > 0.95  # whoever draws which
    assert (
        finding.one_of_each(finding.added(_in_turn(three, (masks(three.conditions()) > 0.5).float()))) == 0
    )  # squares
    assert finding.one_of_each(finding.added(_in_turn(three, three.alphas()[:, [0, 1, 1]]))) == 0
    nothing = three.alphas() * torch.tensor([0.0, 1.0, 1.0])[:, None, None]  # no circle is no circle
    assert finding.one_of_each(finding.added(_in_turn(three, nothing))) == 0
    model = Assembled(recipe("assemble", scale="ci")).eval()
    with pytest.raises(TeachlibError, match="no scene has three things"):
        finding.evaluate(model, held().scenes[~held().scenes.present.all(1)])


def test_boxes_come_in_any_order_and_stay_with_their_picture() -> None:
    generator = torch.Generator().manual_seed(0)
    conditions = held()[:][1]
    mixed = shuffled(conditions, generator)
    assert torch.allclose(mixed.sum(1), conditions.sum(1), atol=1e-4)
    kept = (mixed == conditions).all(2).float().mean().item()
    distinct = conditions[..., 0].bool().all(1)
    assert (mixed == conditions)[distinct].all(2).float().mean().item() == pytest.approx(1 / 3, abs=0.08)
    assert kept < 0.7
    shown = conditions[:300].clone()
    shown[:] = torch.arange(3.0)[:, None]
    firsts = shuffled(shown, generator)[:, 0, 0]
    assert torch.bincount(firsts.long(), minlength=3).min() > 70  # each painter gets each class's box


def test_crops_show_form_and_neither_place_size_nor_colour() -> None:
    picture = torch.zeros(2, 3, SIZE, SIZE)
    picture[0, 0, 4:12, 6:10] = 0.5
    picture[1, 2, 16:32, 20:28] = 0.9
    boxes = torch.tensor([[[1.0, 6, 4, 14, 12]], [[1.0, 20, 16, 36, 32]]])
    seen = crops(picture, boxes)
    assert seen.shape == (2, 1, CROP, CROP)
    assert torch.allclose(seen[0, 0, 1:-1, 1:6], torch.ones(14, 5), atol=1e-5)
    assert torch.allclose(seen[0, 0, 1:-1, 10:], torch.zeros(14, 6), atol=1e-5)
    assert torch.allclose(seen[0, 0, 2:-2, 2:6], seen[1, 0, 2:-2, 2:6], atol=1e-5)
    exact = crops(held()[:1][0], torch.tensor([[[1.0, 8, 8, 24, 24]]]))[0, 0]
    square = held()[:1][0].amax(1)[0, 8:24, 8:24]
    assert torch.allclose(exact, square / square.max().clamp_min(0.1), atol=1e-5)
    assert Guesser(3)(seen).shape == (2, 3)
    wide = torch.zeros(1, 3, SIZE, SIZE)
    wide[0, :, 10:14, 4:12] = 1.0  # the left half of a box that is wider than it is high
    seen = crops(wide, torch.tensor([[[1.0, 4, 10, 20, 14]]]))[0, 0]
    assert seen[4:12, 1:7].min() > 0.99
    assert seen[:, 9:].max() < 0.01


def test_painters_descend_what_the_guesser_does() -> None:
    torch.manual_seed(0)
    model = Assembled(recipe("assemble", scale="ci", classes="found"))
    plain = Assembled(recipe("assemble", scale="ci", classes="untold"))
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("guesser")})
    batch = held()[:16]
    ours, theirs = (
        dict(AssembledObjective(some).updates(batch, torch.Generator().manual_seed(0), 1)) for some in (model, plain)
    )
    assert theirs.keys() == {"discriminator", "generator"}
    extra = ours["generator"] - theirs["generator"]  # the same, through other grain
    assert extra.item() == pytest.approx(ours["guesser"].item(), abs=0.1)
    assert ours["guesser"].item() == pytest.approx(math.log(3), abs=0.2)
    empty = (batch[0], torch.zeros_like(batch[1]))
    losses = dict(AssembledObjective(model).updates(empty, torch.Generator().manual_seed(0), 1))
    assert losses["guesser"].item() == 0


def test_a_discriminator_is_not_told_either() -> None:
    """Of two painters' boxes exchanged, the losses' distribution is the same: boxes are mixed before anybody looks."""
    torch.manual_seed(0)
    game = AssembledObjective(Assembled(recipe("assemble", scale="ci", classes="untold")))
    seen = []
    game.nets["discriminator"].register_forward_pre_hook(lambda _, given: seen.append(given[1]))
    batch = held()[:64]
    list(game.updates(batch, torch.Generator().manual_seed(0), 1))
    assert not torch.equal(seen[0], batch[1])
    assert torch.allclose(seen[0].sum(1), batch[1].sum(1), atol=1e-4)
    assert torch.equal(seen[0], seen[1])


def test_every_measure_of_a_model() -> None:
    torch.manual_seed(0)
    found = finding.evaluate(Assembled(recipe("assemble", scale="ci", classes="found")).eval(), held().scenes)
    names = {f"{painter}: {kind}" for painter in ("first", "second", "third") for kind in OBJECTS}
    measures = {"matched", "by painter", "by box", "overlap", "one of each", "unseen", "recognized"}
    assert found.keys() == measures | names
    assert abs(found["recognized"]) < 0.3  # bits: nobody has learned anything
    assert sum(found[name] for name in names) == pytest.approx(3)
    blind = Assembled(recipe("assemble", scale="ci", classes="untold")).eval()
    assert finding.evaluate(blind, held().scenes).keys() == (measures | names) - {"recognized"}
    with pytest.raises(TeachlibError, match="nobody guesses"):
        finding.recognized(blind, held()[:4][0], held()[:4][1])
    for classes, same in (("told", True), ("untold", False)):
        model, given = Assembled(recipe("assemble", scale="ci", classes=classes)).eval(), []
        usual = model.generator.steps
        model.generator.steps = lambda told, *how, given=given, usual=usual: given.append(told) or usual(told, *how)
        finding.evaluate(model, held().scenes)
        assert torch.equal(given[0], held().scenes[held().scenes.present.all(1)].conditions()) == same
    joint = Assembled(recipe("assemble-joint", scale="ci")).eval()
    with pytest.raises(TeachlibError, match="has no painter of its own"):
        finding.painters_of(joint, 0)
