"""Exact likelihood in the plane, where the entropy is known: nats above it, ours beside zuko's, trained alike."""

from collections.abc import Callable

import torch
import zuko
from torch import Tensor, nn

from benchmarks.table import Row
from teachlib import data, primer
from teachlib.data import PointData
from teachlib.training import Schedule, fit

TRAIN, TEST, STEPS, BATCH, RATE = 50_000, 10_000, 1_200, 512, 3e-3  # notebook 6 at scale laptop


class Zuko(nn.Module):
    """A flow of zuko under our names."""

    def __init__(self, flow: nn.Module) -> None:
        super().__init__()
        self.flow = flow

    def log_prob(self, x: Tensor) -> Tensor:
        return self.flow().log_prob(x)

    def loss(self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        return -self.log_prob(x).mean()


def gap(density: data.PlaneDensity, make: Callable[[], nn.Module]) -> float:
    """Nats above the entropy on test points, after training from seed 0."""
    generator = torch.Generator().manual_seed(0)
    train, test = density.sample(TRAIN, generator), density.sample(TEST, generator)
    torch.manual_seed(0)
    model = make()
    points = PointData(train, torch.zeros(TRAIN))
    fit(
        primer.LossObjective(model, learning_rate=RATE),
        points,
        Schedule(steps=STEPS, batch_size=BATCH),
        progress=False,
    )
    with torch.no_grad():
        return (density.log_prob(test) - model.log_prob(test)).mean().item()  # type: ignore[operator]


def compared(what: str, ours: Callable[[], nn.Module], peer: str, theirs: Callable[[], nn.Module]) -> Row:
    """The row's ratio is of the largest gaps; above one, ours is the smaller."""
    found = [{name: gap(density, make) for name, density in data.DENSITIES.items()} for make in (ours, theirs)]
    listed = [", ".join(f"{name} {value:.3f}" for name, value in gaps.items()) for gaps in found]
    worst = [max(gaps.values()) for gaps in found]
    return Row(f"{what}, nats above the entropy", listed[0], f"{peer} {listed[1]}", worst[1] / worst[0])


def splines() -> Row:
    return compared(
        "spline flow",
        lambda: primer.coupling_flow(2, layers=6, kind="spline", width=64),
        "zuko",
        lambda: Zuko(zuko.flows.NSF(2, transforms=6, passes=2, hidden_features=(64, 64))),
    )


def affine() -> Row:
    return compared(
        "affine flow",
        lambda: primer.coupling_flow(2, layers=6, kind="affine", width=64),
        "zuko",
        lambda: Zuko(zuko.flows.MAF(2, transforms=6, passes=2, hidden_features=(64, 64))),
    )


def mixtures() -> Row:
    return compared(
        "masked network with mixtures",
        lambda: primer.MixtureMADE(2, components=12, width=64),
        "zuko's autoregressive spline",
        lambda: Zuko(zuko.flows.NSF(2, transforms=1, hidden_features=(64, 64))),
    )
