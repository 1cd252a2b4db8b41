"""Triangles to pixels: which triangle lies in front at each pixel's centre, and where on it (a z-buffer).

Coordinates on the screen: x to the right and y up, both in [-1, 1], so that pixel (row i, column j) of n has its centre
at x = (2 j + 1) / n - 1, y = 1 - (2 i + 1) / n; z is larger where a point is nearer. A triangle whose corners go
counter-clockwise on the screen faces the viewer.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least

# A pixel's centre on an edge belongs to both triangles; rounding must not give it to neither.
_EDGE = 1e-9


@dataclass(frozen=True)
class Fragments:
    """What lies in front at each pixel.

    Attributes:
        face: index of the triangle, (N, H, W); -1 where there is none.
        weights: of the triangle's corners at the pixel's centre, (N, H, W, 3); they add up to one, and carry gradients
            to the corners' positions. Zero where there is no triangle.
        depth: z there, (N, H, W); minus infinity where there is no triangle.
    """

    face: Tensor
    weights: Tensor
    depth: Tensor

    @property
    def covered(self) -> Tensor:
        """Where there is a triangle, (N, H, W)."""
        return self.face >= 0


@dataclass(frozen=True)
class _Candidates:
    """Pairs of a triangle and a pixel's centre inside it."""

    pixel: Tensor  # in all pictures of the batch, counted through
    face: Tensor
    depth: Tensor


def rasterize(
    positions: Tensor, faces: Tensor, size: int, *, cull: bool = True, hidden: Tensor | None = None
) -> Fragments:
    """The nearest triangle at every pixel.

    Every triangle is tested at the pixels of its bounding box only, all triangles of all pictures at once; of two that
    are equally near the one of lower index wins. What lies outside the screen is cut off; nothing is antialiased.

    Args:
        positions: corners on the screen, (N, V, 3).
        faces: corners of the triangles, whole numbers (F, 3).
        size: height and width of the pictures, in pixels.
        cull: leave out triangles that face away.
        hidden: triangles to leave out of each picture, (N, F); none by default.

    Raises:
        TeachlibError: shapes other than these, corners that do not exist, a size below one.
    """
    _refuse_other_shapes(positions, faces, size)
    n = len(positions)
    with torch.no_grad():  # in double precision: an edge between two pixels must fall on one side of both
        found = _inside(positions.detach().double(), faces, size, cull, hidden)
        nearest = positions.new_full((n * size * size,), -torch.inf, dtype=torch.double)
        nearest.scatter_reduce_(0, found.pixel, found.depth, "amax")
        front = found.depth == nearest[found.pixel]
        face = torch.full_like(nearest, len(faces), dtype=torch.long)
        face.scatter_reduce_(0, found.pixel[front], found.face[front], "amin")
        face = torch.where(face == len(faces), -1, face).view(n, size, size)
    weights, depth = _on_faces(positions, faces, face)
    return Fragments(face, weights, depth)


def interpolate(fragments: Fragments, faces: Tensor, values: Tensor) -> Tensor:
    """Values of corners, carried over to the pixels.

    Args:
        fragments: what lies in front.
        faces: corners of the triangles as the values count them, (F, 3); for coordinates in a texture these are not
            the corners of the mesh.
        values: one vector a corner, (V, C) for all pictures or (N, V, C).

    Returns:
        Pictures (N, C, H, W); zero where there is no triangle.
    """
    picture, row, column = fragments.covered.nonzero(as_tuple=True)  # most pixels of a small thing show nothing
    corners = faces[fragments.face[picture, row, column]]
    at_corners = values[corners] if values.ndim == 2 else values[picture[:, None], corners]
    weights = fragments.weights[picture, row, column].to(values.dtype)
    pixels = values.new_zeros(*fragments.face.shape, values.shape[-1])
    pixels[picture, row, column] = torch.einsum("mkc,mk->mc", at_corners, weights)
    return pixels.movedim(-1, 1)


def _refuse_other_shapes(positions: Tensor, faces: Tensor, size: int) -> None:
    require_at_least(1, size=size)
    if positions.ndim != 3 or positions.shape[2] != 3:
        raise TeachlibError(f"positions of shape {tuple(positions.shape)}; expected (pictures, corners, 3)")
    if faces.ndim != 2 or faces.shape[1] != 3 or faces.is_floating_point():
        raise TeachlibError(
            f"faces of shape {tuple(faces.shape)}, {faces.dtype}; expected whole numbers (triangles, 3)"
        )
    if len(faces) and (faces.min() < 0 or faces.max() >= positions.shape[1]):
        raise TeachlibError(f"faces name corners up to {int(faces.max())}; there are {positions.shape[1]}, from 0 on")


def _inside(positions: Tensor, faces: Tensor, size: int, cull: bool, hidden: Tensor | None) -> _Candidates:
    """All pixels whose centre lies in a triangle."""
    # In pixels, rows downwards: the centre of pixel (i, j) is the point (j, i).
    columns = (positions[..., 0] + 1) * size / 2 - 0.5
    rows = (1 - positions[..., 1]) * size / 2 - 0.5
    x, y, z = (values[:, faces] for values in (columns, rows, positions[..., 2]))
    area = _cross(x[..., 1] - x[..., 0], y[..., 1] - y[..., 0], x[..., 2] - x[..., 0], y[..., 2] - y[..., 0])
    left, top = (values.amin(-1).ceil().clamp(0, size) for values in (x, y))
    right, bottom = (values.amax(-1).floor().clamp(-1, size - 1) for values in (x, y))
    seen = (right >= left) & (bottom >= top) & (area < 0 if cull else area != 0)  # rows go down: the front is negative
    if hidden is not None:
        seen &= ~hidden
    picture, face = seen.nonzero(as_tuple=True)
    # One line for every pixel of every bounding box.
    first, wide = left[picture, face], (right - left + 1)[picture, face]
    count = (wide * (bottom - top + 1)[picture, face]).long()
    line = torch.repeat_interleave(count)
    place = torch.arange(len(line), device=line.device) - (count.cumsum(0) - count)[line]
    row = top[picture, face][line] + place.div(wide[line], rounding_mode="floor")
    column = first[line] + place % wide[line]
    picture, face = picture[line], face[line]
    x, y, z = (values[picture, face] for values in (x, y, z))
    weights = _weights(x, y, column, row, area[picture, face])
    inside = (weights >= -_EDGE).all(-1)
    pixel = ((picture * size + row.long()) * size + column.long())[inside]
    return _Candidates(pixel, face[inside], (weights * z).sum(-1)[inside])


def _cross(ax: Tensor, ay: Tensor, bx: Tensor, by: Tensor) -> Tensor:
    return ax * by - ay * bx


def _weights(x: Tensor, y: Tensor, column: Tensor, row: Tensor, area: Tensor) -> Tensor:
    """Barycentric coordinates of points: twice the areas of three smaller triangles, over that of the whole."""
    dx, dy = x - column[..., None], y - row[..., None]
    first = _cross(dx[..., 1], dy[..., 1], dx[..., 2], dy[..., 2]) / area
    second = _cross(dx[..., 2], dy[..., 2], dx[..., 0], dy[..., 0]) / area
    return torch.stack([first, second, 1 - first - second], -1)


def _on_faces(positions: Tensor, faces: Tensor, face: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and depth at each pixel's centre on the triangle that was found there, differentiably."""
    size = face.shape[1]
    picture, row, column = (face >= 0).nonzero(as_tuple=True)
    corners = positions[picture[:, None], faces[face[picture, row, column]]].double()
    x, y = (corners[..., 0] + 1) * size / 2 - 0.5, (1 - corners[..., 1]) * size / 2 - 0.5
    area = _cross(x[..., 1] - x[..., 0], y[..., 1] - y[..., 0], x[..., 2] - x[..., 0], y[..., 2] - y[..., 0])
    found = _weights(x, y, column, row, area)
    weights = positions.new_zeros(*face.shape, 3)
    depth = positions.new_full(face.shape, -torch.inf)
    weights[picture, row, column] = found.to(positions.dtype)
    depth[picture, row, column] = (found * corners[..., 2]).sum(-1).to(positions.dtype)
    return weights, depth
