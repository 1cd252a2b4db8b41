"""Variational autoencoders over pixels (thesis §2.2.1): the bound of Eq 2.2, β, classes, and a tighter bound."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import require_as_many, require_at_least, require_input
from teachlib.nets import mlp
from teachlib.primer import noise
from teachlib.primer.conditions import given, whole
from teachlib.primer.pixels import from_levels


def discretized_logistic_log_prob(level: Tensor, mean: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """log-probability of whole numbers under a logistic cut into ``levels`` intervals (Salimans et al., 2017).

    Args:
        level: whole numbers 0 … levels − 1, any shape.
        mean: of the logistic, in pixels: 0 is level 0, 1 is the last level; as ``level``.
        log_scale: logarithm of its scale, in pixels; as ``level``.
        levels: the first and the last interval reach to −∞ and +∞, so that all add to one.

    Returns:
        As ``level``, in nats.
    """
    half, x = 0.5 / (levels - 1), from_levels(level, levels)
    upper = torch.where(level == levels - 1, math.inf, (x + half - mean) * (-log_scale).exp())
    lower = torch.where(level == 0, -math.inf, (x - half - mean) * (-log_scale).exp())
    # log(σ(u) − σ(l)) = log σ(u) + log σ(−l) + log(1 − e^{l − u}): the difference itself would cancel to zero.
    gap = (upper - lower).clamp_min(1e-7)
    return F.logsigmoid(upper) + F.logsigmoid(-lower) + torch.log(-torch.expm1(-gap))


class VAE(nn.Module):
    """Fully connected encoder and decoder; pixels given z are discretized logistics.

    Args:
        dim: pixels of an image.
        levels: values of a pixel.
        latent: dimension of z.
        width: of two hidden layers each.
        classes: number of classes to condition on; 0 for none.
        beta: weight of KL during training (Higgins et al., 2017); 1 is the bound itself.
    """

    def __init__(
        self, dim: int, *, levels: int, latent: int = 8, width: int = 256, classes: int = 0, beta: float = 1.0
    ) -> None:
        super().__init__()
        self.dim, self.levels, self.latent, self.classes, self.beta = dim, levels, latent, classes, beta
        self.encoder = mlp(dim + classes, width, width, 2 * latent)
        self.decoder = mlp(latent + classes, width, width, dim)
        self.log_scale = nn.Parameter(torch.full((dim,), -2.0))

    def _with(self, x: Tensor, labels: Tensor | None) -> Tensor:
        if not self.classes:
            return x
        return torch.cat([x, F.one_hot(given(labels, self.classes, len(x)), self.classes).to(x)], 1)

    def posterior(self, level: Tensor, labels: Tensor | None = None) -> torch.distributions.Normal:
        """Q(Z | x) of whole numbers (N, dim)."""
        x = 2 * from_levels(whole(level, self.levels, (self.dim,)), self.levels) - 1
        mean, log_deviation = self.encoder(self._with(x, labels)).chunk(2, 1)
        return torch.distributions.Normal(mean, log_deviation.clamp(-7, 3).exp())

    def log_likelihood(self, level: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """log P(x | z) in nats, (N,).

        Raises:
            TeachlibError: what is no whole numbers, (N, dim); latents of another shape, precision or number.
        """
        level = whole(level, self.levels, (self.dim,))
        require_as_many(samples=level, latents=z)
        mean = self.decode(z, labels)
        return discretized_logistic_log_prob(level, mean, self.log_scale.clamp(-7, 2), self.levels).sum(1)

    def decode(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Mean pixels of latents, (N, latent) → (N, dim).

        Raises:
            TeachlibError: latents of another shape or precision.
        """
        require_input(self, z, (self.latent,), what="latents")
        return self.decoder(self._with(z, labels)).sigmoid()

    def _draw(
        self, q: torch.distributions.Normal, level: Tensor, labels: Tensor | None, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """log P(x | z) of one draw z of a posterior, and z."""
        z = q.mean + q.stddev * noise.normal(q.mean.shape, generator, q.mean.device)
        return self.log_likelihood(level, z, labels), z

    def log_prob_bound(self, level: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """The ELBO of thesis Eq 2.2 in nats, one draw of z, KL in closed form: (N, dim) → (N,)."""
        q = self.posterior(level, labels)
        log_likelihood, _ = self._draw(q, level, labels, generator)
        return log_likelihood - kl_to_standard_normal(q)

    def importance_weighted_bound(
        self, level: Tensor, generator: torch.Generator, labels: Tensor | None = None, *, draws: int = 100
    ) -> Tensor:
        """log of the mean importance weight of several draws (Burda, Grosse & Salakhutdinov, 2016): (N, dim) → (N,).

        Between the ELBO (one draw) and log p(x) (infinitely many).
        """
        require_at_least(1, draws=draws)
        log_weights, q = [], self.posterior(level, labels)
        for _ in range(draws):
            log_likelihood, z = self._draw(q, level, labels, generator)
            prior = torch.distributions.Normal(torch.zeros_like(z), 1.0)
            log_weights.append(log_likelihood + (prior.log_prob(z) - q.log_prob(z)).sum(1))
        return torch.logsumexp(torch.stack(log_weights), 0) - math.log(draws)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Mean pixels of latents from the prior, (count, dim) in [0, 1]."""
        device = self.log_scale.device
        return self.decode(noise.normal((count, self.latent), generator, device), labels)

    def loss(self, level: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Mean of −log P(x | z) + β·KL, in nats a dimension."""
        q = self.posterior(level, labels)
        log_likelihood, _ = self._draw(q, level, labels, generator)
        return (self.beta * kl_to_standard_normal(q) - log_likelihood).mean() / self.dim


def kl_to_standard_normal(q: torch.distributions.Normal) -> Tensor:
    """KL(q ‖ N(0, I)) in nats, summed over dimensions: (N,)."""
    return torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
