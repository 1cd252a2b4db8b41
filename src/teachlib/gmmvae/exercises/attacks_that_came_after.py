"""Exercises on attacks that know the detectors: what success is, one loss for both, the best of several restarts."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded, with_gradient

# ---------------------------------------------------------------------------------------------- attack_success

# Four are wrong and refused by one detector alone, some of them while mean or product of the ratios is small; the last
# two are wrong and at a threshold.
_PREDICTED = torch.tensor([1, 0, 2, 2, 0, 1, 2, 1, 2, 0, 1, 0, 2])
_LABELS = torch.tensor([0, 0, 2, 1, 1, 1, 2, 0, 0, 1, 2, 1, 0])
_LATENT_RATIO = torch.tensor([0.5, 0.2, 3.0, 0.9, 1.2, 0.1, 0.3, 1.2, 0.3, 1.5, 2.0, 1.0, 0.4])
_PIXEL_RATIO = torch.tensor([0.8, 0.9, 0.3, 1.5, 1.4, 0.2, 0.3, 0.5, 1.4, 0.2, 0.6, 0.7, 1.0])

attack_success = exercise(
    "attack_success",
    "Write attack_success(predicted, labels, latent_ratio, pixel_ratio): the share of all images on which an "
    "attack on a classifier that may refuse has succeeded; each input is (N,).",
    lambda p, y, a, b: ((p != y) & (a <= 1) & (b <= 1)).double().mean(),
    calls({"success": (_PREDICTED, _LABELS, _LATENT_RATIO, _PIXEL_RATIO)}),
    wrong={
        "misclassified": (
            lambda p, y, a, b: (p != y).double().mean(),
            "wrong labels count although they were refused: whoever refuses has not been fooled",
        ),
        "either_threshold": (
            lambda p, y, a, b: ((p != y) & ((a <= 1) | (b <= 1))).double().mean(),
            "it is enough here to pass one threshold; whoever refuses if *either* is exceeded needs both",
        ),
        "latent_alone": (
            lambda p, y, a, b: ((p != y) & (a <= 1)).double().mean(),
            "the distance in pixels is not looked at; an image is refused if *either* threshold is exceeded",
        ),
        "mean_of_both": (
            lambda p, y, a, b: ((p != y) & (a + b <= 2)).double().mean(),
            "the mean of the ratios: an image far beyond one threshold passes if it is far within the other",
        ),
        "not_right": (
            lambda p, y, a, b: 1 - ((p == y) & (a <= 1) & (b <= 1)).double().mean(),
            "this counts refusals as successes too. For denial of service that is the number to look at, but it is "
            "another attack",
        ),
        "of_accepted": (
            lambda p, y, a, b: (p != y)[(a <= 1) & (b <= 1)].double().mean(),
            "a share of the accepted images: a detector that accepts one image and is fooled on it would have 100 %",
        ),
    },
)


# ---------------------------------------------------------------------------------------------- joint_loss

_CODE_RATIOS, _PIXEL_RATIOS = (
    torch.tensor(ratios, requires_grad=True) for ratios in ([4.0, 0.25, 0.5, 9.0, 0.81], [0.25, 2.25, 0.64, 1.44, 0.04])
)


def _joint(latent: Tensor, pixels: Tensor) -> Tensor:
    first, second = 1 - latent.sqrt(), 1 - pixels.sqrt()
    return torch.where((first > 0) & (second > 0), torch.minimum(first, second), -(-first).relu() - (-second).relu())


joint_loss = exercise(
    "joint_loss",
    "Write joint_loss(latent_ratio, pixel_ratio) for an attacker who knows both detectors. Slacks are 1 − √ratio. "
    "Where both are positive, the loss is the smaller; else minus the sum of what is missing; (N,).",
    _joint,
    with_gradient("loss", (_CODE_RATIOS, _PIXEL_RATIOS), to=(_CODE_RATIOS, _PIXEL_RATIOS)),
    wrong={
        "sum": (
            lambda a, b: 2 - a.sqrt() - b.sqrt(),
            "the sum of the slacks: plenty of one pays for the lack of the other, and the sign no longer says success",
        ),
        "product": (
            lambda a, b: (1 - a.sqrt()) * (1 - b.sqrt()),
            "a product is positive where both slacks are negative: twice refused would count as success",
        ),
        "hinges_only": (
            lambda a, b: -(a.sqrt() - 1).relu() - (b.sqrt() - 1).relu(),
            "zero as soon as both hold: nothing is won by being clearly accepted, and the slightest rounding undoes it",
        ),
        "least_slack": (
            lambda a, b: torch.minimum(1 - a.sqrt(), 1 - b.sqrt()),
            "only the worse detector is felt while both refuse: its gradient forgets the other. Sum what is missing",
        ),
        "squared_ratios": (
            lambda a, b: _joint(a.square(), b.square()),
            "the ratios' roots were asked for: far out a ratio rises so steeply that it drowns the other",
        ),
    },
)


# -------------------------------------------------------------------------------------------- best_of_restarts

_POINTS, _LOSSES = torch.rand(4, 3, 1, 2, 2, generator=seeded(0)), torch.randn(4, 3, generator=seeded(1))

best_of_restarts = exercise(
    "best_of_restarts",
    "Write best_of_restarts(points, losses): of R restarts, (R, N, C, H, W) with losses (R, N), each image's own "
    "best, (N, C, H, W); the loss is climbed.",
    lambda points, losses: points[losses.argmax(0), torch.arange(points.shape[1])],
    calls({"best points": (_POINTS, _LOSSES)}),
    wrong={
        "best_run": (
            lambda points, losses: points[losses.mean(1).argmax()],
            "the restart with the best mean, for all images: an attacker keeps the best of each image by itself",
        ),
        "least": (
            lambda points, losses: points[losses.argmin(0), torch.arange(points.shape[1])],
            "the worst restart of each image: the loss is climbed, so the largest is the best",
        ),
        "last": (
            lambda points, losses: points[-1],
            "the last restart, whatever it found; then more restarts would not help",
        ),
    },
)
