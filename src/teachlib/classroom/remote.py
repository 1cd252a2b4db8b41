"""A student's answer, called in the sandbox; it can be differentiated as often as a checker likes."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from teachlib.checks import Unfit
from teachlib.classroom.answers import not_in_these
from teachlib.classroom.inside import wire
from teachlib.classroom.sandbox import Session


class Remote:
    """An answer in a sandbox, as ``observe`` sees it.

    Args:
        session: the submission's process.
        name: of the function or value.
        seed: of torch's own generator at each call: an answer that draws from it is judged alike each time.
        seconds: that a call may take.
    """

    def __init__(self, session: Session, name: str, *, seed: int, seconds: float) -> None:
        self.session, self.name, self.seed, self.seconds = session, name, seed, seconds

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Call a function; evaluate an expression at these values of its symbols; return any other value."""
        return self._applied(inputs, named, None, {})

    def module(self, init: Sequence[Any], parameters: Mapping[str, Tensor], *inputs: Any) -> Any:
        """The output of the module with these parameters."""
        return self._applied(inputs, {}, list(init), parameters)

    def parameters(self, init: Sequence[Any]) -> dict[str, list[int]]:
        """Name → shape of the module's parameters."""
        reply = self.asked({"do": "parameters", "init": list(init)}, ())
        shapes = reply.get("parameters")
        return shapes if isinstance(shapes, dict) else {}

    def asked(self, message: Mapping[str, Any], symbols: Sequence[str]) -> dict[str, Any]:
        """The reply to a request about this answer; an exception of the answer is raised here, without its words.

        Raises:
            Unfit: what was returned does not travel.
        """
        try:
            reply = self.session.request({**message, "name": self.name, "seed": self.seed}, self.seconds)
        except wire.Bad:
            raise Unfit("expected tensors and numbers; the reply held something else") from None
        kind = reply.get("raised")
        if kind is None:
            return reply
        if kind == "NotImplementedError":
            raise NotImplementedError
        if kind == "Unusable":
            raise not_in_these(symbols)
        if kind == "Bad":
            raise Unfit(
                "expected tensors, numbers, text, or lists and dictionaries of them; something else was returned"
            )
        raise type(kind if isinstance(kind, str) and kind.isidentifier() else "Raised", (Exception,), {})

    def _applied(
        self, inputs: Sequence[Any], named: Mapping[str, Any], init: list[Any] | None, parameters: Mapping[str, Tensor]
    ) -> Any:
        tensors: list[Tensor] = []
        request = {
            "do": "call",
            "inputs": wire.flatten(list(inputs), tensors),
            "named": wire.flatten(dict(named), tensors),
            "init": init,
            "parameters": list(parameters),
            "order": 0,
            "sizes": [],
        }
        tensors += parameters.values()
        needed = [tensor.requires_grad and torch.is_grad_enabled() for tensor in tensors]
        structure: list[Any] = []
        results = _Call.apply(self, request, list(named), needed, structure, *tensors)
        try:
            return wire.filled(structure[0], results)
        except (wire.Bad, TypeError):
            raise Unfit("expected tensors and numbers; the reply held something else") from None


class _Call(torch.autograd.Function):
    """A call in the sandbox; its backward pass is another call there, of the next order."""

    @staticmethod
    def forward(
        ctx: Any,
        answer: Remote,
        request: dict[str, Any],
        symbols: list[str],
        needed: list[bool],
        structure: list[Any],
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        sent = [t.detach().requires_grad_(need) for t, need in zip(tensors, needed, strict=True)]
        reply = answer.asked({**request, "tensors": sent}, symbols)
        found = reply.get("tensors")
        results = [t if isinstance(t, Tensor) else torch.zeros(()) for t in found] if isinstance(found, list) else []
        structure.append(reply.get("structure"))
        differentiable = [result.requires_grad for result in results]
        results = [result.detach() for result in results]
        ctx.answer, ctx.request, ctx.symbols, ctx.needed = answer, request, symbols, needed
        ctx.differentiable = differentiable
        ctx.save_for_backward(*tensors)
        ctx.mark_non_differentiable(*(r for r, needs in zip(results, differentiable, strict=True) if not needs))
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *vectors: Tensor) -> tuple[Any, ...]:
        base = ctx.saved_tensors
        request = {
            **ctx.request,
            "order": ctx.request["order"] + 1,
            "sizes": [*ctx.request["sizes"], len(base)],
        }
        needed = [*ctx.needed, *(needs and torch.is_grad_enabled() for needs in ctx.differentiable)]
        products = _Call.apply(ctx.answer, request, ctx.symbols, needed, [], *base, *vectors)
        wanted = [number for number, need in enumerate(ctx.needed) if need]
        if len(products) != len(wanted) or any(
            product.shape != base[number].shape for product, number in zip(products, wanted, strict=True)
        ):
            raise Unfit("a gradient came back in another shape")
        gradients: list[Tensor | None] = [None] * len(base)
        for number, product in zip(wanted, products, strict=True):
            gradients[number] = product
        return (None, None, None, None, None, *gradients)
