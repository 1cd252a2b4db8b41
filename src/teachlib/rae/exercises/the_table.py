"""Exercises on reading a table: ranks, F-scores along a curve, differences in units of their error."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise

# ----------------------------------------------------------------------------------------------- rank_correlation

_FIRST = torch.tensor([10.0, 20.4, 9.4, 315.1, 14.3, 57.9])
_SECOND = torch.tensor([0.021, 0.09, 0.019, 0.11, 0.034, 0.041])
_TWO = (torch.tensor([1.0, 5.0]), torch.tensor([2.0, 2.1]))


def _ranks(x: Tensor) -> Tensor:
    return x.argsort().argsort().double()


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    x, y = x.double() - x.double().mean(), y.double() - y.double().mean()
    return (x * y).sum() / (x.norm() * y.norm())


rank_correlation = exercise(
    "rank_correlation",
    "Write rank_correlation(a, b) of two lists of numbers without ties, (N,) each: Spearman's, the correlation of "
    "their ranks, from −1 to 1.",
    lambda a, b: _correlation(_ranks(a), _ranks(b)),
    calls({"correlation": (_FIRST, _SECOND), "with the order reversed": (_FIRST, -_SECOND), "of two": _TWO}),
    wrong={
        "values": (
            _correlation,
            "this is the correlation of the values: one huge distance decides it. Correlate the ranks",
        ),
        "order_for_rank": (
            lambda a, b: _correlation(a.argsort(), b.argsort()),
            "argsort gives the order, not the ranks: which entry comes first, not which place an entry has. "
            "Sort the order once more",
        ),
        "absolute": (
            lambda a, b: _correlation(_ranks(a), _ranks(b)).abs(),
            "the sign is lost: tables in reversed order have −1",
        ),
        "not_centred": (
            lambda a, b: (_ranks(a) * _ranks(b)).sum() / (_ranks(a).norm() * _ranks(b).norm()),
            "the ranks are not centred: subtract their mean first",
        ),
    },
)


# --------------------------------------------------------------------------------------------------- best_f_score

_PRECISION = torch.tensor([0.0, 0.3, 0.6, 0.9, 1.0, 0.0])
_RECALL = torch.tensor([0.95, 0.9, 0.7, 0.35, 0.0, 0.0])


def _f_scores(precision: Tensor, recall: Tensor, beta: float) -> Tensor:
    below = beta**2 * precision + recall
    return torch.where(below > 0, (1 + beta**2) * precision * recall / below, 0.0)


best_f_score = exercise(
    "best_f_score",
    "Write best_f_score(precision, recall, beta) of a curve, (N,) each: the largest F_β = (1 + β²)·PR/(β²·P + R) "
    "along it, 0 where both are 0.",
    lambda precision, recall, beta: _f_scores(precision, recall, beta).max(),
    calls({"F_8": (_PRECISION, _RECALL, 8.0), "F_1/8": (_PRECISION, _RECALL, 0.125)}),
    wrong={
        "swapped": (
            lambda precision, recall, beta: _f_scores(recall, precision, beta).max(),
            "precision and recall are swapped: β² stands at the precision, so that a large β counts recall",
        ),
        "beta_not_squared": (
            lambda precision, recall, beta: _f_scores(precision, recall, beta**0.5).max(),
            "β is not squared",
        ),
        "mean": (
            lambda precision, recall, beta: _f_scores(precision, recall, beta).mean(),
            "the curve is averaged; the largest value along it was asked for",
        ),
        "largest_of_each": (
            lambda precision, recall, beta: _f_scores(precision.max(), recall.max(), beta),
            "the largest precision and the largest recall are not had at the same point of the curve",
        ),
    },
)


# ----------------------------------------------------------------------------------------------- standard_distance

_A, _B = torch.tensor([0.021, 0.025, 0.020]), torch.tensor([0.034, 0.031, 0.040, 0.033, 0.036])


def _standard_distance(a: Tensor, b: Tensor, *, lost: int = 1, power: float = 1.0) -> Tensor:
    errors = a.var(correction=lost) / len(a) ** power + b.var(correction=lost) / len(b) ** power
    return (a.mean() - b.mean()) / errors.sqrt()


standard_distance = exercise(
    "standard_distance",
    "Write standard_distance(a, b), the results of two models with several seeds each: the difference of the "
    "means, a minus b, in units of its own standard error (Welch).",
    _standard_distance,
    calls({"distance": (_A, _B), "the other way round": (_B, _A)}),
    wrong={
        "deviations": (
            lambda a, b: _standard_distance(a, b, power=0.0),
            "divided by the seeds' own spread. A mean of n seeds is known √n times better: divide the variances by n",
        ),
        "population_variance": (
            lambda a, b: _standard_distance(a, b, lost=0),
            "the variances divide by n; with so few seeds the sample variance, n − 1, matters",
        ),
        "absolute": (lambda a, b: _standard_distance(a, b).abs(), "the sign says which model is better; keep it"),
        "squared": (
            lambda a, b: (a.mean() - b.mean()) / (a.var() / len(a) + b.var() / len(b)),
            "divided by the variance of the difference; its root is the standard error",
        ),
    },
)
