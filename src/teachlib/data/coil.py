"""COIL-20 and COIL-100: objects on a turntable, a photograph every five degrees."""

import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from teachlib.errors import TeachlibError

SIDE, POSES = 128, 72
_LARGEST = 2**20  # bytes of a photograph, twenty times what 128×128 pixels need
_NAME = re.compile(r"(?:.*/)?obj(\d+)__(\d+)\.png")
# Of six poses in a row the third is for validation, the last for testing: 30° apart, and never 10° from training.
_PARTS = {"train": (0, 1, 3, 4), "validation": (2,), "test": (5,)}


def poses_of(split: str) -> Tensor:
    """The poses, 0 … 71 in steps of five degrees, that belong to a split."""
    poses = torch.arange(POSES)
    return poses[torch.isin(poses % 6, torch.tensor(_PARTS[split]))]


def read_archive(file: Path, objects: int, channels: int, hashes: Mapping[str, str]) -> Tensor:
    """All photographs, (objects, 72, C, 128, 128) uint8, by object and pose.

    COIL-20 numbers its poses, COIL-100 gives their degrees; both are in steps of five.

    Args:
        file: ``coil-20-proc.zip`` or ``coil-100.zip``.
        objects: how many there must be.
        channels: 1 for grey, 3 for colour.
        hashes: file name → sha256 of all pixels in this order; ``""`` where none is known.

    Raises:
        TeachlibError: not a sound zip; a photograph missing, damaged or of another size; other contents.
    """
    degrees = 5 if objects == 100 else 1
    pictures = np.zeros((objects, POSES, SIDE, SIDE, channels), np.uint8)
    try:
        with zipfile.ZipFile(file) as archive:
            names = {match.groups(): name for name in archive.namelist() if (match := _NAME.fullmatch(name))}
            for number in range(objects):
                for pose in range(POSES):
                    name = names.get((str(number + 1), str(pose * degrees)))
                    if name is None:
                        raise TeachlibError(f"{file}: no picture of object {number + 1} at {pose * 5}°; get it again")
                    if archive.getinfo(name).file_size > _LARGEST:
                        raise TeachlibError(f"{file}: {name}: too large for a picture of 128×128; get it again")
                    pictures[number, pose] = _picture(archive.read(name), f"{file}: {name}", channels)
    except (zipfile.BadZipFile, OSError) as error:
        raise TeachlibError(f"{file}: truncated, or no zip archive ({error}); get it again") from None
    digest, expected = hashlib.sha256(pictures.tobytes()).hexdigest(), hashes[file.name]
    if expected and digest != expected:
        raise TeachlibError(
            f"{file}: wrong hash: pixels have sha256 {digest[:12]}…, expected {expected[:12]}…; get it again"
        )
    return torch.from_numpy(pictures).permute(0, 1, 4, 2, 3).contiguous()


def _picture(contents: bytes, name: str, channels: int) -> np.ndarray:
    try:
        image = Image.open(io.BytesIO(contents), formats=("PNG",))
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise TeachlibError(f"{name}: not a sound PNG ({error}); get the archive again") from None
    if pixels.shape[:2] != (SIDE, SIDE):
        raise TeachlibError(f"{name}: {pixels.shape[1]}×{pixels.shape[0]} pixels, expected {SIDE}×{SIDE}")
    return pixels.reshape(SIDE, SIDE, channels)


def split_of(pictures: Tensor, split: str) -> tuple[Tensor, Tensor, Tensor]:
    """The photographs of a split, (N, C, H, W), their objects, (N,), and their angles in degrees, (N,)."""
    poses = poses_of(split)
    chosen = pictures[:, poses]
    labels = torch.arange(len(pictures)).repeat_interleave(len(poses))
    return chosen.flatten(0, 1), labels, 5.0 * poses.repeat(len(pictures))
