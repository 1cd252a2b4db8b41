"""The chapter's losses against torch.distributions, against explicit loops, and each gradient's reach."""

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_kl

from teachlib import rae
from teachlib.rae.models import regularized_kernels
from teachlib.rae.recipes import COMBINED


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_kl_is_that_of_torch_and_zero_at_the_prior(generator) -> None:
    mean, log_variance = torch.randn(2, 7, 5, generator=generator, dtype=torch.double)
    prior = Normal(torch.zeros(5).double(), torch.ones(5).double())
    expected = reference_kl(Normal(mean, (0.5 * log_variance).exp()), prior).sum(1)
    torch.testing.assert_close(rae.kl_divergence(mean, log_variance), expected)
    assert torch.equal(rae.kl_divergence(torch.zeros(3, 4), torch.zeros(3, 4)), torch.zeros(3))


def test_losses_are_sums_over_pixels_and_means_over_the_batch(generator) -> None:
    x, guess = torch.rand(2, 3, 1, 4, 4, generator=generator).double()
    z, weights = (
        torch.randn(3, 5, generator=generator).double(),
        [torch.ones(2, 3).double(), 2 * torch.ones(4).double()],
    )
    error = sum(((a - b) ** 2).sum() for a, b in zip(x, guess, strict=True)) / 3
    size = sum((code**2).sum() / 2 for code in z) / 3
    decay = 6 * 1.0 + 4 * 4.0
    torch.testing.assert_close(rae.reconstruction_loss(x, guess), error)
    torch.testing.assert_close(rae.latent_penalty(z), size)
    torch.testing.assert_close(rae.weight_penalty(weights).item(), decay)
    found = rae.rae_loss(x, guess, z, weights, beta=0.3, lambda_=0.01)
    torch.testing.assert_close(found, error + 0.3 * size + 0.01 * decay)


def test_posterior_draws_have_mean_and_variance(generator) -> None:
    mean, log_variance = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.5, -1.0]])
    draws = rae.sample_posterior(mean.expand(200_000, 2), log_variance.expand(200_000, 2), generator)
    # Standard errors: about 0.003 of the mean, 0.4 % of the variance; five of them.
    torch.testing.assert_close(draws.mean(0), mean[0], rtol=0, atol=0.015)
    torch.testing.assert_close(draws.var(0), log_variance[0].exp(), rtol=0.02, atol=0)


RELEASED = [(name, "released") for name in rae.RECIPES if name not in COMBINED]


@pytest.mark.parametrize(("name", "variant"), [*((name, "thesis") for name in rae.RECIPES), *RELEASED])
def test_every_recipe_learns_in_every_parameter(name: str, variant: str, generator) -> None:
    torch.manual_seed(0)
    model = rae.Autoencoder(rae.recipe(name, scale="ci", variant=variant))
    objective = rae.AutoencoderObjective(model)
    x = torch.rand(6, 1, 32, 32, generator=generator)
    objective.loss(x, generator).backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        if not parameter_name.endswith("bias"):  # before batch norm, a bias changes nothing
            assert parameter.grad.abs().max() > 0, parameter_name


def test_released_loss_is_the_authors_formula(generator) -> None:
    torch.manual_seed(0)
    model = rae.Autoencoder(rae.recipe("rae-l2", scale="ci", variant="released")).eval()
    x = torch.rand(4, 1, 32, 32, generator=generator)
    z = model.encode(x)
    kernels = sum((w**2).sum() for n, w in model.decoder.named_parameters() if "convolutions" in n and w.ndim == 4)
    expected = ((x - model.decode(z)) ** 2).mean() + 1e-4 * (z**2).mean() + 1e-7 * kernels
    torch.testing.assert_close(rae.AutoencoderObjective(model).loss(x, generator), expected)
    assert len(regularized_kernels(model.decoder)) == 3


def test_thesis_and_released_weights_are_one_objective(generator) -> None:
    """Apart from what each regularizes, the thesis's sum is the released mean times the number of pixels."""
    x, guess, z = (torch.rand(4, 1, 32, 32, generator=generator), torch.rand(4, 1, 32, 32, generator=generator),
                   torch.randn(4, 16, generator=generator))  # fmt: skip
    thesis, released = (rae.recipe("rae-l2", variant=variant) for variant in ("thesis", "released"))
    in_sum = rae.rae_loss(x, guess, z, [torch.ones(3)], beta=thesis.beta, lambda_=thesis.lambda_)
    in_mean = (x - guess).square().mean() + released.beta * z.square().mean() + released.lambda_ * 3
    torch.testing.assert_close(in_sum, 1024 * in_mean)


def test_variants_differ_where_the_facts_say() -> None:
    thesis, released = (
        rae.Autoencoder(rae.recipe("vae", scale="ci", variant=v)).eval() for v in ("thesis", "released")
    )
    assert (thesis.recipe.learning_rate, released.recipe.learning_rate) == (1e-3, 1e-4)
    _, log_variance = released.split(torch.full((1, 32), 1e3))
    torch.testing.assert_close(log_variance, torch.full((1, 16), 10.0))  # log σ = 5·tanh
    assert not torch.allclose(thesis.split(torch.full((1, 32), 3.0))[1], released.split(torch.full((1, 32), 3.0))[1])
