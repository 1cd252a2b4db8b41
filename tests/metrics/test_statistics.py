import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from teachlib.errors import TeachlibError
from teachlib.metrics import (
    FeatureStatistics,
    classifier_features,
    extractor,
    frechet_between,
    frechet_distance,
    statistics_of,
)
from teachlib.metrics.classifier import FeatureClassifier, FeatureObjective, features_of


def features(count, dim=5, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dim, dim, generator=generator, dtype=dtype)
    # Far from the origin, where E[x²] − E[x]² would lose digits.
    return torch.randn(count, dim, generator=generator, dtype=dtype) @ mix + 1000


def assert_matches_numpy(statistics, samples):
    samples = samples.double().numpy()
    assert statistics.count == len(samples)
    np.testing.assert_allclose(statistics.mean, samples.mean(0), rtol=1e-12)
    np.testing.assert_allclose(statistics.covariance, np.cov(samples, rowvar=False), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(statistics.total_variance, samples.var(0, ddof=1).sum(), rtol=1e-9)


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) >= 2))
def test_any_split_equals_numpy(sizes):
    samples = features(sum(sizes))
    streamed, merged = FeatureStatistics(5), FeatureStatistics(5)
    for batch in samples.split(sizes):
        streamed.update(batch)
        merged.merge(statistics_of(batch))
    assert_matches_numpy(streamed, samples)
    assert_matches_numpy(merged, samples)


def test_merge_leaves_the_other_alone():
    samples = features(40)
    one, other = statistics_of(samples[:15]), statistics_of(samples[15:])
    one.merge(other)
    one.update(samples)
    assert_matches_numpy(other, samples[15:])
    empty = FeatureStatistics(5)
    empty.merge(other)
    empty.update(samples[:15])
    assert_matches_numpy(other, samples[15:])


def test_float32_features_are_summed_in_float64():
    samples = features(500, dtype=torch.float32)
    assert_matches_numpy(statistics_of(samples), samples)


def test_frechet_between_is_the_distance_of_the_moments():
    a, b = features(50, seed=1), features(60, seed=2)
    x, y = a.numpy(), b.numpy()
    expected = frechet_distance(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    found = frechet_between(statistics_of(a), statistics_of(b))
    assert found == pytest.approx(expected, rel=1e-8)
    relative = frechet_between(statistics_of(a), statistics_of(b), relative=True)
    assert relative == pytest.approx(expected / y.var(0, ddof=1).sum(), rel=1e-8)  # by the second one's variance


def test_relative_distance_has_no_unit():
    a, b = features(50, seed=1), features(60, seed=2)
    once = frechet_between(statistics_of(a), statistics_of(b), relative=True)
    assert frechet_between(statistics_of(7 * a), statistics_of(7 * b), relative=True) == pytest.approx(once, rel=1e-6)
    assert frechet_between(statistics_of(a), statistics_of(a), relative=True) < 1e-9


def test_says_what_is_wrong():
    statistics = FeatureStatistics(3)
    with pytest.raises(TeachlibError, match=r"shape \(2, 4\); expected \(B, 3\)"):
        statistics.update(torch.zeros(2, 4))
    with pytest.raises(TeachlibError, match="not finite"):
        statistics.update(torch.full((2, 3), torch.nan))
    statistics.update(torch.zeros(1, 3))
    with pytest.raises(TeachlibError, match="two features or more; 1 seen"):
        _ = statistics.covariance
    with pytest.raises(TeachlibError, match="cannot merge features of 4 numbers into 3"):
        statistics.merge(FeatureStatistics(4))
    with pytest.raises(TeachlibError, match=r"expected \(N, D\)"):
        statistics_of(torch.zeros(3))
    constant = statistics_of(torch.ones(4, 3))
    with pytest.raises(TeachlibError, match="all equal"):
        frechet_between(constant, constant, relative=True)


BAD_PIXELS = {
    "0 ... 255": lambda x: 255 * x,
    "-1 ... 1": lambda x: 2 * x - 1,
    "bytes": lambda x: (255 * x).byte(),
    "NaN": lambda x: x * torch.nan,
    "one pixel": lambda x: torch.where(torch.arange(x.numel()).view(x.shape) == 7, 1.5, x),
}


@pytest.mark.parametrize("name", BAD_PIXELS)
def test_features_of_other_pixels_are_refused(name: str) -> None:
    x = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for features in (
        lambda images: classifier_features("glyphs", images),
        lambda images: features_of(FeatureClassifier(size=16), images),
        extractor("untrained", "glyphs").features,
    ):
        with pytest.raises(TeachlibError, match=r"pixels (in|outside) \[0, 1\]"):
            features(BAD_PIXELS[name](x))


def test_features_take_any_precision_and_rounding_and_leave_the_mode_of_the_network() -> None:
    x = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    model = FeatureClassifier()
    expected = features_of(model.eval(), x)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    model.train()
    model.convolutions.eval()
    torch.testing.assert_close(features_of(model, x.double()), expected)
    torch.testing.assert_close(features_of(model, (x + 1e-6)), expected, atol=1e-3, rtol=1e-3)
    assert model.training
    assert not any(layer.training for layer in model.convolutions.modules())
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())


@pytest.mark.parametrize("label", [-100, -1, 10])
def test_a_classifier_is_trained_on_classes_alone(label: int) -> None:
    batch = torch.rand(4, 1, 32, 32), torch.tensor([0, 1, 2, label])
    with pytest.raises(TeachlibError, match=f"class {label}; expected 0 … 9"):
        next(FeatureObjective(FeatureClassifier()).updates(batch, torch.Generator(), 0))


def test_sides_that_cannot_be_halved_three_times_and_images_of_others_are_refused() -> None:
    for size in (0, 7, 20):
        with pytest.raises(TeachlibError, match="multiples of 8"):
            FeatureClassifier(size=size)
    with pytest.raises(TeachlibError, match=r"takes \(N, 1, 32, 32\)"):
        FeatureClassifier()(torch.rand(2, 1, 32, 16))


def test_distances_of_fewer_samples_are_larger_and_repeating_them_does_not_help() -> None:
    draw = torch.Generator().manual_seed(0)
    real = statistics_of(torch.randn(50_000, 8, generator=draw))
    samples = torch.randn(2_000, 8, generator=draw)
    all_of_them = frechet_between(statistics_of(samples), real)
    few = [frechet_between(statistics_of(part), real) for part in samples.split(200)]
    assert min(few) > 3 * all_of_them
    assert sum(few) / len(few) == pytest.approx(10 * all_of_them, rel=0.3)  # as one over their number
    repeated = frechet_between(statistics_of(samples[:200].repeat(5, 1)), real)
    assert repeated == pytest.approx(few[0], rel=0.02)
