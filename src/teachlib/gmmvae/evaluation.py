"""A trained model as a selective classifier, and what Table 4.1 says of one."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from teachlib.data import ImageData
from teachlib.errors import require_labels
from teachlib.gmmvae.losses import reconstruction_error
from teachlib.gmmvae.mixture import MixturePrior
from teachlib.gmmvae.models import CNN, GMMVAE, MagNet, Model
from teachlib.gmmvae.selective import (
    Map,
    Rule,
    SelectiveClassifier,
    by_confidence,
    by_likelihood,
    by_reconstruction,
    fit_thresholds,
    outcome,
    refuse_unseen,
    risk_coverage,
)
from teachlib.modes import in_evaluation_mode

RATE = 0.01  # of false rejections, each threshold; the thesis refuses 1.8 % of MNIST's test images by both together
MEASURED_ON = 10_000  # training images, at most, whose codes give the covariances


@torch.no_grad()
def mapped(function: Map, images: Tensor, *, batch_size: int = 500) -> Tensor:
    """A network's outputs for many images, a batch at a time, without gradients."""
    return torch.cat([function(chunk) for chunk in images.split(batch_size)])


@in_evaluation_mode
def measured_prior(model: GMMVAE, training: ImageData) -> MixturePrior:
    """The model's prior with the covariances of its training codes; see :meth:`teachlib.gmmvae.MixturePrior.measured`.

    Args:
        model: trained.
        training: its training images; at most 10,000 are looked at.
    """
    x, labels = training[: min(MEASURED_ON, len(training))]
    return model.prior.measured(mapped(model.encode, x), labels)


@in_evaluation_mode
def selective(
    model: Model, training: ImageData, held_out: ImageData, *, rate: float = RATE, latent: Rule = "held-out"
) -> SelectiveClassifier:
    """The model with thresholds from held-out images, as each kind offers them.

    A GMM-VAE refuses by code and by reconstruction, MagNet by reconstruction, a plain classifier by its confidence.

    Args:
        model: trained.
        training: for the covariances of the codes.
        held_out: clean images that training has not seen.
        rate: of false rejections that each threshold is meant to have.
        latent: how a GMM-VAE's threshold on codes is found; see :func:`teachlib.gmmvae.fit_thresholds`.

    Raises:
        TeachlibError: too few held-out images for this rate.
    """
    x = held_out[:][0]
    refuse_unseen(rate, len(x))
    if isinstance(model, GMMVAE):
        prior = measured_prior(model, training)
        found = fit_thresholds(model.encode, model.decode, prior, x, rate=rate, latent=latent)
        return by_likelihood(model.encode, model.decode, prior, found)
    if isinstance(model, MagNet):
        errors = mapped(lambda chunk: reconstruction_error(chunk, model.reconstruct(chunk)), x)
        return by_reconstruction(model.scores, model.reconstruct, float(errors.double().quantile(1 - rate)))
    confidence = mapped(model.scores, x).double().softmax(1).amax(1)
    return by_confidence(model.scores, float(confidence.quantile(rate)))


@dataclass(frozen=True)
class Evaluation:
    """A row of Table 4.1, and more.

    Attributes:
        plain_accuracy: without thresholds.
        accuracy: with thresholds, of all images.
        error: accepted with a wrong label.
        rejection: refused.
        risk_area: under the curve of risk over coverage.
        squared_error: of reconstructions, summed over channels and pixels, mean over images; 0 without a decoder.
    """

    plain_accuracy: float
    accuracy: float
    error: float
    rejection: float
    risk_area: float
    squared_error: float

    def row(self) -> dict[str, float]:
        """Plain values."""
        return asdict(self)


@in_evaluation_mode
def evaluate(
    model: Model, training: ImageData, held_out: ImageData, test: ImageData, *, rate: float = RATE
) -> Evaluation:
    """Clean accuracy with and without thresholds (thesis Table 4.1).

    Args:
        model: trained; measured in evaluation mode, and left in its own.
        training: for the covariances of the codes.
        held_out: for the thresholds.
        test: to be judged on.
        rate: of false rejections that each threshold is meant to have.

    Raises:
        TeachlibError: as :func:`selective`; test images without a label.
    """
    classifier = selective(model, training, held_out, rate=rate)
    x, labels = test[:]
    require_labels(labels, model.recipe.classes, count=len(x))
    decision = classifier.decide(x)
    right = decision.labels == labels
    shares = outcome(decision, labels)
    rebuild = None if isinstance(model, CNN) else model.reconstruct if isinstance(model, MagNet) else model
    return Evaluation(
        plain_accuracy=float(right.double().mean()),
        accuracy=shares.accuracy,
        error=shares.error,
        rejection=shares.rejection,
        risk_area=risk_coverage(decision.confidence, right).area,
        squared_error=0.0
        if rebuild is None
        else float(mapped(lambda chunk: reconstruction_error(chunk, rebuild(chunk)), x).mean()),
    )
