"""Twins: the notebook's own lines and the library's give the same numbers."""

from typing import Any

import torch

from teachlib.checks.numbers import as_numbers


class Disagreement(AssertionError):
    """Two computations of the same quantity differ."""


def agree(
    name: str,
    mine: Any,
    library: Any,
    *,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    whose: tuple[str, str] = ("yours", "teachlib's"),
) -> None:
    """Show that the notebook's own lines and teachlib's, or any two, give the same numbers; print one line.

    Args:
        name: of the quantity.
        mine: a number, array or tensor.
        library: the same from teachlib, of the same shape; ``abs(mine - library) <= atol + rtol * abs(library)`` must
            hold everywhere, and a NaN agrees with nothing.
        rtol: relative tolerance.
        atol: absolute tolerance.
        whose: what the two are called.

    Raises:
        Disagreement: other shapes, or the first place that differs.
    """
    ours, theirs = as_numbers(mine), as_numbers(library)
    first, second = whose
    if ours is None or theirs is None:
        other = mine if ours is None else library
        raise Disagreement(f"{name}: expected numbers from both; found {type(other).__name__}")
    if ours.shape != theirs.shape:
        raise Disagreement(f"{name}: {first} has shape {tuple(ours.shape)}, {second} {tuple(theirs.shape)}")
    close = torch.isclose(ours, theirs, rtol=rtol, atol=atol)
    if not close.all():
        place = tuple(int(i) for i in (~close).nonzero()[0])
        at = f" at {list(place)}" if place else ""
        raise Disagreement(f"{name}: {first} is {ours[place]:.7g}{at}, {second} {theirs[place]:.7g}")
    # Equal infinities agree, but their difference is NaN.
    difference = (ours - theirs).abs().nan_to_num(0.0)
    largest = difference.max().item() if difference.numel() else 0.0
    print(f"✓ {name}: {first} and {second} agree (largest difference {largest:.1e})")
