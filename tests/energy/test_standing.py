"""Shapes on grounds: the set is what it says, real pictures pass every measure, planted errors fail theirs."""

from functools import cache

import pytest
import torch
import torch.nn.functional as F

from teachlib.energy.assemble import Assembled, grounds, recipe, standing
from teachlib.energy.assemble.grounds import BRIGHTEST, Grounded
from teachlib.energy.assemble.measures import distance
from teachlib.energy.assemble.shapes import OBJECTS, SIZE
from teachlib.errors import TeachlibError


@cache
def held() -> Grounded:
    return grounds.load("test", 400)


def test_of_every_pixel_it_is_known_whether_it_shows_a_ground() -> None:
    assert held().grounds.max() <= BRIGHTEST
    assert held().grounds.flatten(1).std(1).min() > 1e-3  # stripes, not one colour
    covered = (held().scenes.alphas() * held().scenes.present[..., None, None]).amax(1)
    pictures = held().draw()
    none, full = ((covered == share)[:, None].expand_as(pictures) for share in (0, 1))
    assert torch.equal(pictures[none], held().grounds[none])
    assert pictures[full].min() > BRIGHTEST
    images, conditions = held()[:10]
    assert torch.allclose(images, pictures[:10], atol=0.5 / 255 + 1e-6)
    assert conditions[:, 0].unique(dim=0).tolist() == [[1, 0, 0, SIZE, SIZE]]
    assert torch.equal(conditions[:, 1:], held().scenes.conditions()[:10])
    assert grounds.load("test", 10).sha256 == held().those(slice(10)).sha256
    with pytest.raises(TeachlibError, match="unknown split of grounds"):
        grounds.load("tests")


def test_real_pictures_pass_every_measure() -> None:
    found = standing.put(standing.real, held())
    assert min(found[name] for name in OBJECTS) > 0.98
    assert min(found[f"{name} named"] for name in OBJECTS) > 0.99
    assert found["beside"] == 0
    assert standing.peopled(held().grounds) == 0
    assert standing.peopled(held().those(held().scenes.present.any(1)).draw()) > 0.99
    assert standing.peopled(standing.none(held()).draw()) == 0
    half = distance(held().grounds[:200], held().grounds[200:])
    assert distance(held().draw(), held().grounds) > 5 * half
    assert distance(torch.zeros(400, 3, SIZE, SIZE), held().grounds) > 5 * half


def test_planted_errors_fail_the_measure_that_is_theirs() -> None:
    def moved(number: int, before: torch.Tensor, asked: Grounded) -> torch.Tensor:
        return before + (asked.draw() - before).roll(3, 2)

    def brightening(number: int, before: torch.Tensor, asked: Grounded) -> torch.Tensor:
        return (asked.draw() + 0.05).clamp(max=1)

    def nothing(number: int, before: torch.Tensor, asked: Grounded) -> torch.Tensor:
        return before

    assert max(standing.put(moved, held())[name] for name in OBJECTS) < 0.8
    assert standing.put(brightening, held())["beside"] == pytest.approx(0.05, abs=0.005)
    assert max(standing.put(nothing, held())[f"{name}{own}"] for name in OBJECTS for own in ("", " named")) == 0


def test_the_ground_comes_first_and_its_painter_is_measured_by_itself() -> None:
    torch.manual_seed(0)
    model = Assembled(recipe("assemble", "grounds", scale="ci")).eval()
    generator = torch.Generator().manual_seed(0)
    orders = {tuple(model.order(generator)) for _ in range(80)}
    assert len(orders) == 6
    assert {order[0] for order in orders} == {0}
    hidden = Assembled(recipe("assemble", "grounds", scale="ci", hides="triangle"))
    assert {(order[0], order[-1]) for order in (hidden.order(generator) for _ in range(20))} == {(0, 2)}
    found = standing.evaluate(model, held().those(slice(60)))
    some = held().those(slice(20))
    lower = some.conditions()
    lower[:, 2, 2] += 1  # the hidden triangle's top
    usual, seen = hidden.eval().generator.add, []
    hidden.generator.add = lambda number, before, told, z: seen.append(told) or usual(number, before, told, z)
    standing.painters_of(hidden, 0)(1, some.draw(), some)
    assert torch.equal(seen[0], hidden.told(lower))
    whole = {"distance", "ground", "peopled", "striped", "contrast", "moved"}
    assert whole | {"beside", "square named"} <= found.keys()
    joint = Assembled(recipe("assemble-joint", "grounds", scale="ci")).eval()
    assert standing.evaluate(joint, held().those(slice(60))).keys() == whole


def test_stripes_are_told_from_blobs() -> None:
    real = held().grounds
    assert standing.striped(real) > 0.99
    coarse = torch.rand(400, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert standing.striped(F.interpolate(coarse, size=SIZE, mode="bicubic")) < 0.4
    assert standing.striped(real.flatten(2)[..., torch.randperm(SIZE**2)].view_as(real)) < 0.2
    assert standing.striped(torch.zeros(2, 3, SIZE, SIZE)) == 0
    ramp = torch.arange(SIZE).float().expand(1, 1, SIZE, SIZE)
    assert standing.striped(ramp) == pytest.approx(1)
    assert standing.striped(ramp + 2 * ramp.mT) == pytest.approx(1)  # another direction
    # By hand: two pictures in two channels, of which one changes twice as much: (4 - 1) / (4 + 1).
    assert standing.striped(torch.cat([2 * ramp, ramp.mT], 1)) == pytest.approx(0.6)


def test_what_moves_of_a_ground_is_measured_where_no_box_is() -> None:
    asked = held().those(slice(100))
    whole, alone = asked.draw(), asked.grounds
    assert standing.moved_ground(whole, alone, asked) == 0
    assert standing.moved_ground(whole + 0.03, alone, asked) == pytest.approx(0.03, abs=1e-6)
