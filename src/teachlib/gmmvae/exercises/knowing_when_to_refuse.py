"""Exercises on refusing: a distance and its threshold, three shares, the area under risk and coverage."""

from typing import Any

import torch
from torch import Tensor

from teachlib.checks import Answer, Unfit, calls, exercise, seeded
from teachlib.gmmvae.selective import Decision, outcome, risk_coverage

# ------------------------------------------------------------------------------------------------ latent_ratio

_CODES, _MEAN = 0.5 * torch.randn(4, 3, generator=seeded(0)), torch.tensor([0.1, -0.2, 0.0])
_COVARIANCE = torch.tensor([[0.04, 0.01, 0.0], [0.01, 0.09, 0.02], [0.0, 0.02, 0.16]])


def _ratio(z: Tensor, mean: Tensor, covariance: Tensor, threshold: float) -> Tensor:
    offset = z - mean
    return (offset @ torch.linalg.inv(covariance) * offset).sum(1) / threshold


latent_ratio = exercise(
    "latent_ratio",
    "Write latent_ratio(z, mean, covariance, threshold): the squared Mahalanobis distance of each code from the "
    "mean over the threshold, one on the border; z is (N, d), the result (N,).",
    _ratio,
    calls({"ratio": (_CODES, _MEAN, _COVARIANCE, 14.0)}),
    wrong={
        "covariance": (
            lambda z, m, c, t: ((z - m) @ c * (z - m)).sum(1) / t,
            "this has Σ where Σ⁻¹ belongs, as Eqs. 4.9 and 4.10 are printed: a code far out in a narrow direction "
            "would look near (see the errata page)",
        ),
        "unsquared": (
            lambda z, m, c, t: _ratio(z, m, c, t).sqrt(),
            "the root of the ratio; the threshold, a quantile of chi-square, is on the squared distance",
        ),
        "root_over_threshold": (
            lambda z, m, c, t: (_ratio(z, m, c, t) * t).sqrt() / t,
            "a distance over a squared threshold: the quantile of chi-square belongs to the squared distance",
        ),
        "variances_only": (
            lambda z, m, c, t: ((z - m).square() / c.diagonal()).sum(1) / t,
            "this takes the variances and leaves the correlations out: invert the whole matrix",
        ),
        "not_centred": (
            lambda z, m, c, t: _ratio(z, torch.zeros_like(m), c, t),
            "measured from the origin; subtract the mean first",
        ),
    },
)


# ------------------------------------------------------------------------------------------------------ shares


def _observe_shares(answer: Answer) -> dict[str, Any]:
    predicted, labels = torch.tensor([0, 1, 2, 2, 1, 0, 1, 2, 0, 0]), torch.tensor([0, 1, 2, 1, 1, 1, 0, 2, 0, 2])
    accepted = torch.tensor([1, 1, 0, 1, 0, 1, 0, 1, 1, 0], dtype=torch.bool)
    seen: dict[str, Any] = {}
    for count, of in ((10, ""), (7, " of seven images")):
        answered = answer(predicted[:count], accepted[:count], labels[:count])
        try:
            accuracy, error, rejection = map(float, answered)
        except (TypeError, ValueError):
            raise Unfit("expected three numbers: accuracy, error, rejection") from None
        seen |= {f"accuracy{of}": accuracy, f"error{of}": error, f"rejection{of}": rejection}
    return seen


def _shares(predicted: Tensor, accepted: Tensor, labels: Tensor) -> tuple[float, float, float]:
    ratio = torch.where(accepted, 0.0, 2.0)
    measured = outcome(Decision(predicted, ratio, ratio), labels)
    return measured.accuracy, measured.error, measured.rejection


shares = exercise(
    "shares",
    "Write shares(predicted, accepted, labels): accuracy, error and rejection of a classifier that may refuse, as "
    "shares of all images; each input is (N,).",
    _shares,
    _observe_shares,
    wrong={
        "of_accepted": (
            lambda p, a, y: (
                (p == y)[a].double().mean().item(),
                (p != y)[a].double().mean().item(),
                (~a).double().mean().item(),
            ),
            "accuracy and error are shares of the accepted images here, so that the three do not add to one. A model "
            "that accepts one image and gets it right would have an accuracy of 100 %",
        ),
        "refusal_is_error": (
            lambda p, a, y: (
                ((p == y) & a).double().mean().item(),
                1 - ((p == y) & a).double().mean().item(),
                (~a).double().mean().item(),
            ),
            "refused images are counted as errors too; an error is accepted *and* wrong",
        ),
        "ignores_refusal": (
            lambda p, a, y: (
                (p == y).double().mean().item(),
                (p != y).double().mean().item(),
                (~a).double().mean().item(),
            ),
            "accuracy and error count refused images as if they had been answered",
        ),
    },
)


# --------------------------------------------------------------------------------------------------- risk_area

_CONFIDENCE = torch.tensor([0.9, -0.4, 0.3, 0.8, -1.0, 0.1, 0.5, -0.2])
_CORRECT = torch.tensor([1, 0, 0, 1, 0, 1, 1, 1], dtype=torch.bool)


def _area(confidence: Tensor, correct: Tensor) -> float:
    return risk_coverage(confidence, correct).area


risk_area = exercise(
    "risk_area",
    "Write risk_area(confidence, correct): the mean, over all coverages 1/N … 1, of the share of errors among the "
    "surest images; both inputs are (N,).",
    _area,
    calls({"area": (_CONFIDENCE, _CORRECT)}),
    wrong={
        "ascending": (
            lambda confidence, correct: _area(-confidence, correct),
            "this answers the least sure images first: sort by falling confidence",
        ),
        "of_all": (
            lambda confidence, correct: (
                (~correct[confidence.argsort(descending=True)]).cumsum(0).double().mean().item() / len(correct)
            ),
            "errors are divided by the number of all images; the risk is their share among the images answered so far",
        ),
        "coverage_one": (
            lambda confidence, correct: (~correct).double().mean().item(),
            "this is the risk when everything is answered, the last point of the curve; average over all points",
        ),
        "unsorted": (
            lambda confidence, correct: ((~correct).cumsum(0) / torch.arange(1, len(correct) + 1)).mean().item(),
            "the images are taken in the order in which they came; sort by confidence first",
        ),
    },
)
