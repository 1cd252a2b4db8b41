"""Ex-post density estimation: fit a simple density to the codes of a trained encoder (thesis §3.6)."""

from dataclasses import dataclass

import torch
from sklearn.mixture import GaussianMixture
from torch import Tensor

from teachlib.errors import TeachlibError


@dataclass(frozen=True)
class MixtureDensity:
    """A mixture of full-covariance Gaussians q_δ(Z); one Gaussian is a mixture of one.

    Kept in float64: the narrow covariances of latent codes lose positive definiteness in float32.

    Attributes:
        weights: (K,), summing to one.
        means: (K, d).
        covariances: (K, d, d).
    """

    weights: Tensor
    means: Tensor
    covariances: Tensor

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (count, d) float32, in random order."""
        component = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        factors = torch.linalg.cholesky(self.covariances)
        noise = torch.randn(count, self.means.shape[1], generator=generator, dtype=torch.float64)
        return (self.means[component] + torch.einsum("nij,nj->ni", factors[component], noise)).float()

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density in nats: (N, d) → (N,) float64."""
        gaussians = torch.distributions.MultivariateNormal(self.means, self.covariances)
        mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(self.weights), gaussians)
        return mixture.log_prob(z.double())


def standard_normal(dimension: int) -> MixtureDensity:
    """The VAE's prior N(0, I)."""
    return MixtureDensity(
        torch.ones(1, dtype=torch.float64),
        torch.zeros(1, dimension, dtype=torch.float64),
        torch.eye(dimension, dtype=torch.float64)[None],
    )


def fit_gaussian(codes: Tensor) -> MixtureDensity:
    """One full Gaussian by maximum likelihood (thesis §3.6, App. A.1.2).

    Args:
        codes: of the training set, (N, d), N > d.

    Raises:
        TeachlibError: too few codes, or codes that are not finite.
    """
    return fit_mixture(codes, components=1, seed=0)


def fit_mixture(codes: Tensor, *, components: int = 10, seed: int = 0, iterations: int = 100) -> MixtureDensity:
    """A mixture of full Gaussians by expectation maximization, started by k-means (thesis §3.6, App. A.1.2).

    Works on the codes of any encoder; the networks are not touched.

    Args:
        codes: of the training set, (N, d).
        components: K; the thesis: 10.
        seed: of k-means.
        iterations: of EM at most; the thesis: 100.

    Raises:
        TeachlibError: fewer codes than components or dimensions, or codes that are not finite.
    """
    if components < 1 or iterations < 1:
        raise TeachlibError(f"components={components}, iterations={iterations}; expected 1 or more of each")
    least = max(components, codes.shape[-1] + 1) if codes.ndim == 2 else components
    if codes.ndim != 2 or len(codes) < least:
        raise TeachlibError(f"codes of shape {tuple(codes.shape)}; expected (N, d) with N of at least {least}")
    if not codes.isfinite().all():
        raise TeachlibError("codes that are not finite; did training diverge?")
    estimator = GaussianMixture(components, covariance_type="full", max_iter=iterations, random_state=seed)
    estimator.fit(codes.double().numpy())
    return MixtureDensity(*map(torch.from_numpy, (estimator.weights_, estimator.means_, estimator.covariances_)))
