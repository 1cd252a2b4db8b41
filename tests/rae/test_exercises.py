"""Right answers by another way get full marks; what no named mistake covers gets a line about what differs."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal, Normal
from torch.distributions import kl_divergence as torch_kl

from teachlib.rae.exercises import EXERCISES


def kl_of_torch(mean: Tensor, log_variance: Tensor) -> Tensor:
    prior = Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return torch_kl(Normal(mean, (log_variance / 2).exp()), prior).sum(-1)


def loss_by_loops(
    x: Tensor, reconstruction: Tensor, z: Tensor, decoder_weights: list[Tensor], beta: float, lambda_: float
) -> Tensor:
    total = torch.zeros(())
    for image, other, code in zip(x, reconstruction, z, strict=True):
        total = total + ((image - other) ** 2).sum() / len(x) + beta / 2 * code @ code / len(x)
    for weight in decoder_weights:
        total = total + lambda_ * (weight.norm() ** 2)
    return total


def sample_by_eigenvectors(
    weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    """Another root of the covariance, another way to pick, and the noise drawn first."""
    noise = torch.randn(count, means.shape[1], generator=generator)
    component = torch.searchsorted(weights.cumsum(0), torch.rand(count, generator=generator)).clamp(max=2)
    values, vectors = torch.linalg.eigh(covariances)
    roots = vectors @ torch.diag_embed(values.sqrt())
    return means[component] + (roots[component] @ noise[:, :, None])[:, :, 0]


def sample_by_torch(
    weights: Tensor, means: Tensor, covariances: Tensor, count: int, generator: torch.Generator
) -> Tensor:
    torch.manual_seed(generator.initial_seed())
    return MixtureSameFamily(Categorical(weights), MultivariateNormal(means, covariances)).sample((count,))


def softmax_of_weights(weights: Tensor, *rest: Any) -> Any:
    return EXERCISES["sample_mixture"].solution(weights.softmax(0), *rest)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("kl_divergence", kl_of_torch),
        ("rae_loss", loss_by_loops),
        ("sample_mixture", sample_by_eigenvectors),
        ("sample_mixture", sample_by_torch),
    ],
)
def test_another_right_answer_gets_full_marks(name: str, answer: Callable[..., Tensor]) -> None:
    assert str(EXERCISES[name].check(answer)) == f"✓ {name}: correct (1/1)"


@pytest.mark.parametrize("name", EXERCISES)
def test_messages_differ_unless_the_misconception_is_the_same(name: str) -> None:
    groups = {
        mistake.rsplit("_", 1)[0] if mistake.startswith("only_component") else mistake.replace("norms", "norm")
        for mistake in EXERCISES[name].wrong
    }
    assert len({wrong.message for wrong in EXERCISES[name].wrong.values()}) == len(groups) >= 3


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("kl_divergence", lambda m, v: kl_of_torch(m, v).detach(), "no gradient reaches the inputs"),
        ("kl_divergence", lambda m, v: kl_of_torch(m.detach(), v), "gradient at"),
        ("kl_divergence", lambda m, v: kl_of_torch(m, v).tolist(), "expected a tensor; found list"),
        ("kl_divergence", lambda m, v: kl_of_torch(m, v) * math.nan, "not finite"),
        ("kl_divergence", lambda m, v: kl_of_torch(m, v) + 0.01, "divergence of each sample at [0]: expected"),
        ("rae_loss", lambda *a: loss_by_loops(*a) * 3, "loss: expected"),
        ("rae_loss", lambda x, r, z, w, b, c: loss_by_loops(x, r, z, w[:1], b, c), "loss: expected"),
        ("sample_mixture", lambda *a: sample_by_torch(*a).T, "expected shape (20000, 2); found (2, 20000)"),
        ("sample_mixture", lambda *a: sample_by_torch(*a) * math.inf, "not finite"),
        ("sample_mixture", lambda *a: sample_by_torch(*a) + 0.3, "mean of each component at"),
        ("sample_mixture", softmax_of_weights, "share of each component at"),
    ],
)
def test_other_mistakes_get_a_line_about_what_differs(name: str, answer: Callable[..., Any], message: str) -> None:
    verdict = EXERCISES[name].check(answer)
    assert verdict.points == 0
    assert message in verdict.message


def test_samples_are_judged_with_room_for_chance() -> None:
    """Right answers with other random numbers pass: the tolerances are five standard errors."""
    exercise = EXERCISES["sample_mixture"]
    for seed in range(20):

        def answer(w, m, c, n, given, seed=seed):
            return exercise.solution(w, m, c, n, torch.Generator().manual_seed(1000 + 2 * seed + given.initial_seed()))

        assert exercise.check(answer).points == 1


def test_tasks_name_the_function() -> None:
    assert all(f"Write {name}(" in exercise.task for name, exercise in EXERCISES.items())
