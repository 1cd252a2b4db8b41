"""Demos of the chapter that run in a reader's page."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.chapter import Chapter
from teachlib.errors import TeachlibError
from teachlib.live import Demo, Graph, Part
from teachlib.primer.diffusion import Diffusion
from teachlib.primer.images import ImageDiffusion

_STEPS = 50  # of the times that a page visits


def denoised(model: Diffusion, x_t: Tensor, time: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The noise that the network sees in noisy samples: told the class, and not told.

    Args:
        model: of classes.
        x_t: (N, …).
        time: t/T, (N,).
        labels: classes, as whole floating-point numbers, (N,).
    """
    nothing = torch.full_like(labels, model.classes)
    told, untold = (model.denoiser(x_t, time, which.long()) for which in (labels, nothing))
    return told, untold


def reverse_diffusion(chapter: Chapter[Any, nn.Module, Any]) -> Demo:
    """Ten digits out of noise, one of each class: played, rewound, and guided."""
    opened = chapter.from_zoo("primer-diffusion")
    if not isinstance(opened, ImageDiffusion) or opened.diffusion.predicts != "noise":
        raise TeachlibError("the zoo's primer-diffusion predicts no noise; reinstall teachlib")
    model = opened.diffusion
    start = torch.randn(model.classes, *model.shape, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(model.classes).float()
    inputs = {"x": start, "time": torch.linspace(0.01, 1, model.classes), "labels": labels}
    graph = Graph(Part(model, denoised), inputs, ("told", "untold"))
    times = torch.linspace(model.schedule.steps, 0, _STEPS + 1, dtype=torch.float64).round().long()
    constants = {
        "start": start.flatten().tolist(),
        "times": times.tolist(),
        "steps": model.schedule.steps,
        "signal": model.schedule.alpha_bars[times].tolist(),
        "side": model.shape[-1],
    }
    return Demo({"denoiser": graph}, Path(__file__).with_name("reverse_diffusion.js"), constants)
