import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from teachlib.errors import TeachlibError
from teachlib.gmmvae.mixture import GaussianClasses, MixturePrior, class_means, component_variance


def prior(latent: int = 10, variance: float = 0.3) -> MixturePrior:
    return MixturePrior(class_means(4, latent).double(), variance)


@pytest.mark.parametrize(("placement", "latent"), [("one-hot", 5), ("one-hot", 8), ("simplex", 4), ("simplex", 9)])
def test_all_classes_are_equally_far_apart(placement: str, latent: int) -> None:
    means = class_means(5, latent, placement)  # type: ignore[arg-type]
    assert means.shape == (5, latent)
    apart = torch.cdist(means, means)[~torch.eye(5, dtype=torch.bool)]
    torch.testing.assert_close(apart, torch.full((20,), math.sqrt(2)))


def test_one_hot_means_are_padded_with_zeros() -> None:
    assert class_means(3, 5).tolist() == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0]]


def test_a_simplex_lies_around_the_origin_in_one_dimension_less() -> None:
    torch.testing.assert_close(class_means(6, 5, "simplex").sum(0), torch.zeros(5), atol=1e-6, rtol=0)


def test_means_on_one_axis() -> None:
    means = class_means(3, 2, "axis")
    torch.testing.assert_close(means[:, 0].diff(), torch.full((2,), math.sqrt(2)))
    assert not means[:, 1].any()
    assert means[:, 0].sum() == 0
    assert not class_means(1, 1, "axis").any()


@pytest.mark.parametrize(("placement", "latent"), [("one-hot", 9), ("simplex", 8), ("axis", 0)])
def test_too_few_dimensions(placement: str, latent: int) -> None:
    with pytest.raises(TeachlibError, match="need"):
        class_means(10, latent, placement)  # type: ignore[arg-type]


def test_an_unknown_placement() -> None:
    with pytest.raises(TeachlibError, match="one-hot"):
        class_means(10, 10, "onehot")  # type: ignore[arg-type]


@pytest.mark.parametrize("latent", [2, 10, 32, 100])
def test_the_radius_that_holds_a_component_is_the_same_in_every_dimension(latent: int) -> None:
    share = chi2.cdf(9, 1)
    assert math.isclose(component_variance(latent) * chi2.ppf(share, latent), chi2.ppf(share, 10) / 3000)
    assert math.isclose(component_variance(10), 1 / 3000)


def test_log_prob_and_posterior_agree_with_torch_distributions() -> None:
    mixture, z = prior(), torch.randn(50, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    components = torch.distributions.Independent(
        torch.distributions.Normal(mixture.means, math.sqrt(mixture.variance)), 1
    )
    weights = torch.distributions.Categorical(torch.ones(4, dtype=torch.float64))
    reference = torch.distributions.MixtureSameFamily(weights, components)
    torch.testing.assert_close(mixture.log_prob(z), reference.log_prob(z))
    joint = components.log_prob(z[:, None]) - math.log(4)
    torch.testing.assert_close(mixture.log_posterior(z), joint - reference.log_prob(z)[:, None])


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 99))
def test_log_odds_are_differences_of_log_posteriors(a: int, b: int, seed: int) -> None:
    lengths = torch.tensor([[1.0], [2.0], [0.5], [3.0]]).double()  # of one length, the midpoint would not matter
    mixture = MixturePrior(lengths * class_means(4, 10).double(), 0.3)
    z = torch.randn(3, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    posterior = mixture.log_posterior(z)
    torch.testing.assert_close(mixture.log_odds(z, a, b), posterior[:, a] - posterior[:, b])


def test_cross_entropy_on_the_posterior_has_no_gradient_in_single_precision_and_distances_do() -> None:
    mixture = MixturePrior(class_means(10, 10), component_variance(10))
    labels = torch.arange(10)
    z = (mixture.means + 0.01).requires_grad_()
    torch.nn.functional.nll_loss(mixture.log_posterior(z), labels, reduction="sum").backward()
    assert z.grad is not None
    assert not z.grad.any()  # exactly zero: 3,000 nats from one mean to the next
    margin = mixture.squared_distances(z.detach().requires_grad_())
    assert torch.isfinite(margin).all()
    z = z.detach().requires_grad_()
    distances = mixture.squared_distances(z)
    (distances[labels, labels] - distances[labels, (labels + 1) % 10]).sum().backward()
    assert z.grad is not None
    assert (z.grad.norm(dim=1) > 1).all()


def test_samples_follow_their_component() -> None:
    mixture = MixturePrior(class_means(3, 4), 0.01)
    drawn = mixture.sample(torch.full((20_000,), 2), torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn.mean(0), mixture.means[2], atol=3e-3, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T), 0.01 * torch.eye(4), atol=5e-4, rtol=0)
    noise = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, mixture.means[2] + 0.1 * noise)


@pytest.mark.parametrize("shrinkage", [0.0, 0.7])
def test_shrinkage_adds_part_of_the_mean_variance_to_every_diagonal(shrinkage: float) -> None:
    z, labels = Z.double() * torch.tensor([1.0, 2.0, 3.0]) + 50 * Y[:, None], Y  # far apart: that is no width
    means = class_means(2, 3).double()
    offsets = z - means[labels]
    groups = [labels == c for c in (0, 1)]
    measured = torch.stack([offsets[group].T @ offsets[group] / 5 for group in groups])
    measured = measured + shrinkage * offsets.square().mean() * torch.eye(3)
    within = torch.cat([z[group] - z[group].mean(0) for group in groups]).square().mean()
    fitted = torch.stack([torch.cov(z[group].T) for group in groups]) + shrinkage * within * torch.eye(3)
    for found, centres, covariances in (
        (MixturePrior(means, 0.01).measured(z, labels, shrinkage=shrinkage), means, measured),
        (
            GaussianClasses.fit(z, labels, shrinkage=shrinkage),
            torch.stack([z[group].mean(0) for group in groups]),
            fitted,
        ),
    ):
        apart = z[:, None] - centres
        expected = torch.einsum("nki,kij,nkj->nk", apart, covariances.inverse(), apart)
        torch.testing.assert_close(found.mahalanobis(z), expected)


def test_fitted_gaussians_agree_with_torch_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3).repeat(200)
    mixing = torch.randn(3, 4, 4, generator=generator)
    codes = torch.einsum("nij,nj->ni", mixing[labels], torch.randn(600, 4, generator=generator)) + labels[:, None]
    fitted = GaussianClasses.fit(codes, labels, shrinkage=0)
    covariances = torch.stack([torch.cov(codes[labels == label].T) for label in range(3)])
    reference = torch.distributions.MultivariateNormal(fitted.means, covariances)
    expected = reference.log_prob(codes[:, None])
    torch.testing.assert_close(fitted.scores(codes).diff(dim=1), expected.diff(dim=1), atol=1e-3, rtol=1e-4)
    assert torch.equal(fitted.classify(codes), expected.argmax(1))
    average = fitted.mahalanobis(codes).gather(1, labels[:, None]).mean()
    torch.testing.assert_close(average, torch.tensor(4.0), atol=0.03, rtol=0)  # E m = d


def test_a_class_with_one_code() -> None:
    with pytest.raises(TeachlibError, match="class 1 has 1 codes"):
        GaussianClasses.fit(torch.randn(3, 2), torch.tensor([0, 0, 1]))


Z, Y = torch.randn(10, 3, generator=torch.Generator().manual_seed(0)), torch.arange(10) % 2


@pytest.mark.parametrize(
    ("codes", "labels", "words"),
    [
        (torch.arange(3.0).expand(10, 3), Y, "all codes lie at one point"),
        (Z * math.nan, Y, "not finite"),
        (Z[:0], Y[:0], "shape \\(0, 3\\)"),
        (Z[:, 0], Y, "expected floats, \\(N, d\\)"),
        (Z.long(), Y, "expected floats"),
        (Z, Y - 1, "class -1; expected 0 …"),
        (Z, Y - 2, "class -2; expected 0 … [01]:"),
        (Z, Y.float(), "labels of torch.float32"),
        (Z, Y[:8], "labels of shape \\(8,\\)"),
    ],
)
def test_codes_without_a_gaussian_are_refused(codes: torch.Tensor, labels: torch.Tensor, words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        GaussianClasses.fit(codes, labels)
    if words != "all codes lie at one point":
        with pytest.raises(TeachlibError, match=words):
            MixturePrior(class_means(2, 3), 0.01).measured(codes, labels)


def test_codes_at_their_means_and_singular_covariances_are_refused() -> None:
    mixture = MixturePrior(class_means(2, 3), 0.01)
    with pytest.raises(TeachlibError, match="all codes lie at one point"):
        mixture.measured(mixture.means[Y], Y)
    with pytest.raises(TeachlibError, match="all codes lie at one point"):
        GaussianClasses.fit(torch.tensor([0.1, 0.3, 0.7])[Y][:, None] * torch.ones(3), Y)
    with pytest.raises(TeachlibError, match="shrinkage is -1"):
        mixture.measured(Z, Y, shrinkage=-1)
    flat = Z * torch.tensor([1.0, 1.0, 0.0])
    for make in (
        lambda: GaussianClasses.fit(flat, Y, shrinkage=0),
        lambda: GaussianClasses(torch.zeros(1, 2), torch.zeros(1, 2, 2)),
        lambda: MixturePrior(torch.zeros(1, 2), 1.0, torch.full((1, 2, 2), math.nan)),
    ):
        with pytest.raises(TeachlibError, match="class 0 is not positive definite"):
            make()
    for shape in ((2, 2), (1, 2, 3)):
        with pytest.raises(TeachlibError, match=r"covariances of shape .*; expected \(k, d, d\)"):
            GaussianClasses(torch.zeros(1, 2), torch.ones(shape))


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_classes_are_told_apart_alike_at_every_size_of_the_codes(scale: float) -> None:
    codes = (Z + 2 * Y[:, None]).double()
    plain, scaled = GaussianClasses.fit(codes, Y), GaussianClasses.fit(scale * codes, Y)
    torch.testing.assert_close(scaled.mahalanobis(scale * codes), plain.mahalanobis(codes))
