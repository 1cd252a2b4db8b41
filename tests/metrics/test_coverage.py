"""Density and coverage by their definition, and on cases whose answer is known."""

import numpy as np
import pytest
import torch

from teachlib.errors import TeachlibError
from teachlib.metrics import density_coverage, nearest


def plainly(real: np.ndarray, generated: np.ndarray, k: int) -> tuple[float, float]:
    """The definitions, a sample at a time."""
    radii = [np.sort(np.linalg.norm(real - x, axis=1))[k] for x in real]
    within = [[np.linalg.norm(g - x) <= r for x, r in zip(real, radii, strict=True)] for g in generated]
    return float(np.sum(within)) / (k * len(generated)), float(np.any(within, axis=0).mean())


@pytest.mark.parametrize("k", [1, 3])
def test_they_are_their_definitions(k: int) -> None:
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(40, 3)), 0.7 * rng.normal(size=(30, 3))
    found = density_coverage(real, generated, k=k)
    assert (found.density, found.coverage) == pytest.approx(plainly(real, generated, k))


def test_a_perfect_generator_one_mode_and_an_outlier() -> None:
    generator = torch.Generator().manual_seed(0)
    sign = 10.0 * (2 * torch.randint(0, 2, (2, 2000, 1), generator=generator) - 1)
    real, fresh = sign + torch.randn(2, 2000, 4, generator=generator)
    same = density_coverage(real, fresh)
    assert same.density == pytest.approx(1, abs=0.1)
    assert same.coverage > 0.9
    half = density_coverage(real, fresh[fresh[:, 0] > 0])
    assert half.coverage == pytest.approx(0.5, abs=0.06)
    spoiled = density_coverage(real, torch.cat([fresh, torch.full((1, 4), 500.0)]))
    assert spoiled.coverage == same.coverage
    assert density_coverage(real, 1000 + fresh).density == 0


def test_nearest_neighbours_are_found_in_order() -> None:
    candidates = torch.randn(500, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    queries = candidates[[7, 300]] + 1e-3
    place, distance = nearest(queries, candidates, k=3)
    assert place[:, 0].tolist() == [7, 300]
    assert (distance.diff(dim=1) >= 0).all()
    assert distance[0, 1].item() == pytest.approx((queries[0] - candidates[place[0, 1]]).norm().item(), rel=1e-4)


def test_mistakes_are_explained() -> None:
    x = torch.randn(5, 2)
    with pytest.raises(TeachlibError, match=r"features of shapes \(5, 2\) and \(5, 3\)"):
        density_coverage(x, torch.randn(5, 3))
    with pytest.raises(TeachlibError, match="k=5 neighbours of 5 real samples; expected 1 to 4"):
        density_coverage(x, x)
    with pytest.raises(TeachlibError, match="k=0 neighbours of 5 real samples; expected 1 to 4"):
        density_coverage(x, x, k=0)
    with pytest.raises(TeachlibError, match="k=0; expected one shape"):
        nearest(x, x, k=0)
    with pytest.raises(TeachlibError, match="values that are not finite"):
        density_coverage(x / 0, x, k=1)
    with pytest.raises(TeachlibError, match="expected one shape, and k from 1"):
        nearest(x, torch.randn(5, 3))


def test_a_copy_is_nearest_at_distance_zero_also_far_from_the_origin() -> None:
    x = 1e4 + torch.rand(60, 200, generator=torch.Generator().manual_seed(0))
    almost = x.clone()
    almost[:, 7] += 0.01
    places, distances = nearest(x, torch.cat([almost, x]))
    assert torch.equal(places[:, 0], 60 + torch.arange(60))
    assert (distances == 0).all()


@pytest.mark.parametrize("k", [1, 5])
def test_a_set_covers_itself_whatever_it_repeats(k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    fresh = torch.randn(40, 4, generator=generator)
    for real in (torch.ones(64, 3), torch.eye(4).repeat(20, 1), torch.cat([fresh, fresh[:5].repeat(9, 1)])):
        found = density_coverage(real, real, k=k)
        assert found.coverage == 1
        assert found.density >= 1  # each of its own neighbourhood and k others'
        assert density_coverage(real, real + 9, k=k).coverage == 0
    half = density_coverage(torch.eye(4).repeat(20, 1), torch.eye(4)[:2])
    assert (half.density, half.coverage) == (20 / 5, 0.5)  # by hand: in the twenty balls of radius zero at its place


@pytest.mark.parametrize(("factor", "offset"), [(1.0, 2.0**27), (2.0**-900, 0.0), (2.0**900, 0.0), (2.0**-20, 1.0)])
def test_they_are_the_same_wherever_the_features_lie_and_at_any_size(factor: float, offset: float) -> None:
    """Numbers of twenty bits, so that nothing is rounded on the way."""
    generator = torch.Generator().manual_seed(0)
    real, generated = ((torch.randn(2, 60, 20, generator=generator).double() * 2**16).round()) / 2**16
    assert density_coverage(offset + factor * real, offset + factor * generated) == density_coverage(real, generated)
    both, mirrored = torch.cat([real, -real]), torch.cat([generated, -generated])  # around the origin
    assert density_coverage(offset + factor * both, offset + factor * mirrored) == density_coverage(both, mirrored)


def test_neighbours_keep_the_digits_of_double_precision_and_must_be_numbers() -> None:
    x = 1 + 1e-12 * torch.arange(5, dtype=torch.double)[:, None]
    places, distances = nearest(x[1:2], x, k=3)
    assert places[0, 0] == 1
    torch.testing.assert_close(distances[0], torch.tensor([0, 1e-12, 1e-12], dtype=torch.double), rtol=1e-3, atol=0)
    for queries, candidates in ((x * torch.nan, x), (x, x / 0)):
        with pytest.raises(TeachlibError, match="not finite"):
            nearest(queries, candidates)
