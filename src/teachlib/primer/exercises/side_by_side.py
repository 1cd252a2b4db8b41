"""Exercises on comparing families: dequantized levels, and differences of two models."""

import math

import torch
from torch import Tensor

from teachlib.checks import calls, exercise

_LEVEL, _UNIFORM = torch.tensor([[0, 5, 16], [3, 16, 1]]), torch.tensor([[0.1, 0.9, 0.5], [0.4, 0.2, 0.7]])

dequantized = exercise(
    "dequantized",
    "Return real numbers in [0, 1) from whole numbers 0 … levels − 1 and uniform noise of the same shape.",
    lambda level, levels, noise: (level + noise) / levels,
    calls({"values": (_LEVEL, 17, _UNIFORM), "of bytes": (8 * _LEVEL, 256, _UNIFORM)}),
    wrong={
        "no_noise": (
            lambda level, levels, noise: level / levels,
            "without noise all values lie on a few points, where a density can grow without bound",
        ),
        "last_level": (
            lambda level, levels, noise: (level + noise) / (levels - 1),
            "the last level leaves the interval: levels of width one fill [0, levels), so divide by levels",
        ),
        "centred": (
            lambda level, levels, noise: (level + noise - 0.5) / levels,
            "the noise is centred: level 0 would reach below zero; its cell is [0, 1)",
        ),
    },
)

levels_from_density = exercise(
    "levels_from_density",
    "Return log P of the levels, (N,), from the log-density of images dequantized to [0, 1), D and the levels.",
    lambda log_density, dimensions, levels: log_density - dimensions * math.log(levels),
    calls({"log probability": (torch.tensor([30.0, 55.0]), 64, 17), "of bytes": (torch.tensor([9.0, 40.0]), 12, 256)}),
    wrong={
        "sign": (
            lambda d, n, levels: d + n * math.log(levels),
            "the cell's volume is levels⁻ᴰ, less than one: its logarithm is negative",
        ),
        "one_pixel": (
            lambda d, n, levels: d - math.log(levels),
            "that is the side of a cell; its volume has one factor a pixel",
        ),
        "bits": (
            lambda d, n, levels: d - n * math.log2(levels),
            "nats and bits are mixed: take the natural logarithm",
        ),
    },
)


def _paired(a: Tensor, b: Tensor) -> Tensor:
    difference = a - b
    return torch.stack([difference.mean(), difference.std() / math.sqrt(len(a))])


paired_difference = exercise(
    "paired_difference",
    "Return the mean difference a − b of two models' bits on the same images, (N,) each, and its standard error: (2,).",
    _paired,
    calls({"mean and error": (torch.tensor([2.0, 3.1, 1.2, 2.6, 4.0]), torch.tensor([1.8, 3.0, 1.3, 2.1, 3.9]))}),
    wrong={
        "unpaired": (
            lambda a, b: torch.stack([(a - b).mean(), ((a.var() + b.var()) / len(a)).sqrt()]),
            "the images are the same for both models, and hard ones are hard for both: take the spread of the "
            "differences",
        ),
        "spread_of_one": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).std()]),
            "this is the spread of one image; the mean of N is steadier by √N",
        ),
        "variance": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).var() / len(a)]),
            "this is the squared error of the mean: take the root",
        ),
        "population": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).std(unbiased=False) / len(a) ** 0.5]),
            "the standard deviation divides by N here: the mean was taken from the same N images, so divide by N − 1",
        ),
    },
)
