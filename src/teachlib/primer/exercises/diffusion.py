"""Exercises on diffusion: a noisy image, the way back by one step, guidance."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise

_X0, _NOISE = torch.tensor([[0.5, -1.0], [2.0, 0.3]]), torch.tensor([[-0.7, 0.4], [1.1, -0.2]])
_BAR = torch.tensor([[0.8], [0.3]])

diffuse = exercise(
    "diffuse",
    "Return x_t, as x0, from data, ᾱ, (N, 1), and standard normal noise.",
    lambda x0, alpha_bar, noise: alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise,
    calls({"noisy": (_X0, _BAR, _NOISE)}),
    wrong={
        "no_roots": (
            lambda x0, a, n: a * x0 + (1 - a) * n,
            "ᾱ and 1 − ᾱ are variances: amplitudes are their square roots, and only then is the variance kept",
        ),
        "one_root": (
            lambda x0, a, n: a.sqrt() * x0 + (1 - a) * n,
            "the noise's amplitude is √(1 − ᾱ): its variance is 1 − ᾱ",
        ),
        "swapped": (
            lambda x0, a, n: (1 - a).sqrt() * x0 + a.sqrt() * n,
            "signal and noise are swapped: ᾱ = 1 is all signal",
        ),
        "fading_missing": (
            lambda x0, a, n: x0 + (1 - a).sqrt() * n,
            "the data must fade, or x_T never becomes pure noise: multiply x0 by √ᾱ",
        ),
    },
)

# β, ᾱ_t and ᾱ_{t−1} of one schedule; none is one minus another, or what it is taken for would not show.
_POSTERIOR = (_X0, _NOISE, torch.tensor([0.2]), torch.tensor([0.6]), torch.tensor([0.75]))


def _posterior_mean(x0: Tensor, x_t: Tensor, beta: Tensor, alpha_bar: Tensor, before: Tensor) -> Tensor:
    from_noisy = (1 - beta).sqrt() * (1 - before) / (1 - alpha_bar)
    return before.sqrt() * beta / (1 - alpha_bar) * x0 + from_noisy * x_t


posterior_mean = exercise(
    "posterior_mean",
    "Return the mean of q(x_{t−1} | x_t, x0) from x0, x_t, β_t, ᾱ_t and ᾱ_{t−1}.",
    _posterior_mean,
    calls({"mean": _POSTERIOR}),
    wrong={
        "swapped": (
            lambda x0, x_t, b, a, before: _posterior_mean(x_t, x0, b, a, before),
            "the weights of x0 and of x_t are swapped: with a small β the mean stays near x_t",
        ),
        "same_time": (
            lambda x0, x_t, b, a, before: _posterior_mean(x0, x_t, b, a, a),
            "ᾱ_t stands where ᾱ_{t−1} belongs: the mean is one of time t − 1",
        ),
        "straight": (
            lambda x0, x_t, b, a, before: before * b / (1 - a) * x0 + (1 - b) * (1 - before) / (1 - a) * x_t,
            "square roots are missing: √ᾱ_{t−1} with x0, √(1 − β_t) with x_t",
        ),
        "lacks_factor": (
            lambda x0, x_t, b, a, before: before.sqrt() * b / (1 - a) * x0 + (1 - b).sqrt() * x_t,
            "x_t's weight lacks (1 − ᾱ_{t−1})/(1 − ᾱ_t): it must fall to zero at the first step, where ᾱ_{t−1} is one",
        ),
        "forward": (
            lambda x0, x_t, b, a, before: (1 - b).sqrt() * x_t + 0 * x0,
            "this takes one more step of the noising process, forwards in time",
        ),
        "not_normalized": (
            lambda x0, x_t, b, a, before: before.sqrt() / (1 - before) * x0 + (1 - b).sqrt() / b * x_t,
            "precision times mean was added up but not divided by the sum of the precisions",
        ),
    },
)

guided = exercise(
    "guided",
    "Return the guided prediction: without class at guidance 0, with class at 1, further along the same line beyond.",
    lambda with_class, without, guidance: without + guidance * (with_class - without),
    calls({"prediction": (_X0, _NOISE, 2.5), "weak": (_X0, _NOISE, 0.5)}),
    wrong={
        "shifted": (
            lambda w, n, g: n + (1 + g) * (w - n),
            "this is the convention in which 0 means 'as trained': here guidance 1 must give the prediction with class",
        ),
        "swapped": (
            lambda w, n, g: w + g * (n - w),
            "this moves away from the class: the line starts at 'without' and goes towards 'with'",
        ),
        "blend": (
            lambda w, n, g: g * w + n,
            "the weights must add to one, g and 1 − g, or the prediction grows with guidance",
        ),
    },
)
