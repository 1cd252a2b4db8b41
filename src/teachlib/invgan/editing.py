"""Pictures changed by their codes: filled in, merged, mended, mixed and moved along directions (thesis § 6.4.2)."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from teachlib import figures
from teachlib.errors import TeachlibError, require_at_least, require_positive
from teachlib.invgan.inversion import optimized
from teachlib.invgan.networks import InvGAN, StyleGAN2Generator, require_codes
from teachlib.modes import in_evaluation_mode

if TYPE_CHECKING:
    from teachlib.figures.canvas import Canvas

_HIDDEN = 0.5  # the middle of grey: the thesis's zero, of pixels on ±1


def square(size: int, top: int, left: int, side: int) -> Tensor:
    """A mask (1, 1, size, size) of bools, true inside of a square.

    Raises:
        TeachlibError: a square that does not lie in the picture.
    """
    require_at_least(1, side=side)
    require_at_least(0, top=top, left=left)
    if max(top, left) + side > size:
        raise TeachlibError(
            f"a square of {side} pixels at ({top}, {left}) leaves a picture of {size}; move or shrink it"
        )
    mask = torch.zeros(1, 1, size, size, dtype=torch.bool)
    mask[..., top : top + side, left : left + side] = True
    return mask


def require_mask(mask: Tensor, images: Tensor) -> Tensor:
    """A mask for each image, (N, 1, H, W) of bools.

    Args:
        mask: (H, W), (1, 1, H, W) or (N, 1, H, W), of bools or of zeros and ones.
        images: (N, C, H, W).

    Raises:
        TeachlibError: a mask of another size, of other values, or one that marks no pixel, or all of them.
    """
    if images.ndim != 4:
        raise TeachlibError(f"pictures of shape {tuple(images.shape)}; expected (N, C, height, width)")
    count, _, height, width = images.shape
    shaped = mask.reshape(1, 1, *mask.shape) if mask.ndim == 2 else mask
    if shaped.ndim != 4 or shaped.shape[1:] != (1, height, width) or len(shaped) not in (1, count):
        raise TeachlibError(
            f"a mask of shape {tuple(mask.shape)}; expected ({height}, {width}) as the pictures, or ({count}, 1, "
            f"{height}, {width})"
        )
    if not ((shaped == 0) | (shaped == 1)).all():
        raise TeachlibError("a mask of values between 0 and 1; expected true or false for each pixel")
    marked = shaped.bool().expand(count, -1, -1, -1)
    shares = marked.flatten(1).float().mean(1)
    if (shares == 0).any() or (shares == 1).any():
        which = "no pixel" if (shares == 0).any() else "every pixel"
        raise TeachlibError(f"a mask that marks {which}; mark what is to change, and leave some of the picture")
    return marked


@in_evaluation_mode
def inpainted(
    model: InvGAN, images: Tensor, mask: Tensor, *, steps: int = 0, stay: float = 1.0, keep: bool = True
) -> tuple[Tensor, Tensor]:
    """Fill in what a mask hides: hide it in grey, infer a code, generate (§ 6.4.2); with steps, search on from there.

    Args:
        model: that infers.
        images: (N, C, H, W) in [0, 1]; what is hidden does not matter.
        mask: true where pixels are hidden, as :func:`require_mask` takes it.
        steps: of a search for codes whose pictures are right where they can be seen; 0: the inferred codes.
        stay: how strongly the search is held where the model infers codes.
        keep: visible pixels are those of the image; otherwise everything is generated.

    Returns:
        Images (N, C, H, W) in [0, 1], and the codes (N, w_dim).

    Raises:
        TeachlibError: images of another shape or range; a mask as :func:`require_mask` refuses it; steps below zero.
    """
    model.require_images(images)
    require_at_least(0, steps=steps)
    hidden = require_mask(mask, images)
    shown = images.masked_fill(hidden, _HIDDEN)
    with torch.no_grad():
        codes = model.infer(shown)
    if steps:
        codes, _ = optimized(model, shown, codes, steps=steps, stay=stay, visible=~hidden)
    with torch.no_grad():
        made = model.generate(codes)
    return torch.where(hidden, made, images) if keep else made, codes


def brush(model: InvGAN, image: Tensor, *, steps: int = 0) -> "Canvas":
    """A picture to paint on: what is painted over is hidden, and filled in beside it by :func:`inpainted`.

    Args:
        model: that infers.
        image: (C, H, W) in [0, 1].
        steps: of a search after every stroke; 0: the inferred codes.

    Returns:
        A widget, as :func:`teachlib.figures.brush` makes it.

    Raises:
        TeachlibError: as :func:`inpainted` and :func:`teachlib.figures.brush`.
    """
    model.require_images(image[None])
    require_at_least(0, steps=steps)
    return figures.brush(
        image,
        lambda marks: inpainted(model, image[None], marks, steps=steps)[0][0],
        label="Paint over what is to be filled in",
        alt="The picture, with what is painted over filled in.",
    )


@torch.no_grad()
@in_evaluation_mode
def mended(model: InvGAN, drawn: Tensor) -> Tensor:
    """What the model makes of pictures that somebody has drawn over or pasted together, (N, C, H, W) in [0, 1]."""
    model.require_images(drawn)
    return model(drawn)


def merged(model: InvGAN, ours: Tensor, theirs: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Paste a part of one picture into another, and let the model mend the seam.

    Args:
        model: that mends.
        ours: (N, C, H, W) in [0, 1].
        theirs: as many; their pixels are taken where the mask is true.
        mask: as :func:`require_mask` takes it.

    Returns:
        What was pasted, and what the model made of it, both (N, C, H, W).

    Raises:
        TeachlibError: images of another shape or number; a mask as :func:`require_mask` refuses it.
    """
    if ours.shape != theirs.shape:
        raise TeachlibError(f"pictures of shapes {tuple(ours.shape)} and {tuple(theirs.shape)}; expected the same")
    pasted = torch.where(require_mask(mask, ours), theirs, ours)
    return pasted, mended(model, pasted)


@torch.no_grad()
@in_evaluation_mode
def mixed(model: InvGAN, coarse: Tensor, fine: Tensor, first: int) -> Tensor:
    """Style mixing (Figure 6.3): the first layers take one code, the others another.

    Args:
        model: with a generator that takes a code a layer, StyleGAN2's.
        coarse: codes of the first layers, (N, w_dim).
        fine: of all others, (N, w_dim).
        first: how many are the first, 0 … layers.

    Returns:
        (N, C, size, size) in [0, 1].

    Raises:
        TeachlibError: another generator; codes of another shape; more layers than there are.
    """
    if not isinstance(model.generator, StyleGAN2Generator):
        raise TeachlibError("this generator takes one code for all its layers; mixing needs the backbone stylegan2")
    for codes in (coarse, fine):
        require_codes(codes, model.w_dim)
    layers = model.generator.layers
    if not 0 <= first <= layers:
        raise TeachlibError(f"first is {first}; this generator takes {layers} codes, expected 0 … {layers}")
    own = torch.arange(layers)[:, None] < first
    return model.generator.mixed(torch.where(own, coarse[:, None], fine[:, None])).clamp(0, 1)


def direction(codes: Tensor, factor: Tensor, *, ridge: float = 1.0) -> Tensor:
    """Where codes go as a known factor grows, by ridge regression of the factor on codes.

    Of all steps that change what the regression says by a given amount, the one along its weights is the shortest.

    Args:
        codes: (N, w_dim).
        factor: of the same pictures, numbers or bools, (N,).
        ridge: weight of ‖weights‖²; more than zero, so that correlated numbers of codes have an answer.

    Returns:
        A step (w_dim,) of such a length that the regression says one standard deviation of the factor more.

    Raises:
        TeachlibError: another number of codes, fewer than two, a factor or codes that are the same for all
            pictures.
    """
    if len(codes) != len(factor) or factor.ndim != 1 or len(factor) < 2:
        raise TeachlibError(
            f"{len(codes)} codes and a factor of shape {tuple(factor.shape)}; expected (N,), two or more"
        )
    require_positive(ridge=ridge)
    values = factor.double()
    if not (values.isfinite().all() and codes.isfinite().all()):
        raise TeachlibError("codes or a factor that are not finite; look for NaN")
    if not values.std() > 0:
        raise TeachlibError("the factor is the same for all pictures; no direction leads anywhere")
    if torch.equal(codes, codes[:1].expand_as(codes)):
        raise TeachlibError("all codes are the same; no direction leads anywhere")
    centred = (codes - codes.mean(0)).double()
    square_ = centred.T @ centred + ridge * torch.eye(codes.shape[1], dtype=torch.double)
    weights = torch.linalg.solve(square_, centred.T @ (values - values.mean()))
    return (weights * values.std() / weights.square().sum()).to(codes)


@in_evaluation_mode
def between(model: InvGAN, first: Tensor, last: Tensor, count: int) -> Tensor:
    """Pictures on the straight way between the codes of two real ones, (count, C, H, W); each picture (C, H, W)."""
    require_at_least(2, count=count)
    images = torch.stack([first, last])
    model.require_images(images)
    with torch.no_grad():
        one, other = model.infer(images)
        shares = torch.linspace(0, 1, count)[:, None]
        return model.generate((1 - shares) * one + shares * other)
