"""In training mode, networks draw dropout, take batch norm from the batch and change buffers: not for measuring."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import get_ident
from typing import Any, ParamSpec, TypeVar

from torch import nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.module import register_module_forward_pre_hook

from teachlib.errors import TeachlibError

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def refuse_training() -> Iterator[None]:
    """Within it, a pass of a network whose numbers depend on training mode, and that is in it, is refused.

    For functions that are given a closure over a network, not the network itself. It watches every layer's call and
    costs what a hook costs, so one pass, the first, is enough.

    Raises:
        TeachlibError: a layer in training mode that draws, or that has buffers which a pass may change; it has not yet.
    """

    thread = get_ident()  # the hook is everybody's; another thread may be training

    def look(module: nn.Module, inputs: Any) -> None:
        if get_ident() != thread or not module.training:
            return
        if isinstance(module, _DropoutNd) or any(buffer is not None for buffer in module._buffers.values()):
            raise TeachlibError(
                f"a network in training mode (its {type(module).__name__}): it would give other numbers and change "
                "while it is measured; call its .eval() first"
            )

    handle = register_module_forward_pre_hook(look)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def evaluating(*models: object) -> Iterator[None]:
    """Within it, models are in evaluation mode; afterwards each of their modules is in its own again."""
    modules = [module for model in models if isinstance(model, nn.Module) for module in model.modules()]
    before = [module.training for module in modules]
    for module in modules:
        module.training = False
    try:
        yield
    finally:
        for module, training in zip(modules, before, strict=True):
            module.training = training


def in_evaluation_mode(measure: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments, as far as they are models, are :func:`evaluating` while it runs."""

    @wraps(measure)
    def measured(*args: P.args, **options: P.kwargs) -> R:
        with evaluating(*args, *options.values()):
            return measure(*args, **options)

    return measured
