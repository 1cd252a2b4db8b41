"""A scaled orthographic camera: (scale, x, y) takes a point p to the screen at scale · (p + (x, y)).

The head stands in its own coordinates, in metres for the one that ships: x to its left, which is the picture's right,
y up, z towards the viewer. The screen is that of :mod:`teachlib.gif.rasterizer`.
"""

import torch
from torch import Tensor

from teachlib.errors import TeachlibError


def project(points: Tensor, camera: Tensor) -> Tensor:
    """Points on the screen.

    Args:
        points: (N, V, 3).
        camera: scale, and shift in the head's units, (N, 3); scales are positive.

    Returns:
        (N, V, 3); the third is the scaled depth.
    """
    _refuse_other_cameras(points, camera)
    scale, shift = camera[:, None, :1], camera[:, None, 1:]
    return torch.cat([scale * (points[..., :2] + shift), scale * points[..., 2:]], -1)


def unproject(screen: Tensor, camera: Tensor) -> Tensor:
    """The points that :func:`project` takes to these, (N, V, 3)."""
    _refuse_other_cameras(screen, camera)
    scale, shift = camera[:, None, :1], camera[:, None, 1:]
    return torch.cat([screen[..., :2] / scale - shift, screen[..., 2:] / scale], -1)


def centre_eyes(eyes: Tensor, places: Tensor) -> Tensor:
    """The camera that puts the two eyes where a data set's crops have them (thesis App. B.1.2).

    Scale and shift along x are those that take both eyes to their places; the shift along y takes their mean there.
    The more a head is turned away, the closer its eyes lie in the picture and the larger the scale: in profile it grows
    without bound, which is why the thesis's model fails there.

    Args:
        eyes: the right eye, which is on the left of the picture, and the left one, (N, 2, 3).
        places: where they are to be on the screen, (2, 2) or (N, 2, 2), x then y.

    Returns:
        Cameras, (N, 3).

    Raises:
        TeachlibError: eyes that lie at one place in the picture, or on the wrong side of each other.
    """
    wide = eyes[:, 1, 0] - eyes[:, 0, 0]
    places = places.expand(len(eyes), 2, 2)
    if not (wide > 0).all():
        raise TeachlibError(
            f"eyes {wide.min():.3g} apart from left to right; expected a head that shows both, turned by less than 90°"
        )
    scale = (places[:, 1, 0] - places[:, 0, 0]) / wide
    shift = places.mean(1) / scale[:, None] - eyes[..., :2].mean(1)
    return torch.cat([scale[:, None], shift], -1)


def _refuse_other_cameras(points: Tensor, camera: Tensor) -> None:
    if camera.shape != (len(points), 3):
        raise TeachlibError(f"cameras of shape {tuple(camera.shape)}; expected ({len(points)}, 3): scale, x, y")
    if not (camera[:, 0] > 0).all():
        raise TeachlibError(f"a camera's scale is {camera[:, 0].min():.3g}; expected positive ones")
