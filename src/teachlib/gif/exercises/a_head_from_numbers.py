"""Exercises on rendering: weights in a triangle, which one is in front, and a rotation."""

import math

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ------------------------------------------------------------------------------------------------ barycentric

_CORNERS = torch.tensor([[0.0, 0.0], [2.0, 0.5], [0.5, 1.5]])
_POINTS = torch.cat([_CORNERS, torch.randn(4, 2, generator=seeded(0))])


def _area(p: Tensor, q: Tensor, r: Tensor) -> Tensor:
    u, v = q - p, r - p
    return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]


def _parts(corners: Tensor, points: Tensor) -> Tensor:
    a, b, c = corners
    return torch.stack([_area(points, b, c), _area(a, points, c), _area(a, b, points)], -1)


def _barycentric(corners: Tensor, points: Tensor) -> Tensor:
    return _parts(corners, points) / _area(*corners)


def _by_distance(corners: Tensor, points: Tensor) -> Tensor:
    closeness = 1 / (torch.cdist(points, corners) + 1e-3)
    return closeness / closeness.sum(1, keepdim=True)


barycentric = exercise(
    "barycentric",
    "Write barycentric(corners, points): the weights (N, 3) of a triangle's corners (3, 2) at points (N, 2); outside "
    "of the triangle some are negative.",
    _barycentric,
    calls({"weights": (_CORNERS, _POINTS)}),
    wrong={
        "areas": (
            _parts,
            "these are areas: over the area of the whole triangle they add up to one",
        ),
        "absolute": (
            lambda corners, points: _parts(corners, points).abs() / _area(*corners).abs(),
            "absolute areas: outside of the triangle the weights then add up to more than one, and no sign tells that "
            "a point is outside",
        ),
        "clockwise": (
            lambda corners, points: -_barycentric(corners, points),
            "the sign of the whole: at a corner, its own weight is 1 and not −1",
        ),
        "distances": (
            _by_distance,
            "weights by distance: along an edge the third corner still counts. Take areas",
        ),
    },
)

# ----------------------------------------------------------------------------------------------- nearest_face

_DEPTHS = torch.randn(3, 2, 4, generator=seeded(1))
_DEPTHS[:, 0, :2] = -torch.inf
_DEPTHS[1:, 1, 1] = -torch.inf


def _front(depths: Tensor) -> Tensor:
    nearest, face = depths.max(0)
    return torch.where(nearest > -torch.inf, face, -1)


nearest_face = exercise(
    "nearest_face",
    "Write nearest_face(depths): of F triangles with depths (F, H, W), larger where nearer and minus infinity where a "
    "triangle does not cover the pixel, the index of the one in front, (H, W), and −1 where there is none.",
    _front,
    calls({"faces": (_DEPTHS,)}),
    wrong={
        "furthest": (
            lambda depths: torch.where(depths.amax(0) > -torch.inf, depths.nan_to_num(neginf=99.0).argmin(0), -1),
            "the triangle furthest away: here z is larger where a point is nearer",
        ),
        "always_one": (
            lambda depths: depths.argmax(0),
            "where no triangle covers the pixel, you name one nevertheless; say −1",
        ),
        "last_painted": (
            lambda depths: torch.stack([torch.where(d > -torch.inf, k, -1) for k, d in enumerate(depths)]).amax(0),
            "the last triangle that covers the pixel, whatever its depth: that is painting over, without a z-buffer",
        ),
    },
)

# -------------------------------------------------------------------------------------------------- rodrigues


def _rodrigues(axis_angle: Tensor, turn: float = 1.0, square: float = 1.0, unit: float = 1.0) -> Tensor:
    angle = axis_angle.norm()
    a, b, c = turn * axis_angle / angle.clamp_min(1e-12)
    k = torch.stack([0 * a, -c, b, c, 0 * a, -a, -b, a, 0 * a]).view(3, 3)
    angle = angle * unit
    return torch.eye(3) + angle.sin() * k + square * (1 - angle.cos()) * k @ k


def _not_normalized(axis_angle: Tensor) -> Tensor:
    angle = axis_angle.norm().clamp_min(1e-12)
    a, b, c = axis_angle
    k = torch.stack([0 * a, -c, b, c, 0 * a, -a, -b, a, 0 * a]).view(3, 3)
    return torch.eye(3) + angle.sin() * k + (1 - angle.cos()) * k @ k


rodrigues = exercise(
    "rodrigues",
    "Write rodrigues(axis_angle): the rotation matrix (3, 3) of an axis times an angle in radians, (3,), by "
    "I + sin θ K + (1 − cos θ) K², K the cross product's matrix of the axis of length one; the identity for zero.",
    _rodrigues,
    calls({"general": (torch.tensor([0.3, -0.8, 0.5]),), "none": (torch.zeros(3),)}),
    wrong={
        "degrees": (
            lambda axis_angle: _rodrigues(axis_angle, unit=math.pi / 180),
            "the angle is taken for degrees; it is in radians already",
        ),
        "transposed": (
            lambda axis_angle: _rodrigues(axis_angle, turn=-1.0),
            "the inverse rotation: the signs in K are exchanged, or the matrix is transposed",
        ),
        "first_order": (
            lambda axis_angle: _rodrigues(axis_angle, square=0.0),
            "without (1 − cos θ) K² a turned vector grows longer; only small angles allow that",
        ),
        "long_axis": (
            _not_normalized,
            "K is made of the axis times the angle; take the axis of length one",
        ),
    },
)
