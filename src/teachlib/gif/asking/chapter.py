"""Generators that are asked in different ways, to everything that chapters share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from teachlib.chapter import Chapter, Measured, Option, OwnData, Run, Shipped
from teachlib.gif.asking import zeros
from teachlib.gif.asking.evaluation import evaluate
from teachlib.gif.asking.models import Asked
from teachlib.gif.asking.objectives import AskedObjective
from teachlib.gif.asking.recipes import AskRecipe, recipe
from teachlib.gif.asking.tables import TABLES, label, page, parts
from teachlib.gif.asking.zeros import Zeros
from teachlib.training import Objective, Schedule


def _check(split: str) -> str:
    return f"zeros {split}: drawn from a seed; {tuple(zeros.load(split).images.shape)}"


class Asking(Chapter[AskRecipe, Asked, Zeros]):
    """The study of how a generator is told, and of what it hears besides."""

    key, title = "gif.asking", "the study of conditions"
    table, dataset = "cross-talk", "zeros"
    averages = True
    options = {"correlation": Option("of position and slant in the training set, in [-1, 1]", 0.0)}
    zoo = tuple(Shipped(f"ask-{way}", "zeros", {"correlation": 0.9}) for way in ("pixels", "layer"))
    tables, page = TABLES, staticmethod(page)
    data = {"zeros": OwnData("zeros with a known position and slant", zeros.SPLITS, "this course", _check)}
    recipe = staticmethod(recipe)

    def from_dict(self, values: dict[str, Any]) -> AskRecipe:
        return AskRecipe(**values)

    def load(self, recipe: AskRecipe, split: str, limit: int | None) -> Zeros:
        return zeros.load(split, recipe.correlation, limit)

    def build(self, recipe: AskRecipe, training: Zeros | None) -> Asked:
        return Asked(recipe)

    def parts(self, model: Asked) -> dict[str, nn.Module]:
        return {"generator": model.generator, "discriminator": model.discriminator}

    def objective(self, recipe: AskRecipe, model: Asked, training: Zeros, seed: int) -> Objective:
        return AskedObjective(model)

    def schedule(self, recipe: AskRecipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), ema_half_life=recipe.ema_half_life)

    def label(self, recipe: AskRecipe) -> str:
        return label(recipe.name, recipe.correlation)

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        name, correlation = parts(label)
        return name, {"correlation": correlation}

    def measure(self, runs: Sequence[Run[Asked]], samples: int, extractor: str | None) -> Measured:
        """How far each factor goes where it is asked to, and where the other one is."""
        test = self.load(runs[0].model.recipe, "test", samples)
        rows = [evaluate(run.model, test, seed=run.seed) for run in runs]
        return Measured(rows, "slopes of found on asked factors, read by moments; errors in deviations", len(test))


CHAPTER = Asking()
