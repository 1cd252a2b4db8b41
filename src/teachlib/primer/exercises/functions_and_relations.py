"""Exercises on relations: mixtures of Gaussians as answers, and what least squares makes of them."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise

# Weights that add to one, unequal; N ≠ K.
_WEIGHTS = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]])
_MEANS = torch.tensor([[-1.0, 2.0, 0.5], [0.3, -0.4, 1.7]])
_DEVIATIONS = torch.tensor([[0.4, 0.7, 1.6], [0.9, 0.2, 1.3]])
_Y = torch.tensor([0.6, -0.2])
_FAR = torch.tensor([90.0, -70.0])  # every component's density underflows there
_ONE_FAR = torch.tensor([90.0, -0.2])

least_squares_answer = exercise(
    "least_squares_answer",
    "Return what least squares would predict, (N,), where the answers are mixtures with these weights and "
    "means, (N, K).",
    lambda weights, means: (weights * means).sum(1),
    calls({"prediction": (_WEIGHTS, _MEANS)}),
    wrong={
        "unweighted": (
            lambda weights, means: means.mean(1),
            "the weights are not used: an answer that is given more often pulls the mean harder",
        ),
        "most_likely": (
            lambda weights, means: means.gather(1, weights.argmax(1, keepdim=True))[:, 0],
            "this is the mean of the most likely component. Least squares compromises between all of them, "
            "which is just what is wrong with it here",
        ),
        "averaged_twice": (
            lambda weights, means: (weights * means).mean(1),
            "too small by the number of components: the weights already add to one, so sum, do not average",
        ),
        "over_the_batch": (
            lambda weights, means: (weights * means).sum(0),
            "summed over the inputs: each of the N inputs has its own answer; sum over the K components",
        ),
    },
)


def _mixture_log_prob(y: Tensor, weights: Tensor, means: Tensor, deviations: Tensor) -> Tensor:
    normal = torch.distributions.Normal(means, deviations).log_prob(y[:, None])
    return torch.logsumexp(weights.log() + normal, 1)


mixture_log_prob = exercise(
    "mixture_log_prob",
    "Return log p(y | x), (N,), for answers y, (N,), and mixtures of Gaussians with weights, means and standard "
    "deviations, (N, K).",
    _mixture_log_prob,
    calls(
        {
            name: (y, _WEIGHTS, _MEANS, _DEVIATIONS)
            for name, y in {"log density": _Y, "far out": _FAR, "one of two far out": _ONE_FAR}.items()
        }
    ),
    wrong={
        "sum_of_logs": (
            lambda y, w, m, s: (w * torch.distributions.Normal(m, s).log_prob(y[:, None])).sum(1),
            "this averages the logarithms. A mixture adds densities: take the logarithm of the sum, by logsumexp",
        ),
        "without_weights": (
            lambda y, w, m, s: torch.logsumexp(torch.distributions.Normal(m, s).log_prob(y[:, None]), 1),
            "the weights are missing: this integrates to K, not to one",
        ),
        "deviation_for_variance": (
            lambda y, w, m, s: _mixture_log_prob(y, w, m, s.sqrt()),
            "the deviations were read as variances: they enter squared",
        ),
        "without_constant": (
            lambda y, w, m, s: torch.logsumexp(w.log() - 0.5 * ((y[:, None] - m) / s) ** 2, 1),
            "the Gaussians' constants 1/(σ√2π) are missing: a narrow component must be higher than a wide one",
        ),
        "density": (
            lambda y, w, m, s: _mixture_log_prob(y, w, m, s).exp(),
            "this is the density; its logarithm was asked for",
        ),
        "underflow": (
            lambda y, w, m, s: (w * torch.distributions.Normal(m, s).log_prob(y[:, None]).exp()).sum(1).log(),
            "right near the components; far out every density rounds to zero, whose logarithm is −∞: stay with "
            "logarithms, by logsumexp",
        ),
    },
)

squared_error_of_a_guess = exercise(
    "squared_error_of_a_guess",
    "Return E(y − c)², (N,), of a guess c, (N,), where y comes from mixtures with weights, means and "
    "deviations, (N, K).",
    lambda c, weights, means, deviations: (weights * (deviations**2 + (means - c[:, None]) ** 2)).sum(1),
    calls({"error": (_Y, _WEIGHTS, _MEANS, _DEVIATIONS)}),
    wrong={
        "no_noise": (
            lambda c, w, m, s: (w * (m - c[:, None]) ** 2).sum(1),
            "the spread within each component is missing: even the right component leaves its variance",
        ),
        "from_the_mean": (
            lambda c, w, m, s: ((w * m).sum(1) - c) ** 2 + (w * s**2).sum(1),
            "the components' distances from their common mean are missing: they are most of the error of a relation",
        ),
        "deviation_for_variance": (
            lambda c, w, m, s: (w * (s + (m - c[:, None]) ** 2)).sum(1),
            "a standard deviation was added to squares: square it",
        ),
    },
)
