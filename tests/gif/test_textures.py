"""Textures onto heads and back; what is hidden is not stolen."""

import pytest
import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif import camera, textures
from teachlib.gif.head import head
from teachlib.gif.rasterizer import Fragments, rasterize

SIZE = 64


def _seen(turns: list[float]) -> tuple[Tensor, Fragments]:
    """Heads turned about y, on the screen and rasterized."""
    among, pose = head(), torch.zeros(len(turns), 5, 3)
    pose[:, 0, 1] = torch.tensor(turns)
    shape = torch.randn(len(turns), 50, generator=torch.Generator().manual_seed(0))
    vertices = among.vertices(shape, torch.zeros(len(turns), 0), pose)
    screen = camera.project(vertices, torch.tensor([[7.0, 0.0, 0.015]]).expand(len(turns), 3))
    return screen, rasterize(screen, among.faces, SIZE)


def _waves(size: int) -> Tensor:
    steps = torch.linspace(0, 1, size)
    y, x = torch.meshgrid(steps, steps, indexing="ij")
    return 0.5 + 0.5 * torch.stack([(9 * x).sin(), (11 * y).sin(), (7 * (x + y)).sin()])


def test_what_is_stolen_gives_back_the_picture_where_it_was_visible() -> None:
    among = head()
    where = textures.atlas(among.uv, among.uv_faces, among.faces, 128)
    screen, fragments = _seen([0.0, 0.6, -0.9])
    texture = _waves(128).expand(3, 3, 128, 128)
    picture = textures.textured(fragments, among.uv, among.uv_faces, texture)
    found, visible = textures.stolen(picture, screen, where, fragments)
    again = textures.textured(fragments, among.uv, among.uv_faces, found)
    whole = textures.textured(fragments, among.uv, among.uv_faces, visible[:, None].float())[:, 0] > 0.999
    assert whole.sum() > 0.6 * fragments.covered.sum()
    assert (again - picture).abs().mean(1)[whole].mean() < 0.005
    assert (found - texture).abs().mean(1)[visible].mean() < 0.02
    assert (found[~visible[:, None].expand_as(found)] == 0).all()
    mirrored = visible[1].float().mean() / visible[0].float().mean()
    assert 0.5 < mirrored < 1.1


def _sheets() -> tuple[Tensor, Tensor, Tensor]:
    """Two squares that face the viewer, one before the other and a little aside; each half of the texture."""
    square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    behind = torch.cat([0.8 * square, torch.zeros(4, 1)], 1)
    before = torch.cat([0.4 * square + torch.tensor([0.3, 0.0]), torch.full((4, 1), 0.5)], 1)
    halves = [square * torch.tensor([0.2, -0.4]) + torch.tensor([middle, 0.5]) for middle in (0.25, 0.75)]
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    return torch.cat([behind, before])[None], torch.cat(halves), faces


@pytest.mark.parametrize("joined", [False, True])
def test_a_texel_behind_another_surface_is_not_visible(joined: bool) -> None:
    """Both face the viewer: the sign of the normal alone would take the near square's colour for the far one."""
    screen, uv, faces = _sheets()
    uv_faces = faces
    if joined:  # by a sliver from one to the other, so that depth must decide, not the part of the texture
        uv_faces = torch.cat([faces, torch.tensor([[1, 4, 1]])])
        faces = torch.cat([faces, torch.tensor([[1, 4, 1]])])
    where = textures.atlas(uv, uv_faces, faces, 64)
    assert len(where.part.unique()) == (1 if joined else 2)
    fragments = rasterize(screen, faces, SIZE)
    colours = torch.where(fragments.face < 2, 0.25, 0.75)[:, None] * fragments.covered[:, None]
    found, visible = textures.stolen(colours, screen, where, fragments)
    far, near = where.fragments.face[0] < 2, where.fragments.face[0] >= 2
    assert (found[0, 0][visible[0] & far & where.used] == 0.25).all()
    assert (found[0, 0][visible[0] & near] == 0.75).all()
    hidden = 0.4**2 / 0.8**2
    share = (visible[0] & far & where.used).sum() / (far & where.used).sum()
    assert share == pytest.approx(1 - hidden, abs=0.12)
    assert (visible[0] & near).sum() > 0.8 * near.sum()
    turned_away = screen * torch.tensor([-1.0, 1.0, 1.0])
    assert not textures.stolen(colours, turned_away, where, rasterize(turned_away, faces, SIZE))[1].any()


def test_texels_know_their_places_on_the_mesh() -> None:
    """Carried back through the texture coordinates, every used texel finds itself."""
    among = head()
    where = textures.atlas(among.uv, among.uv_faces, among.faces, 96)
    assert 0.5 < where.used.float().mean() < 0.6
    assert len(where.part.unique()) == 9
    at_corners = among.uv[among.uv_faces[where.fragments.face[0].clamp_min(0)]]
    places = (at_corners * where.fragments.weights[0][..., None]).sum(2)[where.used]
    rows, columns = where.used.nonzero(as_tuple=True)
    assert torch.allclose(places, torch.stack([columns + 0.5, rows + 0.5], 1) / 96, atol=1e-4)


def test_gradients_reach_the_picture_from_the_texture() -> None:
    among = head()
    where = textures.atlas(among.uv, among.uv_faces, among.faces, 48)
    screen, fragments = _seen([0.2])
    picture = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found, visible = textures.stolen(picture, screen, where, fragments)
    found.sum().backward()
    assert picture.grad is not None
    # Each visible texel hands a weight of one to its four pixels, in each colour.
    assert picture.grad.sum().item() == pytest.approx(3 * visible.sum().item(), rel=1e-4)
    assert (picture.grad[:, :, ~fragments.covered[0]] == 0).all()


def test_other_triangles_are_refused() -> None:
    among = head()
    with pytest.raises(TeachlibError, match="9013 triangles in the texture and 9014 on the mesh"):
        textures.atlas(among.uv, among.uv_faces[1:], among.faces, 8)


def test_a_texture_on_a_screen_of_its_size_is_itself() -> None:
    screen = torch.tensor([[[-1.0, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]])
    uv = torch.tensor([[0.0, 1], [1, 1], [1, 0], [0, 0]])
    faces = torch.tensor([[0, 1, 2], [0, 2, 3]])
    texture = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    seen = textures.textured(rasterize(screen, faces, 8), uv, faces, texture)
    torch.testing.assert_close(seen, texture, atol=1e-5, rtol=0)
