"""The fast adaptive boundary attack: the least change that succeeds, no radius given (Croce and Hein, 2020a)."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, require_images, require_labels
from teachlib.gmmvae.attacks.ball import Ball, Norm, per_sample
from teachlib.gmmvae.attacks.gradient import Loss, Slopes
from teachlib.gmmvae.attacks.targets import accepted_as, several
from teachlib.gmmvae.selective import SelectiveClassifier
from teachlib.modes import refuse_training

_OVERSHOOT = 1.05  # η of the paper: a little beyond where the loss would be zero if it were linear
_PULL = 0.1  # α_max: the most weight that the clean image's own projection gets
_BACK = 0.9  # β: what is left of a change that has succeeded
_HALVINGS = 10  # of the way back to the clean image, at the end


@dataclass(frozen=True)
class Nearest:
    """The nearest points that were found to succeed.

    Attributes:
        images: as the clean ones; where nothing has succeeded, the clean image.
        sizes: how far each lies from its clean image, (N,); 0 where that succeeds by itself, infinite where nothing
            has.
    """

    images: Tensor
    sizes: Tensor

    def within(self, ball: Ball, x: Tensor) -> Tensor:
        """The images that lie in the ball around the clean ones ``x``, and the clean ones in place of all others."""
        return torch.where(per_sample(self.sizes <= ball.epsilon, x), self.images, x)

    def nearer(self, other: "Nearest") -> "Nearest":
        """Of each image the nearer of two."""
        mine = per_sample(self.sizes <= other.sizes, self.images)
        return Nearest(torch.where(mine, self.images, other.images), torch.minimum(self.sizes, other.sizes))


def fab(
    loss: Loss,
    x: Tensor,
    *,
    norm: Norm = "linf",
    steps: int = 100,
    restarts: int = 1,
    low: float = 0.0,
    high: float = 1.0,
    generator: torch.Generator | None = None,
) -> Nearest:
    """The nearest images at which a loss is positive.

    Each step takes the loss for linear where it stands, and goes to the nearest point of the box with value zero, a
    little further, and drawn towards the point of that plane that is nearest to the *clean* image. What succeeds is
    kept, and a tenth of its change is taken back. Exact for a linear loss.

    Args:
        loss: (N, C, H, W) → (N,), positive where the attack succeeds; its size matters too, as roots are looked for.
        x: clean images, (N, C, H, W).
        norm: that distances are measured in.
        steps: of each search.
        restarts: searches; the first begins at the clean image, the others at random within half of the distance
            that was reached so far, or anywhere in the box.
        low: least value of a pixel.
        high: greatest value of a pixel.
        generator: of the other beginnings.

    Raises:
        TeachlibError: no such images or numbers; restarts without a generator; a slope that is not a number.
    """
    require_at_least(1, steps=steps, restarts=restarts)
    ball = Ball(high - low, norm, low, high)
    if restarts > 1 and generator is None:
        raise TeachlibError(f"{restarts} restarts from the clean image are all the same; give a generator")
    slopes = Slopes(loss, x, low, high)
    search = _Search(slopes, x, ball)
    for restart in range(restarts):
        search.run(steps, search.beginning(generator) if restart and generator else x)
    search.halve()
    return Nearest(slopes.checked(search.best), search.sizes())


def nearest_accepted(
    classifier: SelectiveClassifier,
    x: Tensor,
    labels: Tensor,
    *,
    norm: Norm = "linf",
    steps: int = 20,
    draws: int = 1,
    generator: torch.Generator | None = None,
    batch_size: int = 250,
) -> Nearest:
    """The nearest images that a selective classifier accepts with a wrong label: :func:`fab` at each in turn.

    Args:
        classifier: to be fooled.
        x: clean images in [0, 1], (N, C, H, W).
        labels: true classes, (N,).
        norm: that distances are measured in.
        steps: of the search at each wrong class.
        draws: of the classifier's noise, a gradient.
        generator: of that noise.
        batch_size: images at a time; smaller ones fit caches better.

    Raises:
        TeachlibError: no such images, labels or numbers; a network in training mode; a slope that is not a number.
    """
    require_at_least(1, batch_size=batch_size)
    require_images(x, rounding=0)
    parts = []
    for images, known in zip(x.split(batch_size), labels.split(batch_size), strict=True):
        with torch.no_grad(), refuse_training():
            classes = several(classifier.measure(images[:1], generator)[0])
        known = require_labels(known, classes, count=len(images)).long()
        targets = [(known + further) % classes for further in range(1, classes)]
        losses = [accepted_as(classifier, target, draws=draws, generator=generator) for target in targets]
        found = [fab(loss, images, norm=norm, steps=steps) for loss in losses]
        parts.append(reduce(Nearest.nearer, found))
    return Nearest(torch.cat([part.images for part in parts]), torch.cat([part.sizes for part in parts]))


class _Search:
    """The nearest success of each image."""

    def __init__(self, slopes: Slopes, x: Tensor, ball: Ball) -> None:
        self.slopes, self.x, self.ball = slopes, x, ball
        value, _ = slopes(x)
        self.best, self.found = x.clone(), value > 0

    def sizes(self) -> Tensor:
        """Of the best changes, (N,); infinite where there is none."""
        return torch.where(self.found, self.ball.size(self.best, self.x), torch.inf)

    def beginning(self, generator: torch.Generator) -> Tensor:
        """A random point of the box, no further than half of what was reached."""
        ball, x = self.ball, self.x
        anywhere = ball.low + (ball.high - ball.low) * torch.rand(x.shape, generator=generator, device=x.device)
        anywhere = anywhere.to(x.dtype)
        size = ball.size(anywhere, x)
        reach = (self.sizes() / 2 / size.clamp_min(torch.finfo(size.dtype).tiny)).clamp(max=1)
        return x.lerp(anywhere, per_sample(reach, x).to(x.dtype))

    def run(self, steps: int, current: Tensor) -> None:
        """One search."""
        for _ in range(steps):
            current = self._moved(current)
            won = self._won(current)
            self._keep(current, won)
            current = torch.where(per_sample(won, current), self.x.lerp(current, _BACK), current)

    def _moved(self, current: Tensor) -> Tensor:
        """A step of the paper's Algorithm 1."""
        value, gradient = self.slopes(current)
        from_clean = -value - (gradient * (self.x - current)).flatten(1).sum(1)
        here = change_to_plane(current, gradient, -value, self.ball)
        there = change_to_plane(self.x, gradient, from_clean, self.ball)
        length, other = (self.ball.size(x + change, x) for x, change in ((current, here), (self.x, there)))
        pull = (length / (length + other).clamp_min(torch.finfo(length.dtype).tiny)).clamp(max=_PULL)
        ends = current + _OVERSHOOT * here, self.x + _OVERSHOOT * there
        return ends[0].lerp(ends[1], per_sample(pull, current)).clamp(self.ball.low, self.ball.high)

    @torch.no_grad()
    def _won(self, points: Tensor) -> Tensor:
        value = self.slopes.loss(points)
        self.slopes.note(value)
        return value > 0

    def _keep(self, points: Tensor, won: Tensor) -> None:
        nearer = won & (self.ball.size(points, self.x) < self.sizes())
        self.best = torch.where(per_sample(nearer, self.x), points, self.best)
        self.found |= won

    def halve(self) -> None:
        """Go straight back towards the clean images, as far as the loss stays positive."""
        far = self.best
        good, bad = self.x.new_ones(len(far)), self.x.new_zeros(len(far))
        for _ in range(_HALVINGS):
            middle = (good + bad) / 2
            points = self.x.lerp(far, per_sample(middle, far))
            won = self._won(points)
            self._keep(points, won & self.found)
            good, bad = torch.where(won, middle, good), torch.where(won, bad, middle)


def change_to_plane(x: Tensor, slope: Tensor, rise: Tensor, ball: Ball) -> Tensor:
    """The least change, by the ball's norm, that raises a linear function by so much and stays in the box.

    All pixels that are not yet at the box's border move alike (L∞) or in proportion to their slopes (L2). What is
    gained so is a concave, piecewise linear function of one number, whose corners are where a pixel meets the border.

    Args:
        x: points of the box, (N, C, H, W).
        slope: of the linear function, as ``x``.
        rise: that is wanted, of either sign, (N,).
        ball: for norm and box.

    Returns:
        Changes, as ``x``; the greatest ones of the box where it is too small for such a rise, and none where the
        slope is zero.
    """
    uphill = (slope * per_sample(rise.sign(), x)).flatten(1).double()
    flat = x.flatten(1).double()
    room = torch.where(uphill > 0, ball.high - flat, flat - ball.low) * (uphill != 0)
    steep = uphill.abs()
    speed = torch.ones_like(steep) if ball.norm == "linf" else steep
    meets = torch.where(speed > 0, room / speed, 0.0)
    corners, order = meets.sort(1)
    gains = (steep * speed).gather(1, order)
    still = gains.sum(1, keepdim=True) - gains.cumsum(1)  # slope of the gain beyond each corner
    at_corner = (gains * corners).cumsum(1) + corners * still
    wanted = rise.double().abs()[:, None]
    after = torch.searchsorted(at_corner, wanted)
    before = (after - 1).clamp_min(0)
    base, begun = at_corner.gather(1, before), corners.gather(1, before)
    base, begun = (torch.where(after > 0, each, 0.0) for each in (base, begun))
    rate = torch.where(after > 0, still.gather(1, before), gains.sum(1, keepdim=True))
    time = torch.where(rate > 0, begun + (wanted - base) / rate, begun)
    time = torch.where(after < flat.shape[1], time, corners[:, -1:])
    change = uphill.sign() * torch.minimum(time * speed, room)
    return change.view_as(x).to(x.dtype)
