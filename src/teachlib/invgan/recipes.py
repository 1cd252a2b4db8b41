"""Recipes of InvGAN: one objective, of which each model has a part (thesis § 6.4.4).

The thesis gives none of the weights, widths and kernels; all numbers are ours, chosen on validation images of MNIST.
"""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib.data import ImageData
from teachlib.errors import TeachlibError, refuse_unused, require_at_least, require_positive, unknown
from teachlib.invgan import pictures
from teachlib.invgan.networks import BACKBONES
from teachlib.scale import Scale

# What each model adds to the one before, Figure 6.6 has three of them; the last one is ours, and takes something away:
# all codes of the game come from the prior, and codes of real pictures are decoded for reconstructions alone.
OWN = ("gan", "invgan-naive", "invgan-augmented", "invgan", "invgan-direct")
# Other models with a way back, of networks of the same kind; see :mod:`teachlib.invgan.rivals`.
RIVALS = ("autoencoder", "bigan", "alae", "vae-gan")
RECIPES = OWN + RIVALS
_STEPS = {Scale.CI: 20, Scale.LAPTOP: 4_000, Scale.PAPER: 100_000}
_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 16, Scale.PAPER: 64}
_CODES = {Scale.CI: 16, Scale.LAPTOP: 32, Scale.PAPER: 128}
_STYLEGAN_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 32, Scale.PAPER: 512}
# StyleGAN2's own rate: its layers are equalized, and learn too slowly at DCGAN's (heads: error .118 after 8,000 steps).
_STYLEGAN_RATE = 2e-3
_STYLEGAN_STEPS = {**_STEPS, Scale.LAPTOP: 12_000}
_ORTHOGONAL = 1e-4  # BigGAN's


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
        game: weight of the adversarial game; 0: none is played.
        codes: weight of ‖w − w̃‖²; 0: codes of samples are not inferred.
        reinjects: share of the codes of the game that are inferred from the batch before.
        pixels: weight of the mean absolute error of reconstructions; 0: none are made.
        features: weight of feature matching.
        reinference: weight of ‖w_R − w̃_R‖², the codes of reconstructions.
        discrepancy: weight of the MMD between inferred codes and the prior.
        smoothness: weight of the penalty of uneven steps (:func:`teachlib.invgan.losses.unevenness`).
        paths: weight of the same penalty of StyleGAN2's path lengths, of pixels.
        classes: how many the networks are told; 0: none.
        without: class that training images must not have; -1: all are there.
        orthogonal: weight of the generator's penalty, where the backbone is BigGAN.
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
    game: float = 1.0
    codes: float = 0.0
    reinjects: float = 0.0
    pixels: float = 0.0
    features: float = 0.0
    reinference: float = 0.0
    discrepancy: float = 0.0
    smoothness: float = 0.0
    paths: float = 0.0
    classes: int = 0
    without: int = -1
    orthogonal: float = 0.0
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
        if self.reinjects > 1:
            raise TeachlibError(f"reinjects is {self.reinjects}; expected a share, 0 … 1")
        require_positive(learning_rate=self.learning_rate, ema_half_life=self.ema_half_life)
        require_at_least(
            0,
            codes=self.codes,
            reinjects=self.reinjects,
            pixels=self.pixels,
            features=self.features,
            reinference=self.reinference,
            discrepancy=self.discrepancy,
            game=self.game,
            smoothness=self.smoothness,
            paths=self.paths,
            classes=self.classes,
            orthogonal=self.orthogonal,
        )
        require_at_least(-1, without=self.without)
        if self.classes and (self.backbone != "biggan" or self.name not in OWN):
            raise TeachlibError("classes are told to BigGAN's networks alone; take a GAN or InvGAN, --backbone biggan")

    @property
    def size(self) -> int:
        """Side of an image, in pixels."""
        return self.shape[1]

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
    reinjects: float = 0.5,
    pixels: float = 10.0,
    features: float = 1.0,
    reinference: float = 1.0,
    discrepancy: float = 1.0,
    smoothness: float = 0.0,
    paths: float = 0.0,
    classes: bool = False,
    without: int = -1,
    resolution: int = 0,
) -> Recipe:
    """A recipe by name.

    Args:
        name: of :data:`RECIPES`.
        dataset: of the catalogue, of :data:`teachlib.invgan.pictures.SETS`, or as :func:`teachlib.data.folder_name`
            gives it; images of 128 pixels at most.
        scale: decides sizes and steps.
        width: other than the scale's.
        steps: other than the scale's.
        backbone: of :data:`teachlib.invgan.networks.BACKBONES`.
        reinjects: share of the game's codes that are inferred from the batch before, where a model has any.
        pixels: weight of the reconstruction's error in pixels, where the model reconstructs at all.
        features: weight of feature matching, likewise.
        reinference: weight of the error of codes that are inferred twice, likewise.
        discrepancy: weight of the MMD, likewise.
        smoothness: weight of the penalty of uneven steps, of the discriminator's features.
        paths: weight of the same penalty of StyleGAN2's path lengths, of pixels.
        classes: tell the networks, of the backbone biggan, which class an image has.
        without: leave a class out of the training images; -1: none.
        resolution: of the networks, 32, 64 or 128; 0: what fits the data set.

    Raises:
        TeachlibError: unknown name, data set, scale or backbone; sizes below one; images of another size; an
            option that the recipe has no use for.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    require_at_least(1, width=width, steps=steps)
    chosen, full = Scale.of(scale), name in ("invgan", "invgan-direct")
    styled = backbone == "stylegan2"
    if (name == "gan" or name in RIVALS) and smoothness + paths:
        raise TeachlibError(f"{name}: steps are evened out in InvGANs alone; leave smoothness and paths at 0")
    rebuilds = full or name == "autoencoder"
    refuse_unused(
        name,
        {
            "reinjects": (reinjects, 0.5, name in ("invgan-augmented", "invgan")),
            "pixels": (pixels, 10.0, rebuilds),
            "features": (features, 1.0, full),
            "reinference": (reinference, 1.0, full),
            "discrepancy": (discrepancy, 1.0, rebuilds),
        },
    )
    return Recipe(
        name=name,
        dataset=dataset,
        scale=chosen.value,
        backbone=backbone,
        shape=pictures.shape_of(dataset, resolution),
        width=width or (_STYLEGAN_WIDTH if styled else _WIDTH)[chosen],
        w_dim=_CODES[chosen],
        steps=steps or (_STYLEGAN_STEPS if styled else _STEPS)[chosen],
        game=0.0 if name == "autoencoder" else 1.0,
        codes=0.0 if name in ("gan", "autoencoder", "vae-gan") else 1.0,
        reinjects=reinjects if name in ("invgan-augmented", "invgan") else 0.0,
        pixels=pixels * rebuilds,
        features=features * full,
        reinference=reinference * full,
        discrepancy=discrepancy * rebuilds,
        smoothness=smoothness,
        paths=paths,
        classes=pictures.classes_of(dataset) if classes else 0,
        without=without,
        orthogonal=_ORTHOGONAL if backbone == "biggan" else 0.0,
        learning_rate=_STYLEGAN_RATE if styled else 5e-4,
        batch_size=32 if styled else 64,
    )


def load(recipe: Recipe, split: str, limit: int | None = None) -> ImageData:
    """A split of a recipe's data set, at the size that its networks take; see :func:`teachlib.invgan.pictures.load`.

    A class that the recipe leaves out is missing wherever it trains or validates; tests have all.
    """
    whole = pictures.load(recipe.dataset, split, recipe.shape[1], limit)
    return whole if recipe.without < 0 or split == "test" else pictures.without_class(whole, recipe.without)
