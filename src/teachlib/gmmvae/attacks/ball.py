"""Where an attacker may go: within ε of the image, and within the values that pixels have."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, unknown

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = ("linf", "l2")


def refuse_bad_images(x: Tensor, low: float = 0.0, high: float = 1.0) -> None:
    """What no attack can start from.

    Raises:
        TeachlibError: not a batch of images, or pixels outside their range, NaN among them.
    """
    if x.ndim != 4:
        raise TeachlibError(f"images of shape {tuple(x.shape)}; expected (N, C, H, W)")
    if not ((x >= low) & (x <= high)).all():
        raise TeachlibError(f"pixels outside [{low:g}, {high:g}], or not numbers; scale the images first")


def per_sample(values: Tensor, x: Tensor) -> Tensor:
    """One number a sample, (N,), shaped so that it broadcasts over ``x``."""
    return values.view(-1, *(1,) * (x.ndim - 1))


def lengths(v: Tensor) -> Tensor:
    """‖v‖₂ of each sample, (N, …) → (N, 1, …)."""
    return per_sample(v.flatten(1).norm(dim=1), v)


@dataclass(frozen=True)
class Ball:
    """All images within ε of an image, cut off at the pixels' range.

    Attributes:
        epsilon: radius: largest change of a pixel (``linf``), or Euclidean length over all pixels (``l2``).
        norm: of :data:`NORMS`.
        low: least value of a pixel.
        high: greatest value of a pixel.
    """

    epsilon: float
    norm: Norm = "linf"
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if self.norm not in NORMS:
            raise unknown("norm", self.norm, NORMS)
        if not self.epsilon >= 0:
            raise TeachlibError(f"epsilon {self.epsilon}; expected a radius of zero or more")

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest point of the ball around ``x`` and then of the box; both hold for any ``x`` within the box."""
        change = candidate - x
        if self.norm == "linf":
            change = change.clamp(-self.epsilon, self.epsilon)
        else:
            change = change * (self.epsilon / lengths(change).clamp_min(1e-12)).clamp_max(1)
        return (x + change).clamp(self.low, self.high)  # clipping moves every pixel towards x's: still in the ball

    def ascent(self, gradient: Tensor) -> Tensor:
        """The direction of length one in which a linear function rises fastest, each sample's own."""
        if self.norm == "linf":
            return gradient.sign()
        return gradient / lengths(gradient).clamp_min(1e-12)

    def size(self, candidate: Tensor, x: Tensor) -> Tensor:
        """How far each sample lies from ``x`` in this norm, (N,)."""
        change = (candidate - x).flatten(1)
        return change.abs().amax(1) if self.norm == "linf" else change.norm(dim=1)

    def random(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A point of the ball around each sample, uniform in it before the box cuts it."""
        if self.norm == "linf":
            change = 2 * torch.rand(x.shape, generator=generator, device=x.device) - 1
        else:
            direction = self.ascent(torch.randn(x.shape, generator=generator, device=x.device))
            radius = torch.rand(len(x), generator=generator, device=x.device) ** (1 / x[0].numel())
            change = direction * per_sample(radius, x)
        return (x + self.epsilon * change).clamp(self.low, self.high)
