"""Exercises on motion: values between the rows of a table, loudness, and what jitter is measured by."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ----------------------------------------------------------------------------------------------- between_rows

_TIMES, _VALUES = torch.tensor([0.0, 1.0, 1.5, 3.0]), torch.tensor([0.0, 2.0, -1.0, 5.0])
_AT = torch.tensor([0.0, 0.25, 1.25, 2.0, 2.5, 3.0])


def _between(times: Tensor, values: Tensor, at: Tensor) -> Tensor:
    after = torch.searchsorted(times, at).clamp(1, len(times) - 1)
    start, end = times[after - 1], times[after]
    return values[after - 1] + (at - start) / (end - start) * (values[after] - values[after - 1])


def _even(times: Tensor, values: Tensor, at: Tensor) -> Tensor:
    return _between(torch.linspace(times[0], times[-1], len(times)), values, at)


between_rows = exercise(
    "between_rows",
    "Write between_rows(times, values, at): values on the straight lines between the rows of a table, times (N,) that "
    "grow and values (N,), at other times (M,) within them.",
    _between,
    calls({"values": (_TIMES, _VALUES, _AT)}),
    wrong={
        "even": (
            _even,
            "the rows are taken to be equally far apart in time; the table says when each of them is",
        ),
        "nearest": (
            lambda times, values, at: values[(at[:, None] - times).abs().argmin(1)],
            "the value of the nearest row: the face would jump from row to row",
        ),
        "held": (
            lambda times, values, at: values[torch.searchsorted(times, at, right=True) - 1],
            "the value of the row before, held until the next: that is a staircase",
        ),
    },
)

# --------------------------------------------------------------------------------------------------- decibels

_SOUND = torch.randn(3, 20, generator=seeded(0)) * torch.tensor([[0.01], [0.1], [1.0]])

decibels = exercise(
    "decibels",
    "Write decibels(pieces): how loud each piece (N, samples) is: 20 times the decimal logarithm of its root mean "
    "square, (N,).",
    lambda pieces: 20 * pieces.square().mean(1).sqrt().log10(),
    calls({"decibels": (_SOUND,)}),
    wrong={
        "half": (
            lambda pieces: 10 * pieces.square().mean(1).sqrt().log10(),
            "half as many: 10 belongs to the mean square, 20 to its root",
        ),
        "natural": (
            lambda pieces: 20 * pieces.square().mean(1).sqrt().log(),
            "the natural logarithm; decibels take the decimal one",
        ),
        "peak": (
            lambda pieces: 20 * pieces.abs().amax(1).log10(),
            "the loudest sample: one click then opens the mouth",
        ),
        "mean": (
            lambda pieces: 20 * pieces.abs().mean(1).log10(),
            "the mean absolute sample; power is the mean square",
        ),
    },
)

# ------------------------------------------------------------------------------------------ second_difference

_FRAMES = torch.rand(6, 1, 3, 3, generator=seeded(1))

second_difference = exercise(
    "second_difference",
    "Write second_difference(frames): the mean absolute second difference over time of frames (T, C, H, W), "
    "|x₍ₜ₊₁₎ − 2 xₜ + x₍ₜ₋₁₎|, a number: zero for what changes evenly.",
    lambda frames: (frames[2:] - 2 * frames[1:-1] + frames[:-2]).abs().mean(),
    calls({"number": (_FRAMES,)}),
    wrong={
        "first": (
            lambda frames: (frames[1:] - frames[:-1]).abs().mean(),
            "first differences: whatever moves counts, also where it moves evenly",
        ),
        "over_pixels": (
            lambda frames: frames.diff(n=2, dim=-1).abs().mean(),
            "differences along a row of pixels: that measures edges in each picture",
        ),
        "two_steps": (
            lambda frames: (frames[2:] - frames[:-2]).abs().mean(),
            "the difference over two steps; the frame between them counts, twice",
        ),
        "squared": (
            lambda frames: (frames[2:] - 2 * frames[1:-1] + frames[:-2]).square().mean(),
            "squares; absolute values were asked for",
        ),
    },
)
