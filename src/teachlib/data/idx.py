"""MNIST's file format: idx, plain or gzipped. Reads bytes, never pickles."""

import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from teachlib.data.files import check_hash, read_bytes
from teachlib.errors import TeachlibError

_MAGIC = {1: 2049, 3: 2051}  # dimensions → the magic number of unsigned bytes in so many dimensions


def parse(contents: bytes, file: Path, *, dimensions: int) -> Tensor:
    """Unsigned bytes of an idx file as a tensor with ``dimensions`` axes (uint8).

    Raises:
        TeachlibError: wrong magic number, or more or fewer bytes than the header announces.
    """
    header = 4 * (1 + dimensions)
    if len(contents) < header:
        raise TeachlibError(f"{file}: {len(contents)} bytes, too short for an idx header of {header}; get it again")
    magic, *shape = struct.unpack(f">{1 + dimensions}I", contents[:header])
    if magic != _MAGIC[dimensions]:
        raise TeachlibError(
            f"{file}: wrong magic number {magic}, expected {_MAGIC[dimensions]} (idx, unsigned bytes, {dimensions} "
            f"dimension{'s' if dimensions > 1 else ''}); is it another file under this name?"
        )
    if len(contents) - header != prod(shape):
        raise TeachlibError(
            f"{file}: {len(contents) - header} bytes of data, but its header announces {prod(shape)} "
            f"({'×'.join(map(str, shape))}); the file is truncated or damaged: get it again"
        )
    return torch.from_numpy(np.frombuffer(contents, np.uint8, offset=header).reshape(shape).copy())


def read_pair(images_file: Path, labels_file: Path, hashes: Mapping[str, str]) -> tuple[Tensor, Tensor]:
    """Images (N, 28, 28) uint8 and labels (N,) int64 of one of MNIST's two parts.

    The structure is checked before the hash: it gives the more telling message.

    Args:
        images_file: plain or gzipped.
        labels_file: plain or gzipped.
        hashes: file name without ``.gz`` → expected hash of the uncompressed contents.

    Raises:
        TeachlibError: unreadable, truncated, of another format, size or length, or with other contents.
    """
    image_bytes, label_bytes = read_bytes(images_file), read_bytes(labels_file)
    images = parse(image_bytes, images_file, dimensions=3)
    labels = parse(label_bytes, labels_file, dimensions=1)
    if images.shape[1:] != (28, 28):
        raise TeachlibError(f"{images_file}: images of {images.shape[1]}×{images.shape[2]} pixels, expected 28×28")
    if len(images) != len(labels):
        raise TeachlibError(
            f"{labels_file}: {len(labels)} labels for the {len(images)} images of {images_file.name}; "
            "the two files are not of one set"
        )
    check_hash(image_bytes, images_file, hashes)
    check_hash(label_bytes, labels_file, hashes)
    return images, labels.long()
