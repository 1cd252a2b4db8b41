"""Recipes of assembled pictures; the thesis gives no architecture and no numbers (§ 7.5.2), all of them are ours."""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib.energy.assemble.shapes import OBJECTS
from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.scale import Scale

RECIPES = ("assemble", "assemble-direct", "assemble-joint")
TOLD = "everything"
_STEPS = {Scale.CI: 20, Scale.LAPTOP: 6_000, Scale.PAPER: 100_000}
_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 16, Scale.PAPER: 48}
_JOINT_WIDER = 2.375  # so that one painter has as many parameters as three


@dataclass(frozen=True)
class AssembleRecipe:
    """One model of assembled pictures, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: ``shapes``.
        scale: the sizes were chosen for.
        hides: the object of which is not told how high it stands, only from where to where it is wide; or
            ``everything`` is told.
        width: channels of each painter.
        steps: updates in all.
        z_dim: numbers of noise for each object.
        batch_size: pictures a step, over all devices.
        learning_rate: Adam's.
        gamma: weight of R1 in the first step; it falls, by the same factor each, for two fifths of all steps.
        last_gamma: and stays at this: strong at first, where painters go astray; weak later, for sharp edges.
        mismatch: weight of real pictures that come with another's boxes, among the generated ones.
        ema_half_life: of the average of the weights, in thousands of pictures.
        plateau_patience: none, rates stay.
    """

    name: str
    dataset: str
    scale: str
    hides: str
    width: int
    steps: int
    z_dim: int = 8
    batch_size: int = 32
    learning_rate: float = 1e-3
    gamma: float = 3.0
    last_gamma: float = 0.3
    mismatch: float = 0.5
    ema_half_life: float = 10.0
    plateau_patience: int | None = None

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise unknown("recipe", self.name, RECIPES)
        if self.hides not in (TOLD, *OBJECTS):
            raise unknown("object to hide", self.hides, (TOLD, *OBJECTS))
        require_at_least(1, width=self.width, steps=self.steps, batch_size=self.batch_size)
        require_at_least(0, mismatch=self.mismatch)
        require_positive(
            learning_rate=self.learning_rate,
            gamma=self.gamma,
            last_gamma=self.last_gamma,
            ema_half_life=self.ema_half_life,
        )

    @property
    def hidden(self) -> int | None:
        """The number of the object whose height is not told."""
        return OBJECTS.index(self.hides) if self.hides != TOLD else None

    @property
    def joint_width(self) -> int:
        """Of one painter for everything, with as many parameters as one for each object."""
        return round(self.width * _JOINT_WIDER)

    def gamma_at(self, step: int) -> float:
        """Weight of R1 in a step, counted from 0."""
        return self.gamma * (self.last_gamma / self.gamma) ** min(1.0, 2.5 * step / self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "shapes",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    hides: str = TOLD,
) -> AssembleRecipe:
    """A recipe by name.

    Args:
        name: of :data:`RECIPES`: painters that add by alpha, painters that return the whole picture, one for all.
        dataset: ``shapes``.
        scale: decides width and steps.
        width: other than the scale's.
        steps: other than the scale's.
        hides: the object of which is not told how high it stands: that must then follow from the others.

    Raises:
        TeachlibError: unknown name, data set, scale or object; sizes below one.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if dataset != "shapes":
        raise TeachlibError(f"{name} on {dataset}: the boxes of its objects are not known; only shapes has them")
    require_at_least(1, width=width, steps=steps)
    chosen = Scale.of(scale)
    return AssembleRecipe(name, dataset, chosen.value, hides, width or _WIDTH[chosen], steps or _STEPS[chosen])
