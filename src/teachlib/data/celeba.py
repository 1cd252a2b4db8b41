"""CelebA's files: a zip of aligned JPEGs, a list of splits and a list of attributes."""

import io
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from teachlib.data.cache import new_array
from teachlib.errors import TeachlibError

CROP, SIDE = 140, 64  # pixels: the authors' preparation, as WAE's
SPLITS = {"train": 0, "validation": 1, "test": 2}
LABEL = "Smiling"


def read_split(
    files: Sequence[Path], split: str, target: Path, side: int = SIDE
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Images of one official split, their labels and attributes.

    The middle 140×140 pixels of each picture are resized to ``side`` (bilinear, with antialiasing).

    Args:
        files: ``img_align_celeba.zip``, ``list_eval_partition.txt`` and ``list_attr_celeba.txt``.
        split: ``train``, ``validation`` or ``test``.
        target: a new file for the images' bytes: all of them would fill two GiB of memory.
        side: of the images, in pixels.

    Returns:
        Images (N, 3, side, side) uint8, mapped from ``target``; whether each face smiles, (N,) int64; all attributes by
        name, (N,) of 0 and 1.

    Raises:
        TeachlibError: a file of another format, or a picture that is missing, damaged or too small.
    """
    archive, partition, attributes = files
    names = [name for name, number in _partition(partition) if number == SPLITS[split]]
    known = _attributes(attributes)
    missing = next((name for name in names if name not in known[1]), None)
    if missing is not None:
        raise TeachlibError(f"{attributes}: nothing about {missing}, which {partition.name} names; get both again")
    columns, rows = known
    values = torch.tensor([rows[name] for name in names], dtype=torch.long).view(len(names), len(columns))
    factors = {column: (values[:, i] + 1) // 2 for i, column in enumerate(columns)}
    if LABEL not in factors:
        raise TeachlibError(f"{attributes}: no attribute '{LABEL}'; the file is another one: get it again")
    return _pictures(archive, names, target, side), factors[LABEL], factors


def _lines(file: Path) -> list[list[str]]:
    try:
        return [line.split() for line in file.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise TeachlibError(f"{file}: cannot be read ({error}); get it again") from None


def _partition(file: Path) -> list[tuple[str, int]]:
    rows = []
    for number, words in enumerate(_lines(file), 1):
        if len(words) != 2 or words[1] not in ("0", "1", "2"):
            raise TeachlibError(f"{file}: line {number}: expected a picture's name and 0, 1 or 2; get the file again")
        rows.append((words[0], int(words[1])))
    return rows


def _attributes(file: Path) -> tuple[list[str], dict[str, list[int]]]:
    """Names of the attributes, and 1 or −1 for each of them by picture; the file starts with a count."""
    lines = _lines(file)
    if len(lines) < 2 or len(lines[0]) != 1:
        raise TeachlibError(f"{file}: expected a line with a count, then one of attributes' names; get the file again")
    columns, rows = lines[1], {}
    for number, words in enumerate(lines[2:], 3):
        if len(words) != len(columns) + 1 or not set(words[1:]) <= {"1", "-1"}:
            raise TeachlibError(f"{file}: line {number}: expected a name and {len(columns)} of 1 or -1; get it again")
        rows[words[0]] = [int(word) for word in words[1:]]
    return columns, rows


def _pictures(archive: Path, names: list[str], target: Path, side: int) -> Tensor:
    images = new_array(target, (len(names), 3, side, side))

    def decode(index: int) -> None:
        contents = opened.read(f"img_align_celeba/{names[index]}")
        images[index] = _prepared(contents, side).transpose(2, 0, 1)

    try:
        with zipfile.ZipFile(archive) as opened, ThreadPoolExecutor(os.cpu_count()) as pool:
            steps = pool.map(decode, range(len(names)))
            for _ in tqdm(steps, total=len(names), unit="picture", disable=len(names) < 1000, leave=False):
                pass
    except KeyError as error:
        raise TeachlibError(f"{archive}: {error.args[0]}; the archive is not whole: get it again") from None
    except (zipfile.BadZipFile, UnidentifiedImageError, OSError, ValueError) as error:
        raise TeachlibError(f"{archive}: {error}; the archive is damaged: get it again") from None
    return torch.from_numpy(images)


def _prepared(contents: bytes, side: int) -> NDArray[np.uint8]:
    """(side, side, 3) of a JPEG."""
    with Image.open(io.BytesIO(contents)) as picture:
        width, height = picture.size
        if min(width, height) < CROP:
            raise ValueError(f"a picture of {width}×{height} pixels, expected at least {CROP} a side")
        left, top = (width - CROP) // 2, (height - CROP) // 2
        middle = picture.convert("RGB").crop((left, top, left + CROP, top + CROP))
        return np.array(middle.resize((side, side), Image.Resampling.BILINEAR))
