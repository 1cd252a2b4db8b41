"""Renderings of heads, as the thesis conditions its model on them (§ 5.3.4): coloured and lit, and their normals."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from teachlib.gif import camera, light, mesh
from teachlib.gif.appearance import albedo
from teachlib.gif.head import head
from teachlib.gif.parameters import Parameters
from teachlib.gif.rasterizer import Fragments, interpolate, rasterize
from teachlib.gif.textures import textured


@dataclass(frozen=True)
class Render:
    """N rendered heads.

    Attributes:
        colours: as a screen shows them, in [0, 1], black where there is no head, (N, 3, size, size).
        normals: of length one, zero where there is no head, (N, 3, size, size).
        screen: where the vertices are, (N, V, 3).
        fragments: which triangle each pixel shows.
    """

    colours: Tensor
    normals: Tensor
    screen: Tensor
    fragments: Fragments


def render(parameters: Parameters, size: int) -> Render:
    """Heads without hair, clothes or background; all that parameters know, and nothing else.

    Args:
        parameters: of N heads.
        size: height and width, in pixels.
    """
    among = head()
    posed = among.vertices(parameters.shape, parameters.expression, parameters.pose)
    screen = camera.project(posed, parameters.camera)
    found = rasterize(screen, among.faces, size)
    normals = normalize(interpolate(found, among.faces, mesh.vertex_normals(posed, among.faces)), dim=1)
    colours = textured(found, among.uv, among.uv_faces, albedo(parameters.appearance))
    lit = (colours * light.shading(normals, parameters.light)).clamp(0, 1) ** (1 / 2.2)
    return Render(lit, normals, screen, found)


def condition(parameters: Parameters, size: int, *, finer: int = 2) -> Tensor:
    """What a generator is shown: colours and normals, in [-1, 1], (N, 6, size, size).

    Args:
        parameters: of N heads.
        size: height and width, in pixels.
        finer: pixels a side that each of these is averaged from.
    """
    found = render(parameters, size * finer)
    return avg_pool2d(torch.cat([2 * found.colours - 1, found.normals], 1), finer)
