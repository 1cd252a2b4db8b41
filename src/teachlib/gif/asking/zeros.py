"""``zeros``: the digit zero in many hands, of which two numbers are asked for: where it stands, and how it leans.

Both can be read off any picture again without a network, from the moments of its ink: what a generator did with what
it was asked is measured, not estimated by something that was trained.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from teachlib.data.glyphs import FONTS, RANGES, Factors, render
from teachlib.errors import TeachlibError, require_at_least, require_shape, unknown

SIZE = 16  # pixels
FACTORS = ("position", "slant")
SPLITS = {"train": 8_000, "validation": 1_000, "test": 2_000}
_SEEDS = {"train": 401, "validation": 402, "test": 403}
# What a factor of one deviation is: pixels of a picture of 32, and shift to the right for each unit of height.
_UNITS = torch.tensor([2.0, 0.2])
_MOST = 2.0  # deviations; beyond them the digit would leave the picture
_UPRIGHT = tuple(number for number, font in enumerate(FONTS) if "Italic" not in font)


@dataclass(frozen=True)
class Zeros:
    """Pictures and the two factors of each.

    Attributes:
        images: bytes, (N, 1, 16, 16).
        factors: position and slant, in deviations, (N, 2).
    """

    images: Tensor
    factors: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Images in [0, 1], and their factors."""
        images, factors = self.stored(index)
        return images.float() / 255, factors

    def stored(self, index: slice | Tensor) -> tuple[Tensor, Tensor]:
        """Images as bytes, and their factors."""
        return self.images[index], self.factors[index]

    @property
    def sha256(self) -> str:
        """Hash of pictures and factors."""
        return hashlib.sha256(self.images.numpy().tobytes() + self.factors.numpy().tobytes()).hexdigest()


def draw(count: int, correlation: float, generator: torch.Generator) -> Tensor:
    """Factors of N pictures, normal and cut off at two deviations, (N, 2).

    Args:
        count: N.
        correlation: of position and slant before they are cut off, in [-1, 1].
        generator: draws them.

    Raises:
        TeachlibError: a correlation that is none.
    """
    if not -1 <= correlation <= 1:
        raise TeachlibError(f"correlation {correlation}; expected a number in [-1, 1]")
    first, own = torch.randn(2, count, generator=generator)
    second = correlation * first + (1 - correlation**2) ** 0.5 * own
    return torch.stack([first, second], 1).clamp(-_MOST, _MOST)


def pictures(factors: Tensor, generator: torch.Generator) -> Tensor:
    """Zeros with these factors (N, 2), in any font, thickness, height and width: bytes, (N, 1, 16, 16)."""
    require_shape(factors, (2,))
    count = len(factors)
    drawn = {name: low + (high - low) * torch.rand(count, generator=generator) for name, (low, high) in RANGES.items()}
    still = torch.zeros(count)
    position, slant = (factors * _UNITS).unbind(1)
    asked = {"dx": position, "dy": still, "slant": slant, "rotation": still, "elastic": still}
    font = torch.tensor(_UPRIGHT)[torch.randint(len(_UPRIGHT), (count,), generator=generator)]
    zero = torch.zeros(count, dtype=torch.long)
    large = render(Factors(zero, font, {**drawn, **asked}, torch.zeros(count, 2, 4, 4)))
    return avg_pool2d(large.float(), 2).round().to(torch.uint8)


def load(split: str = "train", correlation: float = 0.0, limit: int | None = None) -> Zeros:
    """A split of the set, the same at every call.

    Args:
        split: ``train``, ``validation`` or ``test``.
        correlation: of the factors.
        limit: only the first so many.

    Raises:
        TeachlibError: another split, or a correlation that is none.
    """
    if split not in SPLITS:
        raise unknown("split of zeros", split, SPLITS)
    require_at_least(1, limit=limit)
    images, factors = _whole(split, correlation)
    return Zeros(images[slice(limit)], factors[slice(limit)])


@lru_cache(maxsize=3)
def _whole(split: str, correlation: float) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(_SEEDS[split])
    factors = draw(SPLITS[split], correlation, generator)
    return pictures(factors, generator), factors


def moments(images: Tensor) -> Tensor:
    """Centre of the ink, from the middle in pixels of 32, and its shear; (N, 1, 16, 16) in [0, 1] → (N, 2).

    A shear moves what is y below the centre by -s·y. So the ink's covariance of x and y is -s times its variance of y.
    """
    require_shape(images, (1, SIZE, SIZE))
    ink = images[:, 0].double()
    ink = ink / ink.sum((1, 2), keepdim=True).clamp_min(1e-9)
    axis = 2 * (torch.arange(SIZE, dtype=torch.double, device=images.device) + 0.5) - SIZE
    x, y = (ink * axis).sum((1, 2)), (ink * axis[:, None]).sum((1, 2))
    right, down = axis - x[:, None], axis - y[:, None]
    together = torch.einsum("nij,ni,nj->n", ink, down, right)
    spread = torch.einsum("nij,ni->n", ink, down.square())
    return torch.stack([x, -together / spread.clamp_min(1e-9)], 1).float()


def read(images: Tensor) -> Tensor:
    """Position and slant in deviations, read off pictures (N, 1, 16, 16) in [0, 1] by their moments, (N, 2)."""
    return moments(images) / _UNITS.to(images.device)


def bars(factors: Tensor) -> Tensor:
    """The condition as a picture: a bar that stands and leans as the zero should, (N, 2) → (N, 1, 16, 16) in [0, 1]."""
    require_shape(factors, (2,))
    position, slant = (factors * _UNITS.to(factors.device))[:, :, None, None].unbind(1)
    axis = 2 * (torch.arange(SIZE, device=factors.device) + 0.5) - SIZE
    beside = (axis - position + slant * axis[:, None]).abs()
    return ((3.5 - beside).div(2).clamp(0, 1) * (axis[:, None].abs() < 11))[:, None]
