"""Exercises on energies: the score, Langevin dynamics, noise-contrastive estimation."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.checks import calls, exercise, together, with_gradient
from teachlib.primer import energy

_PLANE = torch.tensor([[2.0, 0.5], [-1.0, -0.2], [0.3, 0.4], [-3.0, 1.0], [-3.0, 1.8]])


def _quartic(x: Tensor) -> Tensor:
    return (0.3 * x**4 - x**2 + 0.5 * x).sum(1)


def _bowl(x: Tensor) -> Tensor:
    return 0.5 * (x - 1).square().sum(1)


def _gradient(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]


score = exercise(
    "score",
    "Return ∇ log p(x), (N, d), of p ∝ exp(−f), from the function f: (N, d) → (N,) and x.",
    lambda f, x: energy.score(f, x),
    calls({"score": (_quartic, _PLANE), "far out": (_quartic, 4 * _PLANE), "of another energy": (_bowl, _PLANE)}),
    wrong={
        "sign": (
            lambda f, x: _gradient(f, x),
            "the sign is turned: log p = −f − log z, so probability rises where the energy falls",
        ),
        "of_the_density": (
            lambda f, x: _gradient(lambda at: (-f(at)).exp(), x),
            "this is the gradient of exp(−f), not of its logarithm",
        ),
        "batch_mean": (
            lambda f, x: -_gradient(f, x) / len(x),
            "divided by the batch size: differentiate the sum over samples, each has its own score",
        ),
        "underflow": (
            lambda f, x: _gradient(lambda at: (-f(at)).exp().log(), x),
            "right where the density is large; far out exp(−f) rounds to zero: the logarithm of exp(−f) is −f",
        ),
    },
)

_X, _NOISE = torch.tensor([[0.5, -1.0], [2.0, 0.3]]), torch.tensor([[-0.7, 0.4], [1.1, -0.2]])
_SCORE = torch.tensor([[0.3, -0.5], [-0.2, 0.9]])

langevin_step = exercise(
    "langevin_step",
    "Return x after one step of Langevin dynamics, from x, the score there, the step size η and standard normal noise.",
    lambda x, at, step_size, noise: x + step_size * at + math.sqrt(2 * step_size) * noise,
    calls({"step": (_X, _SCORE, 0.1, _NOISE), "a smaller step": (_SCORE, _X, 0.02, 2 * _NOISE)}),
    wrong={
        "too_cold": (
            lambda x, s, eta, n: x + eta * s + math.sqrt(eta) * n,
            "the noise is too weak: with drift η·∇ log p it has variance 2η, or the chain samples p², too narrow",
        ),
        "no_noise": (
            lambda x, s, eta, n: x + eta * s,
            "without noise this climbs to the nearest mode and stays: optimization, not sampling",
        ),
        "downhill": (
            lambda x, s, eta, n: x - eta * s + math.sqrt(2 * eta) * n,
            "the drift goes against the score, away from probability",
        ),
        "noise_times_step": (
            lambda x, s, eta, n: x + eta * s + 2 * eta * n,
            "2η is the noise's variance: its amplitude is √(2η)",
        ),
        "half_step": (
            lambda x, s, eta, n: x + eta / 2 * s + math.sqrt(eta) * n,
            "this is the convention with drift η/2 and noise of variance η: a right chain, but of half the step asked "
            "for; here the drift is η·∇ log p",
        ),
        "leapfrog": (
            lambda x, s, eta, n: x + eta**2 / 2 * s + eta * n,
            "this is the convention of Hamiltonian dynamics, drift η²/2 and noise η; here the drift is η·∇ log p",
        ),
    },
)

# log p and log pₙ, at real points and at noise points.
_LOG_P, _LOG_NOISE = torch.tensor([-1.0, -2.5, -0.3]).requires_grad_(), torch.tensor([-1.7, -0.4, -3.0])
_LOG_P_OF_NOISE, _LOG_NOISE_OF_NOISE = torch.tensor([-2.0, -0.1]).requires_grad_(), torch.tensor([-0.5, -1.4])


def _nce(model_real: Tensor, noise_real: Tensor, model_noise: Tensor, noise_noise: Tensor) -> Tensor:
    return F.softplus(noise_real - model_real).mean() + F.softplus(model_noise - noise_noise).mean()


noise_contrastive = exercise(
    "noise_contrastive",
    "Return the loss of noise-contrastive estimation from log p and log pₙ at real points, then both at noise points.",
    _nce,
    together(
        with_gradient("loss", (_LOG_P, _LOG_NOISE, _LOG_P_OF_NOISE, _LOG_NOISE_OF_NOISE), to=(_LOG_P, _LOG_P_OF_NOISE)),
        calls({"sure": (200 * _LOG_P, 200 * _LOG_NOISE, 200 * _LOG_P_OF_NOISE, 200 * _LOG_NOISE_OF_NOISE)}),
    ),
    wrong={
        "noise_density_ignored": (
            lambda mr, nr, mn, nn: F.softplus(-mr).mean() + F.softplus(mn).mean(),
            "the noise's density is ignored: Bayes' rule compares log p with log pₙ, and that is what fixes the "
            "constant",
        ),
        "labels_swapped": (
            lambda mr, nr, mn, nn: F.softplus(mr - nr).mean() + F.softplus(nn - mn).mean(),
            "data and noise are swapped: this lowers p where the data are",
        ),
        "data_only": (
            lambda mr, nr, mn, nn: F.softplus(nr - mr).mean(),
            "only the data are judged: p could grow everywhere at once; the noise's term forbids it",
        ),
        "sum": (
            lambda mr, nr, mn, nn: F.softplus(nr - mr).sum() + F.softplus(mn - nn).sum(),
            "summed: both expectations are means",
        ),
        "sign": (
            lambda mr, nr, mn, nn: -_nce(mr, nr, mn, nn),
            "this is the log-likelihood of the labels, which is climbed; a loss is descended: turn the sign",
        ),
        "underflow": (
            lambda mr, nr, mn, nn: -(mr - nr).sigmoid().log().mean() - (nn - mn).sigmoid().log().mean(),
            "right for small differences, infinite for large ones, whose sigmoid rounds to 0: use logsigmoid or "
            "softplus",
        ),
    },
)
