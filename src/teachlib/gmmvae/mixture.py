"""Gaussians in the latent space, one a class: the prior of thesis §4.5.2, and classes fitted to any encoder's codes."""

import math
from typing import Literal

import scipy
import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_at_least, require_labels, require_positive, require_shape, unknown

Placement = Literal["one-hot", "axis", "simplex"]
PLACEMENTS: tuple[Placement, ...] = ("one-hot", "axis", "simplex")

THREE_SIGMA = math.erf(3 / math.sqrt(2))  # 0.9973: the share of a Gaussian within three standard deviations
_REFERENCE_VARIANCE, _REFERENCE_DIMENSION = 1 / 3000, 10  # thesis §4.8.1, MNIST


def class_means(classes: int, latent: int, placement: Placement = "one-hot") -> Tensor:
    """Means of the components, √2 from their neighbours wherever they lie.

    ``one-hot``, filled up with zeros where d > k (thesis §§4.5.2, 4.8.1); ``axis``: all on one axis, as §4.5.2
    suggests; ``simplex``: a regular simplex around the origin, which needs one dimension less than ``one-hot``.

    Args:
        classes: k.
        latent: d.
        placement: of :data:`PLACEMENTS`.

    Returns:
        (k, d).

    Raises:
        TeachlibError: unknown placement, or fewer dimensions than it needs.
    """
    if placement not in PLACEMENTS:
        raise unknown("placement", placement, PLACEMENTS)
    require_at_least(1, classes=classes)
    needed = {"one-hot": classes, "axis": 1, "simplex": classes - 1}[placement]
    if latent < needed:
        raise TeachlibError(f"{latent} latent dimensions; {classes} means placed '{placement}' need {needed}")
    if placement == "axis":
        own = math.sqrt(2) * (torch.arange(classes) - (classes - 1) / 2)[:, None]
    elif placement == "one-hot":
        own = torch.eye(classes)
    else:
        # One-hot vectors lie in a plane of k − 1 dimensions; centred, they are the projection onto it. Its singular
        # values are one, and the vectors that belong to them are the coordinates.
        left, _, _ = torch.linalg.svd(torch.eye(classes, dtype=torch.float64) - 1 / classes)
        own = left[:, : classes - 1].float()
    return torch.cat([own, torch.zeros(classes, latent - own.shape[1])], 1)


def component_variance(latent: int) -> float:
    """Variance of the encoder's noise and of each component: 1/3000 at d = 10 (thesis §4.8.1).

    The thesis takes less for more dimensions and does not say how much. Ours keeps the radius that holds 99.73 % of a
    component, 0.095, so that classes are as far apart in any dimension: σ²(d) = σ²(10)·χ²₁₀/χ²_d.
    """
    require_at_least(1, latent=latent)
    return (
        _REFERENCE_VARIANCE
        * scipy.stats.chi2.ppf(THREE_SIGMA, _REFERENCE_DIMENSION)
        / scipy.stats.chi2.ppf(THREE_SIGMA, latent)
    )


def _fitting(codes: Tensor, labels: Tensor, classes: int | None = None) -> Tensor:
    """The labels of codes that a Gaussian a class can be fitted to; without ``classes``, as many as labels name.

    Raises:
        TeachlibError: codes of another shape or type, none, or not finite; labels that do not fit.
    """
    if codes.ndim != 2 or not codes.numel() or not codes.is_floating_point():
        raise TeachlibError(f"codes of {codes.dtype} and shape {tuple(codes.shape)}; expected floats, (N, d), N ≥ 1")
    if not codes.isfinite().all():
        raise TeachlibError("codes that are not finite; did training diverge?")
    named = classes or int(max([0, *labels.flatten().tolist()])) + 1
    return require_labels(labels, named, count=len(codes))


def _refuse_one_point(offsets: Tensor) -> None:
    if not offsets.any():
        raise TeachlibError("all codes lie at one point; a Gaussian over it does not exist: did the encoder collapse?")


def _whitening(covariances: Tensor) -> Tensor:
    """W with W Σ Wᵀ = I of each covariance, (k, d, d), in their precision: ‖W v‖² is then vᵀ Σ⁻¹ v."""
    if covariances.ndim != 3 or covariances.shape[1] != covariances.shape[2]:
        raise TeachlibError(f"covariances of shape {tuple(covariances.shape)}; expected (k, d, d)")
    factor, failed = torch.linalg.cholesky_ex(covariances.double())
    failed = failed.bool() | ~covariances.flatten(1).isfinite().all(1)
    if failed.any():
        raise TeachlibError(
            f"the covariance of class {int(failed.nonzero()[0])} is not positive definite; expected codes that vary in "
            "every direction, or more shrinkage"
        )
    identity = torch.eye(*covariances.shape[1:], dtype=torch.float64, device=covariances.device)
    return torch.linalg.solve_triangular(factor, identity.expand_as(factor), upper=False).to(covariances)


def _whitened(z: Tensor, means: Tensor, whitening: Tensor) -> Tensor:
    """Squared Mahalanobis distances, (N, k)."""
    require_shape(z, means.shape[1:], what="codes", by="this mixture")
    offsets = z[:, None] - means
    return torch.einsum("kij,nkj->nki", whitening.to(offsets.dtype), offsets).square().sum(2)


class MixturePrior(nn.Module):
    """P(Z): k equally likely Gaussians N(μ_c, σ²I), one a class (thesis §4.5.2).

    Args:
        means: (k, d).
        variance: σ².
        covariances: of each class's codes about its mean, (k, d, d), where they were measured (:meth:`measured`):
            Mahalanobis distances and samples are then by these. Labels and densities stay those of the prior.

    Raises:
        TeachlibError: means of another shape, or a variance that is not positive.
    """

    means: Tensor
    whitening: Tensor | None

    def __init__(self, means: Tensor, variance: float, covariances: Tensor | None = None) -> None:
        super().__init__()
        if means.ndim != 2:
            raise TeachlibError(f"means of shape {tuple(means.shape)}; expected (k, d)")
        require_positive(variance=variance)
        self.register_buffer("means", means)
        self.register_buffer("whitening", None if covariances is None else _whitening(covariances))
        self.variance = variance

    def measured(self, codes: Tensor, labels: Tensor, *, shrinkage: float = 1e-3) -> "MixturePrior":
        """This prior with the covariances that each class's codes have about its mean.

        σ² is the variance of the encoder's noise; how far the codes themselves lie from the means is α's doing. The
        thesis determines thresholds from "statistics obtained while training" (§4.6) and calls Σ_t the target class's
        covariance in the latent space (§4.8.5): this is our reading of both.

        Args:
            codes: f(x) of training images, (N, d).
            labels: their classes, (N,), every class at least once.
            shrinkage: part of the pooled mean variance added to every diagonal.

        Raises:
            TeachlibError: a class without codes, a label that is no class, or codes that are not finite or all lie at
                their means.
        """
        require_at_least(0, shrinkage=shrinkage)
        labels = _fitting(codes, labels, classes=len(self.means))
        absent = set(range(len(self.means))) - set(labels.tolist())
        if absent:
            raise TeachlibError(f"no code of class {min(absent)}; every class needs some: take more images")
        offsets = (codes - self.means[labels]).double()
        _refuse_one_point(offsets)
        ridge = shrinkage * offsets.square().mean() * torch.eye(codes.shape[1]).to(offsets)
        groups = [offsets[labels == label] for label in range(len(self.means))]
        covariances = torch.stack([group.T @ group / len(group) + ridge for group in groups])
        return MixturePrior(self.means, self.variance, covariances.to(codes))

    def _refuse_bad_classes(self, labels: Tensor) -> None:
        wrong = (labels < 0) | (labels >= len(self.means))
        if wrong.any():
            raise TeachlibError(f"class {int(labels[wrong][0])}; expected 0 … {len(self.means) - 1}")

    def squared_distances(self, z: Tensor) -> Tensor:
        """‖z − μ_c‖², (N, d) → (N, k).

        Raises:
            TeachlibError: codes of another shape.
        """
        require_shape(z, self.means.shape[1:], what="codes", by="this mixture")
        # Of differences, not by ‖z‖² − 2z·μ + ‖μ‖²: that loses half the digits near a mean.
        return (z[:, None] - self.means).square().sum(2)

    def mahalanobis(self, z: Tensor) -> Tensor:
        """Squared Mahalanobis distances, (N, d) → (N, k): ‖z − μ_c‖²/σ², or by the measured covariances."""
        if self.whitening is not None:
            return _whitened(z, self.means, self.whitening)
        return self.squared_distances(z) / self.variance

    def scores(self, z: Tensor) -> Tensor:
        """log P(z | c) up to what all classes share, (N, d) → (N, k)."""
        return -0.5 * self.squared_distances(z) / self.variance

    def log_prob(self, z: Tensor) -> Tensor:
        """log P(z) in nats, (N, d) → (N,)."""
        classes, latent = self.means.shape
        constant = 0.5 * latent * math.log(2 * math.pi * self.variance) + math.log(classes)
        return self.scores(z).logsumexp(1) - constant

    def log_posterior(self, z: Tensor) -> Tensor:
        """log P(c | z) by Bayes' rule in nats, (N, d) → (N, k).

        Exact, and of no use to an attacker: at a mean the others lie 1/σ² = 3,000 nats below, where ``exp`` is zero
        in float32, and with it the gradient of any loss made of these. Attack :meth:`squared_distances`.
        """
        return self.scores(z).log_softmax(1)

    def log_odds(self, z: Tensor, a: Tensor | int, b: Tensor | int) -> Tensor:
        """log P(a | z)/P(b | z) in nats, (N, d) → (N,): linear in z, with no exponential to overflow.

        Args:
            z: (N, d).
            a: class, or classes (N,).
            b: class, or classes (N,).

        Raises:
            TeachlibError: no such class.
        """
        for asked in (a, b):
            self._refuse_bad_classes(torch.as_tensor(asked))
        require_shape(z, self.means.shape[1:], what="codes", by="this mixture")
        first, second = self.means[a], self.means[b]
        return ((first - second) * (z - (first + second) / 2)).sum(1) / self.variance

    def classify(self, z: Tensor) -> Tensor:
        """The likeliest class: the nearest mean, (N, d) → (N,)."""
        return self.squared_distances(z).argmin(1)

    def sample(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """A draw from the component of each label, (N,) → (N, d).

        Raises:
            TeachlibError: no such class.
        """
        self._refuse_bad_classes(labels)
        centre = self.means[labels]
        noise = torch.randn(centre.shape, generator=generator, device=centre.device)
        if self.whitening is None:
            return centre + math.sqrt(self.variance) * noise
        offsets = torch.empty_like(noise)
        for label in labels.unique().tolist():  # by class: a factor for each sample would be N·d² numbers
            rows = labels == label
            offsets[rows] = torch.linalg.solve_triangular(self.whitening[label], noise[rows].T, upper=False).T
        return centre + offsets


class GaussianClasses(nn.Module):
    """A full Gaussian a class, fitted to codes: what a prior is to a GMM-VAE, for any other encoder.

    Args:
        means: (k, d).
        covariances: (k, d, d), positive definite.

    Raises:
        TeachlibError: covariances that are not.
    """

    means: Tensor
    whitening: Tensor
    log_volume: Tensor

    def __init__(self, means: Tensor, covariances: Tensor) -> None:
        super().__init__()
        self.register_buffer("means", means)
        self.register_buffer("whitening", _whitening(covariances))
        self.register_buffer("log_volume", 0.5 * covariances.double().logdet().to(means))

    @classmethod
    def fit(cls, codes: Tensor, labels: Tensor, *, shrinkage: float = 1e-3) -> "GaussianClasses":
        """Mean and covariance of each class.

        Args:
            codes: (N, d).
            labels: (N,), every class 0 … k − 1 at least twice.
            shrinkage: part of the pooled mean variance added to every diagonal.

        Raises:
            TeachlibError: a class with fewer than two codes; labels that are no classes; codes that are not finite, or
                all equal to their class's mean.
        """
        require_at_least(0, shrinkage=shrinkage)
        labels = _fitting(codes, labels)
        counts = labels.bincount()
        if counts.min() < 2:
            raise TeachlibError(f"class {int(counts.argmin())} has {int(counts.min())} codes; expected two or more")
        groups = [codes[labels == label].double() for label in range(len(counts))]
        offsets = torch.cat([group - group.mean(0) for group in groups])
        _refuse_one_point(torch.cat([group - group[0] for group in groups]))
        pooled = offsets.square().mean()  # within classes: how far apart these lie is no width of any
        ridge = shrinkage * pooled * torch.eye(codes.shape[1]).to(groups[0])
        covariances = torch.stack([torch.cov(group.T).reshape(ridge.shape) + ridge for group in groups])
        return cls(torch.stack([group.mean(0) for group in groups]).to(codes), covariances.to(codes))

    def mahalanobis(self, z: Tensor) -> Tensor:
        """Squared Mahalanobis distances (z − μ_c)ᵀ Σ_c⁻¹ (z − μ_c), (N, d) → (N, k)."""
        return _whitened(z, self.means, self.whitening)

    def scores(self, z: Tensor) -> Tensor:
        """log P(z | c) up to what all classes share, (N, d) → (N, k)."""
        return -0.5 * self.mahalanobis(z) - self.log_volume

    def classify(self, z: Tensor) -> Tensor:
        """The class under which each code is likeliest, (N, d) → (N,)."""
        return self.scores(z).argmax(1)


Components = MixturePrior | GaussianClasses
