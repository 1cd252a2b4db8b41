"""Exercises on why generators have no inverse: how many starts, what an encoder learns, where the codes lie."""

import math

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ---------------------------------------------------------------------------------------------------- starts

starts = exercise(
    "starts",
    "Write starts(hits, wanted): how many random starts it takes until at least one of them ends in the right valley "
    "with probability wanted or more, if each does so with probability hits, between 0 and 1, by itself.",
    lambda hits, wanted: math.ceil(math.log(1 - wanted) / math.log(1 - hits)),
    calls({"seldom": (0.06, 0.5), "often": (0.6, 0.95), "surer": (0.3, 0.999)}),
    wrong={
        "on_average": (
            lambda hits, wanted: math.ceil(1 / hits),
            "that many hit once on average; one in three or so then hits never",
        ),
        "one_too_few": (
            lambda hits, wanted: math.floor(math.log(1 - wanted) / math.log(1 - hits)),
            "rounded down: the probability is then still below what was wanted",
        ),
        "proportional": (
            lambda hits, wanted: math.ceil(wanted / hits),
            "probabilities of several starts do not add up: two that hit are counted twice",
        ),
    },
)

# --------------------------------------------------------------------------------------------------- encoder

_CODES = torch.randn(12, 3, generator=seeded(0))
_SHOWN = torch.tensor([0, 1, 2, 0, 1, 0, 2, 2, 0, 1, 0, 0])


def _means(codes: Tensor, shown: Tensor) -> Tensor:
    hot = torch.nn.functional.one_hot(shown).to(codes)
    return hot.T @ codes / hot.sum(0)[:, None]


encoder = exercise(
    "encoder",
    "Write encoder(codes, shown): codes (N, d) were drawn from the prior, and the generator made picture number "
    "shown (N,) of each; several codes make the same picture. Return what a network learns for each picture, (P, d), "
    "that was trained on such pairs by squared error until nothing could be improved.",
    _means,
    calls({"three pictures": (_CODES, _SHOWN), "one code each": (_CODES[:3], torch.arange(3))}),
    wrong={
        "first": (
            lambda codes, shown: torch.stack([codes[shown == p][0] for p in range(int(shown.max()) + 1)]),
            "the first code that made it: the squared error asks for one answer to all of them",
        ),
        "median": (
            lambda codes, shown: torch.stack([codes[shown == p].median(0).values for p in range(int(shown.max()) + 1)]),
            "the median is what the absolute error would teach",
        ),
        "of_all": (
            lambda codes, shown: codes.mean(0).expand(int(shown.max()) + 1, -1),
            "the mean of all codes: the encoder does see which picture it is",
        ),
        "total": (
            lambda codes, shown: torch.nn.functional.one_hot(shown).to(codes).T @ codes,
            "the sum: divide by how many codes made each picture",
        ),
    },
)

# ---------------------------------------------------------------------------------------------------- nearest

_POINTS = torch.randn(5, 2, generator=seeded(2))
_GRID = torch.cat([torch.randn(9, 2, generator=seeded(1)), _POINTS + torch.tensor([0.8, 0.9])])


preimages = exercise(
    "preimages",
    "Write preimages(made, points, within): made (G, 2) are the points that a generator makes of a fine grid of codes. "
    "Return for each of points (N, 2) how many codes of the grid land no further from it than within, (N,).",
    lambda made, points, within: ((points[:, None] - made).norm(dim=2) <= within).sum(1),
    calls({"some": (_GRID, _POINTS, 1.0), "none and all": (_GRID, torch.cat([_POINTS, _GRID * 0 + 90]), 5.0)}),
    wrong={
        "squared": (
            lambda made, points, within: ((points[:, None] - made).square().sum(2) <= within).sum(1),
            "the squared distance was compared with a distance",
        ),
        "each_axis": (
            lambda made, points, within: ((points[:, None] - made).abs() <= within).all(2).sum(1),
            "each coordinate by itself: that counts a square, not a disc",
        ),
        "wrong_side": (
            lambda made, points, within: ((points[:, None] - made).norm(dim=2) <= within).sum(0),
            "summed over the points: how many codes there are for each point was asked",
        ),
        "whether": (
            lambda made, points, within: ((points[:, None] - made).norm(dim=2) <= within).any(1).long(),
            "whether there is any; how many was asked",
        ),
    },
)
