"""Exercises whose checker names the misconception, and what their definitions are made of."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any

import torch
from torch import Tensor

from teachlib.checks.numbers import as_numbers

Answer = Callable[..., Any]
Observer = Callable[[Answer], Mapping[str, Any]]


class Unanswered(Exception):
    """The answer is still the empty one."""


class Unfit(Exception):
    """What an answer returned cannot be judged; the text says what was expected and found."""


@dataclass(frozen=True)
class WrongAnswer:
    """A mistake that people make, and what to tell them without giving the solution away."""

    answer: Answer
    message: str


UNANSWERED = "nothing returned yet"


@dataclass(frozen=True)
class Verdict:
    """What the checker thinks of an answer: 1 point or 0, and why.

    Attributes:
        exercise: its name.
        points: 0 or 1.
        message: why.
        task: what to do, in full, where nothing has been answered yet; else empty.
    """

    exercise: str
    points: int
    message: str
    task: str = ""

    @property
    def sign(self) -> str:
        """✓ for right, ○ for not yet answered, ✗ for wrong."""
        return "✓" if self.points else "○" if self.message == UNANSWERED else "✗"

    def __str__(self) -> str:
        return f"{self.sign} {self.exercise}: {self._said} ({self.points}/1)"

    @property
    def _said(self) -> str:
        return f"{self.message}. {self.task}" if self.task else self.message

    def _repr_markdown_(self) -> str:
        # Text of a student's exception may hold anything.
        said = html.escape(self._said).replace("`", "&#96;").replace("*", "&#42;").replace("$", "&#36;")
        return f"{self.sign} **{html.escape(self.exercise)}** ({self.points}/1): {said.replace('_', '&#95;')}"


@dataclass(frozen=True)
class Exercise:
    """A task whose answer is a function, judged on fixed small inputs and never by a training run.

    Attributes:
        name: of the function.
        task: in one sentence, with the shapes of what comes in and goes out; shown until there is an answer.
        observe: applies an answer to fixed inputs and returns what is looked at, by name. It must be deterministic,
            build its generators anew at each call, and may raise :class:`Unfit`, e.g. by :func:`observed`.
        solution: the right answer.
        wrong: mistakes by name.
        tolerance: two quantities are equal where ``abs(a - b) <= tolerance * max(1, abs(b))``; one number, or
            one a quantity.
    """

    name: str
    task: str
    observe: Observer
    solution: Answer
    wrong: Mapping[str, WrongAnswer]
    tolerance: float | Mapping[str, float] = 1e-4

    def check(self, answer: Any, *, hidden: bool = False) -> Verdict:
        """Judge an answer. Whatever the answer does with its inputs or raises ends in a verdict.

        Args:
            answer: a function, or whatever a student wrote instead.
            hidden: say nothing that the inputs could be read from: no expected number, and nothing that the answer
                itself says, such as an exception's text.
        """
        try:
            seen = self._observe(answer)
        except (Unanswered, NotImplementedError):
            return Verdict(self.name, 0, UNANSWERED, "" if hidden else self.task)
        except Unfit as unfit:
            return Verdict(self.name, 0, _line(str(unfit)))
        except (Exception, SystemExit) as error:
            return Verdict(self.name, 0, _stopped(error, hidden=hidden))
        if self._equal(seen, self._expected):
            return Verdict(self.name, 1, "correct")
        for mistake, message in self._mistakes:
            if self._equal(seen, mistake):
                return Verdict(self.name, 0, message)
        return Verdict(self.name, 0, self._first_difference(seen, hidden=hidden))

    @cached_property
    def _expected(self) -> dict[str, Any]:
        return self._observe(self.solution)

    @cached_property
    def _mistakes(self) -> list[tuple[dict[str, Any], str]]:
        return [(self._observe(mistake.answer), mistake.message) for mistake in self.wrong.values()]

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

    def _same(self, name: str, seen: Any, expected: Any) -> bool:
        a, b = as_numbers(seen), as_numbers(expected)
        if a is None or b is None or a.shape != b.shape:
            return False
        # A mistake may be known by its NaN or infinity, which nothing is near to; the solution has neither.
        close = ((a - b).abs() <= self._allowed(name) * b.abs().clamp(min=1)) & b.isfinite()
        return bool((close | (a == b) | (a.isnan() & b.isnan())).all())

    def _equal(self, seen: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
        return all(self._same(name, seen[name], expected[name]) for name in expected)

    def _first_difference(self, seen: Mapping[str, Any], *, hidden: bool) -> str:
        name = next(name for name in self._expected if not self._same(name, seen[name], self._expected[name]))
        wanted = as_numbers(self._expected[name])
        assert wanted is not None  # the solution's own
        try:
            numbers = observed(name, seen[name], tuple(wanted.shape), told=not hidden)
        except Unfit as unfit:
            return str(unfit)
        if isinstance(self._expected[name], bool):  # a statement of the answer, by its name
            return f"not so: {name}"
        if hidden:
            return f"{name}: another result than expected; the inputs are not shown"
        excess = (numbers - wanted).abs() - self._allowed(name) * wanted.abs().clamp(min=1)
        place = tuple(int(i) for i in (excess > 0).nonzero()[0])
        at = f" at {list(place)}" if place else ""
        return f"{name}{at}: expected {wanted[place]:.4g}, found {numbers[place]:.4g}"


def exercise(
    name: str,
    task: str,
    solution: Answer,
    observe: Observer,
    *,
    wrong: Mapping[str, tuple[Answer, str]],
    tolerance: float | Mapping[str, float] = 1e-4,
) -> Exercise:
    """An :class:`Exercise` in short: each mistake, by name, is a wrong answer and what to tell whoever gave it."""
    mistakes = {mistake: WrongAnswer(answer, message) for mistake, (answer, message) in wrong.items()}
    return Exercise(name, task, observe, solution, mistakes, tolerance)


def by_name(*exercises: Exercise) -> dict[str, Exercise]:
    """These exercises by their names, in this order."""
    return {one.name: one for one in exercises}


def calls(cases: Mapping[str, tuple[Any, ...]]) -> Observer:
    """Look at what an answer returns for each of these inputs; a case has the name of the quantity."""
    return lambda answer: {name: answer(*inputs) for name, inputs in cases.items()}


def with_gradient(name: str, inputs: tuple[Any, ...], to: Sequence[Tensor], *, called: str = "gradient") -> Observer:
    """Look at what an answer returns and at its gradient: a loss that gradients do not pass through trains nothing.

    Args:
        name: of what is returned.
        inputs: of the answer.
        to: the tensors with respect to which the sum of what is returned is differentiated: inputs, or what an input
            is made of, e.g. a decoder's weights. They require gradients.
        called: the gradient's name; it is one vector, in the order of ``to``.

    Returns:
        What an :class:`Exercise` observes; raises :class:`Unfit` where no gradient arrives.
    """

    def observe(answer: Answer) -> dict[str, Any]:
        value = answer(*inputs)
        return {name: value, called: _gradient(value, to)}

    return observe


def together(*observers: Observer) -> Observer:
    """Look at all that these look at; each quantity has a name of its own."""

    def observe(answer: Answer) -> dict[str, Any]:
        seen: dict[str, Any] = {}
        for one in observers:
            seen |= one(answer)
        return seen

    return observe


def _gradient(value: Any, to: Sequence[Tensor]) -> Tensor:
    """d(sum of ``value``)/d(to), all in one vector."""
    if not isinstance(value, Tensor):
        raise Unfit(
            f"expected a tensor; found {type(value).__name__}; gradients must pass, so stay with torch operations"
        )
    if not value.requires_grad:
        raise Unfit("no gradient reaches the inputs; stay with torch operations, without .item() or .detach()")
    # A loss that leaves an input out has the gradient zero there, and differs in its values anyway.
    gradients = torch.autograd.grad(value.sum(), to, allow_unused=True)
    parts = zip(gradients, to, strict=True)
    return torch.cat([(torch.zeros_like(x) if gradient is None else gradient).flatten() for gradient, x in parts])


def seeded(seed: int) -> torch.Generator:
    """A generator of random numbers at the start of this seed's sequence."""
    return torch.Generator().manual_seed(seed)


def observed(name: str, value: Any, shape: tuple[int, ...], *, told: bool = True) -> Tensor:
    """What an answer returned, as a float64 tensor of this shape and with finite entries.

    Args:
        name: of the quantity, for the message.
        value: whatever was returned.
        shape: expected.
        told: whether the message says what was found, and not only what was expected.

    Raises:
        Unfit: no numbers, another shape, or entries that are not finite.
    """
    numbers = as_numbers(value)
    if numbers is None:
        raise Unfit(f"{name}: expected a tensor of shape {shape}; found {type(value).__name__ if told else 'none'}")
    if tuple(numbers.shape) != shape:
        raise Unfit(f"{name}: expected shape {shape}; found {tuple(numbers.shape) if told else 'another'}")
    if not numbers.isfinite().all():
        count = int((~numbers.isfinite()).sum())
        some = f"{count} of {numbers.numel()}" if told else "some"
        raise Unfit(f"{name}: {some} entries are not finite (NaN or infinite)")
    return numbers


def _guarded(answer: Answer) -> Answer:
    """``answer`` on copies of its inputs, so that in-place operations change nobody else's; empty answers raise."""

    @wraps(answer, assigned=(), updated=())
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


_TOLD = ("AttributeError", "IndexError", "NameError", "RuntimeError", "TypeError", "ValueError")


def _stopped(error: BaseException, *, hidden: bool) -> str:
    """That an answer raised; where inputs are hidden, one of few names: whoever chooses among many can tell much."""
    kind = type(error).__name__
    if not hidden:
        return f"stopped with {kind}: {_text(error)}"
    return f"stopped with {kind}" if kind in _TOLD else "stopped with an exception"


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
