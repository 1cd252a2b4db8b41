"""Exercises on histograms, kernels and codebooks."""

import math

import torch
from torch import Tensor

from teachlib.checks import calls, exercise

_COUNTS = torch.tensor([3.0, 5.0, 0.0, 2.0])
_CENTRES = torch.tensor([-1.0, 0.2, 0.9, 2.5])
_AT = torch.tensor([-0.5, 0.0, 1.1])


def _kernel_density(x: Tensor, centres: Tensor, bandwidth: float) -> Tensor:
    return torch.distributions.Normal(centres, bandwidth).log_prob(x[:, None]).exp().mean(1)


histogram_density = exercise(
    "histogram_density",
    "Return the density in each cell, from counts and the cells' width.",
    lambda counts, width: counts / (counts.sum() * width),
    calls({"density": (_COUNTS, 0.25), "more samples": (3 * _COUNTS, 0.5)}),
    wrong={
        "shares": (
            lambda counts, width: counts / counts.sum(),
            "these are probabilities of cells; a density is probability per unit of length: divide by the width",
        ),
        "not_normalized": (
            lambda counts, width: counts / width,
            "divide by the number of samples too: the whole must integrate to one",
        ),
        "times_width": (
            lambda counts, width: counts * width / counts.sum(),
            "multiplied by the width instead of divided: narrow cells with the same share are denser, not thinner",
        ),
    },
)

kernel_density = exercise(
    "kernel_density",
    "Return the density at x, (M,), by Gaussian kernels of one bandwidth at the centres, (N,).",
    _kernel_density,
    calls({"density": (_AT, _CENTRES, 0.4), "wider": (_AT, _CENTRES[:3], 0.9)}),
    wrong={
        "sum": (
            lambda x, c, h: len(c) * _kernel_density(x, c, h),
            "this integrates to the number of centres: average the kernels, do not add them",
        ),
        "without_bandwidth": (
            lambda x, c, h: h * _kernel_density(x, c, h),
            "the factor 1/h is missing: a narrow kernel must be high, for its area is one",
        ),
        "bandwidth_as_variance": (
            lambda x, c, h: _kernel_density(x, c, h**0.5),
            "the bandwidth was taken for a variance: it is the kernel's standard deviation",
        ),
        "without_root": (
            lambda x, c, h: _kernel_density(x, c, h) * math.sqrt(2 * math.pi),
            "the factor 1/√(2π) is missing: each kernel must have area one",
        ),
        "of_the_plane": (
            lambda x, c, h: _kernel_density(x, c, h) / (h * math.sqrt(2 * math.pi)),
            "1/(2πh²) is the constant of a kernel in the plane; on a line it is the root of that, 1/(h√(2π))",
        ),
    },
)

# The last two have other nearest codes by the sum, the largest or the first of the coordinates' distances.
_PLANE = torch.tensor([[2.0, 0.5], [-1.0, -0.2], [0.3, 0.4], [-3.0, 1.0], [-3.0, 1.8]])
_CODES = torch.tensor([[1.5, 0.0], [-0.5, -0.5], [4.0, 3.0], [0.2, 1.0]])

nearest_code = exercise(
    "nearest_code",
    "Return the number of the nearest code, (N,), for points (N, d) and a codebook (K, d).",
    lambda x, codebook: torch.cdist(x, codebook).argmin(1),
    calls({"codes": (_PLANE, _CODES)}),
    wrong={
        "inner_product": (
            lambda x, codebook: (x @ codebook.T).argmax(1),
            "the largest inner product favours long codes; the nearest code has the smallest distance",
        ),
        "farthest": (lambda x, codebook: torch.cdist(x, codebook).argmax(1), "this is the farthest code"),
        "wrong_axis": (
            lambda x, codebook: torch.cdist(x, codebook).argmin(0),
            "this finds the nearest point of each code; find the nearest code of each point",
        ),
    },
)
