"""What InvGANs are trained on: the catalogue's sets, heads and portraits of the chapter before, and patches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d

from teachlib import data
from teachlib.data import ImageData
from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.gif import faces, heads
from teachlib.invgan import attributes, corpora
from teachlib.invgan.corpora import PATCH

CUT = ("patches", "imagenet", "ucf101")  # of which patches are cut
SETS = ("heads", "faces", *CUT)  # beside the catalogue
RESOLUTIONS = (32, 64, 128)
# Colour photographs in scikit-image's package; those in scikit-learn's, china and flower, are kept for tests.
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "motorcycle_left", "rocket", "retina", "hubble_deep_field", "ihc")
PATCHES = {"train": 20_000, "validation": 1_000, "test": 1_000}


def shape_of(dataset: str, resolution: int = 0) -> tuple[int, int, int]:
    """Of the images that networks take of a data set.

    Args:
        dataset: of :data:`SETS`, of the catalogue, or as :func:`teachlib.data.folder_name` gives it.
        resolution: 32, 64 or 128; 0: what is nearest above the data set's own, 32 for heads, portraits and patches.

    Raises:
        TeachlibError: an unknown data set; images of more than 128 pixels; another resolution.
    """
    if resolution not in (0, *RESOLUTIONS):
        raise TeachlibError(f"resolution is {resolution}; expected 32, 64 or 128, or 0 for what fits the data set")
    if dataset in CUT and resolution not in (0, PATCH):
        raise TeachlibError(f"patches of {resolution} pixels; they have {PATCH}")
    if dataset in SETS:
        return 3, resolution or 32, resolution or 32
    channels, side, _ = data.entry(dataset).shape
    if side > max(RESOLUTIONS) and not resolution:
        raise TeachlibError(
            f"images of {side} pixels a side in {dataset}; InvGAN here takes 32, 64 or 128: --resolution"
        )
    size = resolution or next(size for size in RESOLUTIONS if side <= size)
    return channels, size, size


def classes_of(dataset: str) -> int:
    """How many classes a data set's labels name.

    Raises:
        TeachlibError: it has none.
    """
    count = 1 if dataset in SETS else data.entry(dataset).classes
    if count < 2:
        raise TeachlibError(f"{dataset} has no classes that networks could be told; leave --classes out")
    return count


def without_class(images: ImageData, label: int) -> ImageData:
    """All images but those of one class.

    Raises:
        TeachlibError: there are none of it, or no others.
    """
    kept = images.labels != label
    if kept.all() or not kept.any():
        known = ", ".join(str(one) for one in images.labels.unique().tolist())
        raise TeachlibError(f"--without {label}: {images.name} has the classes {known}; leave out one of several")
    factors = {name: values[kept] for name, values in images.factors.items()}
    return replace(images, images=images.images[kept], labels=images.labels[kept], factors=factors)


def load(dataset: str, split: str, size: int, limit: int | None = None) -> ImageData:
    """A split, at a size.

    Args:
        dataset: as in :func:`shape_of`.
        split: ``train``, ``validation`` or ``test``; portraits have no validation split.
        size: of the images, in pixels.
        limit: only the first so many.

    Raises:
        TeachlibError: as :func:`teachlib.data.load` and the loaders of heads and portraits; scikit-image is missing.
    """
    if dataset not in SETS:
        return data.load(dataset, split, size=size, limit=limit)
    if dataset == "patches":
        return patches(split, limit)
    if dataset in CUT:
        return corpora.patches(dataset, split, limit)
    if dataset == "faces":
        images, factors = faces.load(split, size, limit).images, {}
    else:
        told = heads.load(split, size, limit)
        images, factors = told.images, attributes.of_heads(told, split)
    return ImageData(dataset, split, images, torch.zeros(len(images), dtype=torch.long), factors)


def patches(split: str = "train", limit: int | None = None) -> ImageData:
    """Patches of 32 pixels from photographs, drawn from a fixed seed, at full and at half resolution.

    Test patches come from two photographs of scikit-learn that no other patch is from; those for training and
    validation from eight of scikit-image. Labels are the photographs' numbers.

    Args:
        split: of :data:`PATCHES`.
        limit: only the first so many.

    Raises:
        TeachlibError: another split; scikit-image is missing.
    """
    if split not in PATCHES:
        raise unknown("split of patches", split, PATCHES)
    require_at_least(1, limit=limit)
    photographs = held_out() if split == "test" else _photographs()
    count = min(limit or PATCHES[split], PATCHES[split])
    generator = torch.Generator().manual_seed(list(PATCHES).index(split))
    whole = [photograph for one in photographs for photograph in (one, _halved(one))]
    chosen = torch.randint(len(whole), (PATCHES[split],), generator=generator)[:count]
    places = torch.rand(PATCHES[split], 2, generator=generator)[:count]
    cut = [corpora.patch(whole[number], place) for number, place in zip(chosen.tolist(), places, strict=True)]
    return ImageData("patches", split, torch.stack(cut), chosen // 2)


def held_out() -> list[Tensor]:
    """The two photographs that no patch for training is from, bytes (3, H, W): a temple and a flower."""
    from sklearn.datasets import load_sample_images

    return [torch.from_numpy(photograph.copy()).permute(2, 0, 1) for photograph in load_sample_images().images]


def _photographs() -> list[Tensor]:
    try:
        from skimage import data as gallery
    except ImportError:
        raise TeachlibError(
            "patches are cut from scikit-image's photographs, which is missing; 'pip install scikit-image', "
            "or train on folder:PATH"
        ) from None
    folder = gallery.__path__[0]
    return [_read(f"{folder}/{name}") for name in PHOTOGRAPHS]


def _read(stem: str) -> Tensor:
    file = next(path for ending in (".png", ".jpg") if (path := Path(stem + ending)).is_file())
    with Image.open(file) as photograph:
        return torch.from_numpy(np.array(photograph.convert("RGB"))).permute(2, 0, 1)


def _halved(photograph: Tensor) -> Tensor:
    """Means of 2×2 pixels."""
    return avg_pool2d(photograph[None].float(), 2)[0].round().byte()
