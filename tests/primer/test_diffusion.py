"""Diffusion against Bayes' rule on Gaussians, and against formulas written from the papers, on the same weights."""

import math

import pytest
import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.nets import ImageDenoiser, VectorDenoiser
from teachlib.primer import Diffusion, NoiseSchedule, cosine_schedule, ddim_step, linear_schedule

SCHEDULES = {"linear": linear_schedule, "cosine": cosine_schedule}


@pytest.mark.parametrize("name", SCHEDULES)
def test_one_step_equals_many(name: str) -> None:
    """Eq 2.4 composed t times, as exact means and variances, is the closed form."""
    schedule = SCHEDULES[name](50)
    mean, variance = 1.0, 0.0
    for t in range(1, 51):
        beta = schedule.betas[t - 1].item()
        mean, variance = math.sqrt(1 - beta) * mean, (1 - beta) * variance + beta
        alpha_bar = schedule.alpha_bars[t].item()
        assert mean == pytest.approx(math.sqrt(alpha_bar), rel=1e-9)
        assert variance == pytest.approx(1 - alpha_bar, rel=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
def test_all_noise_at_the_end_and_none_at_the_start(name: str) -> None:
    schedule = SCHEDULES[name](1000)
    assert schedule.alpha_bars[0] == 1
    assert schedule.alpha_bars[-1] < 1e-3
    assert (schedule.betas > 0).all()
    assert (schedule.betas < 1).all()


def test_posterior_is_bayes_rule() -> None:
    schedule = linear_schedule(40)
    for t in (1, 2, 17, 40):
        x0, x_t = 0.7, -0.4
        beta, before = schedule.betas[t - 1].item(), schedule.alpha_bars[t - 1].item()
        time = torch.tensor([t])
        mean, variance = schedule.posterior(torch.tensor([x0]), torch.tensor([x_t]), time)
        if t == 1:
            assert (mean.item(), variance.item()) == pytest.approx((x0, 0.0), abs=1e-6)
            continue
        # prior N(√ᾱ·x0, 1 − ᾱ) of x_{t−1}, likelihood N(x_t; √(1 − β)·x_{t−1}, β): precisions add.
        precision = 1 / (1 - before) + (1 - beta) / beta
        expected = (math.sqrt(before) * x0 / (1 - before) + math.sqrt(1 - beta) * x_t / beta) / precision
        assert mean.item() == pytest.approx(expected, rel=1e-5)
        assert variance.item() == pytest.approx(1 / precision, rel=1e-5)


def test_noise_and_data_are_two_ways_to_say_the_same() -> None:
    schedule, x0, noise = cosine_schedule(100), torch.randn(8, 3), torch.randn(8, 3)
    t = torch.randint(1, 100, (8,))
    x_t = schedule.diffuse(x0, t, noise)
    assert torch.allclose(schedule.data_from_noise(x_t, t, noise), x0, atol=1e-3)
    assert torch.allclose(schedule.noise_from_data(x_t, t, x0), noise, atol=1e-3)


def test_ancestral_step_is_a_draw_from_the_posterior() -> None:
    schedule, x0, x_t, noise = linear_schedule(100), torch.randn(5, 2), torch.randn(5, 2), torch.randn(5, 2)
    for t in (2, 50, 100):
        time = torch.full((5,), t)
        mean, variance = schedule.posterior(x0, x_t, time)
        found = ddim_step(schedule, x_t, x0, time, time - 1, eta=1.0, noise=noise)
        assert torch.allclose(found, mean + variance.sqrt() * noise, atol=1e-5)


class KnownDenoiser(nn.Module):
    """The best one for data from N(m, s²): E[x₀ | x_t] is linear in x_t."""

    def __init__(self, schedule: NoiseSchedule, mean: float, deviation: float) -> None:
        super().__init__()
        self.schedule, self.mean, self.variance = schedule, mean, deviation**2
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        alpha_bar = self.schedule.alpha_bars[(t * self.schedule.steps).round().long()].float()[:, None]
        gain = alpha_bar.sqrt() * self.variance / (alpha_bar * self.variance + 1 - alpha_bar)
        return self.mean + gain * (x_t - alpha_bar.sqrt() * self.mean)


@pytest.mark.parametrize(("eta", "steps"), [(1.0, None), (0.0, None), (0.0, 50), (0.5, 100)])
def test_samplers_reach_the_data_with_the_best_denoiser(eta: float, steps: int | None) -> None:
    schedule = cosine_schedule(200)
    model = Diffusion(KnownDenoiser(schedule, 2.0, 0.5), schedule, (1,), predicts="data")
    x = model.sample(20_000, torch.Generator().manual_seed(0), steps=steps, eta=eta)
    assert x.mean().item() == pytest.approx(2.0, abs=0.02)
    assert x.std().item() == pytest.approx(0.5, abs=0.03)


def test_sampling_agrees_with_the_papers_formulas_on_the_same_weights() -> None:
    """Ho et al.'s Algorithm 2 and Song et al.'s Eq 12, written out plainly, with the same noise."""
    schedule = linear_schedule(30)
    model = Diffusion(VectorDenoiser(3, width=16), schedule, (3,)).double().eval()
    beta = schedule.betas
    alpha_bar = (1 - beta).cumprod(0)
    for eta in (1.0, 0.0):
        generator = torch.Generator().manual_seed(1)
        x = torch.randn(4, 3, generator=generator).double()
        model_start = x.clone()
        noises = [torch.randn(4, 3, generator=generator).double() for _ in range(29)]
        for i in range(29, -1, -1):
            with torch.no_grad():
                eps = model.denoiser(x, torch.full((4,), (i + 1) / 30, dtype=torch.float64), None)
            if eta:
                mean = (x - beta[i] / (1 - alpha_bar[i]).sqrt() * eps) / (1 - beta[i]).sqrt()
                before = alpha_bar[i - 1] if i else torch.ones(())
                deviation = (beta[i] * (1 - before) / (1 - alpha_bar[i])).sqrt()
                x = mean + deviation * noises[29 - i] if i else mean
            else:
                x0 = (x - (1 - alpha_bar[i]).sqrt() * eps) / alpha_bar[i].sqrt()
                before = alpha_bar[i - 1] if i else torch.ones(())
                x = before.sqrt() * x0 + (1 - before).sqrt() * eps
        ours = model_start
        for t in range(30, 0, -1):
            time = torch.full((4,), t)
            with torch.no_grad():
                x0 = model.predict(ours, time)
            noise = noises[30 - t] if eta and t > 1 else None
            ours = ddim_step(schedule, ours, x0, time, time - 1, eta=eta, noise=noise)
        assert torch.allclose(ours, x, atol=1e-5)


def test_guidance_is_an_extrapolation_in_the_prediction() -> None:
    model = Diffusion(VectorDenoiser(2, width=8, classes=3), cosine_schedule(10), (2,), classes=3, predicts="data")
    x_t, t, labels = torch.randn(5, 2), torch.full((5,), 5), torch.arange(5) % 3
    with_class, without = model.predict(x_t, t, labels), model.predict(x_t, t, None)
    assert torch.allclose(model.predict(x_t, t, labels, 3.0), without + 3 * (with_class - without), atol=1e-5)
    assert not torch.allclose(with_class, without)


def test_the_bound_is_tight_for_one_gaussian_pixel_and_below_log_p() -> None:
    """The best denoiser of a two-point data set: the bound stays below the true log-probability, and near it."""

    class TwoPoints(nn.Module):
        def __init__(self, schedule: NoiseSchedule) -> None:
            super().__init__()
            self.schedule, self.unused = schedule, nn.Parameter(torch.zeros(1))

        def forward(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
            alpha_bar = self.schedule.alpha_bars[(t * self.schedule.steps).round().long()].float()[:, None]
            return torch.tanh(alpha_bar.sqrt() * x_t / (1 - alpha_bar))

    schedule = linear_schedule(1000)
    model = Diffusion(TwoPoints(schedule), schedule, (1,), predicts="data", pixels=True)
    level = torch.randint(2, (4000, 1), generator=torch.Generator().manual_seed(0))
    bound = model.log_prob_bound(level, torch.Generator().manual_seed(1), levels=2, draws=200).mean().item()
    assert math.log(0.5) - 0.05 < bound < math.log(0.5) + 0.01


@pytest.mark.parametrize("classes", [0, 3])
def test_every_parameter_of_the_nets_gets_a_gradient(classes: int) -> None:
    for net, shape in (
        (VectorDenoiser(4, width=16, classes=classes), (4,)),
        (ImageDenoiser(width=8, classes=classes), (1, 8, 8)),
    ):
        # The U-Net's last layer starts at zero and hides the rest from the first gradient.
        for parameter in net.parameters():
            nn.init.normal_(parameter, std=0.1)
        model = Diffusion(net, cosine_schedule(20), shape, classes=classes)
        x, labels = torch.rand(16, *shape), torch.arange(16) % 3
        model.loss(x, labels if classes else None, torch.Generator().manual_seed(0)).backward()
        assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.abs().sum() > 0 for p in net.parameters())


def test_mistakes_are_explained() -> None:
    with pytest.raises(TeachlibError, match="the linear schedule needs more than 20"):
        linear_schedule(10)
    with pytest.raises(TeachlibError, match="unknown prediction 'velocity'"):
        Diffusion(VectorDenoiser(2), cosine_schedule(10), (2,), predicts="velocity")  # type: ignore[arg-type]
