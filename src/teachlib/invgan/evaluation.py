"""The columns of Table 6.1, each defined once, and what stands beside them (thesis § 6.4)."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from teachlib.data import ImageData
from teachlib.errors import TeachlibError
from teachlib.invgan.losses import STEP, pixel_error, unevenness
from teachlib.invgan.networks import InvGAN
from teachlib.metrics import Extractor, FeatureStatistics, statistics_of
from teachlib.modes import in_evaluation_mode

CHUNK = 500
_STEPS = 2_000  # codes whose steps and paths are compared
_APART = 0.01  # of the whole way between two codes: the ε of path lengths
_FEW = 10_000  # training images that are looked through for the nearest one


@dataclass(frozen=True)
class Evaluation:
    """What was found of one model.

    Attributes:
        distances: Fréchet, to the training set: ``random`` samples, ``random rebuilt``, ``test rebuilt``, ``midpoint``
            between two test images; ``floor``, of the test images themselves; and ``random to test``, of the samples
            to the test images instead.
        error: mean absolute error of rebuilt test images, on a scale of -1 … 1. This, the distances of what was
            rebuilt, spread and seconds are ``None`` or missing of a model that infers nothing.
        references: the same error of what needs no GAN, of the first 1,000 of them (:func:`references`).
        spread: deviation of the codes of test images, over that of the prior's.
        uneven: deviation over mean of how far samples move, in the extractor's features, when their codes take steps
            of one length in random directions (§ 6.3's smoothness; 0 would be perfectly even).
        paths: perceptual path length between codes of the prior (:func:`path_length`).
        seconds: to rebuild one image, on this machine.
    """

    distances: dict[str, float]
    error: float | None
    references: dict[str, float]
    spread: float | None
    uneven: float
    paths: float
    seconds: float | None

    def row(self) -> dict[str, float]:
        """As it is recorded."""
        found = {
            **self.distances,
            "error": self.error,
            **{f"error of {name}": value for name, value in self.references.items()},
            "spread of codes": self.spread,
            "uneven steps": self.uneven,
            "path length": self.paths,
            "seconds an image": self.seconds,
        }
        return {name: value for name, value in found.items() if value is not None}


@torch.no_grad()
@in_evaluation_mode
def infer_all(model: InvGAN, images: Tensor) -> Tensor:
    """Codes of images (N, C, H, W) in [0, 1], (N, w_dim)."""
    return torch.cat([model.infer(part) for part in images.split(CHUNK)])


@torch.no_grad()
@in_evaluation_mode
def generate_all(model: InvGAN, codes: Tensor) -> Tensor:
    """Images of codes (N, w_dim), in [0, 1]."""
    return torch.cat([model.generate(part) for part in codes.split(CHUNK)])


def midpoints(codes: Tensor, generator: torch.Generator) -> Tensor:
    """Half the way from each code to another one's, (N, d)."""
    return (codes + codes[torch.randperm(len(codes), generator=generator)]) / 2


def real_statistics(train: ImageData, extractor: Extractor) -> FeatureStatistics:
    """Of a training set's features, for several models."""
    return statistics_of(torch.cat([extractor.features(train[rows][0]) for rows in _parts(len(train))]))


def evaluate(
    model: InvGAN,
    train: ImageData,
    test: ImageData,
    extractor: Extractor,
    *,
    seed: int = 0,
    count: int = 10_000,
    real: FeatureStatistics | None = None,
) -> Evaluation:
    """Measure one model.

    Args:
        model: to be measured.
        train: that distances are taken to, as in the thesis, but for one.
        test: images that it was not trained on.
        extractor: of features.
        seed: of samples and pairs.
        count: of samples, and at most so many test images.
        real: :func:`real_statistics` of the training set, where they are known.
    """
    generator = torch.Generator().manual_seed(seed)
    real = real or real_statistics(train, extractor)
    images = test.first(count)[:][0]
    with torch.no_grad():
        prior = torch.cat([_prior(model, len(rows), generator) for rows in torch.arange(count).split(CHUNK)])
    random = generate_all(model, prior)
    sets = {"floor": images, "random": random}
    error = spread = seconds = None
    if model.infers:
        begun = time.perf_counter()
        codes = infer_all(model, images)
        rebuilt = generate_all(model, codes)
        seconds = (time.perf_counter() - begun) / len(images)
        error = pixel_error(images, rebuilt).item()
        spread = (codes.std(0).mean() / prior.std(0).mean()).item()
        sets |= {
            "random rebuilt": generate_all(model, infer_all(model, random)),
            "test rebuilt": rebuilt,
            "midpoint": generate_all(model, midpoints(codes, generator)),
        }
    features = {name: extractor.features(some) for name, some in sets.items()}
    distances = {name: extractor.between(some, real) for name, some in features.items()}
    to_test = extractor.between(features["random"], statistics_of(features["floor"]))
    return Evaluation(
        distances=distances | {"random to test": to_test},
        error=error,
        references=references(train[:_FEW][0], images[:1000], model.w_dim),
        spread=spread,
        uneven=uneven_steps(model, prior[:_STEPS], extractor, generator),
        paths=path_length(model, prior[:_STEPS], extractor, generator),
        seconds=seconds,
    )


def uneven_steps(model: InvGAN, codes: Tensor, extractor: Extractor, generator: torch.Generator) -> float:
    """Deviation over mean of how far images move, in an extractor's features, as their codes take steps of one length.

    Args:
        model: that generates.
        codes: to begin with, (N, w_dim), two or more.
        extractor: of features.
        generator: of the directions.
    """
    turns = normalize(torch.randn(codes.shape, generator=generator), dim=1)
    before, after = (extractor.features(generate_all(model, w)) for w in (codes, codes + STEP * turns))
    return unevenness((before - after).norm(dim=1)).sqrt().item()


def path_length(model: InvGAN, codes: Tensor, extractor: Extractor, generator: torch.Generator) -> float:
    """Perceptual path length in w (Karras et al., 2019), of an extractor's features over their variance.

    E‖f(G(w_t)) - f(G(w_{t+ε}))‖²/ε² between two codes of the prior, t uniform in 0 … 1. Divided by the total variance
    of the features it is 2 of any linear generator and linear features, and more the more of the way is a detour.

    Args:
        model: that generates.
        codes: of the prior, (N, w_dim), two or more.
        extractor: of features.
        generator: of pairs and places.

    Raises:
        TeachlibError: fewer than two codes, or samples that all have the same features.
    """
    if len(codes) < 2:
        raise TeachlibError(f"{len(codes)} codes; a path needs two or more")
    ends = codes.roll(1 + int(torch.randint(len(codes) - 1, (1,), generator=generator)), 0)
    places = torch.rand(len(codes), 1, generator=generator) * (1 - _APART)
    first, second, samples = (
        extractor.features(generate_all(model, codes.lerp(ends, at))).double()
        for at in (places, places + _APART, torch.zeros(len(codes), 1))
    )
    variance = samples.var(0).sum()
    if not variance > 0:
        raise TeachlibError("all samples have the same features; no path leads anywhere")
    return ((first - second).square().sum(1).mean() / _APART**2 / variance).item()


@in_evaluation_mode
def _prior(model: InvGAN, count: int, generator: torch.Generator) -> Tensor:
    return model.codes(count, generator)


def _parts(count: int) -> list[slice]:
    return [slice(start, start + CHUNK) for start in range(0, count, CHUNK)]


def references(train: Tensor, images: Tensor, components: int) -> dict[str, float]:
    """Mean absolute errors, on a scale of -1 … 1, of what needs no GAN.

    Args:
        train: (N, C, H, W) in [0, 1].
        images: (M, C, H, W).
        components: as many numbers an image as the model has.

    Returns:
        ``median``: one image for all, pixel by pixel; ``nearest``: the training image with the smallest error, of
        10,000; ``PCA``: as many principal components, of 10,000 training images.
    """
    some = train[:_FEW].flatten(1)
    flat = images.flatten(1)
    mean = some.mean(0)
    # Drawn with a seed, and a few more than are kept: the last ones of a random projection are the worst.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        asked = min(components + 10, *some.shape)
        directions = torch.pca_lowrank(some - mean, asked, niter=4)[2][:, :components]
    linear = (mean + (flat - mean) @ directions @ directions.T).clamp(0, 1)
    nearest = torch.cat([torch.cdist(part, some, p=1).amin(1) for part in flat.split(CHUNK)])
    return {
        "median": 2 * (flat - some.median(0).values).abs().mean().item(),
        "nearest": 2 * (nearest / flat.shape[1]).mean().item(),
        "PCA": 2 * (flat - linear).abs().mean().item(),
    }
