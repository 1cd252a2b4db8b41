"""Right answers by another way get full marks; what no named mistake covers gets a line about what differs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from teachlib.gmmvae.exercises import EXERCISES


def odds_of_torch(z: Tensor, a: Tensor, b: Tensor, variance: float) -> Tensor:
    return (Normal(a, variance**0.5).log_prob(z) - Normal(b, variance**0.5).log_prob(z)).sum(1)


def ratio_by_cholesky(z: Tensor, mean: Tensor, covariance: Tensor, threshold: float) -> Tensor:
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), (z - mean).T, upper=False)
    return whitened.square().sum(0) / threshold


def project_by_loops(candidate: Tensor, x: Tensor, epsilon: float) -> Tensor:
    projected = []
    for image, clean in zip(candidate, x, strict=True):
        length = float((image - clean).norm())
        projected.append(clean + (image - clean) * (epsilon / length if length > epsilon else 1))
    return torch.stack(projected).clamp(0, 1)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("log_odds", odds_of_torch), ("latent_ratio", ratio_by_cholesky), ("project_l2", project_by_loops)],
)
def test_another_right_answer_gets_full_marks(name: str, answer: Callable[..., Tensor]) -> None:
    assert str(EXERCISES[name].check(answer)) == f"✓ {name}: correct (1/1)"


@pytest.mark.parametrize(
    ("name", "answer", "message"),
    [
        ("shares", lambda p, a, y: 0.5, "expected three numbers"),
        ("gmm_loss", lambda *a: torch.tensor(1.0), "no gradient reaches the inputs"),
        ("fgsm_step", lambda x, g, e: x.flatten(1), "expected shape (3, 1, 3, 3); found (3, 9)"),
    ],
)
def test_other_mistakes_get_a_line_about_what_differs(name: str, answer: Callable[..., Any], message: str) -> None:
    verdict = EXERCISES[name].check(answer)
    assert verdict.points == 0
    assert message in verdict.message


def test_tasks_name_the_function() -> None:
    assert all(f"Write {name}(" in exercise.task for name, exercise in EXERCISES.items())
