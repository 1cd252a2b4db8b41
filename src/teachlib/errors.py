"""Errors for people: one line that says what was wrong, what was expected, what to do."""

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


class TeachlibError(Exception):
    """A mistake that a user can mend; the command line prints its one line and no traceback.

    Args:
        message: what was wrong, what was expected, what to do. Line breaks, which a file's name or another library's
            words may bring along, become spaces.
    """

    def __init__(self, message: str) -> None:
        lines = message.splitlines()
        super().__init__(message if lines == [message] else " ".join(line.strip() for line in lines))


def unknown(kind: str, name: str, known: Iterable[str]) -> TeachlibError:
    """An error for a name that does not exist, with the nearest name that does.

    Args:
        kind: what was looked up, e.g. ``"recipe"``.
        name: the name that was not found.
        known: the names that exist.
    """
    names = sorted(known)
    nearest = get_close_matches(str(name), names, n=1, cutoff=0.4)  # also of what is no name at all
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ";"
    return TeachlibError(f"unknown {kind} '{name}'{hint} known: {', '.join(names)}")


def require_positive(**values: float | None) -> None:
    """Refuse zero, values below it, infinity and NaN; ``None``, an option that was not given, passes.

    Args:
        values: name → value.

    Raises:
        TeachlibError: the first that is not positive, or not finite.
    """
    for name, value in values.items():
        if value is not None and not 0 < value < math.inf:
            raise TeachlibError(f"{name} is {value}; expected more than 0{', and finite' * (value == math.inf)}")


def require_at_least(least: float, **values: float | None) -> None:
    """Refuse values below ``least``, infinity and NaN; ``None``, an option that was not given, passes.

    Args:
        least: the smallest that is meant.
        values: name → value.

    Raises:
        TeachlibError: the first that is too small, or not finite.
    """
    for name, value in values.items():
        if value is not None and not least <= value < math.inf:
            raise TeachlibError(f"{name} is {value}; expected at least {least}{', and finite' * (value == math.inf)}")


def require_divisible(sides: Iterable[int], by: int, *, square: bool = False) -> None:
    """Refuse sides of images that a network cannot halve as often as it does.

    Args:
        sides: height and width, in pixels.
        by: what both must be a multiple of.
        square: whether they must be equal, too.

    Raises:
        TeachlibError: other sides.
    """
    height, width = sides
    if min(height, width) < by or height % by or width % by or (square and height != width):
        shape = "square, " if square else ""
        raise TeachlibError(f"images of {height}×{width} pixels; expected {shape}sides that are multiples of {by}")


def require_shape(x: "Tensor", shape: Iterable[int], *, what: str = "images", by: str = "this network") -> None:
    """Refuse a batch of samples of another shape than a network was built for.

    Args:
        x: (N, …).
        shape: of one sample; −1 for any length.
        what: to call the samples by.
        by: to call by who takes them.

    Raises:
        TeachlibError: another shape.
    """
    expected = tuple(shape)
    fits = x.ndim == len(expected) + 1 and all(a in (-1, b) for a, b in zip(expected, x.shape[1:], strict=True))
    if not fits:
        named = "".join(", …" if side == -1 else f", {side}" for side in expected)
        raise TeachlibError(f"{what} of shape {tuple(x.shape)}; {by} takes (N{named})")


def require_input(net: "nn.Module", x: "Tensor", shape: Iterable[int], *, what: str = "images") -> None:
    """Refuse a batch of another shape than a network was built for, or of other numbers than it computes with.

    Where mixed precision is on, floating numbers are cast, and pass.

    Args:
        net: whose first weight, or buffer where there is none, tells the numbers.
        x: (N, …).
        shape: of one sample; −1 for any length.
        what: to call the samples by.

    Raises:
        TeachlibError: another shape, whole numbers, or another precision.
    """
    from torch import is_autocast_enabled  # the command line's messages need no torch

    require_shape(x, shape, what=what)
    weight = next((weight for weight in chain(net.parameters(), net.buffers()) if weight.is_floating_point()), None)
    own = x.dtype if weight is None else weight.dtype
    if not x.is_floating_point() or (x.dtype != own and not is_autocast_enabled(x.device.type)):
        takes = "floating numbers" if weight is None else own
        raise TeachlibError(f"{what} of {x.dtype}; this network takes {takes}")


def require_alike(a: "Tensor", b: "Tensor") -> None:
    """Refuse shapes that would be broadcast to something that nobody meant.

    Raises:
        TeachlibError: two shapes, or no sample.
    """
    if a.shape != b.shape or len(a) == 0:
        raise TeachlibError(f"shapes {tuple(a.shape)} and {tuple(b.shape)}; expected the same, and one sample or more")


def refuse_unused(name: str, given: Mapping[str, tuple[float | str, float | str, bool]]) -> None:
    """Refuse options that a recipe would pass over.

    Args:
        name: of the recipe.
        given: option → what was asked for, what is usual, and whether the recipe has a use for it.

    Raises:
        TeachlibError: the first one without a use that is not as usual.
    """
    for option, (asked, usual, used) in given.items():
        if asked != usual and not used:
            raise TeachlibError(f"{name} has no use for {option}; leave it at {usual}")


def require_as_many(**batches: "Tensor") -> None:
    """Refuse batches that belong together and are not equally long; where one has length 1, it would be repeated.

    Args:
        **batches: (N, …) each, by what they are.

    Raises:
        TeachlibError: other lengths.
    """
    if len({len(x) for x in batches.values()}) > 1:
        counted = " and ".join(f"{len(x)} {name}" for name, x in batches.items())
        raise TeachlibError(f"{counted}; expected as many of each")


def require_images(x: "Tensor", low: float = 0.0, high: float = 1.0, *, rounding: float = 1e-4) -> None:
    """Refuse what is no batch of images with pixels in a range: bytes, 0 … 255, −1 … 1 where 0 … 1 is meant, NaN.

    It looks at every pixel, and so waits for a GPU: for what measures and attacks, not for steps of training.

    Args:
        x: (N, C, H, W), floating.
        low: least value of a pixel; −∞ for any.
        high: greatest value of a pixel; ∞ for any.
        rounding: how far beyond them pixels may lie, as filters leave them.

    Raises:
        TeachlibError: another shape, whole numbers, or pixels outside their range.
    """
    if x.ndim != 4:
        raise TeachlibError(f"images of shape {tuple(x.shape)}; expected (N, C, H, W)")
    _refuse_other_pixels(x, low, high, rounding)


def require_pixels(x: "Tensor") -> None:
    """:func:`require_images` of any shape, with pixels in [0, 1], that waits for no GPU: for steps of training.

    Raises:
        TeachlibError: whole numbers, or (checked on the CPU alone) pixels outside [0, 1].
    """
    if at_hand(x) or not x.is_floating_point():
        _refuse_other_pixels(x, 0.0, 1.0, 1e-4)


def _refuse_other_pixels(x: "Tensor", low: float, high: float, rounding: float) -> None:
    if not x.is_floating_point():
        raise TeachlibError(f"images of {x.dtype}; expected pixels in [{low:g}, {high:g}]: divide bytes by 255")
    least, most = (float(value) for value in x.detach().aminmax()) if x.numel() else (low, high)
    if not low - rounding <= least <= most <= high + rounding:  # NaN fails this too
        raise TeachlibError(
            f"pixels outside [{low:g}, {high:g}], or not numbers: from {least:g} to {most:g}; scale the images first"
        )


def require_labels(labels: "Tensor", classes: int, *, count: int | None = None) -> "Tensor":
    """Refuse labels that are no numbers of classes; −1, a common mark of images without one, would mean the last class.

    Args:
        labels: (N,), whole numbers 0 … classes − 1.
        classes: how many there are.
        count: N, where it is known.

    Returns:
        The labels as int64.

    Raises:
        TeachlibError: another shape or type, or (checked on the CPU alone, where it costs nothing) one out of range.
    """
    if labels.ndim != 1 or (count is not None and len(labels) != count):
        expected = "(N,)" if count is None else f"({count},)"
        raise TeachlibError(f"labels of shape {tuple(labels.shape)}; expected whole numbers, {expected}, one a sample")
    if labels.is_floating_point() or labels.is_complex():
        raise TeachlibError(f"labels of {labels.dtype}; expected whole numbers 0 … {classes - 1}")
    if at_hand(labels) and len(labels) and not 0 <= (wrong := _farthest(labels)) < classes:
        raise TeachlibError(f"class {wrong}; expected 0 … {classes - 1}: leave out what has no label")
    return labels.long()


def at_hand(x: "Tensor") -> bool:
    """Whether looking at values waits for nothing: on the CPU, outside of what is being compiled."""
    from torch import compiler  # the command line's messages need no torch

    return x.device.type == "cpu" and not compiler.is_compiling()


def _farthest(labels: "Tensor") -> int:
    """The least label if it is below zero, else the greatest."""
    least, most = int(labels.min()), int(labels.max())
    return least if least < 0 else most
