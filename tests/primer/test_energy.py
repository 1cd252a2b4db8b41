"""Energies: each way around the constant against a case where the constant is known."""

import math

import pytest
import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.primer import (
    EnergyModel,
    EnergyNet,
    contrastive_divergence_loss,
    denoising_score_matching_loss,
    langevin,
    mala,
    noise_contrastive_loss,
    score,
    sliced_score_matching_loss,
)

LINE = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
CELL = 24 / 4000


def quartic(theta: Tensor, x: Tensor) -> Tensor:
    """f(x) = a·x² + b·x⁴ − c·x: normalizable, and not Gaussian."""
    return theta[0] * x[:, 0] ** 2 + theta[1] * x[:, 0] ** 4 - theta[2] * x[:, 0]


@pytest.fixture
def theta() -> Tensor:
    return torch.tensor([-0.5, 0.2, 0.3], dtype=torch.float64, requires_grad=True)


def density(theta: Tensor) -> Tensor:
    weight = (-quartic(theta, LINE)).exp()
    return (weight / (weight.sum() * CELL)).detach()


def log_z(theta: Tensor) -> Tensor:
    return ((-quartic(theta, LINE)).exp().sum() * CELL).log()


def test_gradient_of_log_z_is_minus_the_mean_gradient_of_the_energy(theta: Tensor) -> None:
    (true,) = torch.autograd.grad(log_z(theta), theta)
    p = density(theta)
    (right,) = torch.autograd.grad(-(p * quartic(theta, LINE)).sum() * CELL, theta)
    # As printed in the thesis after Eq 2.9: the gradient of exp(−f) in place of that of f.
    (printed,) = torch.autograd.grad(-(p * (-quartic(theta, LINE)).exp()).sum() * CELL, theta)
    assert torch.allclose(true, right, rtol=1e-8)
    assert (true - printed).abs().max() > 0.1


def test_contrastive_divergence_with_exact_samples_is_the_likelihoods_gradient(theta: Tensor) -> None:
    data = torch.tensor([[0.5], [-1.2], [2.0]], dtype=torch.float64)
    (exact,) = torch.autograd.grad(quartic(theta, data).mean() + log_z(theta), theta)
    inverse_cdf = (density(theta) * CELL).cumsum(0)
    places = torch.searchsorted(inverse_cdf, (torch.arange(100_000, dtype=torch.float64) + 0.5) / 100_000)
    samples = LINE[places.clamp(max=4000)]
    loss = contrastive_divergence_loss(lambda x: quartic(theta, x), data, samples)
    (found,) = torch.autograd.grad(loss, theta)
    assert torch.allclose(found, exact, atol=5e-3)


def test_an_energy_is_confined_by_half_the_squared_norm() -> None:
    net, x = EnergyNet(2, width=8, confining=0.3), torch.tensor([[3.0, 4.0], [0.1, 0.0]])
    torch.testing.assert_close(net(x) - net.net(x)[:, 0], torch.tensor([3.75, 0.0015]))
    drawn = torch.randn(9, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(EnergyModel(net, "cd", chains=9, spread=1.5).chains, 1.5 * drawn)


def test_sliced_score_matching_by_hand() -> None:
    """f = xᵀAx/2 has the score −Ax: E[−vᵀAv + ½(vᵀAx)²] over the directions that the seed gives."""
    a = torch.tensor([[2.0, 0.5], [0.5, 1.0]])
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(1))
    v = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
    loss = sliced_score_matching_loss(
        lambda at: 0.5 * (at @ a * at).sum(1), x, torch.Generator().manual_seed(0), slices=2
    )
    expected = -(v @ a * v).sum(1) + 0.5 * (v * (x.repeat(2, 1) @ a)).sum(1).square()
    torch.testing.assert_close(loss, expected.mean())


def test_score_is_the_gradient_of_log_p(theta: Tensor) -> None:
    x = torch.tensor([[0.3], [-1.0]], dtype=torch.float64)
    expected = -(2 * theta[0] * x + 4 * theta[1] * x**3 - theta[2])
    assert torch.allclose(score(lambda at: quartic(theta, at), x), expected)


class Gaussian(nn.Module):
    """f of N(m, s²) in one dimension, with both learned."""

    def __init__(self) -> None:
        super().__init__()
        self.mean, self.log_deviation = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))
        self.log_constant = nn.Parameter(torch.tensor(0.0))

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * ((x[:, 0] - self.mean) * (-self.log_deviation).exp()).square()

    def log_prob(self, x: Tensor) -> Tensor:
        return -self(x) - self.log_constant


def minimize(model: nn.Module, loss: object, steps: int = 400) -> None:
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=steps, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss()  # type: ignore[operator]
        value.backward()
        return value

    optimizer.step(closure)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sample() -> Tensor:
    return 1.5 + 0.8 * torch.randn(100_000, 1, generator=torch.Generator().manual_seed(0))


def test_denoising_score_matching_finds_the_smoothed_density(sample: Tensor) -> None:
    model = Gaussian()
    generator = torch.Generator()
    minimize(model, lambda: denoising_score_matching_loss(model, sample, generator.manual_seed(1), deviation=0.6))
    assert model.mean.item() == pytest.approx(1.5, abs=0.03)
    # Not 0.8: the noise is part of what is modelled.
    assert model.log_deviation.exp().item() == pytest.approx(math.hypot(0.8, 0.6), abs=0.02)


def test_denoising_score_matching_is_least_at_the_smoothed_score() -> None:
    """For two points smoothed by σ the score is known; any other energy has a larger loss, by Fisher's divergence."""
    points = torch.tensor([[-1.0], [1.0]]).repeat(20_000, 1)
    deviation = 0.7

    def smoothed(x: Tensor, shift: float = 0.0) -> Tensor:
        both = torch.cat([-((x - 1 - shift) ** 2), -((x + 1 - shift) ** 2)], 1) / (2 * deviation**2)
        return -torch.logsumexp(both, 1)

    losses, generator = {}, torch.Generator()
    for shift in (-0.3, 0.0, 0.3):
        energy = lambda x, shift=shift: smoothed(x, shift)  # noqa: E731
        losses[shift] = denoising_score_matching_loss(
            energy, points, generator.manual_seed(0), deviation=deviation
        ).item()
    assert losses[0.0] < min(losses[-0.3], losses[0.3])
    x = points + deviation * torch.randn(points.shape, generator=generator.manual_seed(0))
    gap = 0.5 * (score(smoothed, x) - score(lambda at: smoothed(at, 0.3), x)).square().mean().item()
    assert losses[0.3] - losses[0.0] == pytest.approx(gap, abs=0.02)


def test_sliced_score_matching_finds_the_density_itself(sample: Tensor) -> None:
    model = Gaussian()
    generator = torch.Generator()
    minimize(model, lambda: sliced_score_matching_loss(model, sample, generator.manual_seed(1)))
    assert model.mean.item() == pytest.approx(1.5, abs=0.02)
    assert model.log_deviation.exp().item() == pytest.approx(0.8, abs=0.02)


def test_noise_contrastive_estimation_recovers_the_constant(sample: Tensor) -> None:
    model = Gaussian()
    noise = torch.distributions.Normal(1.0, 1.5)
    drawn = 1.0 + 1.5 * torch.randn(sample.shape, generator=torch.Generator().manual_seed(1))
    minimize(
        model,
        lambda: noise_contrastive_loss(model.log_prob, lambda x: noise.log_prob(x)[:, 0], sample, drawn),
    )
    assert model.mean.item() == pytest.approx(1.5, abs=0.03)
    assert model.log_deviation.exp().item() == pytest.approx(0.8, abs=0.03)
    assert model.log_constant.item() == pytest.approx(math.log(0.8 * math.sqrt(2 * math.pi)), abs=0.03)


def bimodal(x: Tensor) -> Tensor:
    return -torch.logsumexp(torch.stack([-((x[:, 0] - 1) ** 2), -((x[:, 0] + 1) ** 2)]) / (2 * 0.49), 0)


def kolmogorov_smirnov(x: Tensor) -> float:
    """√n times the largest distance of empirical and true distribution functions of the bimodal density."""
    normal = torch.distributions.Normal(torch.tensor([-1.0, 1.0]), 0.7)
    cdf = normal.cdf(x.sort().values[:, None]).mean(1)
    rank = torch.arange(1, len(x) + 1) / len(x)
    return math.sqrt(len(x)) * torch.maximum((cdf - rank).abs(), (cdf - rank + 1 / len(x)).abs()).max().item()


def start(count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    side = 2.0 * torch.randint(2, (count, 1), generator=generator) - 1
    return side + 0.7 * torch.randn(count, 1, generator=generator)


def test_mala_leaves_its_target_unchanged_and_plain_langevin_does_not() -> None:
    """Kolmogorov and Smirnov at level 10⁻³ (1.95), from exact draws: 20,000 of them find a bias of 2 % in the

    distribution function with power above 0.99, as the unadjusted chain of the same step size shows.
    """
    x = start(20_000)
    assert kolmogorov_smirnov(x[:, 0]) < 1.95
    moved, accepted = mala(bimodal, x, torch.Generator().manual_seed(1), steps=50, step_size=0.5)
    assert 0.3 < accepted < 0.95
    assert (moved - x).abs().mean() > 0.3
    assert kolmogorov_smirnov(moved[:, 0]) < 1.95
    biased = langevin(bimodal, x, torch.Generator().manual_seed(1), steps=50, step_size=0.5)
    assert kolmogorov_smirnov(biased[:, 0]) > 1.95


def test_a_step_of_langevin_by_hand(theta: Tensor) -> None:
    """x − η·f′(x) + √(2η)·ε."""
    x = torch.tensor([[0.3], [-1.0], [2.0]], dtype=torch.float64)
    slope = 2 * theta[0] * x + 4 * theta[1] * x**3 - theta[2]
    expected = x - 0.02 * slope + 0.2 * torch.randn(3, 1, generator=torch.Generator().manual_seed(0))
    found = langevin(lambda at: quartic(theta, at), x, torch.Generator().manual_seed(0), steps=1, step_size=0.02)
    torch.testing.assert_close(found, expected.detach())
    moved, taken = mala(lambda at: quartic(theta, at), x, torch.Generator().manual_seed(0), steps=1, step_size=0.02)
    stayed = (moved == x).all(1)
    assert taken == pytest.approx(1 - stayed.double().mean().item())
    assert not stayed.all()
    torch.testing.assert_close(moved[~stayed], expected[~stayed].detach())


def test_langevin_with_small_steps_reaches_the_density_from_elsewhere() -> None:
    x = langevin(bimodal, torch.zeros(4000, 1), torch.Generator().manual_seed(0), steps=2000, step_size=0.005)
    assert kolmogorov_smirnov(x[:, 0]) < 2.5


@pytest.mark.parametrize("method", EnergyModel.METHODS)
def test_each_method_gives_gradients_to_the_energy(method: str) -> None:
    model = EnergyModel(EnergyNet(2, width=16), method, steps=2)
    before = model.chains.clone()
    model.loss(torch.randn(32, 2), None, torch.Generator().manual_seed(0)).backward()
    weights = list(model.energy.net.parameters())
    reached = [p.grad is not None and p.grad.abs().sum() > 0 for p in weights]
    # The last bias shifts all energies alike, which only the learned constant could notice.
    assert all(reached[:-1])
    assert (model.energy.log_constant.grad is not None) == (method == "nce")
    assert torch.equal(before, model.chains) == (method != "persistent")


class Round(EnergyNet):
    """½·c·‖x‖², without a network."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * self.confining * x.square().sum(1) + 0 * self.net(x)[:, 0]


def test_the_noise_of_nce_is_as_wide_as_its_density_says() -> None:
    """The loss of a fixed energy on N(0, spread²) noise, by quadrature."""
    model, spread = EnergyModel(Round(1, confining=1.0), "nce", spread=3.0), 3.0
    x = torch.full((200_000, 1), 0.7)
    found = model.loss(x, None, torch.Generator().manual_seed(0)).item()
    noise = torch.distributions.Normal(0.0, spread)
    line = torch.linspace(-30, 30, 20_001)
    ratio = -0.5 * line.square() - noise.log_prob(line)
    on_noise = (noise.log_prob(line).exp() * torch.nn.functional.softplus(ratio)).sum().item() * 60 / 20_000
    on_real = math.log1p(math.exp(0.5 * 0.7**2 + noise.log_prob(torch.tensor(0.7)).item()))
    assert found == pytest.approx(on_noise + on_real, abs=5e-3)


def test_samples_of_an_energy_start_broad_and_end_at_its_density() -> None:
    model = EnergyModel(Round(1, width=2, confining=4.0), "cd", spread=3.0, step_size=0.02)
    generator = torch.Generator().manual_seed(0)
    assert model.sample(20_000, generator, steps=0).std().item() == pytest.approx(3.0, abs=0.05)
    assert model.sample(20_000, generator).std().item() == pytest.approx(0.5, abs=0.02)


def test_contrastive_divergence_keeps_energies_small() -> None:
    """Chains of no steps end where they start, so that nothing but the penalty is left."""
    model, x = EnergyModel(Round(1, confining=1.0), "cd", steps=0), torch.full((5, 1), 2.0)
    assert model.loss(x, None, torch.Generator()).item() == pytest.approx(1e-3 * (2.0**2 + 2.0**2))


@pytest.mark.parametrize("training", [True, False])
def test_persistent_chains_move_in_training_alone(training: bool) -> None:
    model = EnergyModel(EnergyNet(2, width=8), "persistent", steps=1).train(training)
    before = model.chains.clone()
    with torch.set_grad_enabled(training):
        model.loss(torch.randn(32, 2), None, torch.Generator().manual_seed(0))
    assert (~torch.eq(before, model.chains).all(1)).sum().item() == (32 if training else 0)


@pytest.mark.parametrize("method", EnergyModel.METHODS)
def test_losses_can_be_read_without_gradients(method: str) -> None:
    model = EnergyModel(EnergyNet(2, width=8), method, steps=1).eval()
    x = torch.randn(32, 2)
    with torch.no_grad():
        loss = model.loss(x, None, torch.Generator().manual_seed(0))
    torch.testing.assert_close(loss, model.loss(x, None, torch.Generator().manual_seed(0)).detach())


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(TeachlibError, match="unknown method 'persistant'; did you mean 'persistent'"):
        EnergyModel(EnergyNet(2), "persistant")


def test_images_are_no_points() -> None:
    """Chains and losses sum over one axis: of an image each row would have a verdict of its own."""
    images = torch.randn(2, 1, 3, 3)
    with pytest.raises(TeachlibError, match=r"expected floating numbers, \(N, d\): flatten images"):
        score(lambda x: x.square().flatten(1).sum(1), images)
    with pytest.raises(TeachlibError, match="step_size is -1"):
        langevin(lambda x: x.square().sum(1), torch.zeros(2, 3), torch.Generator(), steps=1, step_size=-1.0)
