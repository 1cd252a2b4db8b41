"""Claims: a sentence of the text, checked on a measured number while the page runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from teachlib.checks.numbers import as_numbers


class ClaimFailed(AssertionError):
    """A claim did not come out as the text says."""


@dataclass(frozen=True)
class Bound:
    """An interval that a measured number must lie in: open where it has one end, closed where it has two."""

    low: float = -math.inf
    high: float = math.inf
    text: str = ""

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies inside; NaN never does."""
        if math.isinf(self.high):
            return value > self.low
        if math.isinf(self.low):
            return value < self.high
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return self.text


def above(limit: float) -> Bound:
    """Greater than ``limit``."""
    return Bound(low=limit, text=f"> {_short(limit)}")


def at_least(limit: float) -> Bound:
    """``limit`` or greater."""
    return Bound(low=math.nextafter(limit, -math.inf), text=f"≥ {_short(limit)}")


def below(limit: float) -> Bound:
    """Less than ``limit``."""
    return Bound(high=limit, text=f"< {_short(limit)}")


def between(low: float, high: float) -> Bound:
    """From ``low`` to ``high``, both included."""
    return Bound(low, high, f"{_short(low)} … {_short(high)}")


def near(value: float, tolerance: float) -> Bound:
    """Within ``tolerance`` of ``value``, both ends included."""
    return Bound(value - tolerance, value + tolerance, f"{_short(value)} ± {_short(tolerance)}")


def _short(value: float, digits: int = 4) -> str:
    text = f"{value:.{digits}g}"
    head, point, decimals = text.partition(".")
    return f"{head}.{decimals}0" if point and len(decimals) == 1 else text


def expect(
    claim: str,
    value: float | Sequence[float] | Tensor,
    bound: Bound,
    *,
    scale: str | None = None,
    fails_because: str | None = None,
) -> None:
    """Check a claim of the text on a measured number; print claim, expected and measured.

    Args:
        claim: in words.
        value: what was measured; of several values (seeds, models) every one must lie within the bound.
        bound: from :func:`above`, :func:`at_least`, :func:`below`, :func:`between` or :func:`near`.
        scale: printed beside the numbers where it matters.
        fails_because: marks a claim that is known not to hold here, and why. The marker is strict: when the claim
            holds after all, the run fails until somebody removes it. A NaN fails the run with or without it,
            because nothing was measured.

    Raises:
        ClaimFailed: the claim does not hold and is not marked; it is marked and holds; there is nothing to judge.
    """
    numbers = as_numbers(value)
    measured = [] if numbers is None else numbers.flatten().tolist()
    if not measured or any(math.isnan(number) for number in measured):
        raise ClaimFailed(f"{claim}: expected {bound}, measured {'nothing' if not measured else 'nan'}")
    holds = all(bound.holds(number) for number in measured)
    comparison = f"expected {bound}, measured {_range(measured)}" + (f" (scale {scale})" if scale else "")
    if fails_because is not None and holds:
        raise ClaimFailed(f"{claim}: holds although marked as failing ({comparison}); remove the marker fails_because")
    if fails_because is None and not holds:
        raise ClaimFailed(f"{claim}: {comparison}")
    if fails_because is None:
        print(f"✓ {claim}\n  {comparison}")
    else:
        print(f"✗ as reported: {claim}\n  {comparison}\n  does not hold here: {fails_because}")


def _range(values: list[float]) -> str:
    low, high = _short(min(values), 6), _short(max(values), 6)
    return low if len(values) == 1 else f"{low} … {high} ({len(values)} values)"
