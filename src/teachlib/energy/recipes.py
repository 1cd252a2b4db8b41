"""Recipes of this chapter's games: a loss, m, a penalty, something that spreads samples, each a choice of its own."""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib.energy import sets
from teachlib.energy.penalties import PENALTIES
from teachlib.energy.spread import PACKED, SPREADS
from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.scale import Scale

RECIPES = ("modes-gan", "modes-likelihood")
POINTS = ("generator", "prior", "both")
AIMS = ("usual", "game", "sum", "mean")
_OWN_AIM = {"modes-gan": "game", "modes-likelihood": "sum"}
_PLANE_STEPS = {Scale.CI: 20, Scale.LAPTOP: 6_000, Scale.PAPER: 50_000}
_PICTURE_STEPS = {Scale.CI: 4, Scale.LAPTOP: 3_000, Scale.PAPER: 50_000}
_PLANE_WIDTH = {Scale.CI: 32, Scale.LAPTOP: 96, Scale.PAPER: 400}
_PICTURE_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 16, Scale.PAPER: 64}
# Weights of penalties in the plane, where data are 1/20 wide, and on pictures.
_PENALTY = {"none": (0.0, 0.0), "one-centred": (1.0, 1.0), "R1": (0.02, 1.0), "R2": (0.02, 1.0), "both": (0.02, 1.0)}


@dataclass(frozen=True)
class Recipe:
    """One game, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of :data:`teachlib.energy.sets.SETS`, or a set or folder of colour pictures.
        scale: the sizes were chosen for.
        width: of the networks.
        latent: of the generator's noise.
        steps: updates in all.
        m: points in each sum of Eqs 7.3, 7.4; of the plain ``modes-gan``, which has none, 1.
        penalty: of :data:`teachlib.energy.penalties.PENALTIES`.
        penalty_weight: its weight.
        spread: of :data:`teachlib.energy.spread.SPREADS`.
        spread_weight: its weight.
        points: where the sum's points come from, of :data:`POINTS`.
        aim: what the generator climbs, of :data:`AIMS`: the non-saturating game's, the sum of D over m points (Eq 7.4),
            the mean of log D (a Wasserstein critic's); ``usual``: the recipe's own, the first or the second.
        together: both networks take their steps at once.
        batch_size: samples a step, over all devices.
        learning_rate: Adam's.
        ema_half_life: of the average of the weights, in thousands of samples.
        plateau_patience: none, rates stay.
    """

    name: str
    dataset: str
    scale: str
    width: int
    latent: int
    steps: int
    m: int = 1
    penalty: str = "none"
    penalty_weight: float = 0.0
    spread: str = "none"
    spread_weight: float = 0.0
    points: str = "generator"
    aim: str = "usual"
    together: bool = False
    batch_size: int = 128
    learning_rate: float = 1e-3
    ema_half_life: float = 15.0
    plateau_patience: int | None = None

    def __post_init__(self) -> None:
        for kind, value, known in (
            ("recipe", self.name, RECIPES),
            ("penalty", self.penalty, PENALTIES),
            ("spread", self.spread, SPREADS),
            ("place of points", self.points, POINTS),
            ("aim", self.aim, AIMS),
        ):
            if value not in known:
                raise unknown(kind, value, known)
        require_at_least(1, width=self.width, latent=self.latent, steps=self.steps, m=self.m)
        require_at_least(1, batch_size=self.batch_size)
        require_at_least(0, penalty_weight=self.penalty_weight, spread_weight=self.spread_weight)
        require_positive(learning_rate=self.learning_rate, ema_half_life=self.ema_half_life)
        self._refuse_what_does_not_fit()

    def _refuse_what_does_not_fit(self) -> None:
        if self.name == "modes-gan" and self.points != "generator":
            raise TeachlibError("modes-gan's judge has no sum over points; leave --points at generator")
        if self.name == "modes-gan" and self.m > 1 and self.aim != "sum":
            raise TeachlibError(
                "modes-gan has no sum over points; leave --m at 1, or give its generator one: --aim sum"
            )
        if self.dataset != "gaussians" and (self.spread == "flow" or self.points != "generator"):
            raise TeachlibError(f"{self.dataset}: only in the plane are there a flow and a prior; leave them out")
        if self.spread == "flow" and self.name == "modes-gan":
            raise TeachlibError("modes-gan: a flow's entropy belongs to modes-likelihood, whose D it makes a density")
        if self.spread == "pack" and self.points != "generator":
            raise TeachlibError("a judge of pairs takes its points from the generator; leave --points at generator")
        if self.spread == "flow" and self.aim != "usual":
            raise TeachlibError(f"aim {self.aim}: beside a flow's entropy the mean of log D is climbed; leave it out")
        if self.points == "both" and self.m % 2:
            raise TeachlibError(f"m={self.m}: half of each sum comes from either side, so m must be even")
        judged = self.batch_size // (PACKED if self.spread == "pack" else 1)
        if judged % self.m:
            raise TeachlibError(f"m={self.m}: {judged} verdicts a batch do not fall into such sums evenly")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "gaussians",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    m: int = 0,
    penalty: str = "usual",
    spread: str = "none",
    spread_weight: float = -1.0,
    points: str = "generator",
    aim: str = "usual",
    together: bool = False,
    batch_size: int = 0,
) -> Recipe:
    """A recipe by name.

    Args:
        name: ``modes-gan``, the non-saturating game, or ``modes-likelihood``, Eqs 7.3 and 7.4.
        dataset: of :data:`teachlib.energy.sets.SETS`, or a set or folder of colour pictures.
        scale: decides width and steps.
        width: other than the scale's.
        steps: other than the scale's.
        m: points in each sum of Eqs 7.3 and 7.4; 0: the whole batch.
        penalty: of :data:`teachlib.energy.penalties.PENALTIES`; ``usual``: none in the plane, R1 on pictures.
        spread: of :data:`teachlib.energy.spread.SPREADS`.
        spread_weight: its weight; -1: what is listed there.
        points: where the sum's points come from, of :data:`POINTS`.
        aim: what the generator climbs, of :data:`AIMS`.
        together: both networks take their steps at once.
        batch_size: samples a step, over all devices; 0: 128 in the plane, 64 pictures.

    Raises:
        TeachlibError: unknown name, data set, scale or kind; sizes below one; what does not fit together.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    sets.refuse_unfit(dataset)
    if spread not in SPREADS:
        raise unknown("spread", spread, SPREADS)
    require_at_least(1, width=width, steps=steps)
    require_at_least(0, m=m, batch_size=batch_size)
    if spread_weight < 0 and spread_weight != -1:
        raise TeachlibError(f"spread_weight is {spread_weight}; expected 0 or more, or -1 for the usual one")
    if spread_weight > 0 and not SPREADS[spread]:
        raise TeachlibError(f"spread {spread} is no term that could be weighed; leave --spread-weight out")
    chosen, plane = Scale.of(scale), dataset == "gaussians"
    penalty = penalty if penalty != "usual" else "none" if plane else "R1"
    if penalty not in PENALTIES:
        raise unknown("penalty", penalty, ("usual", *PENALTIES))
    batch_size = batch_size or (128 if plane else 64)
    sums = name == "modes-likelihood" or aim == "sum"
    if aim == _OWN_AIM[name] and spread != "flow":
        aim = "usual"
    return Recipe(
        name=name,
        dataset=dataset,
        scale=chosen.value,
        width=width or (_PLANE_WIDTH if plane else _PICTURE_WIDTH)[chosen],
        latent=2 if plane else 64,
        steps=steps or (_PLANE_STEPS if plane else _PICTURE_STEPS)[chosen],
        m=(m or batch_size // (PACKED if spread == "pack" else 1)) if sums else max(m, 1),
        penalty=penalty,
        penalty_weight=_PENALTY[penalty][0 if plane else 1],
        spread=spread,
        spread_weight=SPREADS[spread] if spread_weight < 0 else spread_weight,
        points=points,
        aim=aim,
        together=together,
        batch_size=batch_size,
    )
