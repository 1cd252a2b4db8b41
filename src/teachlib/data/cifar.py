"""CIFAR-10's files: Python 2 pickles of 10,000 pictures each, read without running them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from teachlib.data import pickles
from teachlib.data.files import check_hash, read_bytes
from teachlib.errors import TeachlibError

SIDE = 32


def read_batch(file: Path, hashes: Mapping[str, str]) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) uint8 and labels (N,) int64 of one file.

    The hash comes first: a pickle that is not the published one is not opened at all.

    Args:
        file: ``data_batch_1`` … ``data_batch_5`` or ``test_batch``.
        hashes: file name → expected hash.

    Raises:
        TeachlibError: unreadable, with other contents, or of another format, size or length.
    """
    contents = read_bytes(file)
    check_hash(contents, file, hashes)
    batch = pickles.read(contents, file)
    if not isinstance(batch, dict) or not {b"data", b"labels"} <= batch.keys():
        raise TeachlibError(f"{file}: no CIFAR-10 batch: expected a dictionary with 'data' and 'labels'")
    pixels, labels = batch[b"data"], batch[b"labels"]
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (3 * SIDE**2,):
        kind = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise TeachlibError(f"{file}: 'data' is {kind}, expected uint8 of (N, {3 * SIDE**2}): pictures of 3×32×32")
    if len(labels) != len(pixels):
        raise TeachlibError(f"{file}: {len(labels)} labels for {len(pixels)} images; the file is damaged: get it again")
    return torch.from_numpy(pixels.copy()).view(-1, 3, SIDE, SIDE), torch.tensor(labels, dtype=torch.long)
