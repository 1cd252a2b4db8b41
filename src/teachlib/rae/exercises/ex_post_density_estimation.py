"""Exercises on densities of codes: a mixture's, a standardized one, and what samples cover."""

import math

import torch
from torch import Tensor

from teachlib.checks import Answer, calls, exercise, seeded

# ----------------------------------------------------------------------------------------------- mixture_log_prob

_Z = torch.tensor([[0.0, 1.0], [-11.0, 0.4], [30.0, -40.0]])
_WEIGHTS = torch.tensor([0.15, 0.25, 0.6])
_MEANS = torch.tensor([[-3.0, 0.0], [3.0, -0.75], [0.25, 3.75]])
_COVARIANCES = torch.tensor([[[1.0, 0.6], [0.6, 0.5]], [[0.4, -0.4], [-0.4, 1.2]], [[1.4, 0.7], [0.7, 0.6]]])


def _log_normals(z: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    """log N(z; μₖ, Σₖ), (N, K)."""
    difference = (z[:, None] - means)[..., None]
    squared = (difference.mT @ torch.linalg.solve(covariances, difference))[..., 0, 0]
    return -0.5 * (squared + torch.linalg.slogdet(covariances).logabsdet + z.shape[1] * math.log(2 * math.pi))


def _mixture_log_prob(z: Tensor, weights: Tensor, means: Tensor, covariances: Tensor) -> Tensor:
    return torch.logsumexp(weights.log() + _log_normals(z, means, covariances), 1)


mixture_log_prob = exercise(
    "mixture_log_prob",
    "Write mixture_log_prob(z, weights, means, covariances) with z (N, d), weights (K,), means (K, d), covariances "
    "(K, d, d): log q(z) of each code in nats, (N,), also far out.",
    _mixture_log_prob,
    calls({"log-density": (_Z, _WEIGHTS, _MEANS, _COVARIANCES)}),
    wrong={
        "without_weights": (
            lambda z, weights, means, covariances: torch.logsumexp(_log_normals(z, means, covariances), 1),
            "the components are added without their weights",
        ),
        "mean_of_logarithms": (
            lambda z, weights, means, covariances: (weights * _log_normals(z, means, covariances)).sum(1),
            "the logarithms are averaged. A mixture adds densities: take the logarithm of the weighted sum",
        ),
        "underflow": (
            lambda z, weights, means, covariances: (weights * _log_normals(z, means, covariances).exp()).sum(1).log(),
            "right near the components, −∞ far out, where the densities round to zero: use logsumexp",
        ),
        "determinant": (
            lambda z, weights, means, covariances: torch.logsumexp(
                weights.log() + _log_normals(z, means, covariances) + 0.5 * torch.linalg.slogdet(covariances).logabsdet,
                1,
            ),
            "the determinants of the covariances are missing: wide components must be lower",
        ),
        "nearest_component": (
            lambda z, weights, means, covariances: (weights.log() + _log_normals(z, means, covariances)).max(1).values,
            "only the largest component counts; where components overlap, all of them add",
        ),
    },
)


# ------------------------------------------------------------------------------------------------------- coverage

_DRAWS = seeded(0)
_REAL, _GENERATED = torch.randn(12, 2, generator=_DRAWS), torch.randn(9, 2, generator=_DRAWS) * 0.7


def _inside(real: Tensor, generated: Tensor, k: int) -> Tensor:
    """Whether each generated sample lies in the ball of each real one, (M, N)."""
    radius = torch.cdist(real, real).sort(1).values[:, k]
    return torch.cdist(generated, real) < radius


def _coverage(real: Tensor, generated: Tensor, k: int) -> Tensor:
    return _inside(real, generated, k).any(0).float().mean()


coverage = exercise(
    "coverage",
    "Write coverage(real, generated, k) of features (N, D) and (M, D): the share of real samples with a generated "
    "one nearer than their k-th nearest other real sample.",
    _coverage,
    calls({"with two neighbours": (_REAL, _GENERATED, 2), "with four": (_REAL, _GENERATED, 4)}),
    wrong={
        "itself_counted": (
            lambda real, generated, k: _coverage(real, generated, k - 1),
            "a sample was counted among its own neighbours, so that the balls are one neighbour too small",
        ),
        "precision": (
            lambda real, generated, k: _inside(real, generated, k).any(1).float().mean(),
            "this is the share of *generated* samples that lie in some ball: precision, which one sample can satisfy",
        ),
        "density": (
            lambda real, generated, k: _inside(real, generated, k).float().sum(1).mean() / k,
            "this is density, the mean number of balls that a generated sample lies in, over k",
        ),
        "balls_around_generated": (
            lambda real, generated, k: _inside(generated, real, k).any(1).float().mean(),
            "the balls are around the generated samples: one outlier among them would cover everything",
        ),
    },
)


# ------------------------------------------------------------------------------------------ standardized_log_prob

_CODES = torch.tensor([[0.4, 7.0, -1.0], [2.0, 3.0, 0.5]])
_MEAN, _DEVIATION = torch.tensor([0.5, 4.0, -0.2]), torch.tensor([0.3, 2.5, 1.4])


def _log_prob(u: Tensor) -> Tensor:
    return -u.abs().sum(1) - u.square()[:, 0]


def _standardized(sign: float) -> Answer:
    return lambda z, mean, deviation, log_prob: log_prob((z - mean) / deviation) + sign * deviation.log().sum()


standardized_log_prob = exercise(
    "standardized_log_prob",
    "Write standardized_log_prob(z, mean, deviation, log_prob): log_prob gives the log-density of standardized "
    "codes u = (z − mean)/deviation; return that of the codes z themselves, (N,).",
    _standardized(-1),
    calls({"log-density": (_CODES, _MEAN, _DEVIATION, _log_prob)}),
    wrong={
        "no_slope": (
            _standardized(0),
            "the change of variables is missing: a density is per volume, and standardizing changes volumes",
        ),
        "sign": (_standardized(1), "the sign of the log-determinant is flipped: wide codes have a *lower* density"),
        "mean_of_slopes": (
            lambda z, mean, deviation, log_prob: log_prob((z - mean) / deviation) - deviation.log().mean(),
            "the logarithms of the deviations are averaged; the volume is their product, so sum the logarithms",
        ),
        "not_centred": (
            lambda z, mean, deviation, log_prob: log_prob(z / deviation) - deviation.log().sum(),
            "the mean is not subtracted",
        ),
    },
)
