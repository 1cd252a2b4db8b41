"""Recipes of the RAE chapter: everything needed to train one model at one scale.

The thesis gives no loss weights. Ours come from the authors' released configurations for MNIST (which glyphs, digits
and Fashion-MNIST borrow), CIFAR-10 and CelebA. Those are weights beside a *mean* over pixels; ``thesis`` recipes use
the sum that Eq 3.8 writes, and so multiply them by what the mean divides by: the same minimizer. Two kinds of weights
are ours, for want of any: the gradient penalty's, since the released one belongs to another quantity (see
:func:`teachlib.rae.gradient_penalty`), and those of combinations (Table A.3); see :data:`OURS`.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

from teachlib import data
from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.rae.losses import KERNELS
from teachlib.scale import Scale

Variant = Literal["thesis", "released"]
Like = Literal["mnist", "cifar10", "celeba"]

BASELINES = ("vae", "cv-vae", "wae", "2s-vae")
REGULARIZED = ("rae", "rae-l2", "rae-gp", "rae-sn", "ae", "ae-l2")
COMBINED = ("rae-gp-l2", "rae-l2-sn", "rae-sn-gp", "rae-l2-sn-gp")
RECIPES = (*BASELINES, *REGULARIZED, *COMBINED)

_LATENT = {"mnist": 16, "cifar10": 128, "celeba": 64}  # thesis App. A.1.2
_WIDTH = {Scale.CI: 4, Scale.LAPTOP: 8, Scale.PAPER: 128}
_STEPS = {Scale.CI: 30, Scale.LAPTOP: 2_000}
_EPOCH = {"mnist": 500, "cifar10": 400, "celeba": 1_628}  # updates of 100 images
_EPOCHS = {"mnist": 100, "cifar10": 100, "celeba": 70}  # thesis App. A.1.2
_SHORT = ("wae", "cv-vae", "rae-gp")  # 70 epochs of CIFAR-10 in the released configuration

# The released configuration, its names: KL, MMD, β ("embedding weight"), λ of L2 and of the gradient penalty.
_RELEASED: dict[Like, dict[str, dict[str, float]]] = {
    "mnist": {
        "vae": {"kl": 0.312},
        "cv-vae": {"kl": 0.039},
        "wae": {"mmd": 3e-2},
        "rae": {"beta": 5e-4},
        "rae-l2": {"beta": 1e-4, "l2": 1e-7},
        "rae-gp": {"beta": 1e-4, "gp": 5e-8},
        "rae-sn": {"beta": 9e-3},
        "ae": {},
        "ae-l2": {"l2": 1e-7},
    },
    "cifar10": {
        "vae": {"kl": 0.024},
        "cv-vae": {"kl": 9e-4},
        "wae": {"mmd": 6e-3},
        "rae": {"beta": 1e-2},
        "rae-l2": {"beta": 1e-3, "l2": 1e-6},
        "rae-gp": {"beta": 9e-4, "gp": 0.0},  # shipped with weight 0
        "rae-sn": {"beta": 3e-2},
        "ae": {},
        "ae-l2": {"l2": 1e-6},
    },
    "celeba": {
        "vae": {"kl": 0.09024},
        "cv-vae": {"kl": 0.01},
        "wae": {"mmd": 100 / (0.05 * 3 * 64**2)},  # 100 beside 0.05·Σ of squares; Adam does not mind the scale
        "rae": {"beta": 1e-4},
        "rae-l2": {"beta": 1e-4, "l2": 1e-7},
        "rae-gp": {"beta": 1e-4, "gp": 1e-7},
        "rae-sn": {"beta": 2.4e-3},
        "ae": {},
        "ae-l2": {"l2": 1e-6},
    },
}
# Weights that were never published: combinations take their parts' weights, the norm's β where there is a norm, and a
# gradient penalty per pixel that a sweep on glyphs chose (benchmarks/gradient_weight.py): of 10⁻⁶ … 3·10⁻⁴ the largest
# that does not hurt reconstruction; the Jacobian is then 2.6 times smaller than with a tenth of it.
OURS = {"gp": 1e-5}
_FACTORS = {"times_beta": ("beta", "kl_weight"), "times_lambda": ("lambda_", "gradient_weight")}


@dataclass(frozen=True)
class Recipe:
    """One model of the chapter, ready to train. ``dataclasses.replace`` makes others of it, such as a β-VAE.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of :data:`teachlib.data.CATALOGUE`.
        scale: the scale the sizes were chosen for.
        variant: ``thesis`` (Eqs 3.5, 3.11; Table A.1; learning rate 10⁻³) or ``released`` (the authors' code:
            per-pixel means, its learning rates and epochs, no batch norm after the decoder's linear layer, its
            framework's initialization and batch norm, transposed convolutions alone regularized on 32×32, log σ =
            5·tanh, its own gradient penalty, spectral norm on the encoder too).
        width: filters of the first convolution; the thesis: 128.
        latent: dimension of the code.
        kl_weight: weight of KL in the loss; ``None`` for deterministic models.
        beta: β of Eq 3.11.
        lambda_: λ of Eq 3.11 for the L2 regularizer.
        learning_rate: Adam's.
        batch_size: images a step, over all devices.
        steps: updates in all.
        plateau_patience: validations without improvement before the learning rate is halved.
        channels: of the images.
        size: side of the images in pixels.
        deviation: the constant σ of a CV-VAE's posterior; ``None`` where it is learned, or there is none.
        draws: k of Eq 3.7, draws from the posterior an image.
        mmd_weight: weight of the discrepancy between codes and prior (WAE).
        kernel: of the discrepancy, ``imq`` or ``rbf``.
        gradient_weight: λ of Eq 3.11 for the gradient penalty.
        gradient_share: share of the updates that compute the gradient penalty, with a weight that makes up for the
            others ("lazy regularization", Karras et al., 2020): its second derivatives cost twice what the rest does.
        spectral: whether the decoder's layers are spectrally normalized.
        input_noise: standard deviation of noise on the encoder's input, cut off there (released WAE on CelebA).
        second_stage: weight of KL in a second VAE on the codes; ``None`` for no second stage.
        times_beta: what β, or a VAE's weight of KL, was multiplied by: a β-VAE, a RAE of looser or tighter codes.
        times_lambda: what λ of both penalties was multiplied by.
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
    channels: int = 1
    size: int = 32
    deviation: float | None = None
    draws: int = 1
    mmd_weight: float = 0.0
    kernel: str = "imq"
    gradient_weight: float = 0.0
    gradient_share: float = 1.0
    spectral: bool = False
    input_noise: float = 0.0
    second_stage: float | None = None
    times_beta: float = 1.0
    times_lambda: float = 1.0

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("recipe", self.name, RECIPES),
            ("variant", self.variant, ("thesis", "released")),
            ("kernel", self.kernel, KERNELS),
        ):
            if value not in known:
                raise unknown(kind, value, known)
        require_at_least(1, width=self.width, latent=self.latent, draws=self.draws, steps=self.steps)
        require_at_least(0, kl_weight=self.kl_weight, mmd_weight=self.mmd_weight, second_stage=self.second_stage)
        require_at_least(0, times_beta=self.times_beta, times_lambda=self.times_lambda)
        require_at_least(0, beta=self.beta, lambda_=self.lambda_, gradient_weight=self.gradient_weight)
        require_at_least(0, input_noise=self.input_noise)
        require_positive(learning_rate=self.learning_rate, deviation=self.deviation, gradient_share=self.gradient_share)
        if self.gradient_share > 1:
            raise TeachlibError(f"gradient_share is {self.gradient_share:g}; expected a share of each batch, at most 1")

    @property
    def stochastic(self) -> bool:
        """Whether training draws codes from a distribution."""
        return self.kl_weight is not None

    @property
    def learned_variance(self) -> bool:
        """Whether the encoder emits a variance."""
        return self.stochastic and self.deviation is None

    @property
    def fixed_prior(self) -> bool:
        """Whether samples are drawn from N(0, I) (App. A.1.3: VAE and WAE); others have a Gaussian fitted."""
        return self.learned_variance or self.mmd_weight > 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def like(dataset: str) -> Like:
    """The data set of the thesis whose networks and weights this one takes, by the size and colours of its images.

    Raises:
        TeachlibError: unknown data set, or images that no network of the chapter is made for.
    """
    channels, size, _ = data.entry(dataset).shape
    if channels == 1 and size <= 32:
        return "mnist"
    if size in (32, 64):
        return "cifar10" if size == 32 else "celeba"
    raise TeachlibError(f"{dataset}: images of {channels}×{size}×{size}; this chapter's networks take 32 or 64 a side")


def _loss_weights(name: str, kind: Like, variant: Variant, channels: int) -> dict[str, Any]:
    published = _RELEASED[kind]
    parts = published.get(name) or _combination(name, published)
    size = 64 if kind == "celeba" else 32
    thesis = variant == "thesis"
    pixels = channels * size**2 if thesis else 1  # a sum over pixels, or their mean
    # The code's latent term is β_code·mean(z²), Eq 3.11's is β·½‖z‖²: twice the weight over d.
    per_dimension = 2 / _LATENT[kind] if thesis else 1
    penalty = OURS["gp"] if thesis else parts.get("gp", 0.0)
    kl = parts.get("kl")
    return {
        # The released VAE sums over places and takes the mean over channels.
        "kl_weight": None if kl is None else kl * (channels if thesis else 1),
        "deviation": 0.7 if name == "cv-vae" else None,
        "mmd_weight": pixels * parts.get("mmd", 0.0),
        "beta": pixels * per_dimension * parts.get("beta", 0.0),
        "lambda_": pixels * parts.get("l2", 0.0),
        "gradient_weight": pixels * penalty if "gp" in name.split("-") else 0.0,
        "spectral": "sn" in name.split("-"),
        "input_noise": 0.01 if (name, kind, variant) == ("wae", "celeba", "released") else 0.0,
        "second_stage": {"mnist": 1.5e-3, "cifar10": 1e-3, "celeba": 2e-3}[kind] if name == "2s-vae" else None,
    }


def _combination(name: str, published: dict[str, dict[str, float]]) -> dict[str, float]:
    """The weights of a recipe's parts; of several β the largest, which the norm needs."""
    if name == "2s-vae":
        return published["vae"]
    merged: dict[str, float] = {}
    for part in name.split("-")[1:]:
        for key, value in published[f"rae-{part}"].items():
            merged[key] = max(value, merged.get(key, 0.0))
    return merged


def _schedule(name: str, kind: Like, variant: Variant, scale: Scale) -> dict[str, Any]:
    epochs = _EPOCHS[kind]
    rate, batch_size = 1e-3, 100
    if variant == "released":
        epochs = 70 if kind == "cifar10" and name in _SHORT else 100 if (name, kind) == ("ae-l2", "celeba") else epochs
        if name in ("vae", "cv-vae", "2s-vae"):
            rate = 1e-4
        elif name != "wae" and kind != "celeba":
            rate = 5e-4
        batch_size = 1000 if (name, kind) == ("vae", "celeba") else 100
    updates = epochs * math.ceil(_EPOCH[kind] * 100 / batch_size)
    return {
        "learning_rate": rate,
        "batch_size": batch_size,
        "steps": _STEPS.get(scale, updates),
        "plateau_patience": 5,
    }


def recipe(
    name: str,
    dataset: str = "glyphs",
    *,
    scale: str | Scale | None = None,
    variant: str = "thesis",
    width: int | None = None,
    steps: int | None = None,
    times_beta: float = 1.0,
    times_lambda: float = 1.0,
) -> Recipe:
    """The recipe called ``name`` for one data set and scale.

    Args:
        name: of :data:`RECIPES`.
        dataset: of the catalogue.
        scale: ``ci``, ``laptop`` or ``paper``; see :func:`teachlib.scale.Scale.of`.
        variant: ``thesis`` or ``released``.
        width: other than the scale's (4, 8, 128).
        steps: other than the scale's.
        times_beta: multiplies β of Eq 3.11, and a VAE's weight of KL.
        times_lambda: multiplies λ of the L2 and of the gradient penalty.

    Raises:
        TeachlibError: unknown recipe, data set, scale or variant; a width or number of steps below one; a combination,
            of which nothing was released, as ``released``; a factor below zero, or of a weight that the recipe has not.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if variant not in ("thesis", "released"):
        raise unknown("variant", variant, ("thesis", "released"))
    if variant == "released" and name in COMBINED:
        raise TeachlibError(f"{name}: nothing of the combinations was released; take variant='thesis'")
    require_at_least(1, width=width, steps=steps)
    kind, chosen, known = like(dataset), Scale.of(scale), cast(Variant, variant)
    described = data.entry(dataset)
    narrow = chosen is Scale.PAPER and (name, kind, variant) == ("cv-vae", "celeba", "released")
    settings = _schedule(name, kind, known, chosen) | _loss_weights(name, kind, known, described.shape[0])
    if settings["gradient_weight"] and chosen is not Scale.PAPER:
        settings["gradient_share"] = 0.25
    settings |= _multiplied(name, settings, times_beta=times_beta, times_lambda=times_lambda)
    return Recipe(
        name=name,
        dataset=described.name,
        scale=chosen.value,
        variant=known,
        width=width or (64 if narrow else _WIDTH[chosen]),
        latent=_LATENT[kind],
        channels=described.shape[0],
        size=64 if kind == "celeba" else 32,
        **settings | ({"steps": steps} if steps else {}),
    )


def _multiplied(name: str, settings: dict[str, Any], **factors: float) -> dict[str, Any]:
    """The weights that the factors change, and the factors."""
    require_at_least(0, **factors)
    changed: dict[str, Any] = dict(factors)
    for factor, weights in _FACTORS.items():
        of = {weight: settings[weight] for weight in weights if settings[weight]}
        if factors[factor] != 1 and not of:
            raise TeachlibError(f"{name} has no weight that {factor} multiplies; leave it at 1")
        changed |= {weight: factors[factor] * value for weight, value in of.items()}
    return changed


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.as_dict` wrote.

    Raises:
        TeachlibError: not a recipe of this chapter.
    """
    try:
        return Recipe(**values)
    except TypeError:
        raise TeachlibError(f"not a recipe of the RAE chapter: {values}") from None


def load(dataset: str, split: str, *, limit: int | None = None) -> data.ImageData:
    """A split at the size that this chapter's networks take: 64×64 pixels for CelebA, else 32×32.

    Raises:
        TeachlibError: as :func:`teachlib.data.load`; images of which the chapter has no network.
    """
    return data.load(dataset, split, size=64 if like(dataset) == "celeba" else 32, limit=limit)
