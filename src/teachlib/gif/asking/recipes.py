"""Recipes of generators that are asked in different ways (thesis § 5.2)."""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.scale import Scale

WAYS = ("input", "layer", "auxiliary", "projection", "pixels", "shuffled", "infogan")
RECIPES = tuple(f"ask-{way}" for way in WAYS)
_STEPS = {Scale.CI: 40, Scale.LAPTOP: 1_500, Scale.PAPER: 10_000}
_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 24, Scale.PAPER: 64}


@dataclass(frozen=True)
class AskRecipe:
    """A generator of zeros, and how it is told where they stand and how they lean.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: ``zeros``.
        scale: the sizes were chosen for.
        correlation: of the two factors while it is trained.
        width: channels at the highest resolution.
        steps: updates in all.
        z_dim: length of what is not asked for.
        batch_size: pictures a step, over all devices.
        learning_rate: Adam's.
        gamma: weight of R1.
        auxiliary_weight: of the squared error of an auxiliary head.
        ema_half_life: of the average of the weights, in thousands of pictures.
        plateau_patience: none, rates stay.
    """

    name: str
    dataset: str
    scale: str
    correlation: float
    width: int
    steps: int
    z_dim: int = 16
    batch_size: int = 32
    learning_rate: float = 2e-3
    gamma: float = 0.5
    auxiliary_weight: float = 1.0
    ema_half_life: float = 5.0
    plateau_patience: int | None = None

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise unknown("recipe", self.name, RECIPES)
        require_at_least(1, width=self.width, steps=self.steps, batch_size=self.batch_size)
        require_positive(learning_rate=self.learning_rate, gamma=self.gamma, ema_half_life=self.ema_half_life)
        if not -1 <= self.correlation <= 1:
            raise TeachlibError(f"correlation {self.correlation}; expected a number in [-1, 1]")

    @property
    def way(self) -> str:
        """How it is asked, of :data:`WAYS`."""
        return self.name.removeprefix("ask-")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "zeros",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    correlation: float = 0.0,
) -> AskRecipe:
    """A recipe by name.

    Args:
        name: of :data:`RECIPES`.
        dataset: ``zeros``.
        scale: decides width and steps.
        width: other than the scale's.
        steps: other than the scale's.
        correlation: of position and slant in the training set.

    Raises:
        TeachlibError: unknown name, data set or scale; sizes below one; a correlation that is none.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if dataset != "zeros":
        raise TeachlibError(f"{name} on {dataset}: the factors of its pictures are not known; only zeros has them")
    require_at_least(1, width=width, steps=steps)
    chosen = Scale.of(scale)
    return AskRecipe(name, dataset, chosen.value, float(correlation), width or _WIDTH[chosen], steps or _STEPS[chosen])
