import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.cluster import MiniBatchKMeans

from teachlib.errors import TeachlibError
from teachlib.metrics import prd, prd_from_histograms

weights = arrays(float, st.shared(st.integers(2, 12), key="bins"), elements=st.floats(0, 1)).filter(
    lambda w: w.sum() > 0.1
)
histograms = weights.map(lambda w: w / w.sum())


def blobs(count, centres, seed):
    generator = torch.Generator().manual_seed(seed)
    which = torch.arange(count) % len(centres)
    return torch.tensor(centres, dtype=torch.float32)[which, None] * 100 + torch.randn(count, 3, generator=generator)


def plain_curve(real, generated, angles):
    """Algorithm 1 of Sajjadi et al. (2018), bin by bin."""
    precision, recall = [], []
    for i in range(angles):
        slope = math.tan(1e-10 + i * (math.pi / 2 - 2e-10) / (angles - 1))
        alpha = sum(min(slope * p, q) for p, q in zip(real, generated, strict=True))
        precision.append(min(alpha, 1))
        recall.append(min(alpha / slope, 1))
    return precision, recall


def plain_f(precision, recall, beta):
    return max(
        (1 + beta**2) * p * r / (beta**2 * p + r) if p + r > 0 else 0 for p, r in zip(precision, recall, strict=True)
    )


@settings(max_examples=40)
@given(histograms)
def test_identical_histograms_are_perfect(histogram):
    curve = prd_from_histograms(histogram, histogram, 1001)
    assert curve.f8 == pytest.approx(1, abs=1e-6)
    assert curve.f1_8 == pytest.approx(1, abs=1e-6)


def test_disjoint_histograms_are_worthless():
    curve = prd_from_histograms(np.array([0.3, 0.7, 0]), np.array([0, 0, 1.0]))
    assert curve.f8 == curve.f1_8 == 0
    assert not curve.precision.any()


@settings(max_examples=40)
@given(real=histograms, generated=histograms)
def test_curve_follows_the_paper(real, generated):
    curve = prd_from_histograms(real, generated, 51)
    precision, recall = plain_curve(real, generated, 51)
    np.testing.assert_allclose(curve.precision, precision, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall, rtol=1e-6, atol=1e-12)
    assert curve.f8 == pytest.approx(plain_f(precision, recall, 8), rel=1e-6)
    assert curve.f1_8 == pytest.approx(plain_f(precision, recall, 1 / 8), rel=1e-6)


@settings(max_examples=40)
@given(real=histograms, generated=histograms)
def test_swapping_swaps_precision_and_recall(real, generated):
    there, back = prd_from_histograms(real, generated), prd_from_histograms(generated, real)
    np.testing.assert_allclose(there.precision, back.recall[::-1], rtol=1e-5, atol=1e-9)
    assert there.f8 == pytest.approx(back.f1_8, rel=1e-6)


def test_missing_modes_cost_recall_and_invented_ones_precision():
    # Half of the real modes missing: every sample is real, half of the data is covered. By hand, the curve is
    # precision = min(λ/2, 1), recall = min(1/2, 1/λ); at λ = 2 it is (1, 1/2).
    everything, half = np.full(4, 0.25), np.array([0.5, 0.5, 0, 0])
    missing = prd_from_histograms(everything, half, 100_001)
    assert missing.f1_8 == pytest.approx((1 + 1 / 64) * 0.5 / (1 / 64 + 0.5), abs=1e-4)
    assert missing.f8 == pytest.approx(65 * 0.5 / 64.5, abs=1e-4)
    invented = prd_from_histograms(half, everything)
    assert invented.f1_8 < 0.6 < 0.95 < invented.f8


def test_features_in_separate_clusters_give_the_exact_histograms():
    real, generated = blobs(120, [0, 1, 2, 3], 0), blobs(120, [0, 0, 1, 4], 1)
    curve = prd(real, generated, clusters=5, angles=101, runs=3)
    exact = prd_from_histograms(np.array([0.25, 0.25, 0.25, 0.25, 0]), np.array([0.5, 0.25, 0, 0, 0.25]), 101)
    np.testing.assert_allclose(curve.precision, exact.precision, atol=1e-12)
    np.testing.assert_allclose(curve.recall, exact.recall, atol=1e-12)
    swapped = prd(generated, real, clusters=5, angles=101, runs=3)
    assert (swapped.f8, swapped.f1_8) == pytest.approx((curve.f1_8, curve.f8))
    assert curve.f8 != pytest.approx(curve.f1_8)


def test_equals_the_published_algorithm():
    generator = torch.Generator().manual_seed(0)
    real, generated = torch.randn(200, 8, generator=generator), 0.7 * torch.randn(200, 8, generator=generator)
    precisions, recalls = [], []
    for state in np.random.default_rng(3).integers(2**31, size=4):
        union = np.concatenate([generated.numpy(), real.numpy()]).astype(float)
        labels = MiniBatchKMeans(n_clusters=6, n_init=10, random_state=int(state)).fit(union).labels_
        from_generated = [np.mean(labels[:200] == k) for k in range(6)]
        from_real = [np.mean(labels[200:] == k) for k in range(6)]
        precision, recall = plain_curve(from_real, from_generated, 51)
        precisions.append(precision)
        recalls.append(recall)
    curve = prd(real, generated, clusters=6, angles=51, runs=4, seed=3)
    np.testing.assert_allclose(curve.precision, np.mean(precisions, axis=0), rtol=1e-6)
    np.testing.assert_allclose(curve.recall, np.mean(recalls, axis=0), rtol=1e-6)


def test_same_seed_same_curve():
    generator = torch.Generator().manual_seed(0)
    real, generated = torch.randn(2, 150, 6, generator=generator)
    first, again = (prd(real, generated, runs=2, seed=5) for _ in range(2))
    other = prd(real, generated, runs=2, seed=6)
    assert (first.precision == again.precision).all()
    assert (first.precision != other.precision).any()


def test_says_what_is_wrong():
    x = torch.zeros(30, 2)
    with pytest.raises(TeachlibError, match="as many of both"):
        prd(x, x[:20])
    with pytest.raises(TeachlibError, match="cannot fill 70 clusters"):
        prd(x, x, clusters=70)
    with pytest.raises(TeachlibError, match="features_generated has values that are not finite"):
        prd(x, x + torch.nan)
    with pytest.raises(TeachlibError, match=r"expected \(N, D\)"):
        prd(x[0], x)
    with pytest.raises(TeachlibError, match="runs=0"):
        prd(x, x, runs=0)
    with pytest.raises(TeachlibError, match="clusters=0"):
        prd(x, x, clusters=0)
    good = np.array([0.5, 0.5])
    for angles in (1, 100):
        with pytest.raises(TeachlibError, match="odd number"):
            prd_from_histograms(good, good, angles)
    with pytest.raises(TeachlibError, match="generated is no histogram"):
        prd_from_histograms(good, np.array([5.0, 5.0]))
    with pytest.raises(TeachlibError, match="same bins"):
        prd_from_histograms(good, np.array([1.0]))


def test_the_curve_is_the_same_far_from_the_origin():
    """Features of twenty bits, moved by 2²⁸: nothing is rounded, but products of such numbers would be."""
    real, generated = (
        torch.randn(2, 300, 4, generator=torch.Generator().manual_seed(0)).double() * 2**10
    ).round() / 2**10
    generated[:150] = generated[:150] / 2 + 2
    near, far = prd(real, generated, runs=2), prd(real + 2.0**28, generated + 2.0**28, runs=2)
    np.testing.assert_allclose(far.precision, near.precision)
