"""Recipes of structured objects: everything needed to train one model at one scale.

``cvae`` writes characters (Gómez-Bombarelli et al., 2018), ``gvae`` rules (Kusner et al., 2017); ``gcvvae`` has a
constant variance and ``grae`` none, thesis §3.8.2. The sizes are those of the published code. The weights of
``gcvvae`` and ``grae`` were never published: ours, :data:`OURS`.
"""

from dataclasses import asdict, dataclass
from typing import Any

from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.rae.grammar.strings import language
from teachlib.scale import Scale

RECIPES = ("cvae", "gvae", "gcvvae", "grae")
# Beside a log-likelihood in nats: β and λ of Eq 3.11, and of the constant-variance model the deviation; its KL has β's
# weight too, since with the bound's own weight of one its codes collapse to the prior (a loss of 22.6 nats that stays).
OURS = {"deviation": 0.7, "beta": 0.02, "lambda_": 1e-4}

# The published sizes: latent, hidden units of the GRUs, of the dense layer, filters and kernels of the convolutions.
_SIZES: dict[str, dict[str, Any]] = {
    "expressions": {"latent": 25, "hidden": 100, "dense": 100, "filters": (2, 3, 4), "kernels": (2, 3, 4)},
    "zinc": {"latent": 56, "hidden": 501, "dense": 435, "filters": (9, 9, 10), "kernels": (9, 9, 11)},
}
# Of expressions, and of molecules, whose sequences are ten times as long.
_HIDDEN = {Scale.CI: (16, 16), Scale.LAPTOP: (100, 64)}
_STEPS = {Scale.CI: (30, 30), Scale.LAPTOP: (6_000, 2_000)}
_SAMPLES = {Scale.CI: 1_000, Scale.LAPTOP: 40_000}


@dataclass(frozen=True)
class SequenceRecipe:
    """One model of structured objects, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of :data:`teachlib.rae.grammar.strings.LANGUAGES`.
        scale: the scale the sizes were chosen for.
        variant: ``thesis`` (a log-likelihood in nats, Eqs 3.5 and 3.11) or ``released`` (the published code of GVAE
            and CVAE: binary cross-entropies averaged over choices, KL averaged over dimensions, noise of a hundredth
            of the posterior's deviation).
        rules: whether sequences are rules of the grammar; else characters.
        latent: dimension of the code.
        hidden: units of each of the decoder's three recurrent layers.
        dense: units of the encoder's last hidden layer.
        filters: of the encoder's three convolutions.
        kernels: their lengths.
        batch_norm: after each convolution and before the decoder.
        kl_weight: weight of KL; ``None`` for a deterministic model.
        deviation: the constant σ of the posterior; ``None`` where it is learned, or there is none.
        noise: standard deviation of the posterior's ε; 1 but in the published code.
        beta: β of Eq 3.11.
        lambda_: λ of Eq 3.11, for the decoder's squared weights.
        learning_rate: Adam's.
        batch_size: strings a step.
        steps: updates in all.
        samples: training strings.
        plateau_patience: validations without improvement before the learning rate is halved.
    """

    name: str
    dataset: str
    scale: str
    variant: str
    rules: bool
    latent: int
    hidden: int
    dense: int
    filters: tuple[int, ...]
    kernels: tuple[int, ...]
    batch_norm: bool
    kl_weight: float | None
    deviation: float | None
    noise: float
    beta: float
    lambda_: float
    learning_rate: float
    batch_size: int
    steps: int
    samples: int
    plateau_patience: int

    @property
    def stochastic(self) -> bool:
        """Whether training draws codes from a distribution."""
        return self.kl_weight is not None

    @property
    def learned_variance(self) -> bool:
        """Whether the encoder emits a variance."""
        return self.stochastic and self.deviation is None

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "expressions",
    *,
    scale: str | Scale | None = None,
    variant: str = "thesis",
    width: int | None = None,
    steps: int | None = None,
) -> SequenceRecipe:
    """The recipe called ``name`` for one set of strings and scale.

    Args:
        name: of :data:`RECIPES`.
        dataset: ``expressions``, ``molecules`` or ``zinc``.
        scale: ``ci``, ``laptop`` or ``paper``.
        variant: ``thesis`` or ``released``.
        width: hidden units of the recurrent layers, other than the scale's.
        steps: other than the scale's.

    Raises:
        TeachlibError: unknown recipe, data set, scale or variant; a width or number of steps below one; a model of
            which nothing was released, as ``released``.
    """
    _refuse_no_recipe(name, variant)
    require_at_least(1, width=width, steps=steps)
    known, chosen = language(dataset), Scale.of(scale)
    equations = dataset == "expressions"
    sizes = dict(_SIZES["expressions" if equations else "zinc"])
    batch_size, epochs = (600, 50) if equations else (500, 100)
    samples = min(_SAMPLES.get(chosen, known.splits["train"]), known.splits["train"])
    planned = epochs * (samples // batch_size)
    if chosen is not Scale.PAPER:
        sizes["hidden"], planned = (both[0 if equations else 1] for both in (_HIDDEN[chosen], _STEPS[chosen]))
    sizes["hidden"] = width or sizes["hidden"]
    return SequenceRecipe(
        name=name,
        dataset=dataset,
        scale=chosen.value,
        variant=variant,
        rules=name != "cvae",
        batch_norm=equations,
        kl_weight={"grae": None, "gcvvae": OURS["beta"]}.get(name, 1.0),
        deviation=OURS["deviation"] if name == "gcvvae" else None,
        noise=0.01 if variant == "released" else 1.0,
        beta=OURS["beta"] if name == "grae" else 0.0,
        lambda_=OURS["lambda_"] if name == "grae" else 0.0,
        learning_rate=1e-3,
        batch_size=batch_size if chosen is Scale.PAPER else 200 if equations else 100,
        steps=steps or planned,
        samples=samples,
        plateau_patience=1 if equations and chosen is Scale.PAPER else 3,
        **sizes,
    )


def _refuse_no_recipe(name: str, variant: str) -> None:
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if variant not in ("thesis", "released"):
        raise unknown("variant", variant, ("thesis", "released"))
    if variant == "released" and name in ("gcvvae", "grae"):
        raise TeachlibError(f"{name}: nothing of it was released; take variant='thesis'")


def from_dict(values: dict[str, Any]) -> SequenceRecipe:
    """The recipe that :meth:`SequenceRecipe.as_dict` wrote.

    Raises:
        TeachlibError: not a recipe of structured objects.
    """
    try:
        return SequenceRecipe(**{**values, "filters": tuple(values["filters"]), "kernels": tuple(values["kernels"])})
    except (TypeError, KeyError):
        raise TeachlibError(f"not a recipe of structured objects: {values}") from None
