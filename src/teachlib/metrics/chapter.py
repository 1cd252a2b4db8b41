"""Feature classifiers as what ``teachlib train features`` trains: extractors for data sets that have none yet."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from teachlib import data
from teachlib.chapter import Chapter, Measured, Run, Shipped
from teachlib.errors import TeachlibError, require_at_least, require_labels, unknown
from teachlib.metrics.classifier import FeatureClassifier, FeatureObjective, features_of
from teachlib.metrics.sanity import sanity
from teachlib.modes import in_evaluation_mode
from teachlib.scale import Scale
from teachlib.tables import Table
from teachlib.training import Objective, Schedule

# Chosen on validation images; more made none of these better.
_STEPS = {"glyphs": 1_200, "digits": 600, "fashion-mnist": 2_000}
_GREY, _COLOUR = 2_500, 6_000
_CI_STEPS = 30
_HALVED = ("glyphs", "digits", "fashion-mnist")  # trained at one learning rate to the end


@dataclass(frozen=True)
class Recipe:
    """A classifier of one data set, for its features.

    Attributes:
        name: ``features``.
        dataset: of :data:`teachlib.data.CATALOGUE`, or a folder of pictures with classes.
        scale: the scale the length was chosen for.
        classes: number of classes.
        channels: of the images.
        size: side that images are brought to, in pixels.
        width: filters of the first convolution.
        steps: updates in all.
        learning_rate: Adam's.
        batch_size: images a step, over all devices.
        plateau_patience: validations without improvement before the learning rate is halved.
    """

    name: str
    dataset: str
    scale: str = "laptop"
    classes: int = 10
    channels: int = 1
    size: int = 32
    width: int = 16
    steps: int = _GREY
    learning_rate: float = 2e-3
    batch_size: int = 100
    plateau_patience: int | None = 0

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str = "features",
    dataset: str = "glyphs",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
) -> Recipe:
    """The classifier for one data set.

    Args:
        name: ``features``.
        dataset: of the catalogue, or a folder of pictures with classes.
        scale: ``ci`` trains for a few steps; the others alike.
        width: filters of the first convolution; 16 where none is given.
        steps: other than the scale's.

    Raises:
        TeachlibError: unknown recipe, data set or scale; fewer than two classes; a width or number of steps below one.
    """
    if name != "features":
        raise unknown("recipe", name, ("features",))
    require_at_least(1, width=width, steps=steps)
    described, chosen = data.entry(dataset), Scale.of(scale)
    if described.classes < 2:
        raise TeachlibError(
            f"{dataset}: {described.classes} classes; a classifier needs two: a folder each. Without classes, measure "
            "with --extractor untrained"
        )
    channels, side, _ = described.shape
    full = _STEPS.get(dataset, _GREY if channels == 1 else _COLOUR)
    return Recipe(
        name=name,
        dataset=described.name,
        scale=chosen.value,
        classes=described.classes,
        channels=channels,
        size=32 if side <= 32 else 64,
        width=width or 16,
        steps=steps or (_CI_STEPS if chosen is Scale.CI else full),
        plateau_patience=None if dataset in _HALVED else 0,
    )


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that :meth:`Recipe.as_dict` wrote.

    Raises:
        TeachlibError: not a recipe of a feature classifier.
    """
    try:
        return Recipe(**values)
    except TypeError:
        raise TeachlibError(f"not a recipe of a feature classifier: {values}") from None


@torch.no_grad()
@in_evaluation_mode
def _accuracy(model: FeatureClassifier, test: data.ImageData) -> float:
    right = 0
    for start in range(0, len(test), 500):
        x, labels = test[start : start + 500]
        known = require_labels(labels, model.head.out_features, count=len(x))
        right += int((model(x).argmax(1) == known).sum())
    return right / len(test)


class FeatureClassifiers(Chapter[Recipe, FeatureClassifier, data.ImageData]):
    """Classifiers whose features measure other chapters' pictures."""

    key, title = "metrics", "feature classifiers"
    table, dataset = "features", "glyphs"
    zoo = tuple(Shipped("features", dataset) for dataset in ("glyphs", "digits", "mnist", "fashion-mnist"))
    tables = {
        "features": Table(
            title="Feature classifiers",
            folder="features",
            rows={"features": "features"},
            columns=("accuracy", "floor", "blurred (sigma 0.5 pixels)", "noisy (0.1)", "pixels shuffled"),
            dataset="glyphs",
        )
    }
    recipe, from_dict = staticmethod(recipe), staticmethod(from_dict)

    def load(self, recipe: Recipe, split: str, limit: int | None) -> data.ImageData:
        return data.load(recipe.dataset, split, size=recipe.size, limit=limit)

    def build(self, recipe: Recipe, training: data.ImageData | None) -> FeatureClassifier:
        sizes = {"channels": recipe.channels, "size": recipe.size, "width": recipe.width}
        return FeatureClassifier(recipe.classes, **sizes)

    def parts(self, model: FeatureClassifier) -> dict[str, nn.Module]:
        return {"classifier": model}

    def objective(self, recipe: Recipe, model: FeatureClassifier, training: data.ImageData, seed: int) -> Objective:
        return FeatureObjective(model, recipe.learning_rate)

    def schedule(self, recipe: Recipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), validate_every=250)

    def measure(self, runs: Sequence[Run[FeatureClassifier]], samples: int, extractor: str | None) -> Measured:
        """Accuracy on test images, and what distances by these features say of degraded validation images."""
        chosen = from_dict(dict(runs[0].recipe))
        splits = {split: self.load(chosen, split, None) for split in ("train", "validation", "test")}
        count = min(samples, len(splits["validation"]), len(splits["test"]))
        (images, labels), (real, _) = splits["validation"][:count], splits["test"][:count]
        rows = []
        for run in runs:
            distances = sanity(partial(features_of, run.model), images, labels, real)
            rows.append({"accuracy": _accuracy(run.model, splits["test"]), **distances})
        return Measured(
            rows,
            f"accuracy; FD-{data.short_name(chosen.dataset)}, relative, of degraded validation images",
            count,
            {
                "data_sha256": {split: loaded.sha256 for split, loaded in splits.items()},
            },
        )


CHAPTER = FeatureClassifiers()
