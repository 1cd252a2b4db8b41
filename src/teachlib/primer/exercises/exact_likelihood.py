"""Exercises on flows and autoregressive networks: a coupling, bits per dimension, a mask."""

import math

import torch
from torch import Tensor

from teachlib.checks import calls, exercise
from teachlib.primer import pixels

_X = torch.tensor([[0.5, -1.0], [2.0, 0.3]])
_LOG_SCALE, _SHIFT = torch.tensor([[0.3, -0.5], [-0.2, 0.9]]), torch.tensor([[1.0, -0.4], [0.2, 0.6]])


def _coupling(x: Tensor, log_scale: Tensor, shift: Tensor) -> Tensor:
    return torch.cat([x * log_scale.exp() + shift, log_scale.sum(1, keepdim=True)], 1)


affine_step = exercise(
    "affine_step",
    "Return z = x·exp(s) + t with log|det ∂z/∂x| as a last column: (N, d + 1) from x, s and t, (N, d).",
    _coupling,
    calls({"z and log determinant": (_X, _LOG_SCALE, _SHIFT)}),
    wrong={
        "sign": (
            lambda x, s, t: torch.cat([x * s.exp() + t, -s.sum(1, keepdim=True)], 1),
            "the log-determinant has the sign of the inverse map: stretching by exp(s) has log-determinant +Σs",
        ),
        "determinant": (
            lambda x, s, t: torch.cat([x * s.exp() + t, s.exp().prod(1, keepdim=True)], 1),
            "this is the determinant; its logarithm was asked for",
        ),
        "mean": (
            lambda x, s, t: torch.cat([x * s.exp() + t, s.mean(1, keepdim=True)], 1),
            "the logarithm of a product is a sum: add the log-scales of the d coordinates",
        ),
        "sum_of_scales": (
            lambda x, s, t: torch.cat([x * s.exp() + t, s.exp().sum(1, keepdim=True)], 1),
            "the scales were added; the log-determinant adds their logarithms, which are s",
        ),
        "shift_first": (
            lambda x, s, t: torch.cat([(x + t) * s.exp(), s.sum(1, keepdim=True)], 1),
            "first scale, then shift, as the formula says",
        ),
        "log_scale_as_scale": (
            lambda x, s, t: torch.cat([x * s + t, s.sum(1, keepdim=True)], 1),
            "the log-scale was used as the scale: multiply by exp(s), which is never zero or negative",
        ),
    },
)

bits_per_dimension = exercise(
    "bits_per_dimension",
    "Return bits per dimension, (N,), from log-densities in nats of images dequantized to [0, 1), (N,), D and "
    "the levels.",
    lambda log_density, dimensions, levels: pixels.bits_per_dimension(log_density, dimensions, levels=levels),
    calls({"bits": (torch.tensor([30.0, 55.0]), 64, 17), "other images": (torch.tensor([9.0, 40.0]), 12, 256)}),
    wrong={
        "nats": (
            lambda d, n, levels: (n * math.log(levels) - d) / n,
            "these are nats: divide by log 2",
        ),
        "no_levels": (
            lambda d, n, levels: -d / (n * math.log(2)),
            "bits of a density over [0, 1) are negative here: a level is a cell of side 1/levels; add log₂(levels)",
        ),
        "per_image": (
            lambda d, n, levels: (n * math.log(levels) - d) / math.log(2),
            "bits of a whole image: divide by the number of dimensions",
        ),
        "sign": (
            lambda d, n, levels: (d - n * math.log(levels)) / (n * math.log(2)),
            "the sign is turned: the likelier the image, the fewer bits",
        ),
        "mixed": (
            lambda d, n, levels: math.log2(levels) - d / n,
            "bits and nats are mixed: the levels were counted in bits, the log-density is still in nats",
        ),
    },
)

_DEGREES = torch.tensor([2, 0, 1, 1, 0])

output_mask = exercise(
    "output_mask",
    "Return the mask of the last layer, (dim, hidden), true where output i may see a hidden unit: one that has seen "
    "variables up to its degree (counted from 0).",
    lambda dim, degrees: (torch.arange(dim)[:, None] > degrees).float(),
    calls({"mask": (4, _DEGREES), "of three": (3, torch.tensor([1, 0, 0, 1]))}),
    wrong={
        "sees_itself": (
            lambda dim, degrees: (torch.arange(dim)[:, None] >= degrees).float(),
            "output i sees variable i itself: it would learn to copy it. A degree must be smaller than i",
        ),
        "transposed": (
            lambda dim, degrees: (torch.arange(dim)[:, None] > degrees).float().T,
            "transposed: a linear layer's weight is (outputs, inputs)",
        ),
        "reversed": (
            lambda dim, degrees: (torch.arange(dim)[:, None] < degrees).float(),
            "this is the reverse order: output i sees what comes after it",
        ),
    },
)
