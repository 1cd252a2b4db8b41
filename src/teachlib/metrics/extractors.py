"""Which features a Fréchet distance rests on: by name, as ``teachlib evaluate --extractor`` takes it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from teachlib import data, zoo
from teachlib.errors import TeachlibError
from teachlib.metrics.classifier import DIMENSION, FeatureClassifier, feature_classifier, features_of
from teachlib.metrics.inception import inception_features, read_checked, weights_file
from teachlib.metrics.statistics import FeatureStatistics, frechet_between, statistics_of

KINDS = ("classifier", "inception", "untrained")
UNTRAINED_SEED = 0


@dataclass(frozen=True)
class Extractor:
    """Features of images, and what a distance between them is called.

    Attributes:
        name: which network, as results record it.
        metric: ``FID`` for Inception's features alone; ``FD-…`` for all others, never to be compared with FID.
        relative: whether the distance is divided by the total variance of the real features, as all but FID are.
        features: images (N, C, H, W) in [0, 1] → (N, F).
    """

    name: str
    metric: str
    relative: bool
    features: Callable[[Tensor], Tensor]

    @property
    def says(self) -> str:
        """The metric in words, for results."""
        over = " over the total variance of the test set's features" if self.relative else ""
        return f"{self.metric}: Fréchet distance{over}"

    def between(self, features: Tensor, real: FeatureStatistics) -> float:
        """Between features (N, F) and the statistics of the real ones'."""
        return frechet_between(statistics_of(features), real, relative=self.relative)


def extractor(kind: str | None, dataset: str, *, runs: Path = Path("runs")) -> Extractor:
    """The extractor for a data set.

    Args:
        kind: ``classifier`` (the zoo's for this data set, else the one that ``teachlib train features`` left in
            ``runs``), ``inception``, ``untrained`` (random weights from a fixed seed: coarse, but always at hand), or
            the folder of a run of ``teachlib train features``. ``None``: ``classifier``.
        dataset: that is measured.
        runs: where ``teachlib train`` puts runs by default.

    Raises:
        TeachlibError: no such kind; no classifier or no weights at hand, with what to do.
    """
    if kind == "inception":
        read_checked(weights_file())  # refused now, not after minutes of encoding
        return Extractor("Inception-v3 (2015-12-05), 2048 features", "FID", False, inception_features)
    if kind == "untrained":
        return untrained(data.entry(dataset).shape)
    if kind in (None, "classifier"):
        trained = runs / f"{data.short_name(dataset)}-features-0"
        if f"features-{dataset}" in zoo.names() or not trained.is_dir():
            model, where = feature_classifier(dataset), "zoo"
        else:
            model, where = _of_run(trained, dataset), str(trained)
        return _by_classifier(model, dataset, where)
    if Path(kind).exists():
        return _by_classifier(_of_run(Path(kind), dataset), dataset, kind)
    raise TeachlibError(
        f"extractor '{kind}'; expected {', '.join(KINDS)}, or the folder of a run of 'teachlib train features'"
    )


def _by_classifier(model: FeatureClassifier, dataset: str, where: str) -> Extractor:
    short = data.short_name(dataset)
    name = f"features-{short} ({where}), {DIMENSION} features"
    return Extractor(name, f"FD-{short}", True, partial(features_of, model))


def _of_run(folder: Path, dataset: str) -> FeatureClassifier:
    from teachlib.metrics.chapter import CHAPTER  # the chapter of classifiers measures by this module

    model, header = CHAPTER.open_run(folder)
    trained_on = header["recipe"]["dataset"]
    if trained_on.partition("?")[0] != dataset.partition("?")[0]:  # sizes may differ: images are resized
        raise TeachlibError(f"{folder}: features of {trained_on}; expected a classifier of {dataset}")
    return model


def untrained(shape: tuple[int, int, int], *, seed: int = UNTRAINED_SEED) -> Extractor:
    """The extractor that needs no data: random weights from a fixed seed, for images (C, H, W)."""
    channels, side, _ = shape
    size = 32 if side <= 32 else 64
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = FeatureClassifier(channels=channels, size=size).eval()
    name = f"untrained network, seed {seed}, {channels}×{size}×{size}, {DIMENSION} features"
    return Extractor(name, "FD-untrained", True, partial(features_of, model))
