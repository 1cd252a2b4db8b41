"""Ex-post densities and interpolations."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from teachlib import rae
from teachlib.errors import TeachlibError
from teachlib.metrics import frechet_between, statistics_of
from teachlib.rae.density import MixtureDensity, fit_flow
from teachlib.rae.second_stage import fit_second_stage


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    g = torch.Generator().manual_seed(0)
    centres = torch.tensor([[4.0, 0.0], [-4.0, 1.0], [0.0, -5.0]])
    spread = torch.tensor([[1.0, 0.8], [0.0, 0.5]])
    return centres[torch.randint(3, (3000,), generator=g)] + torch.randn(3000, 2, generator=g) @ spread


def test_one_gaussian_is_the_maximum_likelihood_fit(codes) -> None:
    fitted = rae.fit_gaussian(codes)
    torch.testing.assert_close(fitted.means[0].numpy(), codes.double().mean(0).numpy())
    expected = np.cov(codes.double().numpy().T, bias=True)
    np.testing.assert_allclose(fitted.covariances[0].numpy(), expected, rtol=2e-6)  # a millionth is added


def test_log_prob_is_scikit_learns(codes) -> None:
    fitted = rae.fit_mixture(codes, components=3, seed=1)
    z = codes.double().numpy()
    theirs = GaussianMixture(3, random_state=1, reg_covar=1e-6 * z.var(0).min()).fit(z).score_samples(z)
    torch.testing.assert_close(fitted.log_prob(codes).numpy(), theirs, rtol=1e-8, atol=1e-8)


def test_density_integrates_to_one(codes) -> None:
    fitted = rae.fit_mixture(codes, components=3)
    axis = torch.linspace(-15, 15, 601)
    grid = torch.cartesian_prod(axis, axis)
    assert (fitted.log_prob(grid).exp().sum() * 0.05**2).item() == pytest.approx(1, abs=1e-4)


def test_samples_follow_the_density_in_random_order(codes) -> None:
    fitted = rae.fit_mixture(codes, components=3)
    drawn = fitted.sample(50_000, torch.Generator().manual_seed(0)).double()
    # Standard errors of the mean are below 0.02, of the covariance below 0.1; four of them.
    mean = (fitted.weights[:, None] * fitted.means).sum(0)
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.08)
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(codes.double().T), rtol=0, atol=0.4)
    torch.testing.assert_close(drawn[:25_000].mean(0), drawn[25_000:].mean(0), rtol=0, atol=0.15)  # not by component
    assert torch.equal(
        fitted.sample(5, torch.Generator().manual_seed(1)), fitted.sample(5, torch.Generator().manual_seed(1))
    )


def test_a_mixture_fits_clusters_better_than_one_gaussian(codes) -> None:
    held_out = codes[2000:]
    scores = {k: rae.fit_mixture(codes[:2000], components=k).log_prob(held_out).mean().item() for k in (1, 3)}
    assert scores[3] > scores[1] + 0.5


def test_narrow_codes_stay_positive_definite() -> None:
    """Directions a millionth as wide as others: float32 would lose the Cholesky factor."""
    narrow = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 1e-2, 1e-4, 1e-6])
    assert rae.fit_mixture(narrow, components=10).sample(100, torch.Generator().manual_seed(0)).isfinite().all()


def test_bad_codes_are_refused(codes) -> None:
    with pytest.raises(TeachlibError, match="5 codes of 2 dimensions; expected at least 10"):
        rae.fit_mixture(codes[:5])
    for wrong in ({"components": 0}, {"iterations": 0}):
        with pytest.raises(TeachlibError, match=f"{next(iter(wrong))} is 0; expected at least 1"):
            rae.fit_mixture(codes, **wrong)
    with pytest.raises(TeachlibError, match="all codes agree in dimension 1"):
        rae.fit_flow(codes * torch.tensor([1.0, 0.0]))
    with pytest.raises(TeachlibError, match="all codes are equal"):
        rae.fit_kernels(torch.ones(20, 2))


@pytest.mark.parametrize("estimator", rae.ESTIMATORS)
def test_every_estimator_refuses_the_same_codes_and_takes_the_same(estimator: str, codes) -> None:
    for bad, reason in (
        (torch.full((20, 2), float("nan")), "not finite"),
        (codes[:, 0], "expected \\(N, d\\)"),
        (codes[:, :0], "expected \\(N, d\\)"),
        (codes.long(), "expected floating-point numbers"),
        (codes[:2], "expected at least"),
    ):
        with pytest.raises(TeachlibError, match=reason):
            rae.fit_density(estimator, bad)
    if estimator in ("flow", "second-stage"):
        return  # trained, at ci scale, in tests of their own
    for good in (codes.half(), codes.double(), (codes * torch.ones(1, requires_grad=True))):
        sample = rae.fit_density(estimator, good[:500]).sample(3, torch.Generator().manual_seed(0))
        assert sample.shape == (3, 2)
        assert not sample.requires_grad


def test_trained_estimators_take_double_precision_and_codes_that_carry_a_graph(codes) -> None:
    carried = codes[:100].double() * torch.ones(1, dtype=torch.double, requires_grad=True)
    generator = torch.Generator().manual_seed(0)
    for density in (rae.fit_flow(carried, scale="ci", steps=1), rae.fit_second_stage(carried, scale="ci", steps=1)):
        assert density.sample(3, generator).shape == (3, 2)


def test_the_gradient_of_a_path_between_equal_codes_is_finite() -> None:
    a = torch.ones(2, 4, requires_grad=True)
    rae.spherical(a, a.detach(), torch.tensor([0.5])).sum().backward()
    torch.testing.assert_close(a.grad, torch.full((2, 4), 0.5))


@pytest.mark.parametrize("way", [rae.linear, rae.rescaled, rae.spherical])
@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_ways_are_the_same_at_any_size_of_the_codes(way, scale: float) -> None:
    generator, t = torch.Generator().manual_seed(0), torch.linspace(0, 1, 5)
    a, b = (torch.randn(6, 4, generator=generator) for _ in range(2))
    torch.testing.assert_close(way(scale * a, scale * b, t) / scale, way(a, b, t), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("way", [rae.linear, rae.rescaled, rae.spherical])
def test_paths_begin_and_end_at_the_codes(way) -> None:
    a, b = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    path = way(a, b, torch.tensor([0.0, 0.5, 1.0]).double())
    assert path.shape == (5, 3, 16)
    torch.testing.assert_close(path[:, 0], a)
    torch.testing.assert_close(path[:, 2], b)
    torch.testing.assert_close(way(b, a, torch.tensor([0.5]).double()), path[:, 1:2])  # symmetric
    torch.testing.assert_close(way(a, a, torch.tensor([0.3]).double())[:, 0], a)  # no NaN between equal codes


def test_norms_and_angles_along_the_paths() -> None:
    a, b = (
        v / v.norm(dim=1, keepdim=True)
        for v in torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0)).double()
    )
    t = torch.linspace(0, 1, 7).double()
    ones = torch.ones(4, 7).double()
    sphere = rae.spherical(a, b, t)
    torch.testing.assert_close(sphere.norm(dim=2), ones)
    cosines = (sphere[:, 1:] * sphere[:, :-1]).sum(2)
    torch.testing.assert_close(cosines, cosines[:, :1].expand_as(cosines))  # equal angles for equal steps
    torch.testing.assert_close(rae.rescaled(a, b, t).norm(dim=2), ones)
    assert (rae.linear(a, b, t)[:, 3].norm(dim=1) < 0.999).all()


def test_paths_between_codes_of_different_norms() -> None:
    """Sixty degrees apart, sin 30°/sin 60° = 1/√3 is the part of either end in the middle."""
    a, b = torch.tensor([[3.0, 0.0, 0.0]]).double(), torch.tensor([[0.5, math.sqrt(0.75), 0.0]]).double()
    torch.testing.assert_close(rae.spherical(a, b, torch.tensor([0.5]))[:, 0], (a + b) / math.sqrt(3))
    t = torch.linspace(0, 1, 5).double()
    torch.testing.assert_close(rae.rescaled(a, b, t).norm(dim=2), 3 - 2 * t[None])
    along = torch.nn.functional.cosine_similarity(rae.rescaled(a, b, t), rae.linear(a, b, t), dim=2)
    torch.testing.assert_close(along, torch.ones(1, 5).double())


def test_opposite_codes_do_not_divide_by_zero() -> None:
    a = torch.tensor([[1.0, 0.0]])
    for way in (rae.rescaled, rae.spherical):
        assert way(a, -a, torch.linspace(0, 1, 5)).isfinite().all()


def fitted_briefly(name: str, codes: torch.Tensor) -> rae.Density:
    """As :func:`teachlib.rae.fit_density`, those that are trained for as long as a test can wait."""
    brief = {
        "flow": lambda: rae.fit_flow(codes, steps=300),
        "second-stage": lambda: rae.fit_second_stage(codes, steps=600, scale="laptop"),
    }
    return brief[name]() if name in brief else rae.fit_density(name, codes)


@pytest.mark.parametrize("name", [name for name in rae.ESTIMATORS if name != "normal"])
def test_every_estimator_beats_the_prior_on_codes_that_are_not_normal(name: str) -> None:
    """Four clumps far from the origin; by a distance that no estimator is trained on."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[4.0, 0.0, 1.0], [0.0, 4.0, 1.0], [4.0, 4.0, 1.0], [0.0, 0.0, 1.0]])
    codes = centres[torch.randint(4, (3_000,), generator=generator)] + 0.4 * torch.randn(3_000, 3, generator=generator)
    fitted = fitted_briefly(name, codes)
    drawn = fitted.sample(3_000, torch.Generator().manual_seed(1))
    again = fitted.sample(3_000, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, again)
    assert (drawn.shape, drawn.dtype) == (codes.shape, torch.float32)
    prior = rae.standard_normal(3).sample(3_000, torch.Generator().manual_seed(1))
    distance = frechet_between(statistics_of(drawn), statistics_of(codes), relative=True)
    assert distance < 0.1 * frechet_between(statistics_of(prior), statistics_of(codes), relative=True)
    in_clumps = torch.cdist(drawn, centres).min(1).values < 1.2
    assert in_clumps.float().mean() > (0.15 if name == "gaussian" else 0.55)


@pytest.mark.parametrize("name", ["gaussian", "mixture", "dirichlet", "kernels", "flow"])
def test_estimators_that_can_be_evaluated_integrate_to_one(name: str) -> None:
    codes = torch.randn(800, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.5])
    ticks = (torch.arange(240) + 0.5) / 240 * 12 - 6
    log_p = fitted_briefly(name, codes).log_prob(torch.cartesian_prod(ticks, ticks))  # type: ignore[attr-defined]
    assert log_p.exp().sum().item() * 0.05**2 == pytest.approx(1, abs=0.01)


def test_the_dirichlet_mixture_leaves_components_empty_that_nothing_needs() -> None:
    codes = torch.randn(2_000, 2, generator=torch.Generator().manual_seed(0))
    plain, dirichlet = rae.fit_mixture(codes), rae.fit_dirichlet_mixture(codes)
    assert (dirichlet.weights > 0.02).sum() < (plain.weights > 0.02).sum()


def test_the_dirichlet_prior_has_concentration_one_over_k(codes) -> None:
    theirs = BayesianGaussianMixture(n_components=4, weight_concentration_prior=1 / 4, random_state=0)
    found = rae.fit_dirichlet_mixture(codes, components=4)
    np.testing.assert_allclose(found.weights, theirs.fit(codes.double().numpy()).weights_, atol=1e-6)
    with pytest.raises(TeachlibError, match="components is 0"):
        rae.fit_dirichlet_mixture(codes, components=0)


def test_a_flow_is_over_standardized_codes(codes) -> None:
    """p(z) = q((z − m)/s)/∏ s, and draws come back to where the codes lie."""
    far = 100 + 3 * codes
    fitted = rae.fit_flow(far, steps=1)
    apart = (far - far.mean(0)) / far.std(0)
    expected = fitted.flow.log_prob(apart) - far.std(0).log().sum()
    torch.testing.assert_close(fitted.log_prob(far), expected.detach(), atol=1e-3, rtol=1e-3)


def test_a_flow_is_trained_for_the_steps_that_are_asked_for(codes, monkeypatch: pytest.MonkeyPatch) -> None:
    plans = []
    monkeypatch.setattr("teachlib.rae.density.fit", lambda objective, points, plan, **options: plans.append(plan.steps))
    rae.fit_flow(codes, steps=3)
    rae.fit_flow(codes, scale="ci")
    assert plans == [3, 30]


@pytest.mark.slow
def test_a_flow_that_is_stopped_early_describes_unseen_codes_better() -> None:
    """With 120 codes in six dimensions, 200 steps are many too many.

    After as few as 120 a single step can undo most of what the flow that is not stopped has learned by heart.
    """
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randn(2_120, 6, generator=generator) @ torch.randn(6, 6, generator=generator)
    few, unseen = drawn[:120], drawn[120:]
    stopped, again, trained_out = (rae.fit_flow(few, steps=200, held_out=share) for share in (0.1, 0.1, 0))
    assert stopped.log_prob(unseen).mean() > trained_out.log_prob(unseen).mean() + 1.5
    assert stopped.log_prob(few).mean() < trained_out.log_prob(few).mean() - 1.5  # it is the other that over-fits
    assert torch.equal(stopped.log_prob(unseen), again.log_prob(unseen))


@pytest.mark.parametrize(("nats", "best"), [([-3.0, -5.0, -2.0, -2.0], 2), ([-1.0, -2.0, -3.0, -4.0], 0)])
def test_a_flow_ends_with_the_weights_of_its_best_look(
    nats: list[float], best: int, codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look before training is one of them; of equally good ones the first counts."""
    losses = iter(-value for value in nats)

    def train(objective, points, plan, *, watch, **options) -> None:
        for step in (1, 2, 3):
            torch.nn.init.constant_(objective.nets["model"].steps[0].shift, step)
            watch.look(step, objective.nets)

    monkeypatch.setattr("teachlib.primer.Flow.loss", lambda self, x: torch.tensor(next(losses)))
    monkeypatch.setattr("teachlib.rae.density.fit", train)
    assert rae.fit_flow(codes).flow.steps[0].shift.tolist() == [best, best]


@pytest.mark.parametrize(("share", "aside"), [(0.1, 30), (0.001, 1), (0.5, 150), (0, 0)])
def test_codes_that_are_held_out_train_no_flow(
    share: float, aside: int, codes, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, looked = [], []

    def train(objective, points, plan, *, watch, **options) -> None:
        trained.append(points.points)
        looked.append(watch)

    monkeypatch.setattr("teachlib.rae.density.fit", train)
    for seed in (0, 0, 1):
        rae.fit_flow(codes[:300], held_out=share, seed=seed)
    standardized = ((codes[:300].double() - codes[:300].double().mean(0)) / codes[:300].double().std(0)).float()
    assert [len(part) for part in trained] == [300 - aside] * 3
    if not aside:
        assert looked == [None] * 3
        return
    unseen = looked[0].look.__self__.codes
    together = torch.cat([trained[0], unseen])
    torch.testing.assert_close(together.sort(0).values, standardized.sort(0).values)
    assert torch.cdist(trained[0], unseen).min() > 0
    assert torch.equal(trained[0], trained[1])
    assert not torch.equal(trained[0], trained[2])


def test_a_share_that_leaves_too_few_codes_is_refused(codes) -> None:
    with pytest.raises(TeachlibError, match=r"held_out is 0\.9 of 10 codes; expected to leave two or more to train on"):
        rae.fit_flow(codes[:10], held_out=0.9, steps=1)
    with pytest.raises(TeachlibError, match=r"held_out is -0\.1; expected at least 0"):
        rae.fit_flow(codes, held_out=-0.1, steps=1)


@pytest.mark.parametrize("clump", [1.0, 0.05])
def test_a_bandwidth_is_the_best_of_twelve_left_one_out(clump: float) -> None:
    """Between 0.02 and 1.5 times the mean deviation, in equal ratios; each code by all others."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randn(20, 2, generator=generator).repeat_interleave(20, 0) * (1 - clump)
    codes = (codes + clump * torch.randn(400, 2, generator=generator)).double() * torch.tensor([1.0, 3.0])
    gaps = torch.cdist(codes, codes).square().fill_diagonal_(math.inf)
    tried = codes.std(0).mean() * torch.tensor([0.02 * 75 ** (place / 11) for place in range(12)])
    scores = [(torch.logsumexp(-gaps / (2 * h**2), 1) - 2 * h.log()).mean().item() for h in tried]
    best = tried[int(np.argmax(scores))].item()
    assert rae.fit_kernels(codes).bandwidth == pytest.approx(best, rel=0.02)


@pytest.mark.parametrize(("count", "used"), [(300, 300), (2_500, 2_000)])
def test_a_bandwidth_is_chosen_on_two_thousand_codes(count: int, used: int, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def best(codes: torch.Tensor, tried: list[float]) -> float:
        seen.append(codes)
        return 1.0

    monkeypatch.setattr("teachlib.rae.density.best_bandwidth", best)
    rae.fit_kernels(torch.arange(2.0 * count).view(count, 2))
    assert len(seen[0].unique(dim=0)) == used


def test_kernels_over_fit_and_held_out_codes_show_it() -> None:
    generator = torch.Generator().manual_seed(0)
    codes, held_out = torch.randn(300, 8, generator=generator), torch.randn(300, 8, generator=generator)
    narrow, chosen = rae.fit_kernels(codes, bandwidth=0.05), rae.fit_kernels(codes)
    assert narrow.log_prob(codes).mean() > chosen.log_prob(codes).mean()
    assert narrow.log_prob(held_out).mean() < chosen.log_prob(held_out).mean() - 10


def test_unknown_estimators_are_refused() -> None:
    with pytest.raises(TeachlibError, match="unknown estimator 'gmm'"):
        rae.fit_density("gmm", torch.randn(50, 2))


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1.0, 1e6])
@pytest.mark.parametrize("name", ["gaussian", "mixture", "dirichlet", "kernels"])
def test_a_density_is_the_same_at_every_size_of_the_codes(name: str, scale: float, codes) -> None:
    """p(s·z) = p(z)/sᵈ."""
    z = codes[:1000].double()
    plain, scaled = (rae.fit_density(name, at).log_prob(at) for at in (z, scale * z))  # type: ignore[attr-defined]
    torch.testing.assert_close(scaled + 2 * np.log(scale), plain, rtol=1e-5, atol=1e-5)


def test_the_variance_of_each_axis_is_kept_however_narrow() -> None:
    spread = torch.tensor([1.0, 1e-3, 1e-5], dtype=torch.double)
    codes = 1e3 * spread + spread * torch.randn(4_000, 3, generator=torch.Generator().manual_seed(0)).double()
    for fitted in (rae.fit_gaussian(codes), rae.fit_mixture(codes, components=2), rae.fit_dirichlet_mixture(codes)):
        mean = (fitted.weights[:, None] * fitted.means).sum(0)
        around = fitted.covariances.diagonal(dim1=1, dim2=2) + (fitted.means - mean).square()
        found = (fitted.weights[:, None] * around).sum(0).sqrt() / codes.std(0)
        torch.testing.assert_close(found, torch.ones(3, dtype=torch.double), rtol=0.01, atol=0)


@pytest.mark.parametrize("name", [name for name in rae.ESTIMATORS if name != "normal"])
def test_codes_that_are_all_equal_have_no_density(name: str) -> None:
    for value in (0.0, 0.1, 1e4):  # of many equal numbers, the deviation as computed may differ from zero
        with pytest.raises(TeachlibError, match="all codes are equal"):
            rae.fit_density(name, torch.full((50, 3), value))


@pytest.mark.parametrize("way", [rae.interpolation.linear, rae.interpolation.rescaled, rae.interpolation.spherical])
def test_codes_of_two_shapes_have_no_way_between_them(way) -> None:
    with pytest.raises(TeachlibError, match=r"codes of shapes \(2, 4\) and \(3, 4\)"):
        way(torch.rand(2, 4), torch.rand(3, 4), torch.rand(5))


def test_no_draw_at_all_is_refused_in_one_line() -> None:
    with pytest.raises(TeachlibError, match="count is 0; expected at least 1"):
        rae.density.standard_normal(2).sample(0, torch.Generator())


def test_a_path_round_a_centre_keeps_its_distance_from_there() -> None:
    centre = torch.tensor([3.0, -1.0, 2.0])
    a, b = (
        centre + 2 * torch.nn.functional.normalize(torch.randn(5, 3, generator=torch.Generator().manual_seed(s)))
        for s in (0, 1)
    )
    t = torch.linspace(0, 1, 7)
    path = rae.spherical(a, b, t, centre=centre)
    torch.testing.assert_close((path - centre).norm(dim=2), torch.full((5, 7), 2.0))
    torch.testing.assert_close(path[:, 0], a)
    torch.testing.assert_close(path[:, -1], b)
    assert (rae.spherical(a, b, t)[:, 3] - centre).norm(dim=1).sub(2).abs().max() > 0.1
    torch.testing.assert_close(rae.spherical(a, b, t, centre=torch.zeros(3)), rae.spherical(a, b, t))
    with pytest.raises(TeachlibError, match=r"a centre of shape \(2,\); expected \(3,\)"):
        rae.spherical(a, b, t, centre=centre[:2])


@pytest.mark.parametrize("fit", [fit_flow, fit_second_stage])
def test_no_steps_are_refused(fit: Callable[..., Any]) -> None:
    with pytest.raises(TeachlibError, match="steps is 0; expected at least 1"):
        fit(torch.randn(20, 3), scale="ci", steps=0)


def test_draws_are_each_components_own() -> None:
    """Many draws of a mixture have each component's share, mean and covariance."""
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    means = torch.tensor([[-10.0, 0.0], [10.0, 5.0]], dtype=torch.float64)
    factor = torch.tensor([[[1.0, 0.0], [2.0, 0.5]], [[0.1, 0.0], [0.0, 3.0]]], dtype=torch.float64)
    drawn = MixtureDensity(weights, means, factor @ factor.mT).sample(40_000, torch.Generator().manual_seed(0))
    left = drawn[:, 0] < 0
    assert left.float().mean().item() == pytest.approx(0.3, abs=0.01)
    for k, rows in enumerate((left, ~left)):
        torch.testing.assert_close(drawn[rows].mean(0).double(), means[k], atol=0.1, rtol=0)
        torch.testing.assert_close(torch.cov(drawn[rows].T).double(), factor[k] @ factor[k].T, atol=0.25, rtol=0)
