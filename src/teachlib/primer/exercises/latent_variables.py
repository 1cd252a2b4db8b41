"""Exercises on the ELBO: what it is, how to raise it, how far it lies below the likelihood."""

import math

import torch
from torch import Tensor

from teachlib.checks import calls, exercise
from teachlib.primer import vae

_LOG_LIKELIHOOD = torch.tensor([-3.0, -1.5])
_MEAN = torch.tensor([[0.5, -1.0, 0.2], [1.5, 0.3, -0.4]])
_LOG_DEVIATION = torch.tensor([[-0.7, 0.2, -1.1], [0.4, -0.5, 0.1]])


def _kl(mean: Tensor, log_deviation: Tensor) -> Tensor:
    return vae.kl_to_standard_normal(torch.distributions.Normal(mean, log_deviation.exp()))


elbo = exercise(
    "elbo",
    "Return the ELBO, (N,), from log P(x | z), (N,), and the posterior's mean and log σ, (N, d); the prior is N(0, I).",
    lambda log_likelihood, mean, log_deviation: log_likelihood - _kl(mean, log_deviation),
    calls({"bound": (_LOG_LIKELIHOOD, _MEAN, _LOG_DEVIATION)}),
    wrong={
        "sign": (
            lambda ll, m, s: ll + _kl(m, s),
            "the divergence was added: it is the price of a posterior unlike the prior, and lowers the bound",
        ),
        "log_variance": (
            lambda ll, m, s: ll - _kl(m, s / 2),
            "the third input was read as a log-variance: it is log σ, so σ² = exp(2 log σ)",
        ),
        "no_divergence": (lambda ll, m, s: ll, "the divergence is missing: this is only the reconstruction term"),
        "mean_over_dimensions": (
            lambda ll, m, s: ll - _kl(m, s) / m.shape[1],
            "the divergences of independent dimensions add up; this is their average",
        ),
        "loss": (
            lambda ll, m, s: _kl(m, s) - ll,
            "this is the loss, which is descended: the bound is its negative",
        ),
        "no_logarithm": (
            lambda ll, m, s: ll - 0.5 * (m**2 + (2 * s).exp() - 1).sum(1),
            "the divergence lacks −log σ: without it a posterior as narrow as a point would cost nothing",
        ),
    },
)

_LOG_WEIGHTS = torch.tensor([[-2.0, -0.5], [-1.0, -3.0], [-4.0, -0.2]])
_OF_IMAGES = _LOG_WEIGHTS - torch.tensor([800.0, 2000.0])

importance_bound = exercise(
    "importance_bound",
    "Return the importance-weighted bound, (N,), from the log-weights of K draws, (K, N).",
    lambda log_weights: torch.logsumexp(log_weights, 0) - math.log(len(log_weights)),
    calls({"bound": (_LOG_WEIGHTS,), "two draws": (_LOG_WEIGHTS[:2],), "of images": (_OF_IMAGES,)}),
    wrong={
        "elbo": (
            lambda w: w.mean(0),
            "the mean of the logarithms is the ELBO again; take the logarithm of the mean weight",
        ),
        "sum": (
            lambda w: torch.logsumexp(w, 0),
            "this is the logarithm of the sum of the weights: it grows with K; subtract log K",
        ),
        "weights": (
            lambda w: w.exp().mean(0),
            "this is the mean weight itself, an estimate of p(x); its logarithm was asked for",
        ),
        "wrong_axis": (
            lambda w: torch.logsumexp(w, 1) - math.log(w.shape[1]),
            "averaged over the samples: average over the draws, the first axis",
        ),
        "loss": (
            lambda w: math.log(len(w)) - torch.logsumexp(w, 0),
            "this is the loss, which is descended: the bound is its negative",
        ),
        "underflow": (
            lambda w: w.exp().mean(0).log(),
            "right for large weights; those of images round to zero, whose logarithm is −∞: use logsumexp",
        ),
    },
)


def _gap(mean: Tensor, deviation: Tensor, true_mean: Tensor, true_deviation: Tensor) -> Tensor:
    q, p = torch.distributions.Normal(mean, deviation), torch.distributions.Normal(true_mean, true_deviation)
    return torch.distributions.kl_divergence(q, p).sum(1)


_GAP = (
    _MEAN,
    _LOG_DEVIATION.exp(),
    torch.tensor([[0.1, -0.4, 0.9], [1.0, 0.0, 0.3]]),
    torch.tensor([[0.6, 1.4, 0.5], [0.8, 1.1, 2.0]]),
)

elbo_gap = exercise(
    "elbo_gap",
    "Return log p(x) − ELBO, (N,), where Q and the true posterior are Gaussians with these means and "
    "deviations, (N, d).",
    _gap,
    calls({"gap": _GAP}),
    wrong={
        "reversed": (
            lambda m, s, tm, ts: _gap(tm, ts, m, s),
            "the divergence is the wrong way round: its expectation is under Q, from which z is drawn",
        ),
        "to_the_prior": (
            lambda m, s, tm, ts: _gap(m, s, torch.zeros_like(m), torch.ones_like(m)),
            "this is the divergence from the prior, a term of the ELBO; the gap is the one from the true posterior",
        ),
        "means_only": (
            lambda m, s, tm, ts: 0.5 * ((m - tm) / ts).square().sum(1),
            "the spreads are compared too: Q with the right mean and the wrong σ still leaves a gap",
        ),
        "sign": (
            lambda m, s, tm, ts: -_gap(m, s, tm, ts),
            "the sign is turned: the bound lies below log p(x), so the gap is never negative",
        ),
        "no_logarithm": (
            lambda m, s, tm, ts: 0.5 * ((s / ts) ** 2 + ((m - tm) / ts) ** 2 - 1).sum(1),
            "the logarithm of the two deviations' ratio is missing",
        ),
    },
)
