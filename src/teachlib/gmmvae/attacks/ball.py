"""Where an attacker may go: within ε of the image, and within the values that pixels have."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, unknown

Norm = Literal["linf", "l2"]
NORMS: tuple[Norm, ...] = ("linf", "l2")


def per_sample(values: Tensor, x: Tensor) -> Tensor:
    """One number a sample, (N,), shaped so that it broadcasts over ``x``."""
    return values.view(-1, *(1,) * (x.ndim - 1))


def lengths(v: Tensor) -> Tensor:
    """‖v‖₂ of each sample, (N, …) → (N, 1, …), of any size: squares of small or large numbers would not be numbers."""
    largest = _largest(v)
    return largest * per_sample((v / largest).flatten(1).norm(dim=1), v)


def directions(v: Tensor, *, order: int = 2) -> Tensor:
    """Each sample at length one by the norm of this order, as ``v``, of any size; zero stays zero."""
    v = v / _largest(v)
    return v / per_sample(v.flatten(1).norm(order, dim=1), v).clamp_min(1)  # the largest entry alone has length one


def _largest(v: Tensor) -> Tensor:
    """Size of each sample's largest entry, (N, 1, …); one where all are zero."""
    largest = per_sample(v.flatten(1).abs().amax(1), v)
    return torch.where(largest > 0, largest, 1)


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
        require_at_least(0, epsilon=self.epsilon)
        if self.epsilon > torch.finfo(torch.float32).max:
            raise TeachlibError(f"epsilon is {self.epsilon:g}; expected a number that pixels can have, such as 0.1")
        if not -math.inf < self.low < self.high < math.inf:
            raise TeachlibError(f"pixels from {self.low} to {self.high}; expected two numbers, the lower one first")

    def project(self, candidate: Tensor, x: Tensor) -> Tensor:
        """The nearest point of the ball around ``x`` and then of the box; both hold for any ``x`` within the box."""
        change = candidate - x
        if self.norm == "linf":
            change = change.clamp(-self.epsilon, self.epsilon)
        else:
            length = lengths(change)
            change = torch.where(length > self.epsilon, self.epsilon * directions(change), change)
        return (x + change).clamp(self.low, self.high)  # clipping moves every pixel towards x's: still in the ball

    def ascent(self, gradient: Tensor) -> Tensor:
        """The direction of length one in which a linear function rises fastest, each sample's own."""
        if self.norm == "linf":
            return gradient.sign()
        return directions(gradient)

    def size(self, candidate: Tensor, x: Tensor) -> Tensor:
        """How far each sample lies from ``x`` in this norm, (N,)."""
        change = candidate - x
        return change.flatten(1).abs().amax(1) if self.norm == "linf" else lengths(change).flatten()

    def random(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """A point of the ball around each sample, uniform in it before the box cuts it."""
        if self.norm == "linf":
            change = 2 * torch.rand(x.shape, generator=generator, device=x.device) - 1
        else:
            direction = self.ascent(torch.randn(x.shape, generator=generator, device=x.device))
            radius = torch.rand(len(x), generator=generator, device=x.device) ** (1 / math.prod(x.shape[1:]))
            change = direction * per_sample(radius, x)
        return (x + self.epsilon * change).clamp(self.low, self.high)
