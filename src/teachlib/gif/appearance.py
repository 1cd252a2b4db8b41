"""The colours of the head that ships: a linear model of its texture, as the thesis has one of real skins (§ 5.3.3).

The thesis takes 50 principal components of scanned faces, which are not free. Here ten components are drawn by hand in
the mesh's own coordinates, in metres; each has a meaning, and α ~ N(0, I) gives people of all complexions. What falls
outside [0, 1] is cut off, so that far from zero the model is no longer linear.
"""

from functools import cache

import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif.head import head
from teachlib.gif.textures import Atlas, atlas

# What a unit of each number adds, in this order.
COMPONENTS = (
    "lightness of the skin",
    "yellow against pink",
    "red of cheeks and nose",
    "red of the lips",
    "light of the brows",
    "height of the brows",
    "shadow of a beard",
    "light and blue of the iris",
    "freckles",
    "dark rings under the eyes",
)
_SKIN, _LIPS, _BROWS = (0.57, 0.38, 0.29), (0.46, 0.20, 0.17), (0.09, 0.06, 0.04)
_SCLERA, _IRIS, _PUPIL, _MOUTH = (0.82, 0.80, 0.78), (0.26, 0.20, 0.15), (0.02, 0.02, 0.02), (0.30, 0.08, 0.08)
_MOUTH_AT, _EYE_AT = -0.072, 0.031  # height of the mouth, and of an eye from the middle, in metres
_IRIS_RADIUS, _PUPIL_RADIUS = 0.0062, 0.0026


def albedo(appearance: Tensor, size: int = 128) -> Tensor:
    """Textures for the head that ships: the share of light that the surface throws back, in each colour.

    Args:
        appearance: (N, at most 10), in the order of :data:`COMPONENTS`.
        size: of the texture, in texels.

    Returns:
        (N, 3, size, size), in [0.01, 1].
    """
    mean, components = linear_model(size)
    if appearance.ndim != 2 or appearance.shape[1] > len(components):
        raise TeachlibError(
            f"appearance of shape {tuple(appearance.shape)}; expected (N, at most {len(components)}): "
            f"{', '.join(COMPONENTS)}"
        )
    mean, components = mean.to(appearance), components[: appearance.shape[1]].to(appearance)
    return (mean + torch.einsum("nk,kchw->nchw", appearance, components)).clamp(0.01, 1.0)


@cache
def head_atlas(size: int) -> Atlas:
    """Where the texels of the head that ships lie."""
    mesh = head()
    return atlas(mesh.uv, mesh.uv_faces, mesh.faces, size)


@cache
def linear_model(size: int) -> tuple[Tensor, Tensor]:
    """Mean (3, size, size) and components (10, 3, size, size) of the texture."""
    places, part = _places(size)
    mean, moved = _skin(places)
    for mask, colour, own in (_lips(places), _brows(places)):
        mean, moved = _painted(mask, mean, colour), moved * (1 - mask) + mask * own
    for inside, colour, own in (_eyes(places, part), _mouth(part)):
        mean, moved = torch.where(inside, colour, mean), torch.where(inside, own, moved)
    return mean, moved


def _places(size: int) -> tuple[Tensor, Tensor]:
    """Where each texel lies on the mean head, (3, size, size), and what it belongs to: 0 skin, 1 eye, 2 mouth."""
    mesh, where = head(), head_atlas(size)
    places = where.on_texels(mesh.template[None])[0]
    # Beyond the edges of the parts there is no place; the skin's colour bleeds in from the nearest texel there is.
    of_face = where.part[where.fragments.face[0].clamp_min(0)]
    corner = torch.stack([mesh.template[mesh.faces[where.part == number]].flatten(0, 1).mean(0) for number in range(9)])
    spread = torch.stack([mesh.template[mesh.faces[where.part == number]].flatten(0, 1).std(0) for number in range(9)])
    eye = (corner[:, 0].abs() > 0.02) & (spread.norm(dim=1) < 0.02) & (corner[:, 2] > 0.005)
    mouth = (corner[:, 0].abs() < 0.01) & (corner[:, 1] < -0.05) & (corner[:, 1] > -0.09)
    kinds = eye.long() + 2 * mouth.long()
    return places, torch.where(where.used, kinds[of_face], 0)


def _bump(distance: Tensor, width: float) -> Tensor:
    return (-0.5 * (distance / width).square()).exp()


def _edge(inside: Tensor, width: float) -> Tensor:
    """From 0 to 1 as a signed distance, in metres, grows through zero."""
    return (inside / width).sigmoid()


def _colour(red: float, green: float, blue: float) -> Tensor:
    return torch.tensor([red, green, blue])[:, None, None]


def _painted(mask: Tensor, below: Tensor, colour: Tensor) -> Tensor:
    return below * (1 - mask) + mask * colour


def _none() -> list[Tensor]:
    return [torch.zeros(3, 1, 1) for _ in COMPONENTS]


def _skin(places: Tensor) -> tuple[Tensor, Tensor]:
    x, y, z = places
    side, front = x.abs(), _edge(z + 0.01, 0.006)
    generator = torch.Generator().manual_seed(5)
    pores = torch.randn(x.shape, generator=generator)
    mean = _colour(*_SKIN) * (1 + 0.015 * pores)
    mean = mean * (1 - 0.25 * front * (_bump(side - 0.011, 0.0035) * _bump(y + 0.047, 0.003)))  # nostrils
    own = [term.expand(3, *x.shape).clone() for term in _none()]
    own[0] = _colour(0.11, 0.09, 0.075).expand_as(mean)
    own[1] = _colour(0.006, 0.004, -0.022).expand_as(mean)
    cheeks = front * (
        _bump(side - 0.042, 0.014) * _bump(y + 0.04, 0.013) + 0.8 * _bump(side, 0.01) * _bump(y + 0.04, 0.009)
    )
    mean = mean + cheeks * _colour(0.03, -0.03, -0.025)
    own[2] = cheeks * _colour(0.018, -0.02, -0.016)
    mouth = _bump(side, 0.02) * _bump(y - _MOUTH_AT, 0.006)
    beard = front * _edge(-0.052 - y, 0.006) * _edge(y + 0.125, 0.01) * (1 - mouth) * (0.75 + 0.25 * pores.clamp(-1, 1))
    own[6] = -beard * _colour(0.055, 0.05, 0.045)
    mean = mean - 0.5 * beard * _colour(0.03, 0.025, 0.02)
    spots = (torch.rand(x.shape, generator=generator) > 0.93) * front * _bump(y + 0.03, 0.02) * _bump(side, 0.04)
    own[8] = -spots * _colour(0.04, 0.06, 0.06)
    rings = front * _bump(side - _EYE_AT, 0.012) * _bump(y + 0.016, 0.005)
    own[9] = -rings * _colour(0.035, 0.04, 0.03)
    return mean, torch.stack(own)


def _lips(places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, y, z = places
    side, above = x.abs(), y - _MOUTH_AT
    curve = (1 - (side / 0.025).square()).clamp_min(0)
    bow = 0.0085 * curve * (1 - 0.25 * _bump(side, 0.003)) - above  # within the upper lip
    mask = _edge(torch.minimum(bow, 0.012 * curve + above), 0.0012) * (z > 0.005) * (side < 0.026)
    own = _none()
    own[0], own[3] = _colour(0.08, 0.05, 0.045), _colour(0.04, -0.02, -0.015)
    return 0.8 * mask, _colour(*_LIPS), torch.stack(own)


def _brows(places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Painted over the skin, and so darker the lighter the skin is."""
    x, y, z = places
    side = x.abs()
    arch = 0.021 - 9.0 * (side - 0.032).square() + 0.06 * (side - 0.032)
    ends = _edge(side - 0.011, 0.0015) * _edge(0.052 - side, 0.003) * (z > -0.005)
    mask = 0.85 * ends * _edge(0.0042 - (y - arch).abs(), 0.001)
    own = [term.expand(3, *x.shape) for term in _none()]
    own[4] = _colour(0.05, 0.035, 0.025).expand(3, *x.shape)
    # Higher brows cover skin above them and bare it below: the slope of the mask, in the difference of the colours.
    slope = (_edge(0.0042 - (y - arch - 0.001).abs(), 0.001) - _edge(0.0042 - (y - arch + 0.001).abs(), 0.001)) / 2
    own[5] = slope * ends * (_colour(*_BROWS) - _colour(*_SKIN))
    return mask, _colour(*_BROWS), torch.stack(own)


def _eyes(places: Tensor, part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    x, y, z = places
    from_axis = ((x.abs() - _EYE_AT).square() + y.square()).sqrt() + (z < 0) * 1.0
    iris, pupil = _edge(_IRIS_RADIUS - from_axis, 4e-4), _edge(_PUPIL_RADIUS - from_axis, 3e-4)
    rim = _bump(from_axis - _IRIS_RADIUS, 8e-4)
    mean = _painted(iris, _colour(*_SCLERA), _colour(*_IRIS) * (1 - 0.5 * rim))
    own = [term.expand(3, *x.shape) for term in _none()]
    own[7] = iris * (1 - pupil) * _colour(0.02, 0.06, 0.11)
    return part == 1, _painted(pupil, mean, _colour(*_PUPIL)), torch.stack(own)


def _mouth(part: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return part == 2, _colour(*_MOUTH).expand(3, *part.shape), torch.stack(_none())
