"""What the models ask of labels and of whole numbers: one clear line instead of a wrong number."""

from collections.abc import Iterable

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_labels, require_shape


def given(labels: Tensor | None, classes: int, count: int) -> Tensor:
    """The labels of a conditional model, one for each of ``count`` samples.

    Raises:
        TeachlibError: there are none, or not as many, or (checked on the CPU alone, where it costs nothing) one is out
            of range.
    """
    if labels is None:
        raise TeachlibError(f"this model is conditional: pass labels, (N,) whole numbers below {classes}")
    return require_labels(labels, classes, count=count)


def whole(level: Tensor, levels: int, shape: Iterable[int]) -> Tensor:
    """Pixels or variables as the whole numbers that a discrete model counts.

    Raises:
        TeachlibError: another shape than (N, *shape), where −1 is any length; a value that is not whole or out of
            range, as pixels in [0, 1] would be (checked on the CPU alone).
    """
    require_shape(level, shape, what="levels")
    if level.device.type == "cpu" and level.is_floating_point() and not torch.equal(level, level.round()):
        raise TeachlibError(f"values that are not whole; expected levels 0 … {levels - 1}, as to_levels gives them")
    if level.device.type == "cpu" and level.numel() and not 0 <= level.min() <= level.max() < levels:
        least, most = level.min().item(), level.max().item()
        raise TeachlibError(f"values from {least:g} to {most:g}; expected whole numbers 0 … {levels - 1}")
    return level.long()
