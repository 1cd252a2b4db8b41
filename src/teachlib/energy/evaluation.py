"""Modes, quality and shares together: any one of them alone can be had by a generator that is no good (§ 7.2.2)."""

from dataclasses import asdict, dataclass
from functools import cache

import torch
from torch import Tensor

from teachlib import data
from teachlib.distances import distances
from teachlib.energy.networks import Pair
from teachlib.energy.sets import CENTRES, DEVIATION, SETS, STACKED
from teachlib.errors import TeachlibError, require_shape, unknown
from teachlib.metrics import Extractor, density_coverage, feature_classifier, statistics_of
from teachlib.metrics.classifier import features_of

METRIC = "modes with a tenth of their share, share of good samples, KL to equal shares"
WITHIN = 3.0  # deviations from a mode's centre that count as good, as Srivastava et al. (2017) have it
SURE = 0.9  # probability of the likeliest class of every channel, at least
_REAL, _USUAL = 2000, 0.99  # pictures that are looked at, and the share of real ones that count as near
_CAUGHT = 0.1  # share of what would be fair


@dataclass(frozen=True)
class Counts:
    """What samples are of a set whose modes are known and equally likely.

    Attributes:
        modes: how many have a tenth of their fair share of all samples, or more, in good ones.
        quality: share of good samples.
        divergence: KL of the good samples' modes to equal shares, in nats; log K where there is no good one.
    """

    modes: int
    quality: float
    divergence: float


def counted(modes: Tensor, good: Tensor, of: int) -> Counts:
    """Counts of samples whose modes, (N,), and whether they are good, (N,), were found; there are ``of`` modes."""
    if not len(modes):
        raise TeachlibError("no samples; nothing can be counted")
    hits = torch.bincount(modes[good], minlength=of).double()
    share = hits / hits.sum().clamp_min(1)
    divergence = (
        torch.special.xlogy(share, share * of).sum().item() if good.any() else torch.tensor(float(of)).log().item()
    )
    caught = int((hits >= _CAUGHT * len(modes) / of).sum())
    return Counts(caught, good.double().mean().item(), divergence)


def on_grid(x: Tensor) -> Counts:
    """Of samples (N, 2) of the 25 Gaussians: good ones lie within three deviations of a centre."""
    require_shape(x, (2,))
    nearest, modes = distances(x, CENTRES.to(x)).min(1)
    return counted(modes, nearest <= WITHIN * DEVIATION, len(CENTRES))


@cache
def _typical(name: str) -> tuple[Tensor, float]:
    """Features of real pictures of a set, (2000, 64), and how near to one of them all but a few other real ones are."""
    images = data.load(name, "test").images[: 2 * _REAL].float() / 255
    features = features_of(feature_classifier(name), images)
    centres, others = features[:_REAL], features[_REAL:]
    return centres, distances(others, centres).amin(1).quantile(_USUAL).item()


@torch.no_grad()
def on_stacks(name: str, images: Tensor) -> Counts:
    """Of pictures (N, 3, 32, 32) in [0, 1] of a stacked set.

    Good ones have three digits that the zoo's classifier is sure of, and that are as near to a real one in its features
    as real ones are to each other: a classifier is sure of many things that are no digits.
    """
    require_shape(images, (3, 32, 32))
    classifier, (centres, radius) = feature_classifier(STACKED[name]), _typical(STACKED[name])
    singles = images.reshape(-1, 1, *images.shape[2:])
    features = features_of(classifier, singles)
    sure, digits = classifier.head(features.relu()).softmax(1).max(1)
    near = torch.cat([distances(part, centres).amin(1) for part in features.split(2000)]) <= radius
    modes = digits.view(-1, 3) @ torch.tensor([100, 10, 1])
    return counted(modes, ((sure >= SURE) & near).view(-1, 3).all(1), 1000)


def count(name: str, samples: Tensor) -> Counts:
    """Counts of samples of a set of :data:`teachlib.energy.sets.SETS`.

    Raises:
        TeachlibError: another set, samples of another shape, or none.
    """
    if name not in SETS:
        raise unknown("data set", name, SETS)
    return on_grid(samples) if name == "gaussians" else on_stacks(name, samples)


def evaluate(model: Pair, *, seed: int, samples: int = 10_000) -> dict[str, float]:
    """Modes, quality and divergence of a generator's samples.

    Args:
        model: to draw from.
        seed: of the draws.
        samples: how many.
    """
    drawn = model.sample(samples, torch.Generator().manual_seed(seed))
    return {name: float(value) for name, value in asdict(count(model.recipe.dataset, drawn)).items()}


def beside_real(model: Pair, real: Tensor, extractor: Extractor, *, seed: int) -> dict[str, float]:
    """How far a generator's samples are from pictures whose modes nobody has counted, and what of these they cover.

    Args:
        model: to draw from, as many samples as there are real pictures.
        real: features of held-out pictures, (N, F), by the extractor.
        extractor: of features.
        seed: of the draws.
    """
    drawn = extractor.features(model.sample(len(real), torch.Generator().manual_seed(seed)))
    near = density_coverage(real, drawn)
    distance = extractor.between(drawn, statistics_of(real))
    return {"distance": distance, "density": near.density, "coverage": near.coverage}
