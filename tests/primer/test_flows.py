"""Flows: log-determinants against Jacobians, inverses, and zuko on the same weights."""

import math
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import pytest
import torch
import zuko
from torch import nn

from teachlib.errors import TeachlibError
from teachlib.primer import Glow, coupling_flow, spline
from teachlib.primer.flows import BINS, EDGE, Affine, Coupling, Logit, Shuffle, Step
from teachlib.primer.glow import ImageCoupling, InvertibleConvolution


def stirred(module: nn.Module, seed: int = 0) -> nn.Module:
    """Away from its start as the identity, in float64."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


STEPS = {
    "affine coupling": lambda: Coupling(5, swap=False),
    "affine coupling, swapped": lambda: Coupling(5, swap=True),
    "spline coupling": lambda: Coupling(5, swap=False, kind="spline"),
    "scale": lambda: Affine(5),
    "shuffle": lambda: Shuffle(5, seed=0),
    "logit": lambda: Logit(),
    "scale of channels": lambda: Affine(2),
    "1×1 convolution": lambda: InvertibleConvolution(2, seed=0),
    "image coupling": lambda: ImageCoupling(2, width=4),
}
IMAGES = {"scale of channels", "1×1 convolution", "image coupling"}


@pytest.mark.parametrize("name", STEPS)
def test_log_determinants_and_inverses(name: str) -> None:
    step = stirred(STEPS[name]())
    assert isinstance(step, Step)
    shape = (2, 2, 3) if name in IMAGES else (5,)
    x = torch.rand(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = x if name == "logit" else 4 * x - 2
    z, log_det = step(x)
    for row in range(len(x)):
        jacobian = torch.autograd.functional.jacobian(lambda at: step(at[None])[0][0], x[row])
        size = x[row].numel()
        assert log_det[row].item() == pytest.approx(torch.linalg.slogdet(jacobian.view(size, size))[1].item(), abs=1e-5)
    assert torch.allclose(step.inverse(z), x, atol=1e-8)


def test_a_coupling_starts_as_the_identity() -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    for kind in ("affine", "spline"):
        z, log_det = Coupling(4, swap=False, kind=kind)(x)
        assert torch.allclose(z, x, atol=1e-5)
        assert log_det.abs().max() < 1e-4


def test_the_scale_is_set_by_the_first_batch_only() -> None:
    step, x = Affine(3), 5 + 2 * torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
    z, _ = step(x)
    assert z.mean(0).abs().max() < 1e-5
    assert (z.std(0, unbiased=False) - 1).abs().max() < 1e-5
    again, _ = step(x + 1)
    assert (again.mean(0) - 0.5).abs().max() < 0.1


def test_splines_are_monotone_and_the_identity_outside() -> None:
    generator = torch.Generator().manual_seed(2)
    settings = torch.randn(1, 1, 3 * BINS - 1, generator=generator).expand(1000, 1, -1).double()
    x = torch.linspace(-6, 6, 1000, dtype=torch.float64)[:, None]
    y, log_slope = spline(x, settings)
    assert (y.diff(dim=0) > 0).all()
    assert torch.equal(y[x.abs() >= 4], x[x.abs() >= 4])
    slope = torch.gradient(y[:, 0], spacing=(x[:, 0],))[0]
    assert (slope.log() - log_slope[:, 0]).abs().median() < 1e-3


def test_spline_agrees_with_zuko_on_the_same_knots() -> None:
    generator = torch.Generator().manual_seed(3)
    settings = torch.randn(50, 2, 3 * BINS - 1, generator=generator, dtype=torch.float64)
    x = 3 * torch.randn(50, 2, generator=generator, dtype=torch.float64)
    widths, heights, slopes = settings.split([BINS, BINS, BINS - 1], -1)
    limit = math.log(1e-30)

    def unsquashed(wanted: torch.Tensor, factor: int) -> torch.Tensor:
        """What zuko's soft clipping r / (1 + |factor·r / limit|) turns into ``wanted``."""
        return wanted / (1 - (factor * wanted / limit).abs())

    def bins(raw: torch.Tensor) -> torch.Tensor:
        return unsquashed((1e-3 + (1 - 1e-3 * BINS) * raw.softmax(-1)).log(), 2)

    exact = 1e-3 + nn.functional.softplus(slopes + math.log(math.expm1(1 - 1e-3)))
    theirs = zuko.transforms.MonotonicRQSTransform(
        bins(widths), bins(heights), unsquashed(exact.log(), 1), bound=4.0, slope=1e-30
    )
    ours, log_slope = spline(x, settings)
    assert torch.allclose(ours, theirs(x), atol=1e-5)
    assert torch.allclose(log_slope, theirs.log_abs_det_jacobian(x, theirs(x)), atol=1e-5)


def test_affine_coupling_agrees_with_zuko_on_the_same_weights() -> None:
    step = stirred(Coupling(4, swap=False))

    def meta(passed: torch.Tensor) -> torch.distributions.Transform:
        log_scale, shift = step.net(passed).unflatten(1, (-1, 2)).unbind(-1)
        return zuko.transforms.DependentTransform(
            torch.distributions.AffineTransform(shift, (3 * (log_scale / 3).tanh()).exp()), 1
        )

    mask = torch.tensor([True, True, False, False])
    theirs = zuko.transforms.CouplingTransform(meta, mask)
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    z, log_det = step(x)
    assert torch.allclose(z, theirs(x), atol=1e-5)
    assert torch.allclose(log_det, theirs.log_abs_det_jacobian(x, z), atol=1e-5)
    assert torch.allclose(step.inverse(z), theirs.inv(z), atol=1e-5)


@pytest.mark.parametrize("kind", ["affine", "spline"])
def test_a_whole_flow_integrates_to_one_and_inverts(kind: str) -> None:
    flow = stirred(coupling_flow(2, layers=3, kind=kind, width=8))
    side = 40 if kind == "affine" else 12  # splines are sharp but stay near; affine scales reach far
    ticks = (torch.arange(800, dtype=torch.float64) + 0.5) / 800 * 2 * side - side
    with torch.no_grad():
        mass = sum(flow.log_prob(at).exp().sum().item() for at in torch.cartesian_prod(ticks, ticks).split(80_000))
    assert mass * (2 * side / 800) ** 2 == pytest.approx(1, abs=5e-3)
    x = torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.allclose(flow.decode(flow.encode(x)[0]), x, atol=1e-5)


def test_slopes_of_the_inverse_are_the_slopes_inverted() -> None:
    generator = torch.Generator().manual_seed(0)
    settings = torch.randn(50, 2, 3 * BINS - 1, generator=generator, dtype=torch.float64)
    x = 3 * torch.randn(50, 2, generator=generator, dtype=torch.float64)
    y, log_slope = spline(x, settings)
    back, inverse_slope = spline(y, settings, inverse=True)
    torch.testing.assert_close(back, x)
    torch.testing.assert_close(inverse_slope, -log_slope, atol=1e-6, rtol=1e-6)


def test_losses_are_minus_the_mean_log_density() -> None:
    flow, x = stirred(coupling_flow(2, layers=2, width=8)), torch.randn(5, 2, dtype=torch.float64)
    torch.testing.assert_close(flow.loss(x), -flow.log_prob(x).mean())
    glow = stirred(Glow(channels=3, size=8, resolutions=2, steps=1, width=4))
    images = 0.1 + 0.8 * torch.rand(5, 3, 8, 8, dtype=torch.float64)
    torch.testing.assert_close(glow.loss(images), -glow.log_prob(images).mean() / 192)


def test_pixels_of_any_latent_lie_between_zero_and_one() -> None:
    x = Logit().inverse(torch.tensor([[-100.0, -3.0, 3.0, 100.0]]))
    assert x[0, 0] == 0
    assert 0 < x[0, 1] < x[0, 2] < x[0, 3] < 1
    assert x[0, 3].item() == pytest.approx(1, abs=2e-6)


def test_image_couplings_scale_by_three_at_most_in_the_logarithm() -> None:
    step, x = ImageCoupling(2, width=4), torch.rand(1, 2, 2, 3)
    for raw in (-20.0, -1.0, 0.5, 20.0):
        with torch.no_grad():
            step.net[-1].bias[0] = raw  # type: ignore[index]
        assert step(x)[1].item() == pytest.approx(6 * 3 * math.tanh(raw / 3), rel=1e-5)


def test_a_scale_is_set_by_the_batches_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two: sums are taken twice, of the means and of the squares around the mean of all."""
    own, other = (c + torch.randn(50, 2, generator=torch.Generator().manual_seed(c)).double() for c in (0, 5))
    mean = torch.cat([own, other]).mean(0)
    sums = iter([other.mean(0), (other - mean).square().mean(0)])
    two = SimpleNamespace(
        is_available=lambda: True,
        is_initialized=lambda: True,
        get_world_size=lambda: 2,
        all_reduce=lambda value: value.add_(next(sums)),
    )
    monkeypatch.setattr("teachlib.primer.flows.distributed", two)
    step = Affine(2).double().train()
    step(own)
    both, _ = step(torch.cat([own, other]))
    torch.testing.assert_close(both.mean(0), torch.zeros(2).double())
    torch.testing.assert_close(both.std(0, unbiased=False), torch.ones(2).double())


def test_couplings_start_as_the_identity_and_take_turns() -> None:
    images = torch.randn(4, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    z, log_det = ImageCoupling(4, width=8)(images)
    assert torch.equal(z, images)
    assert not log_det.any()
    halves = [step.swap for step in coupling_flow(2, layers=4).steps if isinstance(step, Coupling)]
    assert halves == [False, True, False, True]
    assert not any(isinstance(step, Shuffle) for step in coupling_flow(2).steps)  # of two, the halves alternate
    assert any(isinstance(step, Shuffle) for step in coupling_flow(3).steps)


def test_a_conditional_flow_integrates_to_one_for_each_condition() -> None:
    flow = stirred(coupling_flow(2, layers=2, kind="affine", width=8, context=1))
    ticks = (torch.arange(400, dtype=torch.float64) + 0.5) / 400 * 60 - 30
    at = torch.cartesian_prod(ticks, ticks)
    masses = []
    for value in (-1.0, 2.0):
        context = torch.full((len(at), 1), value, dtype=torch.float64)
        with torch.no_grad():
            masses.append(flow.log_prob(at, context).exp())
        assert masses[-1].sum().item() * (60 / 400) ** 2 == pytest.approx(1, abs=5e-3)
    assert (masses[0] - masses[1]).abs().max() > 1e-3


def test_glow_against_its_jacobian() -> None:
    flow = stirred(Glow(channels=1, size=8, resolutions=2, steps=2, width=4))
    x = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.8 + 0.1

    def flat(image: torch.Tensor) -> torch.Tensor:
        return torch.cat([z.flatten() for z in flow.encode(image[None])[0]])

    _, log_det = flow.encode(x)
    jacobian = torch.autograd.functional.jacobian(flat, x[0]).view(64, 64)
    assert log_det[0].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-5)
    assert torch.allclose(flow.decode(flow.encode(x)[0]), x, atol=1e-8)
    cool = flow.float().sample(3, torch.Generator().manual_seed(0), temperature=0.5)
    generator = torch.Generator().manual_seed(0)
    latents = [0.5 * torch.randn(3, *shape, generator=generator) for shape in ((2, 4, 4), (8, 2, 2))]
    torch.testing.assert_close(cool, flow.decode(latents))


def test_one_number_a_channel_starts_no_scale() -> None:
    step = Affine(2)
    step(torch.tensor([[3.0, 5.0]]))
    assert not step.started
    z, _ = step(torch.tensor([[3.0, 5.0], [5.0, 5.5]]))
    assert step.started
    assert torch.allclose(z, torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), atol=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Glow(channels=0), "channels is 0; expected at least 1"),
        (lambda: Glow(steps=0), "steps is 0; expected at least 1"),
        (lambda: Glow(size=20, resolutions=3), "images of 20×20 pixels; expected sides that are multiples of 8"),
        (lambda: coupling_flow(2, layers=0), "0 layers; expected at least 1"),
        (lambda: coupling_flow(1), "dim=1; a coupling needs two coordinates or more"),
        (lambda: coupling_flow(2, kind="spine"), "unknown coupling 'spine'; did you mean 'spline'"),
        (lambda: coupling_flow(2, context=3).log_prob(torch.zeros(4, 2)), r"pass a context of \(4, 3\)"),
    ],
)
def test_mistakes_are_explained(make: Callable[[], object], words: str) -> None:
    with pytest.raises(TeachlibError, match=words):
        make()


@pytest.mark.parametrize("scale", [1, 10, 30, 1000])
def test_steep_splines_stay_in_their_interval_both_ways(scale: int) -> None:
    generator = torch.Generator().manual_seed(0)
    settings = scale * torch.randn(100_000, 1, 3 * BINS - 1, generator=generator)
    x = 2 * EDGE * torch.rand(100_000, 1, generator=generator) - EDGE
    for inverse in (False, True):
        y, log_slope = spline(x, settings, inverse=inverse)
        assert y.abs().max() <= EDGE
        assert log_slope.isfinite().all()
        assert spline(y, settings, inverse=not inverse)[0].abs().max() <= EDGE
        exact = spline(x.double(), settings.double(), inverse=inverse)[0]
        back = spline(exact, settings.double(), inverse=not inverse)[0]
        torch.testing.assert_close(back, x.double(), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("size", "offset"), [(1e-6, 0.0), (1e-3, 1e3), (1e6, 1e6)])
def test_the_first_batch_is_brought_to_deviation_one_at_any_size(size: float, offset: float) -> None:
    x = offset + size * torch.randn(200, 3, generator=torch.Generator().manual_seed(0)).double()
    x[:, 2] = offset + 0.1  # nothing to bring to one
    step = Affine(3).double().train()
    z, _ = step(x)
    torch.testing.assert_close(z[:, :2].std(0, unbiased=False), torch.ones(2).double(), rtol=1e-4, atol=0)
    torch.testing.assert_close(z.mean(0), torch.zeros(3).double(), rtol=0, atol=1e-4)
    assert z[:, 2].abs().max() < 1e-4
    assert step.log_scale[2] == 0


@pytest.mark.parametrize("shape", [(3,), (3, 3), (3, 1, 2)])
def test_points_of_another_shape_are_refused_in_one_line(shape: tuple[int, ...]) -> None:
    with pytest.raises(TeachlibError, match=r"points of shape .*; this network takes \(N, 2\)"):
        coupling_flow(2, layers=2, width=4).log_prob(torch.rand(shape))


@pytest.mark.parametrize("method", ["encode", "decode", "log_prob", "loss"])
@pytest.mark.parametrize("kind", ["affine", "spline"])
def test_a_flow_says_in_one_line_which_points_it_takes(kind: str, method: str) -> None:
    flow = coupling_flow(3, layers=2, kind=kind, width=8)  # type: ignore[arg-type]
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    call = getattr(flow, method)
    for wrong, words in (
        (x.double(), r"points of torch.float64; this network takes torch.float32"),
        (x.long(), r"points of torch.int64; this network takes torch.float32"),
        (x[0], r"points of shape \(3,\); this network takes \(N, 3\)"),
        (x[None], r"points of shape \(1, 4, 3\); this network takes \(N, 3\)"),
    ):
        with pytest.raises(TeachlibError, match=words):
            call(wrong)
    call(x)
    getattr(flow.double(), method)(x.double())


def test_a_flow_takes_contexts_of_any_numbers() -> None:
    flow = coupling_flow(2, layers=2, width=8, context=2)
    x, context = torch.rand(4, 2), torch.tensor([[0, 1], [1, 0], [1, 1], [0, 0]])
    expected = flow.log_prob(x, context.float())
    assert torch.equal(flow.log_prob(x, context), expected)
    assert torch.equal(flow.log_prob(x, context.double()), expected)


@pytest.mark.parametrize("kind", ["affine", "spline"])
@pytest.mark.parametrize("size", [1e10, 1e20, 1e30, 3e38])
def test_points_far_out_are_improbable_or_refused_and_never_no_number(kind: str, size: float) -> None:
    flow = stirred(coupling_flow(2, layers=6, kind=kind, width=16)).float()  # type: ignore[arg-type]
    for x in size * torch.tensor([[[1.0, -1.0]], [[1.0, 0.0]], [[-0.5, 0.7]]]):
        log_p = -math.inf
        with suppress(TeachlibError):
            log_p = flow.log_prob(x).item()
        assert log_p < -1e15


def test_points_whose_z_outgrows_its_precision_are_named() -> None:
    flow = stirred(coupling_flow(2, layers=6, kind="affine", width=16)).float()
    with pytest.raises(TeachlibError, match=r"points up to 3e\+38 from zero, .*; scale them to about one first"):
        flow.log_prob(torch.tensor([[3e38, -3e38]]))


def test_what_is_no_number_is_refused_by_a_flow() -> None:
    flow = coupling_flow(2, layers=2, kind="affine", width=8)
    for bad in (math.nan, math.inf):
        with pytest.raises(TeachlibError, match="scale them"):
            flow.log_prob(torch.tensor([[bad, 0.0]]))
    assert flow.loss(torch.tensor([[math.nan, 0.0]])).isnan()  # for the loop of training to see, on all processes
