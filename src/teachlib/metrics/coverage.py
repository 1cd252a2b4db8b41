"""Density and coverage (Naeem et al., 2020), and nearest neighbours: whether samples are fresh and reach everywhere."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from teachlib.distances import distances
from teachlib.errors import TeachlibError
from teachlib.metrics.arrays import real_array

_ROWS = 1_000


@dataclass(frozen=True)
class DensityCoverage:
    """How generated features lie among real ones.

    Attributes:
        density: mean number of real neighbourhoods that a generated sample lies in, over ``k``; 1 for a perfect
            generator, more for one that prefers crowded places.
        coverage: share of real samples with a generated one in their neighbourhood, in [0, 1].
    """

    density: float
    coverage: float


def density_coverage(features_real: Any, features_generated: Any, *, k: int = 5) -> DensityCoverage:
    """Compare two sets of features by the neighbourhoods of the real ones.

    The neighbourhood of a real sample is the closed ball up to its k-th nearest other real sample: of a sample that
    occurs more than k times, the sample itself, so that a set covers itself whatever it repeats. Unlike balls around
    generated samples, as in improved precision and recall, an outlier among the generated ones cannot blow these up.

    Args:
        features_real: (N, D), tensor or array, N > k.
        features_generated: (M, D).
        k: neighbours.

    Raises:
        TeachlibError: shapes that do not fit, values that are not finite, or too few real samples.
    """
    real, generated = real_array("features_real", features_real), real_array("features_generated", features_generated)
    if real.ndim != 2 or generated.ndim != 2 or real.shape[1] != generated.shape[1] or not len(generated):
        raise TeachlibError(f"features of shapes {real.shape} and {generated.shape}; expected (N, D) and (M, D)")
    if not 1 <= k < len(real):
        raise TeachlibError(f"k={k} neighbours of {len(real)} real samples; expected 1 to {len(real) - 1}")
    centres, points = _at_unit_size(torch.from_numpy(real), torch.from_numpy(generated))
    # A table of all distances would not fit.
    radius = torch.cat([distances(part, centres).kthvalue(k + 1, 1).values for part in centres.split(_ROWS)])
    inside, covered = 0, torch.zeros(len(centres), dtype=torch.bool)
    for part in points.split(_ROWS):
        within = distances(part, centres) <= radius
        inside += int(within.sum())
        covered |= within.any(0)
    return DensityCoverage(inside / (k * len(points)), float(covered.double().mean()))


def _at_unit_size(real: Tensor, generated: Tensor) -> tuple[Tensor, Tensor]:
    """Both divided by the power of two at the spread of their numbers: exactly, and no square leaves float64."""
    both = torch.cat([real, generated])
    spread = float((both.amax(0) - both.amin(0)).max())
    if not 0 < spread < math.inf:
        return real, generated
    scale = 2.0 ** math.floor(math.log2(spread))
    return real / scale, generated / scale


def nearest(queries: Tensor, candidates: Tensor, *, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest candidates of each query, by Euclidean distance of all their numbers (thesis App. A.1.6).

    Args:
        queries: images or features, (N, …).
        candidates: (M, …) of the same shape, M ≥ k.
        k: how many.

    Returns:
        Their places among the candidates, (N, k), nearest first, and distances, (N, k).

    Raises:
        TeachlibError: other shapes, fewer candidates than ``k``, or numbers that are not finite.
    """
    if queries.shape[1:] != candidates.shape[1:] or not 1 <= k <= len(candidates):
        raise TeachlibError(
            f"queries of {tuple(queries.shape)} among candidates of {tuple(candidates.shape)}, k={k}; "
            "expected one shape, and k from 1 to the number of candidates"
        )
    kind = torch.promote_types(torch.promote_types(queries.dtype, candidates.dtype), torch.float32)
    rows, flat = queries.flatten(1).to(kind), candidates.flatten(1).to(kind)
    if not (rows.isfinite().all() and flat.isfinite().all()):
        raise TeachlibError("queries or candidates that are not finite; look for NaN in the images or the features")
    neighbours = [distances(part, flat).topk(k, largest=False) for part in rows.split(_ROWS)]
    return torch.cat([part.indices for part in neighbours]), torch.cat([part.values for part in neighbours])
