"""How an answer is asked for its numbers."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class Unusable(TypeError):
    """An answer that cannot be asked; the text says what was expected."""


def is_expression(value: Any) -> bool:
    """Whether this is a SymPy expression; SymPy is not imported for it."""
    sympy = sys.modules.get("sympy")
    return sympy is not None and isinstance(value, sympy.Basic)


def evaluated(value: Any, inputs: Sequence[Any], named: Mapping[str, Any]) -> Any:
    """Call a function, evaluate an expression at these values of its symbols, or return any other value as it is.

    Raises:
        Unusable: an expression with symbols that were not asked for; something else where one was.
    """
    if is_expression(value):
        return _at(value, named)
    if named and not callable(value) and not isinstance(value, int | float | Tensor):
        raise Unusable(f"expected an expression in {', '.join(named)}")
    return value(*inputs, **named) if callable(value) else value


def _at(expression: Any, values: Mapping[str, Any]) -> Tensor:
    import sympy

    free = {str(symbol) for symbol in expression.free_symbols}
    if not free <= values.keys():
        raise Unusable(f"expected an expression in {', '.join(values)} alone")
    tensors = [torch.as_tensor(value, dtype=torch.float64) for value in values.values()]
    symbols = [next((s for s in expression.free_symbols if str(s) == name), sympy.Symbol(name)) for name in values]
    function = sympy.lambdify(symbols, expression, "numpy")
    result = torch.as_tensor(function(*(tensor.numpy() for tensor in tensors)), dtype=torch.float64)
    return result.expand(torch.broadcast_shapes(result.shape, *(tensor.shape for tensor in tensors)))
