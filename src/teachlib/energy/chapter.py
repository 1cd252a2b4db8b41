"""GANs as energy models, to everything that chapters share."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from torch import nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, Option, OwnData, Run, Shipped, label_with, options_in
from teachlib.energy import sets
from teachlib.energy.evaluation import METRIC, beside_real, evaluate
from teachlib.energy.networks import Pair
from teachlib.energy.objective import PairObjective
from teachlib.energy.penalties import PENALTIES
from teachlib.energy.recipes import AIMS, POINTS, Recipe, recipe
from teachlib.energy.sets import Counted
from teachlib.energy.spread import SPREADS
from teachlib.energy.tables import TABLES, page
from teachlib.errors import TeachlibError
from teachlib.metrics import extractor as find_extractor
from teachlib.training import Objective, Schedule


def _own(name: str, title: str, source: str) -> OwnData:
    def check(split: str) -> str:
        held = sets.load(name, split, 10)
        return f"{name} {split}: drawn from a seed; {tuple(held.points.shape[1:])}"

    return OwnData(title, sets.SPLITS, source, check)


def _by_turns(runs: Sequence[Run[Pair]]) -> Iterable[Run[Pair]]:
    return tqdm(runs, unit="run", desc="measuring", leave=False)


class EnergyModels(Chapter[Recipe, Pair, Counted]):
    """GANs whose discriminators are taken for densities, and what keeps their generators from dropping modes."""

    key, title = "energy", "the chapter on energy models"
    table, dataset = "modes", "gaussians"
    extracts = averages = True
    options = {
        "m": Option("points in each sum of Eqs 7.3 and 7.4; 0: the whole batch", 0),
        "penalty": Option(f"usual, {', '.join(PENALTIES)}", "usual"),
        "spread": Option(f"what keeps samples apart: {', '.join(SPREADS)}", "none"),
        "spread_weight": Option("its weight; -1: the usual one", -1.0),
        "points": Option(f"where the sum's points come from: {', '.join(POINTS)}", "generator"),
        "aim": Option(f"what the generator climbs: {', '.join(AIMS)}", "usual"),
        "together": Option("Both networks take their steps at once.", False),
        "batch_size": Option("samples a step, over all devices; 0: the usual number", 0),
    }
    zoo = (Shipped("modes-gan", "gaussians"), Shipped("modes-likelihood", "gaussians"))
    tables, page = TABLES, staticmethod(page)
    data = {
        "gaussians": _own("gaussians", "25 Gaussians on a square grid in the plane", "this course"),
        "stacked-glyphs": _own("stacked-glyphs", "three glyphs as the channels of a picture", "this course"),
        "stacked-mnist": _own("stacked-mnist", "three digits as the channels of a picture", "MNIST"),
    }
    recipe = staticmethod(recipe)

    def from_dict(self, values: dict[str, Any]) -> Recipe:
        return Recipe(**values)

    def load(self, recipe: Recipe, split: str, limit: int | None) -> Counted:
        return sets.load(recipe.dataset, split, limit)

    def build(self, recipe: Recipe, training: Counted | None) -> Pair:
        return Pair(recipe)

    def parts(self, model: Pair) -> dict[str, nn.Module]:
        return dict(model.named_children())

    def objective(self, recipe: Recipe, model: Pair, training: Counted, seed: int) -> Objective:
        return PairObjective(model)

    def schedule(self, recipe: Recipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), ema_half_life=recipe.ema_half_life)

    def label(self, recipe: Recipe) -> str:
        usual = self.recipe(recipe.name, recipe.dataset, scale=recipe.scale)
        # A sum is usually over the whole batch, whatever that is.
        given: dict[str, Any] = {"batch_size": recipe.batch_size, "aim": recipe.aim, "spread": recipe.spread}
        whole = self.recipe(recipe.name, recipe.dataset, scale=recipe.scale, **given).m
        expected = {**usual.as_dict(), "m": whole, "spread_weight": SPREADS[recipe.spread]}
        return label_with(recipe, cast(Recipe, SimpleNamespace(**expected)), self.options, {})

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        return options_in(label, self.options)

    def measure(self, runs: Sequence[Run[Pair]], samples: int, extractor: str | None) -> Measured:
        """Modes, quality and divergence where modes can be counted, else distance, density and coverage."""
        recipe = self.recipe_of(runs[0].recipe, "the run")
        if recipe.dataset in sets.SETS:
            if extractor is not None:
                raise TeachlibError(f"--extractor {extractor}: modes of {recipe.dataset} are counted; leave it out")
            return Measured(
                [evaluate(run.model, seed=run.seed, samples=samples) for run in _by_turns(runs)], METRIC, samples
            )
        chosen, test = find_extractor(extractor, recipe.dataset), self.load(recipe, "test", samples)
        real = chosen.features(test[:][0])
        rows = [beside_real(run.model, real, chosen, seed=run.seed) for run in _by_turns(runs)]
        facts = {"extractor": chosen.name, "data_sha256": {"test": test.sha256}}
        return Measured(rows, f"{chosen.says}, and of held-out pictures the share that is covered", len(test), facts)


CHAPTER = EnergyModels()
