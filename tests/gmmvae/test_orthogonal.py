"""Orthogonal PGD: what leaves others alone, and requirements that pull against each other."""

import pytest
import torch
from torch import Tensor

from teachlib import gmmvae
from teachlib.errors import TeachlibError
from teachlib.gmmvae.attacks import Ball, accepted_wrongly, orthogonal_pgd, slacks
from teachlib.gmmvae.attacks.orthogonal import orthogonal

DRAW = torch.Generator().manual_seed(0)
X = 0.3 + 0.4 * torch.rand(6, 1, 4, 4, generator=DRAW)


def test_what_is_left_is_orthogonal_to_the_others_and_the_nearest_such() -> None:
    gradients = torch.randn(3, 6, 1, 4, 4, generator=DRAW)
    which = torch.tensor([0, 1, 2, 2, 1, 0])
    left = orthogonal(gradients, which)
    for row, chosen in enumerate(which.tolist()):
        others = torch.stack([gradients[k, row].flatten() for k in range(3) if k != chosen], 1)
        mine = gradients[chosen, row].flatten()
        solved = mine - others @ torch.linalg.lstsq(others, mine[:, None]).solution.flatten()
        torch.testing.assert_close(left[row].flatten(), solved, atol=1e-5, rtol=1e-4)


def test_in_the_span_of_the_others_nothing_is_left() -> None:
    some = torch.randn(2, 6, 1, 4, 4, generator=DRAW)
    gradients = torch.stack([some[0], some[1], 2 * some[0] - 3 * some[1]])
    assert torch.equal(orthogonal(gradients, torch.full((6,), 2)), torch.zeros_like(X))
    assert torch.equal(orthogonal(gradients[:2] * 0, torch.zeros(6, dtype=torch.long)), torch.zeros_like(X))


def test_a_step_keeps_what_is_met_and_meets_what_is_not() -> None:
    """Two linear requirements whose slopes pull nearly against each other."""
    first = torch.randn(X.shape[1:], generator=DRAW)
    second = -first + 0.3 * torch.randn(X.shape[1:], generator=DRAW)

    def requirements(v: Tensor) -> Tensor:
        moved = (v - X).flatten(1)
        return torch.stack([moved @ first.flatten() - 0.05, moved @ second.flatten() + 1e-3], 1)

    ball = Ball(1.0, "l2")
    before, after = requirements(X), requirements(orthogonal_pgd(requirements, X, ball, steps=1, step_size=0.03))
    torch.testing.assert_close(after[:, 1], before[:, 1], atol=1e-5, rtol=0)
    assert (after[:, 0] > before[:, 0]).all()
    assert (after[:, 0] < 0).all()
    end = orthogonal_pgd(requirements, X, ball, steps=50)
    assert (requirements(end) > 0).all()


def test_where_all_are_met_the_least_of_them_climbs() -> None:
    first, second = torch.zeros(X.shape[1:]), torch.zeros(X.shape[1:])
    first[0, 0, 0], second[0, 0, 1] = 1, 1

    def requirements(v: Tensor) -> Tensor:
        moved = (v - X).flatten(1)
        return torch.stack([moved @ first.flatten() + 0.5, moved @ second.flatten() + 0.1], 1)

    end = orthogonal_pgd(requirements, X, Ball(0.05, "l2"), steps=1, step_size=0.05)
    torch.testing.assert_close(requirements(end), torch.tensor([[0.5, 0.1 + 0.05]]).expand(6, 2), atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_ends_lie_in_ball_and_box_and_no_start_is_left_behind(norm: str) -> None:
    target = torch.rand(X.shape, generator=DRAW)

    def requirements(v: Tensor) -> Tensor:
        return torch.stack([0.1 - (v - target).abs().flatten(1).mean(1), v.flatten(1).amax(1) - 0.9], 1)

    ball = Ball(0.3, norm)  # type: ignore[arg-type]
    end = orthogonal_pgd(requirements, X, ball, steps=10, generator=torch.Generator().manual_seed(3))
    assert (ball.size(end, X) < 0.3 + 1e-5).all()
    assert end.amin() >= 0
    assert end.amax() <= 1
    from_clean = orthogonal_pgd(requirements, X, ball, steps=10)
    assert (requirements(from_clean).amin(1) >= requirements(X).amin(1)).all()


def test_slacks_are_what_the_joint_loss_joins() -> None:
    model = gmmvae.from_zoo("gmm-vae", "glyphs")
    train, held_out = (gmmvae.load("glyphs", split, limit=500) for split in ("train", "validation"))
    classifier = gmmvae.selective(model, train, held_out)
    x, labels = gmmvae.load("glyphs", "test", limit=40)[:]
    with torch.no_grad():
        each, joint = slacks(classifier, labels)(x), accepted_wrongly(classifier, labels)(x)
    missing = -each.clamp(max=0).sum(1)
    torch.testing.assert_close(joint, torch.where(missing > 0, -missing, each.amin(1)))
    end = orthogonal_pgd(slacks(classifier, labels), x, Ball(0.3), steps=40)
    decided = classifier.decide(end)
    fooled = decided.accepted & (decided.labels != labels)
    with torch.no_grad():
        assert torch.equal(fooled, (slacks(classifier, labels)(end) > 0).all(1))


def test_refusals() -> None:
    with pytest.raises(TeachlibError, match="requirements of shape"):
        orthogonal_pgd(lambda v: v.flatten(1).sum(1), X, Ball(0.1))
    with pytest.raises(TeachlibError, match="not a finite number"):
        orthogonal_pgd(lambda v: v.flatten(1)[:, :2] * torch.nan, X, Ball(0.1))
    with pytest.raises(TeachlibError, match="steps is 0"):
        orthogonal_pgd(lambda v: v.flatten(1)[:, :2], X, Ball(0.1), steps=0)
