"""Textures of a mesh: to pictures, and back from them ("texture stealing", thesis § 5.3.4).

A texture is a picture (C, T, T) of the surface spread flat, in parts that do not touch: skin, eyes, mouth. Each of its
pixels, a texel, lies on one triangle; where the mesh stands in front of the camera that triangle is somewhere on the
screen, and what a photograph shows there is the texel's colour, provided that nothing nearer hides it.
"""

from dataclasses import dataclass

import numpy as np
import scipy
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, normalize

from teachlib.errors import TeachlibError
from teachlib.gif.mesh import face_normals
from teachlib.gif.rasterizer import Fragments, interpolate, rasterize

_SLOPE = 0.1  # of the normal along the line of sight; steeper surfaces are seen as few pixels
_DEPTH = 1e-3  # of the screen: what rounding may hide


@dataclass(frozen=True)
class Atlas:
    """Where on the mesh each texel lies; the same for all heads.

    Attributes:
        fragments: one picture of the texture, in which triangles do not hide each other.
        faces: corners of the triangles on the mesh, (F, 3).
        part: number of the part of the texture that each triangle lies in, (F,).
    """

    fragments: Fragments
    faces: Tensor
    part: Tensor

    @property
    def used(self) -> Tensor:
        """Which texels lie on the mesh, (T, T)."""
        return self.fragments.covered[0]

    def on_texels(self, values: Tensor) -> Tensor:
        """Values of the vertices, (N, V, C), at the texels, (N, C, T, T)."""
        one, n = self.fragments, len(values)
        many = Fragments(*(part.expand(n, *part.shape[1:]) for part in (one.face, one.weights, one.depth)))
        return interpolate(many, self.faces, values)


def atlas(uv: Tensor, uv_faces: Tensor, faces: Tensor, size: int) -> Atlas:
    """Find the texels of a mesh.

    Args:
        uv: coordinates in the texture from its upper left corner, in [0, 1], (T, 2).
        uv_faces: the triangles, as corners of the texture, (F, 3).
        faces: the same triangles, as corners of the mesh, (F, 3).
        size: of the texture, in texels.
    """
    if uv_faces.shape != faces.shape:
        raise TeachlibError(f"{len(uv_faces)} triangles in the texture and {len(faces)} on the mesh; expected as many")
    flat = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1], torch.zeros(len(uv), device=uv.device)], 1)
    return Atlas(rasterize(flat[None], uv_faces, size, cull=False), faces, _parts(uv_faces, len(uv)))


def _parts(uv_faces: Tensor, count: int) -> Tensor:
    edges = torch.cat([uv_faces[:, :2], uv_faces[:, 1:]]).cpu().numpy()
    graph = scipy.sparse.coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
    parts = torch.from_numpy(scipy.sparse.csgraph.connected_components(graph, directed=False)[1]).to(uv_faces)
    return parts[uv_faces[:, 0]]


def textured(fragments: Fragments, uv: Tensor, uv_faces: Tensor, texture: Tensor) -> Tensor:
    """Pictures of meshes with their textures.

    Args:
        fragments: what lies in front at each pixel of N pictures.
        uv: coordinates in the texture, (T, 2).
        uv_faces: the triangles, as corners of the texture, (F, 3).
        texture: (N, C, size, size).

    Returns:
        (N, C, H, W), bilinear between texels; zero where there is no mesh.
    """
    places = interpolate(fragments, uv_faces, uv).movedim(1, -1) * 2 - 1
    seen = grid_sample(texture, places, mode="bilinear", padding_mode="border", align_corners=False)
    return seen * fragments.covered[:, None]


def stolen(pictures: Tensor, screen: Tensor, where: Atlas, fragments: Fragments) -> tuple[Tensor, Tensor]:
    """The part of the texture that pictures show.

    A texel is visible where its triangle faces the camera and no other triangle is nearer at its pixel: the sign of the
    normal alone, which the released code of GIF goes by, would give it the colour of whatever hides it, a nose's on a
    cheek.

    Args:
        pictures: (N, C, H, H).
        screen: where the vertices are in them, as they were rasterized, (N, V, 3).
        where: the texels on the mesh.
        fragments: what lies in front at each pixel of the pictures.

    Returns:
        Textures (N, C, T, T), differentiable with respect to the pictures, and which of their texels are visible,
        (N, T, T). Invisible texels are zero.
    """
    places = where.on_texels(screen)
    grid = torch.stack([places[:, 0], -places[:, 1]], -1)
    found = grid_sample(pictures, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    visible = _in_front(places, grid, screen, where, fragments)
    return found * visible[:, None], visible


def _in_front(places: Tensor, grid: Tensor, screen: Tensor, where: Atlas, fragments: Fragments) -> Tensor:
    """Texels whose colour is mixed from four pixels that all show the surface around the texel."""
    size, face = fragments.face.shape[-1], where.fragments.face[0].clamp_min(0)
    facing = normalize(face_normals(screen, where.faces), dim=-1)[:, face, 2]
    # On a slope the surface itself has another depth at each of the four, by as much as it rises over their diagonal.
    rise = 2 * 2**0.5 / size * (1 - facing.square()).clamp_min(0).sqrt() / facing.clamp_min(_SLOPE)
    part = torch.where(fragments.covered, where.part[fragments.face.clamp_min(0)], -1).to(screen.dtype)
    shown = torch.stack([part, fragments.depth.clamp_min(-1e6)], 1)
    seen = where.used & (facing > _SLOPE) & (grid.abs() < 1 - 1 / size).all(-1)
    for dx, dy in ((-0.5, -0.5), (-0.5, 0.5), (0.5, -0.5), (0.5, 0.5)):
        there, depth = _at(shown, grid, dx, dy).unbind(1)
        seen = seen & (there == where.part[face]) & ((depth - places[:, 2]).abs() <= rise + _DEPTH)
    return seen


def _at(values: Tensor, grid: Tensor, dx: float, dy: float) -> Tensor:
    """Values at one of the four pixels that bilinear sampling mixes."""
    step = torch.tensor([dx, dy], device=grid.device) * 2 / values.shape[-1]
    return grid_sample(values, grid + step, mode="nearest", padding_mode="border", align_corners=False)
