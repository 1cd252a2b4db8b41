"""Other ways to find a picture's code, on a generator that is given (thesis § 6.2)."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, require_positive
from teachlib.invgan.losses import feature_matching
from teachlib.invgan.networks import InvGAN, require_codes
from teachlib.modes import in_evaluation_mode


@in_evaluation_mode
def optimized(
    model: InvGAN,
    images: Tensor,
    start: Tensor,
    *,
    steps: int = 100,
    learning_rate: float = 0.05,
    features: float = 0.0,
    stay: float = 0.0,
    visible: Tensor | None = None,
    infer: Callable[[Tensor], Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Codes by gradient descent on the error of what they generate, every picture by itself.

    With random starts and pixels alone this is how iGAN inverts (Zhu et al., 2016); with features beside them, as
    Image2StyleGAN does (Abdal et al., 2019), though of this model's discriminator and not of a VGG; from inferred codes
    and kept near what is inferred of the result, as in-domain inversion does (Zhu et al., 2020).

    Args:
        model: whose generator is inverted; it does not change.
        images: (N, C, H, W) in [0, 1].
        start: codes to begin with, (N, w_dim).
        steps: of Adam.
        learning_rate: Adam's.
        features: weight of feature matching beside the pixels' error.
        stay: weight of ‖w − E(G(w))‖² beside it, which keeps codes where E infers any.
        infer: E, images to codes; ``None``: the model's own inference.
        visible: pixels that are to be met, (N, 1, H, W) of zeros and ones; ``None``: all. Errors are those of these.

    Returns:
        Codes, (N, w_dim), and the mean absolute error on a scale of -1 … 1 before each step and after the last one,
        (steps + 1, N).

    Raises:
        TeachlibError: starts of another number or length; no step; weights below zero; features of hidden pixels.
    """
    model.require_images(images)
    require_codes(start, model.w_dim)
    if features and not model.describes:
        raise TeachlibError("this model's discriminator sees codes beside pictures; leave the weight of features at 0")
    if len(start) != len(images):
        raise TeachlibError(f"{len(start)} starts for {len(images)} images; expected one each")
    require_at_least(1, steps=steps)
    require_at_least(0, features=features, stay=stay)
    require_positive(learning_rate=learning_rate)
    if visible is not None and features:
        raise TeachlibError("features look at hidden pixels too; leave their weight at 0 where some are hidden")
    shares = torch.ones_like(images[:, :1]) if visible is None else visible.to(images)
    if (
        shares.shape != images[:, :1].shape
        or not ((shares == 0) | (shares == 1)).all()
        or not shares.flatten(1).any(1).all()
    ):
        raise TeachlibError(
            f"visible of shape {tuple(shares.shape)}; expected (N, 1, H, W), of each image a pixel or more"
        )
    w = start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([w], learning_rate)
    with torch.no_grad():
        goals = model.discriminator(images).features if features else []
    errors = []
    for _ in range(steps):
        made = model.generator(w)
        each = _errors(images, made, shares)
        errors.append(each.detach())
        loss = each.mean()
        if features:
            loss = loss + features * feature_matching(goals, model.discriminator(made).features)
        if stay:
            loss = loss + stay * (w - (infer or model.infer)(made)).square().mean()
        (slope,) = torch.autograd.grad(len(images) * loss, w)  # the sum: no picture waits for the others
        w.grad = slope
        optimizer.step()
    with torch.no_grad():
        errors.append(_errors(images, model.generator(w), shares))
    return w.detach(), torch.stack(errors)


def _errors(images: Tensor, made: Tensor, shares: Tensor) -> Tensor:
    """Mean absolute error of each image's visible pixels, on a scale of -1 … 1, (N,)."""
    return 2 * ((images - made).abs().mean(1, keepdim=True) * shares).sum((1, 2, 3)) / shares.sum((1, 2, 3))


def best_of(model: InvGAN, images: Tensor, starts: Tensor, **options: float) -> tuple[Tensor, Tensor]:
    """The best codes of several starts, by the error at the end.

    Args:
        model: as in :func:`optimized`.
        images: (N, C, H, W) in [0, 1].
        starts: (S, w_dim), the same for every picture.
        options: of :func:`optimized`.

    Returns:
        Codes (N, w_dim), and errors at the end of every start, (S, N).
    """
    model.require_images(images)
    require_codes(starts, model.w_dim)
    if not len(starts):
        raise TeachlibError("no starts; expected one or more")
    count = len(images)
    codes, errors = optimized(
        model,
        images.repeat_interleave(len(starts), 0),
        starts.repeat(count, 1),
        **options,  # type: ignore[arg-type]
    )
    last = errors[-1].view(count, len(starts))
    chosen = codes.view(count, len(starts), -1)[torch.arange(count), last.argmin(1)]
    return chosen, last.T
