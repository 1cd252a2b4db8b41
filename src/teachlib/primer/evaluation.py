"""One row of the side-by-side table for any image model of the primer."""

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teachlib.data import ImageData
from teachlib.errors import require_at_least
from teachlib.metrics import Extractor, classifier_features, frechet_between, prd, statistics_of
from teachlib.modes import in_evaluation_mode
from teachlib.primer.images import Bounds, Estimates, Evaluates, abilities
from teachlib.primer.pixels import bits_per_dimension

BATCH = 500  # images at a time: 10,000 at once would not fit into memory


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` measured.

    Attributes:
        per_image: bits per dimension of each test image, (N,), all of them whatever ``samples`` says; ``None`` where
            the model has no likelihood.
        likelihood: ``exact``, ``density``, ``bound``, ``estimate`` or ``–``, see :func:`abilities`.
        distance: Fréchet distance between samples and test images; this and the next two are NaN without an extractor.
        precision: F_⅛ of the precision-recall curve.
        recall: F_8 of it.
        parameters: learned numbers, or stored ones of a classical model.
        milliseconds: to draw one sample, in a batch.
        drawn: the samples, (N, C, H, W).
    """

    per_image: Tensor | None
    likelihood: str
    distance: float
    precision: float
    recall: float
    parameters: int
    milliseconds: float
    drawn: Tensor

    @property
    def bits(self) -> float | None:
        """Mean bits per dimension."""
        return None if self.per_image is None else self.per_image.mean().item()

    def row(self) -> dict[str, float | str | None]:
        """All numbers by name."""
        return {
            "bits": self.bits,
            "which": self.likelihood,
            "FD": self.distance,
            "precision": self.precision,
            "recall": self.recall,
            "parameters": self.parameters,
            "ms a sample": self.milliseconds,
        }


def sample_distance(drawn: Tensor, real: Tensor, dataset: str = "digits") -> float:
    """Relative Fréchet distance between two sets of images by the data set's classifier."""
    sides = [statistics_of(classifier_features(dataset, images)) for images in (drawn, real)]
    return frechet_between(sides[0], sides[1], relative=True)


@torch.no_grad()
@in_evaluation_mode
def log_prob(model: nn.Module, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> Tensor | None:
    """log P of images in nats by whatever the model offers, (N,); ``None`` where it offers nothing.

    With ``labels``, which only a conditional model takes, log P(x | class).
    """
    given = {} if labels is None else {"labels": labels}
    if isinstance(model, Evaluates):
        return model.log_prob(x, generator, **given)
    if isinstance(model, Bounds):
        return model.log_prob_bound(x, generator, **given)
    return model.log_prob_estimate(x, generator) if isinstance(model, Estimates) else None


@in_evaluation_mode
def evaluate(
    model: nn.Module,
    test: ImageData,
    *,
    seed: int = 0,
    samples: int = 10_000,
    conditional: bool = False,
    extractor: Extractor | None = None,
) -> Evaluation:
    """Measure one image model of the primer.

    Args:
        model: of :mod:`teachlib.primer.images`, on the CPU; measured in evaluation mode, and left in its own.
        test: images that training never saw.
        seed: of samples, noise and k-means.
        samples: drawn, at most as many as there are test images.
        conditional: measure p(x | class): the test images' classes are given, for likelihood and samples.
        extractor: of features; ``None``: no distances are measured.

    Raises:
        TeachlibError: no samples, or no test images.
    """
    require_at_least(1, samples=samples, test_images=len(test))
    count, generator = min(samples, len(test)), torch.Generator().manual_seed(seed)
    x, classes = test[:]
    labels = classes if conditional else None
    parts = [
        log_prob(model, x[rows], generator, None if labels is None else labels[rows]) for rows in _batches(len(test))
    ]
    nats = [part for part in parts if part is not None]
    started = time.perf_counter()
    drawn = torch.cat(
        [
            model.sample(len(rows), generator, *([] if labels is None else [labels[rows]]))  # type: ignore[operator]
            for rows in _batches(count)
        ]
    )
    milliseconds = 1000 * (time.perf_counter() - started) / count
    distance, precision, recall = _quality(drawn, x[:count], extractor, seed)
    return Evaluation(
        per_image=bits_per_dimension(torch.cat(nats), x[0].numel()) if nats else None,
        likelihood=abilities(model)["evaluate"],
        distance=distance,
        precision=precision,
        recall=recall,
        parameters=sum(p.numel() for p in list(model.parameters()) or model.buffers()),
        milliseconds=milliseconds,
        drawn=drawn,
    )


def _batches(count: int) -> tuple[Tensor, ...]:
    return torch.arange(count).split(BATCH)


def _quality(drawn: Tensor, real: Tensor, chosen: Extractor | None, seed: int) -> tuple[float, float, float]:
    if chosen is None:
        return math.nan, math.nan, math.nan
    theirs, ours = chosen.features(real), chosen.features(drawn)
    curve = prd(theirs, ours, seed=seed)
    return chosen.between(ours, statistics_of(theirs)), curve.f1_8, curve.f8
