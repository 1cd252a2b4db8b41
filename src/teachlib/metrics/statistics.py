"""Mean and covariance of features, gathered batch by batch."""

import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.metrics.frechet import frechet_distance


class FeatureStatistics:
    """Running mean and covariance in float64, whatever the batches (Chan, Golub & LeVeque 1979).

    Example:
        >>> statistics = FeatureStatistics(2)
        >>> statistics.update(torch.tensor([[0.0, 0.0], [2.0, 4.0]]))
        >>> statistics.count, statistics.mean.tolist(), statistics.total_variance
        (2, [1.0, 2.0], 10.0)
    """

    def __init__(self, dim: int) -> None:
        """Start empty, for features of ``dim`` numbers."""
        self.count = 0
        self.mean = torch.zeros(dim, dtype=torch.float64)
        self._scatter = torch.zeros(dim, dim, dtype=torch.float64)

    @property
    def dim(self) -> int:
        """Numbers in a feature."""
        return len(self.mean)

    def update(self, features: Tensor) -> None:
        """Take in a batch, (B, dim) of any real type and device; B may be 0.

        Raises:
            TeachlibError: another shape, or values that are not finite.
        """
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise TeachlibError(f"features have shape {tuple(features.shape)}; expected (B, {self.dim})")
        # First to the CPU: Apple's devices have no float64.
        batch = features.detach().cpu().double()
        if not batch.isfinite().all():
            raise TeachlibError("features have values that are not finite; look for NaN in the images or the extractor")
        if len(batch):
            mean = batch.mean(0)
            centred = batch - mean
            self._combine(len(batch), mean, centred.T @ centred)

    def merge(self, other: "FeatureStatistics") -> None:
        """Take in everything that ``other`` has seen; ``other`` stays as it is.

        Raises:
            TeachlibError: another dimension.
        """
        if other.dim != self.dim:
            raise TeachlibError(f"cannot merge features of {other.dim} numbers into {self.dim}; use one extractor")
        if other.count:
            self._combine(other.count, other.mean, other._scatter)

    def _combine(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        total = self.count + count
        delta = mean - self.mean
        self._scatter = self._scatter + scatter + torch.outer(delta, delta) * (self.count * count / total)
        self.mean = self.mean + delta * (count / total)
        self.count = total

    @property
    def covariance(self) -> Tensor:
        """Unbiased, (dim, dim) float64.

        Raises:
            TeachlibError: fewer than two features so far.
        """
        if self.count < 2:
            raise TeachlibError(f"a covariance needs two features or more; {self.count} seen so far")
        return self._scatter / (self.count - 1)

    @property
    def total_variance(self) -> float:
        """Trace of the covariance: the mean squared distance to the mean.

        Raises:
            TeachlibError: fewer than two features so far.
        """
        return float(self.covariance.trace())


def statistics_of(features: Tensor) -> FeatureStatistics:
    """The statistics of all ``features``, (N, D), at once.

    Raises:
        TeachlibError: another shape, or values that are not finite.
    """
    if features.ndim != 2:
        raise TeachlibError(f"features have shape {tuple(features.shape)}; expected (N, D)")
    statistics = FeatureStatistics(features.shape[1])
    statistics.update(features)
    return statistics


def frechet_between(a: FeatureStatistics, b: FeatureStatistics, *, relative: bool = False) -> float:
    """Fréchet distance between the Gaussians with these statistics, see :func:`frechet_distance`.

    Args:
        a: of the generated samples.
        b: of the real data.
        relative: divide by the total variance of ``b``: 0 means the same, and numbers compare across extractors.

    Returns:
        ≥ 0; squared units of the features, or no unit if relative.

    Raises:
        TeachlibError: fewer than two features; other dimensions; relative to data without variance.
    """
    distance = frechet_distance(a.mean, a.covariance, b.mean, b.covariance)
    if not relative:
        return distance
    if b.total_variance == 0:
        raise TeachlibError("the real features are all equal; a distance relative to their variance does not exist")
    return distance / b.total_variance
