"""What a head wears that no parameter of it knows: hair, glasses, teeth and clothes, as meshes around it."""

from dataclasses import dataclass, fields
from functools import cache

import torch
from torch import Tensor
from torch.nn.functional import normalize

from teachlib.gif.head import Head, head

_HAIR = ((0.02, 0.018, 0.016), (0.06, 0.035, 0.022), (0.14, 0.075, 0.04), (0.30, 0.19, 0.09), (0.52, 0.38, 0.2))
_GREY, _RED = (0.42, 0.41, 0.40), (0.26, 0.08, 0.03)
_SEGMENTS = 20  # of a rim of glasses


@dataclass(frozen=True)
class Style:
    """Chance for N pictures: the same numbers give the same hair, glasses, clothes and background.

    Attributes:
        hairline: height of the hair over the forehead, in metres, (N,).
        sides: height down to which hair grows at the sides and behind, (N,).
        volume: thickness of the hair, in metres, (N,).
        length: how far it hangs down, in metres, (N,).
        curls: waviness of the strands, (N,).
        bald: (N,).
        hair: its colour, (N, 3).
        glasses: whether, (N,).
        rim: radius, thickness and squareness of the glasses, (N, 3).
        frame: their colour, (N, 3).
        teeth: whether they show, (N,).
        clothes: two colours, (N, 2, 3), and the width of their stripes, (N,).
        background: three colours, (N, 3, 3), and where they are, (N, 3, 2).
        noise: deviation of the sensor's noise, (N,).
        seed: of strands and noise, (N,).
    """

    hairline: Tensor
    sides: Tensor
    volume: Tensor
    length: Tensor
    curls: Tensor
    bald: Tensor
    hair: Tensor
    glasses: Tensor
    rim: Tensor
    frame: Tensor
    teeth: Tensor
    clothes: Tensor
    stripes: Tensor
    background: Tensor
    spots: Tensor
    noise: Tensor
    seed: Tensor

    def __getitem__(self, rows: slice | Tensor) -> "Style":
        return Style(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def randomly(count: int, generator: torch.Generator) -> Style:
    """Styles by chance."""

    def uniform(*size: int) -> Tensor:
        return torch.rand(count, *size, generator=generator)

    palette = torch.tensor([*_HAIR, *_HAIR, _GREY, _RED])
    hair = palette[(uniform() * len(palette)).long()] * (0.75 + 0.5 * uniform(1))
    long = uniform() < 0.45
    return Style(
        hairline=0.055 + 0.03 * uniform(),
        sides=torch.where(long, -0.06 - 0.04 * uniform(), 0.02 - 0.05 * uniform()),
        volume=0.005 + 0.022 * uniform() ** 1.5 + 0.006 * long,
        length=long * (0.03 + 0.12 * uniform()),
        curls=uniform() ** 2,
        bald=uniform() < 0.08,
        hair=hair.clamp(0.01, 0.9),
        glasses=uniform() < 0.22,
        rim=torch.stack([0.021 + 0.005 * uniform(), 0.0012 + 0.002 * uniform(), 2 + 3 * uniform()], 1),
        frame=0.25 * uniform(3) * (uniform(1) < 0.5) + 0.02,
        teeth=uniform() < 0.8,
        clothes=_muted(uniform(2, 3), 0.5) * (0.1 + 0.7 * uniform(2, 1)),
        stripes=(uniform() < 0.35) * (0.01 + 0.03 * uniform()),
        background=_muted(uniform(3, 3), 0.35) * (0.15 + 0.85 * uniform(1, 1)),
        spots=2.4 * uniform(3, 2) - 1.2,
        noise=0.004 + 0.014 * uniform(),
        seed=(uniform() * 2**31).long(),
    )


def _muted(colours: Tensor, share: float) -> Tensor:
    """Colours that keep a share of what tells them from grey."""
    grey = colours.mean(-1, keepdim=True)
    return grey + share * (colours - grey)


@dataclass(frozen=True)
class Piece:
    """A mesh of its own for each picture.

    Attributes:
        vertices: on the head at rest, (N, V, 3).
        faces: (F, 3).
        joint: what it follows: 0 the root, 1 the head, 2 the jaw.
    """

    vertices: Tensor
    faces: Tensor
    joint: int


def grid_faces(rows: int, columns: int, *, closed: bool = False) -> Tensor:
    """Triangles between rows of vertices, (F, 3); the last column joins the first where it is closed."""
    index = torch.arange(rows * columns).view(rows, columns)
    if closed:
        index = torch.cat([index, index[:, :1]], 1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[:-1, 1:], index[1:, 1:]
    return torch.cat([torch.stack([a, b, c], -1), torch.stack([c, b, d], -1)]).flatten(0, 1)


def scalp(style: Style, among: Head) -> Tensor:
    """How deep within the hair each vertex lies, in metres; negative where there is none, (N, V)."""
    x, y, z = among.template.unbind(1)
    front = y - style.hairline[:, None] - 4.0 * x.square()
    ears = 0.02 * torch.exp(-0.5 * (((z + 0.075) / 0.02).square() + ((y + 0.02) / 0.03).square()))
    sides = y - style.sides[:, None] - ears
    # From the temples backwards the sides decide: between them the two lines run into each other.
    behind = ((-0.03 - z) / 0.012).sigmoid()
    depth = front * (1 - behind) + torch.maximum(front, sides) * behind
    return torch.where(style.bald[:, None], -1.0, depth)


@cache
def skin_faces() -> Tensor:
    """The triangles of the head that ships on which hair can grow, (F, 3)."""
    mesh = head()
    middle = mesh.template[mesh.faces].mean(1)
    outside = (middle[:, 1] > -0.12) & ((middle[:, 1] > 0.02) | (middle[:, 2] < -0.03))
    return mesh.faces[outside]


def hair(style: Style, rest: Tensor, normals: Tensor, depth: Tensor, share: float) -> Tensor:
    """One of the shells that hair is made of, each farther out and hanging lower, (N, V, 3).

    Args:
        style: of each picture.
        rest: vertices of the heads at rest, (N, V, 3).
        normals: there, (N, V, 3).
        depth: within the hair, in metres, (N, V).
        share: of the way from the skin to the hair's outside, in [0, 1].
    """
    y = rest[..., 1]
    grown = (depth / 0.015).clamp(0, 1)
    top = 1 + 0.6 * ((y - 0.06) / 0.05).clamp(0, 1)
    out = 0.002 + share * style.volume[:, None] * grown * top
    waves = torch.sin(y * 160 + rest[..., 0] * 60) * style.curls[:, None] * 0.004 * grown * share
    hangs = style.length[:, None] * ((0.02 - y) / 0.09).clamp(0, 1) * grown
    moved = rest + normals * (out + waves)[..., None]
    side = normalize(rest * torch.tensor([1.0, 0.0, 0.6]), dim=-1) * (0.12 * hangs)[..., None]
    return moved + side - torch.tensor([0.0, 1.0, 0.0]) * hangs[..., None]


def glasses(style: Style, eyes: Tensor, nose: Tensor) -> Piece:
    """Two rims, a bridge and two temples, as ribbons.

    Args:
        style: of each picture.
        eyes: joints of the right and of the left eye at rest, (N, 2, 3).
        nose: how far the rims stand before the eyes, (N,).
    """
    angle = torch.arange(_SEGMENTS) * 2 * torch.pi / _SEGMENTS
    power = 2 / style.rim[:, 2:, None]
    round_ = torch.stack([angle.cos(), 0.85 * angle.sin()])
    outline = round_.sign() * round_.abs() ** power
    radius, width = style.rim[:, 0, None, None], style.rim[:, 1, None, None]
    parts, faces, first = [], [], 0
    for eye in eyes.unbind(1):
        for r in (radius, radius + width):
            flat = eye[:, :2, None] + outline * r
            depth = (eye[:, 2] + nose)[:, None].expand(len(eye), _SEGMENTS)
            parts.append(torch.cat([flat, depth[:, None]], 1).mT)
        faces.append(first + grid_faces(2, _SEGMENTS, closed=True))
        first += 2 * _SEGMENTS
    for start, end in _bars(eyes, nose, style.rim[:, 0]):
        up = torch.zeros_like(start) + torch.tensor([0.0, 1.0, 0.0]) * style.rim[:, 1, None]
        parts.append(torch.stack([start + up, end + up, start - up, end - up], 1))
        faces.append(first + grid_faces(2, 2))
        first += 4
    return Piece(torch.cat(parts, 1), torch.cat(faces), joint=1)


def _bars(eyes: Tensor, nose: Tensor, radius: Tensor) -> list[tuple[Tensor, Tensor]]:
    right, left = eyes.unbind(1)
    right, left = (eye + torch.stack([0 * nose, 0 * nose + 0.003, nose], 1) for eye in (right, left))
    aside = torch.stack([radius, 0 * radius, 0 * radius], 1)
    back = torch.tensor([0.035, 0.0, -0.11])
    return [
        (right + aside, left - aside),
        (left + aside, left + aside + back),
        (right - aside, right - aside + back * torch.tensor([-1.0, 1.0, 1.0])),
    ]


def teeth(count: int) -> list[Piece]:
    """An upper and a lower row, bent like the jaws."""
    across = torch.linspace(-0.02, 0.02, 12)
    bent = 0.026 - 22 * across.square()
    rows = []
    for joint, high, low in ((1, -0.066, -0.0735), (2, -0.0745, -0.081)):
        row = torch.stack([torch.stack([across, torch.full_like(across, y), bent], 1) for y in (high, low)])
        rows.append(Piece(row.flatten(0, 1).expand(count, -1, -1), grid_faces(2, 12), joint))
    return rows


def clothes(count: int) -> Piece:
    """Shoulders under a neck, closed at the collar."""
    around = torch.arange(32) * 2 * torch.pi / 32
    heights = torch.tensor([-0.115, -0.125, -0.14, -0.165, -0.2, -0.25, -0.4])
    wide = torch.tensor([0.062, 0.074, 0.105, 0.155, 0.19, 0.205, 0.21])
    deep = torch.tensor([0.062, 0.070, 0.085, 0.10, 0.11, 0.12, 0.12])
    rings = [
        torch.stack([w * around.sin(), torch.full_like(around, y), d * around.cos() - 0.085], 1)
        for y, w, d in zip(heights, wide, deep, strict=True)
    ]
    return Piece(torch.cat(rings).expand(count, -1, -1), grid_faces(len(heights), 32, closed=True), joint=0)
