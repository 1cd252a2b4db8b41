"""Meshes in Wavefront's OBJ format: vertices, triangles and coordinates in a texture."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from teachlib.errors import TeachlibError


@dataclass(frozen=True)
class Mesh:
    """A mesh that can carry a texture.

    Attributes:
        vertices: (V, 3).
        faces: corners of the triangles, (F, 3).
        uv: coordinates in the texture, from its upper left corner, in [0, 1], (T, 2).
        uv_faces: the same triangles, as corners of the texture, (F, 3).
    """

    vertices: Tensor
    faces: Tensor
    uv: Tensor
    uv_faces: Tensor


def read(file: str | Path) -> Mesh:
    """A mesh of triangles and quadrilaterals; the latter are cut in two.

    Args:
        file: lines ``v x y z``, ``vt u v`` (from the lower left corner) and ``f v/vt …``; all others are passed over.

    Raises:
        TeachlibError: no such file, lines that are not so, or no coordinates in a texture.
    """
    numbers: dict[str, list[list[float]]] = {"v": [], "vt": []}
    corners: list[list[list[int]]] = []
    for number, line in enumerate(_lines(file), 1):
        kind, *words = line.split() or [""]
        try:
            if kind in numbers:
                numbers[kind].append([float(word) for word in words[: {"v": 3, "vt": 2}[kind]]])
            elif kind == "f":
                polygon = [[int(part) for part in word.split("/")[:2]] for word in words]
                corners += [[polygon[0], polygon[i], polygon[i + 1]] for i in range(1, len(polygon) - 1)]
        except ValueError:
            raise TeachlibError(
                f"{file}, line {number}: {line.strip()[:60]!r}; expected numbers after {kind!r}"
            ) from None
    if not corners or any(len(corner) < 2 for triangle in corners for corner in triangle) or not numbers["vt"]:
        raise TeachlibError(
            f"{file}: no coordinates in a texture; expected lines 'vt u v' and faces 'f v/vt v/vt v/vt'"
        )
    return _checked(file, numbers["v"], numbers["vt"], torch.tensor(corners))


def _lines(file: str | Path) -> list[str]:
    try:
        return Path(file).expanduser().read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise TeachlibError(f"{file}: cannot be read ({reason}); expected a mesh in OBJ format") from None


def _checked(file: str | Path, vertices: list[list[float]], uv: list[list[float]], corners: Tensor) -> Mesh:
    if any(len(row) != 3 for row in vertices) or any(len(row) != 2 for row in uv):
        raise TeachlibError(f"{file}: a vertex of fewer than three numbers, or a texture coordinate of fewer than two")
    counts = torch.tensor([len(vertices), len(uv)])
    corners = torch.where(corners < 0, corners + counts, corners - 1)  # counted from 1, or back from the last
    if (corners < 0).any() or (corners >= counts).any():
        raise TeachlibError(f"{file}: a face names a corner that is not there, of {len(vertices)} and {len(uv)}")
    places = torch.tensor(uv)
    places[:, 1] = 1 - places[:, 1]
    return Mesh(torch.tensor(vertices), corners[..., 0].contiguous(), places, corners[..., 1].contiguous())
