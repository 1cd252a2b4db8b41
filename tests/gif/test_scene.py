"""Camera, light and normals, each beside its definition."""

import math

import numpy as np
import pytest
import torch
from scipy.special import sph_harm_y

from teachlib.errors import TeachlibError
from teachlib.gif import camera, light, mesh, rotations

GENERATOR = torch.Generator().manual_seed(0)


def _directions(count: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, 3, generator=GENERATOR, dtype=torch.double), dim=-1)


def _sphere() -> tuple[torch.Tensor, torch.Tensor]:
    """Directions and weights of a product rule on the sphere; exact for polynomials of high degree."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    angles = np.arange(120) * 2 * math.pi / 120
    z, turn = (torch.from_numpy(grid.ravel()) for grid in np.meshgrid(nodes, angles, indexing="ij"))
    flat = (1 - z.square()).sqrt()
    area = torch.from_numpy(np.repeat(weights, 120)) * 2 * math.pi / 120
    return torch.stack([flat * turn.cos(), flat * turn.sin(), z], 1), area


def test_the_inverse_camera() -> None:
    points = torch.randn(4, 7, 3, generator=GENERATOR, dtype=torch.double)
    cameras = torch.rand(4, 3, generator=GENERATOR, dtype=torch.double) + 0.1
    assert torch.allclose(camera.unproject(camera.project(points, cameras), cameras), points)
    by_hand = cameras[2, 0] * (points[2, 3, 1] + cameras[2, 2])
    assert camera.project(points, cameras)[2, 3, 1] == by_hand


def test_eyes_come_where_they_are_asked_and_profiles_are_zoomed_in() -> None:
    eyes = torch.tensor([[-0.2, 0.1, 0.5], [0.2, 0.1, 0.5]], dtype=torch.double)
    turns = torch.tensor([0.0, 30.0, 60.0, 80.0], dtype=torch.double).deg2rad()
    turned = torch.stack([eyes @ rotations.matrix(torch.stack([0 * turn, turn, 0 * turn])).mT for turn in turns])
    places = torch.tensor([[-0.24, 0.1], [0.24, 0.1]], dtype=torch.double)
    cameras = camera.centre_eyes(turned, places)
    assert torch.allclose(camera.project(turned, cameras)[..., :2], places.expand(4, 2, 2))
    assert torch.allclose(cameras[:, 0], cameras[0, 0] / turns.cos())
    with pytest.raises(TeachlibError, match="turned by less than 90"):
        camera.centre_eyes(turned.flip(1), places)


@pytest.mark.parametrize("wrong", [torch.ones(3, 3), torch.ones(2, 4), torch.tensor([[1.0, 0, 0], [-1, 0, 0]])])
def test_other_cameras_are_refused(wrong: torch.Tensor) -> None:
    with pytest.raises(TeachlibError, match="scale"):
        camera.project(torch.zeros(2, 5, 3), wrong)


def test_harmonics_are_orthonormal_and_scipys() -> None:
    directions, area = _sphere()
    found = light.harmonics(directions)
    assert torch.allclose(found.mT @ (area[:, None] * found), torch.eye(9, dtype=torch.double), atol=1e-10)
    polar, turn = directions[:, 2].clamp(-1, 1).acos(), torch.atan2(directions[:, 1], directions[:, 0])
    for index, (degree, order) in enumerate([(0, 0), *((1, m) for m in (-1, 0, 1)), *((2, m) for m in range(-2, 3))]):
        complex_ = sph_harm_y(degree, abs(order), polar.numpy(), turn.numpy())
        real = complex_.real if order == 0 else math.sqrt(2) * (-1) ** order * (complex_.real, complex_.imag)[order < 0]
        assert torch.allclose(found[:, index], torch.from_numpy(real), atol=1e-10)


def test_shading_is_what_is_gathered_over_the_half_sphere() -> None:
    directions, area = _sphere()
    coefficients = torch.randn(1, 9, 3, generator=GENERATOR, dtype=torch.double)
    coefficients[:, 0] = 12  # bright enough to stay positive
    radiance = light.harmonics(directions) @ coefficients[0]
    normals = _directions(6)
    gathered = ((normals @ directions.mT).clamp_min(0) * area) @ radiance / math.pi
    found = light.shading(normals.mT[None, :, None], coefficients)[0, :, 0].mT
    assert torch.allclose(found, gathered, rtol=1e-3)
    assert torch.allclose(
        light.shading(normals.mT[None, :, None], light.uniform(0.7).double()), torch.tensor(0.7).double()
    )


def test_a_lamp_is_brightest_where_it_faces() -> None:
    lamp, tint = _directions(1), torch.tensor([[1.0, 0.5, 0.25]], dtype=torch.double)
    normals = torch.cat([lamp, _directions(200)])
    found = light.shading(normals.mT[None, :, None], light.from_direction(lamp, tint))[0, :, 0]
    assert (found[0].argmax(), (found >= 0).all()) == (0, True)
    assert torch.allclose(found[1], found[0] / 2)
    # Degrees 0, 1 and 2 of max(0, cos θ) at θ = 0: 1/4 + 1/2 + 5/16.
    assert found[0, 0].item() == pytest.approx(17 / 16)


def test_other_light_is_refused() -> None:
    with pytest.raises(TeachlibError, match=r"expected \(2, 9, 3\)"):
        light.shading(torch.zeros(2, 3, 4, 4), torch.zeros(2, 27))


def _ball(rings: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    """An ellipsoid as a mesh, open at its poles."""
    u, v = torch.meshgrid(
        torch.linspace(0.3, math.pi - 0.3, rings, dtype=torch.double),
        torch.arange(2 * rings, dtype=torch.double) * math.pi / rings,
        indexing="ij",
    )
    vertices = torch.stack([u.sin() * v.cos(), 2 * u.sin() * v.sin(), 3 * u.cos()], -1).flatten(0, 1)
    index = torch.arange(2 * rings * rings).view(rings, 2 * rings)
    a, b, c, d = index[:-1], index[1:], index[:-1].roll(-1, 1), index[1:].roll(-1, 1)
    return vertices, torch.cat([torch.stack([a, b, c], -1), torch.stack([c, b, d], -1)]).flatten(0, 1)


def test_normals_of_an_ellipsoid_are_its_slopes() -> None:
    """The gradient of x² + y²/4 + z²/9, by differences of that function."""
    vertices, faces = _ball()
    found = mesh.vertex_normals(vertices[None], faces)[0]
    axes, step = torch.tensor([1.0, 0.25, 1 / 9], dtype=torch.double), 1e-4
    moves = step * torch.eye(3, dtype=torch.double)
    level = lambda points: (axes * points.square()).sum(-1)  # noqa: E731
    slopes = torch.stack([level(vertices + move) - level(vertices - move) for move in moves], -1)
    cosine = (found * torch.nn.functional.normalize(slopes, dim=-1)).sum(-1)
    inner = vertices[:, 2].abs() < 2.5
    assert cosine[inner].min() > 0.999
    areas = mesh.face_normals(vertices[None], faces)[0].norm(dim=-1) / 2
    a, b, c = vertices[faces].unbind(1)
    sides = torch.stack([(b - a).norm(dim=-1), (c - b).norm(dim=-1), (a - c).norm(dim=-1)])
    half = sides.sum(0) / 2
    assert torch.allclose(areas.square(), half * (half - sides).prod(0), atol=1e-9)  # Heron


def test_a_vertex_without_triangles_has_no_normal() -> None:
    assert (mesh.vertex_normals(torch.randn(1, 4, 3), torch.tensor([[0, 1, 2]]))[0, 3] == 0).all()
