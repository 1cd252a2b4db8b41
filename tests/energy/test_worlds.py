"""The grid: probabilities, plans whose worth is known, and what a model of it loses."""

import pytest
import torch

from teachlib.energy import line, worlds
from teachlib.errors import TeachlibError

ROW = worlds.world("...G", slips=0.0)


def test_every_move_leads_somewhere_and_ends_stay() -> None:
    grid = worlds.world()
    assert torch.allclose(grid.step.sum(2), torch.ones(len(grid), 4))
    assert torch.equal(grid.step[grid.last].argmax(2)[:, 0], grid.last.nonzero()[:, 0])
    assert grid.last.sum() == 3
    near = grid.step[~grid.last].amax(2)
    assert (near > 0.85).all()


def test_a_plan_on_a_row_is_worth_what_can_be_counted() -> None:
    right = worlds.planned(ROW.step, ROW, discount=0.9)
    assert right[:3].tolist() == [1, 1, 1]
    assert worlds.worth(right, ROW, discount=0.9) == pytest.approx((0.81 + 0.9 + 1) / 3)
    assert worlds.worth(torch.full((4,), 3), ROW, discount=0.9) == pytest.approx(0, abs=1e-6)


def test_pits_are_gone_round() -> None:
    grid = worlds.world("...\n.x.\n..G", slips=0.2)
    plan = worlds.planned(grid.step, grid)
    assert worlds.worth(plan, grid) > 0.5
    assert worlds.worth(torch.ones(len(grid), dtype=torch.long), grid) < worlds.worth(plan, grid)


def test_what_was_lived_comes_from_the_world() -> None:
    states, moves, after = ROW.lived(3000, torch.Generator().manual_seed(0))
    assert torch.equal(ROW.step[states, moves].argmax(1), after)
    assert torch.allclose(worlds.counted(ROW, (states, moves, after)), ROW.step)
    one = worlds.counted(ROW, (states[:1], moves[:1], after[:1]))
    assert torch.allclose(one.sum(2), torch.ones(4, 4))


def test_a_model_learns_the_world_and_errors_compound() -> None:
    grid = worlds.world()
    lived = grid.lived(20_000, torch.Generator().manual_seed(1))
    model = worlds.train(grid, lived, steps=500, seed=0)
    table = model.table()
    assert torch.allclose(table.sum(2), torch.ones(len(grid), 4), atol=1e-5)
    assert (table.argmax(2) == grid.step.argmax(2)).float().mean() > 0.9
    plan = worlds.planned(grid.step, grid)
    apart = worlds.drift(table, grid, plan, start=0, horizon=12)
    assert apart[7] > apart[0]
    assert max(worlds.drift(grid.step, grid, plan, start=0, horizon=12)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_drift_is_at_most_the_sum_of_the_steps_errors(seed) -> None:
    grid, generator = worlds.world(), torch.Generator().manual_seed(seed)
    imagined = torch.rand(grid.step.shape, generator=generator).softmax(2).lerp(grid.step, 0.8)
    plan = torch.randint(4, (len(grid),), generator=generator)
    apart = worlds.drift(imagined, grid, plan, start=seed, horizon=12)
    most = worlds.drift_bound(imagined, grid, plan, start=seed, horizon=12)
    assert all(real <= bound + 1e-6 for real, bound in zip(apart, most, strict=True))
    assert apart[0] == pytest.approx(most[0])


def test_errors_that_nothing_forgets_add_up() -> None:
    """One imagines to stay, with a probability of .1, where the world goes on: who is late stays late."""
    row = worlds.world(".....G", slips=0.0)
    stays = torch.eye(len(row))[:, None].expand_as(row.step)
    right = torch.ones(len(row), dtype=torch.long)
    imagined = 0.9 * row.step + 0.1 * stays
    late = worlds.drift(imagined, row, right, start=0, horizon=3)
    assert late == pytest.approx([0.1, 1 - 0.9**2, 1 - 0.9**3], abs=1e-6)
    assert worlds.drift_bound(imagined, row, right, start=0, horizon=3) == pytest.approx([0.1, 0.2, 0.3], abs=1e-6)
    # At the goal nothing is wrong any more.
    assert worlds.drift_bound(imagined, row, right, start=0, horizon=9)[-1] == pytest.approx(0.5, abs=1e-6)


@pytest.mark.parametrize("plan", ["...\n..", "..?"])
def test_a_drawing_that_is_none_is_refused(plan) -> None:
    with pytest.raises(TeachlibError, match="rows of one length"):
        worlds.world(plan)


def test_random_numbers_of_the_caller_are_left_alone() -> None:
    place = worlds.world()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    worlds.train(place, place.lived(20, torch.Generator().manual_seed(0)), steps=1, seed=3)
    line.train(line.Points(4), steps=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_penalty_that_does_not_exist_is_refused_at_any_weight() -> None:
    with pytest.raises(TeachlibError, match="unknown penalty 'nonsense'"):
        line.train(line.Points(4), steps=1, kind="nonsense")
