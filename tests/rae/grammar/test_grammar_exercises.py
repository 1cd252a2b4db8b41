"""Right answers by another way get full marks."""

import math

import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from teachlib.rae.grammar.exercises import EXERCISES


def _nats_by_loops(logits, tokens, mask):
    return torch.tensor(
        [
            sum(
                math.log(sum(math.exp(v) for v, open_ in zip(step, row, strict=True) if open_)) - float(step[token])
                for step, token, row in zip(one, sequence, masked, strict=True)
            )
            for one, sequence, masked in zip(logits, tokens, mask, strict=True)
        ]
    )


def _share_by_drawing(mean, log_variance, noise):
    epsilon = noise * torch.randn(20_000, *mean.shape, generator=torch.Generator().manual_seed(0))
    z = mean + (0.5 * log_variance).exp() * epsilon
    return 1 - mean.var(0, correction=0) / z.flatten(0, 1).var(0)


def _improvement_by_quadrature(mean, deviation, best):
    def one(m, s):
        return quad(lambda f: (best - f) * norm.pdf(f, m, s), m - 12 * s, best)[0] if m - 12 * s < best else 0.0

    return torch.tensor([one(float(m), float(s)) for m, s in zip(mean, deviation, strict=True)])


OTHERS = {
    "masked_nats": _nats_by_loops,
    "expected_improvement": _improvement_by_quadrature,
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_way_is_right(name: str) -> None:
    assert EXERCISES[name].check(OTHERS[name]).points == 1


def test_the_share_of_noise_is_what_draws_show() -> None:
    mean, log_variance = torch.randn(50, 3), torch.randn(50, 3) - 1
    solution = EXERCISES["noise_share"].solution
    torch.testing.assert_close(
        solution(mean, log_variance, 0.7), _share_by_drawing(mean, log_variance, 0.7), atol=5e-3, rtol=0
    )
