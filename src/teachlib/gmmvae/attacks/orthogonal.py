"""Orthogonal PGD: one requirement after the other, and the others left alone (Bryniarski et al., 2022)."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least
from teachlib.gmmvae.attacks.ball import Ball, directions, per_sample
from teachlib.gmmvae.attacks.gradient import Slopes, values_and_gradients

Requirements = Callable[[Tensor], Tensor]


def orthogonal_pgd(
    requirements: Requirements,
    x: Tensor,
    ball: Ball,
    *,
    steps: int = 100,
    step_size: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Climb the first requirement that is not met, sample by sample, along what is orthogonal to the others' slopes.

    A sum of losses, as other attacks climb, has to be weighed, and goes where one of them is steep. Here none is
    weighed against another: to the first order, a step in L2 leaves the others as they are. (In L∞ the sign is taken
    of the orthogonal slope, and that holds no longer exactly.)

    Args:
        requirements: (N, C, H, W) → (N, K), all positive where the attack succeeds; see
            :func:`teachlib.gmmvae.attacks.slacks`.
        x: clean images, (N, C, H, W).
        ball: how far it may go.
        steps: of the climb.
        step_size: by default 2.5·ε/steps.
        generator: of a random start in the ball; ``None`` starts at the clean image.

    Returns:
        Of each sample the point whose least met requirement is greatest, as ``x``.

    Raises:
        TeachlibError: no such images or numbers; a slope that is not a number.
    """
    require_at_least(1, steps=steps)
    require_at_least(0, step_size=step_size)
    climb = _Climb(requirements, x, ball)
    size = 2.5 * ball.epsilon / steps if step_size is None else step_size
    current = x if generator is None else ball.random(x, generator)
    for _ in range(steps):
        step = ball.ascent(climb.slope(current))
        current = ball.project(current + size * step, x)
    climb.slope(current)
    return climb.checked()


class _Climb:
    """Best point of each sample, and the slope that it climbs next."""

    def __init__(self, requirements: Requirements, x: Tensor, ball: Ball) -> None:
        with torch.no_grad():
            values = requirements(x)
        if values.ndim != 2 or len(values) != len(x) or not values.shape[1]:
            raise TeachlibError(f"requirements of shape {tuple(values.shape)}; expected (N, K), N = {len(x)} images")
        self.slopes = Slopes(requirements, x, ball.low, ball.high, values_and_gradients)
        self.best, self.least = x.clone(), torch.full((len(x),), -torch.inf, device=x.device)

    def slope(self, current: Tensor) -> Tensor:
        """Of the first requirement that is not met, or else of the least; orthogonal to all others."""
        values, gradients = self.slopes(current)
        least = values.amin(1)
        better = least > self.least
        self.best = torch.where(per_sample(better, current), current, self.best)
        self.least = torch.where(better, least, self.least)
        first = torch.where(least > 0, values.argmin(1), (values <= 0).int().argmax(1))
        return orthogonal(gradients.transpose(0, 1), first)

    def checked(self) -> Tensor:
        """The best points, if every slope on the way was a number."""
        return self.slopes.checked(self.best)


def orthogonal(gradients: Tensor, which: Tensor) -> Tensor:
    """What of one gradient is orthogonal to all others.

    Args:
        gradients: (K, N, …).
        which: of the K, for each sample, (N,).

    Returns:
        (N, …); zero where the one lies in the span of the others.
    """
    count, samples = gradients.shape[:2]
    rows = torch.arange(samples, device=which.device)
    chosen = gradients[which, rows]
    others = [torch.where(per_sample(which == k, chosen), 0, gradients[k]) for k in range(count)]
    basis: list[Tensor] = []
    for other in others:
        basis.append(directions(_less(other, basis)))
    left = _less(chosen, basis)
    # What is left of a vector in the span is rounding, whose direction would mean nothing.
    noise = 1e-5 * chosen.flatten(1).norm(dim=1)
    return torch.where(per_sample(left.flatten(1).norm(dim=1) > noise, left), left, 0)


def _less(v: Tensor, basis: list[Tensor]) -> Tensor:
    """``v`` less its parts along orthonormal directions, (N, …); twice, as rounding leaves some."""
    for _ in range(2):
        for direction in basis:
            v = v - per_sample((v * direction).flatten(1).sum(1), v) * direction
    return v
