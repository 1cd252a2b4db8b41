"""The bounds of a VAE on a model whose likelihood is known, and the pixels' likelihood."""

import math

import pytest
import torch
from torch import Tensor, nn

from teachlib.primer import VAE, discretized_logistic_log_prob, kl_to_standard_normal


def test_discretized_logistic_adds_to_one_and_is_the_difference_of_cdfs() -> None:
    level = torch.arange(17)[:, None].double()
    mean = torch.tensor([-0.3, 0.0, 0.4, 1.0, 1.7], dtype=torch.float64).expand(17, -1)
    for log_scale in (-6.0, -3.0, 0.0, 2.0):
        scale = torch.full_like(mean, log_scale)
        log_p = discretized_logistic_log_prob(level.expand(-1, 5), mean, scale, 17)
        assert torch.allclose(log_p.exp().sum(0), torch.ones(5, dtype=torch.float64), atol=1e-4)
    inner = discretized_logistic_log_prob(level[5:6], mean[:1, 2:3], torch.full((1, 1), -2.0), 17)
    cdf = [torch.sigmoid((torch.tensor((5 + side) / 16.0) - 0.4) / math.exp(-2)) for side in (-0.5, 0.5)]
    assert inner.exp().item() == pytest.approx((cdf[1] - cdf[0]).item(), rel=1e-4)


def test_far_tails_stay_finite_with_gradients() -> None:
    mean = torch.tensor([[5.0, -5.0]], requires_grad=True)
    log_p = discretized_logistic_log_prob(torch.tensor([[0, 16]]), mean, torch.full((1, 2), -6.0), 17)
    log_p.sum().backward()
    assert log_p.isfinite().all()
    assert mean.grad is not None
    assert mean.grad.isfinite().all()


class LinearGaussian(VAE):
    """z ~ N(0, I), x | z ~ N(Az, s²I): everything is Gaussian, so log p(x) and the best Q are known."""

    def __init__(self, mix: Tensor, deviation: float, *, posterior_scale: float) -> None:
        super().__init__(mix.shape[0], levels=2, latent=mix.shape[1], width=4)
        self.mix, self.deviation, self.posterior_scale = mix, deviation, posterior_scale
        self.precision = torch.eye(mix.shape[1]) + mix.T @ mix / deviation**2

    def posterior(self, level: Tensor, labels: Tensor | None = None) -> torch.distributions.Normal:
        covariance = torch.linalg.inv(self.precision)
        mean = level @ self.mix @ covariance / self.deviation**2
        return torch.distributions.Normal(mean, self.posterior_scale * covariance.diagonal().sqrt().expand_as(mean))

    def log_likelihood(self, level: Tensor, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return torch.distributions.Normal(z @ self.mix.T, self.deviation).log_prob(level).sum(1)

    def exact(self, x: Tensor) -> Tensor:
        covariance = self.mix @ self.mix.T + self.deviation**2 * torch.eye(len(self.mix))
        return torch.distributions.MultivariateNormal(torch.zeros(len(self.mix)), covariance).log_prob(x)


# Orthogonal columns: the exact posterior has independent dimensions, as Q does.
MIX = torch.tensor([[1.0, 0.5], [-1.0, 0.5], [0.0, 1.0]])


def bounds(model: LinearGaussian, x: Tensor) -> tuple[float, float, float]:
    generator = torch.Generator().manual_seed(0)
    elbo = torch.stack([model.log_prob_bound(x, generator) for _ in range(200)]).mean(0)
    tighter = torch.stack([model.importance_weighted_bound(x, generator, draws=20) for _ in range(50)]).mean(0)
    return elbo.mean().item(), tighter.mean().item(), model.exact(x).mean().item()


def test_elbo_below_the_importance_weighted_bound_below_log_p() -> None:
    x = torch.randn(200, 3, generator=torch.Generator().manual_seed(1))
    elbo, tighter, exact = bounds(LinearGaussian(MIX, 0.7, posterior_scale=1.8), x)
    assert elbo < tighter - 0.1 < exact - 0.1
    # With the wrong spread the gap is a KL divergence that is known: ½Σ(s² − 1 − log s²).
    assert exact - elbo == pytest.approx(1.8**2 - 1 - math.log(1.8**2), abs=0.05)


def test_all_are_equal_at_the_optimum() -> None:
    x = torch.randn(100, 3, generator=torch.Generator().manual_seed(1))
    elbo, tighter, exact = bounds(LinearGaussian(MIX, 0.7, posterior_scale=1.0), x)
    assert elbo == pytest.approx(exact, abs=0.03)  # the KL is exact, the rest is sampled
    assert tighter == pytest.approx(exact, abs=1e-4)  # every weight is p(x)


def test_kl_is_the_closed_form() -> None:
    mean, deviation = torch.randn(5, 3), torch.rand(5, 3) + 0.1
    expected = 0.5 * (mean.square() + deviation.square() - 1 - 2 * deviation.log()).sum(1)
    assert torch.allclose(kl_to_standard_normal(torch.distributions.Normal(mean, deviation)), expected, atol=1e-5)


def test_beta_weighs_kl_and_labels_condition() -> None:
    level, labels = torch.randint(17, (6, 10)), torch.arange(6) % 3
    for beta in (0.0, 1.0, 4.0):
        torch.manual_seed(0)
        model = VAE(10, levels=17, latent=2, width=8, classes=3, beta=beta)
        q = model.posterior(level, labels)
        loss = model.loss(level, labels, torch.Generator().manual_seed(0))
        bound = model.log_prob_bound(level, torch.Generator().manual_seed(0), labels)
        expected = (-bound + (beta - 1) * kl_to_standard_normal(q)).mean() / 10
        assert loss.item() == pytest.approx(expected.item(), rel=1e-4)
    z = torch.zeros(2, 2)
    assert not torch.allclose(*(model.decode(z, torch.full((2,), label)) for label in (0, 1)))


@pytest.mark.parametrize("log_scale", [-9.0, -7.0, -5.0, 1.9, 2.0, 4.0])
def test_the_pixels_scale_stays_between_its_borders(log_scale: float) -> None:
    """Below e⁻⁷ and above e² it is as at the border; between them every scale is another likelihood."""
    model, z = VAE(3, levels=5, latent=2, width=4), torch.zeros(1, 2)
    level = torch.tensor([[0, 2, 4]])
    deviation = model.log_scale.exp() * math.pi / math.sqrt(3)
    assert (deviation < 1 / math.sqrt(12)).all()  # at the start no wider than uniform pixels
    with torch.no_grad():
        model.log_scale.fill_(log_scale)
    kept = torch.full((1, 3), min(max(log_scale, -7.0), 2.0))
    expected = discretized_logistic_log_prob(level, model.decode(z), kept, 5).sum(1)
    torch.testing.assert_close(model.log_likelihood(level, z), expected)


@pytest.mark.parametrize("log_deviation", [-9.0, -7.0, -5.0, 2.9, 3.0, 5.0])
def test_the_posteriors_deviation_stays_between_its_borders(log_deviation: float) -> None:
    model = VAE(3, levels=5, latent=2, width=4)
    last = model.encoder[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.5, -0.5, log_deviation, log_deviation]))
    q = model.posterior(torch.tensor([[0, 2, 4]]))
    torch.testing.assert_close(q.mean, torch.tensor([[0.5, -0.5]]))
    torch.testing.assert_close(q.stddev, torch.full((1, 2), math.exp(min(max(log_deviation, -7.0), 3.0))))


def test_every_parameter_gets_a_gradient() -> None:
    model: nn.Module = VAE(10, levels=17, latent=2, width=8)
    model.loss(torch.randint(17, (6, 10)), None, torch.Generator().manual_seed(0)).backward()  # type: ignore[operator]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
