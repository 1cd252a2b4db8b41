"""The errata page's entries on thesis chapter 3 and Appendix A: each is shown here to be one."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl

from teachlib import data, primer
from teachlib.metrics import classifier_features, frechet_between, statistics_of
from teachlib.nets import mlp
from teachlib.rae import decode_all, encode_all, fit_gaussian, from_zoo, load, published, standard_normal
from teachlib.rae.interpolation import linear, rescaled, spherical
from teachlib.rae.losses import (
    kl_divergence,
    latent_penalty,
    negative_elbo,
    reconstruction_loss,
    sample_posterior,
    weight_penalty,
)
from teachlib.rae.models import Autoencoder, AutoencoderObjective
from teachlib.rae.penalties import gradient_penalty
from teachlib.rae.recipes import recipe
from teachlib.training import Schedule, fit

LATENT = 5


def printed_kl(mean: Tensor, sigma: Tensor) -> Tensor:
    """What the thesis prints after Eq 3.9, halved: (‖μ‖² + d + Σ σ − log σ) / 2."""
    return 0.5 * (mean.square().sum(1) + mean.shape[1] + (sigma - sigma.log()).sum(1))


@pytest.fixture
def mean() -> Tensor:
    return torch.randn(64, LATENT, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def sigma() -> Tensor:
    """Standard deviations between 1/20 and 20, on both sides of one."""
    return torch.randn(64, LATENT, generator=torch.Generator().manual_seed(1), dtype=torch.float64).clamp(-3, 3).exp()


# ------------------------------------------------------------------------------------------- KL, after Eq 3.9


def test_kl_is_that_of_torch(mean: Tensor, sigma: Tensor) -> None:
    expected = torch_kl(Normal(mean, sigma), Normal(0.0, 1.0)).sum(1)
    by_page = 0.5 * (mean.square().sum(1) - LATENT + (sigma.square() - sigma.square().log()).sum(1))
    torch.testing.assert_close(by_page, expected)
    torch.testing.assert_close(kl_divergence(mean, sigma.square().log()), expected)


def test_printed_kl_at_the_prior() -> None:
    mean, sigma = torch.zeros(1, LATENT), torch.ones(1, LATENT)
    assert kl_divergence(mean, sigma.log()).item() == 0
    assert printed_kl(mean, sigma).item() == LATENT


def test_printed_kl_of_deviations(mean: Tensor, sigma: Tensor) -> None:
    mean.requires_grad_()
    sigma.requires_grad_()
    true_mean, true_sigma = torch.autograd.grad(kl_divergence(mean, sigma.square().log()).sum(), (mean, sigma))
    printed_mean, printed_sigma = torch.autograd.grad(printed_kl(mean, sigma).sum(), (mean, sigma))
    torch.testing.assert_close(printed_mean, true_mean)
    torch.testing.assert_close(2 * (sigma + 1) * printed_sigma, true_sigma)
    assert not torch.allclose(printed_sigma, true_sigma, rtol=0.5)


def test_printed_kl_of_variances(mean: Tensor, sigma: Tensor) -> None:
    variance = sigma.square()
    excess = printed_kl(mean, variance) - kl_divergence(mean, variance.log())
    torch.testing.assert_close(excess, torch.full_like(excess, LATENT))


# ---------------------------------------------------------------------------------- sigma, Eqs 3.7, 3.9, 3.10


def spread(draws: Tensor) -> float:
    return draws.std().item()


@pytest.mark.parametrize("sigma", [0.7, 3.0])
def test_draws_have_deviation_sigma(sigma: float) -> None:
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    by_equation_3_9 = sigma * noise
    by_equations_3_7_and_3_10 = torch.distributions.MultivariateNormal(torch.zeros(1), sigma * torch.eye(1))
    assert spread(by_equation_3_9) == pytest.approx(sigma, rel=0.01)
    assert by_equations_3_7_and_3_10.stddev.item() == pytest.approx(sigma**0.5)
    assert spread(by_equation_3_9) != pytest.approx(by_equations_3_7_and_3_10.stddev.item(), rel=0.1)


def test_readings_agree_at_zero_and_one() -> None:
    sigma = torch.linspace(0, 3, 301, dtype=torch.float64)
    agree = torch.isclose(sigma.square(), sigma, atol=1e-3)
    torch.testing.assert_close(sigma[agree], torch.tensor([0.0, 1.0], dtype=torch.float64))


def test_library_keeps_one_convention() -> None:
    """KL is the mean of log q(z) − log p(z) over the library's own draws, which it is for one reading only."""
    mean, log_variance = torch.tensor([[0.5]]).double(), torch.tensor([[2.0]]).double()
    draws = sample_posterior(mean.expand(400_000, 1), log_variance.expand(400_000, 1), torch.Generator().manual_seed(3))
    assert spread(draws) == pytest.approx(torch.e, rel=0.01)  # σ = exp(2 / 2)
    log_ratio = Normal(mean, (0.5 * log_variance).exp()).log_prob(draws) - Normal(0.0, 1.0).log_prob(draws)
    standard_error = spread(log_ratio) / len(draws) ** 0.5
    assert abs(log_ratio.mean().item() - kl_divergence(mean, log_variance).item()) < 4 * standard_error
    misread = kl_divergence(mean, 0.5 * log_variance).item()  # log σ passed where log σ² belongs
    assert abs(log_ratio.mean().item() - misread) > 100 * standard_error


# -------------------------------------------------------------------------------------- "discriminator", Eq 3.11


def rae_gradients(lambda_: float) -> dict[str, Tensor]:
    """Gradients of RAE-L2's objective on a fixed batch, by the parameters' names, for one weight λ."""
    torch.manual_seed(0)
    model = Autoencoder(replace(recipe("rae-l2", scale="ci"), lambda_=lambda_)).double()
    x = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    AutoencoderObjective(model).loss(x, torch.Generator()).backward()
    gradients = {name: weight.grad for name, weight in model.named_parameters()}
    assert all(gradient is not None for gradient in gradients.values())
    return {name: gradient for name, gradient in gradients.items() if gradient is not None}


def test_objective_has_no_discriminator() -> None:
    model = Autoencoder(recipe("rae-l2", scale="ci"))
    objective = AutoencoderObjective(model)
    assert set(objective.nets) == {"encoder", "decoder"}
    trained = {weight for optimizer in objective.optimizers().values() for weight in _weights(optimizer)}
    assert trained == {*model.encoder.parameters(), *model.decoder.parameters()}


def _weights(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def test_regularizer_moves_the_decoder() -> None:
    without, with_penalty = rae_gradients(0.0), rae_gradients(0.5)
    torch.manual_seed(0)
    weights = dict(Autoencoder(recipe("rae-l2", scale="ci")).double().named_parameters())
    for name, gradient in with_penalty.items():
        added = gradient - without[name]
        expected = 2 * 0.5 * weights[name] if name.startswith("decoder.") else torch.zeros_like(added)
        torch.testing.assert_close(added, expected.detach(), msg=name)
    assert weight_penalty(weights[name] for name in weights if name.startswith("decoder.")) > 0


# ---------------------------------------------------------------------------------- the gradient penalty, §3.5.1


def test_three_gradient_penalties_are_three_numbers() -> None:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(6, 2).double(), nn.Sequential(nn.Linear(2, 9), nn.Sigmoid()).double()
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    z = encoder(x)
    jacobians = [torch.autograd.functional.jacobian(lambda at: decoder(at[None])[0], code) for code in z.detach()]
    frobenius = torch.stack([j.square().sum() for j in jacobians]).mean()
    images = decoder(z.detach())
    energy = 4 * torch.stack([(j.T @ d).square().sum() for j, d in zip(jacobians, images, strict=True)]).mean() / 2
    (by_input,) = torch.autograd.grad(decoder(z).sum(), x)
    numbers = [frobenius.item(), energy.item(), by_input.square().sum(1).mean().item()]
    torch.testing.assert_close(gradient_penalty(decoder, z.detach()), frobenius)
    torch.testing.assert_close(gradient_penalty(decoder, z.detach(), method="released"), energy)
    for a, b in itertools.combinations(numbers, 2):
        assert max(a, b) > 1.2 * min(a, b)


def test_a_turning_decoder_costs_nothing_in_the_released_code() -> None:
    def turning(angle: Tensor) -> Tensor:
        return torch.cat([angle.cos(), angle.sin()], 1)

    angle = torch.linspace(0, 6, 20)[:, None]
    assert gradient_penalty(turning, angle).item() == pytest.approx(1, abs=1e-5)
    assert gradient_penalty(turning, angle, method="released").item() == pytest.approx(0, abs=1e-10)


# ------------------------------------------------------------------------------- one norm on both sides, A.1.1

NORMS = (1.0, 1.5, 2.0, 3.0, 4.0, math.inf)


@pytest.mark.parametrize("p", NORMS)
def test_one_norm_on_both_sides_fails_beyond_two(p: float) -> None:
    """For every gradient and step it holds up to p = 2, and beyond, two ones are enough to break it."""
    generator = torch.Generator().manual_seed(0)
    gradients, steps = torch.randn(2, 10_000, 3, generator=generator, dtype=torch.float64)
    change = (gradients * steps).sum(1).abs()
    holds = change <= gradients.norm(p, dim=1) * steps.norm(p, dim=1) + 1e-12
    ones = torch.ones(2, dtype=torch.float64)
    broken = (ones @ ones).item() > (ones.norm(p) ** 2).item() + 1e-12
    assert bool(holds.all()) == (p <= 2)
    assert broken == (p > 2)


@pytest.mark.parametrize("p", NORMS)
def test_conjugate_norms_bound_every_step(p: float) -> None:
    q = {1.0: math.inf, math.inf: 1.0}.get(p) or p / (p - 1)
    generator = torch.Generator().manual_seed(0)
    gradients, steps = torch.randn(2, 10_000, 3, generator=generator, dtype=torch.float64)
    assert ((gradients * steps).sum(1).abs() <= gradients.norm(q, dim=1) * steps.norm(p, dim=1) + 1e-12).all()


# ---------------------------------------------------------------------------- interpolation and Table A.1


def test_three_kinds_of_middle_differ() -> None:
    a, b = torch.randn(2, 50, 16, generator=torch.Generator().manual_seed(0))
    straight, stretched, sphere = (way(a, b, torch.tensor([0.5]))[:, 0] for way in (linear, rescaled, spherical))
    codes = torch.cat([a, b]).norm(dim=1).mean()
    assert straight.norm(dim=1).mean() < 0.8 * codes
    assert min(stretched.norm(dim=1).mean(), sphere.norm(dim=1).mean()) > 0.95 * codes
    assert 0.001 < ((stretched - sphere).norm(dim=1) / codes).mean() < 0.02


def test_colour_decoders_have_three_outputs() -> None:
    for dataset, shape in (("mnist", (1, 32, 32)), ("cifar-10", (3, 32, 32)), ("celeba", (3, 64, 64))):
        model = Autoencoder(recipe("ae", dataset, scale="ci"))
        assert model.decode(torch.zeros(2, model.recipe.latent)).shape == (2, *shape)
        assert model.encode(torch.rand(2, *shape)).shape == (2, {"mnist": 16, "cifar-10": 128, "celeba": 64}[dataset])


def test_variants_differ_after_the_linear_layer() -> None:
    counts = {}
    for variant in ("thesis", "released"):
        model = Autoencoder(recipe("ae", "mnist", scale="ci", variant=variant))
        counts[variant] = sum(isinstance(layer, nn.BatchNorm2d) for layer in model.decoder.modules())
    assert counts == {"thesis": 3, "released": 2}


# ------------------------------------------------------------------ what k draws estimate, § 3.2, and Figure 3.1


def test_draws_estimate_the_reconstruction_and_not_the_divergence() -> None:
    """With other draws the loss moves by what the reconstruction moves; the divergence has no draw in it."""
    torch.manual_seed(0)
    model = Autoencoder(recipe("vae", scale="ci")).double().eval()
    x = torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        mean, log_variance = model.posterior(x)
        losses, errors = [], []
        for seed in range(5):
            losses.append(AutoencoderObjective(model).loss(x, torch.Generator().manual_seed(seed)))
            z = sample_posterior(mean, log_variance, torch.Generator().manual_seed(seed))
            errors.append(reconstruction_loss(x, model.decode(z)))
    left = torch.stack(losses) - torch.stack(errors)
    assert torch.stack(errors).std() > 1e-4
    assert model.recipe.kl_weight is not None
    expected = model.recipe.kl_weight * kl_divergence(mean, log_variance).mean()
    torch.testing.assert_close(left, expected.expand_as(left))


class SmallVAE(nn.Module):
    """For digits of 8 × 8."""

    def __init__(self, kl_weight: float) -> None:
        super().__init__()
        self.encoder, self.kl_weight = mlp(64, 128, 128, 16), kl_weight
        self.decoder = nn.Sequential(mlp(8, 128, 128, 64), nn.Sigmoid())

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).unflatten(1, (1, 8, 8))

    def loss(self, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        mean, log_variance = self.encoder(x.flatten(1)).chunk(2, 1)
        rebuilt = self.decode(sample_posterior(mean, log_variance, generator))
        return negative_elbo(x, rebuilt, mean, log_variance, self.kl_weight)


def test_a_larger_weight_helps_samples_and_then_harms_them() -> None:
    """The caption of Figure 3.1 has the first half, the text of § 3.3 the second."""
    digits, unseen = data.load("digits", "train"), data.load("digits", "test")[:][0]
    start = torch.randn(len(unseen), 8, generator=torch.Generator().manual_seed(2))
    of_samples, of_reconstructions = [], []
    for weight in (0.001, 0.1, 3.0):
        torch.manual_seed(0)
        model = SmallVAE(weight)
        plan = Schedule(steps=400, batch_size=100, seed=0)
        fit(primer.LossObjective(model, learning_rate=2e-3), digits, plan, progress=False)
        with torch.no_grad():
            of_samples.append(primer.sample_distance(model.decode(start), unseen))
            rebuilt = model.decode(model.encoder(unseen.flatten(1))[:, :8])
            of_reconstructions.append(primer.sample_distance(rebuilt, unseen))
    small, middle, large = of_samples
    assert middle < 0.8 * min(small, large)
    assert of_reconstructions[2] > 2 * max(of_reconstructions[:2])


# ---------------------------------------------------------------------------------- a half, Eq 3.8 and § 3.4


def test_the_squared_error_as_printed_is_the_likelihood_of_variance_one_half(mean: Tensor) -> None:
    """Not of the identity that § 3.2 sets: beside it, KL weighs half of what the bound gives it."""
    x = torch.zeros_like(mean)
    mean.requires_grad_()

    def slope(loss: Tensor) -> Tensor:
        return torch.autograd.grad(loss.sum(), mean)[0]

    printed = slope((x - mean).square())
    torch.testing.assert_close(printed, slope(-Normal(mean, 0.5**0.5).log_prob(x)))
    torch.testing.assert_close(printed, 2 * slope(-Normal(mean, 1.0).log_prob(x)))


def test_the_size_of_a_code_enters_the_divergence_by_half_its_square(mean: Tensor) -> None:
    """Of § 3.4's ‖μ‖² and Eq 3.11's ½‖z‖² the second is what KL leaves of a constant variance."""
    mean.requires_grad_()
    constant = torch.full_like(mean, math.log(0.7**2))
    (by_kl,) = torch.autograd.grad(kl_divergence(mean, constant).sum(), mean)
    (by_square,) = torch.autograd.grad(mean.square().sum(), mean)
    (by_half,) = torch.autograd.grad(latent_penalty(mean) * len(mean), mean)
    torch.testing.assert_close(by_kl, by_half)
    torch.testing.assert_close(2 * by_kl, by_square)


# ------------------------------------------------------------------------------- a step counted twice, A.1.1


def test_a_derivative_along_the_path_has_the_step_in_it() -> None:
    """|d(z₁) − d(z₂)| is the mean of |∂_t d|, and times the step once more it is no bound for steps below one."""
    slope = torch.tensor([2.0, -1.0, 0.5], dtype=torch.float64)
    z1, step = torch.zeros(3, dtype=torch.float64), torch.tensor([0.06, -0.02, 0.03], dtype=torch.float64)
    t = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    (along,) = torch.autograd.grad(slope @ ((1 - t) * z1 + t * (z1 + step)), t)
    change = (slope @ step).abs()
    torch.testing.assert_close(along.abs(), change)
    assert along.abs() * step.norm() < 0.1 * change  # as printed
    assert slope.norm() * step.norm() >= change  # with ∇_z


# ------------------------------------------------------------------ what the thesis says of its own tables, § 3.8


def test_the_mixture_improves_all_of_table_3_1_but_one() -> None:
    worse, without = [], set()
    for dataset in ("mnist", "cifar-10", "celeba"):
        table = published("3.1", dataset)
        worse += [(name, dataset) for name in table.index if table["mixture"][name] >= table["normal"][name]]
        without |= set(table.index[table["mixture"].isna()])
    assert worse == [("cv-vae", "celeba")]
    assert without == {"2s-vae"}


def test_precision_of_the_vae_falls_in_table_a_2() -> None:
    fell, stayed = [], []
    for dataset in ("mnist", "cifar-10", "celeba"):
        table = published("A.2", dataset)
        for kind in ("precision", "recall"):
            gain = table[f"mixture_{kind}"] - table[f"normal_{kind}"]
            fell += [(name, dataset, kind) for name in table.index if gain[name] < 0]
            stayed += [(name, dataset, kind) for name in table.index if gain[name] == 0]
    assert fell == [("vae", "mnist", "precision"), ("vae", "celeba", "precision")]
    assert stayed == [("vae", "celeba", "recall")]


@pytest.mark.parametrize("name", ["ae", "ae-l2", "rae-l2"])
def test_the_prior_and_a_fitted_gaussian_are_two_columns(name: str) -> None:
    model, images = from_zoo(name, "glyphs"), load("glyphs", "test", limit=400)[:][0]
    codes = encode_all(model, load("glyphs", "train", limit=1000))
    real = statistics_of(classifier_features("glyphs", images))
    prior, fitted = (
        frechet_between(statistics_of(classifier_features("glyphs", decode_all(model, drawn))), real, relative=True)
        for drawn in (
            density.sample(400, torch.Generator().manual_seed(0))
            for density in (standard_normal(codes.shape[1]), fit_gaussian(codes))
        )
    )
    assert prior > 2 * fitted
