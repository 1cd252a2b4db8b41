"""Triangles that stand on squares: the set, and whether what minds the square can be told from what does not."""

import math

import pytest
import torch

from teachlib.energy.assemble import Scenes, dependency, evaluate, from_zoo, minds, recipe, roofs
from teachlib.energy.assemble.objective import Assembled
from teachlib.energy.assemble.shapes import CIRCLE, OBJECTS, SQUARE, TRIANGLE
from teachlib.errors import TeachlibError

HELD = roofs.load("test", 600)
BOTH = HELD.scenes.present[:, TRIANGLE] & HELD.scenes.present[:, SQUARE]


def test_triangles_stand_upright_on_the_middle_of_their_squares() -> None:
    some = HELD.scenes[BOTH]
    boxes = some.boxes()
    assert len(some) > 200
    assert torch.allclose(boxes[:, TRIANGLE, 3], boxes[:, SQUARE, 1], atol=1e-4)
    middle = (boxes[..., 0] + boxes[..., 2]) / 2
    assert torch.allclose(middle[:, TRIANGLE], middle[:, SQUARE], atol=1e-4)
    corners = HELD.scenes.corners()
    assert torch.allclose(corners[:, 1, 1], corners[:, 2, 1], atol=1e-4)
    assert (corners[:, 0, 1] < corners[:, 1, 1]).all()


def test_everything_is_in_the_picture_and_circles_touch_nothing() -> None:
    boxes, present = HELD.scenes.boxes(), HELD.scenes.present
    assert boxes[present].min() >= 0
    assert boxes[present].max() <= 32
    for other in (TRIANGLE, SQUARE):
        both = present[:, CIRCLE] & present[:, other]
        assert both.any()
        left, right = boxes[both][:, CIRCLE], boxes[both][:, other]
        apart = (left[:, :2] >= right[:, 2:]) | (right[:, :2] >= left[:, 2:])
        assert apart.any(1).all()


def test_the_set_is_the_same_at_every_call_and_splits_differ() -> None:
    assert torch.equal(roofs.load("test", 20).images, HELD.images[:20])
    assert not torch.equal(roofs.load("validation", 20).images, HELD.images[:20])
    with pytest.raises(TeachlibError, match="unknown split of roofs"):
        roofs.load("trian")


def test_only_triangles_that_are_moved_along_mind_their_squares() -> None:
    still = minds(Scenes.draw, seed=0, pairs=roofs.pairs)
    along = minds(lambda asked: roofs.raised(asked).draw(), seed=0, pairs=roofs.pairs)
    assert along.slope == pytest.approx(1, abs=0.02)
    assert still.slope == pytest.approx(0, abs=0.05)
    assert along.distance == still.distance == 0

    def at_the_top(asked: Scenes) -> torch.Tensor:
        centres = asked.centres.clone()
        centres[:, TRIANGLE, 1] = asked.sizes[:, TRIANGLE] / 2
        return Scenes(**{**vars(asked), "centres": centres}).draw()

    top = minds(at_the_top, seed=0, pairs=roofs.pairs)
    assert top.above > 0.95
    assert top.slope == pytest.approx(0, abs=0.05)
    assert top.distance > 0.5


def test_the_shipped_painters_have_learned_it() -> None:
    few = HELD.scenes[:200]
    row = evaluate(from_zoo("assemble", "roofs"), few.draw(), few, seed=0)
    assert 0.85 < row["slope"] < 1.1
    assert row["gap"] < 0.15


def test_squares_are_moved_where_there_is_room_for_a_triangle() -> None:
    drawn, moved = roofs.pairs(300, 3)
    assert len(drawn) == 300
    assert torch.equal(drawn.centres[:, [CIRCLE, TRIANGLE]], moved.centres[:, [CIRCLE, TRIANGLE]])
    assert (moved.centres[:, SQUARE, 1] - drawn.centres[:, SQUARE, 1]).abs().mean() > 2
    boxes = roofs.raised(moved).boxes()[:, 1:]
    assert boxes.min() >= 0
    assert boxes.max() <= 32
    assert drawn.present.float().mean(0).tolist() == [0, 1, 1]
    assert dependency(Scenes.draw, drawn, moved).above == 1


def test_a_painter_is_told_how_wide_its_triangle_is_and_not_how_high_it_stands() -> None:
    torch.manual_seed(0)
    model = Assembled(recipe("assemble", "roofs", scale="ci", hides="triangle"))
    told = model.told(HELD.conditions[BOTH])
    assert (told[:, TRIANGLE, 2] == 0).all()
    assert (told[:, TRIANGLE, 4] == 32).all()
    assert torch.equal(told[:, TRIANGLE, [0, 1, 3]], HELD.conditions[BOTH][:, TRIANGLE, [0, 1, 3]])
    assert torch.equal(told[:, SQUARE], HELD.conditions[BOTH][:, SQUARE])
    assert len(OBJECTS) == told.shape[1]
    assert math.isclose(HELD.scenes.present[:, TRIANGLE].float().mean(), 0.7, abs_tol=0.06)
