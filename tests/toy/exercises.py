"""One exercise, as a chapter would have three a notebook."""

import torch

from teachlib.checks import by_name, calls, exercise

mean_error = exercise(
    "mean_error",
    "Return the mean squared difference of two batches.",
    lambda x, y: (x - y).square().mean(),
    calls({"error": (torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0]))}),
    wrong={
        "root": (lambda x, y: (x - y).square().mean().sqrt(), "a root too much"),
        "absolute": (lambda x, y: (x - y).abs().mean(), "absolute values, not squares"),
        "sum": (lambda x, y: (x - y).square().sum(), "a sum, not a mean"),
    },
)
EXERCISES = by_name(mean_error)
