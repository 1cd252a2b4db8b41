"""The losses of thesis §4.5 as pure functions of tensors, averaged over the batch."""

import torch
from torch import Tensor

from teachlib.gmmvae.mixture import MixturePrior


def reconstruction_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    """‖x − x̂‖² of each sample, summed over channels and pixels: (N, …) → (N,)."""
    return (x - reconstruction).square().flatten(1).sum(1)


def supervised_loss(x: Tensor, reconstruction: Tensor, code: Tensor, mean: Tensor, alpha: float) -> Tensor:
    """‖x − g(f(x) + ε)‖² + α·‖f(x) − μ_y‖² (thesis Eq 4.6).

    Args:
        x: images, (N, …).
        reconstruction: g(f(x) + ε), as ``x``.
        code: f(x), (N, d).
        mean: μ_y of each label, (N, d).
        alpha: α.

    Returns:
        Scalar.
    """
    return (reconstruction_error(x, reconstruction) + alpha * (code - mean).square().sum(1)).mean()


def unsupervised_loss(x: Tensor, reconstruction: Tensor, z: Tensor, prior: MixturePrior, alpha: float) -> Tensor:
    """The negative bound of thesis Eq 4.2 for images without labels, in the units of Eq 4.6.

    Eq 4.6 is −2s² times a bound with pixels of variance s² = α·σ², so log P(z) has the factor 2ασ². With one
    component it is then α·‖z − μ‖²; with k, the softened minimum over the components.

    Args:
        x: images, (N, …).
        reconstruction: g(z), as ``x``.
        z: f(x) + ε, (N, d).
        prior: P(Z).
        alpha: α.

    Returns:
        Scalar; what does not depend on the networks is left out.
    """
    pull = -2 * alpha * prior.variance * prior.scores(z).logsumexp(1)
    return (reconstruction_error(x, reconstruction) + pull).mean()


def variable_entropy_loss(
    x: Tensor, reconstruction: Tensor, code: Tensor, log_variance: Tensor, mean: Tensor, prior: MixturePrior,
    alpha: float,
) -> Tensor:  # fmt: skip
    """Eq 4.6 for an encoder that emits its variance too (thesis §4.8.7): α‖f − μ‖² becomes 2ασ²·KL(Q ‖ N(μ_y, σ²I)).

    Args:
        x: images, (N, …).
        reconstruction: of a draw from Q(Z|x), as ``x``.
        code: mean of Q(Z|x), (N, d).
        log_variance: of Q(Z|x), (N, d).
        mean: μ_y of each label, (N, d).
        prior: P(Z), whose σ² is meant.
        alpha: α.

    Returns:
        Scalar. At log_variance = log σ² it is Eq 4.6.
    """
    ratio = log_variance - torch.full_like(log_variance, prior.variance).log()
    divergence = 0.5 * ((code - mean).square() / prior.variance + ratio.exp() - ratio - 1).sum(1)
    return (reconstruction_error(x, reconstruction) + 2 * alpha * prior.variance * divergence).mean()
