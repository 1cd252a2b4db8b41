"""Selective classification: answer, or refuse what two thresholds find unlikely (thesis §4.6).

One convention throughout, where the thesis writes norms in one place and squared norms in another: both thresholds are
on *squared* quantities, and every measured ratio is divided by its threshold, so that it is one on the border.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import scipy
import torch
from torch import Tensor

from teachlib.errors import TeachlibError, require_at_least, require_images, unknown
from teachlib.gmmvae.losses import reconstruction_error
from teachlib.gmmvae.mixture import THREE_SIGMA, Components
from teachlib.modes import refuse_training

Map = Callable[[Tensor], Tensor]
Rule = Literal["chi-square", "held-out"]
RULES: tuple[Rule, ...] = ("chi-square", "held-out")


@dataclass(frozen=True)
class Thresholds:
    """Where refusing begins.

    Attributes:
        latent: τ_enc, of the squared Mahalanobis distance between a code and the mean of its predicted class.
        pixels: τ_dec, of the squared reconstruction error, summed over channels and pixels.
    """

    latent: float
    pixels: float

    def __post_init__(self) -> None:
        require_at_least(0, latent=self.latent, pixels=self.pixels)


@dataclass(frozen=True)
class Decision:
    """What a selective classifier says of N images.

    Attributes:
        labels: predicted class, (N,), refused or not.
        latent_ratio: squared Mahalanobis distance over τ_enc, (N,).
        pixel_ratio: squared reconstruction error over τ_dec, (N,).
    """

    labels: Tensor
    latent_ratio: Tensor
    pixel_ratio: Tensor

    @property
    def accepted(self) -> Tensor:
        """Whether both ratios are at most one, (N,)."""
        return (self.latent_ratio <= 1) & (self.pixel_ratio <= 1)

    @property
    def confidence(self) -> Tensor:
        """Minus the larger ratio, (N,): −1 and above is accepted, whatever threshold one would take instead."""
        return -torch.maximum(self.latent_ratio, self.pixel_ratio)

    def verdicts(self) -> list[str]:
        """What is said of each image, in words."""
        columns = (self.labels.tolist(), self.accepted.tolist(), self.latent_ratio.tolist(), self.pixel_ratio.tolist())
        return [
            f"taken for class {label}, {'accepted' if accepted else 'refused'}: code at {_beside_one(latent)} and "
            f"pixels at {_beside_one(pixels)} of their thresholds"
            for label, accepted, latent, pixels in zip(*columns, strict=True)
        ]


def _beside_one(ratio: float) -> str:
    """Two decimals, or as many as show on which side of one it lies."""
    digits = next(digits for digits in range(2, 18) if ratio == 1 or round(ratio, digits) != 1)
    return f"{ratio:.{digits}f}"


@dataclass(frozen=True)
class Outcome:
    """Shares of the images; they add to one.

    Attributes:
        accuracy: accepted with the right label.
        error: accepted with a wrong label. Of attacked images, these are the attack's successes.
        rejection: refused.
    """

    accuracy: float
    error: float
    rejection: float


Measured = tuple[Tensor, Tensor, Tensor]
Measure = Callable[[Tensor, torch.Generator | None], Measured]


class SelectiveClassifier:
    """A classifier that may refuse: scores, and two ratios that must not exceed one.

    Args:
        measure: images (N, C, H, W), and a generator where decisions are random, to scores of every class, (N, k), the
            latent ratio that each class would have, (N, k), and the pixel ratio, (N,); differentiable in the images.
            See :func:`by_likelihood`, :func:`by_reconstruction`, :func:`by_confidence`.
    """

    def __init__(self, measure: Measure) -> None:
        self.measure = measure

    @torch.no_grad()
    def decide(self, x: Tensor, generator: torch.Generator | None = None, *, batch_size: int = 1_000) -> Decision:
        """Label, and both ratios, of each image.

        Args:
            x: (N, C, H, W) in [0, 1].
            generator: of the noise, where there is any.
            batch_size: images at a time.

        Raises:
            TeachlibError: not a batch of images; a network in training mode.
        """
        require_images(x, -torch.inf, torch.inf)  # of other encoders the range may be another
        require_at_least(1, batch_size=batch_size)
        with refuse_training():
            parts = [self.measure(chunk, generator) for chunk in x.split(batch_size)]
        scores, latent, pixels = (torch.cat(part) for part in zip(*parts, strict=True))
        labels = scores.argmax(1)
        return Decision(labels, latent.gather(1, labels[:, None]).squeeze(1), pixels)


def by_likelihood(
    encode: Map, decode: Map, components: Components, thresholds: Thresholds, *, deviation: float = 0.0
) -> SelectiveClassifier:
    """The thesis's: refuse codes far from their class's mean, and images far from their reconstruction (§4.6).

    Args:
        encode: images (N, C, H, W) → codes (N, d), of any encoder.
        decode: codes (N, d) → images.
        components: a Gaussian a class: a GMM-VAE's prior, or :class:`teachlib.gmmvae.GaussianClasses` fitted to the
            codes of another encoder.
        thresholds: see :func:`fit_thresholds`.
        deviation: standard deviation of noise on the code before it is decoded; 0 decodes f(x) itself. With noise,
            criterion 4 of §4.6 to the letter, decisions are random.
    """

    def measure(x: Tensor, generator: torch.Generator | None = None) -> Measured:
        z = encode(x)
        noisy = z + deviation * torch.randn(z.shape, generator=generator, device=z.device) if deviation else z
        error = reconstruction_error(x, decode(noisy))
        # Scores in units of the threshold: attacks weigh their differences against the ratios.
        return (
            components.scores(z) / thresholds.latent,
            components.mahalanobis(z) / thresholds.latent,
            error / thresholds.pixels,
        )

    return SelectiveClassifier(measure)


def by_reconstruction(scores: Map, reconstruct: Map, threshold: float) -> SelectiveClassifier:
    """Refuse images that an autoencoder of its own cannot rebuild, whatever the class (Meng and Chen, 2017).

    Args:
        scores: images → logits, (N, k).
        reconstruct: images → images.
        threshold: of the squared error, summed over channels and pixels.
    """
    require_at_least(0, threshold=threshold)

    def measure(x: Tensor, generator: torch.Generator | None = None) -> Measured:
        logits = scores(x)
        return logits, torch.zeros_like(logits), reconstruction_error(x, reconstruct(x)) / threshold

    return SelectiveClassifier(measure)


def by_confidence(scores: Map, least: float = 0.0) -> SelectiveClassifier:
    """Refuse images whose class has a probability below ``least``: what a plain classifier can offer.

    Args:
        scores: images → logits, (N, k).
        least: probability, in [0, 1); 0 never refuses.

    Raises:
        TeachlibError: no such probability.
    """
    if not 0 <= least < 1:
        raise TeachlibError(f"least is {least}; expected a probability, 0 or more and below 1")

    def measure(x: Tensor, generator: torch.Generator | None = None) -> Measured:
        logits = scores(x)
        doubt = 1 - logits.double().softmax(1)  # of a classifier that is sure, single precision leaves nothing
        return logits, (doubt / (1 - least)).to(logits), torch.zeros_like(logits[:, 0])

    return SelectiveClassifier(measure)


def refuse_unseen(rate: float, count: int) -> None:
    """Refuse a rate of rejections that so many images cannot show.

    Raises:
        TeachlibError: no share, or one of less than one image.
    """
    if not 0 < rate < 1 or count * rate < 1:
        raise TeachlibError(
            f"a rate of {rate:g} cannot be read off {count} images; take more of them, or a rate of at least "
            f"{1 / max(count, 1):g}"
        )


@torch.no_grad()
def fit_thresholds(
    encode: Map,
    decode: Map,
    components: Components,
    held_out: Tensor,
    *,
    rate: float = 1 - THREE_SIGMA,
    latent: Rule = "chi-square",
    batch_size: int = 1_000,
) -> Thresholds:
    """Thresholds that refuse a share ``rate`` of clean images each (thesis §4.6: the three-sigma rule).

    Args:
        encode: images → codes.
        decode: codes → images.
        components: a Gaussian a class.
        held_out: clean images that training has not seen, (N, C, H, W).
        rate: of false rejections, each threshold by itself.
        latent: ``chi-square`` takes the quantile that codes would have if they followed their component, as the
            thesis does; ``held-out`` the quantile that they have.
        batch_size: images at a time.

    Raises:
        TeachlibError: unknown rule, fewer images than the rate can be seen on, what is no images, or a network in
            training mode.
    """
    if latent not in RULES:
        raise unknown("rule", latent, RULES)
    refuse_unseen(rate, len(held_out))
    require_images(held_out, -torch.inf, torch.inf)
    distances, errors = [], []
    with refuse_training():
        for chunk in held_out.split(batch_size):
            z = encode(chunk)
            found = components.mahalanobis(z)
            distances.append(found.gather(1, components.classify(z)[:, None])[:, 0])
            errors.append(reconstruction_error(chunk, decode(z)))
            dimension = z.shape[1]
    by_quantile = float(torch.cat(distances).double().quantile(1 - rate))
    return Thresholds(
        latent=float(scipy.stats.chi2.ppf(1 - rate, dimension)) if latent == "chi-square" else by_quantile,
        pixels=float(torch.cat(errors).double().quantile(1 - rate)),
    )


def outcome(decision: Decision, labels: Tensor) -> Outcome:
    """Accuracy, error and rejection over all images (thesis Table 4.1, Figure 4.3).

    Args:
        decision: on N images.
        labels: their true classes, (N,).

    Raises:
        TeachlibError: no images, another number of labels, or images without one.
    """
    if labels.numel() and labels.min() < 0:
        raise TeachlibError(
            f"label {int(labels.min())}: an image without a class is neither right nor wrong; leave it out"
        )
    if labels.shape != decision.labels.shape or len(labels) == 0:
        raise TeachlibError(
            f"labels of shape {tuple(labels.shape)} for {len(decision.labels)} decisions; expected one each"
        )
    right, accepted, count = decision.labels == labels, decision.accepted, len(labels)
    accuracy, error = int((accepted & right).sum()), int((accepted & ~right).sum())
    return Outcome(accuracy / count, error / count, (count - accuracy - error) / count)


@dataclass(frozen=True)
class RiskCoverage:
    """How often a selective classifier errs, against how much it answers (El-Yaniv and Wiener, 2010).

    Attributes:
        coverage: share that is answered, (N,), 1/N … 1.
        risk: share of errors among what is answered, (N,).
        area: mean of the risk over all coverages; smaller is better.
    """

    coverage: Tensor
    risk: Tensor
    area: float


def risk_coverage(confidence: Tensor, correct: Tensor) -> RiskCoverage:
    """The curve that a moving threshold on ``confidence`` draws, surest images first.

    Images of one confidence, such as the many to which a network gives all its probability, have no order: each counts
    with the share of errors among them, as it would on average over all orders.

    Args:
        confidence: (N,).
        correct: whether each label is right, (N,) bool.

    Raises:
        TeachlibError: no images, other shapes, or a confidence that is not a number.
    """
    if confidence.ndim != 1 or correct.shape != confidence.shape or len(confidence) == 0:
        shapes = tuple(confidence.shape), tuple(correct.shape)
        raise TeachlibError(f"confidence and correctness of shapes {shapes[0]} and {shapes[1]}; expected (N,) each")
    if confidence.isnan().any():
        raise TeachlibError("a confidence that is not a number")
    _, group, sizes = confidence.unique(return_inverse=True, return_counts=True)  # from the least to the surest
    errors = torch.zeros(len(sizes), dtype=torch.double, device=confidence.device)
    errors = errors.index_add(0, group, (~correct).double()) / sizes
    answered = torch.arange(1, len(group) + 1, device=confidence.device)
    risk = errors[group.sort(descending=True).values].cumsum(0) / answered
    return RiskCoverage(answered / len(group), risk, float(risk.mean()))
