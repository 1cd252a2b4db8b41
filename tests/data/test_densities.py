"""The plane's known densities: their samples, their log-probability and their entropy belong together."""

import math

import pytest
import torch

from teachlib.data import density
from teachlib.data.densities import DENSITIES


@pytest.mark.parametrize("name", DENSITIES)
def test_samples_follow_log_p_whose_mean_is_the_entropy(name: str) -> None:
    known = density(name)
    x = known.sample(100_000, torch.Generator().manual_seed(0))
    log_p = known.log_prob(x.double())
    assert -log_p.mean().item() == pytest.approx(known.entropy, abs=4.5 * log_p.std().item() / math.sqrt(len(x)))
    points, area = known.grid(300)
    p = known.log_prob(points).exp() * area
    assert p.sum().item() == pytest.approx(1, abs=1e-4)
    assert (x.abs() <= known.extent).all()
    for quantity in (lambda at: at[:, 0], lambda at: at[:, 1], lambda at: (at[:, 0] * at[:, 1]).tanh()):
        deviation = quantity(x).std().item() / math.sqrt(len(x))
        assert quantity(x).mean().item() == pytest.approx((quantity(points) * p).sum().item(), abs=4.5 * deviation)
    assert torch.equal(x, known.sample(100_000, torch.Generator().manual_seed(0)))
