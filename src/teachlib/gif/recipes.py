"""Recipes of the GIF chapter: one generator, and the ways to tell it what to show (thesis §§ 5.3.4, 5.3.5)."""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.gif import heads
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
_SIZE = {Scale.CI: 32, Scale.LAPTOP: 32, Scale.PAPER: 256}
_PICTURES = {Scale.CI: 100, Scale.LAPTOP: 12_000, Scale.PAPER: 12_000}


@dataclass(frozen=True)
class Recipe:
    """One model of the chapter, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: ``heads``.
        scale: the scale the sizes were chosen for.
        size: of the pictures, in pixels.
        pictures: that it is trained on.
        width: most channels of a layer, and dimensions of z and w.
        mapping_layers: of the mapping network.
        learning_rate: Adam's.
        batch_size: pictures a step, over all devices.
        steps: updates in all.
        gamma: weight of R1.
        r1_every: steps between its updates.
        texture_weight: of the texture consistency; 0 for none.
        texture_every: steps between its updates.
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
    mapping_layers: int = 2
    learning_rate: float = 2.5e-3
    batch_size: int = 16
    r1_every: int = 16
    texture_weight: float = 0.0
    texture_every: int = 4
    ema_half_life: float = 2.0
    plateau_patience: int | None = None

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise unknown("recipe", self.name, RECIPES)
        require_at_least(1, pictures=self.pictures, width=self.width, steps=self.steps)
        require_positive(learning_rate=self.learning_rate, gamma=self.gamma, ema_half_life=self.ema_half_life)
        require_at_least(0, texture_weight=self.texture_weight)

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
    pictures: int | None = None,
) -> Recipe:
    """A recipe by name.

    Args:
        name: of :data:`RECIPES`.
        dataset: ``heads``.
        scale: decides sizes, pictures and steps.
        width: other than the scale's.
        steps: other than the scale's.
        pictures: other than the scale's.

    Raises:
        TeachlibError: unknown name, data set or scale; sizes below one.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if dataset != "heads":
        raise TeachlibError(f"{name} on {dataset}: GIF needs the parameters of each picture; only heads has them")
    require_at_least(1, width=width, steps=steps, pictures=pictures)
    chosen, own = Scale.of(scale), name == REINFERENCE
    size, batch = _SIZE[chosen], 64 if own else 16
    return Recipe(
        name=name,
        dataset=dataset,
        scale=chosen.value,
        size=size,
        pictures=min(pictures or _PICTURES[chosen], heads.SPLITS["train"]),
        width=width or (_READING_WIDTH if own else _WIDTH)[chosen],
        steps=steps or (_READING_STEPS if own else _STEPS)[chosen],
        gamma=0.0002 * size**2 / batch * 20,  # twenty times ADA's automatic value: conditions are sharp
        learning_rate=5e-4 if own else 2.5e-3,
        batch_size=batch,
        texture_weight=1.0 if name in ("gif", "gif-normals", "gif-texture") else 0.0,
        ema_half_life=20.0 if own else 2.0,
    )
