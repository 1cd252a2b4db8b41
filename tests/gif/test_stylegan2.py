"""The networks: mapping, layers in their order, mixing, truncation, conditions; and that every weight learns."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from teachlib.errors import TeachlibError
from teachlib.gif.layers import modulated_conv_grouped
from teachlib.gif.losses import r1_penalty
from teachlib.gif.stylegan2 import (
    Discriminator,
    Generator,
    MappingNetwork,
    StyleGAN2Config,
    mix_styles,
)
from teachlib.primer.gan import discriminator_loss, generator_loss

TINY = StyleGAN2Config(16, channel_base=96, channel_max=8, mapping_layers=2, z_dim=5, w_dim=6)


def _random(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _shaken(net: nn.Module, seed: int = 0) -> nn.Module:
    """With biases and strengths that are not zero."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in net.parameters():
            weight.copy_(weight + 0.3 * torch.randn(weight.shape, generator=generator))
    return net


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    return _shaken(Generator(TINY))  # type: ignore[return-value]


def test_ada_sizes() -> None:
    """train.py's automatic configuration below 512²: base 16,384, at most 512, two mapping layers."""
    config = StyleGAN2Config.for_size(256)
    assert (config.channel_base, config.channel_max, config.mapping_layers, config.z_dim) == (16_384, 512, 2, 512)
    assert [config.channels(side) for side in config.resolutions] == [512, 512, 512, 512, 256, 128, 64]
    assert config.layers == 13
    half = StyleGAN2Config.for_size(256, width=256)
    assert [half.channels(side) for side in half.resolutions] == [256, 256, 256, 256, 128, 64, 32]


@pytest.mark.parametrize("size", [4, 48, 0, 2048])
def test_sizes_that_are_no_powers_of_two_are_refused(size: int) -> None:
    with pytest.raises(TeachlibError, match=f"images of {size} pixels a side; .* a power of two from 8 to 1024"):
        StyleGAN2Config(size)


def test_parameters_of_the_generator_by_hand() -> None:
    """At 16²: 8, 8 and 6 channels; a kernel, an affine map, a bias and a strength a layer."""
    channels = [8, 8, 6]

    def modulated(before: int, after: int, area: int) -> int:
        return after * before * area + (6 * before + before)

    layers = [(8, 8), (8, 8), (8, 8), (8, 6), (6, 6)]
    expected = 5 * 6 + 6 + 6 * 6 + 6 + 8 * 16
    expected += sum(modulated(a, b, 9) + b + 1 for a, b in layers) + sum(modulated(a, 3, 1) + 3 for a in channels)
    assert sum(weight.numel() for weight in Generator(TINY).parameters()) == expected


def test_mapping_by_its_equations() -> None:
    torch.manual_seed(0)
    mapping = _shaken(MappingNetwork(TINY))
    z = _random(4, 5)
    h = z / z.square().mean(1, keepdim=True).sqrt()
    for layer in mapping.layers:  # type: ignore[union-attr]
        h = h @ layer.weight.T * 0.01 / math.sqrt(layer.weight.shape[1]) + 0.01 * layer.bias
        h = 2**0.5 * torch.where(h > 0, h, 0.2 * h)
    torch.testing.assert_close(mapping(z), h, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mapping(3 * z), mapping(z))


def test_average_of_codes() -> None:
    """After k updates from zero by the same codes: (1 − 0.995ᵏ) of their mean."""
    mapping, w = MappingNetwork(TINY), _random(9, 6)
    for _ in range(100):
        mapping.track(w)
    torch.testing.assert_close(mapping.average, (1 - 0.995**100) * w.mean(0), rtol=1e-4, atol=1e-6)
    assert "average" in mapping.state_dict()


def test_truncation_moves_codes_towards_the_average() -> None:
    mapping, w = MappingNetwork(TINY), _random(3, 4, 6)
    mapping.average.fill_(2.0)
    torch.testing.assert_close(mapping.truncated(w, 1.0), w)
    torch.testing.assert_close(mapping.truncated(w, 0.0), torch.full_like(w, 2.0))
    some = mapping.truncated(w, 0.5, cutoff=1)
    torch.testing.assert_close(some[:, :1], 1 + w[:, :1] / 2)
    assert torch.equal(some[:, 1:], w[:, 1:])


def _zero_stuffed(x: Tensor) -> Tensor:
    """Upsampling as the paper describes it: zeros after each pixel, padding (2, 1), a filter of sum 4."""
    stuffed = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    stuffed[:, :, ::2, ::2] = x
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(F.pad(stuffed, (2, 1, 2, 1)), kernel, groups=x.shape[1])


def _reference(net: Generator, w: Tensor, noise: list[Tensor], condition: dict[int, Tensor]) -> Tensor:
    """The skip generator written out, from grouped kernels and stuffed zeros."""
    synthesis = net.synthesis

    def styled(module, x: Tensor, code: Tensor, up: bool, demodulate: bool) -> Tensor:
        scale = 1 / math.sqrt(module.weight[0].numel())
        styles = code @ module.affine.weight.T / math.sqrt(code.shape[1]) + module.affine.bias
        return modulated_conv_grouped(x, module.weight * scale, styles, up=up, demodulate=demodulate)

    x, image = synthesis.constant.repeat(len(w), 1, 1, 1), torch.zeros(len(w), 3, 2, 2)
    number = 0
    for block in range(3):
        for up in [False] if block == 0 else [True, False]:
            layer = synthesis.layers[number]
            x = styled(layer.convolution, x, w[:, number], up, True)
            x = x + layer.noise.strength * noise[number] + condition.get(number, 0)  # type: ignore[operator]
            x = 2**0.5 * F.leaky_relu(x + layer.bias.view(1, -1, 1, 1), 0.2)  # type: ignore[operator]
            number += 1
        to_rgb = synthesis.to_rgb[block]
        colours = styled(to_rgb.convolution, x, w[:, number], False, False) + to_rgb.bias.view(1, 3, 1, 1)
        image = _zero_stuffed(image) + colours
    return image


def test_synthesis_by_its_description(generator: Generator) -> None:
    """Codes in their order, noise, a condition in some layers: the picture of a second way to compute it."""
    w, noise = _random(2, 6, 6), generator.synthesis.draw_noise(2, torch.Generator().manual_seed(1))
    condition = {layer: _random(2, *generator.synthesis.feature_shape(layer), seed=layer) for layer in (0, 3, 4)}
    found = generator.synthesis(w, noise=noise, condition=condition)
    assert found.shape == (2, 3, 16, 16)
    torch.testing.assert_close(found, _reference(generator, w, noise, condition), atol=1e-4, rtol=1e-4)


def test_a_condition_is_added_where_the_noise_is(generator: Generator) -> None:
    """Noise times its strength, given as a condition, gives the same picture."""
    w, noise = _random(2, 6, 6), generator.synthesis.draw_noise(1, torch.Generator().manual_seed(1))
    strengths = [layer.noise.strength for layer in generator.synthesis.layers]  # type: ignore[union-attr]
    as_condition = {
        number: (strength * one).expand(2, *generator.synthesis.feature_shape(number))  # type: ignore[operator]
        for number, (strength, one) in enumerate(zip(strengths, noise, strict=True))
    }
    expected = generator.synthesis(w, noise=noise)
    torch.testing.assert_close(generator.synthesis(w, condition=as_condition), expected)


def test_noise_is_repeatable_and_has_the_layers_sides(generator: Generator) -> None:
    once, again = (generator.synthesis.draw_noise(2, torch.Generator().manual_seed(3)) for _ in range(2))
    assert [tuple(part.shape) for part in once] == [(2, 1, side, side) for side in (4, 8, 8, 16, 16)]
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


def test_a_generator_without_noise_has_no_strengths() -> None:
    quiet = Generator(StyleGAN2Config.for_size(8, width=4, noise=False))
    assert not any("noise" in name for name in quiet.state_dict())
    assert quiet(_random(2, 4)).shape == (2, 3, 8, 8)


def test_whole_generator_is_mapping_truncation_and_synthesis(generator: Generator) -> None:
    z = _random(2, 5)
    w = generator.mapping(z)
    generator.mapping.track(w)
    near = generator.mapping.average + 0.7 * (w - generator.mapping.average)
    expected = generator.synthesis(torch.stack([near] * 6, 1))
    torch.testing.assert_close(generator(z, psi=0.7), expected, atol=1e-5, rtol=1e-5)


def test_mixing_takes_the_other_code_from_a_layer_on() -> None:
    w, other = torch.zeros(4000, 6, 2), torch.ones(4000, 6, 2)
    mixed = mix_styles(w, other, torch.Generator().manual_seed(0))[:, :, 0]
    assert bool((mixed.diff(dim=1) >= 0).all())  # never back again
    assert not mixed[:, 0].any()
    assert mixed[:, -1].mean().item() == pytest.approx(0.9, abs=0.02)
    first = mixed[mixed[:, -1] > 0].argmax(1).bincount(minlength=6) / (mixed[:, -1] > 0).sum()
    torch.testing.assert_close(first[1:], torch.full((5,), 0.2), atol=0.03, rtol=0)
    never = mix_styles(w, other, torch.Generator().manual_seed(0), 0.0)
    assert torch.equal(never, w)


@pytest.mark.parametrize("inputs", [3, 9])
def test_discriminator_by_its_description(inputs: int) -> None:
    torch.manual_seed(0)
    judge = _shaken(Discriminator(TINY, inputs=inputs))
    x = _random(8, inputs, 16, 16)

    def convolved(x: Tensor, layer, stride: int = 1) -> Tensor:
        padding = layer.weight.shape[-1] // 2 if stride == 1 else 0
        scale = 1 / math.sqrt(layer.weight[0].numel())
        return F.conv2d(x, layer.weight * scale, layer.bias, stride=stride, padding=padding)

    def filtered(x: Tensor, padding: int) -> Tensor:
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 4, 4)
        return F.conv2d(F.pad(x, (padding,) * 4), kernel, groups=x.shape[1])

    def active(x: Tensor) -> Tensor:
        return 2**0.5 * F.leaky_relu(x, 0.2)

    h = active(convolved(x, judge.from_rgb))
    for block in judge.blocks:  # type: ignore[union-attr]
        skip = convolved(filtered(h, 1), block.skip, 2)
        h = active(convolved(filtered(active(convolved(h, block.convolution_1)), 2), block.convolution_2, 2))
        h = (h + skip) / 2**0.5
    deviation = (h.view(4, 2, *h.shape[1:]).var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3)).repeat(4)
    h = active(convolved(torch.cat([h, deviation.view(8, 1, 1, 1).expand(8, 1, 4, 4)], 1), judge.convolution))
    h = active(h.flatten(1) @ judge.linear.weight.T / math.sqrt(128) + judge.linear.bias)  # type: ignore[operator]
    expected = (h @ judge.logit.weight.T / math.sqrt(8) + judge.logit.bias).flatten()  # type: ignore[operator]
    torch.testing.assert_close(judge(x), expected, atol=1e-5, rtol=1e-4)


def test_every_weight_learns(generator: Generator) -> None:
    judge, z, real = _shaken(Discriminator(TINY)), _random(4, 5), _random(4, 3, 16, 16)
    noise = generator.synthesis.draw_noise(4, torch.Generator().manual_seed(1))
    generator_loss(judge(generator(z, noise=noise))).backward()
    with torch.no_grad():
        generated = generator(z)
    loss = discriminator_loss(judge(real), judge(generated)) + r1_penalty(judge, real, 1.0)
    loss.backward()
    for net in (generator, judge):
        for name, weight in net.named_parameters():
            assert weight.grad is not None, name
            assert weight.grad.abs().max() > 0, name


def test_pictures_do_not_depend_on_the_layout_of_memory(generator: Generator) -> None:
    z, expected = _random(2, 5), generator(_random(2, 5))
    last = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(last(z), expected, atol=1e-5, rtol=1e-5)


def test_bad_input_is_refused_in_one_line(generator: Generator) -> None:
    synthesis, w = generator.synthesis, _random(2, 6, 6)
    with pytest.raises(TeachlibError, match=r"codes z of shape \(2, 4\); this network takes \(N, 5\)"):
        generator(_random(2, 4))
    with pytest.raises(TeachlibError, match=r"codes w of shape \(2, 5, 6\); this network takes \(N, 6, 6\)"):
        synthesis(w[:, :5])
    with pytest.raises(TeachlibError, match="noise for 2 layers; expected 5"):
        synthesis(w, noise=[torch.zeros(1, 1, 4, 4)] * 2)
    with pytest.raises(TeachlibError, match="a condition for layer 5; expected layers 0 … 4"):
        synthesis(w, condition={5: torch.zeros(2, 6, 16, 16)})
    with pytest.raises(TeachlibError, match=r"takes \(N, 8, 8, 8\)"):
        synthesis(w, condition={1: torch.zeros(2, 8, 4, 4)})
    with pytest.raises(TeachlibError, match="group is 0; expected more than 0"):
        Discriminator(TINY, group=0)
    with pytest.raises(TeachlibError, match=r"takes \(N, 9, 16, 16\)"):
        Discriminator(TINY, inputs=9)(_random(4, 3, 16, 16))
