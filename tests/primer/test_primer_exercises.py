"""Wrong answers that no message names are refused: inputs tell them apart, extreme values too."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from teachlib.primer import exercises

Normal = torch.distributions.Normal


def posterior_of_share(x0: Tensor, x_t: Tensor, b: Tensor, a: Tensor, before: Tensor) -> Tensor:
    """ᾱ_{t−1} where 1 − ᾱ_{t−1} belongs."""
    return before.sqrt() * b / (1 - a) * x0 + (1 - b).sqrt() * before / (1 - a) * x_t


def posterior_by_signal(x0: Tensor, x_t: Tensor, b: Tensor, a: Tensor, before: Tensor) -> Tensor:
    """Divided by ᾱ_t where 1 − ᾱ_t belongs."""
    return (before.sqrt() * b * x0 + (1 - b).sqrt() * (1 - before) * x_t) / a


def nce_of_densities(mr: Tensor, nr: Tensor, mn: Tensor, nn: Tensor) -> Tensor:
    """By Bayes' rule from densities, which are 0/0 far out."""
    real, fake = mr.exp() / (mr.exp() + nr.exp()), nn.exp() / (mn.exp() + nn.exp())
    return -real.log().mean() - fake.log().mean()


UNNAMED: dict[str, list[Callable[..., Tensor]]] = {
    "posterior_mean": [posterior_of_share, posterior_by_signal],
    "noise_contrastive": [nce_of_densities, lambda mr, nr, mn, nn: (F.softplus(nr - mr) + 0).mean() + (mn - nn).mean()],
    "mixture_log_prob": [
        lambda y, w, m, s: (w * Normal(m, s).log_prob(y[:, None]).exp()).sum(1).clamp_min(1e-30).log(),
        lambda y, w, m, s: (w.log() + Normal(m, s).log_prob(y[:, None])).max(1).values,
    ],
    "importance_bound": [
        lambda w: (w.exp().mean(0) + 1e-30).log(),
        lambda w: w.max(0).values,
        lambda w: w.logsumexp(0) - math.log(3),
    ],
    "kernel_density": [lambda x, c, h: torch.exp(-(((x[:, None] - c) / h) ** 2)).mean(1) / (h * math.sqrt(math.pi))],
    "elbo": [lambda ll, m, s: ll - 0.5 * (m**2 + s.exp() ** 2 - 1 - s).sum(1)],
    "score": [lambda f, x: torch.autograd.functional.jacobian(lambda at: f(at).neg(), x).sum(0) / 2],
    "langevin_step": [lambda x, s, eta, n: x + 2 * eta * s + math.sqrt(2 * eta) * n],
}
EACH = [(name, answer) for name, answers in UNNAMED.items() for answer in answers]


@pytest.mark.parametrize(("name", "answer"), EACH)
def test_an_unnamed_mistake_is_refused(name: str, answer: Callable[..., Tensor]) -> None:
    verdict = getattr(exercises, name).check(answer)
    named = {wrong.message for wrong in getattr(exercises, name).wrong.values()}
    assert verdict.points == 0
    assert verdict.message not in {*named, "correct", "nothing returned yet"}
    assert "stopped with" not in verdict.message
