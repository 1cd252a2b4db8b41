"""Assembled pictures: real ones pass every measure, planted errors fail theirs, and painters do as they are told."""

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from teachlib.energy import assemble
from teachlib.energy.assemble import (
    OBJECTS,
    Assembled,
    AssembledObjective,
    Scenes,
    boxes_of,
    classes_of,
    dependency,
    load,
    masks,
    obedience,
    overlap,
    pairs,
    recipe,
    scenes,
)
from teachlib.energy.assemble.measures import disturbed, largest_difference, miscounted, seen, spilled
from teachlib.energy.assemble.networks import Assembler, told
from teachlib.energy.assemble.shapes import CIRCLE, SIZE, SQUARE, TRIANGLE, Shapes, depends
from teachlib.errors import TeachlibError


@cache
def held() -> Shapes:
    return load("test", 400)


def _model(name="assemble", **options):
    torch.manual_seed(0)
    return Assembled(recipe(name, scale="ci", **options)).eval()


# ------------------------------------------------------------------------------------------------------- scenes


def test_the_set_has_what_the_thesis_asks_of_it() -> None:
    drawn = held().scenes
    both = drawn.present[:, TRIANGLE] & drawn.present[:, SQUARE]
    assert depends(drawn)[both].all()
    free = scenes(2000, torch.Generator().manual_seed(0), dependent=False)
    both = free.present[:, TRIANGLE] & free.present[:, SQUARE]
    assert 0.3 < depends(free)[both].float().mean() < 0.6
    assert drawn.present.float().mean().item() == pytest.approx(0.7, abs=0.06)
    assert (drawn.present.sum(1) == 0).any()
    images, conditions = held()[:10]
    assert images.shape == (10, 3, SIZE, SIZE)
    assert conditions.shape == (10, 3, 5)
    assert torch.equal(load("test", 10).images, held().images[:10])
    with pytest.raises(TeachlibError, match="unknown split of shapes"):
        load("tests")


def test_objects_fill_their_boxes_and_nothing_else() -> None:
    alphas, boxes = held().scenes.alphas(), held().scenes.boxes()
    covered = alphas.sum((2, 3))
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    share = (covered / area).mean(0)
    assert share[CIRCLE].item() == pytest.approx(torch.pi / 4, abs=0.01)
    assert share[SQUARE].item() == pytest.approx(1, abs=0.01)
    whole = held().scenes.showing(torch.ones_like(held().scenes.present))
    assert ((alphas > 0.5) & (masks(whole.conditions()) == 0)).sum() == 0
    edges = (held().scenes.corners() - held().scenes.corners().roll(1, 1)).norm(dim=2)
    heights = held().scenes.sizes[:, TRIANGLE] * 0.75
    assert torch.allclose(edges.mean(1) * heights / 2, covered[:, TRIANGLE], rtol=0.06)


def test_masks_and_places_of_a_box() -> None:
    condition = torch.tensor([[[1.0, 4.0, 8.0, 12.0, 24.5]]])
    (mask, across, down) = told(condition)[0]
    assert mask.sum().item() == pytest.approx(8 * 16.5)
    assert across[10, 4].item() == pytest.approx(-7 / 8)
    assert across[10, 11].item() == pytest.approx(7 / 8)
    assert down[8, 5] < -0.87 < 0.87 < down[23, 5]
    assert told(torch.zeros(1, 1, 5)).abs().sum() == 0


# ----------------------------------------------------------------------------------------------------- measures


def test_real_pictures_pass_every_measure() -> None:
    for found in obedience(Scenes.draw, held().scenes).values():
        assert found.overlap > 0.99
        assert found.named > 0.99
        assert found.count > 30
    assert miscounted(Scenes.draw, held().scenes) < 0.01
    assert spilled(Scenes.draw, held().scenes) == 0
    assert disturbed(Scenes.draw, held().scenes, SQUARE) == 0
    drawn, moved = pairs(400, 0)
    minded = dependency(Scenes.draw, drawn, moved)
    assert minded.above > 0.99
    assert minded.distance == 0
    assert 0.2 < minded.real_slope < 0.6
    assert abs(minded.slope) < 0.06  # a triangle that is told its box stays, wherever the square goes


def _of(draw, number):
    return list(obedience(draw, held().scenes).values())[number]


def _shifted(asked):
    return asked.draw().roll((3, 0), (2, 3))


def _discs(asked):
    """Every object as a circle."""
    ticks = torch.arange(SIZE) + 0.5
    pictures = torch.zeros(len(asked), 3, SIZE, SIZE)
    boxes = asked.boxes()
    centres, halves = (boxes[..., :2] + boxes[..., 2:]) / 2, (boxes[..., 2:] - boxes[..., :2]) / 2
    for number in range(len(OBJECTS)):
        across = (ticks - centres[:, number, :1]) / halves[:, number, :1]
        down = (ticks - centres[:, number, 1:]) / halves[:, number, 1:]
        disc = (across[:, None, :].square() + down[:, :, None].square() < 1).float() * asked.present[
            :, number, None, None
        ]
        pictures = torch.where(disc[:, None] > 0, asked.colours[:, number, :, None, None], pictures)
    return pictures


def _spilling(asked):
    grey = asked.present.any(1)[:, None, None, None] * 0.05 * asked.present.sum(1)[:, None, None, None]
    return (asked.draw() + grey).clamp(max=1)


def test_planted_errors_fail_the_measure_that_is_theirs() -> None:
    assert _of(_shifted, SQUARE).overlap < 0.75
    assert _of(_discs, SQUARE).named < 0.05
    assert _of(_discs, TRIANGLE).named < 0.05
    assert _of(_discs, CIRCLE).named > 0.95
    assert spilled(_spilling, held().scenes) > 0.03
    assert disturbed(_spilling, held().scenes, CIRCLE) > 0.02
    nothing = _of(lambda asked: torch.zeros(len(asked), 3, SIZE, SIZE), SQUARE)
    assert nothing.overlap == 0
    assert nothing.named == 0
    assert miscounted(lambda asked: torch.zeros(len(asked), 3, SIZE, SIZE), held().scenes) > 0.8


def test_objects_that_nobody_asks_for_are_left_out() -> None:
    drawn, _ = pairs(40, 3)
    assert set(obedience(Scenes.draw, drawn)) == {"triangle", "square"}
    assert disturbed(Scenes.draw, drawn, CIRCLE) == 0


def _with_tops(asked, tops):
    """Scenes whose triangles stand elsewhere: their tops at these heights."""
    centres = asked.centres.clone()
    centres[:, TRIANGLE, 1] += tops - asked.boxes()[:, TRIANGLE, 1]
    return Scenes(**{**vars(asked), "centres": centres}).draw()


def test_a_triangle_at_the_top_and_one_of_another_picture_are_found_out() -> None:
    drawn, moved = pairs(400, 1)
    real = dependency(Scenes.draw, drawn, moved)
    top = dependency(lambda asked: _with_tops(asked, torch.zeros(len(asked))), drawn, moved)
    assert top.above > 0.95  # the share alone would let it pass
    assert abs(top.slope) < 0.05
    assert top.distance > 0.3
    others = drawn.boxes()[:, TRIANGLE, 1].roll(7)
    shuffled = dependency(lambda asked: _with_tops(asked, others), drawn, moved)
    assert shuffled.above < real.above - 0.03
    assert abs(shuffled.slope) < 0.05
    obeying = dependency(lambda asked: _with_tops(asked, 0.5 * asked.boxes()[:, SQUARE, 1] - 1), drawn, moved)
    assert obeying.above > 0.95
    assert obeying.slope == pytest.approx(0.5, abs=0.06)


@given(
    st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 11)] * 2),
    st.tuples(*[st.integers(0, 20)] * 2, *[st.integers(1, 11)] * 2),
)
def test_overlap_is_that_of_the_pixels(one, other) -> None:
    grids = []
    for x, y, width, height in (one, other):
        grid = torch.zeros(SIZE, SIZE, dtype=torch.bool)
        grid[y : y + height, x : x + width] = True
        grids.append(grid)
    expected = (grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum()
    boxes = boxes_of(torch.stack(grids))
    assert boxes[0].tolist() == [one[0], one[1], one[0] + one[2], one[1] + one[3]]
    assert overlap(boxes[:1], boxes[1:])[0].item() == pytest.approx(expected.item(), abs=1e-5)


def test_empty_pictures_have_no_box_and_no_change() -> None:
    nothing = torch.zeros(2, SIZE, SIZE, dtype=torch.bool)
    assert boxes_of(nothing).abs().sum() == 0
    assert overlap(boxes_of(nothing), boxes_of(nothing)).tolist() == [0, 0]
    picture = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert not seen(picture - picture).any()
    assert classes_of(nothing)[1].tolist() == [0, 0]


def test_the_largest_difference_is_kolmogorov_s() -> None:
    from scipy import stats

    a, b = torch.randn(60, generator=torch.Generator().manual_seed(0)), torch.randn(45) + 0.5
    assert largest_difference(a, b) == pytest.approx(stats.ks_2samp(a.numpy(), b.numpy()).statistic, abs=1e-6)
    assert largest_difference(a, a[:0]) == 1


# ----------------------------------------------------------------------------------------------------- painters


def test_a_painter_that_blends_leaves_what_its_alpha_leaves_and_absent_objects_change_nothing() -> None:
    model = _model()
    images, conditions = held()[:20]
    z = model.noise(20, torch.Generator().manual_seed(0))
    for number in range(3):
        colour, alpha = model.generator.painters[number](
            images, conditions[:, number : number + 1], z[:, number : number + 1]
        )
        after = model.generator.add(number, images, conditions, z)
        there = conditions[:, number, :1, None, None]
        assert torch.allclose(after - images, there * alpha * (colour - images), atol=1e-6)
        assert torch.equal(after[conditions[:, number, 0] == 0], images[conditions[:, number, 0] == 0])
    direct = _model("assemble-direct")
    after = direct.generator.add(0, images, conditions, z)
    assert torch.equal(after[conditions[:, 0, 0] == 0], images[conditions[:, 0, 0] == 0])


def test_the_order_is_that_in_which_painters_see_each_other() -> None:
    model = _model()
    conditions = held().scenes.showing(torch.ones(len(held()), 3, dtype=torch.bool)).conditions()[:8]
    z = model.noise(8, torch.Generator().manual_seed(0))
    first = [number for number, _ in model.generator.steps(conditions, z, (2, 0, 1))]
    assert first == [2, 0, 1]
    assert not torch.equal(model(conditions, z, (0, 1, 2)), model(conditions, z, (2, 1, 0)))


def test_a_hidden_height_is_not_told_to_anybody() -> None:
    model = _model(hides="triangle")
    conditions = held()[:50][1]
    seen = model.told(conditions)
    moved = conditions.clone()
    moved[:, TRIANGLE, 2] += 1
    moved[:, TRIANGLE, 4] += 2
    moved[:, TRIANGLE] *= conditions[:, TRIANGLE, :1]
    assert torch.equal(model.told(moved), seen)
    assert torch.equal(seen[:, [CIRCLE, SQUARE]], conditions[:, [CIRCLE, SQUARE]])
    assert torch.equal(seen[:, TRIANGLE, [0, 1, 3]], conditions[:, TRIANGLE, [0, 1, 3]])
    assert seen[:, TRIANGLE, 4].unique().tolist() == [0.0, SIZE]
    generator = torch.Generator().manual_seed(0)
    assert all(model.order(generator)[-1] == TRIANGLE for _ in range(10))
    assert len({tuple(_model().order(generator)) for _ in range(60)}) == 6


def test_the_rival_has_as_many_parameters() -> None:
    for dataset in ("shapes", "glasses", "grounds"):
        sizes = {
            name: sum(w.numel() for w in Assembled(recipe(name, dataset, scale="laptop")).generator.parameters())
            for name in ("assemble", "assemble-joint", "assemble-direct")
        }
        assert sizes["assemble-joint"] == pytest.approx(sizes["assemble"], rel=0.1)
        assert sizes["assemble-direct"] == sizes["assemble"]


def test_the_judge_is_told_that_another_picture_s_boxes_are_wrong() -> None:
    model = _model()
    game = AssembledObjective(model)
    batch = held()[:16]
    losses = [loss for _, loss in game.updates(batch, torch.Generator().manual_seed(0), 1)]
    without = AssembledObjective(_model())
    object.__setattr__(without.recipe, "mismatch", 0.0)
    fewer = [loss for _, loss in without.updates(batch, torch.Generator().manual_seed(0), 1)]
    logits = model.discriminator(batch[0], batch[1].roll(1, 0))
    expected = 0.5 * torch.nn.functional.softplus(logits).mean()
    assert torch.allclose(losses[0] - fewer[0], expected, atol=1e-5)


def test_r1_fades() -> None:
    chosen = recipe("assemble", scale="laptop")
    assert chosen.gamma_at(0) == chosen.gamma
    assert chosen.gamma_at(chosen.steps // 5) == pytest.approx((chosen.gamma * chosen.last_gamma) ** 0.5)
    assert chosen.gamma_at(chosen.steps) == pytest.approx(chosen.last_gamma)


def test_painters_alone_are_measured_on_pictures_that_lack_their_object() -> None:
    model = _model()
    found = assemble.alone(model, held()[:][0], held().scenes, seed=0)
    assert set(found) == {f"{name} alone{own}" for name in OBJECTS for own in ("", ", named")}
    assert assemble.alone(_model("assemble-joint"), held()[:][0], held().scenes, seed=0) == {}


def test_real_shapes_with_room_around_them_are_the_ceiling_of_painters_alone() -> None:
    pictures, _ = held()[:]
    for number, name in enumerate(OBJECTS):
        wanted = held().scenes.present.clone()
        wanted[:, number] = True
        room = assemble.clear(held().scenes.showing(wanted), number) & ~held().scenes.present[:, number]
        found = assemble.laid_over(pictures[room], held().scenes[room])
        assert found[f"{name} laid over"] > 0.99  # a classifier of areas may still take one for another
    everywhere = assemble.laid_over(pictures, held().scenes)
    assert all(0.7 < share < 1 for share in everywhere.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "assemble", "dataset": "mnist"}, "only those of shapes, roofs, glasses, grounds are"),
        ({"name": "assemble", "hides": "star"}, "unknown object to hide 'star'"),
        ({"name": "assembly"}, "unknown recipe 'assembly'"),
        ({"name": "assemble", "width": 0}, "width"),
        ({"name": "assemble", "classes": "lost"}, "unknown classes 'lost'"),
        ({"name": "assemble-joint", "classes": "found"}, "expected painters of shapes that are told all boxes"),
        ({"name": "assemble", "classes": "untold", "hides": "triangle"}, "expected painters of shapes"),
        ({"name": "assemble", "classes": "untold", "dataset": "grounds"}, "expected painters of shapes"),
        ({"name": "assemble", "dataset": "grounds", "hides": "ground"}, "a ground is everywhere; hide circle"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(options, message) -> None:
    with pytest.raises(TeachlibError, match=message):
        recipe(**options)


def test_an_order_of_objects_that_there_are_not_is_refused() -> None:
    painters = Assembler(width=4, z_dim=2)
    conditions, z = torch.zeros(1, 3, 5), torch.zeros(1, 3, 2)
    with pytest.raises(TeachlibError, match="object 7 in the order; expected 0 … 2"):
        painters(conditions, z, (0, 7))
    assert painters.double()(conditions.double(), z.double()).dtype == torch.float64
