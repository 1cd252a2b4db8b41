"""Exercises on tiles: how many, whether their seams show, and windows over frames."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ---------------------------------------------------------------------------------------------------- tiles

tiles = exercise(
    "tiles",
    "Write tiles(height, width, tile): how many rows and columns of square tiles cover a picture, as two whole "
    "numbers; the last ones may reach over its border.",
    lambda height, width, tile: (-(-height // tile), -(-width // tile)),
    calls({"over": (150, 203, 32), "exact": (64, 96, 32), "one": (32, 33, 32)}),
    wrong={
        "floor": (
            lambda height, width, tile: (height // tile, width // tile),
            "what is left at the border is covered by no tile",
        ),
        "one_more": (
            lambda height, width, tile: (height // tile + 1, width // tile + 1),
            "a picture that tiles fit exactly got a row too many",
        ),
        "turned": (
            lambda height, width, tile: (-(-width // tile), -(-height // tile)),
            "rows lie along the height, columns along the width",
        ),
    },
)

# ----------------------------------------------------------------------------------------------------- seam

_PICTURE = torch.rand(5, 12, generator=seeded(0))
_STRIPED = _PICTURE / 10 + (torch.arange(12) // 4) % 2


def _seam(picture: Tensor, tile: int) -> Tensor:
    steps = (picture[:, 1:] - picture[:, :-1]).abs()
    edge = torch.arange(1, picture.shape[1]) % tile == 0
    return steps[:, edge].mean() / steps[:, ~edge].mean()


seam = exercise(
    "seam",
    "Write seam(picture, tile): of the absolute differences between neighbouring columns of a picture (H, W), return "
    "the mean of those across edges of tiles over the mean of all others, a scalar.",
    _seam,
    calls({"noise": (_PICTURE, 4), "stripes": (_STRIPED, 4), "other tiles": (_PICTURE, 3)}),
    wrong={
        "shifted": (
            lambda picture, tile: _seam(picture[:, 1:], tile),
            "the edge between columns 3 and 4 belongs to tiles of 4; a step beside it was taken",
        ),
        "over_all": (
            lambda picture, tile: (
                (picture[:, 1:] - picture[:, :-1]).abs()[:, torch.arange(1, picture.shape[1]) % tile == 0].mean()
                / (picture[:, 1:] - picture[:, :-1]).abs().mean()
            ),
            "divided by the mean of all steps, those across edges among them",
        ),
        "signed": (
            lambda picture, tile: (
                (picture[:, 1:] - picture[:, :-1])[:, torch.arange(1, picture.shape[1]) % tile == 0].mean()
                / (picture[:, 1:] - picture[:, :-1])[:, torch.arange(1, picture.shape[1]) % tile != 0].mean()
            ),
            "steps up and down cancelled: absolute differences were asked for",
        ),
    },
)

# --------------------------------------------------------------------------------------------------- window


def _window(frames: int, time: float, sigma: float) -> Tensor:
    weights = torch.exp(-((torch.arange(frames) - time) ** 2) / (2 * sigma**2))
    return weights / weights.sum()


window = exercise(
    "window",
    "Write window(frames, time, sigma): weights (frames,) of a Gaussian of deviation sigma around a time, in frames, "
    "summing to one.",
    _window,
    calls({"between": (5, 1.5, 0.5), "on a frame": (4, 2.0, 0.7), "border": (3, 0.0, 1.0)}),
    wrong={
        "unsummed": (
            lambda frames, time, sigma: torch.exp(-((torch.arange(frames) - time) ** 2) / (2 * sigma**2)),
            "they do not sum to one: pictures at the border of the film would be darker",
        ),
        "variance": (
            lambda frames, time, sigma: torch.softmax(-((torch.arange(frames) - time) ** 2) / (2 * sigma), 0),
            "sigma was taken as a variance; it is a deviation",
        ),
        "absolute": (
            lambda frames, time, sigma: torch.softmax(-(torch.arange(frames) - time).abs() / sigma, 0),
            "falls off with the distance, not with its square: no Gaussian",
        ),
    },
)
