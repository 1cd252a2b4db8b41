"""Exercises on gradient attacks: a step, its momentum, the way back into the ball."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded
from teachlib.gmmvae.attacks.ball import Ball

# --------------------------------------------------------------------------------------------------- fgsm_step

_X, _GRADIENT = torch.rand(3, 1, 3, 3, generator=seeded(0)), torch.randn(3, 1, 3, 3, generator=seeded(1))
_GRADIENT[0, 0, 0, 0] = 0.0  # as on a ground that no unit sees


def _fgsm(x: Tensor, gradient: Tensor, epsilon: float) -> Tensor:
    return (x + epsilon * gradient.sign()).clamp(0, 1)


fgsm_step = exercise(
    "fgsm_step",
    "Write fgsm_step(x, gradient, epsilon): one step that raises the loss as fast as the L∞ ball allows; gradient "
    "is that of the loss, pixels stay in [0, 1].",
    _fgsm,
    calls({"attacked images": (_X, _GRADIENT, 0.3), "a smaller ball": (_X, -_GRADIENT, 0.1)}),
    wrong={
        "descent": (
            lambda x, g, e: _fgsm(x, -g, e),
            "this lowers the loss: an attacker climbs the gradient that training goes down",
        ),
        "no_box": (
            lambda x, g, e: x + e * g.sign(),
            "pixels leave [0, 1]; such images do not exist, and a classifier may behave as it likes on them",
        ),
        "gradient_itself": (
            lambda x, g, e: (x + e * g).clamp(0, 1),
            "the gradient itself: its size is arbitrary, and most pixels stop short of ε. The sign takes every pixel "
            "as far as it may go",
        ),
        "euclidean": (
            lambda x, g, e: (x + e * g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1)).clamp(0, 1),
            "this is the step of the L2 ball; in the L∞ ball every pixel may move by ε on its own",
        ),
        "wraps": (
            lambda x, g, e: (x + e * g.sign()) % 1,
            "pixels beyond the border come in again on the other side; clip them",
        ),
    },
)


# ------------------------------------------------------------------------------------------------ mim_momentum

_MOMENTUM, _SLOPE = (torch.randn(3, 1, 2, 2, generator=seeded(seed)) for seed in (0, 1))
_STEEP = _SLOPE * torch.tensor([1.0, 1e4, 1e-4]).view(3, 1, 1, 1)


def _momentum(momentum: Tensor, gradient: Tensor, decay: float) -> Tensor:
    return decay * momentum + gradient / gradient.flatten(1).abs().sum(1).view(-1, 1, 1, 1)


mim_momentum = exercise(
    "mim_momentum",
    "Write mim_momentum(momentum, gradient, decay): MIM's new momentum, the old one times decay plus each image's "
    "gradient divided by its own L1 norm; all are (N, C, H, W).",
    _momentum,
    calls({"momentum": (_MOMENTUM, _STEEP, 0.9)}),
    wrong={
        "batch_norm": (
            lambda m, g, d: d * m + g / g.abs().sum(),
            "one norm for the whole batch: the image with the steepest loss decides, and the others stand still. Each "
            "image needs its own",
        ),
        "mean": (
            lambda m, g, d: d * m + g / g.flatten(1).abs().mean(1).view(-1, 1, 1, 1),
            "divided by the mean of the absolute values, which is the L1 norm over the number of pixels",
        ),
        "euclidean": (
            lambda m, g, d: d * m + g / g.flatten(1).norm(dim=1).view(-1, 1, 1, 1),
            "divided by the Euclidean length; the published method takes the L1 norm",
        ),
        "raw": (
            lambda m, g, d: d * m + g,
            "the gradient is not divided by its norm: where the loss gets steeper, the past is forgotten",
        ),
        "average": (
            lambda m, g, d: d * m + (1 - d) * g / g.flatten(1).abs().sum(1).view(-1, 1, 1, 1),
            "a moving average; the published method adds the new gradient whole, with the weight 1",
        ),
    },
)


# -------------------------------------------------------------------------------------------------- project_l2

# One image far outside, one inside, one outside, and one that has not moved.
_IMAGES = torch.rand(4, 1, 3, 3, generator=seeded(0))
_CHANGE = torch.randn(4, 1, 3, 3, generator=seeded(1)) * torch.tensor([2.0, 0.05, 0.5, 0.0]).view(4, 1, 1, 1)


def _project(candidate: Tensor, x: Tensor, epsilon: float) -> Tensor:
    return Ball(epsilon, "l2").project(candidate, x)


def _rescaled(candidate: Tensor, x: Tensor, epsilon: float) -> Tensor:
    change = candidate - x
    return (x + epsilon * change / change.flatten(1).norm(dim=1).clamp_min(1e-12).view(-1, 1, 1, 1)).clamp(0, 1)


def _by_batch(candidate: Tensor, x: Tensor, epsilon: float) -> Tensor:
    change = candidate - x
    return (x + change * min(1.0, epsilon / change.norm().item())).clamp(0, 1)


project_l2 = exercise(
    "project_l2",
    "Write project_l2(candidate, x, epsilon): the nearest points within Euclidean distance epsilon of x, each "
    "image its own ball, then cut to [0, 1]; all are (N, C, H, W).",
    _project,
    calls({"projected images": (_IMAGES + _CHANGE, _IMAGES, 0.5)}),
    wrong={
        "always_to_the_border": (
            _rescaled,
            "images that were inside are pushed out to the border: shrink the change where it is too long, and leave "
            "it alone where not",
        ),
        "whole_batch": (_by_batch, "the length over the whole batch: each image has its own ball, and its own length"),
        "cube": (
            lambda c, x, e: Ball(e).project(c, x),
            "every pixel is cut to ±ε: that is the L∞ ball. In L2 the change as a whole has a length, and keeps its "
            "direction",
        ),
        "no_box": (
            lambda c, x, e: Ball(e, "l2", -10, 10).project(c, x),
            "pixels leave [0, 1]; cut them after the projection",
        ),
    },
)
