"""The losses of thesis §§3.2–3.5 as pure functions of tensors.

Every function averages over the batch and, unless it says otherwise, sums over everything else, as the thesis's
norms do.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


def reconstruction_loss(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Squared error ‖x − x̂‖² of a sample, averaged over the batch (thesis Eq 3.8).

    Args:
        x: (N, …).
        reconstruction: as ``x``.

    Returns:
        Scalar.
    """
    return (x - reconstruction).square().flatten(1).sum(1).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) of each sample, in nats (thesis Eq 3.6; its closed form with the sign mended).

    Args:
        mean: μ, (N, d).
        log_variance: log σ², (N, d).

    Returns:
        (N,), non-negative; zero only at the prior.
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


def sample_posterior(mean: Tensor, log_variance: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """A draw z = μ + σ ⊙ ε, ε ~ N(0, I) (thesis Eq 3.9), differentiable in both arguments, (N, d)."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + (0.5 * log_variance).exp() * noise


def negative_elbo(x: Tensor, reconstruction: Tensor, mean: Tensor, log_variance: Tensor, kl_weight: float) -> Tensor:
    """L_REC + w·L_KL (thesis Eq 3.5), with the squared error of Eq 3.8 for L_REC.

    Eq 3.8 drops the ½ and the variance of the Gaussian likelihood; ``kl_weight`` absorbs them.

    Returns:
        Scalar.
    """
    return reconstruction_loss(x, reconstruction) + kl_weight * kl_divergence(mean, log_variance).mean()


def latent_penalty(z: Tensor) -> Tensor:
    """½‖z‖² of a sample, averaged over the batch: L_Z of thesis Eq 3.11.

    Args:
        z: (N, d).

    Returns:
        Scalar.
    """
    return 0.5 * z.square().sum(1).mean()


def weight_penalty(weights: Iterable[Tensor]) -> Tensor:
    """Squared norm ‖θ‖² of all weights together (thesis §3.5.1, L_2).

    Returns:
        Scalar.
    """
    return torch.stack([weight.square().sum() for weight in weights]).sum()


def rae_loss(
    x: Tensor, reconstruction: Tensor, z: Tensor, weights: Iterable[Tensor], *, beta: float, lambda_: float
) -> Tensor:
    """L_REC + β·½‖z‖² + λ·‖θ‖² (thesis Eq 3.11 with the L2 regularizer of §3.5.1).

    Args:
        x: images, (N, …).
        reconstruction: as ``x``.
        z: latents, (N, d).
        weights: the decoder's.
        beta: β, weight of the latents' size.
        lambda_: λ, weight of the decoder's regularizer.

    Returns:
        Scalar.
    """
    return reconstruction_loss(x, reconstruction) + beta * latent_penalty(z) + lambda_ * weight_penalty(weights)
