"""Exercises on m and penalties: who gets the gradient, how many points do the work, how a slope is held."""

import torch

from teachlib.checks import calls, exercise, seeded

# ------------------------------------------------------------------------------------------------------ shares

_ENERGIES = torch.randn(7, generator=seeded(0))

shares = exercise(
    "shares",
    "Write shares(energies): of the energies f of the m points of one sum of Eq. 7.4, (m,), return which share of the "
    "gradient of log of the sum of exp(-f) goes to each point, (m,).",
    lambda energies: torch.softmax(-energies, 0),
    calls({"some": (_ENERGIES,), "one far below": (torch.tensor([0.0, -30.0, 1.0]),), "high": (_ENERGIES + 1e4,)}),
    wrong={
        "equal": (
            lambda energies: torch.full_like(energies, 1 / len(energies)),
            "equal shares: that is the mean of logarithms, m = 1",
        ),
        "sign": (
            lambda energies: torch.softmax(energies, 0),
            "the highest energies got the most: D is largest where the energy is lowest",
        ),
        "linear": (
            lambda energies: -energies / energies.neg().sum(),
            "in proportion to the energies; the derivative of a log-sum-exp is a softmax",
        ),
        "unnormalized": (
            lambda energies: energies.neg().exp(),
            "D itself: shares sum to one, and exp of large numbers overflows",
        ),
    },
)

# --------------------------------------------------------------------------------------------------- effective

effective = exercise(
    "effective",
    "Write effective(log_weights): how many of m points do the work, (sum of w)^2 / sum of w^2, from the logarithms "
    "of their weights (m,). It is m for equal weights, whatever they are, and 1 where one outweighs all others.",
    lambda log_weights: (2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0)).exp(),
    calls({"some": (_ENERGIES,), "equal": (torch.full((5,), 400.0),), "one": (torch.tensor([0.0, -90.0, -80.0]),)}),
    wrong={
        "overflows": (
            lambda log_weights: log_weights.exp().sum() ** 2 / log_weights.exp().square().sum(),
            "exp of 400 is infinite in single precision: take out what all have in common first",
        ),
        "largest": (
            lambda log_weights: 1 / torch.softmax(log_weights, 0).max(),
            "one over the largest share: a second large one would not count",
        ),
        "perplexity": (
            lambda log_weights: torch.distributions.Categorical(logits=log_weights).entropy().exp(),
            "exp of the entropy: another count of the same kind, larger than the one asked for",
        ),
        "of_logs": (
            lambda log_weights: log_weights.sum() ** 2 / log_weights.square().sum(),
            "the logarithms were taken for the weights",
        ),
    },
)

# ----------------------------------------------------------------------------------------------------- centred

_GRADIENTS = torch.randn(6, 3, generator=seeded(4))

centred = exercise(
    "centred",
    "Write centred(gradients): the one-centred penalty of a critic whose gradients at N points are given, (N, d).",
    lambda gradients: (gradients.norm(dim=1) - 1).square().mean(),
    calls({"some": (_GRADIENTS,), "flat": (torch.zeros(4, 2),), "steep": (5 * _GRADIENTS,)}),
    wrong={
        "of_square": (
            lambda gradients: (gradients.square().sum(1) - 1).square().mean(),
            "the squared norm less one: it is the norm that should be one",
        ),
        "zero_centred": (
            lambda gradients: gradients.square().sum(1).mean(),
            "that pulls slopes to 0: R1's and R2's, not this one",
        ),
        "each_axis": (
            lambda gradients: (gradients.abs() - 1).square().mean(),
            "each coordinate by itself: the slope is the length of the whole gradient",
        ),
        "of_mean": (
            lambda gradients: (gradients.norm(dim=1).mean() - 1).square(),
            "the mean slope less one: steep and flat places may then make up for each other",
        ),
    },
)
