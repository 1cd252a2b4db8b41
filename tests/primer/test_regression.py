"""Plain regression and the mixture density network."""

import math

import pytest
import torch

from teachlib.errors import TeachlibError
from teachlib.primer import MixtureDensityNetwork, Regression


def network() -> MixtureDensityNetwork:
    torch.manual_seed(0)
    model = MixtureDensityNetwork(2, 1, components=3, width=8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_regression_is_least_squares() -> None:
    torch.manual_seed(0)
    model, x, y = Regression(2, 3), torch.randn(10, 2), torch.randn(10, 3)
    expected = ((model(x) - y) ** 2).sum(1).mean()
    torch.testing.assert_close(model.loss(x, y), expected)
    for wrong in (y[:, 0], y[:9]):
        with pytest.raises(TeachlibError, match="expected \\(10, 3\\)"):
            model.loss(x, wrong)


def test_a_mixture_density_integrates_to_one_at_every_input() -> None:
    model = network()
    y = torch.linspace(-40, 40, 20_001)[:, None]
    masses, densities = [], []
    for x in torch.randn(4, 2, generator=torch.Generator().manual_seed(0)):
        with torch.no_grad():
            densities.append(model.log_prob(x.expand(len(y), 2), y).exp())
        masses.append(densities[-1].sum().item() * 80 / 20_000)
    assert masses == pytest.approx([1.0] * 4, abs=1e-4)
    assert (densities[0] - densities[1]).abs().max() > 1e-3


def test_its_answers_follow_its_density() -> None:
    model, x = network(), torch.tensor([[0.3, -1.0]])
    y = torch.linspace(-40, 40, 20_001)[:, None]
    with torch.no_grad():
        p = model.log_prob(x.expand(len(y), 2), y).exp() * 80 / 20_000
    drawn = model.sample(x.expand(40_000, 2), torch.Generator().manual_seed(0))
    assert not drawn.requires_grad
    for quantity in (lambda at: at, lambda at: at.square(), lambda at: (at > 0.5).float()):
        exact = (quantity(y)[:, 0] * p).sum().item()
        deviation = quantity(drawn).std().item() / math.sqrt(len(drawn))
        assert quantity(drawn).mean().item() == pytest.approx(exact, abs=4.5 * deviation)


def test_its_loss_is_the_mean_of_minus_log_p_and_refuses_other_shapes() -> None:
    model, x, y = network(), torch.randn(10, 2), torch.randn(10, 1)
    torch.testing.assert_close(model.loss(x, y), -model.log_prob(x, y).mean())
    with pytest.raises(TeachlibError, match=r"y of shape \(10,\); expected \(10, 1\)"):
        model.loss(x, y[:, 0])


def test_the_density_of_several_outputs_is_torchs_mixture() -> None:
    torch.manual_seed(0)
    model, x, y = MixtureDensityNetwork(2, 3, components=4, width=8), torch.randn(10, 2), torch.randn(10, 3)
    log_weights, means, log_deviations = model(x)
    parts = torch.distributions.Independent(torch.distributions.Normal(means, log_deviations.exp()[..., None]), 1)
    theirs = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=log_weights), parts)
    torch.testing.assert_close(model.log_prob(x, y), theirs.log_prob(y))
