"""SVHN's files: MATLAB arrays of cropped house numbers."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import scipy
import torch
from torch import Tensor

from teachlib.data.files import check_hash, read_bytes
from teachlib.errors import TeachlibError

SIDE = 32


def read_part(file: Path, hashes: Mapping[str, str]) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) uint8 and labels (N,) int64 of ``train_32x32.mat`` or ``test_32x32.mat``.

    The file numbers the digit 0 as class 10; here it is class 0. The hash comes first: scipy's reader can end the whole
    process by a segmentation fault where a byte is altered.

    Args:
        file: in MATLAB's format, which holds numbers and runs nothing.
        hashes: file name → expected hash.

    Raises:
        TeachlibError: unreadable, of another format, size or length, or with other contents.
    """
    contents = read_bytes(file)
    check_hash(contents, file, hashes)
    try:
        arrays = scipy.io.loadmat(io.BytesIO(contents), variable_names=("X", "y"))
    except Exception as error:  # scipy raises whatever the damage makes it meet
        raise TeachlibError(f"{file}: truncated, or no MATLAB file ({_line(error)}); get it again") from None
    if not {"X", "y"} <= arrays.keys():
        raise TeachlibError(f"{file}: a MATLAB file without 'X' and 'y'; is it another one under this name?")
    pixels, numbers = arrays["X"], arrays["y"].ravel()
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[:3] != (SIDE, SIDE, 3):
        raise TeachlibError(f"{file}: 'X' is {pixels.dtype} {pixels.shape}, expected uint8 of ({SIDE}, {SIDE}, 3, N)")
    if len(numbers) != pixels.shape[3]:
        raise TeachlibError(f"{file}: {len(numbers)} labels for {pixels.shape[3]} images; get the file again")
    if not np.isin(numbers, np.arange(1, 11)).all():
        raise TeachlibError(f"{file}: labels other than 1 … 10; get the file again")
    images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(3, 2, 0, 1)))
    return images, torch.from_numpy(numbers.astype(np.int64) % 10)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
