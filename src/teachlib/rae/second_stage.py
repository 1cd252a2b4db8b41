"""A second VAE on the codes of a first autoencoder (Dai & Wipf, 2019): an ex-post density that is itself learned."""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from teachlib.data import PointData
from teachlib.errors import TeachlibError, require_as_many, require_at_least, require_input, unknown
from teachlib.nets import mlp
from teachlib.primer import LossObjective
from teachlib.rae.codes import checked_codes, varying_codes
from teachlib.rae.losses import kl_divergence, sample_posterior
from teachlib.scale import Scale
from teachlib.training import Schedule, fit

Kind = Literal["dai-wipf", "released"]
KINDS: tuple[Kind, ...] = ("dai-wipf", "released")
_STEPS = {Scale.CI: 50, Scale.LAPTOP: 1_200, Scale.PAPER: 100_000}
_WIDTH = {Scale.CI: 32, Scale.LAPTOP: 256, Scale.PAPER: 1024}


class SecondStage(nn.Module):
    """A VAE over codes, as wide in its latent space as in its input.

    ``dai-wipf``: three hidden layers a network, whose output layer sees the input too; the width γ of the decoder's
    Gaussian is learned, so that it shrinks as reconstruction improves; samples carry its noise. ``released``: the
    smaller one of the RAE authors' code: two hidden layers, squared error (a mean over dimensions) beside a weighted
    KL, log σ = 5·tanh, no noise on samples.

    Args:
        dimension: d, of the codes.
        kind: see above.
        width: of hidden layers.
        kl_weight: for ``released``.

    Attributes:
        mean: of the training codes, (d,); inside, codes have mean 0 and deviation 1.
        deviation: of the training codes, (d,).
    """

    def __init__(
        self, dimension: int, *, kind: Kind = "dai-wipf", width: int = 1024, kl_weight: float = 1.5e-3
    ) -> None:
        super().__init__()
        if kind not in KINDS:
            raise unknown("second stage", kind, KINDS)
        self.kind, self.kl_weight, self.dimension = kind, kl_weight, dimension
        hidden = 3 if kind == "dai-wipf" else 2
        self.encode_hidden = mlp(dimension, *[width] * hidden, activation=nn.ReLU)
        self.decode_hidden = mlp(dimension, *[width] * hidden, activation=nn.ReLU)
        seen = width + (dimension if kind == "dai-wipf" else 0)
        self.encode_head, self.decode_head = nn.Linear(seen, 2 * dimension), nn.Linear(seen, dimension)
        # Not at γ = 1: codes of unit variance would be explained by noise alone, and the latents never used.
        self.log_gamma = nn.Parameter(torch.tensor(-1.5))
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("deviation", torch.ones(dimension))
        self.mean: Tensor
        self.deviation: Tensor

    def _head(self, hidden: nn.Module, head: nn.Module, x: Tensor) -> Tensor:
        h = hidden(x).relu()
        return head(torch.cat([x, h], 1) if self.kind == "dai-wipf" else h)

    def _encode(self, z: Tensor) -> tuple[Tensor, Tensor]:
        mean, raw = self._head(self.encode_hidden, self.encode_head, z).chunk(2, 1)
        return mean, 10 * raw.tanh() if self.kind == "released" else raw

    def _decode(self, u: Tensor) -> Tensor:
        return self._head(self.decode_hidden, self.decode_head, u)

    def loss(self, codes: Tensor, log_variance: Tensor, generator: torch.Generator) -> Tensor:
        """Negative ELBO; for ``released`` its weighted form.

        Args:
            codes: of the first stage: means, where it is stochastic, (N, d).
            log_variance: of the first stage's posterior, (N, d), from which codes are drawn; −∞ for points.
            generator: of all noise.

        Raises:
            TeachlibError: codes or variances of another shape or precision, or not as many of both.
        """
        require_input(self, codes, (self.dimension,), what="codes")
        require_input(self, log_variance, (self.dimension,), what="log-variances")
        require_as_many(codes=codes, variances=log_variance)
        z = (sample_posterior(codes, log_variance, generator) - self.mean) / self.deviation
        mean, spread = self._encode(z)
        squared = (self._decode(sample_posterior(mean, spread, generator)) - z).square()
        divergence = kl_divergence(mean, spread).mean()
        if self.kind == "released":
            return squared.mean() + self.kl_weight * divergence
        per_axis = 0.5 * squared * (-2 * self.log_gamma).exp() + self.log_gamma + 0.5 * math.log(2 * math.pi)
        return per_axis.sum(1).mean() + divergence

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """From N(0, I) through the second decoder: (count, d) float32."""
        z = self._decode(torch.randn(count, self.dimension, generator=generator))
        if self.kind == "dai-wipf":
            z = z + self.log_gamma.exp() * torch.randn(z.shape, generator=generator)
        return self.mean + self.deviation * z


def fit_second_stage(
    codes: Tensor,
    *,
    log_variance: Tensor | None = None,
    kind: Kind = "dai-wipf",
    kl_weight: float = 1.5e-3,
    scale: str | Scale | None = None,
    steps: int | None = None,
    seed: int = 0,
) -> SecondStage:
    """Train a second VAE on codes.

    Args:
        codes: of the training set, (N, d); of a VAE the means.
        log_variance: of a VAE's posteriors, (N, d): each update draws its codes anew, as Dai & Wipf do.
        kind: of :class:`SecondStage`.
        kl_weight: for ``released``.
        scale: of width and steps.
        steps: other than the scale's.
        seed: of weights, order and noise.

    Raises:
        TeachlibError: too few codes, codes that are not finite or, without log-variances, all equal; log-variances of
            another shape, or that are not numbers.
    """
    require_at_least(1, steps=steps)
    codes = checked_codes(codes) if log_variance is not None else varying_codes(codes)
    if log_variance is not None and log_variance.shape != codes.shape:
        raise TeachlibError(f"log-variances of shape {tuple(log_variance.shape)} for codes of {tuple(codes.shape)}")
    chosen = Scale.of(scale)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = SecondStage(codes.shape[1], kind=kind, width=_WIDTH[chosen], kl_weight=kl_weight)
    mean, deviation = _moments(codes.double(), log_variance)
    model.mean.copy_(mean)
    model.deviation.copy_(deviation)
    if log_variance is not None:
        log_variance = log_variance.detach().cpu()
    noise = torch.full_like(codes, -math.inf) if log_variance is None else log_variance
    schedule = Schedule(steps=steps or _STEPS[chosen], batch_size=min(256, len(codes)), seed=seed)
    fit(LossObjective(model, learning_rate=1e-3), PointData(codes.float(), noise.float()), schedule, progress=False)
    return model.cpu()


def _moments(codes: Tensor, log_variance: Tensor | None) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the codes that will be drawn, (d,) each; axes without one get a millionth of the rest's.

    Raises:
        TeachlibError: posteriors whose variance is no number, or is zero around codes that are all equal.
    """
    variance = codes.var(0, unbiased=False)
    if log_variance is not None:
        variance = variance + log_variance.detach().cpu().double().exp().mean(0)
    widest = float(variance.max())
    if not 0 < widest < math.inf:
        raise TeachlibError(f"codes and log-variances of a variance of {widest}; expected more than 0, and finite")
    return codes.mean(0), variance.clamp_min(1e-12 * widest).sqrt()
