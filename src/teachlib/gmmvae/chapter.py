"""The chapter of Gaussian-mixture VAEs, to everything that chapters share."""

from collections.abc import Sequence
from typing import Any

from torch import nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, Option, Run, Shipped, label_with, options_in
from teachlib.data import ImageData
from teachlib.gmmvae.commands import attack
from teachlib.gmmvae.demos import graphs, refusing
from teachlib.gmmvae.evaluation import evaluate
from teachlib.gmmvae.models import CNN, GMMVAE, MagNet, Model, build
from teachlib.gmmvae.objectives import LabelObjective, MagNetObjective, MixtureObjective, few_labels
from teachlib.gmmvae.recipes import ALPHA, RECIPES, Recipe, from_dict, load, recipe
from teachlib.gmmvae.tables import TABLES, page
from teachlib.live import Graph
from teachlib.training import Objective


class MixtureAutoencoders(Chapter[Recipe, Model, ImageData]):
    """Classifiers that refuse, and those that they are measured beside."""

    key, title = "gmmvae", "the GMM-VAE chapter"
    table, dataset = "4.1", "glyphs"
    options = {
        "alpha": Option("α of Eq 4.6, the weight of the code's distance to its mean", ALPHA),
        "epsilon": Option("radius of the L∞ ball of adversarial training; -1: the usual one, 0.1", -1.0),
    }
    zoo = (
        *(Shipped(name, "glyphs") for name in RECIPES),
        *(Shipped("gmm-vae", dataset) for dataset in ("mnist", "fashion-mnist", "turntable")),
    )
    tables, page = TABLES, staticmethod(page)
    demos = {"refusing": refusing}
    commands = {"attack": attack}
    recipe, from_dict = staticmethod(recipe), staticmethod(from_dict)

    def label(self, recipe: Recipe) -> str:
        return label_with(recipe, self.recipe(recipe.name, recipe.dataset, scale=recipe.scale), self.options, {})

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        return options_in(label, self.options)

    def load(self, recipe: Recipe, split: str, limit: int | None) -> ImageData:
        return load(recipe.dataset, split, scale=recipe.scale, limit=limit)

    def build(self, recipe: Recipe, training: ImageData | None) -> Model:
        return build(recipe)

    def parts(self, model: Model) -> dict[str, nn.Module]:
        if isinstance(model, CNN):
            return {"classifier": model}
        own: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}
        return own if isinstance(model, GMMVAE) else {"classifier": model.classifier, **own}

    def graphs(self, model: Model) -> dict[str, Graph]:
        """Encoder and decoder of a GMM-VAE."""
        return graphs(model)

    def objective(self, recipe: Recipe, model: Model, training: ImageData, seed: int) -> Objective:
        if isinstance(model, CNN):
            return LabelObjective(model)
        if isinstance(model, MagNet):
            return MagNetObjective(model)
        count = recipe.labels_per_class
        return MixtureObjective(model, None if count is None else few_labels(training, count, seed))

    def measure(self, runs: Sequence[Run[Model]], samples: int, extractor: str | None) -> Measured:
        """Accuracy with and without thresholds."""
        chosen = runs[0].model.recipe
        splits = {split: self.load(chosen, split, None) for split in ("train", "validation", "test")}
        splits["test"] = splits["test"].first(samples)
        rows = [
            evaluate(run.model, splits["train"], splits["validation"], splits["test"]).row()
            for run in tqdm(runs, unit="run", desc="measuring", leave=False)
        ]
        return Measured(
            rows,
            "shares of the test set; thresholds on code and pixels refuse 1 % of held-out images each",
            len(splits["test"]),
            {"data_sha256": {split: loaded.sha256 for split, loaded in splits.items()}},
        )


CHAPTER = MixtureAutoencoders()
