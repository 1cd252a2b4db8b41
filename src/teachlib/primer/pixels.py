"""Pixels are counts, densities want real numbers: levels, dequantization and bits per dimension."""

import math

import torch
from torch import Tensor

from teachlib.errors import require_pixels
from teachlib.primer import noise


def to_levels(x: Tensor, levels: int) -> Tensor:
    """Pixels in [0, 1] as whole numbers 0 … levels − 1, of any shape.

    Raises:
        TeachlibError: bytes, or (checked on the CPU alone, where it costs nothing) pixels outside [0, 1].
    """
    require_pixels(x)
    return (x * (levels - 1)).round().long()


def from_levels(level: Tensor, levels: int) -> Tensor:
    """Whole numbers 0 … levels − 1 as pixels in [0, 1]."""
    return level.float() / (levels - 1)


def dequantize(level: Tensor, levels: int, generator: torch.Generator) -> Tensor:
    """(level + U[0, 1)) / levels: real numbers in [0, 1).

    Without the noise a density could grow without bound on the few values that pixels take. With it, the mean
    log-density is at most the log-probability of the levels (Theis, van den Oord & Bethge, 2016).
    """
    return ((level + noise.uniform(level.shape, generator, level.device)) / levels).clamp(max=1 - 1e-6)


def quantize(u: Tensor, levels: int) -> Tensor:
    """The level whose interval a real number of [0, 1) lies in; the inverse of :func:`dequantize`."""
    return (u * levels).floor().long().clamp(0, levels - 1)


def bits_per_dimension(log_prob: Tensor, dimensions: int, *, levels: int | None = None) -> Tensor:
    """Nats of whole samples as bits per pixel, lower is better.

    Args:
        log_prob: log-probability of the levels, (N,); with ``levels``, log-density of dequantized pixels in [0, 1).
        dimensions: D, pixels times channels.
        levels: of a pixel: a density over [0, 1)ᴰ becomes one over [0, levels)ᴰ, whose unit cells are the levels.
    """
    correction = dimensions * math.log(levels) if levels is not None else 0.0
    return (correction - log_prob) / (dimensions * math.log(2))
