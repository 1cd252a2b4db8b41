"""A discriminator as a density (thesis § 7.5.1): D = exp(−f), its integral by a sum over points, Eqs 7.1 to 7.4.

Everything is computed from energies f, never from D itself, so that no sum overflows.
"""

import math

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least


def log_mean(energies: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """log of the mean over m points of D·w = exp(−f)·w: the thesis's sum of Eq 7.2, divided by m.

    With w = 1/p(x) of the density that the points were drawn from, it estimates log ∫ D(x) dx; it is too small on
    average, because the logarithm is concave, by about half the relative variance of the mean.

    Args:
        energies: f at the points, (…, m).
        log_weights: log w at each, (…, m); ``None``: w = 1.

    Returns:
        (…), in nats.

    Raises:
        TeachlibError: no point.
    """
    if not energies.shape[-1]:
        raise TeachlibError("no points; a sum that stands for an integral takes one or more")
    exponents = -energies if log_weights is None else log_weights - energies
    return torch.logsumexp(exponents, -1) - math.log(energies.shape[-1])


def likelihood_loss(real: Tensor, points: Tensor, log_weights: Tensor | None = None) -> Tensor:
    """−log-likelihood of Eq 7.3 (7.2 with weights), averaged over samples; scalar, in nats.

    With m = 1 and no weights it is E f(x) − E f(G(z)): the loss of a Wasserstein critic, and contrastive divergence
    with a generator's samples.

    Args:
        real: f at real samples, (N,).
        points: f at the points, m to a sum, (K, m); the mean of K sums' logarithms is taken.
        log_weights: log w at the points, (K, m).
    """
    return real.mean() + log_mean(points, log_weights).mean()


def support_loss(points: Tensor) -> Tensor:
    """What the generator descends for Eq 7.4: −log of the sum of D over its points, divided by m; scalar.

    For m > 1 most of the gradient goes to the points where D is largest: the others are left where they are.

    Args:
        points: f at generated samples, (K, m).
    """
    return -log_mean(points).mean()


def sums_of(energies: Tensor, m: int) -> Tensor:
    """Energies (N,) as sums of m points, (N // m, m); what does not fill a sum is left out.

    Raises:
        TeachlibError: fewer than m.
    """
    require_at_least(1, m=m)
    if len(energies) < m:
        raise TeachlibError(f"{len(energies)} points do not fill a sum of {m}; take a smaller m, or a larger batch")
    count = len(energies) // m
    return energies[: count * m].view(count, m)
