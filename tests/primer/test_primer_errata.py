"""The errata page's entries on thesis chapter 2: each is shown here to be one."""

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from teachlib.primer import MADE, EnergyNet, contrastive_divergence_loss, discriminator_loss

# ------------------------------------------------------------------------------------------- β-VAE, §2.2.1


def _objective(mean: Tensor, deviation: Tensor, x: Tensor, *, variance: float, weight: float) -> Tensor:
    """−E log N(x; 3z, variance) + weight·KL for one Gaussian posterior, its constant in the variance left out."""
    expected = ((x - 3 * mean).square() + 9 * deviation.square()) / (2 * variance)
    return expected.sum() + weight * kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum()


def _direction(variance: float, weight: float) -> Tensor:
    mean, deviation = torch.tensor([0.4], requires_grad=True), torch.tensor([0.7], requires_grad=True)
    value = _objective(mean, deviation, torch.tensor([1.5]), variance=variance, weight=weight)
    gradient = torch.cat(torch.autograd.grad(value, (mean, deviation)))
    return gradient / gradient.norm()


@pytest.mark.parametrize("beta", [0.25, 3.0])
def test_beta_is_a_variance_in_proportion(beta: float) -> None:
    assert torch.allclose(_direction(variance=1.0, weight=beta), _direction(variance=beta, weight=1.0), atol=1e-6)


@pytest.mark.parametrize("k", [1, 2, 10])
def test_the_printed_variance_goes_the_other_way(k: int) -> None:
    beta = 3.0
    printed = _direction(variance=beta ** (-2 / k), weight=1.0)
    assert not torch.allclose(printed, _direction(variance=1.0, weight=beta), atol=1e-2)
    assert beta ** (-2 / k) < 1 < beta  # a larger β should blur, the printed one sharpens


# ------------------------------------------------------------------------------- the discriminator, §2.2.2


def test_a_discriminator_of_zeros_and_ones_has_an_infinite_loss_or_none_to_learn_from() -> None:
    decided = torch.tensor([math.inf, -math.inf])  # logits of D = 1 and D = 0
    assert discriminator_loss(decided, decided).isinf()
    p, q = 0.3, 0.6
    best = p / (p + q)
    assert 0 < best < 1  # the optimum itself is no element of {0, 1}


# -------------------------------------------------------------------------------------- chain rule, Eq 2.7


def test_the_chain_rule_needs_no_assumption() -> None:
    """Three bits with any dependence at all: the product of full conditionals is the joint."""
    joint = torch.rand(2, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    joint /= joint.sum()
    first, second = joint.sum((1, 2)), joint.sum(2)
    product = first[:, None, None] * (second / first[:, None])[..., None] * (joint / second[..., None])
    assert torch.allclose(product, joint, atol=1e-15)


def test_the_printed_independence_loses_it() -> None:
    """Bits that must differ: 'independent of the rest' given nothing would put mass on equal ones."""
    joint = torch.tensor([[0.0, 0.5], [0.5, 0.0]])
    independent = joint.sum(1)[:, None] * joint.sum(0)[None]
    assert (independent - joint).abs().max() == 0.25
    model = MADE(2, width=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-2)
    differing = torch.tensor([[0, 1], [1, 0]])
    for _ in range(200):
        optimizer.zero_grad()
        model.loss(differing).backward()
        optimizer.step()
    assert model.log_prob(differing).exp().sum() > 0.99


# ------------------------------------------------------------------------------------- ∇ log z, after Eq 2.9


def test_gradient_of_log_z_on_a_network() -> None:
    """By quadrature on a line, for every weight of a small network: −E[∇f], not −E[∇ exp(−f)]."""
    net = EnergyNet(1, width=8, confining=1.0).double()
    line = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    cell = 24 / 4000
    weights = list(net.net.parameters())

    def gradient(value: Tensor) -> Tensor:
        return torch.cat([part.flatten() for part in torch.autograd.grad(value, weights)])

    log_z = (torch.logsumexp(-net(line), 0) + math.log(cell)).sum()
    p = (-net(line) - log_z).exp().detach()
    true = gradient(log_z)
    assert torch.allclose(true, gradient(-(p * net(line)).sum() * cell), rtol=1e-8, atol=1e-12)
    printed = gradient(-(p * (-net(line)).exp()).sum() * cell)
    assert (true - printed).norm() > 0.1 * true.norm()
    # And the library's loss has the likelihood's gradient when its samples are the model's.
    data = torch.tensor([[0.4], [-1.0]], dtype=torch.float64)
    likelihood = gradient(net(data).mean() + (torch.logsumexp(-net(line), 0)).sum())
    cdf = (p * cell).cumsum(0)
    quantiles = (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000
    samples = line[torch.searchsorted(cdf, quantiles).clamp(max=4000)]
    assert torch.allclose(gradient(contrastive_divergence_loss(net, data, samples)), likelihood, atol=5e-3)
