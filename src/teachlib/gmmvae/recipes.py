"""Recipes of the GMM-VAE chapter: the model in three kinds of training, and what it is compared with.

No code was published. From the thesis (§4.8.1) come the latent dimensions, the means, the variance 1/3000 on MNIST,
ReLU, sigmoid, Adam, and 100 labels a class; the rest (α, widths, batch norm, shifts by two pixels, lengths) is ours,
chosen on validation images of MNIST and the glyphs.
"""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib import data
from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.gmmvae.mixture import PLACEMENTS, Placement, component_variance
from teachlib.scale import Scale

MIXTURES = ("gmm-vae", "gmm-vae-semi", "gmm-vae-variable")
BASELINES = ("cnn", "cnn-adversarial", "magnet")
RECIPES = (*MIXTURES, *BASELINES)

_WIDTH = {Scale.CI: 4, Scale.LAPTOP: 16, Scale.PAPER: 64}
_EPOCHS = 60  # at paper scale
_STEPS = {Scale.CI: 40, Scale.LAPTOP: 4_000}
_LATENT = {"svhn": 32, "colour-glyphs": 32}  # thesis §4.8.1: 32 for SVHN, else as many as classes
LABELS_PER_CLASS = 100  # thesis §4.8.3
ALPHA = 300.0


@dataclass(frozen=True)
class Recipe:
    """One model of the chapter, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of :data:`teachlib.data.CATALOGUE`.
        scale: the scale the sizes were chosen for.
        classes: k.
        latent: d, dimension of the code.
        width: filters of the first convolution.
        channels: of the images.
        size: side of the images in pixels.
        learning_rate: Adam's.
        batch_size: images a step, over all devices.
        steps: updates in all.
        variance: σ², of the encoder's noise and of each component.
        placement: of the means; see :func:`teachlib.gmmvae.class_means`.
        alpha: α of Eq 4.6.
        labels_per_class: labels that training may see (``gmm-vae-semi``); ``None`` for all.
        shift: pixels by which training images are moved at random, at most.
        epsilon: radius of the L∞ ball of adversarial training (``cnn-adversarial``).
        plateau_patience: validations without improvement before the learning rate is halved.
    """

    name: str
    dataset: str
    scale: str
    classes: int
    latent: int
    width: int
    channels: int
    size: int
    learning_rate: float
    batch_size: int
    steps: int
    variance: float
    placement: Placement = "one-hot"
    alpha: float = ALPHA
    labels_per_class: int | None = None
    shift: int = 2
    epsilon: float = 0.0
    plateau_patience: int = 3

    def __post_init__(self) -> None:
        for kind, value, known in (("recipe", self.name, RECIPES), ("placement", self.placement, PLACEMENTS)):
            if value not in known:
                raise unknown(kind, value, known)
        require_at_least(1, width=self.width, latent=self.latent, steps=self.steps)
        require_at_least(1, labels_per_class=self.labels_per_class)
        require_at_least(0, alpha=self.alpha, shift=self.shift, epsilon=self.epsilon)
        require_positive(learning_rate=self.learning_rate, variance=self.variance)

    @property
    def learned_variance(self) -> bool:
        """Whether the encoder emits a variance (thesis §4.8.7)."""
        return self.name == "gmm-vae-variable"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def image_size(dataset: str, scale: Scale) -> int:
    """Side of the images: COIL's 128 pixels at paper scale, what a folder of pictures has, and 32 everywhere else.

    Raises:
        TeachlibError: a folder of pictures that cannot be halved down to 4 pixels.
    """
    if data.is_folder(dataset):
        size = data.entry(dataset).shape[1]
        if size < 8 or size & (size - 1):
            raise TeachlibError(f"{dataset}: images of {size} pixels a side; this chapter takes 8, 16, 32, 64, 128 …")
        return size
    return 128 if dataset.startswith("coil") and scale is Scale.PAPER else 32


def recipe(
    name: str,
    dataset: str = "glyphs",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    alpha: float = ALPHA,
    epsilon: float = -1.0,
) -> Recipe:
    """The recipe called ``name`` for one data set and scale.

    Args:
        name: of :data:`RECIPES`.
        dataset: of the catalogue.
        scale: ``ci``, ``laptop`` or ``paper``; see :func:`teachlib.scale.Scale.of`.
        width: other than the scale's (4, 16, 64).
        steps: other than the scale's.
        alpha: α of Eq 4.6.
        epsilon: radius of the L∞ ball of adversarial training; −1: the usual one.

    Raises:
        TeachlibError: unknown recipe, data set or scale; a width or number of steps below one; a weight or radius below
            zero, or for a recipe that has none.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    require_at_least(1, width=width, steps=steps)
    if epsilon != -1:
        require_at_least(0, epsilon=epsilon)
    if alpha != ALPHA and name not in MIXTURES:
        raise TeachlibError(f"{name} has no Eq 4.6 with an alpha; leave it out, or train one of {', '.join(MIXTURES)}")
    if epsilon != -1 and name != "cnn-adversarial":
        raise TeachlibError(f"{name} is not trained on attacked images; leave epsilon out, or train cnn-adversarial")
    described, chosen = data.entry(dataset), Scale.of(scale)
    if described.classes < 2:
        raise TeachlibError(f"{dataset}: {described.classes} classes; a classifier needs two: a folder each")
    size = image_size(dataset, chosen)
    latent = _LATENT.get(dataset, described.classes)
    batch_size = 100
    return Recipe(
        name=name,
        dataset=described.name,
        scale=chosen.value,
        classes=described.classes,
        latent=latent,
        width=width or _WIDTH[chosen],
        channels=described.shape[0],
        size=size,
        learning_rate=1e-3,
        batch_size=batch_size,
        steps=steps or _STEPS.get(chosen, _EPOCHS * (described.splits["train"] // batch_size)),
        variance=component_variance(latent),
        alpha=alpha,
        labels_per_class=LABELS_PER_CLASS if name == "gmm-vae-semi" else None,
        epsilon=epsilon if epsilon != -1 else 0.1 if name == "cnn-adversarial" else 0.0,
    )


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.as_dict` wrote.

    Raises:
        TeachlibError: not a recipe of this chapter.
    """
    try:
        return Recipe(**values)
    except TypeError:
        raise TeachlibError(f"not a recipe of the GMM-VAE chapter: {values}") from None


def load(dataset: str, split: str, *, scale: str | Scale | None = None, limit: int | None = None) -> data.ImageData:
    """A split at the size that this chapter's networks take; see :func:`image_size`.

    Raises:
        TeachlibError: as :func:`teachlib.data.load`.
    """
    return data.load(dataset, split, size=image_size(dataset, Scale.of(scale)), limit=limit)
