"""log ∫ exp(−f): annealed importance sampling from both ends (Neal, 2001; Grosse, Ghahramani & Adams, 2015)."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from teachlib.errors import require_at_least, require_positive, require_shape
from teachlib.primer.energy import Energy, mala


@dataclass(frozen=True)
class Bounds:
    """What is known of log ∫ exp(−f) dx, in nats.

    Attributes:
        lower: from chains that start at the known density; below the truth on average.
        upper: from chains that start at samples of exp(−f); above it on average.
        lower_error: standard error of the lower one, over chains.
        upper_error: of the upper one.
    """

    lower: float
    upper: float
    lower_error: float
    upper_error: float

    @property
    def gap(self) -> float:
        """How far the two are apart."""
        return self.upper - self.lower


class Anneal:
    """Densities between a Gaussian N(mean, deviation²) and exp(−f): p_β ∝ exp(−(1−β)·f₀ − β·f).

    Args:
        energy: f, (N, d) → (N,).
        mean: of the Gaussian, (d,).
        deviation: of the Gaussian, (d,) or one for all.
        temperatures: β between 0 and 1, in equal steps of so many.
        step_size: of the corrected Langevin steps, one at each β.
    """

    def __init__(
        self, energy: Energy, mean: Tensor, deviation: Tensor | float, *, temperatures: int, step_size: float
    ) -> None:
        require_at_least(1, temperatures=temperatures)
        require_positive(step_size=step_size)
        self.energy, self.mean, self.temperatures, self.step_size = energy, mean, temperatures, step_size
        self.deviation = torch.as_tensor(deviation).expand_as(mean).to(mean)
        require_positive(deviation=float(self.deviation.min()))

    def start_energy(self, x: Tensor) -> Tensor:
        """−log of the Gaussian, constant and all: (N, d) → (N,)."""
        squared = ((x - self.mean) / self.deviation).square().sum(1)
        return 0.5 * squared + self.deviation.log().sum() + 0.5 * x.shape[1] * math.log(2 * math.pi)

    def between(self, beta: float) -> Energy:
        """The energy at β."""
        return lambda x: (1 - beta) * self.start_energy(x) + beta * self.energy(x)

    def _walk(self, x: Tensor, betas: list[float], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Ends of chains along β, and the logarithms of their weights."""
        log_weights = x.new_zeros(len(x))
        for before, after in itertools.pairwise(betas):
            with torch.no_grad():
                log_weights = log_weights + (after - before) * (self.start_energy(x) - self.energy(x))
            x, _ = mala(self.between(after), x, generator, steps=1, step_size=self.step_size)
        return x, log_weights

    def forward(self, chains: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """From the Gaussian to exp(−f): ends, (chains, d), and log-weights, (chains,), of mean weight ∫ exp(−f)."""
        noise = torch.randn(chains, len(self.mean), generator=generator, device=generator.device).to(self.mean)
        return self._walk(self.mean + self.deviation * noise, self.betas(), generator)

    def backward(self, samples: Tensor, generator: torch.Generator) -> Tensor:
        """From samples of exp(−f), (N, d), to the Gaussian: log-weights, (N,), whose mean weight is 1/∫ exp(−f)."""
        return self._walk(samples, self.betas()[::-1], generator)[1]

    def betas(self) -> list[float]:
        """From 0 to 1."""
        return [number / self.temperatures for number in range(self.temperatures + 1)]

    def bounds(self, samples: Tensor, chains: int, generator: torch.Generator) -> Bounds:
        """Both, from samples of exp(−f) (N, d) and as many chains as asked.

        Where the samples are not of exp(−f), the upper one is no bound.

        Raises:
            TeachlibError: samples of another dimension, none, or no chain.
        """
        require_shape(samples, self.mean.shape)
        require_at_least(1, chains=chains, samples=len(samples))
        up, (_, low) = self.backward(samples, generator), self.forward(chains, generator)
        lower, lower_error = _log_mean_exp(low)
        upper, upper_error = _log_mean_exp(up)
        return Bounds(lower, -upper, lower_error, upper_error)


def _log_mean_exp(log_weights: Tensor) -> tuple[float, float]:
    """Logarithm of the mean weight, and its standard error by the delta method."""
    largest = log_weights.max()
    weights = (log_weights - largest).double().exp()
    mean = weights.mean()
    error = (weights.std() / mean / math.sqrt(len(weights))).item() if len(weights) > 1 else math.inf
    return (mean.log() + largest).item(), error


def log_likelihood(energy: Callable[[Tensor], Tensor], x: Tensor, bounds: Bounds) -> tuple[float, float]:
    """Between which numbers the mean of log p(x) lies, in nats: of samples (N, d) and what is known of the constant."""
    with torch.no_grad():
        mean = -energy(x).mean().item()
    return mean - bounds.upper, mean - bounds.lower
