"""Faces that move: curves over time, from a table or from speech, drawn frame by frame (thesis § 5.3.5, Figure 5.6)."""

import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from teachlib.checkpoints import write_atomically
from teachlib.data.files import read_rows
from teachlib.errors import TeachlibError, require_positive
from teachlib.gif import light
from teachlib.gif.evaluation import drawn
from teachlib.gif.head import head
from teachlib.gif.models import Face
from teachlib.gif.parameters import Parameters, neutral
from teachlib.gif.rendering import render

# Curves beside the 52 actions: joint and axis of what turns, in radians.
TURNS = {"pitch": (0, 0), "yaw": (0, 1), "roll": (0, 2), "jaw": (2, 0)}
_JAW_OPEN = math.pi / 12  # as wide as the thesis opens it
_MOST = {"pitch": math.pi / 2, "yaw": math.pi / 2, "roll": math.pi / 2, "jaw": math.pi / 6}
LONGEST = 3_000  # frames
KINDS = (".mp4", ".gif", ".webp")
_LONGEST = {".mp4": 8_192, ".gif": 65_535, ".webp": 16_383}  # sides that a format can hold, in pixels
_RANGE = 40.0  # decibels between a closed and an open mouth
_TOGETHER = 50  # frames that are drawn at once
_RATES = (4_000, 400_000)  # samples a second
_LARGEST = 2 * 2**30  # bytes of a film before it is compressed


@dataclass(frozen=True)
class Curves:
    """Numbers over time.

    Attributes:
        names: of the curves: ``pitch``, ``yaw``, ``roll`` and ``jaw`` in radians, and actions in [0, 1].
        values: a row a frame, (T, K).
        fps: frames a second.
    """

    names: tuple[str, ...]
    values: Tensor
    fps: float

    def __len__(self) -> int:
        return len(self.values)


def from_csv(file: Path, fps: float = 25.0) -> Curves:
    """Curves of a table: a column ``time`` in seconds, and one for each curve; between its rows lines are straight.

    Raises:
        TeachlibError: no such file, a column that is no curve, what is no number or out of range, times that do not
            grow, or too long a film.
    """
    require_positive(fps=fps)
    lines = read_rows(file, "a table of curves")
    names = [name.strip() for name in lines[0]] if lines else []
    known = (*TURNS, *head().actions)
    if "time" not in names or len(names) < 2 or len(set(names)) < len(names):
        raise TeachlibError(f"{file}: expected a first line 'time,…' that names each curve once")
    if strangers := [name for name in names if name != "time" and name not in known]:
        raise TeachlibError(
            f"{file}: no curve is called {strangers[0][:40]!r}; known: {', '.join(TURNS)}, and actions such as "
            f"{', '.join(head().actions[:3])}"
        )
    table = np.array([_numbers(file, number, row, len(names)) for number, row in enumerate(lines[1:], 2) if row])
    if len(table) < 2:
        raise TeachlibError(f"{file}: {len(table)} rows of numbers; expected two or more")
    times = table[:, names.index("time")]
    if not (times[1:] > times[:-1]).all():
        raise TeachlibError(f"{file}: times do not grow from row to row")
    columns = [name for name in names if name != "time"]
    frames = _frames(float(times[-1]) - float(times[0]), fps, file)
    at = times[0] + np.arange(frames) / fps
    values = np.stack([np.interp(at, times, table[:, names.index(name)]) for name in columns], 1)
    return _checked(Curves(tuple(columns), torch.from_numpy(values).float(), fps), file)


def _numbers(file: Path, number: int, row: Sequence[str], width: int) -> list[float]:
    try:
        values = [float(cell) for cell in row]
    except ValueError:
        values = []
    if len(values) != width or not all(map(math.isfinite, values)):
        raise TeachlibError(f"{file}, line {number}: {','.join(row)[:60]!r}; expected {width} numbers")
    return values


def _frames(seconds: float, fps: float, file: Path) -> int:
    if not seconds * fps < LONGEST:
        raise TeachlibError(
            f"{file}: {seconds:.4g} seconds; expected at most {LONGEST:,} frames: cut it, or lower --fps"
        )
    return int(seconds * fps) + 1


def _checked(curves: Curves, source: object) -> Curves:
    for name, column in zip(curves.names, curves.values.unbind(1), strict=True):
        low, high = (-_MOST[name], _MOST[name]) if name in TURNS else (0.0, 1.0)
        if column.min() < low - 1e-6 or column.max() > high + 1e-6:
            raise TeachlibError(
                f"{source}: {name} goes from {column.min():.3g} to {column.max():.3g}; expected {low:.3g} to {high:.3g}"
                + (" (radians)" if name in TURNS else "")
            )
    return curves


def from_audio(file: Path, fps: float = 25.0) -> Curves:
    """A mouth that follows speech: the jaw its loudness, the lips where its spectrum lies.

    No network: loudness in decibels between a quiet and a loud frame of this recording opens the jaw, up to π/12. Low
    sounds (below 1 kHz: o, u) round the lips, high ones (1 to 4 kHz: e, i) spread them. VOCA, which the thesis takes,
    learns far more of a face from speech.

    Args:
        file: WAV, of whole numbers or floats, any rate and number of channels.
        fps: frames a second.

    Raises:
        TeachlibError: no WAV file, an empty or silent one, or too long a film.
    """
    require_positive(fps=fps)
    rate, samples = _sound(file)
    frames = _frames((len(samples) - 1) / rate, fps, file)
    window = max(2 * round(rate / fps), 64)
    padded = np.pad(samples, (window // 2, window))
    starts = (np.arange(frames) * rate / fps).astype(int)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, window)[starts] * np.hanning(window)
    spectrum = np.square(np.abs(np.fft.rfft(pieces, axis=1)))
    pitch = np.fft.rfftfreq(window, 1 / rate)
    low, high = (spectrum[:, (pitch >= a) & (pitch < b)].sum(1) for a, b in ((80, 1000), (1000, 4000)))
    loud = 10 * np.log10(low + high + 1e-12)
    most = np.percentile(loud[loud > loud.max() - _RANGE], 95)  # of what can be heard, however long the silence
    opened = np.clip(1 + (loud - most) / _RANGE, 0, 1) ** 2
    bright = high / np.maximum(low + high, 1e-12)
    columns = {
        "jaw": _JAW_OPEN * opened,
        "mouthPucker": opened * np.clip(1 - 4 * bright, 0, 1) * 0.6,
        **{f"mouthStretch{side}": opened * np.clip(4 * bright - 1, 0, 1) * 0.6 for side in ("Left", "Right")},
    }
    smooth = np.array([0.25, 0.5, 0.25])
    values = np.stack([np.convolve(np.pad(column, 1, "edge"), smooth, "valid") for column in columns.values()], 1)
    return Curves(tuple(columns), torch.from_numpy(values).float(), fps)


def _sound(file: Path) -> tuple[int, np.ndarray[Any, np.dtype[np.float64]]]:
    """Rate and samples of one channel, the mean of all."""
    try:
        rate, samples = scipy.io.wavfile.read(file)
    except Exception as error:  # a damaged file ends scipy's reader in whatever its bytes lead to
        reason = "no such file" if isinstance(error, FileNotFoundError) else "not a WAV file that can be read"
        raise TeachlibError(f"{file}: {reason}; expected uncompressed WAV (ffmpeg -i FILE out.wav makes one)") from None
    if samples.ndim == 2:
        samples = samples.mean(1)
    if not _RATES[0] <= rate <= _RATES[1]:
        raise TeachlibError(f"{file}: {rate:,} samples a second; expected {_RATES[0]:,} to {_RATES[1]:,}")
    samples = np.nan_to_num(samples.astype(np.float64))
    samples = samples / max(np.abs(samples).max(initial=0), 1e-300)  # before anything is added: it could overflow
    if len(samples) and np.ptp(samples) > 1e-9:
        return int(rate), (samples - samples.mean()) / np.abs(samples - samples.mean()).max()
    raise TeachlibError(f"{file}: {len(samples):,} samples, all of them equal; expected a recording that can be heard")


def at_rest() -> Parameters:
    """A head that animations begin from: neutral, lit from the front and above."""
    lamp = torch.nn.functional.normalize(torch.tensor([[-0.35, 0.45, 0.8]]), dim=1)
    return replace(neutral(), light=light.uniform(0.4) + light.from_direction(lamp, torch.full((1, 3), 0.6)))


def posed(base: Parameters, curves: Curves) -> Parameters:
    """One head, a frame each (T): what a curve names moves, all else stays as it is."""
    frames = len(curves)
    pose, expression = (
        getattr(base, group)[:1].repeat(frames, *[1] * (getattr(base, group).ndim - 1))
        for group in ("pose", "expression")
    )
    for name, column in zip(curves.names, curves.values.unbind(1), strict=True):
        if name in TURNS:
            joint, axis = TURNS[name]
            pose[:, joint, axis] = column
        else:
            expression[:, head().actions.index(name)] = column
    still = {
        group: getattr(base, group)[:1].expand(frames, *getattr(base, group).shape[1:])
        for group in ("shape", "camera", "appearance", "light")
    }
    return Parameters(pose=pose, expression=expression, **still)


def film(face: Face, asked: Parameters, styles: Tensor, *, side: int = 128) -> Tensor:
    """What is asked for, rendered, and beside it each style's pictures, enlarged to ``side`` pixels.

    Args:
        face: that draws.
        asked: a frame each, T.
        styles: (S, width).
        side: of each picture.

    Returns:
        Bytes, (T, 3, side, (S + 1)·side).

    Raises:
        TeachlibError: no frames, or more than fit into two GiB.
    """
    size = 3 * len(asked) * side**2 * (len(styles) + 1)
    if not 0 < size <= _LARGEST:
        raise TeachlibError(
            f"{len(asked)} frames of {len(styles) + 1} pictures of {side} pixels; expected at least one frame, and "
            f"less than {_LARGEST >> 30} GiB: fewer frames, styles or pixels"
        )
    starts = range(0, len(asked), _TOGETHER)
    return torch.cat([_frames_of(face, asked[slice(start, start + _TOGETHER)], styles, side) for start in starts])


def _frames_of(face: Face, asked: Parameters, styles: Tensor, side: int) -> Tensor:
    pictures = [drawn(face, asked, style.expand(len(asked), -1)) for style in styles]
    strips = [render(asked, side).colours, *(interpolate(some, size=side, mode="bicubic") for some in pictures)]
    return (torch.cat(strips, 3).clamp(0, 1) * 255).round().byte()


def jitter(pictures: Tensor, asked: Tensor) -> float:
    """How much more pictures change from frame to frame than what they show does.

    A still head should give still pictures, so that changes beyond those of the rendering are jitter: the mean
    absolute second difference over time of the pictures, over that of the renderings. Second differences: what moves
    evenly, however fast, hardly counts.

    Args:
        pictures: (T, 3, H, W) in [0, 1].
        asked: renderings of the same frames, of the same size.

    Raises:
        TeachlibError: fewer than three frames, or other shapes.
    """
    if pictures.shape != asked.shape or len(pictures) < 3:
        raise TeachlibError(
            f"pictures {tuple(pictures.shape)} and renderings {tuple(asked.shape)}; expected three or more, alike"
        )
    if not (pictures.is_floating_point() and asked.is_floating_point()):
        raise TeachlibError(f"frames of {pictures.dtype} and {asked.dtype}; expected pixels in [0, 1], not bytes")
    ours, theirs = (frames.diff(n=2, dim=0).abs().mean().item() for frames in (pictures, asked))
    return ours / max(theirs, 1e-12)


def save(frames: Tensor, file: Path, fps: float) -> Path:
    """Write bytes (T, 3, H, W) as an animated ``.gif`` or ``.webp``, or as ``.mp4`` where PyAV is installed.

    Raises:
        TeachlibError: another ending, no PyAV for ``.mp4``, no frames, none a second, or a place that cannot be
            written.
    """
    require_positive(fps=fps)
    if frames.ndim != 4 or not len(frames) or frames.shape[1] != 3 or frames.dtype != torch.uint8:
        raise TeachlibError(f"frames of shape {tuple(frames.shape)}, {frames.dtype}; expected bytes, (T, 3, H, W)")
    if file.suffix.lower() == ".gif" and fps > 50:
        raise TeachlibError(f"{file}: a .gif holds at most 50 frames a second, not {fps:g}; take .webp or .mp4")
    kind, pixels = file.suffix.lower(), frames.movedim(1, -1).cpu().numpy()
    if kind not in KINDS:
        raise TeachlibError(f"{file}: expected a film that ends in {', '.join(KINDS)}")
    refuse_sides(file, *pixels.shape[1:3])
    stream = io.BytesIO()
    if kind == ".mp4":
        _write_mp4(pixels, stream, fps)
    else:
        first, *rest = [Image.fromarray(frame) for frame in pixels]
        durations = _durations(len(pixels), fps, 10 if kind == ".gif" else 1)
        first.save(stream, kind[1:].upper(), save_all=True, append_images=rest, duration=durations, loop=0)
    write_atomically(file, stream.getvalue())
    return file


def refuse_sides(file: Path, height: int, width: int) -> None:
    """Refuse pictures that a film's format cannot hold.

    Raises:
        TeachlibError: a side that is too long.
    """
    longest = _LONGEST.get(file.suffix.lower(), max(height, width))
    if max(height, width) > longest:
        raise TeachlibError(f"{file}: {width}×{height} pixels; a film of this kind has at most {longest} a side")


def _durations(frames: int, fps: float, unit: int) -> list[int]:
    """Of each frame in milliseconds, a multiple of what the format counts in; together as long as they should be."""
    ends = [round(1000 * number / fps / unit) * unit for number in range(frames + 1)]
    return [end - begin for begin, end in itertools.pairwise(ends)]


def _write_mp4(pixels: np.ndarray[Any, np.dtype[np.uint8]], stream: io.BytesIO, fps: float) -> None:
    try:
        import av
    except ImportError:
        raise TeachlibError("films as .mp4 need PyAV (pip install av); .gif and .webp need nothing") from None
    high, wide = (side - side % 2 for side in pixels.shape[1:3])  # H.264 takes even sides only
    with av.open(stream, "w", format="mp4") as container:
        track = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
        track.width, track.height, track.pix_fmt = wide, high, "yuv420p"
        for frame in pixels[:, :high, :wide]:
            container.mux(track.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(track.encode())
