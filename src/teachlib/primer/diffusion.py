"""Diffusion (thesis §2.3.1; Sohl-Dickstein et al., 2015; Ho, Jain & Abbeel, 2020).

Times are whole numbers 1 … T; ``betas[0]`` is time 1. ᾱₜ = ∏ (1 − βₛ) over s ≤ t, and ᾱ₀ = 1, so that
``alpha_bars[t]`` is time t. Coefficients are computed in float64 and cast last: near t = 1, 1 − ᾱₜ has no digits to
lose.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import TeachlibError, at_hand, require_input, require_pixels, require_shape, unknown
from teachlib.primer import noise
from teachlib.primer.conditions import given, whole
from teachlib.primer.pixels import from_levels
from teachlib.primer.vae import discretized_logistic_log_prob

Prediction = Literal["noise", "data"]
LOGISTIC_SCALE = math.sqrt(3) / math.pi  # standard deviation 1


@dataclass(frozen=True)
class NoiseSchedule:
    """How much noise each step adds.

    Attributes:
        betas: βₜ of thesis Eq 2.4, (T,) float64 in (0, 1).
    """

    betas: Tensor

    @property
    def steps(self) -> int:
        """T."""
        return len(self.betas)

    @cached_property
    def alpha_bars(self) -> Tensor:
        """ᾱ₀ … ᾱ_T, (T + 1,): how much of the data's variance is left."""
        return F.pad((1 - self.betas).cumprod(0), (1, 0), value=1.0)

    @cached_property
    def _signal(self) -> Tensor:
        return self.alpha_bars.sqrt()

    @cached_property
    def _noise(self) -> Tensor:
        return (1 - self.alpha_bars).sqrt()

    @cached_property
    def _posterior(self) -> tuple[Tensor, Tensor, Tensor]:
        """Weights of x₀ and x_t and the variance, for times 1 … T, (T,) each."""
        before, now, beta = self.alpha_bars[:-1], self.alpha_bars[1:], self.betas
        from_data = before.sqrt() * beta / (1 - now)
        from_noisy = (1 - beta).sqrt() * (1 - before) / (1 - now)
        return from_data, from_noisy, beta * (1 - before) / (1 - now)

    def _at(self, table: Tensor, t: Tensor, like: Tensor) -> Tensor:
        """Entries of a table, shaped to multiply samples."""
        return table.to(like.dtype).to(like.device)[t].view(-1, *[1] * (like.ndim - 1))

    def diffuse(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """x_t in one step: √ᾱₜ·x₀ + √(1 − ᾱₜ)·ε (Eq 2.4, t times).

        Args:
            x0: data, (N, …).
            t: times 0 … T, (N,).
            noise: ε, standard normal, as ``x0``.
        """
        return self._at(self._signal, t, x0) * x0 + self._at(self._noise, t, x0) * noise

    def posterior(self, x0: Tensor, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance of q(x_{t−1} | x_t, x₀), a Gaussian by Bayes' rule; t of 1 … T, (N,)."""
        from_data, from_noisy, variance = (self._at(table, t - 1, x0) for table in self._posterior)
        return from_data * x0 + from_noisy * x_t, variance

    def data_from_noise(self, x_t: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """The x₀ that this noise would have led to x_t from."""
        return (x_t - self._at(self._noise, t, x_t) * noise) / self._at(self._signal, t, x_t)

    def noise_from_data(self, x_t: Tensor, t: Tensor, x0: Tensor) -> Tensor:
        """The noise that leads from this x₀ to x_t."""
        return (x_t - self._at(self._signal, t, x_t) * x0) / self._at(self._noise, t, x_t)


def linear_schedule(steps: int = 1000) -> NoiseSchedule:
    """β rising on a line, 10⁻⁴ to 0.02 for a thousand steps (Ho, Jain & Abbeel, 2020), steeper for fewer.

    Raises:
        TeachlibError: 20 steps or fewer, for which β would reach 1.
    """
    if steps < 21:
        raise TeachlibError(f"{steps} steps; the linear schedule needs more than 20, or β reaches 1")
    return NoiseSchedule(torch.linspace(1e-4, 0.02, steps, dtype=torch.float64) * 1000 / steps)


def cosine_schedule(steps: int = 1000) -> NoiseSchedule:
    """ᾱ falling as a squared cosine (Nichol & Dhariwal, 2021): less haste at both ends.

    Raises:
        TeachlibError: no steps.
    """
    if steps < 1:
        raise TeachlibError(f"{steps} steps; expected 1 or more")
    at = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    alpha_bars = torch.cos((at + 0.008) / 1.008 * math.pi / 2).square()
    return NoiseSchedule((1 - alpha_bars[1:] / alpha_bars[:-1]).clamp(max=0.999))


class Diffusion(nn.Module):
    """A denoiser, its schedule, and what can be done with both.

    Args:
        denoiser: (x_t, t/T, labels) → noise or data, as ``x_t``; see :class:`teachlib.nets.ImageDenoiser`.
        schedule: of the noise.
        shape: of a sample, without the batch.
        predicts: what the denoiser's output means: ε or x₀.
        classes: number of classes; 0 for none. Training hides one label in ten, so that guidance has both.
        pixels: samples are pixels in [0, 1]; inside they are 2x − 1.
    """

    HIDDEN = 0.1  # share of labels replaced by "no class"

    def __init__(
        self,
        denoiser: nn.Module,
        schedule: NoiseSchedule,
        shape: tuple[int, ...],
        *,
        predicts: Prediction = "noise",
        classes: int = 0,
        pixels: bool = False,
    ) -> None:
        super().__init__()
        if predicts not in ("noise", "data"):
            raise unknown("prediction", predicts, ("noise", "data"))
        self.denoiser, self.schedule, self.shape = denoiser, schedule, tuple(shape)
        self.predicts, self.classes, self.pixels = predicts, classes, pixels

    def _inside(self, x: Tensor) -> Tensor:
        if self.pixels:
            require_shape(x, self.shape)
            require_pixels(x)  # of bytes it says what to do
        require_input(self, x, self.shape, what="images" if self.pixels else "points")
        return 2 * x - 1 if self.pixels else x

    def _raw(self, x_t: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
        require_input(self, x_t, self.shape, what="noisy samples")
        self._refuse_other_times(t, len(x_t))
        return self.denoiser(x_t, t.to(x_t.dtype) / self.schedule.steps, labels)

    def _refuse_other_times(self, t: Tensor, count: int) -> None:
        kind = t.is_floating_point() or t.dtype == torch.bool
        if kind or t.shape != (count,) or (at_hand(t) and count and not 1 <= t.min() <= t.max() <= self.schedule.steps):
            said = f"times of shape {tuple(t.shape)}, {t.dtype}"
            raise TeachlibError(f"{said}; expected ({count},), whole numbers 1 … {self.schedule.steps}")

    def predict(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None, guidance: float = 1.0) -> Tensor:
        """The x₀ that the denoiser believes in.

        Args:
            x_t: noisy samples, (N, …).
            t: times 1 … T, (N,).
            labels: classes, (N,); ``None`` for none.
            guidance: 1 takes the class as trained; more moves away from what no class would give (Ho & Salimans, 2022).

        Raises:
            TeachlibError: samples of another shape or precision; what is no times; labels that are none.
        """
        nothing = torch.full_like(t, self.classes) if self.classes else None
        if guidance != 1.0 and labels is None:
            raise TeachlibError(f"guidance={guidance:g} without labels; pass the classes to guide towards")
        output = self._raw(x_t, t, nothing if labels is None else given(labels, self.classes, len(x_t)))
        if guidance != 1.0:
            without = self._raw(x_t, t, nothing)
            output = without + guidance * (output - without)
        x0 = self.schedule.data_from_noise(x_t, t, output) if self.predicts == "noise" else output
        return x0.clamp(-1, 1) if self.pixels else x0

    def loss(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Mean squared error of the prediction at random times: Eq 2.6 without its weights (Ho et al., 2020)."""
        x0, count = self._inside(x), len(x)
        t = noise.integers(1, self.schedule.steps + 1, count, generator, x.device)
        epsilon = noise.normal(x0.shape, generator, x.device)
        shown = None
        if self.classes:
            hidden = noise.uniform((count,), generator, x.device) < self.HIDDEN
            shown = torch.where(hidden, self.classes, given(labels, self.classes, count))
        output = self._raw(self.schedule.diffuse(x0, t, epsilon), t, shown)
        return (output - (epsilon if self.predicts == "noise" else x0)).square().mean()

    @torch.no_grad()
    def sample(
        self,
        count: int,
        generator: torch.Generator,
        labels: Tensor | None = None,
        *,
        guidance: float = 1.0,
        steps: int | None = None,
        eta: float = 1.0,
        watch: Callable[[int, Tensor], None] | None = None,
    ) -> Tensor:
        """From noise to samples, (count, …).

        Args:
            count: how many.
            generator: of all noise.
            labels: classes, (count,).
            guidance: see :meth:`predict`.
            steps: how many of the T times to visit, evenly spaced; all by default.
            eta: noise of each step: 1 is ancestral sampling, 0 is DDIM, which adds none (Song, Meng & Ermon, 2021).
            watch: called with each time and the samples at it.
        """
        visited = self.schedule.steps if steps is None else steps
        if not 1 <= visited <= self.schedule.steps:
            raise TeachlibError(f"steps={visited}; expected 1 to {self.schedule.steps}, the times there are")
        like = next(self.parameters())
        device, shape = like.device, (count, *self.shape)
        x = noise.normal(shape, generator, device).to(like.dtype)
        times = torch.linspace(self.schedule.steps, 0, visited + 1, dtype=torch.float64).round().long()
        for now, after in zip(times[:-1].tolist(), times[1:].tolist(), strict=True):
            t, later = torch.full((count,), now, device=device), torch.full((count,), after, device=device)
            x0 = self.predict(x, t, labels, guidance)
            fresh = noise.normal(shape, generator, device).to(like.dtype) if eta and after else None
            x = ddim_step(self.schedule, x, x0, t, later, eta=eta, noise=fresh)
            if watch is not None:
                watch(after, x)
        return ((x + 1) / 2).clamp(0, 1) if self.pixels else x

    @torch.no_grad()
    def log_prob_bound(
        self, level: Tensor, generator: torch.Generator, labels: Tensor | None = None, *, levels: int
    ) -> Tensor:
        """An unbiased estimate of the variational bound of Eqs 2.5 and 2.6, in nats: pixels' whole numbers → (N,).

        Every time is taken once: of a few random ones the sum scatters widely, as the first times hold much of it. The
        last step is a logistic cut into levels.

        Args:
            level: whole numbers 0 … levels − 1, (N, …).
            generator: of the noise.
            labels: classes, (N,).
            levels: of a pixel.
        """
        x0 = 2 * from_levels(whole(level, levels, self.shape), levels) - 1
        total = -self._prior_term(x0) + self._first_term(x0, level, generator, labels, levels)
        for time in range(2, self.schedule.steps + 1):
            t = torch.full((len(x0),), time, device=x0.device)
            total = total - self._middle_term(x0, t, generator, labels)
        return total

    def _prior_term(self, x0: Tensor) -> Tensor:
        """KL(q(x_T | x₀) ‖ N(0, I)), (N,)."""
        alpha_bar = float(self.schedule.alpha_bars[-1])
        squared = alpha_bar * x0.square() + (1 - alpha_bar) - 1 - math.log(1 - alpha_bar)
        return 0.5 * squared.flatten(1).sum(1)

    def _middle_term(self, x0: Tensor, t: Tensor, generator: torch.Generator, labels: Tensor | None) -> Tensor:
        """KL(q(x_{t−1} | x_t, x₀) ‖ P(x_{t−1} | x_t)), both of the posterior's variance, (N,)."""
        x_t = self.schedule.diffuse(x0, t, noise.normal(x0.shape, generator, x0.device))
        right, variance = self.schedule.posterior(x0, x_t, t)
        believed, _ = self.schedule.posterior(self.predict(x_t, t, labels), x_t, t)
        return ((right - believed).square() / (2 * variance)).flatten(1).sum(1)

    def _first_term(
        self, x0: Tensor, level: Tensor, generator: torch.Generator, labels: Tensor | None, levels: int
    ) -> Tensor:
        """log P(x₀ | x₁): a logistic around the believed x₀, as wide as the noise of time 1, (N,)."""
        t = torch.ones(len(x0), dtype=torch.long, device=x0.device)
        x_1 = self.schedule.diffuse(x0, t, noise.normal(x0.shape, generator, x0.device))
        mean = (self.predict(x_1, t, labels) + 1) / 2
        deviation = math.sqrt(float(self.schedule.betas[0])) / 2
        log_scale = torch.full_like(mean, math.log(deviation * LOGISTIC_SCALE))
        return discretized_logistic_log_prob(level, mean, log_scale, levels).flatten(1).sum(1)


def ddim_step(
    schedule: NoiseSchedule,
    x_t: Tensor,
    x0: Tensor,
    t: Tensor,
    after: Tensor,
    *,
    eta: float,
    noise: Tensor | None = None,
) -> Tensor:
    """From x_t to an earlier time, given a belief about x₀ (Song, Meng & Ermon, 2021, Eqs 12 and 16).

    Args:
        schedule: of the noise.
        x_t: samples at times ``t``.
        x0: what is believed of the data, as ``x_t``.
        t: times now, (N,).
        after: earlier times, (N,).
        eta: 0 to 1, how much of the posterior's standard deviation is drawn anew; 1 and t − 1 is ancestral sampling.
        noise: standard normal, as ``x_t``; needed where ``eta`` is not 0.

    Raises:
        TeachlibError: an ``eta`` that asks for noise, and none.
    """
    now, later = (schedule.alpha_bars[at.cpu()] for at in (t, after))
    deviation = eta * ((1 - later) / (1 - now) * (1 - now / later)).sqrt()
    if noise is None and deviation.any():
        raise TeachlibError(f"eta={eta:g} draws noise anew; pass it, or take eta=0")
    along = (1 - later - deviation.square()).clamp_min(0).sqrt()
    signal, along, deviation = (
        table.to(x_t).view(-1, *[1] * (x_t.ndim - 1)) for table in (later.sqrt(), along, deviation)
    )
    moved = signal * x0 + along * schedule.noise_from_data(x_t, t, x0)
    return moved if noise is None else moved + deviation * noise
