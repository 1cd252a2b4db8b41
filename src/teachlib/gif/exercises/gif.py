"""Exercises on GIF: can a discriminator see a mismatch, do two textures agree, where is a head halfway."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded
from teachlib.gif import rotations

# --------------------------------------------------------------------------------------------------- mismatch

_X, _Y = torch.randn(2, 3, generator=seeded(0)), torch.randn(2, 3, generator=seeded(1))
_A = torch.randn(3, generator=seeded(2))

Judge = Callable[[Tensor, Tensor], Tensor]


def _blind(x: Tensor, y: Tensor) -> Tensor:
    return (x.tanh() - y) @ _A


def _seeing(x: Tensor, y: Tensor) -> Tensor:
    return (x.tanh() * y) @ _A


mismatch = exercise(
    "mismatch",
    "Write mismatch(judge, x, y): of two pictures x (2, …) and their conditions y (2, …), how much the logits of the "
    "right pairs exceed those of the exchanged pairs, all in all: D(x₀,y₀) + D(x₁,y₁) − D(x₀,y₁) − D(x₁,y₀).",
    lambda judge, x, y: judge(x, y).sum() - judge(x, y.flip(0)).sum(),
    calls({"blind": (_blind, _X, _Y), "seeing": (_seeing, _X, _Y)}),
    wrong={
        "one_pair": (
            lambda judge, x, y: judge(x, y)[0] - judge(x, y.flip(0))[0],
            "one picture alone: a condition that is likelier in itself then looks like a mismatch seen",
        ),
        "reversed": (
            lambda judge, x, y: judge(x, y.flip(0)).sum() - judge(x, y).sum(),
            "the sign: right pairs should exceed the exchanged ones",
        ),
        "averaged": (
            lambda judge, x, y: judge(x, y).mean() - judge(x, y.flip(0)).mean(),
            "half of it: the sums over both pairs were asked for",
        ),
        "both_exchanged": (
            lambda judge, x, y: judge(x, y).sum() - judge(x.flip(0), y.flip(0)).sum(),
            "both are exchanged: these are the right pairs again, and the difference is always zero",
        ),
    },
)

# ----------------------------------------------------------------------------------------- texture_difference

_FIRST, _SECOND = torch.rand(3, 4, 4, generator=seeded(3)), torch.rand(3, 4, 4, generator=seeded(4))
_SEEN = torch.rand(2, 4, 4, generator=seeded(5)) > 0.4
_APART = (torch.arange(16).view(4, 4) % 2 == 0, torch.arange(16).view(4, 4) % 2 == 1)


def _difference(first: Tensor, second: Tensor, seen: Tensor, other: Tensor, power: int = 2) -> Tensor:
    both = seen & other
    return ((first - second).abs() ** power * both).sum() / (3 * both.sum()).clamp_min(1)


texture_difference = exercise(
    "texture_difference",
    "Write texture_difference(first, second, seen_first, seen_second): the mean squared difference of two stolen "
    "textures (3, T, T) over the texels that both pictures show, (T, T), and the three colours; 0 if there are none.",
    _difference,
    calls({"some": (_FIRST, _SECOND, *_SEEN), "none": (_FIRST, _SECOND, *_APART)}),
    wrong={
        "either": (
            lambda a, b, s, t: ((a - b).square() * (s | t)).sum() / (3 * (s | t).sum()),
            "texels that one of the pictures does not show: its texture holds nothing there",
        ),
        "all_texels": (
            lambda a, b, s, t: ((a - b).square() * (s & t)).mean(),
            "divided by all texels, as in the released code: pairs that share few of them then hardly count",
        ),
        "per_texel": (
            lambda a, b, s, t: 3 * _difference(a, b, s, t),
            "the sum over the colours; the mean was asked for",
        ),
        "absolute": (
            lambda a, b, s, t: _difference(a, b, s, t, power=1),
            "absolute differences; the thesis asks for L²",
        ),
        "sigmoid": (
            lambda a, b, s, t: torch.sigmoid(_difference(a, b, s, t)),
            "a sigmoid around it, as in the released code: textures that agree then cost ½",
        ),
    },
)

# ---------------------------------------------------------------------------------------------------- halfway

_ONE, _OTHER = torch.tensor([0.4, 1.2, -0.3]), torch.tensor([-0.9, 0.5, 1.4])


def _halfway(first: Tensor, second: Tensor) -> Tensor:
    start = rotations.matrix(first)
    return start @ rotations.matrix(rotations.axis_angle(start.T @ rotations.matrix(second)) / 2)


halfway = exercise(
    "halfway",
    "Write halfway(first, second): the rotation matrix (3, 3) in the middle of the shortest way between two rotations, "
    "each an axis times an angle, (3,). rotations.matrix and rotations.axis_angle lead there and back.",
    _halfway,
    calls({"matrix": (_ONE, _OTHER), "across": (torch.tensor([0.0, 3.0, 0.0]), torch.tensor([0.0, -3.0, 0.0]))}),
    wrong={
        "linear": (
            lambda first, second: rotations.matrix((first + second) / 2),
            "the mean of axes and angles, as in the released code: halfway between 170° and −170° it gives 0°",
        ),
        "mean_matrix": (
            lambda first, second: (rotations.matrix(first) + rotations.matrix(second)) / 2,
            "the mean of the matrices is no rotation: it makes vectors shorter",
        ),
        "relative": (
            lambda first, second: rotations.matrix(
                rotations.axis_angle(rotations.matrix(first).T @ rotations.matrix(second)) / 2
            ),
            "half of the way, but begun at no rotation: the first one is missing",
        ),
        "arrived": (
            lambda first, second: rotations.matrix(second),
            "the second rotation itself; half of the angle between the two was asked for",
        ),
    },
)
