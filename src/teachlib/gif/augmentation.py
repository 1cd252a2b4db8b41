"""Adaptive discriminator augmentation, for sets of few images (Karras et al., 2020, ADA).

The discriminator never sees an image as it is: real and generated ones are transformed alike, with probability p. As
the transforms can be undone and are skipped with probability 1 − p, the generator still learns the images' own
distribution. p rises while the discriminator is sure of the real images, a sign of overfitting.

Where this differs from the paper: images are enlarged and reduced not by an orthogonal wavelet but by four bilinear
looks a pixel, which are averaged; there is no filtering, no noise and no cut-out, as the paper's own choice has it.
"""

import math
from collections.abc import Collection, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.gif.resampling import LinearMap

GEOMETRY = ("flip", "quarter turn", "shift", "scale", "rotation", "stretch", "slide")
COLOUR = ("brightness", "contrast", "luma flip", "hue", "saturation")
TRANSFORMS = (*GEOMETRY, *COLOUR)


class AdaptiveAugmentation:
    """Transforms by a probability that follows how sure the discriminator is of real images.

    Args:
        transforms: which, of ``TRANSFORMS``; the paper takes all of them.
        target: of E sign D(x) over real images x; the paper: 0.6.
        images: that the discriminator has seen when p has gone from 0 to 1, at the fastest; the paper: 500,000.
        every: batches between changes of p; the paper: 4.

    Attributes:
        p: the probability, 0 at first.

    Raises:
        TeachlibError: a transform that does not exist; a target that signs do not reach.
    """

    def __init__(
        self,
        transforms: Collection[str] = TRANSFORMS,
        *,
        target: float = 0.6,
        images: int = 500_000,
        every: int = 4,
    ) -> None:
        _refuse_unknown(transforms)
        if not -1 < target < 1:
            raise TeachlibError(f"target is {target}; expected a mean of signs, more than −1 and less than 1")
        require_at_least(1, images=images, every=every)
        self.transforms, self.target, self.images, self.every = frozenset(transforms), target, images, every
        self.p = 0.0
        self._signs, self._count, self._batches = torch.zeros(()), 0, 0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """:func:`augment` with the present probability."""
        return augment(images, self.p, generator, self.transforms)

    def update(self, real_logits: Tensor) -> None:
        """Take the logits (N,) of one batch of real images into account; every few batches, p takes a step."""
        self._signs = self._signs.to(real_logits) + real_logits.detach().sign().sum()
        self._count, self._batches = self._count + real_logits.numel(), self._batches + 1
        if self._batches < self.every:
            return
        seen = torch.stack([self._signs, torch.full_like(self._signs, self._count)])
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(seen)  # p is one for all processes
        signs, count = seen.tolist()
        sure = signs / count
        step = count / self.images * ((sure > self.target) - (sure < self.target))
        self.p = min(max(self.p + step, 0.0), 1.0)
        self._signs, self._count, self._batches = torch.zeros(()), 0, 0

    def state_dict(self) -> dict[str, Tensor]:
        """p and what was gathered for its next step, for checkpoints."""
        numbers = torch.tensor([self.p, self._count, self._batches], dtype=torch.float64)
        return {"numbers": numbers, "signs": self._signs}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`state_dict` gave."""
        p, count, batches = state["numbers"].tolist()
        self.p, self._count, self._batches = p, int(count), int(batches)
        self._signs = state["signs"].clone()


def _refuse_unknown(transforms: Collection[str]) -> None:
    for name in [transforms] if isinstance(transforms, str) else transforms:
        if name not in TRANSFORMS:
            raise unknown("transform", name, TRANSFORMS)
    if isinstance(transforms, str):
        raise TeachlibError(f"transforms is the word {transforms!r}; expected a collection: ({transforms!r},)")


def augment(images: Tensor, p: float, generator: torch.Generator, transforms: Collection[str] = TRANSFORMS) -> Tensor:
    """Transform each image, each transform with probability p by itself; differentiable, also twice.

    Args:
        images: (N, C, H, H) in about [−1, 1]; the first three channels are red, green and blue. Channels beyond them,
            conditions, move with the picture and keep their values.
        p: the probability. Where nothing was drawn, images stay the same, bit by bit.
        generator: draws all decisions.
        transforms: which, of ``TRANSFORMS``.

    Returns:
        (N, C, H, H).

    Raises:
        TeachlibError: images that are not square, or without three channels; a p that is no probability; a transform
            that does not exist.
    """
    _refuse_unknown(transforms)
    if images.ndim != 4 or images.shape[1] < 3 or images.shape[2] != images.shape[3]:
        raise TeachlibError(f"images of shape {tuple(images.shape)}; expected (N, 3 or more, H, H)")
    if not 0 <= p <= 1:
        raise TeachlibError(f"p is {p}; expected a probability")
    if p == 0:
        return images
    draw = _Draws(len(images), p, generator, frozenset(transforms))
    images = move(images, *_movements(draw, images.shape[-1]))
    images = warp(images, _warps(draw, images.shape[-1]).to(images))
    coloured = recolour(images[:, :3], _colours(draw).to(images))
    return coloured if images.shape[1] == 3 else torch.cat([coloured, images[:, 3:]], 1)


# -------------------------------------------------------------------------------------------------------- transforms


def move(images: Tensor, flip: Tensor, turns: Tensor, shift: Tensor) -> Tensor:
    """Mirror, then turn, then shift images: pixels are moved, and none is computed.

    Args:
        images: (N, C, H, H).
        flip: (N,), whether left and right change places.
        turns: (N,), quarters of a turn anticlockwise, as ``torch.rot90`` counts them.
        shift: (N, 2), whole pixels to the right and down, less than H; what comes in is reflected at the border.

    Returns:
        (N, C, H, H).
    """
    side, device = images.shape[-1], images.device
    flip, turns, shift = flip.to(device)[:, None, None], turns.to(device)[:, None, None], shift.to(device)
    at = torch.arange(side, device=device)
    x = _reflected(at - shift[:, :1], side)[:, None, :].expand(-1, side, -1)  # where each result comes from
    y = _reflected(at - shift[:, 1:], side)[:, :, None].expand(-1, -1, side)
    for turned in range(1, 4):  # a turn back of each that has more left
        again = turns >= turned
        x, y = torch.where(again, side - 1 - y, x), torch.where(again, x, y)
    x = torch.where(flip, side - 1 - x, x)
    index = (y * side + x).flatten(1)[:, None].expand(-1, images.shape[1], -1)
    return images.flatten(2).gather(2, index).view_as(images)


def _reflected(index: Tensor, side: int) -> Tensor:
    """Indices beyond 0 … side − 1 reflected at the first and last pixel, which are not repeated."""
    last = max(side - 1, 1)
    return last - (index.remainder(2 * last) - last).abs()


def warp(images: Tensor, backward: Tensor) -> Tensor:
    """Look images up at transformed places: four bilinear looks a pixel, averaged, so that shrinking does not alias.

    Args:
        images: (N, C, H, H); beyond the border they are reflected.
        backward: (N, 3, 3), from a place in the result to the place in the image, both (x, y, 1) in pixels from the
            centre, y down. Where it is the identity, the image stays the same, bit by bit.

    Returns:
        (N, C, H, H).
    """
    changed = (backward != torch.eye(3).to(backward)).flatten(1).any(1)
    # Transforms of the grid's units, −1 … 1, keep the linear part of square images; only the offset is scaled.
    units = torch.cat([backward[:, :2, :2], backward[:, :2, 2:] * (2 / images.shape[-1])], 2)
    side = 2 * images.shape[-1]
    grid = F.affine_grid(units, [len(images), 1, side, side], align_corners=False)
    warped = F.avg_pool2d(_looked_up(images, grid), 2)
    return torch.where(changed[:, None, None, None], warped, images)


def recolour(images: Tensor, colours: Tensor) -> Tensor:
    """Apply an affine map to the colours of each image.

    Args:
        images: (N, 3, H, W).
        colours: (N, 4, 4), of (red, green, blue, 1); where it is the identity, the image stays the same, bit by bit.

    Returns:
        (N, 3, H, W).
    """
    changed = (colours != torch.eye(4).to(colours)).flatten(1).any(1)
    mapped = torch.baddbmm(colours[:, :3, 3:], colours[:, :3, :3], images.flatten(2)).view_as(images)
    return torch.where(changed[:, None, None, None], mapped, images)


def _looked_up(images: Tensor, grid: Tensor) -> Tensor:
    """``grid_sample``, linear in the images: R1 differentiates twice by them, which torch's did not always allow."""
    looks = 0, 2, False  # bilinear, reflected at the border, −1 and 1 are the image's edges: as torch numbers them
    like = images.detach()  # of which the adjoint wants the shape

    def back(slope: Tensor) -> Tensor:
        return torch.ops.aten.grid_sampler_2d_backward(slope.contiguous(), like, grid, *looks, [True, False])[0]

    return LinearMap.apply(images, lambda x: torch.ops.aten.grid_sampler_2d(x, grid, *looks), back)


# ---------------------------------------------------------------------------------------------------------- matrices


def turn_matrix(angle: Tensor) -> Tensor:
    """Rotation of the plane about its origin: (N,) radians → (N, 3, 3)."""
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1], 1).view(-1, 3, 3)


def scale_matrix(x: Tensor, y: Tensor) -> Tensor:
    """Scaling of the plane about its origin: factors (N,) and (N,) → (N, 3, 3)."""
    return torch.diag_embed(torch.stack([x, y, torch.ones_like(x)], 1))


def slide_matrix(offset: Tensor) -> Tensor:
    """Translation of the plane: (N, 2) → (N, 3, 3)."""
    matrix = torch.eye(3).repeat(len(offset), 1, 1).to(offset)
    matrix[:, :2, 2] = offset
    return matrix


def colour_matrix(brightness: Tensor, contrast: Tensor, luma_flip: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """Brightness, then contrast, luma flip, hue and saturation, as one map of (red, green, blue, 1).

    The last three act about the grey axis v = (1, 1, 1)/√3: along it (a reflection), around it (a rotation), across it
    (a scaling).

    Args:
        brightness: (N,), added to all colours.
        contrast: (N,), multiplies all colours.
        luma_flip: (N,), whether the component along v changes its sign.
        hue: (N,), radians.
        saturation: (N,), multiplies what is not along v.

    Returns:
        (N, 4, 4).
    """
    along = contrast.new_full((3, 3), 1 / 3)  # v·vᵀ
    across = torch.eye(3).to(along) - along
    quarter = along.new_tensor([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)  # c ↦ v × c
    cos, sin, contrast, saturation = (part[:, None, None] for part in (hue.cos(), hue.sin(), contrast, saturation))
    sign = 1 - 2 * luma_flip.to(contrast)[:, None, None]
    linear = contrast * (sign * along + saturation * (cos * across + sin * quarter))
    matrix = torch.eye(4).repeat(len(linear), 1, 1).to(contrast)
    matrix[:, :3, :3] = linear
    matrix[:, :3, 3] = linear.sum(2) * brightness[:, None]
    return matrix


# ------------------------------------------------------------------------------------------------------------- draws


class _Draws:
    """Random numbers of a batch: of each transform, for the images that it is drawn for, and what leaves the others."""

    def __init__(self, count: int, p: float, generator: torch.Generator, transforms: frozenset[str]) -> None:
        self.count, self.p, self.generator, self.transforms = count, p, generator, transforms

    def uniform(self, *shape: int) -> Tensor:
        return torch.rand(self.count, *shape, generator=self.generator, device=self.generator.device)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(self.count, *shape, generator=self.generator, device=self.generator.device)

    def some(self, name: str, values: Tensor, neutral: float, p: float | None = None) -> Tensor:
        """Values for the images that are drawn, with probability p; ``neutral`` for the others."""
        drawn = self.uniform() < (self.p if p is None else p)
        if name not in self.transforms:
            return torch.full_like(values, neutral)
        return torch.where(drawn.view(-1, *[1] * (values.ndim - 1)), values, torch.full_like(values, neutral))


def _movements(draw: _Draws, side: int) -> tuple[Tensor, Tensor, Tensor]:
    """Flips, quarter turns, and shifts of up to an eighth of the image."""
    flip = draw.some("flip", (2 * draw.uniform()).floor(), 0) > 0
    turns = draw.some("quarter turn", (4 * draw.uniform()).floor(), 0).long()
    shift = draw.some("shift", ((2 * draw.uniform(2) - 1) * side / 8).round(), 0).long()
    return flip, turns, shift


def _warps(draw: _Draws, side: int) -> Tensor:
    """Scaling, rotation, stretching, rotation and sliding, from results back to images, (N, 3, 3).

    Two rotations, as the paper has it: a stretch may then lie in any direction. Together they are drawn with
    probability p.
    """
    p = 1 - math.sqrt(1 - draw.p)
    scale = draw.some("scale", (0.2 * draw.normal()).exp2(), 1)
    before = draw.some("rotation", math.pi * (2 * draw.uniform() - 1), 0, p)
    stretch = draw.some("stretch", (0.2 * draw.normal()).exp2(), 1)
    after = draw.some("rotation", math.pi * (2 * draw.uniform() - 1), 0, p)
    slide = draw.some("slide", 0.125 * side * draw.normal(2), 0)
    sizes = scale_matrix(1 / scale, 1 / scale) @ turn_matrix(-before) @ scale_matrix(1 / stretch, stretch)
    return sizes @ turn_matrix(-after) @ slide_matrix(-slide)


def _colours(draw: _Draws) -> Tensor:
    """Maps of colours, (N, 4, 4)."""
    return colour_matrix(
        brightness=draw.some("brightness", 0.2 * draw.normal(), 0),
        contrast=draw.some("contrast", (0.5 * draw.normal()).exp2(), 1),
        luma_flip=draw.some("luma flip", (2 * draw.uniform()).floor(), 0),
        hue=draw.some("hue", math.pi * (2 * draw.uniform() - 1), 0),
        saturation=draw.some("saturation", draw.normal().exp2(), 1),
    )
