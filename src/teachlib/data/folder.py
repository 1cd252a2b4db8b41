"""The reader's own pictures: ``folder:PATH`` names a folder or a zip of them, with or without classes and splits.

Subfolders are classes. Where the first folders are called ``train``, ``validation`` and ``test``, they are the splits;
a split that is missing is cut from the training pictures by a hash of each file's contents, so that adding files moves
none, and copies of one picture never lie on two sides.
"""

import hashlib
import io
import json
import os
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor
from tqdm import tqdm

from teachlib.catalogue import FOLDER, Entry
from teachlib.data import cache
from teachlib.errors import TeachlibError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
SPLITS = ("train", "validation", "test")
_SPLIT_NAMES = {"train": "train", "training": "train", "validation": "validation", "valid": "validation"} | {
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
_HELD_OUT = 10  # per cent of the training pictures, for each split that has no folder
_UNREADABLE = 0.01  # the largest share that is left out with a word; more is an error
_LARGEST_SIDE = 1024
_LARGEST_FILE = 2**29  # bytes; a larger "picture" in a zip is a bomb or no picture
_MADE_BY = 1  # raised when pictures are prepared in another way: old entries of the cache then count no more


@dataclass(frozen=True)
class Request:
    """What ``folder:PATH?size=64&grey`` asks for.

    Attributes:
        path: of the folder or zip, as written.
        size: side of the squares in pixels; ``None``: 64 where most pictures have as many, else 32.
        grey: one channel instead of three.
    """

    path: str
    size: int | None = None
    grey: bool = False

    @property
    def name(self) -> str:
        """As :func:`parse` reads it."""
        settings = [f"size={self.size}"] * (self.size is not None) + ["grey"] * self.grey
        return FOLDER + self.path + "?" * bool(settings) + "&".join(settings)

    def sized(self, size: int | None) -> "Request":
        """The same pictures at another size; ``None`` leaves it."""
        return replace(self, size=self.size if size is None else size)


def parse(name: str) -> Request:
    """Read the name of a folder of pictures.

    Raises:
        TeachlibError: no path, or a setting that does not exist.
    """
    path, _, settings = name.removeprefix(FOLDER).partition("?")
    if not path.strip():
        raise TeachlibError(f"'{name}' names no folder; expected folder:PATH, e.g. folder:~/pictures")
    size, grey = None, False
    for key, value in parse_qsl(settings, keep_blank_values=True):
        if key == "grey" and value in ("", "1", "true"):
            grey = True
        elif key == "size" and value.isdecimal() and 4 <= int(value) <= _LARGEST_SIDE:
            size = int(value)
        else:
            raise TeachlibError(f"{name}: '{key}={value}'; expected size=4…{_LARGEST_SIDE}, or grey")
    return Request(path, size, grey)


def named(path: str | Path, *, size: int | None = None, grey: bool = False) -> str:
    """The data set's name for a folder or zip, as recipes, :func:`teachlib.data.load` and ``--dataset`` take it.

    Args:
        path: of a folder or a zip; ``~`` is the home, and what is not found here is looked for below the data root.
        size: side of the squares that pictures are cropped and resized to, in pixels.
        grey: one channel instead of three.
    """
    asked = parse(str(path))
    return parse(replace(asked, size=asked.size if size is None else size, grey=grey or asked.grey).name).name


def short_name(name: str) -> str:
    """What files and metrics are called after: the last part of the path, without what a file name cannot hold."""
    stem = PurePosixPath(parse(name).path.rstrip("/")).stem or "pictures"
    return "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in stem)


# ------------------------------------------------------------------------------------------------- what is there


@dataclass(frozen=True)
class Picture:
    """One file: its name below the folder, the split it lies in (``""``: not said), its class (``""``: none)."""

    name: str
    split: str
    label: str
    signature: tuple[int, ...]


Reader = Callable[[str], bytes]


@contextmanager
def _opened(path: Path) -> Iterator[tuple[dict[str, tuple[int, ...]], Reader]]:
    """Names and signatures of all files, and a function that reads one."""
    if path.is_dir():
        signatures = {name: _signature(path / name) for name in _walk(path)}
        yield signatures, lambda name: (path / name).read_bytes()
        return
    try:
        with zipfile.ZipFile(path) as archive:
            whole = _signature(path)
            members = [member for member in archive.infolist() if not member.is_dir()]
            sizes = {member.filename: member.file_size for member in members}

            def read(name: str) -> bytes:
                if sizes[name] > _LARGEST_FILE:
                    raise ValueError(f"{sizes[name]:,} bytes")
                return archive.read(name)

            yield {member.filename: (*whole, member.CRC, member.file_size) for member in members}, read
    except zipfile.BadZipFile as error:
        raise TeachlibError(f"{path}: neither a folder nor a sound zip ({error}); get it again") from None


def _signature(file: Path) -> tuple[int, ...]:
    try:
        status = file.stat()
    except OSError:  # a link to nothing: reading it will say so
        return (0, 0, 0)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _walk(root: Path) -> Iterator[str]:
    """Files below a folder, links followed, each folder once: a link to a folder above would never end."""
    seen: set[tuple[int, int]] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        here = os.stat(folder)
        if (here.st_dev, here.st_ino) in seen:
            folders.clear()
            continue
        seen.add((here.st_dev, here.st_ino))
        folders.sort()  # which of two ways to one folder counts must not depend on the disk
        for name in files:
            yield Path(folder, name).relative_to(root).as_posix()


def _is_picture(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not hidden


def _sorted_out(names: Sequence[str], source: str) -> dict[str, tuple[str, str]]:
    """The split and class of each picture, by the folders it lies in."""
    places = {name: PurePosixPath(name).parts[:-1] for name in names}
    # A zip often holds everything in one folder of its own.
    while all(len(parts) >= 2 for parts in places.values()) and len({parts[0] for parts in places.values()}) == 1:
        if next(iter(places.values()))[0].lower() in _SPLIT_NAMES:
            break
        places = {name: parts[1:] for name, parts in places.items()}
    divided = all(parts and parts[0].lower() in _SPLIT_NAMES for parts in places.values())
    splits = {name: _SPLIT_NAMES[parts[0].lower()] if divided else "" for name, parts in places.items()}
    labels = {name: parts[divided : divided + 1] for name, parts in places.items()}
    if any(labels.values()) and not all(labels.values()):
        beside = next(name for name in names if not labels[name])
        raise TeachlibError(f"{source}: {beside} lies beside the classes' folders; put it into one, or leave out all")
    return {name: (splits[name], "/".join(labels[name])) for name in names}


def _located(request: Request, root: Path) -> Path:
    path = Path(request.path)
    with suppress(RuntimeError):  # ~ without a home
        path = path.expanduser()
    for place in (path, root / path):
        if place.exists():
            return place
    raise TeachlibError(f"{request.name}: no such folder or zip: {path}, nor below {root}; check the path")


# -------------------------------------------------------------------------------------------- pictures into bytes


def squared(contents: bytes, size: int, channels: int) -> NDArray[np.uint8]:
    """A picture of any kind as a square: turned upright, its middle cut out, resized with antialiasing.

    Args:
        contents: of a file.
        size: side in pixels.
        channels: 1 or 3. What is transparent becomes white; of an animation, the first frame.

    Returns:
        (channels, size, size).

    Raises:
        Exception: whatever Pillow raises for a file that it cannot read.
    """
    with upright(contents) as picture:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        middle = coloured(picture.crop((left, top, left + side, top + side)), channels, picture.info)
        square = np.asarray(middle.resize((size, size), Image.Resampling.BILINEAR), dtype=np.uint8)
    return square.reshape(size, size, channels).transpose(2, 0, 1)


@contextmanager
def upright(contents: bytes) -> Iterator[Image.Image]:
    """A picture of any kind, loaded and turned as its metadata say; raises whatever Pillow raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a large picture, of odd metadata
        with Image.open(io.BytesIO(contents)) as picture:
            picture.load()
            with suppress(Exception):  # a picture whose metadata are damaged is a picture all the same
                ImageOps.exif_transpose(picture, in_place=True)
            yield picture


def coloured(picture: Image.Image, channels: int, info: dict[Any, Any]) -> Image.Image:
    """Eight bits a channel, grey or RGB; what is transparent becomes white."""
    return _eight_bits(picture, info).convert("L" if channels == 1 else "RGB")


def _eight_bits(picture: Image.Image, info: dict[Any, Any]) -> Image.Image:
    if picture.mode == "F" and not np.isfinite(np.asarray(picture)).all():
        raise ValueError("values that are not finite")
    if picture.mode == "F":
        return Image.fromarray((np.asarray(picture).clip(0, 1) * 255).round().astype(np.uint8))
    if picture.mode.startswith("I"):
        values = np.asarray(picture).astype(np.float64)
        return Image.fromarray((values.clip(0, 65535) / 257).round().astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in info:
        above = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", above.size, "white"), above)
    return picture


def _usual_size(names: Sequence[str], read: Reader) -> int:
    """64 where the shorter side of most pictures has as many pixels, else 32; a hundred of them tell."""
    sides = []
    for name in names[:: max(1, len(names) // 100)][:100]:
        with suppress(Exception), Image.open(io.BytesIO(read(name))) as picture:
            sides.append(min(picture.size))
    return 64 if sides and sorted(sides)[len(sides) // 2] >= 64 else 32


def _in_threads(work: Callable[[int], None], count: int, what: str) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        steps = pool.map(work, range(count))
        for _ in tqdm(steps, total=count, unit="picture", desc=what, disable=count < 1000, leave=False):
            pass


# ------------------------------------------------------------------------------------------------------ the cache


def _digests(path: Path, signatures: dict[str, tuple[int, ...]], names: Sequence[str], read: Reader) -> dict[str, str]:
    """sha256 of each file; files that look untouched since the last time are not read again."""
    note = cache.notes(f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]}.json")
    known = note.read()
    digests, missing = {}, []
    for name in names:
        signature, digest = known.get(name, (None, ""))
        if signature == list(signatures[name]):
            digests[name] = digest
        else:
            missing.append(name)

    def take(index: int) -> None:
        try:
            digests[missing[index]] = hashlib.sha256(read(missing[index])).hexdigest()
        except Exception:  # unreadable: named when it is decoded
            digests[missing[index]] = hashlib.sha256(missing[index].encode()).hexdigest()

    _in_threads(take, len(missing), "reading")
    if missing:
        note.write({name: [list(signatures[name]), digests[name]] for name in names})
    return digests


def _split(said: str, digest: str, there: frozenset[str]) -> str:
    """The split of one picture: what its folder says, or for training pictures what the hash of its contents says."""
    if said not in ("", "train"):
        return said
    place = int(digest[:8], 16) % 100
    for number, split in enumerate(split for split in ("validation", "test") if split not in there):
        if number * _HELD_OUT <= place < (number + 1) * _HELD_OUT:
            return split
    return "train"


@dataclass(frozen=True)
class Prepared:
    """A folder of pictures in the cache.

    Attributes:
        folder: of the cache's entry.
        shape: (C, H, W).
        classes: names; none for pictures without.
        counts: split → pictures.
        line: what was found, for people.
    """

    folder: Path
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: dict[str, int]
    line: str


def _make(
    path: Path, pictures: list[Picture], digests: dict[str, str], read: Reader, shape: tuple[int, int, int]
) -> Callable[[Path], dict[str, Any]]:
    """A function that decodes all pictures into one file, training pictures first, and says what came of it."""
    there = frozenset(picture.split for picture in pictures)
    classes = sorted({picture.label for picture in pictures} - {""})
    keyed = [(SPLITS.index(_split(p.split, digests[p.name], there)), digests[p.name], p.name, p) for p in pictures]
    rows = [(split, picture) for split, _, _, picture in sorted(keyed, key=lambda row: row[:3])]

    def make(folder: Path) -> dict[str, Any]:
        pixels = cache.new_array(folder / "pixels", (len(rows), *shape))
        failures: dict[int, str] = {}

        def decode(index: int) -> None:
            try:
                pixels[index] = squared(read(rows[index][1].name), shape[1], shape[0])
            except Exception as error:  # Pillow has no one class for what it cannot read
                failures[index] = f"{rows[index][1].name} ({type(error).__name__})"

        _in_threads(decode, len(rows), "decoding")
        _refuse_many(path, sorted(failures.values()), len(rows))
        kept = [index for index in range(len(rows)) if index not in failures]
        for place, index in enumerate(kept):
            if place != index:  # close the gaps
                pixels[place] = pixels[index]
        labels = [classes.index(rows[i][1].label) if classes else 0 for i in kept]
        np.asarray(labels, "<i8").tofile(folder / "labels")
        counts = {split: sum(rows[i][0] == number for i in kept) for number, split in enumerate(SPLITS)}
        return {"classes": classes, "counts": counts, "unreadable": sorted(failures.values())}

    return make


def _refuse_many(path: Path, failures: list[str], count: int) -> None:
    if len(failures) > _UNREADABLE * count:
        shown = ", ".join(failures[:3]) + (" …" if len(failures) > 3 else "")
        raise TeachlibError(
            f"{path}: {len(failures)} of {count} pictures cannot be read: {shown}; "
            f"at most {_UNREADABLE:.0%} are left out: mend or remove them"
        )


def prepare(name: str, root: Path) -> Prepared:
    """Find, decode and cache the pictures of a folder or zip; the first time in a process, say what was found.

    Args:
        name: ``folder:PATH``, with settings.
        root: where a relative path is looked for besides here.

    Raises:
        TeachlibError: nothing there, no pictures, or more than 1 % that cannot be read.
    """
    return _prepared(name, root, Path.cwd())


@lru_cache(maxsize=8)
def _prepared(name: str, root: Path, here: Path) -> Prepared:
    request = parse(name)
    path = _located(request, root)
    try:
        with _opened(path) as (signatures, read):
            return _cached(request, path, signatures, read)
    except OSError as error:
        raise TeachlibError(f"{path}: cannot be read ({error.strerror or error}); check its permissions") from None


def _cached(request: Request, path: Path, signatures: dict[str, tuple[int, ...]], read: Reader) -> Prepared:
    names = sorted(name for name in signatures if _is_picture(name))
    if not names:
        raise TeachlibError(f"{path}: no pictures ({', '.join(sorted(SUFFIXES))}) among {len(signatures)} files")
    places = _sorted_out(names, str(path))
    pictures = [Picture(name, *places[name], signatures[name]) for name in names]
    digests = _digests(path, signatures, names, read)
    size = request.size or _usual_size(names, read)
    shape = (1 if request.grey else 3, size, size)
    contents = [(name, digests[name]) for name in names]
    key = hashlib.sha256(json.dumps([_MADE_BY, shape, contents]).encode()).hexdigest()[:32]
    folder = cache.entry_folder(key, _make(path, pictures, digests, read, shape))
    facts = cache.facts_of(folder)
    others = len(signatures) - len(names)
    prepared = Prepared(folder, shape, tuple(facts["classes"]), facts["counts"], _line(request, facts, shape, others))
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(prepared.line, file=sys.stderr)
    return prepared


def _line(request: Request, facts: dict[str, Any], shape: tuple[int, int, int], others: int) -> str:
    counts, classes = facts["counts"], facts["classes"]
    shown = ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")
    words = [f"{FOLDER}{request.path}: {sum(counts.values()):,} pictures"]
    words[0] += f" in {len(classes)} classes ({shown})" if classes else ", no classes"
    words.append(", ".join(f"{count:,} {split}" for split, count in counts.items()))
    words.append(f"as {shape[1]}×{shape[2]} in {'grey' if shape[0] == 1 else 'colour'}")
    if facts["unreadable"]:
        named = ", ".join(facts["unreadable"][:3]) + (" …" if len(facts["unreadable"]) > 3 else "")
        words.append(f"{len(facts['unreadable'])} left out, unreadable: {named}")
    if others:
        words.append(f"{others} other files passed over")
    return "; ".join(words)


def described(name: str, root: Path) -> Entry:
    """The data set as the catalogue would list it.

    Raises:
        TeachlibError: as :func:`prepare`.
    """
    prepared = prepare(name, root)
    return Entry(
        name=parse(name).name,
        title=f"pictures of {parse(name).path}",
        shape=prepared.shape,
        classes=len(prepared.classes),
        splits=dict(prepared.counts),
        terms="yours",
        source=parse(name).path,
        folder=Path(parse(name).path),
        hashes={},
    )


def read_split(name: str, split: str, root: Path) -> tuple[Tensor, Tensor]:
    """Pictures (N, C, H, W) uint8, mapped from the cache, and classes (N,) int64, in the order of their hashes.

    Raises:
        TeachlibError: as :func:`prepare`, or no picture in this split.
    """
    prepared = prepare(name, root)
    if not prepared.counts[split]:
        raise TeachlibError(
            f"{name}: none of its {sum(prepared.counts.values())} pictures falls into '{split}'; add pictures, or sort "
            "them into folders train, validation and test"
        )
    before = sum(prepared.counts[other] for other in SPLITS[: SPLITS.index(split)])
    count, pixels = prepared.counts[split], int(np.prod(prepared.shape))
    images = cache.mapped(prepared.folder / "pixels", (count, *prepared.shape), skip=before * pixels)
    labels = np.fromfile(prepared.folder / "labels", "<i8", count=count, offset=8 * before)
    return images, torch.from_numpy(labels.astype(np.int64))
