"""Precision and recall of a generator as a curve (Sajjadi et al. 2018, "Assessing Generative Models via …")."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from teachlib.errors import TeachlibError
from teachlib.metrics.arrays import real_array

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PRD:
    """A precision-recall curve.

    Attributes:
        precision: (angles,) in [0, 1]: how much of what is generated is real; rises along the curve.
        recall: (angles,) in [0, 1]: how much of what is real is generated; falls along the curve.
    """

    precision: Array
    recall: Array

    @property
    def f8(self) -> float:
        """Largest F_8 of the curve: high where the generator misses little (recall)."""
        return self.f(8)

    @property
    def f1_8(self) -> float:
        """Largest F_⅛ of the curve: high where little of what it makes is wrong (precision)."""
        return self.f(1 / 8)

    def f(self, beta: float) -> float:
        """Largest F_β = (1 + β²) · p r / (β² p + r) of the curve, in [0, 1]; 0 where p = r = 0."""
        weighted = beta**2 * self.precision + self.recall
        product = (1 + beta**2) * self.precision * self.recall
        return float(np.divide(product, weighted, out=np.zeros_like(product), where=weighted > 0).max())


def prd(
    features_real: Any,
    features_generated: Any,
    *,
    clusters: int = 20,
    angles: int = 1001,
    runs: int = 10,
    seed: int = 0,
) -> PRD:
    """Precision-recall curve between two sets of features, averaged over several clusterings.

    k-means on the union turns each set into a histogram over clusters; :func:`prd_from_histograms` compares them.

    Args:
        features_real: (N, D), tensor or array.
        features_generated: (N, D): as many, because the curve depends on how the union is balanced.
        clusters: bins of the histograms.
        angles: points of the curve, odd.
        runs: clusterings to average.
        seed: for the clusterings.

    Raises:
        TeachlibError: unequal numbers or shapes; fewer features than clusters; values that are not finite.
    """
    from sklearn.cluster import MiniBatchKMeans

    if runs < 1 or clusters < 1:
        raise TeachlibError(f"clusters={clusters}, runs={runs}; expected 1 or more of each")
    real, generated = _features("features_real", features_real), _features("features_generated", features_generated)
    if real.shape != generated.shape:
        raise TeachlibError(
            f"features_real has shape {real.shape}, features_generated {generated.shape}; "
            "expected as many of both, from one extractor: cut the longer one"
        )
    union = np.concatenate([generated, real])
    union = union - union.mean(0)  # k-means takes distances by a product of matrices: far from zero they lose digits
    if len(union) < clusters:
        raise TeachlibError(f"{len(union)} features cannot fill {clusters} clusters; use more samples, fewer clusters")
    curves = []
    for state in np.random.default_rng(seed).integers(2**31, size=runs):
        kmeans = MiniBatchKMeans(clusters, n_init=10, random_state=int(state))
        counts = [np.bincount(labels, minlength=clusters) for labels in np.split(kmeans.fit_predict(union), 2)]
        curves.append(prd_from_histograms(counts[1] / len(real), counts[0] / len(real), angles))
    return PRD(np.mean([c.precision for c in curves], axis=0), np.mean([c.recall for c in curves], axis=0))


def prd_from_histograms(real: Array, generated: Array, angles: int = 1001) -> PRD:
    """The curve between two distributions over the same bins (Sajjadi et al. 2018, Eq. 9 and Algorithm 1).

    Precision is Σ min(λ · real, generated) and recall precision / λ, for slopes λ = tan of ``angles`` angles.

    Args:
        real: (K,), not negative, sums to 1.
        generated: (K,), not negative, sums to 1.
        angles: points of the curve; odd, so that λ = 1 is one of them and equal histograms reach F = 1.

    Raises:
        TeachlibError: no histograms, unlike shapes, or an even or too small number of angles.
    """
    if angles < 3 or angles % 2 == 0:
        raise TeachlibError(f"angles={angles}; expected an odd number of 3 or more")
    for name, histogram in (("real", real), ("generated", generated)):
        if histogram.ndim != 1 or (histogram < 0).any() or not np.isclose(histogram.sum(), 1):
            raise TeachlibError(f"{name} is no histogram; expected (K,) numbers, none negative, that sum to 1")
    if real.shape != generated.shape:
        raise TeachlibError(f"real has {len(real)} bins, generated {len(generated)}; expected the same bins")
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, angles))
    precision = np.minimum(slopes[:, None] * real, generated).sum(1)
    return PRD(precision.clip(0, 1), (precision / slopes).clip(0, 1))


def _features(name: str, values: Any) -> Array:
    array = real_array(name, values)
    if array.ndim != 2:
        raise TeachlibError(f"{name} has shape {array.shape}; expected (N, D)")
    return array
