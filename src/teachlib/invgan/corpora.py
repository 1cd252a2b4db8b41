"""Patches of collections that could not be had here, ImageNet and UCF101 (thesis § 6.4.3, App. C).

Below ``TEACHLIB_DATA`` lie

- ``imagenet/train`` and ``imagenet/val``, each with a folder a class (``n01440764`` …) of ``.JPEG`` files, as the
  challenge of 2012 is laid out for torchvision;
- ``UCF-101``, with a folder a class of ``.avi`` files, and ``ucfTrainTestlist`` with ``trainlist01.txt`` and
  ``testlist01.txt``, as its authors publish them.

The loaders are tested on small files of the same formats.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from teachlib.data import ImageData, cache, data_root
from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.invgan import films

PATCH = 32  # pixels
PATCHES = {"train": 200_000, "validation": 5_000, "test": 5_000}
_VALIDATES = 20  # every so many-th file of the training division is kept for validation
_FRAMES = 16  # of a film, of which one is chosen


@dataclass(frozen=True)
class _Collection:
    """Where files lie, as (file, number of its class), and how one is read: file, a share in [0, 1] → (3, H, W)."""

    listed: Callable[[Path, str], list[tuple[Path, int]]]
    read: Callable[[Path, float], Tensor]


def patches(name: str, split: str, limit: int | None = None) -> ImageData:
    """Patches of 32 pixels, one a place, from files drawn with a fixed seed; cut once, and kept in the cache.

    Args:
        name: ``imagenet`` or ``ucf101``.
        split: of :data:`PATCHES`; validation has files that training has not, and tests have the collection's own.
        limit: only the first so many.

    Returns:
        Their labels are numbers of classes, in the order of their names.

    Raises:
        TeachlibError: another name or split; no such folder or files; a file that does not decode, or is smaller than
            a patch.
    """
    listed = files(name, split)
    require_at_least(1, limit=limit)
    collection, count = COLLECTIONS[name], min(limit or PATCHES[split], PATCHES[split])
    chosen, places = _drawn(len(listed), split)
    labels = torch.tensor([listed[number][1] for number in chosen[:count].tolist()])

    def make(folder: Path) -> dict[str, int]:
        cut = cache.new_array(folder / "patches", (count, 3, PATCH, PATCH))
        for row, number in enumerate(tqdm(chosen[:count].tolist(), desc=f"cutting {name}", unit="patch")):
            cut[row] = _cut(collection, listed[number][0], places[row]).numpy()
        return {"patches": count}

    known = hashlib.sha256("\n".join(str(file) for file, _ in listed).encode()).hexdigest()[:16]
    folder = cache.entry_folder(f"{name}-{split}-{count}-{known}", make)
    return ImageData(name, split, cache.mapped(folder / "patches", (count, 3, PATCH, PATCH)), labels)


def files(name: str, split: str) -> list[tuple[Path, int]]:
    """What a split is cut from: files, and the number of each one's class.

    Raises:
        TeachlibError: another name or split; no such folder or files.
    """
    if name not in COLLECTIONS:
        raise unknown("collection", name, tuple(COLLECTIONS))
    if split not in PATCHES:
        raise unknown(f"split of {name}", split, PATCHES)
    return COLLECTIONS[name].listed(data_root(), split)


def _drawn(count_of_files: int, split: str) -> tuple[Tensor, Tensor]:
    """Numbers of files, each as often as any other or once more, and three shares of the way for each."""
    generator = torch.Generator().manual_seed(list(PATCHES).index(split))
    count = PATCHES[split]
    rounds = [torch.randperm(count_of_files, generator=generator) for _ in range(-(-count // count_of_files))]
    return torch.cat(rounds)[:count], torch.rand(count, 3, generator=generator)


def _cut(collection: _Collection, file: Path, place: Tensor) -> Tensor:
    whole = collection.read(file, place[2].item())
    height, width = whole.shape[1:]
    if min(height, width) < PATCH:
        raise TeachlibError(f"{file}: {width}×{height} pixels; a patch needs {PATCH} each way; remove it")
    return (patch(whole, place[:2]) * 255).round().byte()


def patch(whole: Tensor, place: Tensor) -> Tensor:
    """The patch of a picture (C, H, W) at a place, given as shares of the way, (2,): (C, 32, 32)."""
    top, left = (int(share * (side - PATCH + 1)) for share, side in zip(place.tolist(), whole.shape[1:], strict=True))
    return whole[:, top : top + PATCH, left : left + PATCH]


def _photograph(file: Path, _: float) -> Tensor:
    return films.read_picture(file)


def _frame(file: Path, share: float) -> Tensor:
    frames = films.read_film(file, most=_FRAMES)
    return frames[min(int(share * len(frames)), len(frames) - 1)]


def _imagenet(root: Path, split: str) -> list[tuple[Path, int]]:
    folder = root / "imagenet" / ("val" if split == "test" else "train")
    classes = sorted(place for place in folder.glob("n*") if place.is_dir())
    found = [(file, number) for number, place in enumerate(classes) for file in sorted(place.glob("*.JPEG"))]
    if not found:
        raise TeachlibError(f"{folder}: expected ImageNet's pictures, such as n01440764/n01440764_10026.JPEG")
    return _division(found, split)


def _ucf101(root: Path, split: str) -> list[tuple[Path, int]]:
    lists, folder = root / "ucfTrainTestlist", root / "UCF-101"
    listed = lists / ("testlist01.txt" if split == "test" else "trainlist01.txt")
    try:
        names = [line.split()[0] for line in listed.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError):
        raise TeachlibError(
            f"{listed}: expected UCF101's list of films, a line such as Archery/v_Archery_g08_c01.avi"
        ) from None
    classes = sorted({name.partition("/")[0] for name in names})
    found = [(folder / name, classes.index(name.partition("/")[0])) for name in names]
    missing = next((file for file, _ in found if not file.is_file()), None)
    if missing is not None or not found:
        raise TeachlibError(f"{missing or listed}: not there, or names no film; unpack UCF101.rar into {root}")
    return _division(found, split)


def _division(every: list[tuple[Path, int]], split: str) -> list[tuple[Path, int]]:
    """Every twentieth file is for validation, the others for training; tests have files of their own."""
    if split == "test":
        return every
    kept = [pair for number, pair in enumerate(every) if (number % _VALIDATES == 0) == (split == "validation")]
    return kept or every


COLLECTIONS = {"imagenet": _Collection(_imagenet, _photograph), "ucf101": _Collection(_ucf101, _frame)}
