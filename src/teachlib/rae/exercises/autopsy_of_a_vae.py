"""Exercises on a VAE's codes: the error of several draws, the aggregated posterior, its divergence from the prior."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from teachlib.checks import Answer, Unfit, calls, exercise, seeded, together, with_gradient

# ------------------------------------------------------------------------------------------------ k_sample_error

_WEIGHT = torch.tensor([[0.9, -0.4, 0.3, 0.7], [0.2, 0.8, -0.6, 0.5]])


def _decoder(z: Tensor) -> Tensor:
    """(…, 2) → (…, 1, 2, 2): bent enough that a mean of images is no image of a mean."""
    return torch.sigmoid(2 * z @ _WEIGHT).unflatten(-1, (1, 2, 2))


_DRAWS = seeded(0)
_X = torch.rand(3, 1, 2, 2, generator=_DRAWS)
_MEAN = torch.randn(3, 2, generator=_DRAWS).requires_grad_()
_LOG_VARIANCE = (torch.randn(3, 2, generator=_DRAWS) - 0.5).requires_grad_()
_NOISE = torch.randn(5, 3, 2, generator=_DRAWS)


def _errors(x: Tensor, decode: Callable[[Tensor], Tensor], mean: Tensor, log_variance: Tensor, noise: Tensor) -> Tensor:
    """‖x − D(z)‖² of each draw and image, (k, N)."""
    return (x - decode(mean + (0.5 * log_variance).exp() * noise)).square().flatten(2).sum(2)


def _k_sample_error(*inputs: Any) -> Tensor:
    return _errors(*inputs).mean()


k_sample_error = exercise(
    "k_sample_error",
    "Write k_sample_error(x, decode, mean, log_variance, noise) with noise of (k, N, d): the reconstruction term "
    "of Eq. 3.7 by k draws an image, averaged over draws and batch. decode takes (…, d).",
    _k_sample_error,
    together(
        with_gradient("error", (_X, _decoder, _MEAN, _LOG_VARIANCE, _NOISE), to=(_MEAN, _LOG_VARIANCE)),
        calls({"two draws of two images": (_X[:2], _decoder, _MEAN[:2], _LOG_VARIANCE[:2], _NOISE[:2, :2])}),
    ),
    wrong={
        "images_averaged": (
            lambda x, decode, mean, log_variance, noise: (
                (x - decode(mean + (0.5 * log_variance).exp() * noise).mean(0)).square().flatten(1).sum(1).mean()
            ),
            "the k images are averaged before the error is taken: that is the error of a mean image, which is smaller. "
            "Take the error of each draw, then average",
        ),
        "codes_averaged": (
            lambda x, decode, mean, log_variance, noise: (
                (x - decode(mean + (0.5 * log_variance).exp() * noise.mean(0))).square().flatten(1).sum(1).mean()
            ),
            "the k draws are averaged before decoding: that is one draw with √k times less noise, another model",
        ),
        "summed_over_draws": (
            lambda *inputs: _errors(*inputs).sum(0).mean(),
            "the draws are summed: the error then grows with k, and the KL term weighs less and less. Average over k",
        ),
        "variance_for_deviation": (
            lambda x, decode, mean, log_variance, noise: _k_sample_error(x, decode, mean, 2 * log_variance, noise),
            "the noise is scaled by the variance. A draw is μ + σ·ε with σ = exp(½ log σ²)",
        ),
        "one_draw": (
            lambda x, decode, mean, log_variance, noise: _k_sample_error(x, decode, mean, log_variance, noise[:1]),
            "only the first of the k draws is used",
        ),
        "best_draw": (
            lambda *inputs: _errors(*inputs).min(0).values.mean(),
            "the best of the k draws is taken: an optimist's error, not an estimate of the expectation in Eq. 3.7",
        ),
    },
)


# -------------------------------------------------------------------------------------------- aggregated_moments


def _observe_aggregated(answer: Answer) -> dict[str, Any]:
    generator = seeded(0)
    mean = torch.randn(4, 3, generator=generator) * torch.tensor([1.5, 0.7, 1.0]) + 0.4
    log_variance = torch.randn(4, 3, generator=generator) - 1
    value = answer(mean, log_variance)
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise Unfit("expected two tensors, the mean (d,) and the covariance (d, d)")
    return {"mean": value[0], "covariance": value[1]}


def _aggregated(mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
    centred = mean - mean.mean(0)
    return mean.mean(0), centred.T @ centred / len(mean) + log_variance.exp().mean(0).diag()


def _aggregated_with(spread: Callable[[Tensor], Tensor], *, lost: int = 0) -> Answer:
    def answer(mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
        centred = mean - mean.mean(0)
        return mean.mean(0), centred.T @ centred / (len(mean) - lost) + spread(log_variance)

    return answer


aggregated_moments = exercise(
    "aggregated_moments",
    "Write aggregated_moments(mean, log_variance), both (N, d): mean (d,) and covariance (d, d) of the aggregated "
    "posterior Q(Z), the mixture of the N Gaussians in equal parts.",
    _aggregated,
    _observe_aggregated,
    wrong={
        "means_alone": (
            _aggregated_with(lambda log_variance: torch.zeros(log_variance.shape[1], log_variance.shape[1])),
            "this is the covariance of the means alone. Each Gaussian's own spread adds to it (law of total variance)",
        ),
        "spread_alone": (
            lambda mean, log_variance: (mean.mean(0), log_variance.exp().mean(0).diag()),
            "this is the mean of the Gaussians' variances alone; how far their means lie apart adds to it",
        ),
        "deviations": (
            _aggregated_with(lambda log_variance: (0.5 * log_variance).exp().mean(0).diag()),
            "standard deviations were averaged; variances add, so average σ² = exp(log σ²)",
        ),
        "mean_of_logarithms": (
            _aggregated_with(lambda log_variance: log_variance.mean(0).exp().diag()),
            "the logarithms were averaged and then exponentiated: a geometric mean, smaller than the mean of variances",
        ),
        "sample_covariance": (
            _aggregated_with(lambda log_variance: log_variance.exp().mean(0).diag(), lost=1),
            "divided by N − 1. That corrects an estimate from a sample; Q(Z) is known, a mixture of N: divide by N",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ kl_of_gaussian

_CENTRE = torch.tensor([0.3, -0.8, 0.5])
_ROOT = torch.tensor([[1.2, 0.0, 0.0], [0.5, 0.6, 0.0], [-0.4, 0.3, 1.5]])


def _kl_of_gaussian(mean: Tensor, covariance: Tensor) -> Tensor:
    return 0.5 * (covariance.trace() + mean @ mean - len(mean) - torch.linalg.slogdet(covariance).logabsdet)


kl_of_gaussian = exercise(
    "kl_of_gaussian",
    "Write kl_of_gaussian(mean, covariance), (d,) and (d, d): KL(N(mean, covariance) ‖ N(0, I)) in nats, a scalar.",
    _kl_of_gaussian,
    calls(
        {
            "divergence": (_CENTRE, _ROOT @ _ROOT.T),
            "at the prior": (torch.zeros(3), torch.eye(3)),
            "narrow, in many dimensions": (torch.zeros(50), 1e-4 * torch.eye(50)),
        }
    ),
    wrong={
        "diagonal": (
            lambda mean, covariance: _kl_of_gaussian(mean, covariance.diagonal().diag()),
            "only the variances were used: correlations make the determinant smaller and the divergence larger",
        ),
        "determinant": (
            lambda mean, covariance: (
                0.5 * (covariance.trace() + mean @ mean - len(mean) - torch.linalg.det(covariance))
            ),
            "the determinant itself was subtracted; the divergence has its logarithm",
        ),
        "logarithm_last": (
            lambda mean, covariance: (
                0.5 * (covariance.trace() + mean @ mean - len(mean) - torch.linalg.det(covariance).log())
            ),
            "the determinant of fifty narrow dimensions underflows to zero before its logarithm is taken: use slogdet",
        ),
        "dimension": (
            lambda mean, covariance: _kl_of_gaussian(mean, covariance) + 0.5 * len(mean),
            "d is missing: at the prior itself the trace is d, and the divergence must be zero",
        ),
        "reversed": (
            lambda mean, covariance: (
                0.5
                * (
                    torch.linalg.inv(covariance).trace()
                    + mean @ torch.linalg.inv(covariance) @ mean
                    - len(mean)
                    + torch.linalg.slogdet(covariance).logabsdet
                )
            ),
            "this is KL(N(0, I) ‖ N(mean, covariance)), the other way round; the divergence is not symmetric",
        ),
        "half": (
            lambda mean, covariance: 2 * _kl_of_gaussian(mean, covariance),
            "twice the divergence: the ½ is missing",
        ),
    },
)
