"""What InvGAN descends beside the adversarial game (thesis § 6.3.2)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_alike

STEP = 0.3  # length of the steps of codes whose effects are compared


def code_error(wanted: Tensor, inferred: Tensor) -> Tensor:
    """‖w − w̃‖² over the number of its entries, averaged over the batch, both (N, d); scalar."""
    require_alike(wanted, inferred)
    return (wanted - inferred).square().mean()


def pixel_error(images: Tensor, rebuilt: Tensor) -> Tensor:
    """Mean absolute error on a scale of -1 … 1, as the thesis reports it, of images in [0, 1]; scalar."""
    require_alike(images, rebuilt)
    return 2 * (images - rebuilt).abs().mean()


def feature_matching(real: Sequence[Tensor], rebuilt: Sequence[Tensor]) -> Tensor:
    """How far features of each image are from those of its own reconstruction; scalar.

    The mean absolute difference, layer by layer over the mean size of the real features, so that no layer counts more
    for its scale; averaged over the layers. The real features are goals, and get no gradient.

    Eq 6.2 as printed has the norm outside of the expectation. It then sees only the *means* of both batches, and is
    zero for reconstructions in another order, which :func:`printed_feature_matching` shows.

    Args:
        real: features of images, layer by layer, each (N, …).
        rebuilt: of their reconstructions, in the same order.

    Raises:
        TeachlibError: none, other layers, or other shapes.
    """
    if len(real) != len(rebuilt) or not real:
        raise TeachlibError(f"features of {len(real)} and {len(rebuilt)} layers; expected the same, and one or more")
    errors = []
    for goal, own in zip(real, rebuilt, strict=True):
        require_alike(goal, own)
        goal = goal.detach()
        errors.append((own - goal).abs().mean() / goal.abs().mean().clamp_min(1e-12))
    return torch.stack(errors).mean()


def changes(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    """How far each image moved between two looks at its features, layer by layer over their mean size; (N,).

    Args:
        before: features, layer by layer, each (N, …).
        after: of the same images after a step.
    """
    moved = []
    for one, other in zip(before, after, strict=True):
        require_alike(one, other)
        moved.append((one - other).abs().flatten(1).mean(1) / one.abs().mean().clamp_min(1e-12))
    return torch.stack(moved).mean(0)


def unevenness(lengths: Tensor) -> Tensor:
    """Variance over squared mean of lengths (N,): 0 where steps of one length in w are of one length in pictures.

    What § 6.3 asks of codes, without a length that would have to be chosen.
    """
    return lengths.var(correction=0) / lengths.mean().square().clamp_min(1e-12)


def printed_feature_matching(real: Tensor, rebuilt: Tensor) -> Tensor:
    """Eq 6.2 as printed, p = 2: the norm of the mean difference of features (N, d); scalar."""
    require_alike(real, rebuilt)
    return (real - rebuilt).mean(0).norm()
