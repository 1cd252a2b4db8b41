"""Second stages: they learn what a mismatched prior misses, and say what they cannot take."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from teachlib import rae
from teachlib.errors import TeachlibError
from teachlib.metrics import frechet_between, statistics_of
from teachlib.rae.second_stage import _STEPS, KINDS, Kind, SecondStage
from teachlib.scale import Scale


@pytest.fixture(scope="module")
def codes() -> torch.Tensor:
    """A ring with a correlated third axis: nothing like N(0, I)."""
    generator = torch.Generator().manual_seed(0)
    angle = 2 * math.pi * torch.rand(4_000, generator=generator)
    ring = torch.stack([angle.cos(), angle.sin(), 0.5 * angle.cos()], 1)
    return 3 + 2 * ring + 0.05 * torch.randn(4_000, 3, generator=generator)


def spread_of_radius(z: torch.Tensor) -> float:
    return ((z[:, :2] - 3).norm(dim=1) / 2 - 1).square().mean().sqrt().item()


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_samples_by_hand(kind: Kind) -> None:
    """Negative ELBO of a Gaussian of width γ by torch's densities; of the released kind, means and a weight."""
    torch.manual_seed(0)
    model = SecondStage(3, kind=kind, width=8, kl_weight=0.2)
    model.mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    model.deviation.copy_(torch.tensor([0.5, 2.0, 1.0]))
    with torch.no_grad():
        model.encode_head.weight.mul_(30)
    codes, log_variance = torch.randn(2, 6, 3)
    found = model.loss(codes, log_variance, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    z = (rae.sample_posterior(codes, log_variance, generator) - model.mean) / model.deviation
    mean, spread = model._encode(z)
    assert (spread.abs().max() > 10) == (kind == "dai-wipf")  # the released one is bounded
    if kind == "released":
        assert spread.abs().max() > 9  # by ten
    posterior = Normal(mean, (0.5 * spread).exp())
    rebuilt = model._decode(rae.sample_posterior(mean, spread, generator))
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    exact = divergence - Normal(rebuilt, model.log_gamma.exp()).log_prob(z).sum(1).mean()
    expected = exact if kind == "dai-wipf" else (rebuilt - z).square().mean() + 0.2 * divergence
    torch.testing.assert_close(found, expected)
    drawn, generator = model.sample(5, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(0)
    latent = model._decode(torch.randn(5, 3, generator=generator))
    if kind == "dai-wipf":
        latent = latent + math.exp(-1.5) * torch.randn(5, 3, generator=generator)
    torch.testing.assert_close(drawn, model.mean + model.deviation * latent)


def test_an_axis_without_variance_gets_a_millionth_of_the_widest() -> None:
    codes = torch.tensor([[3.0, 5.0], [-3.0, 5.0], [3.0, 5.0], [-3.0, 5.0]])
    fitted = rae.fit_second_stage(codes, scale="ci", steps=1)
    torch.testing.assert_close(fitted.deviation, torch.tensor([3.0, 3e-6]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_stage_improves_a_mismatched_prior(codes: torch.Tensor, kind: str) -> None:
    generator = torch.Generator().manual_seed(1)
    fitted = rae.fit_second_stage(codes, kind=kind, scale="laptop", steps=900)  # type: ignore[arg-type]
    drawn, prior = fitted.sample(4_000, generator), rae.standard_normal(3).sample(4_000, generator)
    real = statistics_of(codes)
    far, near = (frechet_between(statistics_of(z), real, relative=True) for z in (prior, drawn))
    assert near < 0.05 * far
    if kind == "dai-wipf":  # and beats a Gaussian of the right mean and covariance, which fills the ring
        gaussian = rae.fit_gaussian(codes).sample(4_000, generator)
        assert spread_of_radius(drawn) < 0.5 * spread_of_radius(gaussian)
        assert fitted.log_gamma.exp() < 0.5


def test_it_is_trained_for_the_steps_that_are_asked_for(codes: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[int] = []
    monkeypatch.setattr(
        "teachlib.rae.second_stage.fit", lambda objective, points, plan, **options: plans.append(plan.steps)
    )
    rae.fit_second_stage(codes, scale="ci", steps=3)
    rae.fit_second_stage(codes, scale="ci")
    assert plans == [3, _STEPS[Scale.CI]]


def test_codes_with_a_variance_are_drawn_anew() -> None:
    codes = torch.zeros(500, 2)
    fitted = rae.fit_second_stage(codes, log_variance=torch.full((500, 2), math.log(4.0)), scale="ci", steps=300)
    torch.testing.assert_close(fitted.deviation, torch.full((2,), 2.0))
    drawn = fitted.sample(5_000, torch.Generator().manual_seed(0))
    assert drawn.std().item() == pytest.approx(2.0, rel=0.15)


def test_it_is_the_same_for_the_same_seed_and_leaves_the_global_numbers_alone(codes: torch.Tensor) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    made = [rae.fit_second_stage(codes, scale="ci", seed=seed) for seed in (3, 3, 4)]
    assert torch.equal(before, torch.get_rng_state())
    drawn = [fitted.sample(10, torch.Generator().manual_seed(0)) for fitted in made]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_mistakes_are_explained(codes: torch.Tensor) -> None:
    with pytest.raises(TeachlibError, match="1 codes of 3 dimensions"):
        rae.fit_second_stage(codes[:1])
    with pytest.raises(TeachlibError, match="not finite"):
        rae.fit_second_stage(codes / 0)
    for silent in (torch.full((50, 3), -math.inf), torch.full((50, 3), math.nan)):
        with pytest.raises(TeachlibError, match="expected more than 0, and finite"):
            rae.fit_second_stage(torch.ones(50, 3), log_variance=silent, scale="ci")
    with pytest.raises(TeachlibError, match="unknown second stage 'dai'"):
        rae.fit_second_stage(codes, kind="dai")  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [1e-9, 1e-3, 1e6])
def test_codes_of_any_size_are_seen_at_deviation_one(codes: torch.Tensor, scale: float) -> None:
    plain, scaled = (rae.fit_second_stage(z, scale="ci", steps=1) for z in (codes, scale * codes))
    torch.testing.assert_close(scaled.deviation / scale, plain.deviation)
    drawn, expected = (model.sample(9, torch.Generator().manual_seed(0)) for model in (scaled, plain))
    torch.testing.assert_close(drawn / scale, expected, rtol=1e-3, atol=1e-3)
