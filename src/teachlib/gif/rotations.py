"""Rotations by axis and angle: a vector along the axis whose length is the angle, in radians."""

import torch
from torch import Tensor

from teachlib.errors import TeachlibError


def matrix(axis_angle: Tensor) -> Tensor:
    """Rotation matrices by Rodrigues' formula, R = I + sin θ K + (1 - cos θ) K², K the axis's cross product.

    Args:
        axis_angle: (…, 3), in radians; right-handed.

    Returns:
        (…, 3, 3), differentiable everywhere, at no rotation too.
    """
    if axis_angle.shape[-1] != 3:
        raise TeachlibError(f"axis and angle of shape {tuple(axis_angle.shape)}; expected (…, 3)")
    squared = axis_angle.square().sum(-1)[..., None, None]
    near = squared < 1e-16
    angle = torch.where(near, 1.0, squared).sqrt()  # the root has no slope at zero, and where() would pass on its NaN
    first = torch.where(near, 1.0, angle.sin() / angle)
    # (1 - cos θ) / θ², of which rounding leaves nothing at small angles, by the sine of half the angle.
    second = torch.where(near, 0.5, 2 * ((angle / 2).sin() / angle).square())
    skew = cross_matrix(axis_angle)
    return torch.eye(3, dtype=skew.dtype, device=skew.device) + first * skew + second * skew @ skew


def cross_matrix(vector: Tensor) -> Tensor:
    """The matrix (…, 3, 3) that takes u to the cross product of a vector (…, 3) with u."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))


def axis_angle(rotation: Tensor) -> Tensor:
    """The axis and angle of rotation matrices, the inverse of :func:`matrix`.

    It goes by way of the unit quaternion, which is exact for half turns too; not meant to be differentiated.

    Args:
        rotation: (…, 3, 3).

    Returns:
        (…, 3), of lengths in [0, π].
    """
    # Four times the products of the quaternion's parts: the row of the largest part divides by nothing small.
    r = rotation
    trace = r.diagonal(dim1=-2, dim2=-1).sum(-1)
    diagonal = [1 + trace, *(1 - trace + 2 * r[..., i, i] for i in range(3))]
    skew = [r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]]
    xy, xz, yz = (r[..., i, j] + r[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    products = torch.stack(
        [
            torch.stack([diagonal[0], *skew], -1),
            torch.stack([skew[0], diagonal[1], xy, xz], -1),
            torch.stack([skew[1], xy, diagonal[2], yz], -1),
            torch.stack([skew[2], xz, yz, diagonal[3]], -1),
        ],
        -2,
    )
    largest = torch.stack(diagonal, -1).argmax(-1)
    quaternion = torch.nn.functional.normalize(
        products.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :], dim=-1
    )
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = quaternion[..., 1:].norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(sine, quaternion[..., :1])
    return quaternion[..., 1:] * angle / sine.clamp_min(1e-30)  # no rotation: nothing, times nothing


def between(first: Tensor, second: Tensor, share: Tensor) -> Tensor:
    """Rotations on the shortest way from one to another, at a constant speed.

    Linear interpolation of axis and angle is another curve: halfway between 170° and -170° about one axis it gives no
    rotation at all, where the shortest way is a turn of 180°.

    Args:
        first: axis and angle, (…, 3).
        second: axis and angle, (…, 3).
        share: of the way, in [0, 1], (…).

    Returns:
        Axis and angle, (…, 3).
    """
    start = matrix(first)
    way = axis_angle(start.transpose(-1, -2) @ matrix(second))
    return axis_angle(start @ matrix(share[..., None] * way))
