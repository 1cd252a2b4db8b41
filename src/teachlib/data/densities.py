"""Densities in the plane whose log-probability, entropy and samples are known exactly."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from teachlib.errors import unknown


@dataclass(frozen=True)
class PlaneDensity:
    """A density over ℝ² that can be drawn from and evaluated.

    Attributes:
        name: of :data:`DENSITIES`.
        extent: half the side of a square around the origin that holds all but 10⁻⁶ of the mass.
    """

    name: str
    extent: float
    _sample: Callable[[int, torch.Generator], Tensor]
    _log_prob: Callable[[Tensor], Tensor]

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (count, 2) float32."""
        return self._sample(count, generator)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density in nats: (N, 2) → (N,) of the type of ``x``."""
        return self._log_prob(x)

    def grid(self, side: int = 200) -> tuple[Tensor, float]:
        """The centres of side² cells that cover the extent, (side², 2), rows from top to bottom, and a cell's area."""
        width = 2 * self.extent / side
        ticks = (torch.arange(side, dtype=torch.float64) + 0.5) * width - self.extent
        y, x = torch.meshgrid(ticks.flip(0), ticks, indexing="ij")
        return torch.stack([x, y], -1).reshape(-1, 2), width**2

    @cached_property
    def entropy(self) -> float:
        """−E log p in nats, by quadrature on a fine grid: what no model's cross-entropy can fall below."""
        points, area = self.grid(1000)
        log_prob = torch.cat([self.log_prob(part) for part in points.split(2**14)])
        return -(log_prob.exp() * log_prob).sum().item() * area


def _mixture(name: str, extent: float, centres: Tensor, deviation: float) -> PlaneDensity:
    """Equally likely round Gaussians."""

    def sample(count: int, generator: torch.Generator) -> Tensor:
        chosen = centres[torch.randint(len(centres), (count,), generator=generator)].float()
        return chosen + deviation * torch.randn(count, 2, generator=generator)

    def log_prob(x: Tensor) -> Tensor:
        squared = (x[:, None] - centres.to(x)).square().sum(2)  # cdist has no second derivative
        constant = math.log(len(centres)) + math.log(2 * math.pi * deviation**2)
        return torch.logsumexp(-squared / (2 * deviation**2), 1) - constant

    return PlaneDensity(name, extent, sample, log_prob)


def _ring() -> PlaneDensity:
    angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
    return _mixture("ring", 3.5, 2 * torch.stack([angle.cos(), angle.sin()], 1), 0.25)


def _moons() -> PlaneDensity:
    # 64 narrow Gaussians along each half circle: a smooth band, and yet a sum that can be written down.
    angle = torch.linspace(0, math.pi, 64, dtype=torch.float64)
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    return _mixture("moons", 3.5, 1.5 * torch.cat([upper, -upper]), 0.18)


def _spiral() -> PlaneDensity:
    angle = 3 * math.pi * torch.linspace(0.3, 1, 128, dtype=torch.float64)
    radius = 2.4 * angle / (3 * math.pi)
    return _mixture("spiral", 3.7, radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), 0.18)


def _banana() -> PlaneDensity:
    """x ~ N(0, 1) and y given x ~ N(½(x² − 1), ¼²): one curved piece, of a closed form."""

    def sample(count: int, generator: torch.Generator) -> Tensor:
        noise = torch.randn(count, 2, generator=generator)
        x = noise[:, 0]
        return torch.stack([x, 0.5 * (x.square() - 1) + 0.25 * noise[:, 1]], 1)

    def log_prob(points: Tensor) -> Tensor:
        x, y = points.unbind(1)
        residual = (y - 0.5 * (x.square() - 1)) / 0.25
        return -0.5 * (x.square() + residual.square()) - math.log(2 * math.pi * 0.25)

    return PlaneDensity("banana", 15.0, sample, log_prob)


DENSITIES = {plane.name: plane for plane in (_ring(), _moons(), _spiral(), _banana())}


def density(name: str) -> PlaneDensity:
    """The density called ``name``: ``ring``, ``moons``, ``spiral`` or ``banana``.

    Raises:
        TeachlibError: no such density.
    """
    if name not in DENSITIES:
        raise unknown("density", name, DENSITIES)
    return DENSITIES[name]
