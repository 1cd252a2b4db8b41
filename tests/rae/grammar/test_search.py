"""Bayesian optimization against closed forms, quadrature, and a problem whose answer is known."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from teachlib.errors import TeachlibError
from teachlib.rae.grammar.search import ExactProcess, Field, expected_improvement, propose, search
from teachlib.rae.grammar.sparse import SparseProcess


@pytest.mark.parametrize(("mean", "deviation", "best"), [(0.3, 0.5, 0.0), (-1.0, 0.2, -0.9), (2.0, 1.0, 1.5)])
def test_expected_improvement_by_quadrature(mean: float, deviation: float, best: float) -> None:
    exact, _ = quad(lambda f: (best - f) * norm.pdf(f, mean, deviation), mean - 12 * deviation, best)
    found = expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(exact, rel=1e-6)


def _data(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(count, 2))
    return z, np.square(z - 0.5).sum(1) + 0.05 * rng.normal(size=count)


def test_a_length_is_looked_for_thirtyfold_up_and_down() -> None:
    """From the typical distance of codes; what is straight has the longest."""
    z = np.linspace(-1, 1, 80)[:, None]
    process, distance = ExactProcess(z, z[:, 0])._process, float(np.median(np.abs(z)))
    assert process.kernel_.k1.k2.length_scale == pytest.approx(30 * distance, rel=1e-3)
    shortest, longest = process.kernel.k1.k2.length_scale_bounds
    assert shortest * longest == pytest.approx(distance**2)


def test_process_agrees_with_scikit_learns_own_prediction() -> None:
    z, y = _data()
    process, new = ExactProcess(z, y), np.random.default_rng(1).normal(size=(7, 2))
    field = process.field(new)
    expected_mean, expected = process._process.predict(new, return_cov=True)
    np.testing.assert_allclose(field.mean, expected_mean, rtol=1e-9)
    covariance = np.stack([field.covariance(place) for place in range(7)])
    np.testing.assert_allclose(covariance + field.noise * np.eye(7), expected, atol=1e-8)  # theirs: of observations
    np.testing.assert_allclose(field.variance, np.diag(covariance), rtol=1e-6)


def _waves(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    z = rng.uniform(-1, 1, (count, 1))
    return z, np.sin(15 * z[:, 0]) + 0.01 * rng.normal(size=count)


def _noise(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    z = rng.uniform(-1, 1, (count, 1))
    return z, z[:, 0] + 3 * rng.normal(size=count)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("draw", [_waves, _noise])
def test_a_kernel_is_the_likeliest_one(draw: Callable[[int], tuple[np.ndarray, np.ndarray]]) -> None:
    """Short waves with hardly any noise, a line in much: against wider borders, and from several starts."""
    z, y = draw(60)
    wide = ConstantKernel(1.0, (1e-5, 1e5)) * RBF(0.3, (1e-4, 1e4)) + WhiteKernel(0.01, (1e-7, 10.0))
    best = GaussianProcessRegressor(wide, normalize_y=True, n_restarts_optimizer=4, random_state=0).fit(z, y)
    found = ExactProcess(z, y)._process.log_marginal_likelihood_value_
    assert found == pytest.approx(best.log_marginal_likelihood_value_, abs=0.2)


@pytest.mark.parametrize(("size", "offset"), [(1e-3, 0.0), (1e3, 0.0), (1.0, 100.0)])
def test_beliefs_are_the_same_wherever_and_however_large_codes_are(size: float, offset: float) -> None:
    (z, y), new = _data(), np.random.default_rng(1).normal(size=(7, 2))
    plain, moved = ExactProcess(z, y).field(new), ExactProcess(size * z + offset, y).field(size * new + offset)
    np.testing.assert_allclose(moved.mean, plain.mean, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(np.sqrt(moved.variance), np.sqrt(plain.variance), rtol=5e-2)


def test_codes_that_are_all_equal_teach_their_mean() -> None:
    field = ExactProcess(np.ones((9, 2)), np.arange(9.0)).field(np.ones((1, 2)))
    assert field.mean[0] == pytest.approx(4, abs=0.1)
    assert field.variance[0] > 0


@dataclass
class Flat:
    """Means of zero, and a covariance that is known."""

    cov: np.ndarray
    noise: float

    def field(self, z: np.ndarray) -> Field:
        return Field(np.zeros(len(z)), self.cov.diagonal(), lambda place: self.cov[place], self.noise)


@pytest.mark.parametrize("noise", [0.02, 0.3])
@pytest.mark.parametrize("size", [0.1, 3.0])
def test_with_equal_means_the_widest_is_picked_given_the_picks_before(noise: float, size: float) -> None:
    """Var(f | picks) = Σ − Σₚ(Σₚₚ + σ²I)⁻¹Σₚᵀ, by a solver of linear equations."""
    candidates = np.random.default_rng(0).normal(size=(40, 3))
    a = np.random.default_rng(1).normal(size=(40, 12)) * np.linspace(0.5, 1.5, 40)[:, None]
    cov = size * a @ a.T / 12
    expected: list[int] = []
    for _ in range(15):
        seen = cov[expected]
        inner = cov[np.ix_(expected, expected)] + noise * size * np.eye(len(expected))
        left = cov.diagonal() - (seen * np.linalg.solve(inner, seen)).sum(0)
        left[expected] = -np.inf
        expected.append(int(left.argmax()))
    picks = propose(Flat(cov, noise * size), candidates, 0.0, 15)
    np.testing.assert_array_equal(picks, candidates[expected])


def test_a_believed_pick_changes_deviations_as_a_new_fit_does() -> None:
    """The rank-one updates, against processes refitted with the picks at their means and the same kernel."""
    z, y = _data()
    process, candidates = ExactProcess(z, y), np.random.default_rng(2).normal(size=(200, 2))
    picks = propose(process, candidates, y.min(), 6)
    believed_z, believed_y = z, y
    for pick in picks:
        with_it = ExactProcess(believed_z, believed_y)
        refit = with_it._process
        # The first process's kernel and scaling, fitted to nothing new.
        refit.set_params(kernel=process._process.kernel_, optimizer=None, normalize_y=False)
        centred = (believed_y - y.mean()) / y.std()
        refit.fit(believed_z, centred)
        mean, total = refit.predict(candidates, return_std=True)
        spread = np.sqrt(total**2 - process._process.kernel_.k2.noise_level)
        improvement = expected_improvement(mean * y.std() + y.mean(), spread * y.std(), y.min())
        taken = [int(np.flatnonzero((candidates == p).all(1))[0]) for p in believed_z[len(z) :]]
        improvement[taken] = -np.inf
        assert (candidates[improvement.argmax()] == pick).all()
        believed_z = np.vstack([believed_z, pick])
        believed_y = np.append(believed_y, mean[improvement.argmax()] * y.std() + y.mean())


def test_search_finds_the_bottom_of_a_bowl() -> None:
    z, y = _data(20)
    found = search(
        lambda codes: [f"{a:.3f} {b:.3f}" for a, b in codes],
        lambda text: float(np.square(np.array(text.split(), float) - 0.5).sum()),
        z,
        y,
        rounds=3,
        batch=5,
        pool=1000,
    )
    assert found.scores.min() < 0.02
    assert found.scores.min() < y.min()
    assert (len(found.strings), found.valid, found.rounds.tolist()) == (15, 1.0, [0] * 5 + [1] * 5 + [2] * 5)
    scores = [score for _, score in found.best(3)]
    assert scores == sorted(scores)
    assert scores[0] == pytest.approx(found.scores.min())


def test_a_sparse_process_believes_nearly_what_the_exact_one_does() -> None:
    pytest.importorskip("botorch", reason="the optional extra 'search' is not installed")
    z, y = _data(200)
    new = np.random.default_rng(3).normal(size=(100, 2))
    sparse, exact = SparseProcess(z, y, inducing=50, steps=200).field(new), ExactProcess(z, y).field(new)
    assert np.corrcoef(sparse.mean, exact.mean)[0, 1] > 0.97
    assert sparse.covariance(3)[3] == pytest.approx(sparse.variance[3], rel=1e-4)


def test_without_botorch_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botorch", None)
    with pytest.raises(TeachlibError, match=r"pip install 'teachlib\[search\]'"):
        SparseProcess(*_data(5))


def test_candidates_may_come_from_a_density_and_failures_count() -> None:
    z, y = _data(20)
    offered = np.random.default_rng(5).normal(size=(50, 2))
    found = search(
        lambda codes: [None if a > 0 else str(a) for a, _ in codes],
        lambda text: 10.0 if text is None else 0.0,
        z,
        y,
        rounds=1,
        batch=50,
        candidates=lambda count, rng: offered,
    )
    assert found.valid == pytest.approx((offered[:, 0] <= 0).mean())
    assert found.scores.max() == 10.0
    assert math.isfinite(found.scores.sum())
    with pytest.raises(TeachlibError, match="51 picks from 50 candidates"):
        search(lambda c: [], lambda t: 0.0, z, y, batch=51, candidates=lambda count, rng: offered)


@pytest.mark.parametrize(
    ("codes", "scores", "words"),
    [
        (np.zeros(5), np.zeros(5), r"codes of shape \(5,\), scores of \(5,\)"),
        (np.zeros((5, 2)), np.zeros(4), r"codes of shape \(5, 2\), scores of \(4,\)"),
        (np.zeros((0, 2)), np.zeros(0), r"codes of shape \(0, 2\), scores of \(0,\)"),
        (np.full((5, 2), np.nan), np.zeros(5), "not finite"),
        (np.zeros((5, 2)), np.full(5, np.inf), "not finite"),
    ],
)
def test_a_search_says_what_it_cannot_start_from(codes: np.ndarray, scores: np.ndarray, words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        search(lambda z: ["x"], lambda text: 0.0, codes, scores, rounds=1, batch=1)


def test_a_search_without_rounds_or_picks_is_refused() -> None:
    for name, options in (("rounds", {"rounds": 0}), ("batch", {"batch": 0})):
        with pytest.raises(TeachlibError, match=f"{name} is 0; expected at least 1"):
            search(lambda z: [], lambda text: 0.0, *_data(5), **options)
