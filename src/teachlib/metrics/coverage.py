"""Density and coverage (Naeem et al., 2020), and nearest neighbours: whether samples are fresh and reach everywhere."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.metrics.arrays import real_array

Array = NDArray[np.float64]


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

    The neighbourhood of a real sample is a ball up to its k-th nearest other real sample. Unlike balls around generated
    samples, as in improved precision and recall, an outlier among the generated ones cannot blow these up.

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
    radius = NearestNeighbors(n_neighbors=k + 1).fit(real).kneighbors(real)[0][:, k]
    inside = np.zeros(len(generated))
    covered = np.zeros(len(real), dtype=bool)
    for start in range(0, len(generated), 1000):  # a table of all distances would not fit
        part = torch.from_numpy(generated[start : start + 1000])
        within = torch.cdist(part, torch.from_numpy(real)).numpy() < radius
        inside[start : start + 1000] = within.sum(1)
        covered |= within.any(0)
    return DensityCoverage(float(inside.mean() / k), float(covered.mean()))


def nearest(queries: Tensor, candidates: Tensor, *, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest candidates of each query, by Euclidean distance of all their numbers (thesis App. A.1.6).

    Args:
        queries: images or features, (N, …).
        candidates: (M, …) of the same shape, M ≥ k.
        k: how many.

    Returns:
        Their places among the candidates, (N, k), nearest first, and distances, (N, k).

    Raises:
        TeachlibError: other shapes, or fewer candidates than ``k``.
    """
    if queries.shape[1:] != candidates.shape[1:] or not 1 <= k <= len(candidates):
        raise TeachlibError(
            f"queries of {tuple(queries.shape)} among candidates of {tuple(candidates.shape)}, k={k}; "
            "expected one shape, and k from 1 to the number of candidates"
        )
    flat = candidates.flatten(1).float()
    # Distances by a product of matrices would lose their digits, and with them a copy's distance of zero.
    plain = partial(torch.cdist, compute_mode="donot_use_mm_for_euclid_dist")
    neighbours = [plain(part.flatten(1).float(), flat).topk(k, largest=False) for part in queries.split(256)]
    return torch.cat([part.indices for part in neighbours]), torch.cat([part.values for part in neighbours])
