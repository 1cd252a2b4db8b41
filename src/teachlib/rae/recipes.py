"""Recipes of the RAE chapter: everything needed to train one model at one scale.

The thesis gives no loss weights; ours come from the authors' released configurations (``kl_weight``, β, λ for
MNIST, which glyphs, digits and Fashion-MNIST borrow). Those are weights beside a *mean* over pixels; ``thesis``
recipes use the sum that Eq 3.8 writes, and so multiply them by the number of pixels: the same minimizer.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast

from teachlib import data
from teachlib.errors import TeachlibError, unknown
from teachlib.scale import Scale

Variant = Literal["thesis", "released"]

PIXELS = 32 * 32
LATENT = 16  # thesis App. A.1.2, for MNIST
RECIPES = ("vae", "ae", "rae-l2")
_WIDTH = {Scale.CI: 4, Scale.LAPTOP: 8, Scale.PAPER: 128}
_STEPS = {Scale.CI: 30, Scale.LAPTOP: 2_000, Scale.PAPER: 50_000}  # paper: 100 epochs of 50,000 images


@dataclass(frozen=True)
class Recipe:
    """One model of the chapter, ready to train.

    Attributes:
        name: ``vae``, ``ae`` or ``rae-l2``.
        dataset: of :data:`teachlib.data.CATALOGUE`.
        scale: the scale the sizes were chosen for.
        variant: ``thesis`` (Eqs 3.5, 3.11; Table A.1; learning rate 10⁻³) or ``released`` (the authors' code:
            per-pixel means, its learning rates, no batch norm after the decoder's linear layer, transposed
            convolutions alone regularized, log σ = 5·tanh).
        width: filters of the first convolution; the thesis: 128.
        latent: dimension of the code.
        kl_weight: weight of KL in the VAE's loss; ``None`` for deterministic models.
        beta: β of Eq 3.11.
        lambda_: λ of Eq 3.11.
        learning_rate: Adam's.
        batch_size: images a step, over all devices.
        steps: updates in all.
        plateau_patience: validations without improvement before the learning rate is halved.
    """

    name: str
    dataset: str
    scale: str
    variant: Variant
    width: int
    latent: int
    kl_weight: float | None
    beta: float
    lambda_: float
    learning_rate: float
    batch_size: int
    steps: int
    plateau_patience: int

    @property
    def stochastic(self) -> bool:
        """Whether the encoder emits a distribution."""
        return self.kl_weight is not None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def _weights(name: str, variant: Variant) -> dict[str, Any]:
    """Loss weights and learning rate."""
    pixels = PIXELS if variant == "thesis" else 1  # a sum over pixels, or their mean
    # The code's latent term is β_code·mean(z²), Eq 3.11's is β·½‖z‖²: twice the weight over d.
    per_dimension = 2 / LATENT if variant == "thesis" else 1
    weights: dict[str, Any] = {"kl_weight": None, "beta": 0.0, "lambda_": 0.0}
    if name == "vae":
        weights["kl_weight"] = 0.312
    if name == "rae-l2":
        weights |= {"beta": pixels * per_dimension * 1e-4, "lambda_": pixels * 1e-7}
    released_rate = 1e-4 if name == "vae" else 5e-4
    return {**weights, "learning_rate": 1e-3 if variant == "thesis" else released_rate}


def recipe(
    name: str,
    dataset: str = "glyphs",
    *,
    scale: str | Scale | None = None,
    variant: str = "thesis",
    width: int | None = None,
    steps: int | None = None,
) -> Recipe:
    """The recipe called ``name`` for one data set and scale.

    Args:
        name: of :data:`RECIPES`.
        dataset: of the catalogue.
        scale: ``ci``, ``laptop`` or ``paper``; see :func:`teachlib.scale.Scale.of`.
        variant: ``thesis`` or ``released``.
        width: other than the scale's (4, 8, 128).
        steps: other than the scale's.

    Raises:
        TeachlibError: unknown recipe, data set, scale or variant; a width or number of steps below one.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if variant not in ("thesis", "released"):
        raise unknown("variant", variant, ("thesis", "released"))
    for option, value in (("width", width), ("steps", steps)):
        if value is not None and value < 1:
            raise TeachlibError(f"{option} is {value}; expected at least 1")
    chosen, kind = Scale.of(scale), cast(Variant, variant)
    return Recipe(
        name=name,
        dataset=data.entry(dataset).name,
        scale=chosen.value,
        variant=kind,
        width=width or _WIDTH[chosen],
        latent=LATENT,
        batch_size=100,
        steps=steps or _STEPS[chosen],
        plateau_patience=5,
        **_weights(name, kind),
    )


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.as_dict` wrote.

    Raises:
        TeachlibError: not a recipe of this chapter.
    """
    try:
        return replace(Recipe(**values))
    except TypeError:
        raise TeachlibError(f"not a recipe of the RAE chapter: {values}") from None
