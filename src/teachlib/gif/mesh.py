"""Meshes of triangles: their normals."""

import torch
from torch import Tensor


def face_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Normals of triangles, as long as twice their area, (N, F, 3); outwards where corners go counter-clockwise.

    Args:
        vertices: (N, V, 3).
        faces: (F, 3).
    """
    a, b, c = vertices[:, faces].unbind(2)
    return torch.linalg.cross(b - a, c - a)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Normals of length one at the vertices: the mean of the triangles around, weighted by area, (N, V, 3).

    Args:
        vertices: (N, V, 3).
        faces: (F, 3); a vertex without triangles has the normal zero.
    """
    each = face_normals(vertices, faces).repeat_interleave(3, dim=1)
    summed = torch.zeros_like(vertices).index_add_(1, faces.flatten(), each)
    return torch.nn.functional.normalize(summed, dim=-1)
