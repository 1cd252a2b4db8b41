"""Exercises on obedience: variance explained, a coin against people, and the distance of vertices."""

import math

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# -------------------------------------------------------------------------------------------------- explained

_ASKED = torch.randn(9, 2, generator=seeded(0)) * torch.tensor([1.0, 3.0]) + 1
_FOUND = 0.5 * _ASKED + 0.3 * torch.randn(9, 2, generator=seeded(1))


def _explained(asked: Tensor, found: Tensor) -> Tensor:
    return 1 - (asked - found).square().mean(0) / asked.var(0, correction=0)


def _squared_correlation(asked: Tensor, found: Tensor) -> Tensor:
    a, f = asked - asked.mean(0), found - found.mean(0)
    return (a * f).mean(0).square() / (a.square().mean(0) * f.square().mean(0))


explained = exercise(
    "explained",
    "Write explained(asked, found): R² of each parameter, (P,), from asked and found values (N, P): one less the mean "
    "squared error over the variance of what was asked.",
    _explained,
    calls({"R²": (_ASKED, _FOUND)}),
    wrong={
        "squared_correlation": (
            _squared_correlation,
            "the squared correlation forgives a wrong scale and a wrong offset: who always turns half as far as asked "
            "gets 1",
        ),
        "variance_of_found": (
            lambda asked, found: 1 - (asked - found).square().mean(0) / found.var(0, correction=0),
            "the error over the variance of what was found: who exaggerates is excused",
        ),
        "all_in_one": (
            lambda asked, found: (1 - (asked - found).square().mean() / (asked - asked.mean(0)).square().mean()).expand(
                asked.shape[1]
            ),
            "one number for all parameters together: those with large units then decide",
        ),
        "error_only": (
            lambda asked, found: (asked - found).square().mean(0) / asked.var(0, correction=0),
            "that is the share which is not explained; R² is one less it",
        ),
    },
)

# ------------------------------------------------------------------------------------------------------- coin


def _count(chosen: int, of: int, surprising: int) -> float:
    return sum(math.comb(of, k) for k in range(of + 1) if abs(2 * k - of) >= surprising) / 2**of


coin = exercise(
    "coin",
    "Write coin(chosen, of): the exact probability that a fair coin, tossed `of` times, lies at least as far from half "
    "of them as `chosen` does, to either side.",
    lambda chosen, of: _count(chosen, of, abs(2 * chosen - of)),
    calls({"more": (9, 12), "fewer": (4, 20), "half": (6, 12), "all": (5, 5)}),
    wrong={
        "one_sided": (
            lambda chosen, of: sum(math.comb(of, k) for k in range(max(chosen, of - chosen), of + 1)) / 2**of,
            "one side only: before the study nobody knew which model people would prefer",
        ),
        "further": (
            lambda chosen, of: _count(chosen, of, abs(2 * chosen - of) + 1),
            "what was seen itself is left out: at least as far",
        ),
        "this_count": (
            lambda chosen, of: math.comb(of, chosen) / 2**of,
            "the probability of just this count, which is small for every count if there are many answers",
        ),
        "normal": (
            lambda chosen, of: math.erfc(abs(2 * chosen - of) / math.sqrt(2 * of)),
            "the normal approximation, without a correction: with few answers it finds surprises that are none",
        ),
    },
)

# ------------------------------------------------------------------------------------------------ vertex_rmse

_ONE, _OTHER = torch.randn(2, 3, 4, 3, generator=seeded(2))

vertex_rmse = exercise(
    "vertex_rmse",
    "Write vertex_rmse(first, second): the root of the mean squared distance between the vertices of heads, both "
    "(N, V, 3), over all vertices of all heads; a number.",
    lambda first, second: (first - second).square().sum(2).mean().sqrt(),
    calls({"RMSE": (_ONE, _OTHER)}),
    wrong={
        "mean_distance": (
            lambda first, second: (first - second).norm(dim=2).mean(),
            "the mean of the distances, which the released script calls RMSE: it is always smaller",
        ),
        "coordinates": (
            lambda first, second: (first - second).square().mean().sqrt(),
            "the mean over coordinates, too: a distance is the root of a sum over x, y and z; yours is √3 too small",
        ),
        "no_root": (
            lambda first, second: (first - second).square().sum(2).mean(),
            "without the root the unit is square metres",
        ),
        "root_per_head": (
            lambda first, second: (first - second).square().sum(2).mean(1).sqrt().mean(),
            "a root for each head, and then their mean: heads that are far off count too little",
        ),
    },
)
