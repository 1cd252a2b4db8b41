"""Recipes of InvGAN: one objective, of which each model has a part (thesis § 6.4.4).

The thesis gives none of the weights, widths and kernels; all numbers are ours, chosen on validation images of MNIST.
"""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib import data
from teachlib.data import ImageData
from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.invgan.networks import BACKBONES
from teachlib.scale import Scale

# What each model adds to the one before; Figure 6.6 has the first three, "gan" is for comparison.
RECIPES = ("gan", "invgan-naive", "invgan-augmented", "invgan")
_STEPS = {Scale.CI: 20, Scale.LAPTOP: 4_000, Scale.PAPER: 100_000}
_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 16, Scale.PAPER: 64}
_CODES = {Scale.CI: 16, Scale.LAPTOP: 32, Scale.PAPER: 128}
_STYLEGAN_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 32, Scale.PAPER: 512}


@dataclass(frozen=True)
class Recipe:
    """One model of the chapter, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of the catalogue, or a folder.
        scale: the scale the sizes were chosen for.
        backbone: of :data:`teachlib.invgan.networks.BACKBONES`.
        shape: of an image as the networks see it.
        width: of the networks.
        w_dim: of codes.
        steps: updates in all.
        codes: weight of ‖w − w̃‖²; 0: nothing is inferred.
        reinjects: whether half of the codes are those inferred from the batch before.
        pixels: weight of the mean absolute error of reconstructions; 0: none are made.
        features: weight of feature matching.
        reinference: weight of ‖w_R − w̃_R‖², the codes of reconstructions.
        discrepancy: weight of the MMD between inferred codes and the prior.
        learning_rate: Adam's.
        batch_size: images a step, over all devices.
        ema_half_life: of the average of the weights, in thousands of images.
        plateau_patience: none; rates stay as they are.
    """

    name: str
    dataset: str
    scale: str
    backbone: str
    shape: tuple[int, int, int]
    width: int
    w_dim: int
    steps: int
    codes: float = 0.0
    reinjects: bool = False
    pixels: float = 0.0
    features: float = 0.0
    reinference: float = 0.0
    discrepancy: float = 0.0
    learning_rate: float = 5e-4
    batch_size: int = 64
    ema_half_life: float = 10.0
    plateau_patience: int | None = None

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise unknown("recipe", self.name, RECIPES)
        if self.backbone not in BACKBONES:
            raise unknown("backbone", self.backbone, BACKBONES)
        require_at_least(1, width=self.width, w_dim=self.w_dim, steps=self.steps)
        require_positive(learning_rate=self.learning_rate, ema_half_life=self.ema_half_life)
        require_at_least(
            0,
            codes=self.codes,
            pixels=self.pixels,
            features=self.features,
            reinference=self.reinference,
            discrepancy=self.discrepancy,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "mnist",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    backbone: str = "dcgan",
    pixels: float = 10.0,
    features: float = 1.0,
    reinference: float = 1.0,
    discrepancy: float = 1.0,
) -> Recipe:
    """A recipe by name.

    Args:
        name: of :data:`RECIPES`.
        dataset: of the catalogue, or as :func:`teachlib.data.folder_name` gives it; images of 28 to 64 pixels.
        scale: decides sizes and steps.
        width: other than the scale's.
        steps: other than the scale's.
        backbone: of :data:`teachlib.invgan.networks.BACKBONES`.
        pixels: weight of the reconstruction's error in pixels, where the model reconstructs at all.
        features: weight of feature matching, likewise.
        reinference: weight of the error of codes that are inferred twice, likewise.
        discrepancy: weight of the MMD, likewise.

    Raises:
        TeachlibError: unknown name, data set, scale or backbone; sizes below one; images of another size.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    require_at_least(1, width=width, steps=steps)
    chosen, full = Scale.of(scale), name == "invgan"
    styles = backbone == "stylegan2"
    return Recipe(
        name=name,
        dataset=dataset,
        scale=chosen.value,
        backbone=backbone,
        shape=_shape(dataset),
        width=width or (_STYLEGAN_WIDTH if styles else _WIDTH)[chosen],
        w_dim=_CODES[chosen],
        steps=steps or _STEPS[chosen],
        codes=0.0 if name == "gan" else 1.0,
        reinjects=name in ("invgan-augmented", "invgan"),
        pixels=pixels * full,
        features=features * full,
        reinference=reinference * full,
        discrepancy=discrepancy * full,
    )


def _shape(dataset: str) -> tuple[int, int, int]:
    """Of the images that the networks take."""
    channels, side, _ = data.entry(dataset).shape
    if side > 64:
        raise TeachlibError(f"images of {side} pixels a side in {dataset}; InvGAN here takes 32 or 64")
    size = 32 if side <= 32 else 64
    return channels, size, size


def load(dataset: str, split: str, limit: int | None = None) -> ImageData:
    """A split at the size that the networks take; see :func:`teachlib.data.load`."""
    return data.load(dataset, split, size=_shape(dataset)[1], limit=limit)
