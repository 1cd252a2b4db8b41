"""Exercises on what is open: what a model compresses to, what imagined steps add up to, how sure ten seeds make one."""

import math

import torch

from teachlib.checks import calls, exercise, seeded

# -------------------------------------------------------------------------------------------------------- bits

rate = exercise(
    "rate",
    "Write rate(kl, error, deviation, pixels): how many bits it takes to send a picture through a VAE. kl is the "
    "divergence of its posterior from the prior, in nats; error the squared error summed over its pixels, each of "
    "which is sent by a Gaussian of this deviation and rounded to 1/255.",
    lambda kl, error, deviation, pixels: (
        (kl + error / (2 * deviation**2) + pixels * (math.log(deviation * math.sqrt(2 * math.pi)) + math.log(255)))
        / math.log(2)
    ),
    calls({"small": (12.0, 3.0, 0.1, 64), "large": (30.0, 40.0, 0.2, 1024), "nothing told": (0.0, 90.0, 0.5, 784)}),
    wrong={
        "nats": (
            lambda kl, error, deviation, pixels: (
                kl + error / (2 * deviation**2) + pixels * math.log(255 * deviation * math.sqrt(2 * math.pi))
            ),
            "in nats: divide by log 2",
        ),
        "codes_only": (
            lambda kl, error, deviation, pixels: kl / math.log(2),
            "the code alone: what it leaves out of the picture has to be sent as well",
        ),
        "no_rounding": (
            lambda kl, error, deviation, pixels: (
                (kl + error / (2 * deviation**2) + pixels * math.log(deviation * math.sqrt(2 * math.pi))) / math.log(2)
            ),
            "a density is no probability: each pixel is one of 255 steps, log 255 nats more",
        ),
        "no_constant": (
            lambda kl, error, deviation, pixels: (kl + error / (2 * deviation**2)) / math.log(2),
            "the Gaussian's own constant and the rounding are missing: a larger deviation would be free",
        ),
    },
)

# ----------------------------------------------------------------------------------------------------- imagine

_STEP = torch.softmax(2 * torch.randn(4, 4, generator=seeded(0)), 1)

imagine = exercise(
    "imagine",
    "Write imagine(step, start, times): where a world model believes to be after some steps. step (S, S) has the "
    "probability of the next state (columns) of each state (rows), start (S,) that of the first; return (S,).",
    lambda step, start, times: start @ torch.linalg.matrix_power(step, times),
    calls(
        {
            "one": (_STEP, torch.eye(4)[1], 1),
            "five": (_STEP, torch.eye(4)[2], 5),
            "unsure": (_STEP, torch.tensor([0.7, 0.1, 0.1, 0.1]), 2),
        }
    ),
    wrong={
        "transposed": (
            lambda step, start, times: torch.linalg.matrix_power(step, times) @ start,
            "multiplied from the other side: that is how likely each state leads to the start",
        ),
        "likeliest": (
            lambda step, start, times: _most_likely(step, start, times),
            "the likeliest next state was followed each time: all other outcomes are forgotten",
        ),
        "once": (
            lambda step, start, times: start @ step,
            "one step only",
        ),
        "powers_of_entries": (
            lambda step, start, times: start @ step**times,
            "each entry to a power: matrix powers sum over the ways between",
        ),
    },
)


def _most_likely(step: torch.Tensor, start: torch.Tensor, times: int) -> torch.Tensor:
    state = start.argmax()
    for _ in range(times):
        state = step[state].argmax()
    return torch.eye(len(step))[state]


# ------------------------------------------------------------------------------------------------------ sooner

_HERE, _THERE = torch.randn(2, 10, generator=seeded(1), dtype=torch.float64)

interval = exercise(
    "interval",
    "Write interval(a, b): two settings were run with the same seeds, (N,) results each. Return the mean difference "
    "a - b and the standard error of it, (2,): seeds that make both better or both worse must not blur it.",
    lambda a, b: torch.stack([(a - b).mean(), (a - b).std() / math.sqrt(len(a))]),
    calls({"ten": (_HERE, _THERE), "shared": (5 * _HERE, 5 * _HERE + 0.1 * _THERE), "three": (_HERE[:3], _THERE[:3])}),
    wrong={
        "unpaired": (
            lambda a, b: torch.stack([a.mean() - b.mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()]),
            "as if the seeds were different ones: what both have in common was counted as noise",
        ),
        "deviation": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).std()]),
            "the deviation of one difference: the mean's is smaller by the root of their number",
        ),
        "biased": (
            lambda a, b: torch.stack([(a - b).mean(), (a - b).std(unbiased=False) / math.sqrt(len(a))]),
            "divided by N: the mean was estimated from the same numbers, so N − 1",
        ),
        "reversed": (
            lambda a, b: torch.stack([(b - a).mean(), (a - b).std() / math.sqrt(len(a))]),
            "b − a",
        ),
    },
)
