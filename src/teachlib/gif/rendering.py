"""Renderings of heads, as the thesis conditions its model on them (§ 5.3.4): coloured and lit, and their normals."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from teachlib.gif import camera, light, mesh
from teachlib.gif.appearance import albedo
from teachlib.gif.head import Head, head
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

    @property
    def channels(self) -> Tensor:
        """Colours and normals, in [-1, 1], (N, 6, size, size)."""
        return torch.cat([2 * self.colours - 1, self.normals], 1)


def render(parameters: Parameters, size: int) -> Render:
    """Heads without hair, clothes or background; all that parameters know, and nothing else.

    Args:
        parameters: of N heads.
        size: height and width, in pixels.
    """
    posed = head().vertices(parameters.shape, parameters.expression, parameters.pose)
    found = lit(head(), posed, parameters.camera, albedo(parameters.appearance), parameters.light, size)
    return replace(found, colours=found.colours ** (1 / 2.2))


def lit(among: Head, posed: Tensor, cameras: Tensor, textures: Tensor, lights: Tensor, size: int) -> Render:
    """Any heads, in linear colours: texture times light, cut off at one.

    Args:
        among: whose triangles and texture coordinates they have.
        posed: vertices, (N, V, 3).
        cameras: (N, 3).
        textures: (N, 3, T, T).
        lights: (N, 9, 3).
        size: height and width, in pixels.
    """
    screen = camera.project(posed, cameras)
    found = rasterize(screen, among.faces, size)
    normals = normalize(interpolate(found, among.faces, mesh.vertex_normals(posed, among.faces)), dim=1)
    colours = textured(found, among.uv, among.uv_faces, textures)
    return Render((colours * light.shading(normals, lights)).clamp(0, 1), normals, screen, found)


def condition(parameters: Parameters, size: int, *, finer: int = 2) -> Tensor:
    """What a generator is shown: colours and normals, in [-1, 1], (N, 6, size, size).

    Args:
        parameters: of N heads.
        size: height and width, in pixels.
        finer: pixels a side that each of these is averaged from.
    """
    return avg_pool2d(render(parameters, size * finer).channels, finer)
