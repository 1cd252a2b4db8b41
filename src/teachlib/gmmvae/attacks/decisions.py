"""HopSkipJump: an attack that is told success or failure and nothing else (Chen, Jordan & Wainwright, 2020)."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, require_images
from teachlib.gmmvae.attacks.ball import Ball, directions, lengths, per_sample
from teachlib.modes import refuse_training

Succeeds = Callable[[Tensor, Tensor], Tensor]
_AT_ONCE = 4_096  # images that are asked about at a time
_HALVINGS = 12  # of a step, at most


@torch.no_grad()
def hop_skip_jump(
    succeeds: Succeeds,
    x: Tensor,
    start: Tensor,
    *,
    steps: int = 20,
    first: int = 100,
    low: float = 0.0,
    high: float = 1.0,
    generator: torch.Generator,
) -> Tensor:
    """Come nearer and nearer to each image, in Euclidean length, along the border of what succeeds.

    Each step guesses the border's normal from which of many points around the present one succeed, jumps along it, as
    far as it still succeeds, and goes back straight towards the image until just before it no longer does.

    Args:
        succeeds: images (M, C, H, W), and which of the N they are, (M,), to (M,) of bools: whether the attack would
            have succeeded with these. It is called without gradients.
        x: clean images, (N, C, H, W).
        start: images that succeed, as ``x``, e.g. accepted ones of other classes.
        steps: how often.
        first: points that the first step asks about, an image; the t-th asks about √t times as many.
        low: least value of a pixel.
        high: greatest value of a pixel.
        generator: explicit randomness.

    Returns:
        The nearest image that succeeds, of each sample, as ``x``; ``x`` itself where that succeeds already.

    Raises:
        TeachlibError: a start that does not succeed, or of another kind than the images; verdicts that are no bools; no
            images, range or budget; a network in training mode.
    """
    require_at_least(1, steps=steps)
    require_at_least(2, first=first)
    Ball(0.0, "l2", low, high)  # refuses a range that is none
    require_images(x, low, high, rounding=0)
    require_images(start, low, high, rounding=0)
    if start.shape != x.shape or start.dtype != x.dtype:
        kinds = " and ".join(f"{tuple(each.shape)} of {each.dtype}" for each in (x, start))
        raise TeachlibError(f"images and starts of shapes {kinds}; expected a start of the same kind for each image")
    x, rows = x.detach(), torch.arange(len(x), device=x.device)
    with refuse_training():
        done, begins = _asked(succeeds, x, rows), _asked(succeeds, start, rows)
    if not (begins | done).all():
        first_bad = int((~(begins | done)).nonzero()[0])
        raise TeachlibError(
            f"start {first_bad} does not succeed; expected an image that the attack would be content with"
        )
    best = torch.where(per_sample(done, x), x, start.detach())
    rows = rows[~done]
    if not len(rows):
        return best
    # The paper's tolerance of bisection, as a share of the way, and what follows from it for the radius of a look.
    tolerance = 1 / (math.prod(x.shape[1:]) ** 1.5)
    radius_share = math.sqrt(math.prod(x.shape[1:])) * tolerance
    near = _bisected(succeeds, x[rows], best[rows], rows, tolerance)
    best[rows] = near
    for step in range(1, steps + 1):
        apart = lengths(near - x[rows])
        look = 0.1 * (high - low) * torch.ones_like(apart) if step == 1 else radius_share * apart
        normal = _normal(succeeds, near, look, rows, round(first * math.sqrt(step)), low, high, generator)
        jumped = _jumped(succeeds, near, normal, apart / math.sqrt(step), rows, low, high)
        found = _bisected(succeeds, x[rows], jumped, rows, tolerance)
        nearer = lengths(found - x[rows]) < lengths(best[rows] - x[rows])
        best[rows] = torch.where(nearer, found, best[rows])
        near = found
    return best


def _asked(succeeds: Succeeds, images: Tensor, rows: Tensor) -> Tensor:
    """Whether each succeeds, (M,), asked in parts."""
    parts = zip(images.split(_AT_ONCE), rows.split(_AT_ONCE), strict=True)
    return torch.cat([_told(succeeds(part, which), len(part)) for part, which in parts])


def _told(verdicts: object, count: int) -> Tensor:
    if isinstance(verdicts, Tensor) and verdicts.dtype == torch.bool and verdicts.shape == (count,):
        return verdicts
    what = f"{tuple(verdicts.shape)} of {verdicts.dtype}" if isinstance(verdicts, Tensor) else type(verdicts).__name__
    raise TeachlibError(f"succeeds gave {what} for {count} images; expected a tensor with a bool for each")


def _bisected(succeeds: Succeeds, x: Tensor, far: Tensor, rows: Tensor, tolerance: float) -> Tensor:
    """The point nearest to ``x`` on the way from ``far``, which succeeds, that is found to succeed."""
    good, bad = x.new_ones(len(x)), x.new_zeros(len(x))
    for _ in range(math.ceil(math.log2(1 / tolerance))):
        middle = (good + bad) / 2
        holds = _asked(succeeds, x.lerp(far, per_sample(middle, x)), rows)
        good, bad = torch.where(holds, middle, good), torch.where(holds, bad, middle)
    return x.lerp(far, per_sample(good, x))


def _normal(
    succeeds: Succeeds,
    near: Tensor,
    look: Tensor,
    rows: Tensor,
    count: int,
    low: float,
    high: float,
    generator: torch.Generator,
) -> Tensor:
    """The direction, of length one, in which points around the border succeed."""
    found = []
    for image, radius, row in zip(near, look, rows, strict=True):
        noise = directions(
            torch.randn(count, *image.shape, generator=generator, device=image.device, dtype=image.dtype)
        )
        tried = (image + radius * noise).clamp(low, high)
        noise = (tried - image) / radius  # what is left of it within the pixels' range
        verdicts = 2 * _asked(succeeds, tried, row.expand(count)).to(noise) - 1
        mean = verdicts.mean()
        weights = verdicts - mean if mean.abs() < 1 else verdicts  # less noise, where both verdicts occur
        found.append((per_sample(weights, noise) * noise).mean(0))
    return directions(torch.stack(found))


def _jumped(
    succeeds: Succeeds, near: Tensor, normal: Tensor, length: Tensor, rows: Tensor, low: float, high: float
) -> Tensor:
    """As far along the normal as still succeeds, by halves; where nothing does, the point itself."""
    jumped, waiting = near.clone(), torch.ones(len(near), dtype=torch.bool, device=near.device)
    for _ in range(_HALVINGS):
        tried = (near[waiting] + length[waiting] * normal[waiting]).clamp(low, high)
        holds = _asked(succeeds, tried, rows[waiting])
        which = waiting.nonzero().flatten()[holds]
        jumped[which] = tried[holds]
        waiting[which] = False
        if not waiting.any():
            break
        length = length / 2
    return jumped
