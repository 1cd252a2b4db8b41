"""Exercises on a VAE with a component for each class: its odds, its loss, its means."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded, with_gradient
from teachlib.gmmvae.losses import supervised_loss

# ---------------------------------------------------------------------------------------------------- log_odds

_Z, _A, _B = torch.randn(4, 3, generator=seeded(0)), torch.tensor([1.0, 0, 0]), torch.tensor([0, 2.0, 0])


def _log_odds(z: Tensor, a: Tensor, b: Tensor, variance: float) -> Tensor:
    return ((z - b).square().sum(1) - (z - a).square().sum(1)) / (2 * variance)


def _log_odds_by_densities(z: Tensor, a: Tensor, b: Tensor, variance: float) -> Tensor:
    first, second = ((-(z - mean).square().sum(1) / (2 * variance)).exp() for mean in (a, b))
    return (first / second).log()


log_odds = exercise(
    "log_odds",
    "Write log_odds(z, mean_a, mean_b, variance): log P(a | z) − log P(b | z) for two equally likely classes "
    "N(mean, variance·I), z of (N, d), one number a sample, (N,).",
    _log_odds,
    calls(
        {
            "log-odds": (_Z, _A, _B, 0.25),
            "log-odds at a mean, with a small variance": (_A[None], _A, _B, 1 / 3000),
        }
    ),
    wrong={
        "densities": (
            _log_odds_by_densities,
            "right on paper, infinite in the machine: the second density underflows to zero. Take the difference of "
            "the exponents, and no exponential at all",
        ),
        "deviation": (
            lambda z, a, b, variance: _log_odds(z, a, b, variance**0.5),
            "divided by the standard deviation; the exponent of a Gaussian has the variance",
        ),
        "half": (
            lambda z, a, b, variance: 2 * _log_odds(z, a, b, variance),
            "twice too large: a Gaussian's exponent is −‖z − μ‖²/(2σ²)",
        ),
        "sign": (
            lambda z, a, b, variance: -_log_odds(z, a, b, variance),
            "the sign is flipped: near mean_a the odds of a must be positive",
        ),
        "unsquared": (
            lambda z, a, b, variance: ((z - b).norm(dim=1) - (z - a).norm(dim=1)) / (2 * variance),
            "distances without their square: a Gaussian's exponent has the squared distance",
        ),
    },
)


# -------------------------------------------------------------------------------------------------- gmm_loss

_X, _REBUILT = (torch.rand(3, 1, 4, 4, generator=seeded(seed)) for seed in (0, 1))
_CODE, _MEANS = torch.randn(3, 5, generator=seeded(2)), torch.randn(4, 5, generator=seeded(3))
_LABELS = torch.tensor([2, 0, 2])
_REBUILT.requires_grad_()
_CODE.requires_grad_()


def _gmm_loss(x: Tensor, rebuilt: Tensor, code: Tensor, labels: Tensor, means: Tensor, alpha: float) -> Tensor:
    return supervised_loss(x, rebuilt, code, means[labels], alpha)


gmm_loss = exercise(
    "gmm_loss",
    "Write gmm_loss(x, rebuilt, code, labels, means, alpha), Eq. 4.6 averaged over the batch: x and rebuilt are "
    "(N, C, H, W), code is (N, d), means (k, d); a scalar.",
    _gmm_loss,
    with_gradient("loss", (_X, _REBUILT, _CODE, _LABELS, _MEANS, 0.7), to=(_REBUILT, _CODE)),
    wrong={
        "mean_over_pixels": (
            lambda x, r, c, y, m, a: (x - r).square().mean() + a * (c - m[y]).square().sum(1).mean(),
            "the mean over pixels: ‖x − x̂‖² of Eq. 4.6 is a sum over them, and only the batch is averaged",
        ),
        "nearest_mean": (
            lambda x, r, c, y, m, a: _gmm_loss(x, r, c, torch.cdist(c, m).argmin(1), m, a),
            "the code is pulled to the nearest mean. With labels it is pulled to the label's, near or not: else a "
            "wrong class would be learned for good",
        ),
        "all_means": (
            lambda x, r, c, y, m, a: _gmm_loss(x, r, c, y, m.mean(0).expand_as(m), a),
            "the code is pulled to the middle of all means; take the row of means that belongs to each label",
        ),
        "unsquared": (
            lambda x, r, c, y, m, a: ((x - r).square().flatten(1).sum(1) + a * (c - m[y]).norm(dim=1)).mean(),
            "the distance to the mean without its square: Eq. 4.6 has ‖f(x) − μ‖²",
        ),
        "summed": (
            lambda x, r, c, y, m, a: len(x) * _gmm_loss(x, r, c, y, m, a),
            "the sum over the batch; average over it, or the learning rate depends on the batch size",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ place_means


place_means = exercise(
    "place_means",
    "Write place_means(classes, latent): one-hot means of the components, filled up with zeros where there are "
    "more dimensions than classes; (classes, latent).",
    lambda classes, latent: torch.eye(classes, latent),
    calls({"three means in five dimensions": (3, 5), "two in two": (2, 2)}),
    wrong={
        "zeros_first": (
            lambda classes, latent: torch.cat([torch.zeros(classes, latent - classes), torch.eye(classes)], 1),
            "the zeros stand before the one-hot vectors; nothing but convention is wrong with that, and conventions "
            "matter between two programs: fill up behind",
        ),
        "unit_distance": (
            lambda classes, latent: torch.eye(classes, latent) / 2**0.5,
            "scaled so that neighbours are 1 apart; one-hot vectors have length 1, and are √2 apart",
        ),
        "centred": (
            lambda classes, latent: torch.eye(classes, latent) - torch.eye(classes, latent).mean(0),
            "moved so that their middle is the origin: a simplex, which needs one dimension less. One-hot was asked",
        ),
    },
)
