"""Exercises on what codes know: average precision, a joint density of tiles, what a generator has left out."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ------------------------------------------------------------------------------------------------ precision

_SCORES = torch.tensor([0.9, 0.1, 0.7, 0.4, 0.3])
_HAS = torch.tensor([True, False, False, True, False])


def _precision(scores: Tensor, has: Tensor) -> Tensor:
    hits = has[scores.argsort(descending=True)].float()
    return (hits.cumsum(0) / torch.arange(1, len(hits) + 1))[hits > 0].mean()


precision = exercise(
    "precision",
    "Write precision(scores, has): pictures are ranked by their scores (N,), the highest first; has (N,) says which "
    "have an attribute. At each picture that has it, the precision is the share of those up to it that have it. Return "
    "the mean of these, a scalar.",
    _precision,
    calls({"five": (_SCORES, _HAS), "turned": (-_SCORES, _HAS), "perfect": (_HAS.float() - 0.01 * _SCORES, _HAS)}),
    wrong={
        "lowest_first": (lambda scores, has: _precision(-scores, has), "ranked from the lowest score on"),
        "at_all": (
            lambda scores, has: (
                has[scores.argsort(descending=True)].float().cumsum(0) / torch.arange(1, len(has) + 1)
            ).mean(),
            "averaged over all ranks; only those of pictures that have the attribute count",
        ),
        "accuracy": (
            lambda scores, has: ((scores > 0.5) == has).float().mean(),
            "the share of right answers at one threshold; precision needs none",
        ),
    },
)

# ---------------------------------------------------------------------------------------------------- joint

_CODES = torch.randn(30, 2, 2, 3, generator=seeded(0))
_CODES = _CODES + _CODES[:, :1, :1]  # neighbours know of each other


joint = exercise(
    "joint",
    "Write joint(codes): of the codes of 2×2 neighbouring tiles of N pictures, (N, 2, 2, d), return the covariance "
    "(4d, 4d), over N - 1, of one Gaussian of all four.",
    lambda codes: codes.flatten(1).T.cov(),
    calls({"codes": (_CODES,), "more": (torch.randn(8, 2, 2, 2, generator=seeded(1)),)}),
    wrong={
        "alone": (
            lambda codes: torch.block_diag(*(tile.T.cov() for tile in codes.flatten(1, 2).unbind(1))),
            "tiles do not know of each other: what two of them have in common is zero",
        ),
        "one_for_all": (
            lambda codes: codes.flatten(0, 2).T.cov(),
            "a density of one tile; the four of a picture were to be drawn together",
        ),
        "over_n": (lambda codes: codes.flatten(1).T.cov(correction=0), "divided by N, not by N - 1"),
        "correlation": (
            lambda codes: codes.flatten(1).T.corrcoef(),
            "correlations: numbers of codes have other deviations than one",
        ),
    },
)

# -------------------------------------------------------------------------------------------------- missing

_ENDS = torch.tensor([[0.02, 0.12, 0.2, 0.4], [0.05, 0.04, 0.2, 0.3]])

missing = exercise(
    "missing",
    "Write missing(errors, floor): errors (S, N) at the end of searches from S starts for N pictures. A picture is "
    "left out where no start comes to an error of floor or less. Return the share of such pictures, a scalar.",
    lambda errors, floor: (errors.amin(0) > floor).float().mean(),
    calls({"four": (_ENDS, 0.1), "strict": (_ENDS, 0.3), "none": (_ENDS, 1.0)}),
    wrong={
        "of_starts": (
            lambda errors, floor: (errors > floor).float().mean(),
            "the share of starts that failed; one that succeeds is enough",
        ),
        "worst": (
            lambda errors, floor: (errors.amax(0) > floor).float().mean(),
            "the worst start was asked; the best one tells whether there is a code",
        ),
        "kept": (
            lambda errors, floor: (errors.amin(0) <= floor).float().mean(),
            "the share of pictures that are there",
        ),
        "of_mean": (
            lambda errors, floor: (errors.mean(0) > floor).float().mean(),
            "the mean over starts: one bad start hides a good one",
        ),
    },
)
