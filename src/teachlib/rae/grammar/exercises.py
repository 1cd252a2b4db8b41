"""Exercises of the notebook on grammars: each with its solution and the mistakes that its checker knows by name."""

import torch
from torch import Tensor
from torch.distributions import Normal

from teachlib.checks import Exercise, by_name, calls, exercise, seeded
from teachlib.rae.grammar.models import sequence_loss

# ---------------------------------------------------------------------------------------------------- masked_nats

_LOGITS = torch.randn(3, 4, 5, generator=seeded(0))
_TOKENS = torch.tensor([[0, 2, 4, 4], [1, 3, 3, 4], [0, 0, 2, 4]])
_MASK = torch.zeros(3, 4, 5, dtype=torch.bool)
_MASK[:, 0, :2] = _MASK[:, 1, :4] = _MASK[:, 2, 2:] = _MASK[:, 3, 4] = True
_MASK.scatter_(2, _TOKENS[..., None], True)


def _chosen(log_probability: Tensor, tokens: Tensor) -> Tensor:
    return log_probability.gather(2, tokens[..., None])[..., 0]


masked_nats = exercise(
    "masked_nats",
    "Write masked_nats(logits, tokens, mask), (N, T, R), (N, T) and (N, T, R): −log P of each sequence, (N,), a "
    "softmax over the open choices at each step.",
    sequence_loss,
    calls({"nats of each sequence": (_LOGITS, _TOKENS, _MASK)}),
    wrong={
        "no_mask": (
            lambda logits, tokens, mask: sequence_loss(logits, tokens),
            "probability is lost to rules that are closed here: the mask must come before the softmax",
        ),
        "not_normalized": (
            lambda logits, tokens, mask: -_chosen(logits, tokens).sum(1),
            "these are the chosen scores themselves; scores become log-probabilities by subtracting their logsumexp",
        ),
        "zero_score": (
            lambda logits, tokens, mask: sequence_loss(logits * mask, tokens),
            "a masked score of 0 is a choice like any other, e⁰ = 1; it must be −∞",
        ),
        "mean_over_steps": (
            lambda logits, tokens, mask: sequence_loss(logits, tokens, mask) / tokens.shape[1],
            "the steps are averaged; the probability of a sequence is their product, so sum the logarithms",
        ),
        "sign": (
            lambda logits, tokens, mask: -sequence_loss(logits, tokens, mask),
            "the sign is flipped: nats are positive",
        ),
    },
)


# ---------------------------------------------------------------------------------------------------- noise_share

_DRAWS = seeded(1)
_MEANS = torch.randn(50, 3, generator=_DRAWS) * torch.tensor([0.5, 1.0, 2.0]) + torch.tensor([1.0, -2.0, 0.0])
_LOG_VARIANCES = torch.randn(50, 3, generator=_DRAWS) - 1


def _share(noise: Tensor, mean: Tensor) -> Tensor:
    return noise / (noise + mean.var(0, correction=0))


noise_share = exercise(
    "noise_share",
    "Write noise_share(mean, log_variance, noise), (N, d), (N, d) and the deviation of ε: for each dimension the "
    "share, (d,), of the variance of z = mean + exp(½·log_variance)·ε, over samples and noise, that is noise.",
    lambda mean, log_variance, noise: _share(noise**2 * log_variance.exp().mean(0), mean),
    calls({"honest": (_MEANS, _LOG_VARIANCES, 1.0), "published": (_MEANS, _LOG_VARIANCES, 0.01)}),
    wrong={
        "noise_not_squared": (
            lambda mean, log_variance, noise: _share(noise * log_variance.exp().mean(0), mean),
            "a deviation of ε multiplies the variance by its square",
        ),
        "deviation": (
            lambda mean, log_variance, noise: _share(noise**2 * (0.5 * log_variance).exp().mean(0), mean),
            "exp(½·log_variance) is the deviation; variances add, deviations do not",
        ),
        "exp_of_mean": (
            lambda mean, log_variance, noise: _share(noise**2 * log_variance.mean(0).exp(), mean),
            "the log-variances are averaged; average the variances",
        ),
        "second_moment": (
            lambda mean, log_variance, noise: (
                (noise**2 * log_variance.exp().mean(0))
                / (noise**2 * log_variance.exp().mean(0) + mean.square().mean(0))
            ),
            "the means' square is averaged; their variance is about their own mean, which need not be zero",
        ),
        "ratio": (
            lambda mean, log_variance, noise: noise**2 * log_variance.exp().mean(0) / mean.var(0, correction=0),
            "this is noise over signal; the share is noise over both together",
        ),
    },
    tolerance={"honest": 1e-2, "published": 2e-5},  # n or n − 1 is not the point
)


# ------------------------------------------------------------------------------------------- expected_improvement

_MEAN, _DEVIATION = torch.tensor([0.2, 1.0, -0.5, 2.0]), torch.tensor([0.5, 1.5, 0.1, 0.3])


def _improvement(mean: Tensor, deviation: Tensor, best: float) -> Tensor:
    gain, normal = (best - mean) / deviation, Normal(0.0, 1.0)
    return deviation * (gain * normal.cdf(gain) + normal.log_prob(gain).exp())


expected_improvement = exercise(
    "expected_improvement",
    "Write expected_improvement(mean, deviation, best), (N,), (N,) and a number: E max(best − f, 0) for "
    "f ~ N(mean, deviation²), when lower is better.",
    _improvement,
    calls({"improvement": (_MEAN, _DEVIATION, 0.4)}),
    wrong={
        "higher_is_better": (
            lambda mean, deviation, best: _improvement(-mean, deviation, -best),
            "this improves upwards, E max(f − best, 0); here lower is better",
        ),
        "of_the_mean": (
            lambda mean, deviation, best: (best - mean).clamp_min(0),
            "this is the improvement of the mean; an uncertain place improves on average even where its mean does not",
        ),
        "probability": (
            lambda mean, deviation, best: Normal(0.0, 1.0).cdf((best - mean) / deviation),
            "this is the probability of an improvement; how large it is counts too",
        ),
        "density_missing": (
            lambda mean, deviation, best: (best - mean) * Normal(0.0, 1.0).cdf((best - mean) / deviation),
            "the second term, deviation times the normal density of the gain, is missing",
        ),
        "not_scaled": (
            lambda mean, deviation, best: _improvement(mean, deviation, best) / deviation,
            "the result is in units of the deviation; multiply by it",
        ),
    },
)

EXERCISES: dict[str, Exercise] = by_name(masked_nats, noise_share, expected_improvement)
