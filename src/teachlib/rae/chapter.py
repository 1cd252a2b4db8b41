"""The chapter of regularized autoencoders, to everything that chapters share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, Option, Run, Shipped, label_with, options_in
from teachlib.data import ImageData
from teachlib.live import Graph
from teachlib.metrics.extractors import extractor as find_extractor
from teachlib.rae.demos import graphs, latent_map
from teachlib.rae.evaluation import evaluate
from teachlib.rae.models import Autoencoder, AutoencoderObjective
from teachlib.rae.recipes import RECIPES, Recipe, from_dict, load, recipe
from teachlib.rae.tables import TABLES, page
from teachlib.scale import best_device
from teachlib.training import Objective

_SETS = 9  # whose features are taken a run: test and validation images, and seven kinds of generated ones
_ON_MNIST = ("vae", "wae", "rae", "rae-l2", "rae-gp", "rae-sn", "ae")
_FACTORS = {
    "times_beta": Option("multiplies β of Eq 3.11, and a VAE's weight of KL.", 1.0),
    "times_lambda": Option("multiplies λ of the L2 and of the gradient penalty.", 1.0),
}


class Autoencoders(Chapter[Recipe, Autoencoder, ImageData]):
    """Autoencoders of images, variational and regularized."""

    key, title = "rae", "the RAE chapter"
    table, dataset = "3.1", "glyphs"
    extracts = True
    options = {
        "variant": Option("thesis, or released: as the authors' code has it.", "thesis"),
        **_FACTORS,
    }
    zoo = (*(Shipped(name, "glyphs") for name in RECIPES), *(Shipped(name, "mnist") for name in _ON_MNIST))
    demos = {"latent-map": latent_map}
    tables, page = TABLES, staticmethod(page)
    recipe, from_dict = staticmethod(recipe), staticmethod(from_dict)

    def label(self, recipe: Recipe) -> str:
        """The name, and by how much its weights are not as usual, e.g. ``rae-l2+times_lambda=16.0``."""
        return label_with(recipe, self.recipe(recipe.name, recipe.dataset, scale=recipe.scale), _FACTORS, {})

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        return options_in(label, self.options)

    def load(self, recipe: Recipe, split: str, limit: int | None) -> ImageData:
        return load(recipe.dataset, split, limit=limit)

    def build(self, recipe: Recipe, training: ImageData | None) -> Autoencoder:
        return Autoencoder(recipe)

    def parts(self, model: Autoencoder) -> dict[str, nn.Module]:
        return {"encoder": model.encoder, "decoder": model.decoder}

    def graphs(self, model: Autoencoder) -> dict[str, Graph]:
        """Encoder and decoder."""
        return graphs(model)

    def objective(self, recipe: Recipe, model: Autoencoder, training: ImageData, seed: int) -> Objective:
        return AutoencoderObjective(model)

    def measure(self, runs: Sequence[Run[Autoencoder]], samples: int, extractor: str | None) -> Measured:
        """Reconstructions, samples and interpolations."""
        dataset = runs[0].model.recipe.dataset
        chosen = find_extractor(extractor, dataset)
        splits = {split: load(dataset, split) for split in ("train", "validation", "test")}
        chosen.features(splits["test"][:2][0])  # where it takes no such images, before minutes of encoding
        rows = []
        with tqdm(total=_SETS * len(runs), unit="set", desc="features", leave=False) as bar:

            def counted(images: Tensor) -> Tensor:
                features = chosen.features(images)
                bar.update()
                return features

            counting = replace(chosen, features=counted)
            for run in runs:
                measured = evaluate(
                    run.model.to(best_device()), **splits, extractor=counting, seed=run.seed, count=samples
                )
                rows.append(measured.row())
                listed = ", ".join(f"{name} {value:.4g}" for name, value in measured.distances.items())
                bar.write(f"seed {run.seed}: {listed}")
        hashes = {split: loaded.sha256 for split, loaded in splits.items()}
        facts = {"extractor": chosen.name, "data_sha256": hashes}
        return Measured(rows, chosen.says, min(samples, len(splits["test"])), facts)


CHAPTER = Autoencoders()
