"""Parts of trained models outside Python: as ONNX files, and as demos that run in a reader's page."""

import copy
import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import remove_parametrizations

from teachlib.errors import TeachlibError

TOLERANCE = 1e-4  # between torch and the exported graph, on inputs drawn at random
_DRAWS = 3


@dataclass(frozen=True)
class Graph:
    """A part of a model that runs without torch.

    Attributes:
        net: a module of tensors, in evaluation mode; gives one tensor or a tuple.
        inputs: name → an example, of the shape that it always has; numbers that are tried are spread like it.
        outputs: names of what it gives.
        drawn: inputs to try instead, where not any numbers make sense.
    """

    net: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    drawn: Callable[[torch.Generator], Mapping[str, Tensor]] | None = None

    def draw(self, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Inputs to try."""
        if self.drawn is not None:
            return self.drawn(generator)
        return {name: _like(example, generator) for name, example in self.inputs.items()}


class Part(nn.Module):
    """A method of a model as a module of its own, as :class:`Graph` takes it.

    Args:
        model: whose weights the part has.
        method: ``(model, *inputs)`` → what the part gives, e.g. ``Autoencoder.decode``.
    """

    def __init__(self, model: nn.Module, method: Callable[..., Any]) -> None:
        super().__init__()
        self.model, self.method = model, method

    def forward(self, *inputs: Tensor) -> Any:
        """What the method gives."""
        return self.method(self.model, *inputs)


@dataclass(frozen=True)
class Demo:
    """What a page needs to let its reader play with models.

    Attributes:
        graphs: name → part of a model; none: the script does without, and no runtime is loaded.
        script: of JavaScript, which draws it; see ``_assets/live.js`` for what it is given.
        constants: what else the script needs, as JSON has it.
    """

    graphs: Mapping[str, Graph]
    script: Path
    constants: Mapping[str, Any] = field(default_factory=dict)


def onnx_of(graph: Graph, *, seed: int = 0) -> bytes:
    """A graph as an ONNX file, once its numbers were compared with torch's.

    Args:
        graph: to export.
        seed: of the inputs that are tried.

    Raises:
        TeachlibError: packages are missing, torch cannot export it, or the numbers differ by more than
            :data:`TOLERANCE`.
    """
    written = _exported(graph)
    if (difference := largest_difference(graph, written, seed=seed)) > TOLERANCE:
        raise TeachlibError(
            f"the exported graph differs from torch by {difference:.2g}; expected at most {TOLERANCE:g}; "
            "does the module draw random numbers, or is it in training mode?"
        )
    return written


def _exported(graph: Graph) -> bytes:
    _needed("onnxscript")  # torch asks for it late, and in many words
    net, examples = plain(graph.net), tuple(graph.inputs.values())
    try:
        with _quiet():
            program = torch.onnx.export(
                net,
                examples,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        cause = str(error.__cause__ or error).strip().splitlines()[0]
        raise TeachlibError(f"torch cannot export this part of the model: {cause}") from error
    proto = program.model_proto  # type: ignore[union-attr]
    _strip(proto.graph)
    for function in proto.functions:
        _strip(function)
    written: bytes = proto.SerializeToString()
    return written


def _needed(package: str) -> Any:
    """A package that is asked for only here."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise TeachlibError("exporting needs onnx and onnxruntime: pip install 'teachlib[export]'") from None


def _strip(graph: Any) -> None:
    """Drop what the exporter notes for its own developers: traces with the paths of this machine."""
    for part in (graph, *graph.node, *graph.value_info):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def plain(net: nn.Module) -> nn.Module:
    """A copy in evaluation mode, whose normalized weights are numbers and no longer computed from others."""
    copied = copy.deepcopy(net).eval()
    for module in list(copied.modules()):
        if not (names := list(getattr(module, "parametrizations", {}))):
            continue
        kind = type(module)  # which the copy shares with the original, and removing takes the weight's property from it
        module.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
        for name in names:
            remove_parametrizations(module, name, leave_parametrized=True)
    return copied


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporter says to its own developers is not said to others."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def largest_difference(graph: Graph, written: bytes, *, seed: int = 0) -> float:
    """How far an ONNX file's numbers are from torch's at most, over inputs drawn like the examples.

    Args:
        graph: that was exported.
        written: the file.
        seed: of the inputs.

    Raises:
        TeachlibError: onnxruntime is missing.
    """
    onnxruntime = _needed("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(written, options)
    generator = torch.Generator().manual_seed(seed)
    worst = 0.0
    for _ in range(_DRAWS):
        drawn = graph.draw(generator)
        with torch.no_grad():
            expected = graph.net(*drawn.values())
        expected = (expected,) if isinstance(expected, Tensor) else expected
        found = session.run(list(graph.outputs), {name: value.numpy() for name, value in drawn.items()})
        for ours, theirs in zip(found, expected, strict=True):
            gap = (torch.from_numpy(ours) - theirs).abs().max().item()
            worst = max(worst, gap if gap == gap else float("inf"))
    return worst


def _like(example: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers between an example's smallest and largest; normal ones where it is constant."""
    low, high = example.min(), example.max()
    if low == high:
        return torch.randn(example.shape, generator=generator)
    return low + (high - low) * torch.rand(example.shape, generator=generator)
