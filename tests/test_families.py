"""Bits of rounded codes (benchmarks/families.py), against what information theory says of them."""

import itertools
import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import families


def _codes(seed: int, count: int = 4000) -> torch.Tensor:
    return 3 + torch.randn(count, 5, generator=torch.Generator().manual_seed(seed)) * torch.tensor([1, 2, 0.1, 30, 5.0])


def test_fine_steps_take_the_differential_entropy_less_the_step() -> None:
    deviations = _codes(1).std(0)
    for step in (0.001, 0.003):
        near, bits = families.rounded(_codes(0), _codes(1), step)
        width = step * deviations.mean().item()
        entropies = 0.5 * math.log2(2 * math.pi * math.e) + (deviations / width).log2()
        assert bits == pytest.approx(entropies.sum().item(), rel=0.01)
        assert (near - _codes(0)).std(0).tolist() == pytest.approx([width / 12**0.5] * 5, rel=0.05)


def test_the_coder_is_no_better_than_the_entropy_of_what_it_writes() -> None:
    near, bits = families.rounded(_codes(2, 20_000), _codes(3), 1.0)
    entropy = 0.0
    for column in near.T:
        share = column.unique(return_counts=True)[1].double() / len(column)
        entropy -= float((share * share.log2()).sum())
    assert entropy <= bits + 0.02
    assert bits == pytest.approx(entropy, rel=0.02)


def test_coarse_steps_leave_nothing_and_take_nothing() -> None:
    near, bits = families.rounded(_codes(4), _codes(5), 100.0)
    assert bits == pytest.approx(0, abs=1e-6)
    assert torch.allclose(near, _codes(5).mean(0).expand_as(near))


def test_errors_fall_with_bits_and_end_at_the_unrounded_one() -> None:
    train, x = _codes(6), _codes(7, 500)
    row = families.compressed(families.Stand(lambda n, g: x[:n], lambda x: x, lambda z: z.round()), x.round(), train)
    assert row["numbers"] == 5
    at = [row[f"error at {most} bits"] for most in families.BITS]
    assert all(a >= b for a, b in itertools.pairwise(at))
    assert at[0] > 0.5 > at[-1]


def test_components_rebuild_what_lies_in_their_plane() -> None:
    generator = torch.Generator().manual_seed(8)
    ways = torch.randn(3, 64, generator=generator)
    flat = 0.5 + 0.02 * torch.randn(400, 3, generator=generator) @ ways
    pictures = flat.view(400, 1, 8, 8)
    _, used, make = families._components(pictures, 3)
    stand = make()
    assert used == "3 numbers"
    assert torch.allclose(stand.decode(stand.encode(pictures)), pictures, atol=1e-5)
    assert stand.sample(7, generator).shape == (7, 1, 8, 8)
