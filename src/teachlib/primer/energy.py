"""Energy-based models (thesis §2.4.3): p(x) = exp(−f(x)) / z, and four ways around the constant z."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_input, require_positive, unknown
from teachlib.nets import mlp
from teachlib.primer import noise

Energy = Callable[[Tensor], Tensor]


class EnergyNet(nn.Module):
    """f(x) by a fully connected network, and a learned estimate c of log z.

    Args:
        dim: of x.
        width: of two hidden layers.
        confining: weight of ½‖x‖², which keeps exp(−f) integrable.
    """

    def __init__(self, dim: int, *, width: int = 128, confining: float = 0.05) -> None:
        super().__init__()
        self.net, self.dim, self.confining = mlp(dim, width, width, 1), dim, confining
        self.log_constant = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """f(x): (N, dim) → (N,).

        Raises:
            TeachlibError: points of another shape or precision.
        """
        require_input(self, x, (self.dim,), what="points")
        return self.net(x)[:, 0] + 0.5 * self.confining * x.square().sum(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """−f(x) − c in nats: a log-density as far as c is log z, which only noise-contrastive training learns."""
        return -self(x) - self.log_constant


def score(energy: Energy, x: Tensor, *, create_graph: bool = False) -> Tensor:
    """∇ₓ log p(x) = −∇ₓ f(x), in which z does not appear: (N, d) → (N, d).

    Raises:
        TeachlibError: whole numbers, along which there is no slope, or no batch.
    """
    _require_points(x)
    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        return -torch.autograd.grad(energy(x).sum(), x, create_graph=create_graph)[0]


def _require_points(x: Tensor) -> None:
    if x.ndim != 2 or not x.is_floating_point():
        raise TeachlibError(
            f"points of shape {tuple(x.shape)}, {x.dtype}; expected floating numbers, (N, d): flatten images"
        )


# ------------------------------------------------------------------------------------------------------- chains


def langevin(energy: Energy, x: Tensor, generator: torch.Generator, *, steps: int, step_size: float) -> Tensor:
    """x ← x + η·∇ log p(x) + √(2η)·ε, repeatedly: close to p for small η and many steps, biased for large η.

    Args:
        energy: f.
        x: starts, (N, d).
        generator: of the noise.
        steps: how many.
        step_size: η, more than zero.
    """
    require_positive(step_size=step_size)
    for _ in range(steps):
        x = (x + step_size * score(energy, x) + math.sqrt(2 * step_size) * _noise(x, generator)).detach()
    return x


def mala(
    energy: Energy, x: Tensor, generator: torch.Generator, *, steps: int, step_size: float
) -> tuple[Tensor, float]:
    """Langevin's steps, each accepted or refused by Metropolis and Hastings, so that p is left unchanged exactly.

    Args:
        energy: f.
        x: starts, (N, d).
        generator: of noise and verdicts.
        steps: how many.
        step_size: η.

    Returns:
        The chains' ends, (N, d), and the share of accepted steps.
    """
    require_positive(step_size=step_size)
    accepted = 0.0
    for _ in range(steps):
        drift = score(energy, x)
        proposal = (x + step_size * drift + math.sqrt(2 * step_size) * _noise(x, generator)).detach()
        there = _log_transition(proposal, x, drift, step_size)
        back = _log_transition(x, proposal, score(energy, proposal), step_size)
        with torch.no_grad():
            log_ratio = energy(x) - energy(proposal) + back - there
        taken = noise.uniform((len(x),), generator, x.device).log() < log_ratio
        x = torch.where(taken[:, None], proposal, x)
        accepted += taken.float().mean().item() / steps
    return x, accepted


def _noise(x: Tensor, generator: torch.Generator) -> Tensor:
    return noise.normal(x.shape, generator, x.device).to(x.dtype)


def _log_transition(to: Tensor, start: Tensor, drift: Tensor, step_size: float) -> Tensor:
    """log N(to; start + η·drift, 2η·I) up to a constant, (N,)."""
    return -(to - start - step_size * drift).square().sum(1) / (4 * step_size)


# ------------------------------------------------------------------------------------------------------- losses


def contrastive_divergence_loss(energy: Energy, real: Tensor, sampled: Tensor) -> Tensor:
    """E f(real) − E f(sampled) (Hinton, 2002): its gradient is −∇ log-likelihood where the samples are the model's.

    Since ∇ log z = −E_{x∼p}[∇f(x)]; the thesis prints another formula after Eq 2.9, see the errata.

    Args:
        energy: f.
        real: data, (N, d).
        sampled: ends of chains, (M, d); no gradient passes through them.
    """
    return energy(real).mean() - energy(sampled.detach()).mean()


def denoising_score_matching_loss(energy: Energy, x: Tensor, generator: torch.Generator, *, deviation: float) -> Tensor:
    """½·E‖s(x̃) + ε/σ‖², x̃ = x + σε (Vincent, 2011): least where s is the score of the data smoothed by σ.

    Args:
        energy: f; s = −∇f.
        x: data, (N, d).
        generator: of ε.
        deviation: σ.
    """
    _require_points(x)
    epsilon = _noise(x, generator)
    gradient = score(energy, x + deviation * epsilon, create_graph=True)
    return 0.5 * (gradient + epsilon / deviation).square().sum(1).mean()


def sliced_score_matching_loss(energy: Energy, x: Tensor, generator: torch.Generator, *, slices: int = 1) -> Tensor:
    """E[vᵀ∇s(x)v + ½(vᵀs(x))²] over random directions v (Song et al., 2019): Fisher's divergence up to a constant.

    Args:
        energy: f; s = −∇f.
        x: data, (N, d).
        generator: of v, standard normal.
        slices: directions a sample.
    """
    _require_points(x)
    with torch.enable_grad():  # a derivative of a derivative, in validation too
        x = x.detach().requires_grad_().repeat(slices, 1)
        gradient, direction = score(energy, x, create_graph=True), _noise(x, generator)
        along = (gradient * direction).sum(1)
        curvature = (torch.autograd.grad(along.sum(), x, create_graph=True)[0] * direction).sum(1)
    return (curvature + 0.5 * along.square()).mean()


def noise_contrastive_loss(log_model: Energy, log_noise: Energy, real: Tensor, noise: Tensor) -> Tensor:
    """Tell data from noise by log p − log pₙ (thesis Eq 2.10; Gutmann & Hyvärinen, 2010); p need not be normalized.

    The minimum has p equal to the data's density, constant and all, where noise and data are equally frequent.

    Args:
        log_model: log p, with its learned constant.
        log_noise: log pₙ, exact.
        real: data, (N, d).
        noise: as many draws from pₙ, (N, d).
    """
    on_real = log_model(real) - log_noise(real)
    on_noise = log_model(noise) - log_noise(noise)
    return F.softplus(-on_real).mean() + F.softplus(on_noise).mean()


# --------------------------------------------------------------------------------------------------- objectives


class EnergyModel(nn.Module):
    """An energy with one of the four ways to train it.

    Args:
        energy: f, with ``log_constant``.
        method: ``"cd"`` (contrastive divergence), ``"persistent"``, ``"denoising"``, ``"sliced"`` or ``"nce"``.
        steps: of Langevin a batch, for the first two.
        step_size: of Langevin; the noise of a step, √(2η), must be finer than what the data show.
        deviation: of the noise, for ``"denoising"``.
        spread: standard deviation of the Gaussian noise, for ``"nce"``, and of the chains' starts.
        chains: kept from batch to batch, for ``"persistent"``.
    """

    METHODS = ("cd", "persistent", "denoising", "sliced", "nce")

    def __init__(
        self,
        energy: EnergyNet,
        method: str,
        *,
        steps: int = 10,
        step_size: float = 0.005,
        deviation: float = 0.2,
        spread: float = 2.0,
        chains: int = 512,
    ) -> None:
        super().__init__()
        if method not in self.METHODS:
            raise unknown("method", method, self.METHODS)
        self.energy, self.method, self.dim = energy, method, energy.dim
        self.steps, self.step_size, self.deviation, self.spread = steps, step_size, deviation, spread
        start = torch.randn(chains, self.dim, generator=torch.Generator().manual_seed(0))
        self.register_buffer("chains", spread * start)
        self.chains: Tensor

    def loss(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """The chosen loss of a batch, (N, dim)."""
        if self.method == "denoising":
            return denoising_score_matching_loss(self.energy, x, generator, deviation=self.deviation)
        if self.method == "sliced":
            return sliced_score_matching_loss(self.energy, x, generator)
        if self.method == "nce":
            broad = torch.distributions.Normal(torch.zeros(self.dim, device=x.device), self.spread)
            drawn = self.spread * _noise(x, generator)
            return noise_contrastive_loss(self.energy.log_prob, lambda at: broad.log_prob(at).sum(1), x, drawn)
        if self.method == "cd":
            ends = self._walk(x, generator)
        else:  # go on with chains that earlier batches left
            chosen = torch.randperm(len(self.chains), generator=generator, device=generator.device)[: len(x)]
            ends = self._walk(self.chains[chosen.to(x.device)], generator)
            if self.training:
                self.chains[chosen.to(x.device)] = ends
        # Small energies on both sides: without it the two may drift together to any height.
        size = self.energy(x).square().mean() + self.energy(ends).square().mean()
        return contrastive_divergence_loss(self.energy, x, ends) + 1e-3 * size

    def _walk(self, start: Tensor, generator: torch.Generator) -> Tensor:
        return langevin(self.energy, start, generator, steps=self.steps, step_size=self.step_size)

    def sample(self, count: int, generator: torch.Generator, *, steps: int = 500) -> Tensor:
        """Ends of adjusted chains from broad noise, (count, dim)."""
        start = self.spread * noise.normal((count, self.dim), generator, next(self.parameters()).device)
        return mala(self.energy, start, generator, steps=steps, step_size=self.step_size)[0]
