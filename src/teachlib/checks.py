"""Checks that speak: claims and twins in notebooks, and exercises whose checker names the misconception."""

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

# ------------------------------------------------------------------------------------------------------ twins


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
    ours, theirs = _numbers(mine), _numbers(library)
    first, second = whose
    if ours is None or theirs is None:
        found = mine if ours is None else library
        raise Disagreement(f"{name}: expected numbers from both; found {type(found).__name__}")
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


def _numbers(value: Any) -> Tensor | None:
    """``value`` as float64 on the CPU, of the same shape; ``None`` for what holds no numbers."""
    try:
        tensor = value.detach().cpu().to_dense() if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
        return None if tensor.is_complex() else tensor.double()
    except Exception:  # a value's own conversion may raise anything
        return None


# ----------------------------------------------------------------------------------------------------- claims


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
    numbers = _numbers(value)
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


# -------------------------------------------------------------------------------------------------- exercises


class Unanswered(Exception):
    """The answer is still the empty one."""


class Unfit(Exception):
    """What an answer returned cannot be judged; the text says what was expected and found."""


@dataclass(frozen=True)
class WrongAnswer:
    """A mistake that people make, and what to tell them without giving the solution away."""

    answer: Callable[..., Any]
    message: str


UNANSWERED = "nothing returned yet"


@dataclass(frozen=True)
class Verdict:
    """What the checker thinks of an answer: 1 point or 0, and why."""

    exercise: str
    points: int
    message: str

    @property
    def sign(self) -> str:
        """✓ for right, ○ for not yet answered, ✗ for wrong."""
        return "✓" if self.points else "○" if self.message == UNANSWERED else "✗"

    def __str__(self) -> str:
        return f"{self.sign} {self.exercise}: {self.message} ({self.points}/1)"

    def _repr_markdown_(self) -> str:
        # Text of a student's exception may hold anything.
        message = html.escape(self.message).replace("`", "&#96;").replace("*", "&#42;").replace("$", "&#36;")
        return f"{self.sign} **{html.escape(self.exercise)}** ({self.points}/1): {message.replace('_', '&#95;')}"


@dataclass(frozen=True)
class Exercise:
    """A task whose answer is a function, judged on fixed small inputs and never by a training run.

    Attributes:
        name: of the function.
        task: in one sentence.
        observe: applies an answer to fixed inputs and returns what is looked at, by name. It must be deterministic,
            build its generators anew at each call, and may raise :class:`Unfit`, e.g. by :func:`observed`.
        solution: the right answer.
        wrong: mistakes by name.
        tolerance: two quantities are equal where ``abs(a - b) <= tolerance * max(1, abs(b))``; one number, or
            one a quantity.
    """

    name: str
    task: str
    observe: Callable[[Callable[..., Any]], Mapping[str, Any]]
    solution: Callable[..., Any]
    wrong: Mapping[str, WrongAnswer]
    tolerance: float | Mapping[str, float] = 1e-4

    def check(self, answer: Any) -> Verdict:
        """Judge an answer. Whatever the answer does with its inputs or raises ends in a verdict."""
        try:
            seen = self._observe(answer)
        except (Unanswered, NotImplementedError):
            return Verdict(self.name, 0, UNANSWERED)
        except Unfit as unfit:
            return Verdict(self.name, 0, _line(str(unfit)))
        except (Exception, SystemExit) as error:
            return Verdict(self.name, 0, f"stopped with {type(error).__name__}: {_text(error)}")
        expected = self._observe(self.solution)
        if self._equal(seen, expected):
            return Verdict(self.name, 1, "correct")
        for mistake in self.wrong.values():
            if self._equal(seen, self._observe(mistake.answer)):
                return Verdict(self.name, 0, mistake.message)
        return Verdict(self.name, 0, self._first_difference(seen, expected))

    def _observe(self, answer: Any) -> dict[str, Any]:
        if answer is None or answer is ...:
            raise Unanswered
        kind = torch.get_default_dtype()
        try:  # whatever an earlier answer left switched, or this one switches, is undone
            with torch.enable_grad():
                return self._observed(answer)
        finally:
            torch.set_default_dtype(kind)

    def _observed(self, answer: Any) -> dict[str, Any]:
        if not callable(answer):
            raise Unfit(f"expected a function; found {type(answer).__name__}")
        return dict(self.observe(_guarded(answer)))

    def _allowed(self, name: str) -> float:
        return self.tolerance if isinstance(self.tolerance, int | float) else self.tolerance[name]

    def _same(self, name: str, found: Any, expected: Any) -> bool:
        a, b = _numbers(found), _numbers(expected)
        if a is None or b is None or a.shape != b.shape:
            return False
        close = (a - b).abs() <= self._allowed(name) * b.abs().clamp(min=1)
        # A mistake may be known by its NaN or infinity; the solution has neither.
        return bool((close | (a == b) | (a.isnan() & b.isnan())).all())

    def _equal(self, seen: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
        return all(self._same(name, seen[name], expected[name]) for name in expected)

    def _first_difference(self, seen: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
        name = next(name for name in expected if not self._same(name, seen[name], expected[name]))
        wanted = _numbers(expected[name])
        assert wanted is not None  # the solution's own
        try:
            found = observed(name, seen[name], tuple(wanted.shape))
        except Unfit as unfit:
            return str(unfit)
        excess = (found - wanted).abs() - self._allowed(name) * wanted.abs().clamp(min=1)
        place = tuple(int(i) for i in (excess > 0).nonzero()[0])
        at = f" at {list(place)}" if place else ""
        return f"{name}{at}: expected {wanted[place]:.4g}, found {found[place]:.4g}"


def observed(name: str, value: Any, shape: tuple[int, ...]) -> Tensor:
    """What an answer returned, as a float64 tensor of this shape and with finite entries.

    Args:
        name: of the quantity, for the message.
        value: whatever was returned.
        shape: expected.

    Raises:
        Unfit: no numbers, another shape, or entries that are not finite.
    """
    numbers = _numbers(value)
    if numbers is None:
        raise Unfit(f"{name}: expected a tensor of shape {shape}; found {type(value).__name__}")
    if tuple(numbers.shape) != shape:
        raise Unfit(f"{name}: expected shape {shape}; found {tuple(numbers.shape)}")
    if not numbers.isfinite().all():
        count = int((~numbers.isfinite()).sum())
        raise Unfit(f"{name}: {count} of {numbers.numel()} entries are not finite (NaN or infinite)")
    return numbers


def _guarded(answer: Callable[..., Any]) -> Callable[..., Any]:
    """``answer`` on copies of its inputs, so that in-place operations change nobody else's; empty answers raise."""

    def call(*inputs: Any, **named: Any) -> Any:
        result = answer(*map(_copy, inputs), **{name: _copy(value) for name, value in named.items()})
        if result is None or result is ...:
            raise Unanswered
        return result

    return call


def _copy(value: Any) -> Any:
    """Tensors cloned, also within lists and tuples; gradients still reach the originals."""
    if isinstance(value, Tensor):
        return value.clone()
    if isinstance(value, list | tuple):
        return type(value)(_copy(item) for item in value)
    return value


def _text(error: BaseException) -> str:
    """What an exception says; a student's own class may fail even at that."""
    try:
        return _line(str(error)) or "no text"
    except Exception:
        return "no readable text"


def _line(text: str, limit: int = 300) -> str:
    """One line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
