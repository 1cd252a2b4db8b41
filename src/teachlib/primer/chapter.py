"""The primer, to everything that chapters share."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn
from tqdm import tqdm

from teachlib import data, zoo
from teachlib.chapter import Chapter, Measured, Option, Run, Shipped
from teachlib.metrics.extractors import extractor as find_extractor
from teachlib.primer.demos import gan_game, reverse_diffusion, warping
from teachlib.primer.evaluation import evaluate
from teachlib.primer.images import ImageGAN
from teachlib.primer.recipes import CONDITIONAL, RECIPES, Recipe, from_dict, recipe
from teachlib.tables import Table
from teachlib.training import Objective


class Primer(Chapter[Recipe, nn.Module, data.ImageData]):
    """One image model of every family."""

    key, title = "primer", "the primer"
    table, dataset = "primer", "digits"
    extracts = True
    options = {"conditional": Option("Learn p(x | class).", False)}
    zoo = tuple(
        Shipped(name, "digits", {"conditional": True} if name == "primer-diffusion" else {}) for name in RECIPES
    )
    demos = {"reverse-diffusion": reverse_diffusion, "gan-game": gan_game, "warping": warping}
    tables = {
        "primer": Table(
            title="Image models of the primer",
            folder="primer",
            rows={label: label for label in (*RECIPES, *(f"{name}-conditional" for name in CONDITIONAL))},
            columns=("bits", "FD", "precision", "recall"),
            dataset="digits",
        )
    }
    recipe, from_dict = staticmethod(recipe), staticmethod(from_dict)

    def label(self, recipe: Recipe) -> str:
        return recipe.label

    def load(self, recipe: Recipe, split: str, limit: int | None) -> data.ImageData:
        return data.load(recipe.dataset, split, limit=limit)

    def build(self, recipe: Recipe, training: data.ImageData | None) -> nn.Module:
        return recipe.build(training)

    def parts(self, model: nn.Module) -> dict[str, nn.Module]:
        return dict(model.game.nets) if isinstance(model, ImageGAN) else {"model": model}

    def objective(self, recipe: Recipe, model: nn.Module, training: data.ImageData, seed: int) -> Objective:
        return recipe.objective(model)

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        name = label.removesuffix("-conditional")
        return name, {"conditional": True} if name != label else {}

    def measure(self, runs: Sequence[Run[nn.Module]], samples: int, extractor: str | None) -> Measured:
        """Bits, distances and costs of image models."""
        chosen = from_dict(dict(runs[0].recipe))
        test = data.load(chosen.dataset, "test")
        at_hand = extractor is not None or f"features-{chosen.dataset}" in zoo.names()
        features = find_extractor(extractor, chosen.dataset) if at_hand else None
        rows = []
        for run in tqdm(runs, unit="run", desc="measuring", leave=False):
            measured = evaluate(
                run.model, test, seed=run.seed, samples=samples, conditional=chosen.conditional, extractor=features
            )
            numbers = {name: value for name, value in measured.row().items() if isinstance(value, int | float)}
            rows.append({name: value for name, value in numbers.items() if not math.isnan(value)})
        if features is None:
            print(f"no feature classifier for {chosen.dataset} in the zoo, so no distances; try --extractor untrained")
        print(f"likelihood: {measured.likelihood}")
        return Measured(
            rows,
            "bits per dimension of the test set" + (f"; {features.says}" if features else ""),
            min(samples, len(test)),
            {
                "likelihood": measured.likelihood,
                "conditional": chosen.conditional,
                "extractor": features.name if features else None,
                "data_sha256": {"test": test.sha256},
            },
        )


CHAPTER = Primer()
