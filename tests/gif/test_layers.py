"""Layers against their definitions: scales, modulation, demodulation, the deviation of a group."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from teachlib.errors import TeachlibError
from teachlib.gif import layers
from teachlib.gif.resampling import blur
from teachlib.gif.stylegan2 import Discriminator, StyleGAN2Config


def _random(*shape: int, seed: int = 7) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_equalized_linear_scales_by_fan_in_when_used(rate: float) -> None:
    torch.manual_seed(0)
    layer = layers.EqualizedLinear(400, 300, bias=0.5, rate=rate)
    assert layer.weight.std().item() == pytest.approx(1 / rate, rel=0.02)
    x = _random(64, 400)
    expected = x @ (layer.weight * rate).T / 20 + 0.5
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)
    assert (layer(x) - 0.5).var().item() == pytest.approx(1.0, rel=0.05)


def test_a_small_rate_slows_adam_by_as_much() -> None:
    """Adam moves each weight by the rate; what the layer computes then moves by ``rate`` times as much."""
    moved = []
    for rate in (1.0, 0.01):
        torch.manual_seed(0)
        layer = layers.EqualizedLinear(50, 1, rate=rate)
        optimizer = torch.optim.Adam(layer.parameters(), 1e-3)
        before = layer(torch.ones(1, 50)).item()
        layer(torch.ones(1, 50)).sum().backward()
        optimizer.step()
        moved.append(before - layer(torch.ones(1, 50)).item())
    assert moved[1] / moved[0] == pytest.approx(0.01, rel=0.02)


def test_equalized_convolution_keeps_unit_variance() -> None:
    torch.manual_seed(0)
    layer = layers.EqualizedConv2d(64, 64, 3)
    inside = layer(_random(8, 64, 12, 12))[..., 1:-1, 1:-1]
    assert inside.var().item() == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("side", [1, 3])
def test_halving_convolution_filters_then_skips(side: int) -> None:
    """Blur at full resolution, convolve at full resolution, keep every other pixel."""
    torch.manual_seed(0)
    layer = layers.EqualizedConv2d(5, 4, side, down=True)
    x = _random(2, 5, 8, 8)
    filtered = blur(x, 1 + side // 2)
    whole = F.conv2d(filtered, layer.weight / math.sqrt(5 * side**2), layer.bias)[..., ::2, ::2]
    assert whole.shape == (2, 4, 4, 4)
    torch.testing.assert_close(layer(x), whole, atol=1e-5, rtol=1e-5)


def test_leaky_relu_keeps_the_second_moment() -> None:
    """E f(x)² = 2·(1 + 0.2²)/2 = 1.04 for x ~ N(0, 1)."""
    assert layers.leaky_relu(torch.tensor([1.0, -1.0])).tolist() == pytest.approx([2**0.5, -0.2 * 2**0.5])
    assert layers.leaky_relu(_random(1_000_000)).square().mean().item() == pytest.approx(1.04, rel=0.01)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
@pytest.mark.parametrize("side", [1, 3])
def test_modulated_convolution_equals_the_grouped_one(up: bool, demodulate: bool, side: int) -> None:
    x, styles = _random(3, 6, 5, 7), _random(3, 6, seed=1)
    weight = _random(4, 6, side, side, seed=2) / math.sqrt(6 * side**2)
    expected = layers.modulated_conv_grouped(x, weight, styles, demodulate=demodulate, up=up)
    computed = layers.modulated_conv(x, weight, styles, demodulate=demodulate, up=up)
    assert computed.shape == (3, 4, *(side * (1 + up) for side in (5, 7)))
    torch.testing.assert_close(computed, expected, atol=1e-5, rtol=1e-5)


def test_modulated_convolution_one_image_at_a_time() -> None:
    """The paper's equations 1 to 3, with a plain convolution for each image."""
    x, styles, weight = _random(3, 6, 5, 5), _random(3, 6, seed=1), _random(4, 6, 3, 3, seed=2)
    computed = layers.modulated_conv(x, weight, styles)
    for image, style, found in zip(x, styles, computed, strict=True):
        kernel = weight * style[None, :, None, None]
        kernel = kernel / (kernel**2).sum((1, 2, 3), keepdim=True).sqrt()
        torch.testing.assert_close(found, F.conv2d(image[None], kernel, padding=1)[0], atol=1e-5, rtol=1e-5)


def test_demodulated_outputs_have_unit_variance_for_unit_inputs() -> None:
    """Also for styles far from one; without demodulation, the variance is the styles' mean square."""
    x, styles = _random(512, 32, 3, 3), 5 * _random(1, 32, seed=1) + 2
    weight = _random(16, 32, 3, 3, seed=2) / math.sqrt(32 * 9)
    middle = layers.modulated_conv(x, weight, styles.expand(512, -1))[..., 1, 1]
    assert middle.var(0).mean().item() == pytest.approx(1.0, rel=0.05)
    plain = layers.modulated_conv(x, weight, styles.expand(512, -1), demodulate=False)[..., 1, 1]
    assert plain.var(0).mean().item() == pytest.approx(styles.square().mean().item(), rel=0.2)


def test_modulation_starts_near_one_and_undoes_its_scale() -> None:
    torch.manual_seed(0)
    layer = layers.ModulatedConv2d(6, 4, 3, 8)
    x, w = _random(2, 6, 5, 5), _random(2, 8, seed=1)
    styles = w @ layer.affine.weight.T / math.sqrt(8) + 1
    expected = layers.modulated_conv_grouped(x, layer.weight / math.sqrt(54), styles)
    torch.testing.assert_close(layer(x, w), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.affine(torch.zeros(1, 8)), torch.ones(1, 6))


def test_second_derivatives_of_the_modulated_convolution() -> None:
    x, styles = _random(2, 3, 4, 4).double().requires_grad_(), _random(2, 3, seed=1).double().requires_grad_()
    weight = _random(2, 3, 3, 3, seed=2).double().requires_grad_()
    for up in (False, True):
        assert torch.autograd.gradgradcheck(
            lambda x, w, s, up=up: layers.modulated_conv(x, w, s, up=up), (x, weight, styles)
        )


def test_noise_is_scaled_by_a_strength_that_starts_at_zero() -> None:
    layer = layers.NoiseInjection()
    x, noise = _random(2, 3, 4, 4), _random(2, 1, 4, 4, seed=1)
    assert torch.equal(layer(x, noise), x)
    with torch.no_grad():
        layer.strength.fill_(0.5)
    torch.testing.assert_close(layer(x, noise), x + 0.5 * noise)


def test_pixel_norm_has_mean_square_one() -> None:
    z = layers.pixel_norm(7 * _random(5, 33))
    torch.testing.assert_close(z.square().mean(1), torch.ones(5))


@pytest.mark.parametrize(("count", "size"), [(8, 4), (4, 4), (3, 3), (2, 2), (1, 1)])
def test_minibatch_deviation_by_numpy(count: int, size: int) -> None:
    x = _random(count, 3, 2, 2)
    found = layers.minibatch_deviation(x)
    groups = count // size
    for number in range(count):
        members = x.numpy()[number % groups :: groups]
        assert len(members) == size
        expected = np.sqrt(members.var(0) + 1e-8).mean()
        torch.testing.assert_close(found[number, 3], torch.full((2, 2), float(expected)))
    assert torch.equal(found[:, :3], x)


def test_no_pictures_have_no_deviation_and_a_discriminator_no_scores() -> None:
    assert layers.minibatch_deviation(_random(0, 3, 2, 2)).shape == (0, 4, 2, 2)
    judge = Discriminator(StyleGAN2Config(size=8, channel_base=64, channel_max=8))
    assert judge(torch.empty(0, 3, 8, 8)).shape == (0,)


def test_a_batch_that_groups_do_not_divide_is_refused_in_one_line() -> None:
    with pytest.raises(TeachlibError, match=r"a batch of 6; .* groups of 4: expected a multiple of 4, or fewer"):
        layers.minibatch_deviation(_random(6, 3, 2, 2))
