"""Messages between grader and sandbox: one safetensors blob each, with the structure as JSON in its header.

No pickle anywhere: whatever arrives is numbers, strings, and lists and dictionaries of them.
"""

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

LIMIT = 32 << 20  # bytes of a message
HEADER = 8 << 20  # bytes of its structure
DEPTH, LENGTH = 24, 10_000  # of lists and dictionaries
Build = Callable[[str, list[Any]], Any]


class Bad(Exception):
    """What arrived, or should be sent, is no message; the text holds nothing of it."""


class Named:
    """A value that travels by a name and arguments: a given function, or the place of a tensor."""

    def __init__(self, name: str, arguments: list[Any]) -> None:
        self.name, self.arguments = name, arguments


class Place(Named):
    """Where a tensor of a flattened structure belongs."""

    def __init__(self, number: int) -> None:
        super().__init__("", [number])

    @property
    def number(self) -> int:
        """In the order of the flat list."""
        return int(self.arguments[0])


def flatten(value: Any, tensors: list[Tensor]) -> Any:
    """The structure with places instead of its tensors, which are appended to the list."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return Place(len(tensors) - 1)
    if isinstance(value, list | tuple):
        return (
            [flatten(item, tensors) for item in value]
            if type(value) is list
            else tuple(flatten(item, tensors) for item in value)
        )
    if isinstance(value, Mapping):
        return {key: flatten(item, tensors) for key, item in value.items()}
    if isinstance(value, Named) and not isinstance(value, Place):
        return Named(value.name, [flatten(item, tensors) for item in value.arguments])
    return value


def filled(value: Any, tensors: Sequence[Any], build: Build | None = None) -> Any:
    """The structure with tensors at their places, and with what ``build`` makes of other names.

    Raises:
        Bad: a place that there is no tensor for; a name where none is expected.
    """
    if isinstance(value, Place):
        if not 0 <= value.number < len(tensors):
            raise Bad("a place without a tensor")
        return tensors[value.number]
    if isinstance(value, Named):
        if build is None:
            raise Bad("a name where none is expected")
        return build(value.name, [filled(item, tensors, build) for item in value.arguments])
    if isinstance(value, list | tuple):
        return type(value)(filled(item, tensors, build) for item in value)
    if isinstance(value, Mapping):
        return {key: filled(item, tensors, build) for key, item in value.items()}
    return value


def pack(message: Any) -> bytes:
    """A message as bytes.

    Raises:
        Bad: something in it does not travel.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_down(message, tensors, 0))
    blob = save(tensors or {"_": torch.zeros(1)}, metadata={"m": tree})
    if len(blob) > LIMIT or len(tree) > HEADER:
        raise Bad("larger than a message may be")
    return blob


def _down(value: Any, tensors: dict[str, Tensor], depth: int) -> Any:
    if depth > DEPTH:
        raise Bad("nested too deeply")
    if isinstance(value, Tensor):
        return _tensor_down(value, tensors)
    if isinstance(value, torch.Generator):
        return {"generator": _down(value.get_state(), tensors, depth + 1)}
    if isinstance(value, np.ndarray):
        return {"array": _down(torch.from_numpy(np.ascontiguousarray(value)), tensors, depth + 1)}
    if isinstance(value, np.generic):
        value = value.item()
    if type(value).__name__ == "DataFrame" and hasattr(value, "to_dict"):
        value = value.to_dict("records")
    if isinstance(value, list | tuple):
        if len(value) > LENGTH:
            raise Bad("a list of more than 10,000 items")
        return {"list": [_down(item, tensors, depth + 1) for item in list(value)], "tuple": isinstance(value, tuple)}
    if isinstance(value, Mapping):
        items = list(value.items())[: LENGTH + 1]
        if len(items) > LENGTH:
            raise Bad("a dictionary of more than 10,000 entries")
        return {"mapping": [[str(key), _down(item, tensors, depth + 1)] for key, item in items]}
    if isinstance(value, Named):
        return {"named": value.name, "arguments": [_down(item, tensors, depth + 1) for item in value.arguments]}
    return _plain(value)


def _tensor_down(value: Tensor, tensors: dict[str, Tensor]) -> Any:
    if value.is_complex() or value.numel() * value.element_size() > LIMIT:
        raise Bad("a tensor that is complex, or too large")
    key = f"t{len(tensors)}"
    dense = value.detach().cpu().to_dense().as_subclass(Tensor)
    tensors[key] = dense.clone(memory_format=torch.contiguous_format)
    return {"tensor": key, "gradient": bool(value.requires_grad)}


def _plain(value: Any) -> Any:
    """A number, text, or nothing; of subclasses, which may lie, the plain value."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, float):
        return {"float": float.__repr__(value)}
    if isinstance(value, int):
        number = int.__index__(value)
        if abs(number) >= 2**63:
            raise Bad("an integer of more than 64 bits")
        return number
    if isinstance(value, str):
        return str.__str__(value).encode("utf-8", "replace").decode()
    raise Bad("expected tensors, numbers, text, or lists and dictionaries of them")


def unpack(blob: bytes) -> Any:
    """A message of bytes that anybody may have sent.

    Raises:
        Bad: no message.
    """
    try:
        (length,) = struct.unpack("<Q", blob[:8])
        if length > min(len(blob) - 8, 2 * HEADER):
            raise Bad("a header that is too long")
        tree = json.loads(json.loads(blob[8 : 8 + length])["__metadata__"]["m"])
        return _up(tree, load(bytes(blob)), 0)
    except Bad:
        raise
    except Exception as error:  # of safetensors, JSON, torch; RecursionError
        raise Bad("unreadable") from error


def _up(value: Any, tensors: Mapping[str, Tensor], depth: int) -> Any:
    if depth > 2 * DEPTH:
        raise Bad("nested too deeply")
    if value is None or isinstance(value, bool | int | str):
        return value
    if not isinstance(value, dict):
        raise Bad("an unknown form")
    if "tensor" in value:
        tensor = tensors[value["tensor"]]
        return tensor.requires_grad_() if value.get("gradient") and tensor.is_floating_point() else tensor
    if "float" in value:
        return float(value["float"])
    if "array" in value:
        return _up(value["array"], tensors, depth + 1).detach().numpy()
    if "generator" in value:
        return torch.Generator().set_state(_up(value["generator"], tensors, depth + 1))
    if len(value.get("list", ())) > LENGTH or len(value.get("mapping", ())) > LENGTH:
        raise Bad("too many items")
    if "list" in value:
        items = [_up(item, tensors, depth + 1) for item in value["list"]]
        return tuple(items) if value.get("tuple") else items
    if "mapping" in value:
        return {str(key): _up(item, tensors, depth + 1) for key, item in value["mapping"]}
    if "named" in value:
        arguments = [_up(item, tensors, depth + 1) for item in value["arguments"]]
        return Named(str(value["named"]), arguments) if value["named"] else Place(int(arguments[0]))
    raise Bad("an unknown form")


def framed(blob: bytes) -> bytes:
    """Bytes with their length before them."""
    return struct.pack("<I", len(blob)) + blob
