"""Data by name: ``load("glyphs", "train")``. Nothing downloads unless asked."""

import errno
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from teachlib.alone import alone
from teachlib.catalogue import CATALOGUE, Entry, is_folder, refuse_unknown
from teachlib.checkpoints import read_checkpoint, write_checkpoint
from teachlib.data import cache, celeba, cifar, coil, folder, idx, svhn
from teachlib.data.colour_glyphs import colour_glyphs
from teachlib.data.densities import DENSITIES, PlaneDensity, density
from teachlib.data.files import check_hash_of_file, find
from teachlib.data.folder import named as folder_name
from teachlib.data.glyphs import glyphs
from teachlib.data.turntable import turntable
from teachlib.errors import TeachlibError, require_at_least, unknown

__all__ = [
    "CATALOGUE",
    "DENSITIES",
    "Entry",
    "ImageData",
    "PlaneDensity",
    "PointData",
    "check",
    "data_root",
    "density",
    "entry",
    "folder_name",
    "get",
    "is_folder",
    "load",
    "present",
    "short_name",
]


@dataclass(frozen=True)
class ImageData(Dataset[tuple[Tensor, Tensor]]):
    """Images and labels, kept as bytes; indexing gives pixels in [0, 1].

    ``data[i]`` and ``data[tensor_of_indices]`` give ``(images, labels)``: images float32 of (C, H, W) or (B, C, H, W).

    Attributes:
        name: of the data set.
        split: ``train``, ``validation`` or ``test``.
        images: (N, C, H, W) uint8; of a large set, mapped from a file.
        labels: (N,) int64.
        factors: what each sample was made from, where that is known: name → (N,).
    """

    name: str
    split: str
    images: Tensor
    labels: Tensor
    factors: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int | slice | Tensor) -> tuple[Tensor, Tensor]:
        images, labels = self.stored(index)
        return images.float() / 255, labels

    def stored(self, index: int | slice | Tensor) -> tuple[Tensor, Tensor]:
        """Images as bytes, and labels: a quarter of what has to travel to a device."""
        return self.images[index], self.labels[index]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image, (C, H, W)."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    def first(self, count: int | None) -> "ImageData":
        """The first ``count`` samples; all of them for ``None``."""
        rows = slice(count)
        factors = {name: values[rows] for name, values in self.factors.items()}
        return replace(self, images=self.images[rows], labels=self.labels[rows], factors=factors)

    @property
    def sha256(self) -> str:
        """Hash of pixels and labels, for provenance."""
        digest = hashlib.sha256()
        for part in (*self.images.split(10_000), self.labels):  # all at once would be read into memory
            digest.update(part.contiguous().numpy())
        return digest.hexdigest()


@dataclass(frozen=True)
class PointData(Dataset[tuple[Tensor, Tensor]]):
    """Vectors and labels, or pairs x and y, in memory; indexing gives both.

    Attributes:
        points: (N, d) float32.
        labels: (N,) int64, or (N, b) float32.
    """

    points: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: int | slice | Tensor) -> tuple[Tensor, Tensor]:
        return self.points[index], self.labels[index]


def data_root(root: str | Path | None = None) -> Path:
    """Where data files lie: ``root``, else ``TEACHLIB_DATA``, else ``~/.cache/teachlib/data``."""
    asked = root or os.environ.get("TEACHLIB_DATA")
    if not asked:
        return cache.home_cache() / "data"
    try:
        return Path(asked).expanduser()
    except RuntimeError:
        raise TeachlibError(
            f"{asked}: this user has no home folder that '~' could mean; write the whole path"
        ) from None


def entry(name: str, *, root: str | Path | None = None) -> Entry:
    """The catalogue's entry, or for ``folder:PATH`` one that says what lies there.

    Args:
        name: of the catalogue, or of :func:`folder_name`.
        root: where a folder that is not found here is looked for, see :func:`data_root`.

    Raises:
        TeachlibError: no such data set, or a folder without readable pictures.
    """
    if is_folder(name):
        return folder.described(name, data_root(root))
    refuse_unknown(name)
    return CATALOGUE[name]


def short_name(name: str) -> str:
    """What files, runs and metrics of a data set are called after: its name, or the last part of a folder's path."""
    return folder.short_name(name) if is_folder(name) else name


def load(
    name: str,
    split: str = "train",
    *,
    size: int | None = None,
    limit: int | None = None,
    root: str | Path | None = None,
    download: bool = False,
) -> ImageData:
    """Load one split of a data set.

    Validation never overlaps training: for MNIST, Fashion-MNIST and CIFAR-10 it is the last 10,000 training images
    (thesis App. A.1.2). The 28×28 images of the first two are padded with zeros to 32×32, as the thesis does.

    Args:
        name: of the catalogue (:data:`CATALOGUE`), or of a folder of pictures, ``folder:PATH`` (:func:`folder_name`).
        split: ``"train"``, ``"validation"`` or ``"test"``.
        size: enlarge the images to ``size × size`` pixels (bilinear), or shrink them by a whole factor (mean of each
            block); ``None`` keeps the catalogue's shape. Pictures of a folder, and CelebA's beyond 64 pixels, are
            resized once, from the originals.
        limit: only the first so many samples.
        root: where data files lie, see :func:`data_root`.
        download: fetch missing files first.

    Raises:
        TeachlibError: unknown name or split; missing, truncated, altered or wrong files.
    """
    require_at_least(1, limit=limit)
    if is_folder(name):
        return _pictures(name, split, size, data_root(root)).first(limit)
    dataset = entry(name)
    if split not in dataset.splits:
        raise unknown(f"split of {name}", split, dataset.splits)
    if download and not dataset.embedded:
        get(name, root=root)
    readers: dict[str, Callable[[], ImageData]] = {
        "digits": lambda: _digits(split),
        "glyphs": lambda: _glyphs(name, split, limit),
        "colour-glyphs": lambda: _glyphs(name, split, limit),
        "turntable": lambda: _turntable(split),
        "coil-20": lambda: _coil(name, split, data_root(root)),
        "coil-100": lambda: _coil(name, split, data_root(root)),
        "svhn": lambda: _svhn(name, split, data_root(root)),
        "cifar-10": lambda: _cifar(name, split, data_root(root)),
        "celeba": lambda: _celeba(name, split, data_root(root), size),
    }
    data = readers[name]() if name in readers else _idx_data(dataset, split, data_root(root))
    return _resized(data.first(limit), size)


def _pictures(name: str, split: str, size: int | None, root: Path) -> ImageData:
    if split not in folder.SPLITS:
        raise unknown(f"split of {name}", split, folder.SPLITS)
    images, labels = folder.read_split(folder.parse(name).sized(size).name, split, root)
    return ImageData(folder.short_name(name), split, images, labels)


def _through_cache(dataset: Entry, split: str, files: list[Path], read: Callable[[Path], "Parts"]) -> ImageData:
    """A split of a large set, read and checked once, and from then on mapped from the cache.

    Args:
        dataset: the set.
        split: which.
        files: that it is made from; when one of them is replaced, it is read again.
        read: gives images, labels and factors; images may be a file's bytes that it made in the folder given.
    """
    looks = [(file.name, file.stat().st_size, file.stat().st_mtime_ns, file.stat().st_ctime_ns) for file in files]
    asked = json.dumps([dataset.name, split, dataset.shape, looks, [dataset.hashes[n] for n in sorted(dataset.hashes)]])

    def make(place: Path) -> dict[str, Any]:
        images, labels, factors = read(place)
        if not (place / "pixels").exists():
            images.numpy().tofile(place / "pixels")
        write_checkpoint(place / "labels.safetensors", {"labels": labels, **factors}, {})
        return {"shape": list(images.shape)}

    key = hashlib.sha256(asked.encode()).hexdigest()[:32]
    place = cache.entry_folder(f"{dataset.name}-{split}-{key}", make)
    tensors, _ = read_checkpoint(place / "labels.safetensors")
    images = cache.mapped(place / "pixels", tuple(cache.facts_of(place)["shape"]))
    return ImageData(dataset.name, split, images, tensors.pop("labels"), tensors)


PATIENCE = 60.0  # seconds without a byte before a download is given up
_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}

Parts = tuple[Tensor, Tensor, dict[str, Tensor]]


def _resized(data: ImageData, size: int | None) -> ImageData:
    own = data.shape[1]
    if size is None or data.shape[1:] == (size, size):
        return data
    if size < 1 or (size < own and own % size):
        raise TeachlibError(f"{data.name}: images have {own} pixels a side; they cannot be shrunk to {size} evenly")
    pixels = data.images.float()
    if size < own:
        resized = F.avg_pool2d(pixels, own // size)
    else:
        resized = F.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False)
    return replace(data, images=resized.round().to(torch.uint8))


@lru_cache(maxsize=3)
def _digits(split: str) -> ImageData:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    rest, test = train_test_split(np.arange(1797), test_size=300, random_state=0, stratify=bunch.target)
    train, validation = train_test_split(rest, test_size=300, random_state=0, stratify=bunch.target[rest])
    rows = {"train": train, "validation": validation, "test": test}[split]
    # 0…16 strokes become 0…255.
    images = torch.from_numpy((bunch.images[rows] * 255 / 16).round().astype(np.uint8))
    return ImageData("digits", split, images[:, None], torch.from_numpy(bunch.target[rows]).long())


def _glyphs(name: str, split: str, limit: int | None) -> ImageData:
    images, factors = (glyphs if name == "glyphs" else colour_glyphs)(split, limit)
    return ImageData(name, split, images, factors.digit, {"font": factors.font, **factors.continuous})


def _poses(name: str, pictures: Tensor, split: str) -> ImageData:
    images, labels, angles = coil.split_of(pictures, split)
    return ImageData(name, split, images, labels, {"angle": angles})


def _turntable(split: str) -> ImageData:
    return _poses("turntable", turntable(), split)


@lru_cache(maxsize=3)
def _coil(name: str, split: str, root: Path) -> ImageData:
    dataset = CATALOGUE[name]
    (archive,) = _files(dataset, root)
    return _poses(name, coil.read_archive(archive, dataset.classes, dataset.shape[0], dataset.hashes), split)


def _svhn(name: str, split: str, root: Path) -> ImageData:
    """Validation is the end of the training file."""
    dataset = CATALOGUE[name]
    (file,) = _files(dataset, root, "test" if split == "test" else "train")
    cut = dataset.splits["train"]
    rows = {"train": slice(cut), "validation": slice(cut, None), "test": slice(None)}[split]

    def read(_: Path) -> Parts:
        images, labels = svhn.read_part(file, dataset.hashes)
        return images[rows], labels[rows], {}

    return _through_cache(dataset, split, [file], read)


def _idx_data(dataset: Entry, split: str, root: Path) -> ImageData:
    part = "t10k" if split == "test" else "train"
    images, labels = _read_idx(dataset.name, part, root)
    cut = dataset.splits["train"]
    rows = {"train": slice(cut), "validation": slice(cut, None), "test": slice(None)}[split]
    padded = F.pad(images[rows][:, None], (2, 2, 2, 2))
    return ImageData(dataset.name, split, padded, labels[rows])


def _files(dataset: Entry, root: Path, start: str = "") -> list[Path]:
    """The data set's files whose names begin with ``start``, all of which must be there."""
    folder = root / (dataset.folder or "")
    names = [name for name in dataset.hashes if name.startswith(start)]
    files = [find(folder, name) for name in names]
    for name, file in zip(names, files, strict=True):
        if file is None:
            raise TeachlibError(
                f"{dataset.name}: missing {folder / name}(.gz); run 'teachlib data get {dataset.name}', "
                "or set TEACHLIB_DATA to the folder that holds it"
            )
    return [file for file in files if file is not None]


@lru_cache(maxsize=4)
def _read_idx(name: str, part: str, root: Path) -> tuple[Tensor, Tensor]:
    dataset = CATALOGUE[name]
    images_file, labels_file = _files(dataset, root, part)
    return idx.read_pair(images_file, labels_file, dataset.hashes)


def _cifar(name: str, split: str, root: Path) -> ImageData:
    """Validation is the fifth of the five training files."""
    dataset = CATALOGUE[name]
    names = {"train": "data_batch", "validation": "data_batch_5", "test": "test_batch"}
    files = _files(dataset, root, names[split])
    files = files[:4] if split == "train" else files

    def read(_: Path) -> Parts:
        images, labels = zip(*(cifar.read_batch(file, dataset.hashes) for file in files), strict=True)
        return torch.cat(images), torch.cat(labels), {}

    return _through_cache(dataset, split, files, read)


def _celeba(name: str, split: str, root: Path, size: int | None) -> ImageData:
    side = max(size or celeba.SIDE, celeba.SIDE)
    dataset = replace(CATALOGUE[name], shape=(3, side, side))
    files = _files(dataset, root)

    def read(place: Path) -> Parts:
        for file in files:
            check_hash_of_file(file, dataset.hashes)
        return celeba.read_split(files, split, place / "pixels", side)

    return _through_cache(dataset, split, files, read)


def present(name: str, *, root: str | Path | None = None) -> bool:
    """Whether all files of a data set are there; they are not read."""
    dataset = entry(name)
    return dataset.folder is None or all(find(data_root(root) / dataset.folder, file) for file in dataset.hashes)


def check(name: str, *, root: str | Path | None = None) -> list[str]:
    """Read every split of a data set and compare hashes; one line of findings a split.

    Raises:
        TeachlibError: a file is missing, truncated, altered or of another format.
    """
    dataset = entry(name)
    lines = []
    for split in dataset.splits:
        data = load(name, split, root=root)
        line = f"{name} {split}: {len(data)} images {'×'.join(map(str, data.shape))}, sha256 {data.sha256[:12]}…"
        if dataset.embedded and data.sha256 != dataset.hashes[split]:
            line += " (differs from the locked versions': another scikit-learn, Pillow or matplotlib draws it)"
        lines.append(line)
    return lines


def _sound(name: str, root: Path) -> bool:
    """Whether all files of a data set are there and what they should be."""
    try:
        return present(name, root=root) and bool(check(name, root=root))
    except TeachlibError:
        return False


def get(name: str, *, root: str | Path | None = None) -> Path:
    """Download a data set through torchvision, check its hashes, and only then put it in place.

    Returns:
        The folder that holds the files. Sound files that are already there are left alone, others replaced.

    Raises:
        TeachlibError: unknown name; no network; the download is not what it should be; the folder is not writable;
            another process fetches the same set.
    """
    dataset, target = entry(name), data_root(root)
    if dataset.folder is None:
        return target  # embedded: nothing to fetch
    folder = target / dataset.folder
    if not lock_of(name, target).exists() and _sound(name, target):
        return folder
    with staged(name, target) as staging:
        if _sound(name, target):
            return folder  # put there meanwhile, or by one that was killed at its very end
        _fetch(name, staging, folder)
        check(name, root=staging)
        folder.mkdir(parents=True, exist_ok=True)
        for file in dataset.hashes:
            fetched = find(staging / dataset.folder, file)
            assert fetched is not None  # check() has just read it
            fetched.replace(folder / fetched.name)
    return folder


def lock_of(name: str, target: Path) -> Path:
    """The lock's file of whoever fetches a data set."""
    return target / f".{name}.lock"


@contextmanager
def staged(name: str, target: Path) -> Iterator[Path]:
    """An empty folder to fetch a data set into, for one process at a time; it is gone afterwards.

    Args:
        name: of the data set.
        target: folder of data.

    Raises:
        TeachlibError: another process fetches the same set, or the folder is not writable.
    """
    staging = target / f".{name}.partial"
    with alone(lock_of(name, target), f"fetches {name}"):
        try:
            shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
            staging.mkdir(parents=True)
            yield staging
        except OSError as error:
            raise TeachlibError(
                f"{target}: cannot write ({error.strerror}); choose a folder by TEACHLIB_DATA"
            ) from None
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _fetch(name: str, staging: Path, folder: Path) -> None:
    patiently(name, folder, lambda: _download(name, str(staging)))


def patiently(name: str, folder: Path, fetch: Callable[[], None]) -> None:
    """Download by ``fetch``, which nobody waits for when its server falls silent.

    Args:
        name: of the data set.
        folder: that its files go to.
        fetch: writes somewhere else.

    Raises:
        TeachlibError: the server, or the way to it, fails.
        OSError: the disk does.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE)  # torchvision sets none: it would wait for a silent server for ever
    try:
        fetch()
    except Exception as error:  # those who fetch raise whatever the server makes them meet
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            raise
        cause = " ".join(str(error).split()) or type(error).__name__
        raise TeachlibError(
            f"{name}: download failed ({cause}); check the network, or copy files to {folder}"
        ) from None
    finally:
        socket.setdefaulttimeout(before)


def _download(name: str, folder: str) -> None:
    from torchvision import datasets  # here: it costs a second, and only downloads need it
    from torchvision.datasets.utils import download_and_extract_archive, download_file_from_google_drive

    if name == "celeba":
        official = datasets.CelebA
        for number, md5, filename in official.file_list:
            if filename in CATALOGUE[name].hashes:
                download_file_from_google_drive(number, f"{folder}/{official.base_folder}", filename, md5)
        return
    if name.startswith("coil"):
        raise RuntimeError(f"no program fetches it: see {CATALOGUE[name].source}")
    if name == "svhn":
        for split in ("train", "test"):
            datasets.SVHN(f"{folder}/svhn", split, download=True)
        return
    if name == "cifar-10":  # torchvision's class would unpickle what it fetched
        official = datasets.CIFAR10
        download_and_extract_archive(official.url, folder, filename=official.filename, md5=official.tgz_md5)
        return
    {"mnist": datasets.MNIST, "fashion-mnist": datasets.FashionMNIST}[name](folder, download=True)
