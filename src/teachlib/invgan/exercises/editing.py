"""Exercises on edits: what is kept, what a search may look at, how far a step goes."""

import torch

from teachlib.checks import calls, exercise, seeded

_IMAGE, _MADE = torch.rand(2, 1, 4, 4, generator=seeded(0)), torch.rand(2, 1, 4, 4, generator=seeded(1))
_HIDDEN = torch.rand(2, 1, 4, 4, generator=seeded(2)) < 0.4

# ----------------------------------------------------------------------------------------------------- fill

fill = exercise(
    "fill",
    "Write fill(image, made, hidden): the picture with what was made where hidden is true, and its own pixels "
    "elsewhere; all (N, C, H, W).",
    lambda image, made, hidden: torch.where(hidden, made, image),
    calls({"some": (_IMAGE, _MADE, _HIDDEN), "a corner": (_IMAGE, _MADE, _HIDDEN.flip(3))}),
    wrong={
        "turned": (
            lambda image, made, hidden: torch.where(hidden, image, made),
            "the visible pixels were generated, the hidden ones kept",
        ),
        "all": (lambda image, made, hidden: made, "visible pixels were changed, too"),
        "mean": (
            lambda image, made, hidden: torch.where(hidden, (image + made) / 2, image),
            "what the hidden pixels held still shines through",
        ),
    },
)

# -------------------------------------------------------------------------------------------------- visible

visible = exercise(
    "visible",
    "Write visible(image, made, hidden): the mean absolute error of the visible pixels alone, on a scale of -1 … 1, a "
    "scalar; images in [0, 1].",
    lambda image, made, hidden: 2 * (image - made).abs()[~hidden].mean(),
    calls({"some": (_IMAGE, _MADE, _HIDDEN), "other": (_MADE, _IMAGE, _HIDDEN.flip(3))}),
    wrong={
        "hidden": (
            lambda image, made, hidden: 2 * (image - made).abs()[hidden].mean(),
            "the error of the hidden pixels, which a search cannot know",
        ),
        "over_all": (
            lambda image, made, hidden: 2 * ((image - made).abs() * ~hidden).mean(),
            "divided by the number of all pixels: the larger the hole, the smaller the error",
        ),
        "unit_scale": (
            lambda image, made, hidden: (image - made).abs()[~hidden].mean(),
            "on a scale of 0 … 1: half as large",
        ),
    },
)

# ----------------------------------------------------------------------------------------------------- step

_WEIGHTS = torch.tensor([1.0, -2.0, 0.5])

step = exercise(
    "step",
    "Write step(weights, wanted): a regression says weights · w of codes w, weights (d,). Return the shortest change "
    "of w, (d,), after which it says wanted more.",
    lambda weights, wanted: wanted * weights / weights.square().sum(),
    calls({"one": (_WEIGHTS, 1.0), "back": (3 * _WEIGHTS, -2.0)}),
    wrong={
        "unit": (
            lambda weights, wanted: wanted * weights / weights.norm(),
            "a step of that length; what the regression says then grows by wanted times the length of the weights",
        ),
        "along_weights": (
            lambda weights, wanted: wanted * weights,
            "twice the weights made a step twice as long, though half as long would do",
        ),
        "inverse": (
            lambda weights, wanted: wanted / weights / len(weights),
            "it says wanted more, but a shorter step does too",
        ),
    },
)
