"""The rasterizer beside one that tests every triangle at every pixel, and its weights by their definition."""

import pytest
import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif.rasterizer import interpolate, rasterize


def _scene(seed: int, triangles: int = 60) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = 2.4 * torch.rand(2, triangles, 1, 3, generator=generator) - 1.2
    sizes = 0.02 + 0.8 * torch.rand(1, triangles, 1, 1, generator=generator) ** 2
    corners = centres + sizes * torch.randn(2, triangles, 3, 3, generator=generator)
    return corners.flatten(1, 2), torch.arange(3 * triangles).view(-1, 3)


def _everywhere(positions: Tensor, faces: Tensor, size: int, cull: bool) -> tuple[Tensor, Tensor]:
    """Depth of each triangle at each pixel, by solving for the weights; and which of them is in front."""
    steps = (2 * torch.arange(size, dtype=torch.double) + 1) / size - 1
    y, x = torch.meshgrid(-steps, steps, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)]).flatten(1)
    corners = positions[faces].double()
    systems = torch.stack([corners[..., 0], corners[..., 1], torch.ones_like(corners[..., 0])], 1)
    weights = torch.linalg.solve(systems, points.expand(len(faces), 3, -1))
    depth = (weights * corners[..., 2, None]).sum(1)
    hit = (weights >= 0).all(1) & ((torch.linalg.det(systems) > 0)[:, None] | torch.tensor(not cull))
    depth = torch.where(hit, depth, -torch.inf)
    front = torch.where(hit.any(0), depth.argmax(0), -1)
    return depth.view(-1, size, size), front.view(size, size)


@pytest.mark.parametrize("cull", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_triangle_is_the_one_that_a_search_through_all_finds(seed: int, cull: bool) -> None:
    positions, faces = _scene(seed)
    found = rasterize(positions, faces, 24, cull=cull)
    for picture in range(2):
        depth, front = _everywhere(positions[picture], faces, 24, cull)
        assert (found.face[picture] == front).all()
        assert found.covered[picture].float().mean() > 0.2
        expected = depth.amax(0)
        assert torch.allclose(found.depth[picture].double(), expected, atol=1e-4, rtol=1e-4)


def test_weights_give_back_the_pixels_centre_and_are_zero_where_nothing_is() -> None:
    positions, faces = _scene(7)
    found = rasterize(positions, faces, 32)
    seen = interpolate(found, faces, positions)
    steps = (2 * torch.arange(32) + 1) / 32 - 1
    y, x = torch.meshgrid(-steps, steps, indexing="ij")
    expected = torch.stack([x, y]) * found.covered[:, None]
    assert torch.allclose(seen[:, :2], expected, atol=1e-3)
    assert torch.allclose(seen[:, 2][found.covered], found.depth[found.covered], atol=1e-4)
    assert torch.allclose(found.weights.sum(-1), found.covered.float(), atol=1e-5)


def test_a_triangle_of_known_pixels() -> None:
    """Half of a square of four by four pixels, counter-clockwise; its long edge runs through pixels' centres."""
    corners = torch.tensor([[[-1.0, -1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, 1.0, 0.5]]])
    face = torch.tensor([[0, 1, 2]])
    assert rasterize(corners, face, 4).covered[0].long().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1] * 4]
    assert not rasterize(corners, face.flip(1), 4).covered.any()
    assert (rasterize(corners, face.flip(1), 4, cull=False).face[0] >= 0).sum() == 10


def test_pixels_on_a_shared_edge_belong_to_somebody() -> None:
    """A fan of triangles around the screen's centre: no holes, whatever the rounding."""
    angles = torch.arange(17) * 2 * torch.pi / 17
    rim = torch.stack([3 * angles.cos(), 3 * angles.sin(), 0.1 * angles], 1)
    positions = torch.cat([torch.zeros(1, 3), rim])[None]
    fan = torch.stack([torch.zeros(17), 1 + torch.arange(17), 1 + (torch.arange(17) + 1) % 17], 1).long()
    for size in (1, 2, 31, 64):
        assert rasterize(positions, fan, size).covered.all()


def test_of_two_equal_triangles_the_first_is_in_front_and_a_nearer_one_hides_both() -> None:
    corners = torch.tensor([[[-1.0, -1, 0], [1, -1, 0], [-1, 1, 0], [-1, -1, 0.1], [1, -1, 0.1], [-1, 1, 0.1]]])
    faces = torch.tensor([[0, 1, 2], [0, 1, 2], [3, 4, 5]])
    assert set(rasterize(corners, faces[:2], 8).face.unique().tolist()) == {-1, 0}
    assert set(rasterize(corners, faces, 8).face.unique().tolist()) == {-1, 2}
    hidden = torch.tensor([[False, False, True]])
    assert set(rasterize(corners, faces, 8, hidden=hidden).face.unique().tolist()) == {-1, 0}


def test_positions_get_the_gradients_that_differences_give() -> None:
    positions, faces = _scene(3, triangles=6)
    positions = positions[:1].double().requires_grad_()
    colours = torch.rand(18, 2, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    face = rasterize(positions, faces, 9).face

    def picture(moved: Tensor) -> Tensor:
        found = rasterize(moved, faces, 9)
        assert (found.face == face).all()
        return interpolate(found, faces, colours)

    assert torch.autograd.gradcheck(picture, positions, eps=1e-7, atol=1e-5)


def test_nothing_to_draw_is_an_empty_picture() -> None:
    found = rasterize(torch.zeros(2, 4, 3), torch.zeros(0, 3, dtype=torch.long), 5)
    assert not found.covered.any()
    assert (interpolate(found, torch.zeros(1, 3, dtype=torch.long), torch.ones(4, 2)) == 0).all()
    flat = rasterize(torch.zeros(1, 3, 3), torch.tensor([[0, 1, 2]]), 5, cull=False)
    assert not flat.covered.any()


@pytest.mark.parametrize(
    ("positions", "faces", "size", "said"),
    [
        (torch.zeros(1, 3, 2), torch.tensor([[0, 1, 2]]), 4, r"\(pictures, corners, 3\)"),
        (torch.zeros(1, 3, 3), torch.tensor([[0, 1, 3]]), 4, "corners up to 3; there are 3"),
        (torch.zeros(1, 3, 3), torch.tensor([[0.0, 1, 2]]), 4, "whole numbers"),
        (torch.zeros(1, 3, 3), torch.tensor([[0, 1, 2]]), 0, "size is 0"),
    ],
)
def test_other_shapes_are_refused(positions: Tensor, faces: Tensor, size: int, said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        rasterize(positions, faces, size)
