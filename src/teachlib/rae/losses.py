"""The losses of thesis §§3.2–3.5 as pure functions of tensors.

Every function averages over the batch and, unless it says otherwise, sums over everything else, as the thesis's
norms do.
"""

import math
from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from teachlib.distances import distances
from teachlib.errors import TeachlibError, require_alike, require_positive, unknown

Kernel = Literal["imq", "rbf"]
KERNELS: tuple[Kernel, ...] = ("imq", "rbf")
BANDWIDTHS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # times the base scale: Tolstikhin et al.'s, and the authors'


def reconstruction_loss(x: Tensor, reconstruction: Tensor) -> Tensor:
    """Squared error ‖x − x̂‖² of a sample, averaged over the batch (thesis Eq 3.8).

    Args:
        x: (N, …).
        reconstruction: as ``x``.

    Returns:
        Scalar.
    """
    require_alike(x, reconstruction)
    return (x - reconstruction).square().flatten(1).sum(1).mean()


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(μ, diag σ²) ‖ N(0, I)) of each sample, in nats (thesis Eq 3.6; its closed form with the sign mended).

    Args:
        mean: μ, (N, d).
        log_variance: log σ², (N, d).

    Returns:
        (N,), non-negative; zero only at the prior.
    """
    require_alike(mean, log_variance)
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

    Raises:
        TeachlibError: none are given.
    """
    squares = [weight.square().sum() for weight in weights]
    if not squares:
        raise TeachlibError("no weights; expected a network's parameters, which an iterator gives once")
    return torch.stack(squares).sum()


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


def constant_variance_kl(mean: Tensor, deviation: float) -> Tensor:
    """KL(N(μ, σ²I) ‖ N(0, I)) of each sample in nats, with one constant σ (thesis Eq 3.10): ½‖μ‖² and a constant.

    Args:
        mean: μ, (N, d).
        deviation: σ, more than zero.

    Returns:
        (N,).

    Raises:
        TeachlibError: a σ that is not positive.
    """
    require_positive(deviation=deviation)
    return kl_divergence(mean, torch.full_like(mean, 2 * math.log(deviation)))


def mmd(a: Tensor, b: Tensor, *, kernel: Kernel = "imq", deviation: float = 1.0) -> Tensor:
    """The squared maximum mean discrepancy of two samples, unbiased (Gretton et al., 2012; Tolstikhin et al., 2018).

    Sums of kernels over seven bandwidths, C = 2·d·σ²·s: ``imq`` C/(C + ‖a − b‖²), whose heavy tails still pull at
    codes far out; ``rbf`` exp(−‖a − b‖²/C), whose do not. Unbiased, so that for two samples of one distribution it is
    zero in the mean, and negative about half the time.

    Args:
        a: (N, d), N ≥ 2.
        b: (M, d), M ≥ 2.
        kernel: see above.
        deviation: σ, of the distribution that is aimed at.

    Returns:
        Scalar.

    Raises:
        TeachlibError: unknown kernel, a sample of one, other dimensions, or a deviation that is not positive.
    """
    if kernel not in KERNELS:
        raise unknown("kernel", kernel, KERNELS)
    if a.shape[1:] != b.shape[1:] or a.ndim != 2:
        raise TeachlibError(f"samples of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected (N, d) and (M, d)")
    require_positive(deviation=deviation)
    if min(len(a), len(b)) < 2:
        raise TeachlibError(f"samples of {len(a)} and {len(b)}; a discrepancy needs two or more of each")
    scale = 2 * a.shape[1] * deviation**2
    within_a, within_b, across = (_summed_kernels(p, q, scale, kernel) for p, q in ((a, a), (b, b), (a, b)))
    return _mean_of_pairs(within_a) + _mean_of_pairs(within_b) - 2 * across.mean()


def _mean_of_pairs(kernel: Tensor) -> Tensor:
    """Without the diagonal: a point's kernel with itself says nothing."""
    return (kernel.sum() - kernel.diagonal().sum()) / (len(kernel) * (len(kernel) - 1))


def _summed_kernels(a: Tensor, b: Tensor, scale: float, kernel: Kernel) -> Tensor:
    squared = distances(a, b).square()
    widths = [scale * factor for factor in BANDWIDTHS]
    if kernel == "imq":
        return torch.stack([width / (width + squared) for width in widths]).sum(0)
    return torch.stack([(-squared / width).exp() for width in widths]).sum(0)
