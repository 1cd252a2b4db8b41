"""What attacks climb: losses that are positive exactly where the attack succeeds.

All are margins on distances or logits. Cross-entropy on a GMM-VAE's posterior would be a wall, not a hill: 3,000 nats
from one mean to the next, its gradient is exactly zero in float32, and every gradient attack would fail for that reason
alone (:meth:`teachlib.gmmvae.MixturePrior.log_posterior`).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_labels
from teachlib.gmmvae.attacks.gradient import Loss
from teachlib.gmmvae.selective import Measured, SelectiveClassifier

Scores = Callable[[Tensor], Tensor]


def _of_label(scores: Tensor, labels: Tensor) -> Tensor:
    return scores.gather(1, labels[:, None]).squeeze(1)


def _without(scores: Tensor, labels: Tensor) -> Tensor:
    """Scores with −∞ for the label, (N, k)."""
    labels = require_labels(labels, several(scores), count=len(scores))
    return scores.scatter(1, labels[:, None], -torch.inf)


def several(scores: Tensor) -> int:
    """How many classes scores of (N, k) tell apart.

    Raises:
        TeachlibError: one, or none: there is no wrong one to be taken for.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise TeachlibError(f"scores of shape {tuple(scores.shape)}; an attack needs (N, k) of two classes or more")
    return scores.shape[1]


def _lead(scores: Tensor, labels: Tensor) -> Tensor:
    """The label's score less the best other's, (N,)."""
    others = _without(scores, labels).amax(1)
    return _of_label(scores, labels.long()) - others


def misclassified(scores: Scores, labels: Tensor) -> Loss:
    """Best other class's score less the true one's: positive where the classifier errs.

    Args:
        scores: images → (N, k), higher for likelier classes: logits, or minus squared distances to the means.
        labels: true classes, (N,).
    """

    def loss(x: Tensor) -> Tensor:
        return -_lead(scores(x), labels)

    return loss


def accepted_as(
    classifier: SelectiveClassifier,
    targets: Tensor,
    *,
    weight: Tensor | float = 1.0,
    draws: int = 1,
    generator: torch.Generator | None = None,
) -> Loss:
    """The target, accepted by both thresholds: what an attacker who knows the detectors climbs.

    Three slacks must all be positive: the target is the likeliest class, its latent ratio is below one, and so is the
    pixel ratio. Their signed roots keep slopes alike far from the border (at a mean the others are 3,000 nats off).
    The loss is the least slack where all are positive, else minus the sum of what is missing.

    Args:
        classifier: to be fooled.
        targets: classes that the attacker wants, (N,).
        weight: of the pixels' slack beside the two of the code; a number, or one a sample, (N,).
        draws: of the classifier's noise, over which gradients are averaged (expectation over transformation).
        generator: of that noise.
    """

    def loss(x: Tensor) -> Tensor:
        seen = [classifier.measure(x, generator) for _ in range(draws)]
        return torch.stack([_joint(measured, targets, weight) for measured in seen]).mean(0)

    return loss


def accepted_wrongly(
    classifier: SelectiveClassifier, labels: Tensor, *, generator: torch.Generator | None = None
) -> Loss:
    """Any class but the true one, accepted: :func:`accepted_as` with the likeliest other class of the moment.

    Args:
        classifier: to be fooled.
        labels: true classes, (N,).
        generator: of the classifier's noise.
    """

    def loss(x: Tensor) -> Tensor:
        measured = classifier.measure(x, generator)
        return _joint(measured, _without(measured[0], labels).argmax(1), 1.0)

    return loss


def slacks(
    classifier: SelectiveClassifier, labels: Tensor, *, generator: torch.Generator | None = None
) -> Callable[[Tensor], Tensor]:
    """What :func:`accepted_wrongly` joins, each by itself: the lead of a wrong class, and of both ratios what is left.

    Args:
        classifier: to be fooled.
        labels: true classes, (N,).
        generator: of the classifier's noise.

    Returns:
        A function of images (N, C, H, W) to (N, 3), all positive where the likeliest wrong class is accepted.
    """

    def requirements(x: Tensor) -> Tensor:
        measured = classifier.measure(x, generator)
        return _slacks(measured, _without(measured[0], labels).argmax(1)).T

    return requirements


def _slacks(measured: Measured, targets: Tensor) -> Tensor:
    """Lead of the target, and of its code and of the pixels what is left to the threshold, (3, N)."""
    scores, latent, pixels = measured
    lead = signed_root(_lead(scores, targets))
    return torch.stack([lead, 1 - _root(_of_label(latent, targets.long())), 1 - _root(pixels)])


def _joint(measured: Measured, targets: Tensor, weight: Tensor | float) -> Tensor:
    """Least slack where all are positive, else minus what is missing."""
    each = _slacks(measured, targets)
    missing = (-each).relu()
    short = missing[0] + missing[1] + weight * missing[2]
    return torch.where((each > 0).all(0), each.amin(0), -short)


def signed_root(v: Tensor) -> Tensor:
    """√|v| with the sign of v far from zero, and smooth at zero."""
    return v / (v.abs() + 1).sqrt()


def _root(ratio: Tensor) -> Tensor:
    return (ratio + 1e-12).sqrt()  # its slope at zero is infinite
