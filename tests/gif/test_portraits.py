"""Conditions from photographs: landmarks on the screen, stolen skins, and files that are none."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from teachlib.errors import TeachlibError
from teachlib.gif import portraits, rotations
from teachlib.gif.obj import Mesh

ROOT = Path(os.environ.get("TEACHLIB_DATA", "/nowhere"))
real = pytest.mark.skipif(
    not (ROOT / "faces" / "landmarks.npz").is_file(), reason="the portraits, faces/, are not below TEACHLIB_DATA"
)


def test_landmarks_go_where_the_picture_has_them() -> None:
    corner = torch.zeros(1, 478, 3)
    corner[0, :3] = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.1], [0.5, 0.25, -0.2]])
    screen = portraits.on_screen(corner)
    assert screen.shape == (1, 468, 3)
    torch.testing.assert_close(screen[0, :3], torch.tensor([[-1.0, 1, 0], [1, -1, -0.2], [0, 0.5, 0.4]]))


def test_skins_of_known_components_are_found_though_half_is_hidden() -> None:
    generator = torch.Generator().manual_seed(0)
    components = torch.linalg.qr(torch.randn(3 * 64, 2, generator=generator)).Q.T
    coordinates = torch.randn(80, 2, generator=generator) * torch.tensor([3.0, 1.5])
    textures = (0.5 + coordinates @ components).view(80, 3, 8, 8)
    visible = torch.rand(80, 8, 8, generator=generator) > 0.4
    skins = portraits.fit_skins(textures * visible[:, None], visible, 2)
    error = (skins.textures() - textures).square().mean().sqrt()
    spread = (textures - textures.mean(0)).square().mean().sqrt()
    assert error < 0.1 * spread
    product = torch.einsum("kcxy,lcxy->kl", skins.components, skins.components)
    torch.testing.assert_close(product, torch.eye(2), atol=1e-4, rtol=0)
    with pytest.raises(TeachlibError, match="expected fewer"):
        portraits.fit_skins(textures, visible, 80)


def _files(
    folder: Path, points: np.ndarray | None = None, names: tuple[str, ...] = ("a.png", "b.png")
) -> tuple[Path, Path]:
    for number, name in enumerate(names):
        Image.new("RGB", (40, 40), (50 * number, 100, 200)).save(folder / name)
    chosen = np.zeros((len(names), 478, 3), np.float32) if points is None else points
    np.savez(folder / "landmarks.npz", names=np.array(names), points=chosen)
    return folder, folder / "landmarks.npz"


def test_a_folder_and_a_zip_are_read_alike(tmp_path: Path) -> None:
    folder, landmarks = _files(tmp_path)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("a.png", "b.png"):
            archive.write(folder / name, name)
    first, second = portraits.read(folder, landmarks, 16), portraits.read(tmp_path / "all.zip", landmarks, 16)
    assert torch.equal(first.images, second.images)
    assert first.images.shape == (2, 3, 16, 16)
    assert first.images[1, 0, 3, 3] == 50
    assert len(portraits.read(folder, landmarks, 16, limit=1)) == 1


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "landmarks.npz").unlink(), "cannot be read"),
        (lambda f: (f / "landmarks.npz").write_bytes(b"PK"), "cannot be read"),
        (lambda f: np.savez(f / "landmarks.npz", names=np.array(["a.png"])), "cannot be read"),
        (lambda f: _files(f, np.zeros((2, 68, 3))), "468 or more"),
        (lambda f: _files(f, np.zeros((3, 478, 3))), "no face was found"),
        (lambda f: _files(f, np.full((2, 478, 3), np.nan)), "no numbers"),
        (lambda f: _files(f, np.full((2, 478, 3), 9.0)), "far outside"),
        (lambda f: _files(f, np.full((2, 478, 3), 1 + 1j)), "no numbers"),
        (lambda f: _files(f, np.full((2, 478, 3), "x")), "no numbers"),
        (lambda f: np.savez(f / "landmarks.npz", names=np.array([]), points=np.zeros((0, 478, 3))), "one picture"),
        (lambda f: np.save((f / "landmarks.npz").open("wb"), np.zeros(3)), "cannot be read"),
        (lambda f: ((f / "b.png").unlink(), (f / "b.png").symlink_to("a.png")), "not a plain file"),
        (lambda f: ((f / "b.png").unlink(), (f / "b.png").mkdir()), "not a plain file"),
        (lambda f: (f / "b.png").unlink(), "lacks a picture"),
        (lambda f: (f / "b.png").write_bytes(b"GIF89a"), r"b\.png: not a picture"),
        (lambda f: np.savez(f / "landmarks.npz", names=np.array([{}], object), points=np.zeros(1)), "cannot be read"),
    ],
)
def test_files_that_are_none_are_named(break_it, message: str, tmp_path: Path) -> None:
    folder, landmarks = _files(tmp_path)
    break_it(folder)
    with pytest.raises(TeachlibError, match=message):
        portraits.read(folder, landmarks, 16)


def test_turned_faces_make_one_mesh_that_faces_the_viewer() -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.rand(60, 2, generator=generator) * 2 - 1
    face = torch.cat([flat, 0.4 * (1 - flat.square().sum(1, keepdim=True))], 1)
    turns = rotations.matrix(0.3 * torch.randn(9, 3, generator=generator))
    screen = torch.einsum("nab,vb->nva", turns, face) * 0.5 + 0.1
    mesh = portraits.face_mesh(screen)
    a, b, c = mesh.vertices[mesh.faces][..., :2].unbind(1)
    assert ((b - a)[:, 0] * (c - a)[:, 1] > (b - a)[:, 1] * (c - a)[:, 0]).all()
    assert mesh.faces.unique().numel() == 60
    assert 0 <= mesh.uv.min() < mesh.uv.max() <= 1
    # The mean is the face itself, up to a turn and a size: distances within it are the same.
    ours, theirs = torch.cdist(mesh.vertices, mesh.vertices), torch.cdist(face, face)
    torch.testing.assert_close(ours / ours.mean(), theirs / theirs.mean(), atol=1e-3, rtol=0)
    with pytest.raises(TeachlibError, match="lie on a line"):
        portraits.face_mesh(torch.zeros(2, 5, 3))


@real
def test_real_portraits_are_painted_again_by_what_was_stolen_from_them() -> None:
    some = portraits.load(64, 40)
    mesh = portraits.face_mesh(some.screen)
    textures, visible = portraits.steal(some, mesh, 128)
    assert visible.flatten(1).sum(1).min() > 1000
    rich = portraits.fit_skins(textures, visible, 39)
    pictures = some.images.float() / 255
    drawn = portraits.conditions(some, mesh, rich, 64)
    inside = drawn[:, 3:].square().sum(1) > 0.9
    error = ((drawn[:, :3] / 2 + 0.5) - pictures).abs().mean(1)[inside].mean()
    assert error < 0.04
    few = portraits.conditions(some, mesh, portraits.fit_skins(textures, visible, 5), 64)
    assert ((few[:, :3] / 2 + 0.5) - pictures).abs().mean(1)[inside].mean() > error  # ten numbers blur a face
    assert (drawn[:, 5][inside] > 0).double().mean() > 0.95  # normals look at the camera


def test_an_archive_with_a_bomb_is_no_picture(tmp_path: Path) -> None:
    folder, landmarks = _files(tmp_path)
    stream = io.BytesIO()
    Image.new("L", (30_000, 30_000)).save(stream, "PNG")
    (folder / "a.png").write_bytes(stream.getvalue())
    with pytest.raises(TeachlibError, match="not a picture"):
        portraits.read(folder, landmarks, 16)


def test_the_mesh_can_be_any_mesh_with_a_texture() -> None:
    corners = torch.tensor([[-0.9, -0.9, 0.0], [0.9, -0.9, 0.0], [0.0, 0.9, 0.0]])
    faces = torch.tensor([[0, 1, 2]])
    mesh = Mesh(corners, faces, torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.5, 0.0]]), faces)
    image = (torch.linspace(0, 255, 32)[None, None].expand(3, 32, 32)).byte()[None]
    one = portraits.Portraits(image, corners[None], ("a",))
    textures, visible = portraits.steal(one, mesh, 32)
    assert visible.sum() > 200
    across = textures[0, 0].where(visible[0], torch.nan).nanmean(0)
    steps = across[~across.isnan()].diff()
    assert (steps > 0).double().mean() > 0.9


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a\0.png"])
def test_names_that_lead_out_of_the_folder_are_refused(name: str, tmp_path: Path) -> None:
    folder, landmarks = _files(tmp_path)
    np.savez(landmarks, names=np.array([name, "b.png"]), points=np.zeros((2, 478, 3)))
    with pytest.raises(TeachlibError, match="outside of"):
        portraits.read(folder, landmarks, 16)


def test_the_texture_stands_upright() -> None:
    """What is white in the upper half of the pictures is in the upper half of the texture: its first rows."""
    generator = torch.Generator().manual_seed(0)
    flat = torch.rand(80, 2, generator=generator) * 1.6 - 0.8
    screen = torch.cat([flat, 0.2 * (1 - flat.square().sum(1, keepdim=True))], 1).repeat(3, 1, 1)
    images = torch.zeros(3, 3, 32, 32, dtype=torch.uint8)
    images[:, :, :16] = 255
    textures, visible = portraits.steal(
        portraits.Portraits(images, screen, ("a",) * 3), portraits.face_mesh(screen), 32
    )
    upper, lower = (textures[0, 0, rows][visible[0, rows]].mean() for rows in (slice(4, 12), slice(20, 28)))
    assert upper > 0.9
    assert lower < 0.1


@pytest.mark.parametrize("screen", [torch.full((2, 9, 3), torch.nan), torch.zeros(0, 9, 3), torch.zeros(9, 3)])
def test_landmarks_that_are_none_make_no_mesh(screen: torch.Tensor) -> None:
    with pytest.raises(TeachlibError, match="expected numbers"):
        portraits.face_mesh(screen)


def test_a_portrait_may_have_fifty_million_pixels() -> None:
    def picture(height: int) -> bytes:
        file = io.BytesIO()
        Image.new("1", (6_000, height)).save(file, "PNG")
        return file.getvalue()

    assert portraits._pixels(picture(5_000), "large", 8).shape == (3, 8, 8)
    with pytest.raises(TeachlibError, match="not a picture that can be read"):
        portraits._pixels(picture(8_400), "larger", 8)
