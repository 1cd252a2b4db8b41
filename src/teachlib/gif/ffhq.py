"""``ffhq``: FFHQ with the parameters that DECA found of it, for those who have the licences: the thesis's own data.

Below ``TEACHLIB_DATA/FFHQ`` lie pictures named by five digits (``00000.png``, in any folders), and beside them, as the
authors of GIF and FLAME publish them,

- ``flame_params_public_texture_model.npy``: a dict of ``'00000.pkl'`` → ``shape`` (100), ``exp`` (50), ``pose`` (6),
  ``cam`` (3), ``tex`` (50) and ``lit`` (9, 3), of which the 236 numbers of § 5.3.4 are made;
- ``generic_model.pkl`` and ``head_template_mesh.obj``: FLAME 2020;
- ``FLAME_texture.npz``: ``mean`` and ``tex_dir`` of its texture, 512² texels, blue first;
- ``b_box_stats.npz``, where there is one: its ``bad_images``, which DECA failed on, are left out.

Nothing of it could be had for this course: the loader is tested on small files of the same formats.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d
from tqdm import tqdm

from teachlib.checkpoints import read_checkpoint, write_checkpoint
from teachlib.data import cache, data_root, pickles
from teachlib.data.files import read_arrays
from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.gif import consistency, flame, heads
from teachlib.gif.head import Head
from teachlib.gif.parameters import Parameters
from teachlib.gif.rendering import Render, lit
from teachlib.gif.textures import atlas
from teachlib.gif.told import Told

# FFHQ's own division; the thesis trains on all of it.
SPLITS = {"train": 60_000, "test": 10_000}
FOLDER = "FFHQ"
_PARAMETERS, _BAD = "flame_params_public_texture_model.npy", "b_box_stats.npz"
_MODEL, _TEMPLATE, _TEXTURE = "generic_model.pkl", "head_template_mesh.obj", "FLAME_texture.npz"
_GROUPS = {"shape": (100,), "exp": (50,), "pose": (6,), "cam": (3,), "tex": (50,), "lit": (9, 3)}
_TOGETHER = 20  # pictures that are rendered at once
# DECA's harmonics stand in another order (1, x, y, z, xy, xz, yz, x² - y², 3z² - 1), and all but the first have a
# factor π more than ours, as it leaves A₀ out and keeps A₁ and A₂.
_ORDER = (0, 2, 3, 1, 4, 6, 8, 5, 7)


@dataclass(frozen=True)
class Scene:
    """FLAME with its texture: what renders the parameters of FFHQ.

    Attributes:
        head: with as many components as the parameters have.
        mean: of the texture, red first, in [0, 1], (3, T, T).
        components: (50, 3, T, T).
    """

    head: Head
    mean: Tensor
    components: Tensor

    def render(self, vectors: Tensor, size: int) -> Render:
        """Heads of condition vectors (N, 236), in the colours that DECA gives them."""
        asked = flame.split(vectors)
        posed = self.head.vertices(asked["shape"], asked["expression"], asked["pose"])
        textures = self.mean + torch.einsum("nk,kcxy->ncxy", asked["appearance"], self.components)
        return lit(self.head, posed, asked["camera"], textures.clamp(0, 1), lights(asked["light"]), size)


@dataclass(frozen=True)
class Ffhq(Told):
    """Photographs, renderings of FLAME, and its parameters.

    Attributes:
        parameters: condition vectors in the order of § 5.3.4, (N, 236).
        scene: that renders them.
    """

    parameters: Tensor
    scene: Scene

    @property
    def vectors(self) -> Tensor:
        """The parameters, (N, 236)."""
        return self.parameters

    def views(self, numbers: Tensor, share: Tensor, size: int) -> consistency.Views:
        """See :meth:`Told.views`."""
        moved = consistency.interpolated(Parameters(**flame.split(self.parameters[numbers])), share)
        vectors = flame.join(vars(moved))
        with torch.no_grad():
            found = self.scene.render(vectors, size)
        head = self.scene.head
        return consistency.seen(found, atlas(head.uv, head.uv_faces, head.faces, 2 * size), vectors)


def lights(deca: Tensor) -> Tensor:
    """DECA's light (N, 9, 3) as :mod:`teachlib.gif.light` has it."""
    ours = deca[:, list(_ORDER)]
    return torch.cat([ours[:, :1], torch.pi * ours[:, 1:]], 1)


def load(split: str = "train", size: int = 256, limit: int | None = None, *, folder: Path | None = None) -> Ffhq:
    """A split of FFHQ; pictures are reduced and rendered once, about ten a second, and kept for the next time.

    Args:
        split: ``train``, the first 60,000 numbers, or ``test``.
        size: height and width, in pixels.
        limit: only the first so many; no more are made.
        folder: of data; ``None``: ``TEACHLIB_DATA``.

    Raises:
        TeachlibError: another split; files that are missing, damaged, or of another format.
    """
    if split not in SPLITS:
        raise unknown("split of ffhq", split, SPLITS)
    require_at_least(1, size=size, limit=limit)
    place = (folder or data_root()) / FOLDER
    vectors, known = _parameters(place)
    pictures = _pictures(place)
    first = 0 if split == "train" else SPLITS["train"]
    ours = range(first, first + SPLITS[split])
    numbers = [number for number in sorted(known) if number in ours and number in pictures][:limit]
    if not numbers:
        raise TeachlibError(f"{place}: no picture 00000.png … of {split} that has parameters")
    asked = torch.stack([vectors[known[number]] for number in numbers])
    scene = read_scene(place)
    key = _key(
        asked, [pictures[number] for number in numbers], [place / name for name in (_MODEL, _TEMPLATE, _TEXTURE)]
    )
    made = cache.entry_folder(
        f"ffhq-{size}-{len(numbers)}-{key}",
        lambda where: _make(where, [pictures[number] for number in numbers], asked, scene, size),
    )
    images, conditions = (
        cache.mapped(made / name, (len(numbers), channels, size, size))
        for name, channels in (("images", 3), ("conditions", 6))
    )
    kept, _ = read_checkpoint(made / "parameters.safetensors")
    return Ffhq(images, conditions, kept["vectors"], scene)


def read_scene(place: Path) -> Scene:
    """FLAME and its texture.

    Args:
        place: folder of the files.

    Raises:
        TeachlibError: files that cannot be read, or with other arrays.
    """
    whole = flame.read(place / _MODEL, place / _TEMPLATE)
    shapes, expressions = slice(flame.VECTOR["shape"]), slice(flame.VECTOR["expression"])
    head = replace(
        whole,
        shape=whole.shape[shapes],
        joint_shape=whole.joint_shape[shapes],
        expression=whole.expression[expressions],
        joint_expression=whole.joint_expression[expressions],
    )
    file, count = place / _TEXTURE, flame.VECTOR["appearance"]
    try:
        kept = read_arrays(file)
        mean, components = kept["mean"].reshape(-1), kept["tex_dir"]
        components, texels = components.reshape(len(mean), -1)[:, :count], math.isqrt(len(mean) // 3)
        texture = torch.from_numpy(np.concatenate([mean[:, None], components], 1).astype(np.float32).T / 255)
        texture = texture.reshape(1 + count, texels, texels, 3).movedim(3, 1).flip(1)
    except Exception:  # a damaged file ends numpy's reader in whatever its bytes lead to
        raise TeachlibError(
            f"{file}: cannot be read; expected FLAME's texture: mean, and tex_dir of {count} or more components"
        ) from None
    return Scene(head, texture[0], texture[1:])


def _parameters(place: Path) -> tuple[Tensor, dict[int, int]]:
    """Condition vectors, and the row of each picture's number; those that DECA failed on are left out."""
    file = place / _PARAMETERS
    try:
        found = pickles.read_npy(file.read_bytes(), file)
    except OSError as error:
        raise TeachlibError(
            f"{file}: cannot be read ({error.strerror}); FFHQ, DECA's parameters and FLAME have licences of their own: "
            "see teachlib.gif.ffhq for the files and their places"
        ) from None
    if not isinstance(found, dict) or not found:
        raise TeachlibError(f"{file}: holds no dict of '00000.pkl' → parameters")
    bad, rows = _bad(place / _BAD), dict[int, int]()
    vectors = list[np.ndarray[Any, np.dtype[np.float32]]]()
    for name, groups in found.items():
        stem = str(name).removesuffix(".pkl")
        if not (stem.isdigit() and len(stem) == 5):
            raise TeachlibError(f"{file}: an entry {str(name)[:60]!r}; expected names like '00000.pkl'")
        if f"{stem}.npy" in bad:
            continue
        rows[int(stem)] = len(vectors)
        vectors.append(_vector(groups, f"{file}, {name}"))
    if not vectors:
        raise TeachlibError(f"{file}: all of its pictures are among the bad ones of {_BAD}")
    return torch.from_numpy(np.stack(vectors)), rows


def _vector(groups: Any, source: str) -> np.ndarray[Any, np.dtype[np.float32]]:
    parts = []
    for name, shape in _GROUPS.items():
        value = groups.get(name) if isinstance(groups, Mapping) else None
        if not isinstance(value, np.ndarray) or value.size != np.prod(shape) or not np.isfinite(value).all():
            raise TeachlibError(f"{source}: no '{name}' of {'×'.join(map(str, shape))} numbers, as DECA writes it")
        parts.append(value.astype(np.float32).reshape(-1))
    return np.concatenate(parts)


def _bad(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    try:
        return {str(name) for name in read_arrays(file)["bad_images"]}
    except Exception:  # as above
        raise TeachlibError(
            f"{file}: cannot be read; expected an array 'bad_images' of names like '00000.npy'"
        ) from None


def _pictures(place: Path) -> dict[int, Path]:
    """Number → picture, wherever it lies."""
    files = (file for ending in ("png", "jpg") for file in place.rglob(f"*.{ending}"))
    return {int(file.stem): file for file in files if file.stem.isdigit() and len(file.stem) == 5}


def _key(asked: Tensor, *files: list[Path]) -> str:
    """Of all that decides how pictures and renderings come out: what is asked, the files, and this library's code."""
    states = [
        (file.name, (state := file.stat()).st_size, state.st_mtime_ns) for group in files for file in group
    ]  # sizes and dates
    said = repr((states, heads.origin("consistency.py", "ffhq.py", "flame.py"))).encode()
    return hashlib.sha256(asked.numpy().tobytes() + said).hexdigest()[:16]


def _make(where: Path, files: list[Path], asked: Tensor, scene: Scene, size: int) -> dict[str, Any]:
    images = cache.new_array(where / "images", (len(files), 3, size, size))
    conditions = cache.new_array(where / "conditions", (len(files), 6, size, size))
    for start in tqdm(range(0, len(files), _TOGETHER), desc=f"ffhq, {size}×{size}", leave=False):
        rows = slice(start, start + _TOGETHER)
        for row, file in enumerate(files[rows], start):
            images[row] = _pixels(file, size)
        shown = avg_pool2d(scene.render(asked[rows], 2 * size).channels, 2)
        conditions[rows] = ((shown + 1) * 127.5).round().byte().numpy()
    write_checkpoint(where / "parameters.safetensors", {"vectors": asked}, {})
    return {"pictures": len(files)}


def _pixels(file: Path, size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    try:
        with Image.open(file) as opened:
            return np.array(opened.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise TeachlibError(f"{file}: not a picture that can be read") from None
