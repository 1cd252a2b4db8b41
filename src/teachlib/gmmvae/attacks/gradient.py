"""Attacks that climb the gradient of a loss: FGSM, MIM, PGD and Auto-PGD, as pure functions.

A *loss* gives each sample its own number, (N, C, H, W) → (N,), and is climbed. What is attacked, a classifier or a
classifier with detectors, is in the loss alone.
"""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, require_images
from teachlib.gmmvae.attacks.ball import Ball, directions, per_sample
from teachlib.modes import refuse_training

Loss = Callable[[Tensor], Tensor]


def _leaf(x: Tensor) -> Tensor:
    """The same images, to differentiate by; those of inference mode must be copied for that."""
    return (x.clone() if x.is_inference() else x.detach()).requires_grad_()


def value_and_gradient(loss: Loss, x: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of each sample, (N,), and its gradient, as ``x``; both detached."""
    with torch.inference_mode(False), torch.enable_grad():
        x = _leaf(x)
        value = loss(x)
        if value.shape != (len(x),):
            raise TeachlibError(f"loss of shape {tuple(value.shape)}; expected one number a sample, ({len(x)},)")
        (gradient,) = torch.autograd.grad(value.sum(), x)  # samples are independent: the sum's gradient is each one's
    return value.detach(), gradient


def values_and_gradients(losses: Loss, x: Tensor) -> tuple[Tensor, Tensor]:
    """Several losses of each sample, (N, K), from one forward pass, and their gradients, (N, K, …); both detached."""
    with torch.inference_mode(False), torch.enable_grad():
        x = _leaf(x)
        values = losses(x)
        gradients = [torch.autograd.grad(value, x, retain_graph=True)[0] for value in values.sum(0)]
    return values.detach(), torch.stack(gradients, 1)


class Slopes:
    """A loss's values and gradients, and whether all of them were numbers: asked once, as asking waits for a GPU.

    Args:
        loss: (N, C, H, W) → (N,); its networks in evaluation mode.
        x: clean images, (N, C, H, W).
        low: least value of a pixel.
        high: greatest value of a pixel.
        differentiate: :func:`value_and_gradient`, or :func:`values_and_gradients` of losses that give (N, K).

    Raises:
        TeachlibError: no such images.
    """

    def __init__(
        self,
        loss: Loss,
        x: Tensor,
        low: float = 0.0,
        high: float = 1.0,
        differentiate: Callable[[Loss, Tensor], tuple[Tensor, Tensor]] = value_and_gradient,
    ) -> None:
        require_images(x, low, high, rounding=0)
        self.differentiate, self.loss, self.first, self.dtype = differentiate, loss, True, x.dtype
        self.lost = torch.zeros(len(x), dtype=torch.bool, device=x.device)

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """As ``differentiate``."""
        with refuse_training() if self.first else nullcontext():
            value, gradient = self.differentiate(self.loss, x)
        self.first = False
        self.note(value)
        self.lost |= ~gradient.flatten(1).isfinite().all(1)
        return value, gradient

    def note(self, value: Tensor) -> None:
        """Values by themselves, (N,) or (N, K)."""
        self.lost |= value.view(len(value), -1).isnan().any(1)

    def checked(self, end: Tensor) -> Tensor:
        """The attacked images, without a graph, in the clean ones' precision, if every slope on the way was a number.

        Raises:
            TeachlibError: one was not.
        """
        if self.lost.any():
            place = int(self.lost.nonzero()[0])
            raise TeachlibError(
                f"the loss of image {place} or its slope is not a finite number; expected one everywhere in the ball: "
                "look for roots and logarithms of zero, quotients by zero, and overflow"
            )
        return end.detach().to(self.dtype)


def fgsm(loss: Loss, x: Tensor, ball: Ball) -> Tensor:
    """The fast gradient sign method: one step to the border of the ball (Goodfellow et al., 2015a).

    Exact for a linear loss, as far as the box lets it.

    Args:
        loss: (N, C, H, W) → (N,), climbed.
        x: clean images, (N, C, H, W).
        ball: how far it may go.

    Returns:
        Attacked images, as ``x``.
    """
    slopes = Slopes(loss, x, ball.low, ball.high)
    _, gradient = slopes(x)
    return slopes.checked(ball.project(x + ball.epsilon * ball.ascent(gradient), x))


def mim(
    loss: Loss, x: Tensor, ball: Ball, *, steps: int = 10, step_size: float | None = None, decay: float = 1.0
) -> Tensor:
    """The momentum iterative method (Dong et al., 2018), from the clean image.

    Args:
        loss: (N, C, H, W) → (N,), climbed.
        x: clean images.
        ball: how far it may go.
        steps: of the climb.
        step_size: by default ε/steps, as published.
        decay: μ, of the momentum.

    Returns:
        Attacked images, as ``x``.
    """
    require_at_least(1, steps=steps)
    require_at_least(0, step_size=step_size, decay=decay)
    slopes, size = Slopes(loss, x, ball.low, ball.high), ball.epsilon / steps if step_size is None else step_size
    current, momentum = x.clone(), torch.zeros_like(x)
    for _ in range(steps):
        _, gradient = slopes(current)
        # Each sample's own L1 norm: a batch's would let one steep sample silence the others.
        momentum = decay * momentum + directions(gradient, order=1)
        current = ball.project(current + size * ball.ascent(momentum), x)
    return slopes.checked(current)


def pgd(
    loss: Loss,
    x: Tensor,
    ball: Ball,
    *,
    steps: int = 40,
    step_size: float | None = None,
    restarts: int = 1,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Projected gradient descent on the negative loss (Madry et al., 2018), the best of several starts.

    Args:
        loss: (N, C, H, W) → (N,), climbed.
        x: clean images.
        ball: how far it may go.
        steps: of each climb.
        step_size: by default 2.5·ε/steps.
        restarts: climbs; of each sample the end with the greatest loss is kept.
        generator: of the random starts in the ball; ``None`` starts at the clean image.

    Returns:
        Attacked images, as ``x``.

    Raises:
        TeachlibError: restarts without a generator would all be the same.
    """
    require_at_least(1, steps=steps, restarts=restarts)
    require_at_least(0, step_size=step_size)
    if restarts > 1 and generator is None:
        raise TeachlibError(f"{restarts} restarts from the clean image are all the same; give a generator")
    slopes, size = Slopes(loss, x, ball.low, ball.high), 2.5 * ball.epsilon / steps if step_size is None else step_size
    best, best_value = x.clone(), torch.full((len(x),), -torch.inf, device=x.device)
    for _ in range(restarts):
        current = x if generator is None else ball.random(x, generator)
        for _ in range(steps):
            _, gradient = slopes(current)
            current = ball.project(current + size * ball.ascent(gradient), x)
        with torch.no_grad():
            value = loss(current)
        slopes.note(value)
        better = value > best_value
        best = torch.where(per_sample(better, x), current, best)
        best_value = torch.where(better, value, best_value)
    return slopes.checked(best)


def apgd(
    loss: Loss,
    x: Tensor,
    ball: Ball,
    *,
    steps: int = 100,
    step_size: float | None = None,
    start: Tensor | None = None,
) -> Tensor:
    """Auto-PGD: momentum, and a step size each sample halves when it no longer pays (Croce and Hein, 2020b).

    At checkpoints that come closer and closer, a sample goes back to its best point with half the step if less than
    three quarters of the steps since the last one raised its loss, or if neither step size nor best loss has changed.

    Args:
        loss: (N, C, H, W) → (N,), climbed.
        x: clean images.
        ball: how far it may go.
        steps: of the climb.
        step_size: first one; by default 2ε, as published.
        start: within the ball, as ``x``; by default the clean images.

    Returns:
        The best point of each sample, as ``x``; never worse than ``start``.
    """
    require_at_least(1, steps=steps)
    require_at_least(0, step_size=step_size)
    slopes, current = Slopes(loss, x, ball.low, ball.high), x.clone() if start is None else start.clone()
    value, gradient = slopes(current)
    state = _Climb(x, ball, current, value, gradient, steps, 2 * ball.epsilon if step_size is None else step_size)
    for step in range(1, steps + 1):
        state.move(momentum=1.0 if step == 1 else 0.75)
        state.look(slopes)
        state.adapt(step)
    return slopes.checked(state.best)


class _Climb:
    """What Auto-PGD remembers of every sample: two last points, the best one, and its own step size."""

    def __init__(
        self, x: Tensor, ball: Ball, start: Tensor, value: Tensor, gradient: Tensor, steps: int, step_size: float
    ) -> None:
        self.x, self.ball = x, ball
        self.previous, self.current, self.gradient = start, start, gradient
        self.best, self.best_value, self.best_gradient = start, value, gradient
        self.value = value
        self.size = torch.full((len(x),), step_size, device=x.device)
        self.rises = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        self.reduced, self.value_at_checkpoint = torch.ones(len(x), dtype=torch.bool, device=x.device), value
        self.period, self.shortest, self.shrink = (max(int(part * steps), 1) for part in (0.22, 0.06, 0.03))
        self.checkpoint, self.last = self.period, 0

    def move(self, *, momentum: float) -> None:
        """Eq 1 of the paper: a projected step, then a mean of it and the last change."""
        step = per_sample(self.size, self.x) * self.ball.ascent(self.gradient)
        target = self.ball.project(self.current + step, self.x)
        change = momentum * (target - self.current) + (1 - momentum) * (self.current - self.previous)
        self.previous, self.current = self.current, self.ball.project(self.current + change, self.x)

    def look(self, slopes: Slopes) -> None:
        """Loss and gradient where it stands now."""
        value, self.gradient = slopes(self.current)
        self.rises += value > self.value
        self.value = value
        better = value > self.best_value
        self.best = torch.where(per_sample(better, self.x), self.current, self.best)
        self.best_gradient = torch.where(per_sample(better, self.x), self.gradient, self.best_gradient)
        self.best_value = torch.where(better, value, self.best_value)

    def adapt(self, step: int) -> None:
        """At a checkpoint: halve the step of the samples that got stuck, and take them back to their best point."""
        if step != self.checkpoint:
            return
        stuck = self.rises < 0.75 * (step - self.last)
        stuck |= ~self.reduced & (self.best_value <= self.value_at_checkpoint)
        self.size = torch.where(stuck, self.size / 2, self.size)
        self.current = torch.where(per_sample(stuck, self.x), self.best, self.current)
        self.gradient = torch.where(per_sample(stuck, self.x), self.best_gradient, self.gradient)
        self.value = torch.where(stuck, self.best_value, self.value)
        self.reduced, self.value_at_checkpoint = stuck, self.best_value
        self.rises = torch.zeros_like(self.rises)
        self.last, self.period = step, max(self.period - self.shrink, self.shortest)
        self.checkpoint = step + self.period
