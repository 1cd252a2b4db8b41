"""Everything on a line, where integrals are sums over a fine grid and nothing has to be believed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teachlib.energy.likelihood import likelihood_loss
from teachlib.energy.penalties import PENALTIES, penalty
from teachlib.errors import require_at_least, unknown
from teachlib.nets import mlp
from teachlib.training import one_thread

SPAN = 8.0  # everything lies between -8 and 8
_CELLS = 4000


@dataclass(frozen=True)
class Bumps:
    """A mixture of Gaussians on the line, in double precision.

    Attributes:
        weights: of the parts, summing to one.
        means: of each.
        deviations: of each.
    """

    weights: tuple[float, ...]
    means: tuple[float, ...]
    deviations: tuple[float, ...]

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density in nats: (…) → (…)."""
        weights, means, deviations = (torch.tensor(v, dtype=torch.float64) for v in vars(self).values())
        exponents = -0.5 * ((x[..., None] - means) / deviations).square()
        return torch.logsumexp(weights.log() + exponents - deviations.log() - 0.5 * math.log(2 * math.pi), -1)

    def sample(self, *shape: int, generator: torch.Generator) -> Tensor:
        """Independent draws, (shape)."""
        weights, means, deviations = (torch.tensor(v, dtype=torch.float64) for v in vars(self).values())
        part = torch.multinomial(weights, math.prod(shape), replacement=True, generator=generator).view(shape)
        return means[part] + deviations[part] * torch.randn(shape, generator=generator, dtype=torch.float64)


DATA = Bumps((0.3, 0.7), (-2.0, 2.0), (0.5, 0.7))
WIDE = Bumps((1.0,), (0.0,), (3.0,))  # a generator that covers everything
SWAPPED = Bumps((0.7, 0.3), (-2.0, 2.0), (0.7, 0.9))  # one with the data's places and the wrong shares


def cells(m: int, *, corner: bool = False) -> tuple[Tensor, float]:
    """A partition of the line into m cells: the middle or the left corner of each, (m,), and a cell's length."""
    require_at_least(1, m=m)
    length = 2 * SPAN / m
    return torch.arange(m, dtype=torch.float64) * length - SPAN + (0.0 if corner else length / 2), length


class LineEnergy(nn.Module):
    """f of one number, by a small network; in double precision.

    Args:
        width: of two hidden layers.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.net = mlp(1, width, width, 1).double()

    def forward(self, x: Tensor) -> Tensor:
        """(…) → (…)."""
        return self.net(x[..., None])[..., 0]


def log_density(energy: Callable[[Tensor], Tensor], reweighted: Bumps | None = None, power: float = 1.0) -> Tensor:
    """log of exp(−f), times a power of a density, normalized by quadrature, at the middles of 4,000 cells."""
    points, length = cells(_CELLS)
    with torch.no_grad():
        exponent = -energy(points) + (power * reweighted.log_prob(points) if reweighted is not None else 0)
        return exponent - torch.logsumexp(exponent, 0) - math.log(length)


def divergence(truth: Bumps, log_model: Tensor) -> float:
    """KL(truth ‖ model) in nats, of a model as :func:`log_density` gives it."""
    points, length = cells(_CELLS)
    log_true = truth.log_prob(points)
    return ((log_true.exp() * (log_true - log_model)).sum() * length).item()


@dataclass(frozen=True)
class Points:
    """Where the integral of Eq 7.2 is taken.

    Attributes:
        m: in each sum.
        density: that they are drawn from; ``None``: the middles of m cells, moved together by chance.
        power: each point is weighed by that power of p: -1, as a mean over draws must be to estimate an integral; 0, as
            Eq 7.3 has it. The best D is then p_data/p^(1 + power).
    """

    m: int
    density: Bumps | None = None
    power: float = 0.0

    def draw(self, sums: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points of so many sums and the logarithms of their weights, (sums, m) each."""
        if self.density is None:
            corners, length = cells(self.m, corner=True)
            points = corners + length * torch.rand(sums, 1, generator=generator, dtype=torch.float64)
            return points, torch.zeros_like(points)
        points = self.density.sample(sums, self.m, generator=generator)
        return points, self.power * self.density.log_prob(points)


@dataclass(frozen=True)
class Trained:
    """What came of a training on the line.

    Attributes:
        energy: f.
        heights: largest less smallest f on [-8, 8], after each step.
    """

    energy: LineEnergy
    heights: list[float]


@one_thread()
def train(
    points: Points,
    *,
    steps: int,
    seed: int = 0,
    truth: Bumps = DATA,
    kind: str = "none",
    weight: float = 0.0,
    batch_size: int = 256,
) -> Trained:
    """Descend Eq 7.2 or 7.3 with Adam, by fresh data each step.

    Args:
        points: where the integral is taken; so many sums a step that they have as many points as there are data.
        steps: how many.
        seed: of weights, data and points.
        truth: the data's density.
        kind: of penalty.
        weight: of the penalty.
        batch_size: data a step.
    """
    if kind not in PENALTIES:
        raise unknown("penalty", kind, PENALTIES)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        energy, generator = LineEnergy(), torch.Generator().manual_seed(seed + 1)
    adam = torch.optim.Adam(energy.parameters(), 2e-3)
    seen, _ = cells(200)
    heights = []
    for _ in range(steps):
        x = truth.sample(batch_size, generator=generator)
        drawn, log_weights = points.draw(max(1, batch_size // points.m), generator)
        loss = likelihood_loss(energy(x), energy(drawn), log_weights)
        if weight:
            other = drawn.flatten()[: len(x)]
            held = penalty(kind, lambda at: energy(at[:, 0]), x[: len(other), None], other[:, None], generator)
            loss = loss + weight * held
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            values = energy(seen)
        heights.append((values.max() - values.min()).item())
    return Trained(energy, heights)
