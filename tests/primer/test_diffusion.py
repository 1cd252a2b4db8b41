"""Diffusion against Bayes' rule on Gaussians, and against formulas written from the papers, on the same weights."""

import math

import pytest
import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.nets import ImageDenoiser, VectorDenoiser
from teachlib.primer import Diffusion, NoiseSchedule, cosine_schedule, ddim_step, linear_schedule
from teachlib.primer.images import ImageDiffusion

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


@pytest.mark.parametrize("steps", [21, 1000])
def test_schedules_are_the_published_ones(steps: int) -> None:
    """Ho, Jain & Abbeel (2020): a line, for a thousand steps of 10⁻⁴ to 0.02; Nichol & Dhariwal (2021), Eq 17."""
    linear, cosine = linear_schedule(steps).betas * steps / 1000, cosine_schedule(steps)
    assert (linear[0].item(), linear[-1].item()) == pytest.approx((1e-4, 0.02))
    torch.testing.assert_close(linear.diff(), torch.full_like(linear[1:], (0.02 - 1e-4) / (steps - 1)))
    f = [math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(steps + 1)]
    assert cosine.alpha_bars[:-1].tolist() == pytest.approx([value / f[0] for value in f[:-1]], rel=1e-6)
    assert (
        cosine.betas[-1] == 0.999
    )  # without it all signal would be lost, and nothing could be divided by what is left


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


@pytest.mark.parametrize(("steps", "visited"), [(2, [5, 0]), (5, [8, 6, 4, 2, 0]), (None, list(range(9, -1, -1)))])
def test_few_steps_visit_times_that_are_evenly_spaced(steps: int | None, visited: list[int]) -> None:
    seen: list[int] = []
    model = Diffusion(VectorDenoiser(2, width=8), cosine_schedule(10), (2,))
    drawn = model.sample(3, torch.Generator().manual_seed(0), steps=steps, watch=lambda t, x: seen.append(t))
    assert seen == visited
    assert drawn.isfinite().all()
    for wrong in (0, 11):
        with pytest.raises(TeachlibError, match=f"steps={wrong}; expected 1 to 10"):
            model.sample(3, torch.Generator(), steps=wrong)
    with pytest.raises(TeachlibError, match="0 steps; expected 1 or more"):
        cosine_schedule(0)


@pytest.mark.parametrize("predicts", ["noise", "data"])
def test_the_loss_is_the_squared_error_of_what_is_predicted(predicts: str) -> None:
    """By a denoiser that gives back what it sees, x_t = √ᾱ·x₀ + √(1 − ᾱ)·ε."""

    class Echo(nn.Module):
        def forward(self, x_t: Tensor, t: Tensor, labels: Tensor | None) -> Tensor:
            seen.append((x_t, t))
            return x_t

    seen: list[tuple[Tensor, Tensor]] = []
    schedule, x = cosine_schedule(20), torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    model = Diffusion(Echo(), schedule, (1, 2, 2), predicts=predicts, pixels=True)  # type: ignore[arg-type]
    loss, (x_t, share) = model.loss(x, None, torch.Generator().manual_seed(1)), seen[0]
    inside, t = 2 * x - 1, (share * 20).round().long()
    wanted = inside if predicts == "data" else schedule.noise_from_data(x_t, t, inside)
    torch.testing.assert_close(loss, (x_t - wanted).square().mean(), rtol=1e-4, atol=1e-4)


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
    for guidance in (0.5, 3.0):
        expected = without + guidance * (with_class - without)
        assert torch.allclose(model.predict(x_t, t, labels, guidance), expected, atol=1e-5)
    assert not torch.allclose(with_class, without)


class TwoPoints(nn.Module):
    """The best denoiser of data that are −1 or 1 equally often; ``trust`` below 1 makes a worse one of it."""

    def __init__(self, schedule: NoiseSchedule, trust: float = 1.0) -> None:
        super().__init__()
        self.schedule, self.trust, self.unused = schedule, trust, nn.Parameter(torch.zeros(1))

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        alpha_bar = self.schedule.alpha_bars[(t * self.schedule.steps).round().long()].float()[:, None]
        return self.trust * torch.tanh(alpha_bar.sqrt() * x_t / (1 - alpha_bar))


def test_the_bound_stays_below_log_p_and_comes_near_it() -> None:
    """With the best denoiser of a two-point data set."""
    schedule = linear_schedule(1000)
    model = Diffusion(TwoPoints(schedule), schedule, (1,), predicts="data", pixels=True)
    level = torch.randint(2, (4000, 1), generator=torch.Generator().manual_seed(0))
    bound = model.log_prob_bound(level, torch.Generator().manual_seed(1), levels=2).mean().item()
    assert math.log(0.5) - 0.05 < bound < math.log(0.5) + 0.01


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_bound_is_its_terms_by_quadrature(steps: int) -> None:
    """Few and strong steps, a denoiser that is not the best: every term of Eqs 2.5 and 2.6 is large."""
    beta = torch.linspace(0.3, 0.5, steps, dtype=torch.float64)
    schedule = NoiseSchedule(beta)
    net = TwoPoints(schedule, trust=0.8)
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    e = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = normal.log_prob(e).exp() * 16 / 4000
    alpha_bar, x0 = (1 - beta).cumprod(0), 1.0
    last = torch.distributions.Normal(alpha_bar[-1].sqrt() * x0, (1 - alpha_bar[-1]).sqrt())
    expected = -torch.distributions.kl_divergence(last, normal).item()
    for t in range(1, steps + 1):
        now, before = alpha_bar[t - 1], (alpha_bar[t - 2] if t > 1 else torch.ones((), dtype=torch.float64))
        x_t = now.sqrt() * x0 + (1 - now).sqrt() * e
        believed = 0.8 * torch.tanh(now.sqrt() * x_t / (1 - now))
        if t > 1:  # two Gaussians of one variance, whose means differ in the part that x₀ has in them
            variance = (1 - before) / (1 - now) * beta[t - 1]
            means = [before.sqrt() * beta[t - 1] / (1 - now) * x for x in (torch.full_like(e, x0), believed)]
            gaps = [torch.distributions.Normal(mean, variance.sqrt()) for mean in means]
            expected -= (weight * torch.distributions.kl_divergence(*gaps)).sum().item()
        else:  # of the levels 0 and 1 the upper: what a logistic has above the middle
            scale = beta[0].sqrt() / 2 * math.sqrt(3) / math.pi
            expected += (weight * torch.nn.functional.logsigmoid(((believed + 1) / 2 - 0.5) / scale)).sum().item()
    model = Diffusion(net, schedule, (1,), predicts="data", pixels=True)
    bounds = model.log_prob_bound(torch.ones(20_000, 1).long(), torch.Generator().manual_seed(0), levels=2)
    tolerance = 4.5 * bounds.std().item() / math.sqrt(len(bounds)) + 1e-4
    assert tolerance < 0.05
    assert bounds.mean().item() == pytest.approx(expected, abs=tolerance)


class Watched(nn.Module):
    """Believes the data to be a tenth of the label's number, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))
        self.times: list[Tensor] = []
        self.labels: list[Tensor] = []

    def forward(self, x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        self.times.append(t)
        self.labels.append(labels)
        return (labels.to(x_t) / 10)[:, None].expand_as(x_t) + 0 * self.unused


def test_training_visits_all_times_and_hides_one_label_in_ten() -> None:
    net, count = Watched(), 40_000
    model = Diffusion(net, cosine_schedule(5), (2,), classes=4, predicts="data")
    labels = torch.arange(count) % 4
    loss = model.loss(torch.zeros(count, 2), labels, torch.Generator().manual_seed(0))
    share = torch.bincount((net.times[0] * 5).round().long(), minlength=6) / count
    assert share[0] == 0
    assert (share[1:] - 0.2).abs().max() < 4.5 * math.sqrt(0.16 / count)
    hidden = net.labels[0] == 4
    assert hidden.float().mean().item() == pytest.approx(0.1, abs=4.5 * math.sqrt(0.09 / count))
    assert torch.equal(net.labels[0][~hidden], labels[~hidden])
    assert loss.item() == pytest.approx((net.labels[0] / 10).square().mean().item(), rel=1e-5)


def test_samples_are_of_their_class_and_guidance_goes_beyond() -> None:
    model = Diffusion(Watched(), cosine_schedule(5), (2,), classes=4, predicts="data")
    labels, generator = torch.arange(4), torch.Generator()
    for guidance in (1.0, 3.0):
        drawn = model.sample(4, generator, labels, guidance=guidance)
        expected = 0.4 + guidance * (labels / 10 - 0.4)  # "no class" is number 4
        assert torch.allclose(drawn, expected[:, None].expand(4, 2), atol=1e-5)
    assert torch.allclose(model.sample(4, generator), torch.full((4, 2), 0.4), atol=1e-5)
    pixels = Diffusion(Watched(), cosine_schedule(5), (2,), classes=4, predicts="data", pixels=True)
    assert torch.allclose(pixels.sample(4, generator), torch.full((4, 2), 0.7), atol=1e-5)  # of [−1, 1] to [0, 1]


@pytest.mark.parametrize(("steps", "repeatable"), [(None, False), (5, True)])
def test_an_image_model_asked_for_few_steps_walks_without_noise(steps: int | None, repeatable: bool) -> None:
    """After the first draw DDIM asks for no more: the generator is where one draw leaves it."""
    torch.manual_seed(0)
    model = ImageDiffusion((1, 8, 8), 17, width=8, steps=10, classes=0)
    generator, one_draw = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    model.sample(2, generator, steps=steps)
    torch.randn(2, 1, 8, 8, generator=one_draw)
    assert torch.equal(generator.get_state(), one_draw.get_state()) == repeatable


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
    model = Diffusion(VectorDenoiser(2, classes=3), cosine_schedule(10), (2,), classes=3)
    x, t = torch.zeros(4, 2), torch.full((4,), 5)
    with pytest.raises(TeachlibError, match="steps=11; expected 1 to 10"):
        model.sample(2, torch.Generator(), steps=11)
    with pytest.raises(TeachlibError, match="guidance=2 without labels"):
        model.sample(2, torch.Generator(), guidance=2.0)
    with pytest.raises(TeachlibError, match="this model is conditional: pass labels"):
        model.loss(x, None, torch.Generator())
    with pytest.raises(TeachlibError, match="class 3; expected 0 … 2"):
        model.loss(x, torch.arange(4), torch.Generator())
    with pytest.raises(TeachlibError, match="eta=1 draws noise anew"):
        ddim_step(model.schedule, x, x, t, t - 1, eta=1.0)
    with pytest.raises(TeachlibError, match="not whole; expected levels 0 … 16"):
        model.log_prob_bound(torch.full((4, 2), 0.3), torch.Generator(), levels=17)
