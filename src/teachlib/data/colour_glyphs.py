"""Coloured glyphs on photographs: a stand-in for house numbers that ships with the package."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.data.glyphs import SIZE, Factors, glyphs

_SEEDS = {"train": 201, "validation": 202, "test": 203}
_STRIPS = {"train": (0.0, 0.6), "validation": (0.6, 0.75), "test": (0.75, 1.0)}  # of a photograph's width
_CONTRAST = 0.3  # least difference in brightness between digit and the mean of its background


@lru_cache(maxsize=1)
def _photographs() -> Tensor:
    """scikit-learn's two, halved: (2, 3, 213, 320) in [0, 1]."""
    from sklearn.datasets import load_sample_images

    pictures = torch.stack([torch.from_numpy(image.copy()) for image in load_sample_images().images])
    return F.avg_pool2d(pictures.permute(0, 3, 1, 2).float() / 255, 2)


def _backgrounds(count: int, split: str, generator: torch.Generator) -> Tensor:
    """Random crops of the strip that belongs to a split: (count, 3, 32, 32)."""
    pictures = _photographs()
    height, width = pictures.shape[2:]
    start, end = (round(part * width) for part in _STRIPS[split])
    which = torch.randint(len(pictures), (count, 1, 1), generator=generator)
    top = torch.randint(height - SIZE + 1, (count, 1, 1), generator=generator)
    left = torch.randint(start, end - SIZE + 1, (count, 1, 1), generator=generator)
    span = torch.arange(SIZE)
    return pictures[which, :, top + span[:, None], left + span].permute(0, 3, 1, 2)


def _colours(backgrounds: Tensor, generator: torch.Generator) -> Tensor:
    """A colour for each digit that stands out: (N, 3, 1, 1), the first of eight draws that does."""
    weights = torch.tensor([0.299, 0.587, 0.114])  # of brightness, ITU-R BT.601
    drawn = torch.rand(len(backgrounds), 8, 3, generator=generator)
    behind = (backgrounds.mean((2, 3)) * weights).sum(1, keepdim=True)
    apart = ((drawn * weights).sum(2) - behind).abs()
    first = (apart > _CONTRAST).float().argmax(1)
    chosen = torch.where((apart > _CONTRAST).any(1), first, apart.argmax(1))
    return drawn[torch.arange(len(drawn)), chosen][:, :, None, None]


@lru_cache(maxsize=6)
def colour_glyphs(split: str, limit: int | None = None) -> tuple[Tensor, Factors]:
    """The fixed data set: glyphs in one colour each, on crops of two photographs.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``, with the shapes of the grey glyphs; each split has its own
            part of the photographs.
        limit: only the first so many; a prefix of the whole.

    Returns:
        Images (N, 3, 32, 32) uint8, and the factors of their shapes.
    """
    shapes, factors = glyphs(split, None)
    generator = torch.Generator().manual_seed(_SEEDS[split])
    backgrounds = _backgrounds(len(shapes), split, generator)
    colours, mask = _colours(backgrounds, generator), shapes.float() / 255
    images = ((mask * colours + (1 - mask) * backgrounds) * 255).round().to(torch.uint8)
    return images[:limit], factors[slice(limit)]
