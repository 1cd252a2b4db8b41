"""Bayesian optimization over a latent space: a Gaussian process says where to look next."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import scipy
from scipy.linalg import solve_triangular

from teachlib.errors import TeachlibError, require_at_least

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor


@dataclass(frozen=True)
class Field:
    """What a surrogate believes of a function at some places.

    Attributes:
        mean: (M,).
        variance: of the function's value, (M,).
        covariance: of all places with the one of this number, (M,).
        noise: variance of an observation around the function's value.
    """

    mean: np.ndarray
    variance: np.ndarray
    covariance: Callable[[int], np.ndarray]
    noise: float


class Surrogate(Protocol):
    """A distribution over functions, given some of their values."""

    def field(self, z: np.ndarray) -> Field:
        """What it believes at codes (M, d)."""
        ...


@dataclass
class ExactProcess:
    """scikit-learn's Gaussian process: exact, and so for a few hundred points; a smooth kernel with one length.

    Args:
        z: codes (N, d).
        y: scores (N,).
    """

    z: np.ndarray
    y: np.ndarray
    _process: "GaussianProcessRegressor" = field(init=False)

    def __post_init__(self) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

        distance = float(np.median(np.linalg.norm(self.z - self.z.mean(0), axis=1))) + 1e-9
        kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(distance, (distance / 30, distance * 30))
        self._process = GaussianProcessRegressor(kernel + WhiteKernel(0.1, (1e-6, 10.0)), normalize_y=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound says: nothing to learn here
            self._process.fit(self.z, self.y)

    def field(self, z: np.ndarray) -> Field:
        """What it believes at codes (M, d)."""
        process, scale = self._process, float(self._process._y_train_std)
        smooth = process.kernel_.k1  # without the noise
        explained = solve_triangular(process.L_, smooth(process.X_train_, z), lower=True)

        def covariance(place: int) -> np.ndarray:
            return (smooth(z, z[place : place + 1])[:, 0] - explained.T @ explained[:, place]) * scale**2

        variance = np.maximum(smooth.diag(z) - np.square(explained).sum(0), 1e-12) * scale**2
        return Field(process.predict(z), variance, covariance, float(process.kernel_.k2.noise_level) * scale**2)


def expected_improvement(mean: np.ndarray, deviation: np.ndarray, best: float) -> np.ndarray:
    """E max(best − f, 0) for f ~ N(mean, deviation²): how much lower than the best a value is expected to be."""
    gain = (best - mean) / deviation
    return deviation * (gain * scipy.stats.norm.cdf(gain) + scipy.stats.norm.pdf(gain))


def propose(surrogate: Surrogate, candidates: np.ndarray, best: float, count: int) -> np.ndarray:
    """A batch by greedy expected improvement: each pick is believed to come out at its mean, and makes its
    neighbourhood certain before the next is picked.

    A value at the mean moves no mean; so only deviations are updated, one rank a pick.

    Args:
        surrogate: of the scores so far.
        candidates: codes to choose from, (M, d).
        best: the lowest score so far.
        count: picks.

    Returns:
        Codes (count, d).

    Raises:
        TeachlibError: fewer candidates than picks.
    """
    if count > len(candidates):
        raise TeachlibError(f"{count} picks from {len(candidates)} candidates; give more candidates")
    field = surrogate.field(candidates)
    variance = field.variance
    picks: list[int] = []
    moves = np.empty((0, len(candidates)))  # how each earlier pick reduced the covariance: Σ ← Σ − mᵀm
    for _ in range(count):
        improvement = expected_improvement(field.mean, np.sqrt(np.maximum(variance, 1e-12)), best)
        improvement[picks] = -np.inf
        chosen = int(improvement.argmax())
        picks.append(chosen)
        covariance = field.covariance(chosen) - moves.T @ moves[:, chosen]
        move = covariance / np.sqrt(max(covariance[chosen], 1e-12) + field.noise)
        moves, variance = np.vstack([moves, move]), variance - np.square(move)
    return candidates[picks]


@dataclass(frozen=True)
class Found:
    """What a search wrote, in order.

    Attributes:
        strings: of every pick; ``None`` where nothing came out.
        scores: of every pick, lower is better.
        rounds: which round each pick belongs to.
    """

    strings: list[str | None]
    scores: np.ndarray
    rounds: np.ndarray

    @property
    def valid(self) -> float:
        """The share of picks that became a string with a score."""
        return float(np.mean([text is not None for text in self.strings]))

    def best(self, count: int = 3) -> list[tuple[str, float]]:
        """The best different strings and their scores."""
        scored = {text: float(score) for text, score in zip(self.strings, self.scores, strict=True) if text is not None}
        return sorted(scored.items(), key=lambda pair: pair[1])[:count]


def search(
    decode: Callable[[np.ndarray], Sequence[str | None]],
    score: Callable[[str | None], float],
    codes: np.ndarray,
    scores: np.ndarray,
    *,
    rounds: int = 5,
    batch: int = 50,
    candidates: Callable[[int, np.random.Generator], np.ndarray] | None = None,
    surrogate: Callable[[np.ndarray, np.ndarray], Surrogate] | None = None,
    pool: int = 10_000,
    seed: int = 0,
) -> Found:
    """Look for codes whose strings score low (thesis §3.8.2; Kusner et al., 2017).

    Args:
        decode: codes (N, d) → strings; ``None`` for one that is not valid.
        score: of a string, lower is better; of ``None``, the worst.
        codes: of strings whose scores are known, (N, d); an exact process wants at most about a thousand.
        scores: theirs, (N,).
        rounds: fits of the surrogate.
        batch: picks a round.
        candidates: draws so many codes to pick from; ``None``: uniform in the smallest box around all codes so far,
            as in the published code.
        surrogate: made anew from all codes and scores each round; by default :class:`ExactProcess`.
        pool: candidates a round.
        seed: of the candidates.

    Returns:
        All picks.

    Raises:
        TeachlibError: codes or scores that are not finite, or not as many of one as of the other; no rounds or picks.
    """
    require_at_least(1, rounds=rounds, batch=batch)
    rng = np.random.default_rng(seed)
    codes, scores = np.asarray(codes, dtype=float), np.asarray(scores, dtype=float)
    if codes.ndim != 2 or scores.shape != codes.shape[:1] or not len(codes):
        raise TeachlibError(f"codes of shape {codes.shape}, scores of {scores.shape}; expected (N, d) and (N,)")
    if not (np.isfinite(codes).all() and np.isfinite(scores).all()):
        raise TeachlibError("codes or scores that are not finite; a search cannot start from them")
    strings: list[str | None] = []
    start = len(codes)
    for _ in range(rounds):
        if candidates is None:
            offered = rng.uniform(codes.min(0), codes.max(0), (pool, codes.shape[1]))
        else:
            offered = candidates(pool, rng)
        picked = propose((surrogate or ExactProcess)(codes, scores), offered, float(scores.min()), batch)
        written = list(decode(picked))
        strings += written
        codes = np.vstack([codes, picked])
        scores = np.concatenate([scores, [score(text) for text in written]])
    return Found(strings, scores[start:], np.repeat(np.arange(rounds), batch))
