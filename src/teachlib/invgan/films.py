"""Pictures and films of a reader's own, as tensors."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from teachlib.data.folder import coloured, squared, upright
from teachlib.errors import TeachlibError, require_at_least

ANIMATED = (".gif", ".webp")
FILMS = (*ANIMATED, ".mp4", ".avi", ".mov", ".mkv", ".webm")
MOST_PIXELS = 40_000_000
_MOST_FRAMES = 2_000
T = TypeVar("T")


def read_square(file: Path, size: int, channels: int) -> Tensor:
    """The middle of a picture at the networks' size, (channels, size, size) in [0, 1].

    Raises:
        TeachlibError: a file that is missing, empty or no picture.
    """
    return torch.tensor(_pictured(file, lambda contents: squared(contents, size, channels))).float() / 255


def read_picture(file: Path, channels: int = 3) -> Tensor:
    """A whole picture, (channels, height, width) in [0, 1]; of an animation, the first frame.

    What is transparent becomes white, and a photograph is turned as its metadata say.

    Raises:
        TeachlibError: as :func:`read_square`, or more pixels than fit.
    """

    def whole(contents: bytes) -> Tensor:
        with upright(contents) as picture:
            refuse_large(file, picture.width * picture.height)
            return _pixels(picture, channels)

    return _pictured(file, whole)


def read_film(file: Path, channels: int = 3, *, most: int | None = None) -> Tensor:
    """The frames of a film, (T, channels, height, width) in [0, 1].

    Animated ``.gif`` and ``.webp`` need nothing; other films need PyAV (the extra ``video``).

    Args:
        file: that holds it.
        channels: 1 or 3.
        most: only the first so many frames; ``None``: all, of at most 2,000.

    Raises:
        TeachlibError: a file that is missing or does not decode, or holds more frames or pixels than fit.
    """
    require_at_least(1, most=most)
    _contents(file, 1)
    if file.suffix.lower() not in FILMS:
        raise TeachlibError(f"{file}: expected a film that ends in {', '.join(FILMS)}")
    reader = _animated if file.suffix.lower() in ANIMATED else _decoded
    frames = reader(file, channels, most or _MOST_FRAMES + 1)
    if not frames:
        raise TeachlibError(f"{file}: no frame could be decoded; expected a film")
    if most is None and len(frames) > _MOST_FRAMES:
        raise TeachlibError(f"{file}: more than {_MOST_FRAMES} frames; cut it into parts")
    return torch.stack(frames)


def _animated(file: Path, channels: int, most: int) -> list[Tensor]:
    frames: list[Tensor] = []
    try:
        with Image.open(file) as film:
            for frame in ImageSequence.Iterator(film):
                refuse_large(file, (len(frames) + 1) * frame.width * frame.height)
                frames.append(_pixels(frame, channels))
                if len(frames) == most:
                    break
    except TeachlibError:
        raise
    except Exception:  # whatever Pillow raises for what it cannot read
        raise TeachlibError(f"{file}: does not decode; expected an animation that Pillow opens") from None
    return frames


def _decoded(file: Path, channels: int, most: int) -> list[Tensor]:
    try:
        import av
    except ImportError:
        raise TeachlibError(
            f"{file}: films of this kind need PyAV (pip install av); .gif and .webp need nothing"
        ) from None
    frames: list[Tensor] = []
    try:
        with av.open(str(file)) as container:
            for frame in container.decode(video=0):
                refuse_large(file, (len(frames) + 1) * frame.width * frame.height)
                frames.append(_pixels(Image.fromarray(frame.to_ndarray(format="rgb24")), channels))
                if len(frames) == most:
                    break
    except TeachlibError:
        raise
    except Exception:  # whatever FFmpeg raises for what it cannot read
        raise TeachlibError(
            f"{file}: does not decode; expected a film that PyAV reads, such as .mp4 of H.264"
        ) from None
    return frames


def _pixels(picture: Image.Image, channels: int) -> Tensor:
    pixels = np.array(coloured(picture, channels, picture.info), dtype=np.float32) / 255
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], channels)).permute(2, 0, 1)


def refuse_large(file: Path, pixels: int) -> None:
    """Refuse more pixels than fit.

    Raises:
        TeachlibError: there are.
    """
    if pixels > MOST_PIXELS:
        raise TeachlibError(f"{file}: more than {MOST_PIXELS // 10**6} million pixels in all; cut it, or scale it down")


def _contents(file: Path, most: int = -1) -> bytes:
    try:
        if file.exists() and not file.is_file():
            raise TeachlibError(f"{file}: a folder or no plain file; expected the name of a picture")
        with file.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise TeachlibError(f"{file}: cannot be read ({error.strerror}); look at its name") from None


def _pictured(file: Path, read: Callable[[bytes], T]) -> T:
    contents = _contents(file)
    try:
        return read(contents)
    except TeachlibError:
        raise
    except Image.DecompressionBombError:
        raise TeachlibError(f"{file}: too large a picture; scale it down") from None
    except Exception:  # whatever Pillow raises for what it cannot read
        said = "empty" if not contents else "no picture"
        raise TeachlibError(f"{file}: {said}; expected one that Pillow opens") from None
