"""Glyphs: crisp 32×32 digits drawn from matplotlib's fonts, every factor of variation known.

A digit of a font is kept as a signed distance field: the distance, in pixels, from each point to the outline. Slant,
size, rotation, position and an elastic warp then move the points at which the field is read, and a thicker pen is a
number added to it. Rendering is one ``grid_sample`` for many samples at once.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

FONTS = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral",
    "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10", "cmb10",
)  # fmt: skip
SIZES = {"train": 12_000, "validation": 2_000, "test": 4_000}
SIZE = 32  # pixels
_SEEDS = {"train": 101, "validation": 102, "test": 103}
_TEMPLATE = 192  # pixels of a template's side; the digit itself is _DIGIT pixels high
_DIGIT = 112
_SUPERSAMPLE = 2

# name: (lowest, highest), drawn uniformly
RANGES = {
    "slant": (-0.30, 0.30),  # shear: horizontal shift per unit of height
    "thickness": (-0.4, 0.9),  # pixels added to the outline on either side
    "height": (17.0, 23.0),  # pixels
    "aspect": (0.8, 1.15),  # stretch of the width
    "rotation": (-0.17, 0.17),  # radians
    "dx": (-2.5, 2.5),  # pixels to the right
    "dy": (-2.5, 2.5),  # pixels down
    "elastic": (0.0, 1.2),  # pixels, amplitude of the warp
}


@dataclass(frozen=True)
class Factors:
    """What each glyph was made from; every field has one row a sample.

    Attributes:
        digit: (N,) int64, 0…9.
        font: (N,) int64, index into :data:`FONTS`.
        continuous: name → (N,) float32, in the units and bounds of :data:`RANGES`.
        warp: (N, 2, 4, 4) float32, the elastic displacement at a 4×4 grid of control points, before its amplitude.
    """

    digit: Tensor
    font: Tensor
    continuous: dict[str, Tensor]
    warp: Tensor

    def __len__(self) -> int:
        return len(self.digit)

    def __getitem__(self, rows: slice) -> "Factors":
        continuous = {name: values[rows] for name, values in self.continuous.items()}
        return Factors(self.digit[rows], self.font[rows], continuous, self.warp[rows])


def draw_factors(count: int, generator: torch.Generator) -> Factors:
    """Independent factors for ``count`` glyphs."""
    digit = torch.randint(10, (count,), generator=generator)
    font = torch.randint(len(FONTS), (count,), generator=generator)
    continuous = {
        name: low + (high - low) * torch.rand(count, generator=generator) for name, (low, high) in RANGES.items()
    }
    return Factors(digit, font, continuous, torch.randn(count, 2, 4, 4, generator=generator))


@lru_cache(maxsize=1)
def _distance_fields() -> Tensor:
    """Signed distances, (fonts·10, 1, _TEMPLATE, _TEMPLATE), negative inside, in units of the digit's height."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fields = [_distance_field(folder / f"{font}.ttf", str(digit)) for font in FONTS for digit in range(10)]
    return torch.from_numpy(np.stack(fields))[:, None]


def _distance_field(font_file: Path, text: str) -> np.ndarray:
    # Scaled so that every digit is equally high: fonts differ in how much of the em their digits fill.
    trial = ImageFont.truetype(font_file, 100).getbbox(text)
    font = ImageFont.truetype(font_file, round(100 * _DIGIT / (trial[3] - trial[1])))
    left, top, right, bottom = font.getbbox(text)
    image = Image.new("L", (_TEMPLATE, _TEMPLATE))
    corner = ((_TEMPLATE - right - left) / 2, (_TEMPLATE - bottom - top) / 2)
    ImageDraw.Draw(image).text(corner, text, fill=255, font=font)
    inside = np.asarray(image) > 127
    signed = scipy.ndimage.distance_transform_edt(~inside) - scipy.ndimage.distance_transform_edt(inside)
    return (signed / _DIGIT).astype(np.float32)


def _sampling_grid(factors: Factors) -> Tensor:
    """Where each output pixel reads its template: (N, H, W, 2) in ``grid_sample``'s coordinates."""
    value = {name: column[:, None, None] for name, column in factors.continuous.items()}
    side = SIZE * _SUPERSAMPLE
    axis = (torch.arange(side) + 0.5) / _SUPERSAMPLE - SIZE / 2  # pixels from the centre
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    warp = F.interpolate(factors.warp, size=(side, side), mode="bicubic", align_corners=True)
    x = x + value["elastic"] * warp[:, 0] - value["dx"]
    y = y + value["elastic"] * warp[:, 1] - value["dy"]
    cos, sin = value["rotation"].cos(), value["rotation"].sin()
    x, y = cos * x + sin * y, cos * y - sin * x
    x = (x + value["slant"] * y) / value["aspect"]
    to_template = 2 * _DIGIT / _TEMPLATE / value["height"]
    return torch.stack([x * to_template, y * to_template], dim=-1)


def render(factors: Factors) -> Tensor:
    """Draw glyphs: white on black, (N, 1, 32, 32) uint8."""
    chunks = [_render(factors[start : start + 1000]) for start in range(0, len(factors), 1000)]
    return torch.cat(chunks)


def _render(factors: Factors) -> Tensor:
    fields = _distance_fields()[factors.font * 10 + factors.digit]
    distance = F.grid_sample(fields, _sampling_grid(factors), padding_mode="border", align_corners=False)
    height = factors.continuous["height"][:, None, None, None]
    pixels = distance * height - factors.continuous["thickness"][:, None, None, None]
    coverage = (0.5 - pixels * _SUPERSAMPLE).clamp(0, 1)
    return (F.avg_pool2d(coverage, _SUPERSAMPLE) * 255).round().to(torch.uint8)


@lru_cache(maxsize=6)
def glyphs(split: str, limit: int | None = None) -> tuple[Tensor, Factors]:
    """The fixed data set: images (N, 1, 32, 32) uint8 and the factors they were drawn from.

    Args:
        split: ``"train"`` (12,000), ``"validation"`` (2,000) or ``"test"`` (4,000); drawn from different seeds.
        limit: only the first so many; a prefix of the whole.
    """
    factors = draw_factors(SIZES[split], torch.Generator().manual_seed(_SEEDS[split]))[slice(limit)]
    return render(factors), factors
