"""Exercises on InvGAN's losses: which codes are decoded, what is matched, and on which scale errors are told."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# --------------------------------------------------------------------------------------------------- reinject

_PRIOR, _BEFORE = torch.randn(6, 3, generator=seeded(0)), torch.randn(6, 3, generator=seeded(1))


def _joined(prior: Tensor, before: Tensor) -> Tensor:
    half = len(prior) // 2
    return torch.cat([prior[: len(prior) - len(before[:half])], before[:half].detach()])


reinject = exercise(
    "reinject",
    "Write reinject(prior, before): the codes that the generator decodes, as many as prior (N, d) has: half of them "
    "from the prior, the other half those inferred from the batch before, (N, d). In the first step there are none, "
    "before is (0, d), and all come from the prior. No gradient flows into the batch before.",
    _joined,
    calls({"later": (_PRIOR, _BEFORE), "first step": (_PRIOR, _BEFORE[:0]), "odd": (_PRIOR[:5], _BEFORE[:5])}),
    wrong={
        "all": (
            lambda prior, before: torch.cat([prior, before.detach()]),
            "both batches whole: the generator would decode twice as many, and half of the batch was asked for",
        ),
        "none_at_first": (
            lambda prior, before: torch.cat([prior[: len(prior) - len(prior) // 2], before[: len(prior) // 2]]),
            "in the first step nothing is there to reinject, and half of the batch is missing",
        ),
        "mixed": (
            lambda prior, before: (prior + before) / 2 if len(before) else prior,
            "codes were averaged: each is to come from one of both",
        ),
    },
)

# ------------------------------------------------------------------------------------------------------ match

_REAL, _OWN = torch.randn(4, 5, generator=seeded(2)), torch.randn(4, 5, generator=seeded(3))

match = exercise(
    "match",
    "Write match(real, rebuilt): features (N, d) of pictures and of their own reconstructions. Return the mean "
    "absolute difference over the mean absolute size of the real features, a scalar.",
    lambda real, rebuilt: (real - rebuilt).abs().mean() / real.abs().mean(),
    calls({"others": (_REAL, _OWN), "shuffled": (_REAL, _REAL.roll(1, 0)), "larger": (10 * _REAL, 10 * _OWN)}),
    wrong={
        "of_means": (
            lambda real, rebuilt: (real - rebuilt).mean(0).abs().mean() / real.abs().mean(),
            "the means of both batches: reconstructions in another order would do as well (Eq 6.2 as printed)",
        ),
        "unscaled": (
            lambda real, rebuilt: (real - rebuilt).abs().mean(),
            "not divided: a layer with large features would count for all the others",
        ),
        "squared": (
            lambda real, rebuilt: (real - rebuilt).square().mean() / real.square().mean(),
            "squares: the absolute difference was asked for",
        ),
        "by_both": (
            lambda real, rebuilt: (real - rebuilt).abs().mean() / (real.abs().mean() + rebuilt.abs().mean()),
            "divided by the size of both: large features of the reconstruction would make the error smaller",
        ),
    },
)

# ------------------------------------------------------------------------------------------------------ error

_IMAGES, _REBUILT = torch.rand(3, 1, 4, 4, generator=seeded(4)), torch.rand(3, 1, 4, 4, generator=seeded(5))

error = exercise(
    "error",
    "Write error(images, rebuilt): the mean absolute error of images in [0, 1], told on a scale of -1 … 1 as in Table "
    "6.1.",
    lambda images, rebuilt: 2 * (images - rebuilt).abs().mean(),
    calls({"images": (_IMAGES, _REBUILT), "black for white": (torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2))}),
    wrong={
        "of_unit_scale": (
            lambda images, rebuilt: (images - rebuilt).abs().mean(),
            "on a scale of 0 … 1: half as large; numbers of both kinds are often set side by side",
        ),
        "rooted": (
            lambda images, rebuilt: 2 * (images - rebuilt).square().mean().sqrt(),
            "the root of the mean square, which is larger: Table 6.1's rivals are given so",
        ),
        "summed": (
            lambda images, rebuilt: 2 * (images - rebuilt).abs().flatten(1).sum(1).mean(),
            "summed over the pixels: it then grows with the size of the images",
        ),
    },
)
