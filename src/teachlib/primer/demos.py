"""Demos of the chapter that run in a reader's page."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.chapter import Chapter
from teachlib.data import PointData
from teachlib.data.densities import density
from teachlib.errors import TeachlibError
from teachlib.live import Demo, Graph, Part
from teachlib.primer.diffusion import Diffusion
from teachlib.primer.flows import Coupling, Flow, coupling_flow
from teachlib.primer.gan import plane_game
from teachlib.primer.images import ImageDiffusion
from teachlib.primer.objective import LossObjective
from teachlib.training import Schedule, fit, one_thread

_STEPS = 50  # of the times that a page visits
_WIDTH, _LATENT = 32, 4  # of the game's networks
_POINTS = 400  # of each set of data
_NEAR = 0.5  # of a point of the data, as chapter 1 counts modes
_COUPLINGS, _FLOW_WIDTH, _FLOW_STEPS = 6, 32, 300  # of the flow that is warped
_LINES, _FINE, _REACH = 17, 257, 2.8  # of the grid over z: lines each way, points on each, half its side
_AROUND = 120  # points of a circle around the pointer; four more beside it tell slopes


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


def warping(chapter: Chapter[Any, nn.Module, Any]) -> Demo:
    """A flow that was fitted to eight spots: a grid over its noise, warped coupling by coupling, under one pointer."""
    plane, model = density("ring"), copy.deepcopy(fitted_flow()).double()
    ticks, fine = torch.linspace(-_REACH, _REACH, _LINES), torch.linspace(-_REACH, _REACH, _FINE)
    across = torch.cartesian_prod(ticks, fine)
    grid = torch.cat([across, across.flip(1)])
    graphs = {
        "grid": Graph(Part(model, decoded_in_double), {"z": grid}, ("stages", "log_stretch"), lambda _: {"z": grid}),
        "near": Graph(Part(model, decoded_in_double), {"z": grid[: 1 + _AROUND + 4]}, ("stages", "log_stretch")),
    }
    constants = {
        "grid": rounded(grid),
        "fine": _FINE,
        "reach": _REACH,
        "extent": plane.extent,
        "around": _AROUND,
        "couplings": _COUPLINGS,
        "data": rounded(plane.sample(_POINTS, torch.Generator().manual_seed(1))),
    }
    return Demo(graphs, Path(__file__).with_name("warping.js"), constants)


@cache
def fitted_flow() -> Flow:
    """A small flow of splines, fitted to the ring; the same each time on one kind of processor."""
    points = density("ring").sample(20_000, torch.Generator().manual_seed(0))
    with torch.random.fork_rng(devices=()), torch.enable_grad(), one_thread():  # whose sums are always the same
        torch.manual_seed(0)
        model = coupling_flow(2, layers=_COUPLINGS, kind="spline", width=_FLOW_WIDTH)
        plan = Schedule(steps=_FLOW_STEPS, batch_size=512)
        data = PointData(points, torch.zeros(len(points)))
        fit(LossObjective(model, learning_rate=3e-3), data, plan, progress=False)
    return model.eval()


def decoded(model: Flow, z: Tensor) -> tuple[Tensor, Tensor]:
    """Where noise goes, coupling by coupling, and how the plane is stretched on the whole way.

    Args:
        model: of coupling steps.
        z: (N, 2).

    Returns:
        Places (couplings + 1, N, 2), from z to x, and log|det ∂x/∂z|, (N,).
    """
    stages, x, total = [z], z, z.new_zeros(len(z))
    for step in reversed(model.steps):
        x = step.inverse(x)  # type: ignore[operator]
        total = total - step(x)[1]  # here, where rounding has not yet been stretched by further steps
        if not isinstance(step, Coupling):  # the scale that stands before a coupling belongs to it
            stages.append(x)
    return torch.stack(stages), total


def decoded_in_double(model: Flow, z: Tensor) -> tuple[Tensor, Tensor]:
    """As :func:`decoded`, for a flow of double precision and single-precision noise.

    Between spots such a flow is steep: single precision errs by 1e-4, which the page and torch would not share.
    """
    stages, log_stretch = decoded(model, z.double())
    return stages.float(), log_stretch.float()
