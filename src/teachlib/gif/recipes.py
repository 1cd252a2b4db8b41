"""Recipes of the GIF chapter: one generator, and the ways to tell it what to show (thesis §§ 5.3.4, 5.3.5)."""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib.errors import TeachlibError, refuse_unused, require_at_least, require_positive, unknown
from teachlib.gif.losses import r1_gamma
from teachlib.scale import Scale

# Which renderings a model sees.
RENDERED = {
    "gif": ("colours", "normals"),
    "gif-no-texture-loss": ("colours", "normals"),
    "gif-normals": ("normals",),
    "gif-texture": ("colours",),
}
# How the discriminator sees a vector; the generator maps it together with the style.
VECTORS = {
    "gif-vector": "subtraction",  # as printed (App. B.1.1)
    "gif-vector-concatenation": "concatenation",
    "gif-vector-projection": "projection",
}
REINFERENCE = "reinference"
RECIPES = (*RENDERED, *VECTORS, REINFERENCE)

_STEPS = {Scale.CI: 40, Scale.LAPTOP: 2_000, Scale.PAPER: 300_000}
_READING_STEPS = {Scale.CI: 40, Scale.LAPTOP: 4_000, Scale.PAPER: 100_000}  # of the network that judges
_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 48, Scale.PAPER: 512}
_READING_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 32, Scale.PAPER: 64}
# Data set → pixels of its pictures at each scale, and how many pictures.
_SIZE = {
    "heads": {Scale.CI: 32, Scale.LAPTOP: 32, Scale.PAPER: 128},
    "faces": {Scale.CI: 32, Scale.LAPTOP: 64, Scale.PAPER: 128},
    "ffhq": {Scale.CI: 32, Scale.LAPTOP: 64, Scale.PAPER: 256},
}
_PICTURES = {
    "heads": {Scale.CI: 100, Scale.LAPTOP: 12_000, Scale.PAPER: 12_000},
    "faces": {Scale.CI: 100, Scale.LAPTOP: 451, Scale.PAPER: 451},
    "ffhq": {Scale.CI: 100, Scale.LAPTOP: 12_000, Scale.PAPER: 70_000},
}
DATASETS = tuple(_SIZE)
STYLES = ("fixed", "learned", "noise")
TEXTURE_FORMS = ("square", "sigmoid")
# The released code's weight of its sigmoid, whose gradient is a quarter of the square's; and that of the square.
_TEXTURE_WEIGHT = {"square": 1.0, "sigmoid": 16.0}


@dataclass(frozen=True)
class Recipe:
    """One model of the chapter, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of :data:`DATASETS`.
        scale: the scale the sizes were chosen for.
        size: of the pictures, in pixels.
        pictures: that it is trained on, at most.
        width: most channels of a layer, and dimensions of z and w.
        channel_base: channels of a layer are this over its side in pixels, and at most the width; 0: 32 widths.
        mapping_layers: of the mapping network.
        learning_rate: Adam's.
        batch_size: pictures a step, over all devices.
        steps: updates in all.
        gamma: weight of R1.
        r1_every: steps between its updates.
        path_weight: of the penalty of path lengths; 0 for none, the paper's is 2.
        mixing: probability that a picture has two styles; the paper's is 0.9.
        styles: ``fixed``: a random vector for each picture, as in the thesis; ``learned``: one that is learned;
            ``noise``: a new one each time.
        texture_weight: of the texture consistency; 0 for none.
        texture_form: of it: ``square``, as in the thesis, or ``sigmoid``, as in the released code.
        texture_every: steps between its updates.
        augmentation: pictures in which its probability may go from 0 to 1; 0 for none.
        wrong: share of the pictures that are told another one's parameters.
        correlation: of looks and light in the training set of heads.
        ema_half_life: of the average of the weights, in thousands of pictures.
        plateau_patience: none; rates stay as they are.
    """

    name: str
    dataset: str
    scale: str
    size: int
    pictures: int
    width: int
    steps: int
    gamma: float
    channel_base: int = 0
    mapping_layers: int = 2
    learning_rate: float = 2.5e-3
    batch_size: int = 16
    r1_every: int = 16
    path_weight: float = 0.0
    mixing: float = 0.0
    styles: str = "fixed"
    texture_weight: float = 0.0
    texture_form: str = "square"
    texture_every: int = 4
    augmentation: int = 0
    wrong: float = 0.0
    correlation: float = 0.0
    ema_half_life: float = 2.0
    plateau_patience: int | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("recipe", self.name, RECIPES),
            ("data set of faces", self.dataset, DATASETS),
            ("kind of styles", self.styles, STYLES),
            ("form of the texture consistency", self.texture_form, TEXTURE_FORMS),
        ):
            if value not in known:
                raise unknown(what, value, known)
        require_at_least(1, pictures=self.pictures, width=self.width, steps=self.steps)
        require_positive(learning_rate=self.learning_rate, gamma=self.gamma, ema_half_life=self.ema_half_life)
        require_at_least(
            0, texture_weight=self.texture_weight, path_weight=self.path_weight, augmentation=self.augmentation
        )
        for name in ("mixing", "wrong"):
            if not 0 <= getattr(self, name) <= 1:
                raise TeachlibError(f"{name} is {getattr(self, name)}; expected a share, 0 … 1")

    @property
    def renderings(self) -> tuple[str, ...]:
        """Which renderings the model sees; none where it is told by a vector."""
        return RENDERED.get(self.name, ())

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "heads",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    pictures: int = 0,
    resolution: int = 0,
    gamma: float = 0.0,
    correlation: float = 0.0,
    wrong: float = 0.0,
    styles: str = "fixed",
    mixing: float = 0.0,
    path_length: float = 0.0,
    augmentation: int = 0,
    texture_form: str = "square",
) -> Recipe:
    """A recipe by name.

    Args:
        name: of :data:`RECIPES`.
        dataset: of :data:`DATASETS`.
        scale: decides sizes, pictures and steps.
        width: other than the scale's.
        steps: other than the scale's.
        pictures: of the training set, of heads the first so many; 0: the scale's.
        resolution: of the pictures; 0: the scale's.
        gamma: weight of R1; 0: what goes with the resolution.
        correlation: of looks and light in the training set of heads.
        wrong: share of the pictures that are told another one's parameters.
        styles: of :data:`STYLES`.
        mixing: probability that a picture has two styles.
        path_length: weight of the penalty of path lengths.
        augmentation: pictures in which its probability may go from 0 to 1; 0: none.
        texture_form: of :data:`TEXTURE_FORMS`.

    Raises:
        TeachlibError: unknown name, data set or scale; sizes below one; more pictures than there are; what the data set
            cannot tell.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    _refuse_data_that_cannot_tell(name, dataset, correlation)
    require_at_least(1, width=width, steps=steps)
    require_at_least(0, pictures=pictures, resolution=resolution, gamma=gamma)
    if pictures > (most := _PICTURES[dataset][Scale.PAPER]):
        raise TeachlibError(f"pictures is {pictures:,}; {dataset} has {most:,} to train on")
    chosen, own = Scale.of(scale), name == REINFERENCE
    size, batch = resolution or _SIZE[dataset][chosen], 64 if own else 16
    refuse_unused(
        name,
        {
            "wrong": (wrong, 0.0, not own),
            "styles": (styles, "fixed", not own),
            "mixing": (mixing, 0.0, not own),
            "path_length": (path_length, 0.0, not own),
            "augmentation": (augmentation, 0, not own),
            "texture_form": (texture_form, "square", not own),
        },
    )
    consistent = name in ("gif", "gif-normals", "gif-texture")
    published = dataset == "ffhq" and chosen is Scale.PAPER  # the released networks' sizes
    return Recipe(
        name=name,
        dataset=dataset,
        scale=chosen.value,
        size=size,
        pictures=pictures or _PICTURES[dataset][chosen],
        width=width or (_READING_WIDTH if own else _WIDTH)[chosen],
        steps=steps or (_READING_STEPS if own else _STEPS)[chosen],
        gamma=gamma or _gamma(size, batch, chosen),
        channel_base=32_768 if published else 0,
        mapping_layers=8 if published else 2,
        learning_rate=5e-4 if own else 2.5e-3,
        batch_size=batch,
        path_weight=path_length,
        mixing=mixing,
        styles=styles,
        texture_weight=_TEXTURE_WEIGHT.get(texture_form, 1.0) if consistent else 0.0,
        texture_form=texture_form,
        augmentation=augmentation,
        wrong=wrong,
        correlation=correlation,
        ema_half_life=20.0 if own else 2.0,
    )


def _gamma(size: int, batch: int, scale: Scale) -> float:
    """ADA's automatic weight of R1, and below the paper's scale twenty times as much: networks are small there."""
    return r1_gamma(size, batch) * (1 if scale is Scale.PAPER else 20)


def _refuse_data_that_cannot_tell(name: str, dataset: str, correlation: float) -> None:
    if dataset not in DATASETS:
        raise TeachlibError(
            f"{name} on {dataset}: GIF needs to be told what each picture shows; only {', '.join(DATASETS)} can"
        )
    if dataset != "heads" and (correlation or name == REINFERENCE):
        what = "correlated factors" if correlation else "the parameters that are to be read"
        raise TeachlibError(f"{name} on {dataset}: {what} are known of heads alone")
    if dataset == "faces" and name not in ("gif-no-texture-loss",):
        told = "numbers" if name in VECTORS else "what the same head looks like when it moves"
        raise TeachlibError(f"{name} on faces: needs {told}, which no portrait tells; take gif-no-texture-loss")
