"""Turntable: twenty toys of simple solids, each from 72 sides, a stand-in for COIL that ships with the package.

A toy is a handful of ellipsoids, boxes and cylinders. Where a ray meets one of them is the root of a quadratic, or of
three slabs, so all pixels of a picture are found at once, without marching.
"""

import math
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.data.coil import POSES

OBJECTS, SIZE = 20, 32
_SUPERSAMPLE = 2
_TILT = math.radians(25)  # the camera looks down on the table
_EXTENT = 1.05  # half the side of the picture, in the toys' units
_AMBIENT = 0.45
_FAR = 1e9
_SHAPES = {
    "ellipsoid": (3, ()),
    "cylinder": (2, (2,)),
    "box": (0, (0, 1, 2)),
}  # round in the first axes, flat in others


@dataclass(frozen=True)
class Solid:
    """One part of a toy.

    Attributes:
        kind: ``ellipsoid``, ``box`` or ``cylinder`` (upright).
        centre: (x, y, z), z upwards.
        radii: half its extent along each axis.
        colour: red, green, blue in [0, 1].
    """

    kind: str
    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    colour: tuple[float, float, float]


def toy(number: int) -> list[Solid]:
    """The parts of toy ``number``: a body, something on top, something in front, something at one side.

    Drawn from a seed of its own, with proportions and colours far enough apart to tell twenty from each other.
    """
    generator = torch.Generator().manual_seed(7_000 + number)

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    def kind() -> str:
        return ("ellipsoid", "box", "cylinder")[int(torch.randint(3, (), generator=generator))]

    def colour(hue: float) -> tuple[float, float, float]:
        return hsv_to_rgb(hue % 1, uniform(0.3, 0.8), uniform(0.75, 1.0))

    hue = number / OBJECTS
    width, depth, height = uniform(0.35, 0.7), uniform(0.35, 0.7), uniform(0.25, 0.55)
    floor = -0.8
    body = Solid(kind(), (0, 0, floor + height), (width, depth, height), colour(hue))
    top = uniform(0.15, 0.4)
    hat = Solid(
        kind(), (uniform(-0.2, 0.2), 0, floor + 2 * height + top), (uniform(0.15, 0.5), top, top), colour(hue + 0.33)
    )
    nose = Solid(
        kind(),
        (width, 0, floor + height),
        (uniform(0.1, 0.3), uniform(0.1, 0.3), uniform(0.1, 0.25)),
        colour(hue + 0.6),
    )
    ear = Solid(
        kind(),
        (0, depth, floor + uniform(0.5, 1.8) * height),
        (uniform(0.1, 0.25), uniform(0.1, 0.3), uniform(0.1, 0.25)),
        colour(hue + 0.8),
    )
    return [body, hat, nose, ear]


def render(solids: list[Solid], angles: Tensor) -> Tensor:
    """Pictures of a toy turned by each angle.

    Args:
        solids: its parts.
        angles: in radians, (P,).

    Returns:
        (P, 3, 32, 32) in [0, 1], on black.
    """
    origin, direction = _rays(angles)
    depth = torch.full(origin.shape[:-1], _FAR)
    colour, normal = torch.zeros_like(origin), torch.zeros_like(origin)
    for solid in solids:
        distance, outward = _meet(solid, origin, direction)
        nearer = distance < depth
        depth = torch.where(nearer, distance, depth)
        colour = torch.where(nearer[..., None], torch.tensor(solid.colour), colour)
        normal = torch.where(nearer[..., None], outward, normal)
    light = F.normalize(torch.tensor([0.3, -0.5, 1.0]), dim=0)  # stays with the camera, as COIL's lamps did
    right, back, up = _axes(angles)
    lamp = light[0] * right + light[1] * -back + light[2] * up
    shade = _AMBIENT + (1 - _AMBIENT) * (normal * lamp[:, None]).sum(-1).clamp_min(0)
    side = SIZE * _SUPERSAMPLE
    pixels = (colour * shade[..., None]).view(len(angles), side, side, 3).permute(0, 3, 1, 2)
    return F.avg_pool2d(pixels, _SUPERSAMPLE)


def _axes(angles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Right, towards the scene, and up, of a camera that goes around the toy: (P, 3) each."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    right = torch.stack([-sin, cos, zero], 1)
    into = torch.stack([-cos * math.cos(_TILT), -sin * math.cos(_TILT), zero - math.sin(_TILT)], 1)
    return right, into, torch.linalg.cross(right, into)


def _rays(angles: Tensor) -> tuple[Tensor, Tensor]:
    """Parallel rays through every subpixel, far from the toy: origin and direction, (P, rays, 3)."""
    side = SIZE * _SUPERSAMPLE
    axis = ((torch.arange(side) + 0.5) / side * 2 - 1) * _EXTENT
    v, u = torch.meshgrid(-axis, axis, indexing="ij")
    right, into, up = (vector[:, None] for vector in _axes(angles))
    origin = u.reshape(-1, 1) * right + v.reshape(-1, 1) * up - 5 * into
    return origin, into.expand_as(origin)


def _meet(solid: Solid, origin: Tensor, direction: Tensor) -> tuple[Tensor, Tensor]:
    """Distance along each ray to the solid's surface, ``_FAR`` where it misses, and the outward normal there.

    Every solid is where one round body and some slabs overlap: a ray is inside all of them from the last entry to the
    first exit.
    """
    radii = torch.tensor(solid.radii)
    start, heading = (origin - torch.tensor(solid.centre)) / radii, direction / radii  # now a solid of radius one
    round_axes, flat_axes = _SHAPES[solid.kind]
    entry = torch.full(start.shape[:-1], -_FAR)
    leaving, normal = -entry, torch.zeros_like(start)
    if round_axes:
        entry, leaving = _through_ball(start[..., :round_axes], heading[..., :round_axes])
        place = start + entry[..., None].clamp(-100, 100) * heading
        normal[..., :round_axes] = (place / radii)[..., :round_axes]
    for axis in flat_axes:
        near, far = _through_slab(start[..., axis], heading[..., axis])
        face = torch.zeros_like(start)
        face[..., axis] = -heading[..., axis].sign()
        normal = torch.where((near > entry)[..., None], face, normal)
        entry, leaving = torch.maximum(entry, near), torch.minimum(leaving, far)
    return torch.where(entry < leaving, entry, _FAR), F.normalize(normal, dim=-1)


def _through_ball(start: Tensor, heading: Tensor) -> tuple[Tensor, Tensor]:
    """Where a ray enters and leaves the unit ball, or circle: the roots of ‖s + t·h‖² = 1."""
    a, b, c = heading.square().sum(-1), (start * heading).sum(-1), start.square().sum(-1) - 1
    root = b.square() - a * c
    half = root.clamp_min(0).sqrt()
    return torch.where(root > 0, (-b - half) / a, _FAR), torch.where(root > 0, (-b + half) / a, -_FAR)


def _through_slab(start: Tensor, heading: Tensor) -> tuple[Tensor, Tensor]:
    """Where a ray enters and leaves −1 ≤ s + t·h ≤ 1."""
    safe = torch.where(heading.abs() < 1e-9, 1e-9, heading)
    ends = torch.stack([(-1 - start) / safe, (1 - start) / safe])
    return ends.amin(0), ends.amax(0)


@lru_cache(maxsize=1)
def turntable() -> Tensor:
    """All pictures, (20, 72, 3, 32, 32) uint8, by toy and pose; poses are five degrees apart, as COIL's."""
    angles = torch.arange(POSES) * (2 * math.pi / POSES)
    pictures = torch.stack([render(toy(number), angles) for number in range(OBJECTS)])
    return (pictures * 255).round().to(torch.uint8)
