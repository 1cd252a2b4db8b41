"""The chapter's losses against torch.distributions, against explicit loops, and each gradient's reach."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Normal
from torch.distributions import kl_divergence as reference_kl

from teachlib import rae
from teachlib.errors import TeachlibError
from teachlib.rae.models import regularized_kernels
from teachlib.rae.recipes import COMBINED
from teachlib.training import make_fabric


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_kl_is_that_of_torch_and_zero_at_the_prior(generator) -> None:
    mean, log_variance = torch.randn(2, 7, 5, generator=generator, dtype=torch.double)
    prior = Normal(torch.zeros(5).double(), torch.ones(5).double())
    expected = reference_kl(Normal(mean, (0.5 * log_variance).exp()), prior).sum(1)
    torch.testing.assert_close(rae.kl_divergence(mean, log_variance), expected)
    assert torch.equal(rae.kl_divergence(torch.zeros(3, 4), torch.zeros(3, 4)), torch.zeros(3))
    x, guess = torch.rand(2, 7, 1, 4, 4, generator=generator, dtype=torch.double)
    bound = (x - guess).square().sum() / 7 + 0.3 * expected.mean()
    torch.testing.assert_close(rae.negative_elbo(x, guess, mean, log_variance, 0.3), bound)


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


def test_constant_variance_kl_is_torchs(generator) -> None:
    mean = torch.randn(5, 3, generator=generator)
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, 0.7), torch.distributions.Normal(0.0, 1.0)
    ).sum(1)
    torch.testing.assert_close(rae.constant_variance_kl(mean, 0.7), theirs)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_mmd_is_unbiased_and_notices_a_shift(kernel: str, generator) -> None:
    same = torch.stack(
        [
            rae.mmd(torch.randn(40, 3, generator=generator), torch.randn(50, 3, generator=generator), kernel=kernel)
            for _ in range(2_000)
        ]
    )
    assert same.mean().abs() < 4.5 * same.std() / math.sqrt(len(same))
    assert (same < 0).float().mean() > 0.3
    shifted = rae.mmd(
        torch.randn(400, 3, generator=generator) + 1, torch.randn(400, 3, generator=generator), kernel=kernel
    )
    assert shifted > 5 * same.std()


KERNELS = {"imq": lambda width, squared: width / (width + squared), "rbf": lambda w, squared: math.exp(-squared / w)}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("deviation", [1.0, 0.6])
def test_mmd_is_its_sum_over_pairs(kernel: str, deviation: float, generator) -> None:
    a, b = torch.randn(4, 2, generator=generator).double(), torch.randn(3, 2, generator=generator).double()

    def k(p: torch.Tensor, q: torch.Tensor) -> float:
        widths = [4 * deviation**2 * s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
        return sum(KERNELS[kernel](width, (p - q).square().sum().item()) for width in widths)

    within_a = sum(k(a[i], a[j]) for i in range(4) for j in range(4) if i != j) / 12
    within_b = sum(k(b[i], b[j]) for i in range(3) for j in range(3) if i != j) / 6
    across = sum(k(p, q) for p in a for q in b) / 12
    found = rae.mmd(a, b, kernel=kernel, deviation=deviation)
    assert found.item() == pytest.approx(within_a + within_b - 2 * across)


def test_mmd_keeps_its_digits_far_from_the_origin(generator) -> None:
    a, b = torch.randn(4, 2, generator=generator).double(), torch.randn(3, 2, generator=generator).double()
    apart = torch.where(torch.arange(40) < 20, 2.0**16, -(2.0**16)).double()[:, None]  # no origin is near to both
    c, d = apart + torch.randint(8, (2, 40, 2), generator=generator).double() / 8
    assert rae.mmd(c.float(), d.float()).item() == pytest.approx(rae.mmd(c, d).item(), rel=1e-4)
    far = torch.tensor([1e4, -1e4])  # where squares of single precision have lost the distances
    assert rae.mmd((a + far).float(), (b + far).float()).item() == pytest.approx(rae.mmd(a, b).item(), rel=0.01)


def test_shapes_and_sizes_that_mean_nothing_are_refused(generator) -> None:
    x = torch.rand(4, 1, 8, 8, generator=generator)
    for loss, arguments in (
        (rae.reconstruction_loss, (x, x[:1])),
        (rae.reconstruction_loss, (x[:0], x[:0])),
        (rae.kl_divergence, (torch.zeros(4, 2), torch.zeros(4, 1))),
        (rae.mmd, (torch.zeros(4, 2), torch.zeros(4, 1))),
        (rae.mmd, (torch.zeros(4, 2, 1), torch.zeros(4, 2, 1))),
    ):
        with pytest.raises(TeachlibError, match="expected"):
            loss(*arguments)
    with pytest.raises(TeachlibError, match=r"deviation is 0\.0; expected more than 0"):
        rae.mmd(torch.zeros(4, 2), torch.zeros(4, 2), deviation=0.0)
    with pytest.raises(TeachlibError, match="samples of 1 and 4"):
        rae.mmd(torch.zeros(1, 2), torch.zeros(4, 2))
    with pytest.raises(TeachlibError, match="rae-l2: its encoder emits points"):
        rae.Autoencoder(rae.recipe("rae-l2", scale="ci")).posterior(x)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"width": 0}, "width is 0; expected at least 1"),
        ({"learning_rate": -1.0}, "learning_rate is -1.0; expected more than 0"),
        ({"gradient_share": 0.0}, "gradient_share is 0.0; expected more than 0"),
        ({"kernel": "foo"}, "unknown kernel 'foo'"),
        ({"kl_weight": float("nan")}, "kl_weight is nan; expected at least 0"),
    ],
)
def test_a_changed_recipe_is_checked_too(change: dict, words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        replace(rae.recipe("wae", scale="ci"), **change)


@pytest.mark.parametrize("variant", ["thesis", "released"])
def test_the_gradient_penalty_trains_in_mixed_precision(variant: str) -> None:
    recipe = rae.recipe("rae-gp", scale="ci", variant=variant, width=2, steps=2)
    _, history = rae.train(recipe, fabric=make_fabric(precision="bf16-mixed"), log_every=1, progress=False)
    assert math.isfinite(history.lines[-1]["validation"])


def test_k_draws_average_to_the_same_loss_with_less_variance(generator) -> None:
    torch.manual_seed(0)
    model = rae.Autoencoder(rae.recipe("vae", scale="ci")).eval()
    x = torch.rand(4, 1, 32, 32, generator=generator)
    losses = {}
    for draws in (1, 10):
        model.recipe = replace(model.recipe, draws=draws)
        objective = rae.AutoencoderObjective(model)
        with torch.no_grad():
            losses[draws] = torch.stack([objective.loss(x, generator) for _ in range(200)])
    ratio = losses[1].var() / losses[10].var()
    assert 6 < ratio < 16
    assert abs(losses[1].mean() - losses[10].mean()) < 4.5 * losses[1].std() / math.sqrt(200)


def test_wae_is_reconstruction_and_discrepancy(generator) -> None:
    torch.manual_seed(0)
    model = rae.Autoencoder(rae.recipe("wae", scale="ci")).eval()
    x = torch.rand(8, 1, 32, 32, generator=generator)
    with torch.no_grad():
        z = model.encode(x)
        prior = torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
        expected = rae.reconstruction_loss(x, model.decode(z)) + 30.72 * rae.mmd(z, prior)
        found = rae.AutoencoderObjective(model).loss(x, torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, expected)


def test_a_constant_variance_vae_adds_that_much_noise(generator) -> None:
    torch.manual_seed(0)
    model = rae.Autoencoder(rae.recipe("cv-vae", scale="ci")).eval()
    x = torch.rand(8, 1, 32, 32, generator=generator)
    with torch.no_grad():
        z = model.encode(x)
        noisy = z + 0.7 * torch.randn(z.shape, generator=torch.Generator().manual_seed(3))
        expected = rae.reconstruction_loss(x, model.decode(noisy))
        expected = expected + 0.039 * rae.constant_variance_kl(z, 0.7).mean()
        found = rae.AutoencoderObjective(model).loss(x, torch.Generator().manual_seed(3))
    torch.testing.assert_close(found, expected)


def test_recipes_of_the_three_data_sets_have_the_published_weights() -> None:
    grey, colour = rae.recipe("rae-l2", "mnist", scale="paper"), rae.recipe("rae-l2", "cifar-10", scale="paper")
    assert (grey.latent, colour.latent, grey.steps, colour.steps) == (16, 128, 50_000, 40_000)
    assert colour.lambda_ == pytest.approx(3072 * 1e-6)
    assert colour.beta == pytest.approx(3072 * 1e-3 * 2 / 128)
    released = rae.recipe("wae", "cifar-10", scale="paper", variant="released")
    assert (released.mmd_weight, released.steps, released.learning_rate) == (6e-3, 28_000, 1e-3)
    assert rae.recipe("rae-sn", "mnist", variant="released").beta == 9e-3
    assert rae.recipe("vae", "cifar-10").kl_weight == pytest.approx(3 * 0.024)  # beside a sum over channels, not a mean
    assert {name: rae.recipe(name).spectral for name in ("rae", "rae-sn", "rae-l2-sn-gp")} == {
        "rae": False, "rae-sn": True, "rae-l2-sn-gp": True}  # fmt: skip
    with pytest.raises(TeachlibError, match="nothing of the combinations was released"):
        rae.recipe("rae-gp-l2", variant="released")


def test_released_networks_start_and_normalize_as_keras_does() -> None:
    model = rae.Autoencoder(rae.recipe("rae-sn", scale="ci", variant="released"))
    norms = [layer for layer in model.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.01, 1e-3)}
    normalized = [name for name, _ in model.named_parameters() if name.endswith("original")]
    assert any(name.startswith("encoder") for name in normalized)
    thesis = rae.Autoencoder(rae.recipe("rae-sn", scale="ci"))
    assert not any(n.startswith("encoder") for n, _ in thesis.named_parameters() if n.endswith("original"))


@pytest.mark.parametrize("name", ["rae-gp", "wae", "cv-vae"])
def test_colour_images_pass(name: str, generator) -> None:
    for dataset, shape in (("cifar-10", (3, 32, 32)),):
        objective = rae.AutoencoderObjective(rae.Autoencoder(rae.recipe(name, dataset, scale="ci")))
        loss = objective.loss(torch.rand(4, *shape, generator=generator), generator)
        loss.backward()
        assert loss.isfinite()


@pytest.mark.parametrize("deviation", [0.0, -1.0])
def test_a_constant_deviation_that_is_none_is_refused(deviation: float) -> None:
    with pytest.raises(TeachlibError, match=r"deviation is .*; expected more than 0"):
        rae.constant_variance_kl(torch.zeros(2, 3), deviation)
