"""What one submission's process does: run its cells, then answer calls of its functions."""

import os
import random
import socket
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from teachlib.classroom.inside import wire
from teachlib.classroom.inside.evaluating import Unusable, evaluated

# Kept here, so that a submission that patches torch breaks its own answers at most.
_seed, _gradient, _functional_call = torch.manual_seed, torch.autograd.grad, torch.func.functional_call


def warm_shell() -> Any:
    """IPython's shell, which takes a while to make; without a history, whose thread no fork would survive."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    return InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}), colors="NoColor")


def serve(connection: socket.socket) -> None:
    """Answer requests until the other side closes."""
    submission = Submission(warm_shell())
    while (request := _received(connection)) is not None:
        reply = _reply(submission, request)
        sys.stdout.flush()
        connection.sendall(wire.framed(reply))


def _received(connection: socket.socket) -> Any:
    head = _exactly(connection, 4)
    body = None if head is None else _exactly(connection, struct.unpack("<I", head)[0])
    return None if body is None else wire.unpack(body)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(min(count - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _reply(submission: "Submission", request: Mapping[str, Any]) -> bytes:
    try:
        return wire.pack(getattr(submission, str(request["do"]))(request))
    except wire.Bad as bad:
        return wire.pack({"raised": "Bad", "text": str(bad)})
    except Unusable:
        return wire.pack({"raised": "Unusable", "text": ""})
    except BaseException as error:  # a student's SystemExit and KeyboardInterrupt too
        return wire.pack({"raised": type(error).__name__[:60], "text": ""})


class Submission:
    """A submission's names, and what can be asked of it. Each method is a request of the grader's."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.shell._showtraceback = self._show_error  # IPython's own takes longer than most cells
        self.names: dict[str, Any] = self.shell.user_ns
        self.given: dict[str, Any] = {}

    def _show_error(self, kind: type, error: BaseException, traceback: list[str]) -> None:
        del kind, traceback
        print(_said(error), file=sys.stderr)

    def begin(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run the assignment's own cells, with the variant's ``SEED``: for the submission, and for given functions."""
        for space in (self.given, self.names):
            for code in request["codes"]:
                exec(compile(code, "<given>", "exec"), space)
                if "SEED" in space:
                    space["SEED"] = request["variant"]
        return {}

    def cell(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Run a cell, magics and all."""
        result = self.shell.run_cell(request["source"], store_history=False)
        error = result.error_before_exec or result.error_in_exec
        left_open = error is None or isinstance(error, NotImplementedError)  # what stands in the gaps
        return {"error": None if left_open else _said(error)}

    def has(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Whether there is such a name, with something in it."""
        value = self.names.get(request["name"])
        return {"has": value is not None and value is not ..., "module": isinstance(value, type)}

    def parameters(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Names and shapes of a module's parameters."""
        _seed_all(request["seed"])
        module = self.names[request["name"]](*request["init"])
        return {"parameters": {name: list(value.shape) for name, value in module.named_parameters()}}

    def call(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """An answer's result, or a product of it with vectors, of any order of differentiation."""
        structure, tensors = self._results(request, request["order"], request["tensors"])
        return {"structure": structure, "tensors": [t if isinstance(t, Tensor) else None for t in tensors]}

    def _results(self, request: Mapping[str, Any], order: int, tensors: Sequence[Tensor]) -> tuple[Any, list[Tensor]]:
        if order == 0:
            found: list[Tensor] = []
            return wire.flatten(self._applied(request, tensors), found), found
        count = request["sizes"][order - 1]
        base, vectors = tensors[:count], tensors[count:]
        with torch.enable_grad():
            _, results = self._results(request, order - 1, base)
        pairs = [(r, v) for r, v in zip(results, vectors, strict=False) if isinstance(r, Tensor) and r.requires_grad]
        inputs = [tensor for tensor in base if tensor.requires_grad]
        gradients = _gradient(
            [result for result, _ in pairs], inputs, [v for _, v in pairs], create_graph=True, allow_unused=True
        )
        parts = zip(inputs, gradients, strict=True)
        return None, [torch.zeros_like(x) if gradient is None else gradient for x, gradient in parts]

    def _applied(self, request: Mapping[str, Any], tensors: Sequence[Tensor]) -> Any:
        _seed_all(request["seed"])
        target = self.names[request["name"]]
        inputs = wire.filled(request["inputs"], tensors, self._given)
        if request["init"] is None:
            return evaluated(target, inputs, wire.filled(request["named"], tensors, self._given))
        parameters = dict(zip(request["parameters"], tensors[len(tensors) - len(request["parameters"]) :], strict=True))
        return _functional_call(target(*request["init"]), parameters, tuple(inputs))

    def _given(self, name: str, arguments: list[Any]) -> Callable[..., Any]:
        function: Callable[..., Any] = self.given[name](*arguments)
        return function


def _seed_all(seed: int) -> None:
    _seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def _said(error: BaseException) -> str:
    """An error of a cell, which ran before any hidden input was seen."""
    try:
        return f"{type(error).__name__}: {error}"[:300]
    except BaseException:
        return "an exception without a readable text"


def silence(output: int) -> None:
    """Nothing to read; what is printed goes to ``output``."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = os.fdopen(os.dup(number), "w", buffering=1, encoding="utf-8", errors="replace")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
