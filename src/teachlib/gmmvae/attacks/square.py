"""The Square attack: random search by the loss alone, no gradient (Andriushchenko et al., 2020)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, require_images
from teachlib.gmmvae.attacks.ball import Ball, lengths, per_sample
from teachlib.modes import refuse_training

# Share of the image that a square covers is halved after these queries of 10,000; other budgets scale them.
_HALVINGS = (10, 50, 200, 500, 1_000, 2_000, 4_000, 6_000, 8_000)


def square(
    loss: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    ball: Ball,
    *,
    queries: int = 1_000,
    share: float = 0.8,
    generator: torch.Generator,
) -> Tensor:
    """Change a random square of each image; keep the change where it raises the loss.

    It sees nothing of the loss but its value, so masked gradients do not stop it. Images whose loss is positive, which
    is what success means to every loss of :mod:`teachlib.gmmvae.attacks`, are left alone from then on.

    Args:
        loss: images (M, C, H, W), and which of the N they are, (M,), to (M,), climbed; called without gradients. Fewer
            and fewer images are asked about, so labels must be picked by those rows.
        x: clean images, (N, C, H, W).
        ball: how far it may go.
        queries: of the loss, an image, at most.
        share: of the image that the first squares cover.
        generator: explicit randomness.

    Returns:
        The best point of each sample, as ``x``.

    Raises:
        TeachlibError: no images, budget or share; a network in training mode; a loss that is not a number.
    """
    require_at_least(1, queries=queries)
    if not 0 < share <= 1:
        raise TeachlibError(f"share is {share}; expected more than 0, and 1 at most")
    require_images(x, ball.low, ball.high, rounding=0)
    x = x.detach()
    best = ball.project(_stripes(x, ball, generator) if ball.norm == "linf" else _tiles(x, ball, generator), x)
    propose = _painted if ball.norm == "linf" else _moved
    with torch.no_grad():
        with refuse_training():
            value = _numbers(loss(best, torch.arange(len(x), device=x.device)))
        for query in range(1, queries):
            active = (value <= 0).nonzero().flatten()
            if not len(active):
                break
            side = _side(query, queries, share, x.shape[2], x.shape[3])
            tried = ball.project(propose(best[active], x[active], ball, side, generator), x[active])
            found = _numbers(loss(tried, active))
            better = found > value[active]
            best[active[better]], value[active[better]] = tried[better], found[better]
    return best


def _numbers(value: Tensor) -> Tensor:
    if value.isnan().any():  # it would pass for a success: NaN is not below zero
        raise TeachlibError("a loss that is not a number; look for roots and logarithms of zero, and overflow")
    return value


def _side(query: int, queries: int, share: float, height: int, width: int) -> int:
    """Of the square, in pixels, by its share of the area: smaller and smaller, at fixed points of the budget."""
    halvings = sum(query * 10_000 / queries > border for border in _HALVINGS)
    side = round(math.sqrt(share / 2**halvings * height * width))
    return min(max(side, 1), height, width)


def _signs(*shape: int, like: Tensor, generator: torch.Generator) -> Tensor:
    drawn = torch.randint(2, shape, generator=generator, device=like.device)
    return 2 * drawn.to(like.dtype) - 1


def _stripes(x: Tensor, ball: Ball, generator: torch.Generator) -> Tensor:
    """The start in L∞: each column of each channel up or down by ε."""
    count, channels, _, width = x.shape
    return x + _signs(count, channels, 1, width, like=x, generator=generator) * ball.epsilon


def _corner(count: int, side: int, size: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """First row or column of a square, one a sample, (count, 1)."""
    return torch.randint(size - side + 1, (count, 1), generator=generator, device=like.device)


def _painted(current: Tensor, x: Tensor, ball: Ball, side: int, generator: torch.Generator) -> Tensor:
    """A square of each image set to x ± ε, each channel by its own sign."""
    count, channels, height, width = x.shape
    top, left = (_corner(count, side, size, x, generator) for size in (height, width))
    rows, columns = torch.arange(height, device=x.device) - top, torch.arange(width, device=x.device) - left
    inside = ((rows >= 0) & (rows < side))[:, None, :, None] & ((columns >= 0) & (columns < side))[:, None, None, :]
    return torch.where(inside, x + _signs(count, channels, 1, 1, like=x, generator=generator) * ball.epsilon, current)


def _hill(rows: int, columns: int) -> Tensor:
    """A pyramid of steps 1/k², (rows, columns), highest in the middle (the paper's η for L2)."""
    row, column = torch.arange(rows)[:, None], torch.arange(columns)[None]
    ring = torch.maximum((row - rows // 2).abs(), (column - columns // 2).abs())
    # Ring r collects 1/(r + 1)² + 1/(r + 2)² + … up to the rim at half a side and one step.
    rim = max(rows // 2, columns // 2) + 1
    total = torch.cat([torch.zeros(1), 1 / torch.arange(1, rim + 1) ** 2]).cumsum(0)
    return total[rim] - total[ring]


def _pattern(side: int) -> Tensor:
    """Two hills of opposite sign side by side, of length one: (side, side)."""
    if side == 1:
        return torch.ones(1, 1)
    pattern = torch.cat([_hill(side // 2, side), -_hill(side - side // 2, side)])
    return pattern / pattern.norm()


def _tiles(x: Tensor, ball: Ball, generator: torch.Generator) -> Tensor:
    """The start in L2: a five by five grid of patterns with random signs, scaled to length ε."""
    count, channels, height, width = x.shape
    side = max(min(height, width) // 5, 1)
    change = torch.zeros_like(x)
    for top in range(0, height - side + 1, side):
        for left in range(0, width - side + 1, side):
            signs = _signs(count, channels, 1, 1, like=x, generator=generator)
            change[:, :, top : top + side, left : left + side] = signs * _pattern(side).to(x)
    return x + ball.epsilon * ball.ascent(change)


def _moved(current: Tensor, x: Tensor, ball: Ball, side: int, generator: torch.Generator) -> Tensor:
    """Length taken from one window of the change, and from what ε leaves unused, and given to another."""
    count, channels, height, width = x.shape
    change = current - x
    unused = (ball.epsilon**2 - lengths(change).square()).clamp_min(0)
    corners = [_corner(count, side, size, x, generator) for size in (height, width, height, width)]
    to, source = _window(change, corners[0], corners[1], side), _window(change, corners[2], corners[3], side)
    pattern = _pattern(side).to(x)
    turned = per_sample(torch.rand(count, generator=generator, device=x.device) < 0.5, x)
    signs = _signs(count, channels, 1, 1, like=x, generator=generator)
    here = change[to]
    grown = signs * torch.where(turned, pattern.T, pattern) + here / _per_channel(here).clamp_min(1e-12)
    touched = torch.zeros_like(change)
    touched[to], touched[source] = 1, 1
    available = (_per_channel(change * touched).square() + unused / channels).sqrt()
    moved = change.clone()
    moved[source] = 0
    moved[to] = grown / _per_channel(grown).clamp_min(1e-12) * available
    return x + moved


def _per_channel(v: Tensor) -> Tensor:
    """‖v‖₂ of each channel, (N, C, H, W) → (N, C, 1, 1)."""
    return v.flatten(2).norm(dim=2)[:, :, None, None]


def _window(v: Tensor, top: Tensor, left: Tensor, side: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Index of a ``side × side`` window of each sample in all channels: ``v[window]`` is (N, C, side, side)."""
    count, channels = v.shape[:2]
    span = torch.arange(side, device=v.device)
    sample = torch.arange(count, device=v.device)[:, None, None, None]
    channel = torch.arange(channels, device=v.device)[None, :, None, None]
    return sample, channel, (top + span)[:, None, :, None], (left + span)[:, None, None, :]
