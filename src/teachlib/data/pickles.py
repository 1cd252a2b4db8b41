"""Pickled arrays, opened without running anything: a pickle is a program, and this reads the ones that are only data.

``pickle.load`` calls whatever function a file names. The reader here knows the names under which numpy stores an array,
scipy a sparse matrix and chumpy (which files of FLAME and SMPL were written with) an array of its own, and answers them
with classes that check what they are given; any other name ends the reading.
"""

import io
import pickle
import pickletools
from math import prod
from typing import Any

import numpy as np

from teachlib.errors import TeachlibError

_OBJECTS = "O8"  # arrays of anything, of which numpy.save makes one, without axes, for a dict
_CODES = {code.code: code for code in pickletools.opcodes}
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")


class _Type:
    """Stands for ``numpy.dtype``: the name of a number's type and its byte order."""

    def __init__(self, name: Any, *_: Any) -> None:
        name = name.decode() if isinstance(name, bytes) else name
        if name not in (*_NUMBERS, _OBJECTS):
            raise pickle.UnpicklingError(f"an array of type {name!r}, which is not one of numbers")
        self.name, self.order = name, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode() if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"an array of byte order {order!r}")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.name)


class _Array:
    """Stands for ``numpy.ndarray``: shape, type and bytes, which must fit each other."""

    value: Any

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, content = state
        if kind.name == _OBJECTS:
            if shape != () or not isinstance(content, list) or len(content) != 1:
                raise pickle.UnpicklingError(f"an array of type {kind.name!r}, which is not one of numbers")
            self.value = content[0]
            return
        dtype = kind.dtype()
        content = content.encode("latin-1") if isinstance(content, str) else content
        if not all(isinstance(side, int) and side >= 0 for side in shape) or not isinstance(content, bytes):
            raise pickle.UnpicklingError("an array of an impossible shape")
        if len(content) != prod(shape) * dtype.itemsize:
            raise pickle.UnpicklingError(f"an array of {len(content)} bytes that should have {prod(shape)} numbers")
        self.value = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")


class _Sparse:
    """Stands for ``scipy.sparse.csc_matrix``, and is read as the whole array."""

    def __setstate__(self, state: dict[Any, Any]) -> None:
        kept = {_text(name): value for name, value in state.items()}
        shape = tuple(kept.get("_shape") or kept.get("shape") or ())
        if len(shape) != 2 or not all(isinstance(side, int) and 0 <= side <= 10**5 for side in shape):
            raise pickle.UnpicklingError("a sparse matrix of an impossible shape")
        if prod(shape) > 10**7:
            raise pickle.UnpicklingError(
                f"a sparse matrix of {shape[0]}×{shape[1]}, which is too large to be read whole"
            )
        data, rows, starts = (kept[name].value for name in ("data", "indices", "indptr"))
        columns = np.repeat(np.arange(shape[1]), np.diff(starts))
        if len(starts) != shape[1] + 1 or not len(data) == len(rows) == len(columns) or (rows < 0).any():
            raise pickle.UnpicklingError("a sparse matrix whose parts do not fit each other")
        self.value = np.zeros(shape, data.dtype)
        np.add.at(self.value, (rows, columns), data)


class _Chumpy:
    """Stands for ``chumpy.ch.Ch``, of which the array is all that counts."""

    def __setstate__(self, state: dict[Any, Any]) -> None:
        kept = {_text(name): value for name, value in state.items()}
        if not isinstance(kept.get("x"), _Array):
            raise pickle.UnpicklingError("a chumpy object that is not an array")
        self.value = kept["x"].value


def _text(name: Any) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else str(name)


def _new(kind: Any, *_: Any) -> _Sparse | _Chumpy:
    """Python 2's way to make an object without its constructor."""
    if kind not in (_Sparse, _Chumpy):
        raise pickle.UnpicklingError("a call that does not build an array")
    return kind()


def _reconstruct(kind: Any, *_: Any) -> _Array:
    if kind is not _Array:
        raise pickle.UnpicklingError("a call that does not build an array")
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """Python 3 stores bytes as text that is to be encoded, in the pickle protocols of Python 2."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"bytes in the encoding {encoding!r}")
    return text.encode("latin-1")


_KNOWN = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("_codecs", "encode"): _encode,
    ("scipy.sparse.csc", "csc_matrix"): _Sparse,
    ("scipy.sparse._csc", "csc_matrix"): _Sparse,
    ("chumpy.ch", "Ch"): _Chumpy,
    ("copy_reg", "_reconstructor"): _new,
    ("copyreg", "_reconstructor"): _new,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(
                f"a call of {module}.{name}; such a file can do anything, so it was not opened"
            )
        return _KNOWN[module, name]


def read(contents: bytes, source: object) -> Any:
    """What a pickle holds: dicts, lists, tuples, numbers, text (bytes where Python 2 wrote it), arrays of numbers.

    Args:
        contents: of the file.
        source: names it in an error.

    Raises:
        TeachlibError: not a pickle, cut short, or with anything else in it. Nothing the file names was called.
    """
    try:
        _refuse_far_places(contents)
        return _plain(_Reader(io.BytesIO(contents), encoding="bytes").load(), {})
    except pickle.UnpicklingError as error:
        raise TeachlibError(f"{source}: not a pickle of plain data: {error}") from None
    except Exception as error:  # a damaged pickle fails in any way; none of them is more than that
        raise TeachlibError(f"{source}: damaged or no pickle ({type(error).__name__}: {error}); get it again") from None


def _refuse_far_places(contents: bytes) -> None:
    """Every object may be noted under a number, and the reader makes room for all numbers below: 16 bytes each.

    Who counts them from zero, as everybody does, never comes to a number beyond the bytes read so far.
    """
    stream = io.BytesIO(contents)
    while code := stream.read(1):
        read = _CODES[code.decode("latin-1")]
        if read.name == "STRING":  # Python 2's, which may hold any bytes
            pickletools.read_stringnl(stream, decode=False)
        elif read.arg is not None:
            number = read.arg.reader(stream)
            if read.name in ("PUT", "BINPUT", "LONG_BINPUT") and number > stream.tell():
                raise pickle.UnpicklingError(f"an object noted under the number {number}, of so few")
        if read.name == "STOP":
            return


def read_npy(contents: bytes, source: object) -> Any:
    """What ``numpy.save`` stored of a dict: the pickle behind a header.

    Args:
        contents: of the ``.npy`` file.
        source: names it in an error.

    Raises:
        TeachlibError: not such a file, or as :func:`read`.
    """
    stream = io.BytesIO(contents)
    try:
        version = np.lib.format.read_magic(stream)
        reads = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = reads(stream)
    except Exception as error:  # damaged headers end numpy's reader in whatever their bytes lead to
        raise TeachlibError(f"{source}: no .npy file of a dict ({type(error).__name__}); get it again") from None
    if shape != () or not dtype.hasobject:
        raise TeachlibError(f"{source}: an array {shape} of {dtype}; expected a dict, as numpy.save stores it")
    return read(stream.read(), source)


def _plain(value: Any, done: dict[int, Any]) -> Any:
    """Arrays for what stood for them; what is ``done`` already, by identity, is the same object again.

    A list that holds a list twice, which holds one twice, and so on, would else become one of any length.
    """
    if id(value) not in done:
        done[id(value)] = _plain_of(value, done)
    return done[id(value)]


def _plain_of(value: Any, done: dict[int, Any]) -> Any:
    if isinstance(value, _Array) and not isinstance(value.value, np.ndarray):
        return _plain(value.value, done)
    if isinstance(value, _Array | _Sparse | _Chumpy):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item, done) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, done) for item in value)
    return value
