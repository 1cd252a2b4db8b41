"""Pictures and films of a reader's own, as tensors."""

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageSequence
from torch import Tensor

from teachlib.data.folder import squared
from teachlib.errors import TeachlibError, require_at_least

FILMS = (".gif", ".webp", ".mp4", ".avi", ".mov", ".mkv", ".webm")
_MOST_FRAMES, _MOST_PIXELS = 2_000, 40_000_000


def read_square(file: Path, size: int, channels: int) -> Tensor:
    """The middle of a picture at the networks' size, (channels, size, size) in [0, 1].

    Raises:
        TeachlibError: a file that is missing or no picture.
    """
    try:
        return torch.tensor(squared(_contents(file), size, channels)).float() / 255
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise _no_picture(file) from None


def read_picture(file: Path, channels: int = 3) -> Tensor:
    """A whole picture, (channels, height, width) in [0, 1]; raises as :func:`read_square`."""
    return read_film(file, channels, most=1)[0] if file.suffix.lower() in FILMS[:2] else _read(file, channels)


def _read(file: Path, channels: int) -> Tensor:
    contents = _contents(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file) as picture:
                _refuse_large(file, picture.width * picture.height)
                return _pixels(picture, channels)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise _no_picture(file, len(contents)) from None


def read_film(file: Path, channels: int = 3, *, most: int = _MOST_FRAMES) -> Tensor:
    """The first frames of a film, (T, channels, height, width) in [0, 1].

    Animated ``.gif`` and ``.webp`` need nothing; other films need PyAV (the extra ``video``).

    Raises:
        TeachlibError: a file that is missing or does not decode, or holds more pixels than fit.
    """
    require_at_least(1, most=most)
    _contents(file, 1)
    if file.suffix.lower() not in FILMS:
        raise TeachlibError(f"{file}: expected a film that ends in {', '.join(FILMS)}")
    reader = _animated if file.suffix.lower() in FILMS[:2] else _decoded
    frames = reader(file, channels, most)
    if not frames:
        raise TeachlibError(f"{file}: no frame could be decoded; expected a film")
    return torch.stack(frames)


def _animated(file: Path, channels: int, most: int) -> list[Tensor]:
    frames: list[Tensor] = []
    try:
        with Image.open(file) as film:
            for frame in ImageSequence.Iterator(film):
                _refuse_large(file, (len(frames) + 1) * frame.width * frame.height)
                frames.append(_pixels(frame, channels))
                if len(frames) == most:
                    break
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        raise _no_picture(file) from None
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
                _refuse_large(file, (len(frames) + 1) * frame.width * frame.height)
                frames.append(_pixels(Image.fromarray(frame.to_ndarray(format="rgb24")), channels))
                if len(frames) == most:
                    break
    except (av.FFmpegError, IndexError, OSError, ValueError):
        raise TeachlibError(
            f"{file}: does not decode; expected a film that PyAV reads, such as .mp4 of H.264"
        ) from None
    return frames


def _pixels(picture: Image.Image, channels: int) -> Tensor:
    pixels = np.array(picture.convert("L" if channels == 1 else "RGB"), dtype=np.float32) / 255
    return torch.from_numpy(pixels.reshape(*pixels.shape[:2], channels)).permute(2, 0, 1)


def _refuse_large(file: Path, pixels: int) -> None:
    if pixels > _MOST_PIXELS:
        raise TeachlibError(
            f"{file}: more than {_MOST_PIXELS // 10**6} million pixels in all; cut it, or scale it down"
        )


def _contents(file: Path, most: int = -1) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise TeachlibError(f"{file}: cannot be read ({error.strerror})") from None


def _no_picture(file: Path, length: int = 1) -> TeachlibError:
    return TeachlibError(f"{file}: {'empty' if not length else 'no picture'}; expected one that Pillow opens")
