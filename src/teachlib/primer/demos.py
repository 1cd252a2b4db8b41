"""Demos of the chapter that run in a reader's page."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.chapter import Chapter
from teachlib.data.densities import density
from teachlib.errors import TeachlibError
from teachlib.live import Demo, Graph, Part
from teachlib.primer.diffusion import Diffusion
from teachlib.primer.gan import plane_game
from teachlib.primer.images import ImageDiffusion

_STEPS = 50  # of the times that a page visits
_WIDTH, _LATENT = 32, 4  # of the game's networks
_POINTS = 400  # of each set of data
_NEAR = 0.5  # of a point of the data, as chapter 1 counts modes


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


def gan_game(chapter: Chapter[Any, nn.Module, Any]) -> Demo:
    """Generator and discriminator of points in the plane, trained in the page; none of it needs a model of the zoo."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        game = plane_game(latent=_LATENT, width=_WIDTH)
    optimizer = game.optimizers()["generator"]
    planes = {name: density(name) for name in ("ring", "moons", "spiral")}
    constants = {
        **{name: layers(net) for name, net in game.nets.items()},
        "sets": {n: rounded(p.sample(_POINTS, torch.Generator().manual_seed(0))) for n, p in planes.items()},
        "extent": max(plane.extent for plane in planes.values()),
        "latent": _LATENT,
        "rate": game.learning_rate,
        "betas": optimizer.defaults["betas"],
        "near": _NEAR,
    }
    return Demo({}, Path(__file__).with_name("gan_game.js"), constants)


def layers(net: nn.Module) -> list[dict[str, list[float]]]:
    """Weights, (outputs, inputs) in one row, and biases of a network's linear layers, from first to last."""
    linear = [each for each in net.modules() if isinstance(each, nn.Linear)]
    return [{"weight": each.weight.flatten().tolist(), "bias": each.bias.tolist()} for each in linear]


def rounded(points: Tensor) -> list[list[float]]:
    """To what a page can show."""
    return [[round(value, 3) for value in point] for point in points.tolist()]
