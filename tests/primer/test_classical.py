"""Classical estimators against scikit-learn, and each against the axioms of a density."""

import math

import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.neighbors import KernelDensity as SklearnKDE

from teachlib import data
from teachlib.errors import TeachlibError
from teachlib.primer import (
    Histogram,
    KernelDensity,
    VectorQuantizer,
    best_bandwidth,
    classical,
    conditional_log_prob,
)


@pytest.fixture(scope="module")
def points() -> torch.Tensor:
    return data.density("moons").sample(500, torch.Generator().manual_seed(0)).double()


def grid(extent: float = 6.0, side: int = 240) -> tuple[torch.Tensor, float]:
    ticks = (torch.arange(side, dtype=torch.float64) + 0.5) * 2 * extent / side - extent
    return torch.cartesian_prod(ticks, ticks), (2 * extent / side) ** 2


@pytest.mark.parametrize(("kernel", "theirs"), [("gaussian", "gaussian"), ("box", "tophat")])
def test_kernels_agree_with_scikit_learn(points: torch.Tensor, kernel: str, theirs: str) -> None:
    line = points[:, :1]  # on a line, scikit-learn's round top hat is our box
    at = torch.linspace(-3, 3, 301, dtype=torch.float64)[:, None]
    expected = SklearnKDE(bandwidth=0.3, kernel=theirs).fit(line.numpy()).score_samples(at.numpy())
    found = KernelDensity(line, bandwidth=0.3, kernel=kernel).log_prob(at)
    assert torch.allclose(found, torch.from_numpy(expected), atol=1e-9)


def test_gaussian_kernels_in_the_plane_agree_with_scikit_learn(points: torch.Tensor) -> None:
    expected = SklearnKDE(bandwidth=0.2).fit(points.numpy()).score_samples(points.numpy() + 0.1)
    found = KernelDensity(points, bandwidth=0.2).log_prob(points + 0.1)
    assert torch.allclose(found, torch.from_numpy(expected), atol=1e-9)


def test_every_estimate_integrates_to_one(points: torch.Tensor) -> None:
    at, area = grid()
    estimates = (
        Histogram(points, bins=20, low=-6, high=6),
        KernelDensity(points, bandwidth=0.3),
        KernelDensity(points, bandwidth=0.3, kernel="box"),
        VectorQuantizer(points, codes=10),
    )
    for estimate in estimates:
        assert estimate.log_prob(at).exp().sum().item() * area == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("which", ["histogram", "gaussian", "box", "codes"])
def test_samples_follow_the_density(points: torch.Tensor, which: str) -> None:
    estimate = {
        "histogram": lambda: Histogram(points, bins=8, low=-4, high=4),
        "gaussian": lambda: KernelDensity(points, bandwidth=0.4),
        "box": lambda: KernelDensity(points, bandwidth=0.4, kernel="box"),
        "codes": lambda: VectorQuantizer(points, codes=6),
    }[which]()
    drawn = estimate.sample(40_000, torch.Generator().manual_seed(1)).double()
    at, area = grid()
    density = estimate.log_prob(at).exp() * area
    for quantity in (
        lambda x: x[:, 0],
        lambda x: x[:, 1],
        lambda x: x.square().sum(1),
        lambda x: (x[:, 0] > 0).double(),
    ):
        exact = (quantity(at) * density).sum()
        deviation = quantity(drawn).std() / math.sqrt(len(drawn))
        assert (quantity(drawn).mean() - exact).abs() < 4.5 * deviation + 5e-3


def test_draws_are_a_centre_and_a_kernel_around_it(points: torch.Tensor) -> None:
    """By the first two sets of random numbers that the seed gives."""
    box, gaussian = (KernelDensity(points, bandwidth=0.4, kernel=kernel) for kernel in ("box", "gaussian"))
    again = torch.Generator().manual_seed(3)
    centres = points[torch.randint(500, (1_000,), generator=again)]
    state = again.get_state()
    expected = centres + 0.4 * torch.randn(1_000, 2, generator=again)
    torch.testing.assert_close(gaussian.sample(1_000, torch.Generator().manual_seed(3)), expected)
    again.set_state(state)
    expected = centres - 0.4 + 0.8 * torch.rand(1_000, 2, generator=again)
    torch.testing.assert_close(box.sample(1_000, torch.Generator().manual_seed(3)), expected)


def test_histogram_counts(points: torch.Tensor) -> None:
    made = Histogram(torch.tensor([[0.1], [0.2], [0.6], [1.0]]), bins=2, low=0, high=1)
    assert torch.allclose(made.log_prob(torch.tensor([[0.3], [0.9]])).exp(), torch.tensor([1.0, 1.0]))
    assert made.log_prob(torch.tensor([[1.5]])).item() == -math.inf


def test_leave_one_out_leaves_one_out(points: torch.Tensor) -> None:
    found = KernelDensity(points, bandwidth=0.2).leave_one_out()
    for i in (0, 17, 499):
        others = torch.cat([points[:i], points[i + 1 :]])
        assert found[i].item() == pytest.approx(KernelDensity(others, bandwidth=0.2).log_prob(points[i : i + 1]).item())


def test_tables_of_distances_are_cut_without_a_trace(points: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, codes = KernelDensity(points, bandwidth=0.2), VectorQuantizer(points, codes=7)
    whole = kernels.log_prob(points), kernels.leave_one_out(), codes.encode(points)
    for chunk in (1, 1_000):  # less than a row, and two rows of 500 or 142 of 7
        monkeypatch.setattr("teachlib.primer.classical.CHUNK", chunk)
        for found, expected in zip(
            (kernels.log_prob(points), kernels.leave_one_out(), codes.encode(points)), whole, strict=True
        ):
            torch.testing.assert_close(found, expected)


def test_a_histogram_has_as_many_cells_as_torch_draws_from() -> None:
    """torch.multinomial takes 2²⁴ categories, and not one more."""
    with pytest.raises(RuntimeError, match=r"2\^24"):
        torch.multinomial(torch.ones(2**24 + 1), 1)
    with pytest.raises(TeachlibError, match="16777217 bins on each of 1 axes"):
        Histogram(torch.tensor([[0.0], [1.0]]), bins=2**24 + 1)
    assert Histogram(torch.tensor([[0.0], [1.0]]), bins=2**13).counts.sum() == 2


def test_the_best_bandwidth_is_between_spikes_and_fog(points: torch.Tensor) -> None:
    assert 0.05 < best_bandwidth(points, [0.001, 0.05, 0.15, 0.3, 1.0, 5.0]) < 1


def test_conditional_density_integrates_to_one_for_each_condition(points: torch.Tensor) -> None:
    y = torch.linspace(-6, 6, 4000, dtype=torch.float64)[:, None]
    for x in (-1.0, 0.0, 1.5):
        at_x = torch.full_like(y, x)
        log_p = conditional_log_prob(points[:, :1], points[:, 1:], at_x, y, bandwidth=0.3)
        assert log_p.exp().sum().item() * 12 / 4000 == pytest.approx(1, abs=1e-3)


def test_codes_are_a_fixed_point_as_good_as_scikit_learns(points: torch.Tensor) -> None:
    ours = min(VectorQuantizer(points, codes=8, seed=seed).distortion(points) for seed in range(5))
    theirs = KMeans(8, n_init=20, random_state=0).fit(points.numpy()).inertia_ / len(points)
    assert ours <= 1.02 * theirs
    made = VectorQuantizer(points, codes=8)
    started = KMeans(8, init=made.codebook.numpy(), n_init=1).fit(points.numpy())
    assert torch.allclose(made.codebook, torch.from_numpy(started.cluster_centers_), atol=1e-9)
    assert torch.equal(made.encode(points), torch.from_numpy(started.labels_).long())


def test_codes_move_to_the_mean_of_their_samples_however_few() -> None:
    x, codebook = torch.tensor([[1.0], [3.0], [10.0]]), torch.tensor([[0.0], [6.0], [7.0]])
    assert classical._means(x, torch.tensor([0, 0, 2]), codebook).tolist() == [[2.0], [6.0], [10.0]]


def test_codes_start_far_apart() -> None:
    """Eight tight clusters, one of which holds almost all samples: chance alone would start all codes in that one."""
    clusters = 100.0 * torch.arange(8.0)[:, None] * torch.tensor([[1.0, -1.0]])
    x = torch.cat([clusters.repeat(5, 1), torch.zeros(2000, 2)])
    x = x + 0.01 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    for seed in range(5):
        start = VectorQuantizer(x, codes=8, seed=seed, iterations=0).codebook
        assert sorted((start[:, 0] / 100).round().tolist()) == list(range(8))


def test_float32_far_from_the_origin(points: torch.Tensor) -> None:
    far = (points + 4096).float()
    near = VectorQuantizer((far - 4096).double(), codes=8)
    made = VectorQuantizer(far, codes=8)
    assert torch.allclose(made.codebook - 4096, near.codebook.float(), atol=1e-2)
    assert torch.allclose(made.log_prob(far), near.log_prob((far - 4096).double()).float(), atol=0.05)


def test_a_code_for_each_sample_is_still_a_density(points: torch.Tensor) -> None:
    made = VectorQuantizer(points[:20], codes=20)
    assert made.deviation == pytest.approx(1e-3 * points[:20].std(unbiased=False).item())
    assert made.log_prob(points[:20]).isfinite().all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda x: KernelDensity(x, bandwidth=0), "bandwidth is 0; expected more than 0"),
        (lambda x: KernelDensity(x[:0], bandwidth=1), "expected \\(N, d\\)"),
        (lambda x: KernelDensity(x / 0, bandwidth=1), "not finite"),
        (lambda x: Histogram(x, bins=0), "0 bins"),
        (lambda x: Histogram(x, bins=2, low=0, high=1), "widen low and high"),
        (lambda x: Histogram(x, bins=2, high=0), "widen low and high"),
        (lambda x: Histogram(x, bins=2, low=0), "widen low and high"),
        (lambda x: Histogram(torch.zeros(3, 64), bins=17), "17 bins on each of 64 axes"),
        (lambda x: Histogram(x, bins=2, low=9, high=9), "low 9 and high 9 leave no room for cells; choose low < high"),
        (lambda x: Histogram(x, bins=2).log_prob(x[:, :1]), "points of 1 coordinates; this histogram has 2"),
        (lambda x: KernelDensity(x, bandwidth=1, kernel="bax"), "unknown kernel 'bax'; did you mean 'box'"),
        (lambda x: KernelDensity(x[:1], bandwidth=1).leave_one_out(), "one sample; leaving it out leaves none"),
        (lambda x: best_bandwidth(x, [1e-9], kernel="box"), "no bandwidth of .* covers each sample"),
        (lambda x: best_bandwidth(x, []), "no bandwidth of"),
        (lambda x: VectorQuantizer(x, codes=0), "500 samples cannot fill 0 codes"),
        (lambda x: VectorQuantizer(x, codes=501), "500 samples cannot fill 501 codes"),
    ],
)
def test_mistakes_are_explained(points: torch.Tensor, make: object, words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        make(points)  # type: ignore[operator]


def test_a_code_that_does_not_exist_has_no_place() -> None:
    made = VectorQuantizer(torch.randn(30, 2, generator=torch.Generator().manual_seed(0)), codes=4)
    for wrong in (-1, 4):
        with pytest.raises(TeachlibError, match=r"expected 0 … 3"):
            made.decode(torch.tensor([0, wrong]))
