"""Answers as the hidden tests see them, and what those tests are written with.

An answer is a function, a SymPy expression, a class of modules, or a plain value. ``observe(answer, seed)`` calls it,
and does not know whether it lies in this process or in a sandbox: only tensors, numbers, strings and :class:`Given`
functions may be handed to it.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.checks import Unfit, seeded
from teachlib.classroom.inside.evaluating import Unusable, evaluated, is_expression
from teachlib.classroom.inside.wire import Named

__all__ = ["Given", "answer_of", "choices", "module", "rows", "seeded"]


class Given(Named):
    """A function that is made by a given function of the notebook, and that an answer gets as an input.

    Args:
        make: a function of a given cell, e.g. ``decoder``; its result is what the answer calls.
        inputs: of ``make``: tensors and numbers.
    """

    def __init__(self, make: Callable[..., Any], *inputs: Any) -> None:
        super().__init__(make.__name__, list(inputs))
        self.function = make(*inputs)

    def __call__(self, *inputs: Any) -> Any:
        """What the made function returns."""
        return self.function(*inputs)


class Local:
    """An answer of this process."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Call a function; evaluate an expression at these values of its symbols; return any other value."""
        try:
            return evaluated(self.value, inputs, named)
        except Unusable:
            raise not_in_these(named) from None

    def module(self, init: Sequence[Any], parameters: Mapping[str, Tensor], *inputs: Any) -> Any:
        """The output of the module ``value(*init)`` with these parameters."""
        return torch.func.functional_call(self.value(*init), dict(parameters), inputs)

    def parameters(self, init: Sequence[Any]) -> dict[str, list[int]]:
        """Name → shape of the parameters of the module ``value(*init)``."""
        return {name: list(value.shape) for name, value in self.value(*init).named_parameters()}


def not_in_these(symbols: Iterable[str]) -> Unfit:
    """What is said of an expression with other symbols."""
    return Unfit(f"expected an expression in {', '.join(symbols)} alone")


def answer_of(value: Any) -> Any:
    """What was written as an answer, as something that can be called; ``None`` and ``...`` stay, as empty answers."""
    if value is None or value is ... or (inspect.isfunction(value) and not is_expression(value)):
        return value
    return Local(value)


def module(answer: Callable[..., Any], init: Sequence[Any], parameters: Mapping[str, Tensor]) -> Callable[..., Any]:
    """The forward pass of a class of modules that was asked for, with the test's own parameters.

    Args:
        answer: as ``observe`` got it.
        init: arguments of the class.
        parameters: name → value; their names and shapes must be the module's.

    Raises:
        Unfit: no class of modules, or other parameters.
    """
    asked = inspect.unwrap(answer)
    if isinstance(asked, Local) and not (isinstance(asked.value, type) and issubclass(asked.value, nn.Module)):
        raise Unfit("expected a class derived from torch.nn.Module")
    if not hasattr(asked, "module"):
        raise Unfit("expected a class derived from torch.nn.Module; found a function")
    expected = {name: list(value.shape) for name, value in parameters.items()}
    if asked.parameters(init) != expected:
        shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in expected.items())
        raise Unfit(f"expected a module with exactly the parameters {shapes}")
    return lambda *inputs: asked.module(init, parameters, *inputs)


def choices(value: Any, allowed: Mapping[str, Sequence[str]]) -> list[int]:
    """Predictions as numbers: for each question the place of the chosen word.

    Args:
        value: what was answered: question → word; capitals, spaces around it, and numbers for words are understood.
        allowed: question → words to choose from.

    Raises:
        Unfit: another form, a question left out, a word that is no choice.
    """
    if not isinstance(value, Mapping):
        raise Unfit(f"expected a dictionary with the keys {', '.join(allowed)}")
    said = {question: str(value.get(question)).strip().lower() for question in allowed}
    for question, words in allowed.items():
        if said[question] not in [word.lower() for word in words]:
            raise Unfit(f"{question}: expected one of {', '.join(words)}")
    return [[word.lower() for word in words].index(said[question]) for question, words in allowed.items()]


def rows(value: Any, columns: Sequence[str], least: int, most: int = 100) -> dict[str, Tensor]:
    """A table that was filled in, by columns.

    Args:
        value: a list of dictionaries, one a row.
        columns: that every row must have, with numbers.
        least: number of rows, all of them different.
        most: rows at most: what is measured anew for each takes time.

    Returns:
        Column → numbers, float64, (rows,).

    Raises:
        Unfit: another form, too few rows, a column that is missing, or holds no finite numbers.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(row, Mapping) for row in value):
        raise Unfit(f"expected a list of rows, each a dictionary with the keys {', '.join(columns)}")
    if len(value) > most:
        raise Unfit(f"expected at most {most} rows")
    table = {column: _numbers(column, [row.get(column) for row in value]) for column in columns}
    if not all(column.isfinite().all() for column in table.values()):
        raise Unfit("expected finite numbers in every row")
    if len(set(zip(*(column.tolist() for column in table.values()), strict=True))) < least:
        raise Unfit(f"expected at least {least} different rows")
    return table


def _numbers(column: str, cells: Sequence[Any]) -> Tensor:
    """Numbers, also as tensors of one element."""
    plain = [cell.item() if isinstance(cell, Tensor) and cell.numel() == 1 else cell for cell in cells]
    if not all(isinstance(cell, int | float) and not isinstance(cell, bool) for cell in plain):
        raise Unfit(f"{column}: expected a number in every row")
    return torch.tensor([float(cell) for cell in plain], dtype=torch.float64)
