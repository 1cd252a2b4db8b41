"""Annealed importance sampling: exact on Gaussians, two bounds in their order, and wrong samples give no bound."""

import math

import pytest
import torch

from teachlib.energy import Anneal, log_likelihood
from teachlib.energy.constant import _log_mean_exp
from teachlib.errors import TeachlibError

MEAN, DEVIATION = torch.tensor([0.7, -0.4]), torch.tensor([0.5, 1.5])
EXACT = 2.5 + math.log(2 * math.pi) + DEVIATION.log().sum().item()


def energy(x):
    return 0.5 * ((x - MEAN) / DEVIATION).square().sum(1) - 2.5


def _bounds(temperatures, samples, seed=0, step_size=0.2):
    anneal = Anneal(energy, torch.zeros(2), 1.0, temperatures=temperatures, step_size=step_size)
    return anneal.bounds(samples, len(samples), torch.Generator().manual_seed(seed))


def _exact_samples(count, seed=1):
    return MEAN + DEVIATION * torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))


def test_both_bounds_meet_at_a_gaussian_s_constant() -> None:
    found = _bounds(300, _exact_samples(2000))
    assert found.lower == pytest.approx(EXACT, abs=0.05)
    assert found.upper == pytest.approx(EXACT, abs=0.05)
    assert abs(found.lower - EXACT) < 5 * found.lower_error + 0.01
    assert abs(found.gap) < 0.06


def test_few_temperatures_and_chains_leave_a_gap_that_has_the_truth_in_it() -> None:
    gaps = []
    for seed in range(200):
        found = _bounds(3, _exact_samples(1, seed), seed)
        gaps.append((found.lower, found.upper))
    lower, upper = torch.tensor(gaps).mean(0).tolist()
    assert lower < EXACT < upper
    assert upper - lower > 0.1


def test_the_start_s_own_constant_is_exact_whatever_the_temperatures() -> None:
    anneal = Anneal(lambda x: 0.5 * x.square().sum(1) + 4, torch.zeros(3), 1.0, temperatures=1, step_size=0.1)
    _, log_weights = anneal.forward(50, torch.Generator().manual_seed(0))
    assert torch.allclose(log_weights, torch.full((50,), 1.5 * math.log(2 * math.pi) - 4), atol=1e-5)
    assert anneal.betas() == [0.0, 1.0]


def test_samples_of_something_else_give_no_upper_bound() -> None:
    found = _bounds(1, torch.tensor([[3.0, 0.0]]).expand(500, 2))
    assert found.upper < EXACT - 1


def test_what_is_known_of_a_likelihood() -> None:
    x = _exact_samples(4000)
    low, high = log_likelihood(energy, x, _bounds(300, _exact_samples(500)))
    entropy = 1 + math.log(2 * math.pi) + DEVIATION.log().sum().item()
    assert (low, high) == (pytest.approx(-entropy, abs=0.1), pytest.approx(-entropy, abs=0.1))
    with pytest.raises(TeachlibError):
        _bounds(3, torch.zeros(5, 1))
    with pytest.raises(TeachlibError):
        Anneal(energy, torch.zeros(2), 1.0, temperatures=0, step_size=0.1)


def test_the_error_of_a_logarithm_is_relative() -> None:
    """Of weights 1 and 3 the mean is 2 ± 1: the logarithm's error is a half, however large both are."""
    value, error = _log_mean_exp(torch.tensor([0.0, math.log(3)]) + 7)
    assert value == pytest.approx(7 + math.log(2))
    assert error == pytest.approx(0.5)


def test_a_chain_is_weighed_before_it_moves() -> None:
    def energy(x: torch.Tensor) -> torch.Tensor:
        return 0.5 * ((x - 1) / 0.3).square().sum(1)

    anneal = Anneal(energy, torch.zeros(2), 1.0, temperatures=1, step_size=0.2)
    _, log_weights = anneal.forward(50, torch.Generator().manual_seed(3))
    start = torch.randn(50, 2, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(log_weights, anneal.start_energy(start) - energy(start))


@pytest.mark.parametrize("deviation", [0.0, -1.0])
def test_a_gaussian_without_width_is_refused(deviation: float) -> None:
    with pytest.raises(TeachlibError, match=r"deviation is .*; expected more than 0"):
        Anneal(lambda x: x.sum(1), torch.zeros(2), deviation, temperatures=1, step_size=0.2)
