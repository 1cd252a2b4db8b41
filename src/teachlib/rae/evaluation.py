"""One row of thesis Tables 3.1 and A.2 for a trained autoencoder (App. A.1.3, A.1.4)."""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from teachlib.data import ImageData
from teachlib.errors import require_at_least
from teachlib.metrics import (
    PRD,
    DensityCoverage,
    Extractor,
    density_coverage,
    prd,
    statistics_of,
)
from teachlib.modes import in_evaluation_mode
from teachlib.rae.density import Density, MixtureDensity, fit_gaussian, fit_mixture, standard_normal
from teachlib.rae.interpolation import spherical
from teachlib.rae.models import Autoencoder
from teachlib.rae.recipes import Recipe
from teachlib.rae.second_stage import Kind, fit_second_stage

CHUNK = 500


@torch.no_grad()
@in_evaluation_mode
def encode_all(model: Autoencoder, data: ImageData) -> Tensor:
    """Codes of a whole data set, (N, d), on the CPU."""
    device = next(model.parameters()).device
    chunks = (data[start : start + CHUNK][0] for start in range(0, len(data), CHUNK))
    return torch.cat([model.encode(x.to(device)).cpu() for x in chunks])


@torch.no_grad()
@in_evaluation_mode
def decode_all(model: Autoencoder, codes: Tensor) -> Tensor:
    """Images of many codes, (N, C, H, W), on the CPU."""
    device = next(model.parameters()).device
    return torch.cat([model.decode(z.to(device)).cpu() for z in codes.split(CHUNK)])


def densities(model: Autoencoder, codes: Tensor, *, seed: int = 0) -> dict[str, Density]:
    """The two densities of Table 3.1: ``normal`` and ``mixture``.

    ``normal`` is N(0, I) for VAE and WAE, the second stage for 2sVAE, and a fitted full Gaussian for all others (App.
    A.1.3); ``mixture`` has ten fitted components.

    Args:
        model: whose codes these are.
        codes: of the training set, (N, d).
        seed: of the mixture's start, and of a second stage.
    """
    return {"normal": _normal(model.recipe, codes, seed), "mixture": fit_mixture(codes, seed=seed)}


def _normal(recipe: Recipe, codes: Tensor, seed: int) -> Density:
    if recipe.second_stage is not None:
        kind: Kind = "released" if recipe.variant == "released" else "dai-wipf"
        return fit_second_stage(codes, kind=kind, kl_weight=recipe.second_stage, scale=recipe.scale, seed=seed)
    return standard_normal(codes.shape[1]) if recipe.fixed_prior else fit_gaussian(codes)


@dataclass(frozen=True)
class Evaluation:
    """What :func:`evaluate` measured.

    Attributes:
        distances: ``reconstruction``; samples of ``normal`` and ``mixture``, and, whatever the model, of N(0, I)
            (``standard``) and one fitted Gaussian (``fitted``); mid-points of paths round the origin
            (``interpolation``) and round the mean of the codes (``interpolation_mean``); and ``floor``, the distance
            between real validation and test images. Fréchet distances, all but FID relative: divided by the total
            variance of the test set's features, so that numbers of different extractors can be set side by side.
        curves: precision–recall of ``normal`` and ``mixture`` samples against the test set.
        neighbourhoods: density and coverage of the same.
        squared_error: ‖x − x̂‖² of an image, averaged over validation images.
        log_likelihood: of the mixture, mean nats a code on ``train`` and ``validation`` codes: over-fitting shows as
            a gap.
        samples: how many images each distance rests on.
    """

    distances: dict[str, float]
    curves: dict[str, PRD]
    neighbourhoods: dict[str, DensityCoverage]
    squared_error: float
    log_likelihood: dict[str, float]
    samples: int

    def row(self) -> dict[str, float]:
        """All numbers by name, as measured tables keep them."""
        flat = {f"{kind}_precision": curve.f1_8 for kind, curve in self.curves.items()}
        flat |= {f"{kind}_recall": curve.f8 for kind, curve in self.curves.items()}
        flat |= {f"{kind}_density": measured.density for kind, measured in self.neighbourhoods.items()}
        flat |= {f"{kind}_coverage": measured.coverage for kind, measured in self.neighbourhoods.items()}
        flat |= {f"log_likelihood_{split}": value for split, value in self.log_likelihood.items()}
        return {**self.distances, **flat, "squared_error": self.squared_error}


def evaluate(
    model: Autoencoder,
    train: ImageData,
    validation: ImageData,
    test: ImageData,
    extractor: Extractor,
    *,
    seed: int = 0,
    count: int = 10_000,
) -> Evaluation:
    """Measure one model as App. A.1.3 does.

    Densities are fitted to training codes. Reconstructions are of validation images, interpolations are spherical
    mid-points between random pairs of validation codes; all are compared with the test set. Where text and released
    script of the thesis disagree, or a choice decides the order of models, both ways are measured: the text samples a
    fitted Gaussian, the script N(0, I); the script's paths go round the origin, which is not where the codes of every
    model lie.

    Args:
        model: measured in evaluation mode, and left in its own.
        train: training images.
        validation: images that training never saw.
        test: the set to compare with.
        extractor: of features; see :func:`teachlib.metrics.extractor`.
        seed: of samples, pairs and k-means.
        count: images a distance at most; the thesis: 10,000.

    Raises:
        TeachlibError: a count below two, of which no covariance can be taken.
    """
    require_at_least(2, count=count)
    count = min(count, len(test))
    generator = torch.Generator().manual_seed(seed)
    codes, held_out = encode_all(model, train), encode_all(model, validation.first(count))
    fitted = densities(model, codes, seed=seed)
    mixture = cast(MixtureDensity, fitted["mixture"])
    originals = validation.first(count)[:][0]
    reconstructions = decode_all(model, held_out)
    extract = extractor.features
    real = extract(test.first(count)[:][0])
    half = torch.tensor([0.5])
    start, end = held_out[torch.randint(len(held_out), (2, count), generator=generator)]
    latent = {kind: density.sample(count, generator) for kind, density in fitted.items()} | {
        "standard": standard_normal(codes.shape[1]).sample(count, generator),
        "fitted": fit_gaussian(codes).sample(count, generator),
        "interpolation": spherical(start, end, half)[:, 0],
        "interpolation_mean": spherical(start, end, half, centre=codes.mean(0))[:, 0],
    }
    features = {"floor": extract(originals), "reconstruction": extract(reconstructions)}
    features |= {kind: extract(decode_all(model, z)) for kind, z in latent.items()}
    against = statistics_of(real)
    return Evaluation(
        distances={kind: extractor.between(drawn, against) for kind, drawn in features.items()},
        curves={kind: prd(real, features[kind], seed=seed) for kind in fitted},
        neighbourhoods={kind: density_coverage(real, features[kind]) for kind in fitted},
        squared_error=(originals - reconstructions).square().flatten(1).sum(1).mean().item(),
        log_likelihood={
            "train": mixture.log_prob(codes).mean().item(),
            "validation": mixture.log_prob(held_out).mean().item(),
        },
        samples=count,
    )
