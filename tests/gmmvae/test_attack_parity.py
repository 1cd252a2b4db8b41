"""The same attacks in foolbox and in the authors' AutoAttack, on the same network."""

import math
import os
from importlib import import_module

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython, which looks for git at once

import foolbox
import pytest
import torch
import torch.nn.functional as F
from pyautoattack.autopgd_base import APGDAttack
from pyautoattack.fab_projections import projection_l2, projection_linf
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack
from torch import Tensor, nn

from teachlib.gmmvae.attacks import Ball, apgd, fab, fgsm, hop_skip_jump, mim, misclassified, pgd
from teachlib.gmmvae.attacks.boundary import change_to_plane

STEPS = 20
square_module = import_module("teachlib.gmmvae.attacks.square")  # the package has a function of this name


@pytest.fixture(scope="module")
def problem() -> tuple[nn.Module, Tensor, Tensor]:
    """A network with some curvature, images and the labels it gives them."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 10)
    ).eval()
    x = torch.rand(40, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return net, x, net(x).argmax(1)


def cross_entropy(net: nn.Module, labels: Tensor):
    return lambda v: F.cross_entropy(net(v), labels, reduction="none")


def by_foolbox(attack: foolbox.attacks.Attack, net: nn.Module, x: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    raw, _, _ = attack(model, x, foolbox.criteria.Misclassification(labels), epsilons=epsilon)
    return raw


def same_loss(net: nn.Module, labels: Tensor, found: Tensor, reference: Tensor) -> None:
    """Each sample's loss to within one percent: sums in another order may turn single signs."""
    loss = cross_entropy(net, labels)
    with torch.no_grad():
        torch.testing.assert_close(loss(found), loss(reference), rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm(problem: tuple[nn.Module, Tensor, Tensor], norm: str) -> None:
    net, x, labels = problem
    epsilon = 0.05 if norm == "linf" else 0.5
    theirs = foolbox.attacks.LinfFastGradientAttack() if norm == "linf" else foolbox.attacks.L2FastGradientAttack()
    ours = fgsm(cross_entropy(net, labels), x, Ball(epsilon, norm))  # type: ignore[arg-type]
    torch.testing.assert_close(ours, by_foolbox(theirs, net, x, labels, epsilon), atol=1e-5, rtol=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd(problem: tuple[nn.Module, Tensor, Tensor], norm: str) -> None:
    net, x, labels = problem
    epsilon = 0.05 if norm == "linf" else 0.5
    kinds = {
        "linf": foolbox.attacks.LinfProjectedGradientDescentAttack,
        "l2": foolbox.attacks.L2ProjectedGradientDescentAttack,
    }
    theirs = kinds[norm](abs_stepsize=epsilon / 8, steps=STEPS, random_start=False)
    ours = pgd(cross_entropy(net, labels), x, Ball(epsilon, norm), steps=STEPS, step_size=epsilon / 8)  # type: ignore[arg-type]
    same_loss(net, labels, ours, by_foolbox(theirs, net, x, labels, epsilon))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_mim(problem: tuple[nn.Module, Tensor, Tensor], norm: str) -> None:
    net, x, labels = problem
    epsilon = 0.05 if norm == "linf" else 0.5
    kinds = {
        "linf": foolbox.attacks.LinfMomentumIterativeFastGradientMethod,
        "l2": foolbox.attacks.L2MomentumIterativeFastGradientMethod,
    }
    theirs = kinds[norm](abs_stepsize=epsilon / 8, steps=STEPS, momentum=1.0, random_start=False)
    ours = mim(cross_entropy(net, labels), x, Ball(epsilon, norm), steps=STEPS, step_size=epsilon / 8)  # type: ignore[arg-type]
    same_loss(net, labels, ours, by_foolbox(theirs, net, x, labels, epsilon))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_auto_pgd(problem: tuple[nn.Module, Tensor, Tensor], norm: str) -> None:
    net, x, labels = problem
    epsilon = 0.05 if norm == "linf" else 0.5
    official = {"linf": "Linf", "l2": "L2"}[norm]
    reference = APGDAttack(net, n_iter=STEPS, norm=official, eps=epsilon, loss="ce", seed=0, device="cpu")
    reference.init_hyperparam(x)
    _, _, best, _ = reference.attack_single_run(x, labels, x_init=x.clone())
    ours = apgd(cross_entropy(net, labels), x, Ball(epsilon, norm), steps=STEPS, start=x)  # type: ignore[arg-type]
    with torch.no_grad():
        own = cross_entropy(net, labels)(ours)
    torch.testing.assert_close(own, best, rtol=0.01, atol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_changes_to_planes_are_the_authors(norm: str) -> None:
    draw = torch.Generator().manual_seed(5)
    x, slope = torch.rand(200, 30, generator=draw), torch.randn(200, 30, generator=draw)
    rises = torch.randn(200, generator=draw)
    theirs = {"linf": projection_linf, "l2": projection_l2}[norm](x, slope, (slope * x).sum(1) + rises)
    ours = change_to_plane(x, slope, rises, Ball(1.0, norm))  # type: ignore[arg-type]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_comes_as_near_as_the_authors(problem: tuple[nn.Module, Tensor, Tensor], norm: str) -> None:
    net, x, labels = problem
    official = {"linf": "Linf", "l2": "L2"}[norm]
    reference = FABAttack_PT(net, norm=official, n_iter=60, eps=None, seed=0, device="cpu")
    theirs = Ball(1.0, norm).size(reference.attack_single_run(x, labels), x)  # type: ignore[arg-type]
    ours = fab(misclassified(net, labels), x, norm=norm, steps=60)  # type: ignore[arg-type]
    with torch.no_grad():
        assert (net(ours.images).argmax(1) != labels).all()
    assert (ours.sizes < 1.1 * theirs).double().mean() > 0.9  # theirs looks at all borders, ours at one at a time
    assert ours.sizes.mean() < 1.05 * theirs.mean()


def test_hop_skip_jump_comes_nearer_than_foolboxs_and_not_nearer_than_gradients_do(
    problem: tuple[nn.Module, Tensor, Tensor],
) -> None:
    net, x, labels = problem
    other = torch.stack([x[labels != label][0] for label in labels])  # each an image of another label
    model, wanted = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu"), foolbox.criteria.Misclassification(labels)
    attack = foolbox.attacks.HopSkipJumpAttack(steps=20, initial_gradient_eval_steps=50, max_gradient_eval_steps=10_000)
    theirs, _, _ = attack(model, x, wanted, epsilons=None, starting_points=other)
    white, _, _ = foolbox.attacks.L2CarliniWagnerAttack(steps=200)(model, x, wanted, epsilons=None)

    def wrong(images: Tensor, rows: Tensor) -> Tensor:
        return net(images).argmax(1) != labels[rows]

    ours = hop_skip_jump(wrong, x, other, steps=20, first=50, generator=torch.Generator().manual_seed(0))
    by_gradients, ended, elsewhere = ((found - x).flatten(1).norm(dim=1).mean() for found in (white, ours, theirs))
    assert by_gradients < ended < 1.25 * by_gradients
    assert ended < elsewhere
    with torch.no_grad():
        assert wrong(ours, torch.arange(len(x))).all()


def test_squares_shrink_when_the_authors_do() -> None:
    theirs = SquareAttack(nn.Identity(), p_init=0.8, n_queries=10_000, device="cpu")
    for query in (1, 10, 11, 50, 51, 200, 201, 500, 501, 1_000, 1_001, 2_000, 2_001, 4_001, 6_000, 6_001, 8_001, 9_999):
        side = max(round(math.sqrt(theirs.p_selection(query) * 32 * 40)), 1)
        assert square_module._side(query, 10_000, 0.8, 32, 40) == min(side, 32)
        assert square_module._side(query, 20_000, 0.8, 32, 40) == square_module._side(query / 2, 10_000, 0.8, 32, 40)
    assert square_module._side(1, 10_000, 1.0, 8, 32) == square_module._side(1, 10_000, 1.0, 32, 8) == 8  # it must fit
    assert square_module._side(9_999, 10_000, 0.1, 4, 4) == 1


def test_hills_are_the_authors() -> None:
    theirs = SquareAttack(nn.Identity(), norm="L2", device="cpu")
    for rows in range(1, 7):
        for columns in range(1, 7):
            hill = square_module._hill(rows, columns)
            torch.testing.assert_close(hill / hill.norm(), theirs.eta_rectangles(rows, columns))
    for side in (2, 4, 6):
        pattern = square_module._pattern(side)
        assert any(
            torch.allclose(pattern, sign * theirs.eta(side)) for sign in (1, -1) for _ in range(20)
        )  # either way
        assert pattern[0, 0] > 0
    assert square_module._pattern(1).tolist() == [[1]]
