"""The chapter of Gaussian-mixture VAEs, to everything that chapters share."""

from collections.abc import Sequence

from torch import nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, Run, Shipped
from teachlib.data import ImageData
from teachlib.gmmvae.commands import attack
from teachlib.gmmvae.evaluation import evaluate
from teachlib.gmmvae.models import CNN, GMMVAE, MagNet, Model, build
from teachlib.gmmvae.objectives import LabelObjective, MagNetObjective, MixtureObjective, few_labels
from teachlib.gmmvae.recipes import RECIPES, Recipe, from_dict, load, recipe
from teachlib.gmmvae.tables import TABLES, page
from teachlib.training import Objective


def _load(recipe: Recipe, split: str, limit: int | None) -> ImageData:
    return load(recipe.dataset, split, scale=recipe.scale, limit=limit)


def _build(recipe: Recipe, training: ImageData | None) -> Model:
    return build(recipe)


def _parts(model: Model) -> dict[str, nn.Module]:
    if isinstance(model, CNN):
        return {"classifier": model}
    own: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}
    return own if isinstance(model, GMMVAE) else {"classifier": model.classifier, **own}


def _objective(recipe: Recipe, model: Model, training: ImageData, seed: int) -> Objective:
    if isinstance(model, CNN):
        return LabelObjective(model)
    if isinstance(model, MagNet):
        return MagNetObjective(model)
    count = recipe.labels_per_class
    return MixtureObjective(model, None if count is None else few_labels(training, count, seed))


def _measure(runs: Sequence[Run[Model]], samples: int, extractor: str | None) -> Measured:
    """Accuracy with and without thresholds."""
    chosen = runs[0].model.recipe
    splits = {split: _load(chosen, split, None) for split in ("train", "validation", "test")}
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


CHAPTER: Chapter[Recipe, Model, ImageData] = Chapter(
    key="gmmvae",
    title="the GMM-VAE chapter",
    recipes=RECIPES,
    table="4.1",
    dataset="glyphs",
    recipe=recipe,
    from_dict=from_dict,
    load=_load,
    build=_build,
    parts=_parts,
    objective=_objective,
    measure=_measure,
    zoo=(
        *(Shipped(name, "glyphs") for name in RECIPES),
        *(Shipped("gmm-vae", dataset) for dataset in ("mnist", "fashion-mnist", "turntable")),
    ),
    tables=TABLES,
    page=page,
    commands={"attack": attack},
)
