"""What StyleGAN2 descends beside the losses of :mod:`teachlib.primer.gan`: R1 and path length, and how rarely."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from teachlib.errors import require_at_least, require_positive

R1_EVERY, PATH_EVERY, PATH_WEIGHT = 16, 4, 2.0  # steps between penalties, and the second one's weight


def r1_penalty(
    discriminator: Callable[[Tensor], Tensor], images: Tensor, gamma: float, *, condition: Tensor | None = None
) -> Tensor:
    """γ/2 · E‖∇ₓ D(x)‖² at real images (Mescheder, Geiger & Nowozin, 2018, Eq 9).

    The square is summed over an image's pixels and averaged over the batch. A condition is seen but not differentiated
    by: where D should be flat is around the real pictures, while it must tell a condition that fits from one that does
    not.

    Args:
        discriminator: (N, C + K, H, W) → (N,) logits, each of its own image up to the minibatch deviation; without a
            condition, of whatever samples (N, …).
        images: real ones, (N, C, H, W), or such samples.
        gamma: the weight γ.
        condition: channels that are judged beside the images, (N, K, H, W).

    Returns:
        Scalar, differentiable with respect to the discriminator's parameters.
    """
    images = images.detach().requires_grad_()
    seen = images if condition is None else torch.cat([images, condition.detach()], 1)
    (slope,) = torch.autograd.grad(discriminator(seen).sum(), images, create_graph=True)
    return gamma / 2 * slope.flatten(1).square().sum(1).mean()


def r1_gamma(size: int, batch_size: int) -> float:
    """γ for images of size² pixels: 0.0002·size²/batch (Karras et al., 2020, ADA, App. C).

    Raises:
        TeachlibError: no image, or none a batch.
    """
    require_positive(size=size, batch_size=batch_size)
    return 0.0002 * size**2 / batch_size


def path_lengths(images: Tensor, w: Tensor, generator: torch.Generator) -> Tensor:
    """How far pictures move, in a random direction y, when their codes do: ‖Jᵀ y‖ (Karras et al., 2020, §3.2).

    y ~ N(0, 1/(H·W)), so that lengths do not grow with the resolution. Squares are averaged over the layers.

    Args:
        images: (N, C, H, W), computed from ``w``.
        w: (N, L, w_dim), requires a gradient.
        generator: draws y.

    Returns:
        (N,), differentiable with respect to what computed the images.
    """
    noise = torch.randn(images.shape, generator=generator, device=generator.device).to(images)
    weighted = (images * noise).sum() / math.sqrt(images.shape[2] * images.shape[3])
    (slope,) = torch.autograd.grad(weighted, w, create_graph=True)
    return slope.square().sum(2).mean(1).add(1e-24).sqrt()  # the root itself has no slope at zero


class PathLength:
    """E(‖Jᵀ y‖ − a)², a the running mean of the lengths (Karras et al., 2020, Eq 4).

    Args:
        decay: share of the mean that each batch replaces.

    Attributes:
        mean: a, 0 at first.
    """

    def __init__(self, decay: float = 0.01) -> None:
        require_positive(decay=decay)
        self.decay, self.mean = decay, torch.zeros(())

    def penalty(self, images: Tensor, w: Tensor, generator: torch.Generator) -> Tensor:
        """The penalty of a batch, after the mean was moved; arguments as :func:`path_lengths` takes them.

        The mean's newest part is differentiated, too, as in the public implementations.
        """
        lengths = path_lengths(images, w, generator)
        mean = self.mean.to(lengths).lerp(lengths.mean(), self.decay)
        self.mean = mean.detach()
        return (lengths - mean).square().mean()

    def state_dict(self) -> dict[str, Tensor]:
        """The mean, for checkpoints."""
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self.mean = state["mean"].clone()


def lazy_adam(rate: float, betas: tuple[float, float], every: int) -> tuple[float, tuple[float, float]]:
    """Adam's rate and βs for a network with a penalty at each ``every``-th step alone (Karras et al., 2020, App. B).

    The penalty takes a step of its own, weighted by ``every``: k + 1 steps where there were k. Rate and βs are rescaled
    by k/(k + 1), rate·c and βᶜ, so that k + 1 steps go as far and forget as much as k.

    Returns:
        rate, (β₁, β₂); the βs are floats also where whole numbers were given, as Adam insists.

    Raises:
        TeachlibError: no step.
    """
    require_at_least(1, every=every)
    share = every / (every + 1)
    return rate * share, (float(betas[0]) ** share, float(betas[1]) ** share)
