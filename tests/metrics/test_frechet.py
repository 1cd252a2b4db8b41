import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from teachlib.errors import TeachlibError
from teachlib.metrics import frechet, frechet_distance
from teachlib.metrics.frechet import _eigen_factor, _nuclear_norm, _pivoted_cholesky

TOLERANCE = 1e-6

seeds = st.integers(0, 10_000)


def basis(dim, rng):
    return np.linalg.qr(rng.standard_normal((dim, dim)))[0]


def covariance(dim, rng, rank=None):
    samples = rng.standard_normal((rank or 2 * dim, dim))
    return samples.T @ samples / len(samples)


def commuting(mean_a, values_a, mean_b, values_b):
    """Closed form for covariances with the same eigenvectors."""
    return np.sum((mean_a - mean_b) ** 2) + np.sum((np.sqrt(values_a) - np.sqrt(values_b)) ** 2)


def test_one_dimension():
    # (m_a − m_b)² + (s_a − s_b)²
    assert frechet_distance([1.0], [[9.0]], [3.0], [[25.0]]) == pytest.approx(4 + 4)


@settings(max_examples=40)
@given(seed=seeds, dim=st.integers(1, 24))
def test_diagonal_covariances(seed, dim):
    rng = np.random.default_rng(seed)
    (mean_a, mean_b), (a, b) = rng.standard_normal((2, dim)), rng.uniform(0, 5, (2, dim))
    found = frechet_distance(mean_a, np.diag(a), mean_b, np.diag(b))
    assert found == pytest.approx(commuting(mean_a, a, mean_b, b), rel=TOLERANCE)


@settings(max_examples=60)
@given(seed=seeds, dim=st.integers(2, 40), data=st.data())
def test_shared_eigenvectors_of_any_rank(seed, dim, data):
    rank_a, rank_b = data.draw(st.integers(0, dim)), data.draw(st.integers(0, dim))
    rng = np.random.default_rng(seed)
    q, (mean_a, mean_b) = basis(dim, rng), rng.standard_normal((2, dim))
    values = 10 ** rng.uniform(-6, 1, (2, dim))
    values[0, rank_a:], values[1, : dim - rank_b] = 0, 0
    a, b = (q * values[0]) @ q.T, (q * values[1]) @ q.T
    found = frechet_distance(mean_a, a, mean_b, b)
    assert found == pytest.approx(commuting(mean_a, values[0], mean_b, values[1]), rel=TOLERANCE)


@settings(max_examples=25)
@given(seed=seeds, dim=st.integers(2, 16), data=st.data())
def test_low_rank_equals_the_best_coupling(seed, dim, data):
    """Unrelated subspaces: for A = XᵀX, B = YᵀY, d² = min over rotations Q of ‖QX − Y‖² (orthogonal Procrustes)."""
    rank_a, rank_b = data.draw(st.integers(1, dim)), data.draw(st.integers(1, dim))
    rng = np.random.default_rng(seed)
    x, y = np.zeros((2, dim, dim))
    x[:rank_a], y[:rank_b] = rng.standard_normal((rank_a, dim)), rng.standard_normal((rank_b, dim))
    left, _, right = np.linalg.svd(x @ y.T)
    oracle = np.sum(((left @ right).T @ x - y) ** 2)
    zero = np.zeros(dim)
    assert frechet_distance(zero, x.T @ x, zero, y.T @ y) == pytest.approx(oracle, rel=TOLERANCE)


@settings(max_examples=25)
@given(seed=seeds, dim=st.integers(1, 24))
def test_against_the_matrix_square_root(seed, dim):
    rng = np.random.default_rng(seed)
    a, b = covariance(dim, rng), covariance(dim, rng)
    root = sqrtm(a)
    oracle = np.trace(a) + np.trace(b) - 2 * np.trace(sqrtm(root @ b @ root)).real
    zero = np.zeros(dim)
    assert frechet_distance(zero, a, zero, b) == pytest.approx(oracle, rel=TOLERANCE)


def test_agrees_with_torch_fidelity():
    # Here: it imports torchvision, which teachlib must be imported before.
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(48, 48, generator=generator, dtype=torch.float64)
    real = torch.randn(300, 48, generator=generator, dtype=torch.float64) @ mix
    fake = torch.randn(200, 48, generator=generator, dtype=torch.float64).abs() @ mix
    one, two = fid_features_to_statistics(real), fid_features_to_statistics(fake)
    oracle = fid_statistics_to_metric(one, two, verbose=False)[KEY_METRIC_FID]
    assert frechet_distance(one["mu"], one["sigma"], two["mu"], two["sigma"]) == pytest.approx(oracle, rel=TOLERANCE)


@settings(max_examples=25)
@given(seed=seeds, dim=st.integers(2, 16), scale=st.floats(0.1, 10), rank=st.integers(1, 16))
def test_symmetry_rotation_and_scale(seed, dim, scale, rank):
    rng = np.random.default_rng(seed)
    (m, k), a, b = rng.standard_normal((2, dim)), covariance(dim, rng, rank=rank), covariance(dim, rng)
    q = basis(dim, rng)
    distance = frechet_distance(m, a, k, b)
    assert frechet_distance(k, b, m, a) == pytest.approx(distance, rel=TOLERANCE)
    assert frechet_distance(q @ m, q @ a @ q.T, q @ k, q @ b @ q.T) == pytest.approx(distance, rel=TOLERANCE)
    scaled = frechet_distance(scale * m, scale**2 * a, scale * k, scale**2 * b)
    assert scaled == pytest.approx(scale**2 * distance, rel=TOLERANCE)


@settings(max_examples=25)
@given(seed=seeds, dim=st.integers(1, 40), rank=st.integers(1, 60))
def test_zero_between_equals_and_never_below(seed, dim, rank):
    rng = np.random.default_rng(seed)
    mean, cov = rng.standard_normal(dim), covariance(dim, rng, rank=rank)
    assert 0 <= frechet_distance(mean, cov, mean, cov) < 1e-9 * np.trace(cov)


@settings(max_examples=25)
@given(seed=seeds, rank=st.integers(1, 30), scale=st.sampled_from([1e-9, 1.0, 1e9]))
def test_fast_factor_beside_the_plain_one(seed, rank, scale):
    """A wrong fast factor would only be slow: the distance falls back to eigenvectors."""
    cov = scale * covariance(30, np.random.default_rng(seed), rank=rank)
    for factor in (_pivoted_cholesky(cov), _eigen_factor("cov", cov)):
        assert factor.shape == (30, rank)
        np.testing.assert_allclose(factor @ factor.T, cov, atol=1e-12 * np.trace(cov))


@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6)])
def test_the_sum_of_singular_values_is_taken_the_fast_way_where_that_is_safe(shape, monkeypatch):
    rng = np.random.default_rng(0)
    rank = min(shape)
    left, right = (np.linalg.qr(rng.standard_normal((size, rank)))[0] for size in shape)
    values = np.linspace(1, 2, rank)
    for small in ([], [0], [0, 1]):  # by their squares, whose rounding is 1e-16, these would be found as 1e-8
        values[small] = 1e-12
        found = _nuclear_norm((left * values) @ right.T)
        assert found == pytest.approx(values.sum(), rel=1e-12)
    values[:] = np.linspace(1, 2, rank)
    monkeypatch.delattr(np.linalg, "svd")
    assert _nuclear_norm((left * values) @ right.T) == pytest.approx(values.sum(), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_a_covariance_of_low_rank_needs_no_eigenvectors(scale, monkeypatch):
    monkeypatch.delattr(frechet, "_eigen_factor")
    cov = scale * covariance(30, np.random.default_rng(0), rank=7)
    assert 0 <= frechet_distance(np.zeros(30), cov, np.zeros(30), cov) < 1e-9 * np.trace(cov)


def test_a_covariance_of_good_condition_is_factorized_the_fast_way(monkeypatch):
    monkeypatch.delattr(frechet, "_pivoted_cholesky")
    frechet_distance(np.zeros(8), covariance(8, np.random.default_rng(0)), np.zeros(8), 1e-6 * np.eye(8))
    with pytest.raises(NameError):
        frechet_distance(np.zeros(2), np.diag([1, 1e-11]), np.zeros(2), np.eye(2))


def test_tensors_arrays_and_precisions_agree():
    rng = np.random.default_rng(0)
    # Rank 20 of 60, rounded to float32: slightly indefinite, which the Cholesky factorizations do not survive.
    a, b = covariance(60, rng, rank=20), covariance(60, rng, rank=20)
    zero = np.zeros(60)
    exact = frechet_distance(zero, a, zero, b)
    assert frechet_distance(*map(torch.from_numpy, (zero, a, zero, b))) == exact
    rough = frechet_distance(*(torch.from_numpy(x).float() for x in (zero, a, zero, b)))
    assert rough == pytest.approx(exact, rel=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mean_a": np.zeros((1, 3))}, "mean_a has shape"),
        ({"mean_b": np.zeros(4)}, "mean_a has 3 dimensions, mean_b 4"),
        ({"cov_b": np.eye(4)}, "cov_b has shape"),
        ({"cov_a": np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]])}, "cov_a is not symmetric"),
        ({"cov_a": 1e-6 * np.array([[1.0, 0.5, 0], [0, 1, 0], [0, 0, 1]])}, "cov_a is not symmetric"),
        ({"cov_a": 1e-6 * np.diag([1.0, -1.0, 1.0])}, "cov_a is no covariance"),
        ({"cov_a": np.diag([1.0, -1.0, 1.0])}, "cov_a is no covariance"),
        ({"cov_b": np.array([[0, 1.0, 0], [1, 0, 0], [0, 0, 0]])}, "cov_b is no covariance"),
        ({"cov_b": -np.eye(3)}, "cov_b is no covariance"),
        ({"mean_b": np.array([0, np.nan, 0])}, "mean_b has values that are not finite"),
        ({"cov_a": np.full((3, 3), np.inf)}, "cov_a has values that are not finite"),
    ],
)
def test_says_what_is_wrong(changes, message):
    good = {"mean_a": np.zeros(3), "cov_a": np.eye(3), "mean_b": np.zeros(3), "cov_b": np.eye(3)}
    with pytest.raises(TeachlibError, match=message):
        frechet_distance(**(good | changes))


def test_any_real_type_is_taken_and_no_complex_one() -> None:
    mean, cov = torch.tensor([0.0, 1.0]), torch.eye(2)
    assert frechet_distance(mean.bfloat16(), cov.bfloat16(), np.array([0, 1]), cov.double()) == 0
    for complex_mean in (mean + 0j, [0j, 1j], ["0", "1"]):
        with pytest.raises(TeachlibError, match="expected real numbers"):
            frechet_distance(complex_mean, cov, mean, cov)


def test_a_distance_beyond_float64_is_an_error_and_no_infinity() -> None:
    with pytest.raises(TeachlibError, match="exceeds the range of float64"), np.errstate(over="ignore"):
        frechet_distance([1e200], [[1.0]], [-1e200], [[1.0]])
