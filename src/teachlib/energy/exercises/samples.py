"""Exercises on better samples: when to keep one, when a chain moves, between which bounds a constant lies."""

import math

import torch

from teachlib.checks import calls, exercise, seeded

# -------------------------------------------------------------------------------------------------------- keep

_RATIOS = torch.randn(8, generator=seeded(0), dtype=torch.float64)

keep = exercise(
    "keep",
    "Write keep(log_ratios, log_largest): with which probability rejection sampling keeps generated samples with these "
    "log p_data/p_G (N,), if the largest there is has the logarithm log_largest.",
    lambda log_ratios, log_largest: (log_ratios - log_largest).exp().clamp(max=1.0),
    calls({"some": (_RATIOS, 2.0), "high": (_RATIOS + 900, 903.0), "one above": (_RATIOS, 0.5)}),
    wrong={
        "above_one": (
            lambda log_ratios, log_largest: (log_ratios - log_largest).exp(),
            "a probability above one: the bound was too small there, and all that can be done is to keep the sample",
        ),
        "ratio": (
            lambda log_ratios, log_largest: log_ratios.exp().clamp(max=1.0),
            "the ratio itself: divide by the largest, or samples with more than one are all kept",
        ),
        "overflows": (
            lambda log_ratios, log_largest: (log_ratios.exp() / math.exp(min(log_largest, 709.0))).clamp(max=1.0),
            "exp of 900 is infinite: subtract the logarithms first",
        ),
        "probability": (
            lambda log_ratios, log_largest: torch.sigmoid(log_ratios - log_largest),
            "a sigmoid: that is what the discriminator says of a sample, not how often it should be kept",
        ),
    },
)

# -------------------------------------------------------------------------------------------------------- move

move = exercise(
    "move",
    "Write move(here, there): with which probability a chain of Metropolis and Hastings moves from a sample with "
    "log p_data/p_G = here to a new draw of the generator with log p_data/p_G = there, (N,) each.",
    lambda here, there: (there - here).clamp(max=0).exp(),
    calls({"some": (_RATIOS, _RATIOS.flip(0)), "high": (_RATIOS + 800, _RATIOS.flip(0) + 800)}),
    wrong={
        "reversed": (
            lambda here, there: (here - there).clamp(max=0).exp(),
            "it moves to worse samples and stays at good ones only by chance",
        ),
        "greedy": (
            lambda here, there: (there > here).double(),
            "only upwards: the chain ends at the largest ratio and stays",
        ),
        "barker": (
            lambda here, there: torch.sigmoid(there - here),
            "Barker's rule: it leaves the data unchanged as well, and moves half as often at most",
        ),
        "overflows": (
            lambda here, there: (there.exp() / here.exp()).clamp(max=1),
            "exp of 800 is infinite: subtract the logarithms first",
        ),
    },
)

# ---------------------------------------------------------------------------------------------------- sandwich

_UP, _DOWN = torch.randn(2, 9, generator=seeded(1), dtype=torch.float64)

sandwich = exercise(
    "sandwich",
    "Write sandwich(forward, backward): from the log-weights of annealed chains, forward (N,) of mean weight Z and "
    "backward (M,) of mean weight 1/Z, return the lower and the upper estimate of log Z, (2,).",
    lambda forward, backward: torch.stack(
        [
            torch.logsumexp(forward, 0) - math.log(len(forward)),
            math.log(len(backward)) - torch.logsumexp(backward, 0),
        ]
    ),
    calls({"some": (_UP, _DOWN), "other counts": (_UP[:4] + 800, _DOWN - 800), "equal": (_UP * 0 + 2, _UP * 0 - 2)}),
    wrong={
        "mean_of_logs": (
            lambda forward, backward: torch.stack([forward.mean(), -backward.mean()]),
            "the mean of the logarithms: bounds as well, but wider than need be",
        ),
        "sum": (
            lambda forward, backward: torch.stack([torch.logsumexp(forward, 0), -torch.logsumexp(backward, 0)]),
            "the sum of the weights; their mean estimates Z",
        ),
        "sign": (
            lambda forward, backward: torch.stack(
                [
                    torch.logsumexp(forward, 0) - math.log(len(forward)),
                    torch.logsumexp(backward, 0) - math.log(len(backward)),
                ]
            ),
            "the backward weights have the mean 1/Z: change the sign",
        ),
        "swapped": (
            lambda forward, backward: torch.stack(
                [
                    math.log(len(backward)) - torch.logsumexp(backward, 0),
                    torch.logsumexp(forward, 0) - math.log(len(forward)),
                ]
            ),
            "swapped: by Jensen's inequality the forward estimate is the one that is too small on average",
        ),
    },
)
