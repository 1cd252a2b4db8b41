"""Penalties of a slope, against Jacobians that are known."""

import pytest
import torch

from teachlib.energy import PENALTIES, penalty, slopes
from teachlib.energy.penalties import between
from teachlib.errors import TeachlibError

REAL, MADE = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
A = torch.randn(3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def judge(x):
    return (x @ A).square().sum(1) + x.sin().sum(1)


def _norms(x):
    jacobian = torch.stack([torch.autograd.functional.jacobian(lambda one: judge(one[None])[0], each) for each in x])
    return jacobian.norm(dim=1)


def test_slopes_are_those_of_the_jacobian() -> None:
    assert torch.allclose(slopes(judge, REAL), _norms(REAL))


@pytest.mark.parametrize(("kind", "places"), [("R1", [REAL]), ("R2", [MADE]), ("both", [REAL, MADE])])
def test_zero_centred_penalties(kind, places) -> None:
    expected = sum(0.5 * _norms(x).square().mean() for x in places)
    assert torch.allclose(penalty(kind, judge, REAL, MADE, torch.Generator()), expected)


def test_the_one_centred_penalty_is_taken_in_between() -> None:
    places = between(REAL, MADE, torch.Generator().manual_seed(5))
    expected = (_norms(places) - 1).square().mean()
    assert torch.allclose(penalty("one-centred", judge, REAL, MADE, torch.Generator().manual_seed(5)), expected)
    share = (places - MADE) / (REAL - MADE)
    assert torch.allclose(share, share[:, :1].expand_as(share))
    assert share.min() >= 0
    assert share.max() <= 1
    assert share[:, 0].std() > 0.1


def test_pictures_have_slopes_too_and_a_flat_judge_a_finite_gradient() -> None:
    weight = torch.full((2, 3, 4, 4), 0.5).requires_grad_()
    held = slopes(lambda x: (x * weight[0]).flatten(1).sum(1), torch.zeros(2, 3, 4, 4))
    assert torch.allclose(held, torch.full((2,), (48 * 0.25) ** 0.5))
    flat = torch.zeros(3, requires_grad=True)
    slopes(lambda x: x @ flat, torch.zeros(4, 3)).sum().backward()
    assert flat.grad.isfinite().all()


def test_nothing_costs_nothing_and_another_kind_is_refused() -> None:
    assert penalty("none", judge, REAL, MADE, torch.Generator()).item() == 0
    with pytest.raises(TeachlibError, match="unknown penalty 'R3'"):
        penalty("R3", judge, REAL, MADE, torch.Generator())
    assert len(set(PENALTIES)) == 5
