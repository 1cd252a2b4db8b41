"""Conditions from photographs of people: a mesh of landmarks for each, and the skin that the photograph shows.

No licensed head and no network of ours: MediaPipe's face mesh (Apache 2.0) finds 478 points in a portrait, 468 of which
are the corners of a mesh. What such a condition cannot say is more than with a head of
numbers: nobody can ask for another expression of the same shape.
"""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from scipy.spatial import Delaunay, QhullError
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from teachlib.data import data_root
from teachlib.data.files import read_arrays
from teachlib.errors import TeachlibError, require_at_least
from teachlib.gif.mesh import vertex_normals
from teachlib.gif.obj import Mesh
from teachlib.gif.rasterizer import interpolate, rasterize
from teachlib.gif.textures import atlas, stolen, textured

FOLDER, PICTURES, LANDMARKS = "faces", "sfhq_faces_128.zip", "landmarks.npz"  # below the folder of data
VERTICES = 468  # of the mesh; ten more landmarks are the irises
_TEXELS = 64
_FURTHEST = 3.0  # a landmark from the upper left corner, over the picture's width
_LARGEST, _MOST_PIXELS = 64 * 2**20, 50 * 10**6  # bytes and pixels of a portrait
_ROUNDS = 8  # of filling in what a photograph does not show


@dataclass(frozen=True)
class Portraits:
    """Photographs and landmarks of the faces in them.

    Attributes:
        images: bytes, (N, 3, size, size).
        screen: the mesh in each picture, as :mod:`teachlib.gif.rasterizer` takes it, (N, 468, 3).
        names: of the files.
    """

    images: Tensor
    screen: Tensor
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice) -> "Portraits":
        return Portraits(self.images[rows], self.screen[rows], self.names[rows])


@dataclass(frozen=True)
class Skins:
    """A linear model of textures: what photographs of faces show of their skins.

    Attributes:
        mean: (3, T, T).
        components: of length one, (K, 3, T, T).
        coordinates: of each photograph, (N, K).
    """

    mean: Tensor
    components: Tensor
    coordinates: Tensor

    def __getitem__(self, rows: slice) -> "Skins":
        return Skins(self.mean, self.components, self.coordinates[rows])

    def textures(self) -> Tensor:
        """Of the photographs, as the model has them, (N, 3, T, T)."""
        return self.mean + torch.einsum("nk,kcxy->ncxy", self.coordinates, self.components)


def face_mesh(screen: Tensor) -> Mesh:
    """A mesh over the landmarks of many faces, whose texture is the mean face seen from the front.

    Faces are turned onto each other and averaged (Procrustes), and the mean is cut into the triangles of Delaunay, the
    ones with the largest angles. So no mesh of MediaPipe's is needed, whose files differ in their order of vertices.

    Args:
        screen: (N, V, 3), as :func:`on_screen` gives them.

    Raises:
        TeachlibError: fewer than three landmarks, or all of them on a line.
    """
    if screen.ndim != 3 or screen.shape[2] != 3 or not len(screen) or not screen.isfinite().all():
        raise TeachlibError(f"landmarks {tuple(screen.shape)}; expected numbers (N, V, 3) of one face or more")
    faces = screen.double() - screen.double().mean(1, keepdim=True)
    faces = faces / faces.square().mean((1, 2), keepdim=True).sqrt().clamp_min(1e-12)
    mean = faces[faces[:, :, 2].std(1).argsort()[len(faces) // 2]]  # begun with a face of usual depth
    for _ in range(_ROUNDS):
        left, _, right = torch.linalg.svd(faces.transpose(1, 2) @ mean)
        mean = (faces @ left @ right).mean(0)
    try:
        triangles = torch.from_numpy(Delaunay(mean[:, :2].numpy()).simplices).long()
    except (QhullError, ValueError):
        raise TeachlibError(f"landmarks {tuple(screen.shape)} lie on a line, or are too few for a mesh") from None
    a, b, c = mean[triangles][..., :2].unbind(1)
    ahead = (b - a)[:, 0] * (c - a)[:, 1] > (b - a)[:, 1] * (c - a)[:, 0]
    triangles = torch.where(ahead[:, None], triangles, triangles.flip(1))  # counter-clockwise: they face the viewer
    flat = mean[:, :2] - mean[:, :2].amin(0)
    uv = (0.02 + 0.96 * flat / flat.amax(0)).float()
    uv[:, 1] = 1 - uv[:, 1]
    return Mesh(mean.float(), triangles, uv, triangles)


def load(size: int = 64, limit: int | None = None, *, folder: Path | None = None) -> Portraits:
    """The 531 portraits: ``faces/sfhq_faces_128.zip`` and ``faces/landmarks.npz`` below the folder of data.

    Args:
        size: height and width.
        limit: only the first so many.
        folder: of data; ``None``: ``TEACHLIB_DATA``.

    Raises:
        TeachlibError: files that are missing or damaged, or landmarks that do not belong to the pictures.
    """
    place = (folder or data_root()) / FOLDER
    return read(place / PICTURES, place / LANDMARKS, size, limit)


def read(pictures: Path, landmarks: Path, size: int, limit: int | None = None) -> Portraits:
    """Photographs of a folder or zip, and their landmarks.

    Args:
        pictures: files as ``names`` in ``landmarks`` calls them.
        landmarks: arrays ``names`` (N,) and ``points`` (N, at least 468, 3): x and y from the upper left corner and z
            towards the camera negative, over the picture's width, as MediaPipe gives them.
        size: height and width that pictures are brought to.
        limit: only the first so many.

    Raises:
        TeachlibError: as :func:`load`.
    """
    require_at_least(1, size=size, limit=limit)
    try:
        kept = read_arrays(landmarks)
        names, points = [str(name) for name in kept["names"]][:limit], kept["points"][:limit]
    except Exception:  # a damaged file ends numpy's reader in whatever its bytes lead to
        raise TeachlibError(
            f"{landmarks}: cannot be read; expected arrays 'names' and 'points' in an .npz file"
        ) from None
    if points.ndim != 3 or points.shape[1] < VERTICES or points.shape[2] != 3 or len(points) != len(names):
        raise TeachlibError(
            f"{landmarks}: points {points.shape} of {len(names)} names; expected (N, {VERTICES} or more, 3): a picture "
            "in which no face was found has no row"
        )
    if not names or points.dtype.kind not in "fiu" or not (np.abs(points) < _FURTHEST).all():
        raise TeachlibError(
            f"{landmarks}: points that are no numbers, or far outside of the pictures; expected x, y and z over the "
            "picture's width, of at least one picture"
        )
    images = torch.stack([_pixels(contents, name, size) for name, contents in _files(pictures, names)])
    return Portraits(images, on_screen(torch.from_numpy(points).float()), tuple(names))


def _files(pictures: Path, names: list[str]) -> list[tuple[str, bytes]]:
    if outside := [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name]:
        raise TeachlibError(f"{outside[0][:60]!r}: a picture outside of {pictures}; expected names within it")
    try:
        if pictures.is_dir():
            return [(name, _contents(pictures / name)) for name in names]
        with zipfile.ZipFile(pictures) as archive:
            if large := [name for name in names if archive.getinfo(name).file_size > _LARGEST]:
                raise TeachlibError(f"{large[0]}: more than {_LARGEST >> 20} MiB; no portrait is that large")
            return [(name, archive.read(name)) for name in names]
    except TeachlibError:
        raise
    except Exception as error:  # a damaged archive ends its reader in whatever its bytes lead to
        raise TeachlibError(
            f"{pictures}: lacks a picture that has landmarks, or is no folder or zip ({error})"
        ) from None


def _contents(file: Path) -> bytes:
    """Of a plain file that is no way out of the folder, and no device that never ends."""
    if file.is_symlink() or (file.exists() and not file.is_file()) or file.stat().st_size > _LARGEST:
        raise TeachlibError(f"{file}: not a plain file of at most {_LARGEST >> 20} MiB")
    return file.read_bytes()


def _pixels(contents: bytes, name: str, size: int) -> Tensor:
    try:
        with Image.open(io.BytesIO(contents)) as opened:
            if opened.width * opened.height > _MOST_PIXELS:
                raise ValueError(opened.size)
            pixels = np.array(opened.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise TeachlibError(f"{name}: not a picture that can be read") from None
    return torch.from_numpy(pixels).movedim(-1, 0)


def on_screen(points: Tensor) -> Tensor:
    """MediaPipe's landmarks (N, 468 or more, 3) in the coordinates of the rasterizer, (N, 468, 3)."""
    x, y, z = points[:, :VERTICES].unbind(2)
    return torch.stack([2 * x - 1, 1 - 2 * y, -2 * z], 2)


def steal(portraits: Portraits, mesh: Mesh, texels: int = _TEXELS) -> tuple[Tensor, Tensor]:
    """The textures that photographs show, (N, 3, T, T) in [0, 1], and which texels those are, (N, T, T)."""
    where = atlas(mesh.uv, mesh.uv_faces, mesh.faces, texels)
    pictures = portraits.images.float() / 255
    found = rasterize(portraits.screen, mesh.faces, pictures.shape[-1])
    return stolen(pictures, portraits.screen, where, found)


def fit_skins(textures: Tensor, visible: Tensor, components: int = 10) -> Skins:
    """Principal components of textures of which only a part is seen.

    What is not seen is filled in by the mean, and then, some rounds long, by the model itself.

    Args:
        textures: (N, 3, T, T).
        visible: (N, T, T).
        components: K, fewer than N.

    Raises:
        TeachlibError: not fewer components than textures.
    """
    if not textures.isfinite().all():
        raise TeachlibError("textures that are no numbers")
    if not 1 <= components < len(textures):
        raise TeachlibError(f"{components} components of {len(textures)} textures; expected fewer, and at least one")
    seen = visible[:, None].expand_as(textures).flatten(1)
    values = textures.flatten(1)
    counted = seen.sum(0)
    overall = (values * seen).sum() / seen.sum().clamp_min(1)
    mean = torch.where(counted > 0, (values * seen).sum(0) / counted.clamp_min(1), overall)
    model = mean.expand_as(values)
    for _ in range(_ROUNDS):
        filled = torch.where(seen, values, model)
        mean = filled.mean(0)
        left, sizes, right = torch.linalg.svd(filled - mean, full_matrices=False)
        coordinates = left[:, :components] * sizes[:components]
        model = mean + coordinates @ right[:components]
    shape = textures.shape[1:]
    return Skins(mean.view(shape), right[:components].view(components, *shape), coordinates)


def conditions(portraits: Portraits, mesh: Mesh, skins: Skins, size: int, *, finer: int = 2) -> Tensor:
    """What a generator is shown: each skin as the model has it, and normals, in [-1, 1], (N, 6, size, size)."""
    found = rasterize(portraits.screen, mesh.faces, size * finer)
    normals = normalize(interpolate(found, mesh.faces, vertex_normals(portraits.screen, mesh.faces)), dim=1)
    colours = 2 * textured(found, mesh.uv, mesh.uv_faces, skins.textures()).clamp(0, 1) - 1
    covered = found.covered[:, None]
    rendered = torch.cat([torch.where(covered, colours, -1.0), torch.where(covered, normals, 0.0)], 1)
    return avg_pool2d(rendered, finer)
