"""The same attacks in foolbox and in the authors' AutoAttack, on the same network."""

import os

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # foolbox imports GitPython, which looks for git at once

import foolbox
import pytest
import torch
import torch.nn.functional as F
from pyautoattack.autopgd_base import APGDAttack
from torch import Tensor, nn

from teachlib.gmmvae.attacks import Ball, apgd, fgsm, mim, pgd

STEPS = 20


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
