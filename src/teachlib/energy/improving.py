"""Better samples from a generator that is trained already, by what its judge knows.

All ways take log(D/(1−D)) of the game for log p_data/p_G, which it is of the best judge only: calibrate first.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import logit
from torch import Tensor, nn

from teachlib.energy.likelihood import log_mean
from teachlib.errors import TeachlibError, require_at_least, require_positive
from teachlib.primer.energy import langevin, mala
from teachlib.primer.gan import discriminator_loss

LogRatio = Callable[[Tensor], Tensor]
Draw = Callable[[int], Tensor]
_LARGEST = 500  # batches that are proposed at most


# ---------------------------------------------------------------------------------------------------- calibration


def _told_apart(real: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    if not (len(real) and len(made)):
        raise TeachlibError("no logits of real or of generated samples; calibration needs both")
    logits = torch.cat([real, made]).detach().double()
    if not logits.isfinite().all():
        raise TeachlibError("logits that are not finite; look for NaN in the samples or the judge")
    return logits, torch.cat([torch.ones(len(real)), torch.zeros(len(made))])


def platt(real: Tensor, made: Tensor) -> tuple[float, float]:
    """a and b for which a·logit + b is log p_data/p_G, by logistic regression (Platt, 1999).

    Args:
        real: logits of held-out real samples, (N,).
        made: logits of generated ones, (M,); if there are more of one kind, b accounts for it.

    Raises:
        TeachlibError: none of either kind, values that are not finite, or all of one kind above all of the other:
            the likelier a is, the larger it is then, and no line is the best.
    """
    from sklearn.linear_model import LogisticRegression

    logits, labels = _told_apart(real, made)
    if real.min() > made.max() or made.min() > real.max():
        raise TeachlibError(
            "logits that tell all real samples from all generated ones; no line through them is the best: "
            "take more samples, or an isotonic curve"
        )
    scale = logits.std().clamp_min(1e-12)  # the solver stops too early on logits of thousands
    fitted = LogisticRegression(C=math.inf, max_iter=1000).fit((logits / scale)[:, None].numpy(), labels.numpy())
    return float(fitted.coef_[0, 0] / scale), float(fitted.intercept_[0]) - math.log(len(real) / len(made))


def isotonic(real: Tensor, made: Tensor) -> LogRatio:
    """log p_data/p_G as the best non-decreasing function of logits (Zadrozny & Elkan, 2002).

    It is a staircase, whose first and last stairs may hold samples of one kind alone. Of n of them nobody knows that
    their odds are infinite: they are taken for n + ½ against ½, though for no less than the next stair's.

    Args:
        real: logits of held-out real samples, (N,).
        made: logits of generated ones, (M,); if there are more of one kind, it is accounted for.

    Raises:
        TeachlibError: none of either kind, or values that are not finite.
    """
    from sklearn.isotonic import IsotonicRegression

    logits, labels = _told_apart(real, made)
    more = math.log(len(real) / len(made))
    fitted = IsotonicRegression(out_of_bounds="clip").fit(logits.numpy(), labels.numpy())

    stairs, counts = np.unique(fitted.predict(logits.numpy()), return_counts=True)
    heights, few = logit(stairs), np.log(2.0 * counts + 1)
    lowest = min([-few[0], *heights[1:2]]) if stairs[0] == 0 else -math.inf
    highest = max([few[-1], *heights[-2:-1]]) if stairs[-1] == 1 else math.inf

    def calibrated(logits: Tensor) -> Tensor:
        shares = fitted.predict(logits.detach().double().numpy())
        return torch.from_numpy(logit(shares).clip(lowest, highest)).sub(more).float()

    return calibrated


def refitted(judge: nn.Module, real: Draw, made: Draw, *, steps: int, batch_size: int = 256) -> nn.Module:
    """A judge trained on against a generator that stands still, towards log p_data/p_G; in place.

    Args:
        judge: (N, …) → (N,) logits.
        real: draws so many real samples.
        made: draws so many generated ones.
        steps: of Adam, whose rate falls from 10⁻³ to nothing.
        batch_size: of each.
    """
    adam = torch.optim.Adam(judge.parameters(), 1e-3)
    fading = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 1e-2, steps)
    for _ in range(steps):
        loss = discriminator_loss(judge(real(batch_size)), judge(made(batch_size).detach()))
        adam.zero_grad()
        loss.backward()
        adam.step()
        fading.step()
    return judge


# ------------------------------------------------------------------------------------------------------- choosing


@dataclass(frozen=True)
class Chosen:
    """Samples that were chosen.

    Attributes:
        samples: (N, …).
        proposed: how many were looked at.
    """

    samples: Tensor
    proposed: int


@torch.no_grad()
def rejection(
    propose: Draw,
    log_ratio: LogRatio,
    count: int,
    generator: torch.Generator,
    *,
    log_largest: float,
    shift: float = 0.0,
) -> Chosen:
    """Keep x with probability min(1, exp(log r(x) − log r_max + shift)): exactly p_data for a right r and shift ≤ 0.

    A positive shift accepts more and corrects less, as the discriminator rejection sampling of Azadi et al. (2019)
    does by its γ.

    Args:
        propose: draws so many of p_G.
        log_ratio: log p_data/p_G, (N, …) → (N,).
        count: how many to keep.
        generator: draws verdicts.
        log_largest: log of the largest ratio there is.
        shift: in nats.

    Raises:
        TeachlibError: hardly anything is accepted.
    """
    require_at_least(1, count=count)
    kept: list[Tensor] = []
    proposed = 0
    for _ in range(_LARGEST):
        x = propose(max(count, 1000))
        proposed += len(x)
        log_accepted = log_ratio(x) - log_largest + shift
        kept.append(x[torch.rand(len(x), generator=generator).log() < log_accepted])
        if sum(map(len, kept)) >= count:
            return Chosen(torch.cat(kept)[:count], proposed)
    accepted = sum(map(len, kept)) / max(proposed, 1)
    raise TeachlibError(f"{accepted:.1e} of the proposals are accepted; calibrate the ratio, or shift it")


@torch.no_grad()
def metropolis_hastings(
    start: Tensor, propose: Draw, log_ratio: LogRatio, generator: torch.Generator, *, steps: int
) -> tuple[Tensor, Tensor]:
    """Chains that move to a new draw of p_G with probability min(1, r(x')/r(x)) (Turner et al., 2019).

    p_data is left unchanged by a right ratio, from whatever start; real samples are starts that need no burning in.

    Args:
        start: of N chains, (N, …).
        propose: draws so many of p_G.
        log_ratio: log p_data/p_G, (N, …) → (N,).
        generator: draws verdicts.
        steps: proposals a chain.

    Returns:
        The chains' ends, (N, …), and which of them have moved, (N,).
    """
    x, known = start.clone(), log_ratio(start)
    moved = torch.zeros(len(x), dtype=torch.bool)
    for _ in range(steps):
        proposal = propose(len(x))
        there = log_ratio(proposal)
        taken = torch.rand(len(x), generator=generator).log() < there - known
        x[taken], known = proposal[taken], torch.where(taken, there, known)
        moved |= taken
    return x, moved


@torch.no_grad()
def resampled(samples: Tensor, log_ratios: Tensor, count: int, generator: torch.Generator) -> tuple[Tensor, float]:
    """So many of samples (N, …), each with probability in proportion to its ratio, with repetition.

    Returns:
        The chosen, (count, …), and the effective number of samples, (Σw)²/Σw²: how many of them do the work.

    Raises:
        TeachlibError: not a ratio for each sample, none at all, or ratios that are not finite.
    """
    if len(samples) != len(log_ratios) or not len(samples) or not log_ratios.isfinite().all():
        raise TeachlibError(f"{len(samples)} samples and {len(log_ratios)} ratios; expected a finite ratio for each")
    weights = (log_ratios.double() - log_ratios.max()).exp()
    chosen = torch.multinomial(weights, count, replacement=True, generator=generator)
    return samples[chosen], (weights.sum().square() / weights.square().sum()).item()


# ----------------------------------------------------------------------------------------------- along gradients


def latent_energy(make: Callable[[Tensor], Tensor], log_ratio: LogRatio) -> Callable[[Tensor], Tensor]:
    """E(z) = ½‖z‖² − log r(G(z)), of the density of noise that makes p_data (Che et al., 2020, Eq 5): (N, d) → (N,)."""
    return lambda z: 0.5 * z.square().sum(1) - log_ratio(make(z))


def langevin_of_noise(
    make: Callable[[Tensor], Tensor],
    log_ratio: LogRatio,
    z: Tensor,
    generator: torch.Generator,
    *,
    steps: int,
    step_size: float,
    corrected: bool,
) -> tuple[Tensor, float]:
    """Langevin's chains on noise (DDLS; Che et al., 2020), left as they are or corrected by Metropolis and Hastings.

    Args:
        make: the generator, (N, d) → (N, …).
        log_ratio: log p_data/p_G, differentiable.
        z: starts, (N, d).
        generator: draws noise and verdicts.
        steps: how many.
        step_size: η of :func:`teachlib.primer.energy.langevin`.
        corrected: whether each step may be refused.

    Returns:
        Samples G(z) of the ends, (N, …), and the share of accepted steps, 1 where none may be refused.

    Raises:
        TeachlibError: a ratio without a slope, such as an isotonic one.
    """
    require_positive(step_size=step_size)
    with torch.enable_grad():
        probe = z[:1].detach().requires_grad_()
        if not log_ratio(make(probe)).requires_grad:
            raise TeachlibError("the ratio has no slope that a chain could follow; take Platt's, not an isotonic one")
    energy, accepted = latent_energy(make, log_ratio), 1.0
    if corrected:
        z, accepted = mala(energy, z, generator, steps=steps, step_size=step_size)
    else:
        z = langevin(energy, z, generator, steps=steps, step_size=step_size)
    with torch.no_grad():
        return make(z), accepted


def log_normalizer(log_ratios: Tensor) -> float:
    """log of the mean ratio at generated samples (N,), in nats: 0 of a right one, else how far off its constant is."""
    return log_mean(-log_ratios).item()
