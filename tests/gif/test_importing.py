"""Public layouts: the same weights under three names draw the same picture, and what is not StyleGAN2 is refused."""

import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif.importing import discriminator_from, generator_from, read_public
from teachlib.gif.stylegan2 import Discriminator, Generator, StyleGAN2Config

TINY = StyleGAN2Config(16, channel_base=96, channel_max=8, mapping_layers=2, z_dim=6, w_dim=6)

# Our names, rosinality's and ADA's at 16², as their code builds them.
MAPPING = [(f"mapping.layers.{i}", f"style.{i + 1}", f"mapping.fc{i}") for i in range(2)]
LAYERS = [
    ("synthesis.layers.0", "conv1", "synthesis.b4.conv1"),
    ("synthesis.layers.1", "convs.0", "synthesis.b8.conv0"),
    ("synthesis.layers.2", "convs.1", "synthesis.b8.conv1"),
    ("synthesis.layers.3", "convs.2", "synthesis.b16.conv0"),
    ("synthesis.layers.4", "convs.3", "synthesis.b16.conv1"),
]
COLOURS = [
    ("synthesis.to_rgb.0", "to_rgb1", "synthesis.b4.torgb"),
    ("synthesis.to_rgb.1", "to_rgbs.0", "synthesis.b8.torgb"),
    ("synthesis.to_rgb.2", "to_rgbs.1", "synthesis.b16.torgb"),
]


def _both(ours: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A generator's weights in both public layouts, with their shapes, their filters and their noise."""
    first: dict[str, Tensor] = {"input.input": ours["synthesis.constant"][None]}
    second: dict[str, Tensor] = {
        "synthesis.b4.const": ours["synthesis.constant"],
        "mapping.w_avg": ours["mapping.average"],
    }
    for own, a, b in MAPPING:
        for part in ("weight", "bias"):
            first[f"{a}.{part}"] = second[f"{b}.{part}"] = ours[f"{own}.{part}"]
    for number, (own, a, b) in enumerate([*LAYERS, *COLOURS]):
        kernel = ours[f"{own}.convolution.weight"]
        first[f"{a}.conv.weight"], second[f"{b}.weight"] = kernel[None], kernel
        for part in ("weight", "bias"):
            value = ours[f"{own}.convolution.affine.{part}"]
            first[f"{a}.conv.modulation.{part}"] = second[f"{b}.affine.{part}"] = value
        bias = ours[f"{own}.bias"]
        second[f"{b}.bias"] = bias
        if number < len(LAYERS):
            side = 4 << (number + 1) // 2
            strength, noise = ours[f"{own}.noise.strength"], torch.full((side, side), number + 1.0)
            first |= {f"{a}.noise.weight": strength[None], f"noises.noise_{number}": noise[None, None]}
            first[f"{a}.activate.bias"] = bias
            second |= {f"{b}.noise_strength": strength, f"{b}.noise_const": noise}
            second[f"{b}.resample_filter"] = torch.ones(4, 4)
        else:
            first[f"{a}.bias"] = bias.view(1, 3, 1, 1)
    first["convs.0.conv.blur.kernel"] = first["to_rgbs.0.upsample.kernel"] = torch.ones(4, 4)
    return first, second


def _both_discriminators(ours: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    names = [("from_rgb.weight", "convs.0.0.weight", "b16.fromrgb.weight")]
    names += [("from_rgb.bias", "convs.0.1.bias", "b16.fromrgb.bias")]
    for block, side in ((0, 16), (1, 8)):
        own, theirs = f"blocks.{block}", f"convs.{block + 1}"
        names += [(f"{own}.convolution_1.weight", f"{theirs}.conv1.0.weight", f"b{side}.conv0.weight")]
        names += [(f"{own}.convolution_1.bias", f"{theirs}.conv1.1.bias", f"b{side}.conv0.bias")]
        names += [(f"{own}.convolution_2.weight", f"{theirs}.conv2.1.weight", f"b{side}.conv1.weight")]
        names += [(f"{own}.convolution_2.bias", f"{theirs}.conv2.2.bias", f"b{side}.conv1.bias")]
        names += [(f"{own}.skip.weight", f"{theirs}.skip.1.weight", f"b{side}.skip.weight")]
    names += [("convolution.weight", "final_conv.0.weight", "b4.conv.weight")]
    names += [("convolution.bias", "final_conv.1.bias", "b4.conv.bias")]
    for part in ("weight", "bias"):
        names += [(f"linear.{part}", f"final_linear.0.{part}", f"b4.fc.{part}")]
        names += [(f"logit.{part}", f"final_linear.1.{part}", f"b4.out.{part}")]
    assert {own for own, _, _ in names} == set(ours)
    first = {a: ours[own] for own, a, _ in names} | {"convs.1.conv2.0.kernel": torch.ones(4, 4)}
    return first, {b: ours[own] for own, _, b in names} | {"b8.conv1.resample_filter": torch.ones(4, 4)}


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    net = Generator(TINY)
    with torch.no_grad():
        for weight in [*net.parameters(), *net.buffers()]:
            weight.add_(0.3 * torch.randn(weight.shape))
    return net


def test_one_picture_of_three_layouts(generator: Generator) -> None:
    z = torch.randn(2, 6)
    for state in _both(generator.state_dict()):
        read, noise = generator_from(state)
        assert [float(part.mean()) for part in noise] == [1, 2, 3, 4, 5]
        assert read.config == StyleGAN2Config(16, 96, 8, 2, 6, 6)
        torch.testing.assert_close(read(z, noise=noise), generator(z, noise=noise))


def test_averages_of_codes(generator: Generator) -> None:
    rosinality, ada = _both(generator.state_dict())
    average = generator.mapping.average
    assert torch.equal(generator_from(ada)[0].mapping.average, average)
    assert not generator_from(rosinality)[0].mapping.average.any()
    converted, _ = generator_from({**rosinality, "latent_avg": average})
    assert torch.equal(converted.mapping.average, average)


@pytest.mark.parametrize("inputs", [3, 9])
def test_one_logit_of_three_layouts(inputs: int) -> None:
    torch.manual_seed(0)
    judge, x = Discriminator(TINY, inputs=inputs, group=2), torch.randn(4, inputs, 16, 16)
    for state in _both_discriminators(judge.state_dict()):
        torch.testing.assert_close(discriminator_from(state, group=2)(x), judge(x))


def test_files(generator: Generator, tmp_path: Path) -> None:
    """rosinality's checkpoint, with its options beside the weights; and single state dictionaries."""
    rosinality, ada = _both(generator.state_dict())
    judge = _both_discriminators(Discriminator(TINY).state_dict())
    torch.save({"g_ema": rosinality, "d": judge[0], "args": argparse.Namespace(size=16)}, tmp_path / "rosinality.pt")
    save_file({name: value.clone().contiguous() for name, value in ada.items()}, tmp_path / "ada.safetensors")
    torch.save(judge[1], tmp_path / "judge.pt")
    z = torch.randn(2, 6)
    whole = read_public(tmp_path / "rosinality.pt")
    assert sorted(whole) == ["discriminator", "generator"]
    for state in (whole, read_public(tmp_path / "ada.safetensors")):
        torch.testing.assert_close(generator_from(state["generator"])[0](z), generator(z))
    discriminator_from(whole["discriminator"])
    discriminator_from(read_public(tmp_path / "judge.pt")["discriminator"])


def test_other_files_are_refused_in_one_line(generator: Generator, tmp_path: Path) -> None:
    rosinality, ada = _both(generator.state_dict())
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    with pytest.raises(TeachlibError, match=r"broken\.pt cannot be read as weights"):
        read_public(tmp_path / "broken.pt")
    with pytest.raises(TeachlibError, match="cannot be read as weights"):
        read_public(tmp_path / "absent.safetensors")
    torch.save([1], tmp_path / "list.pt")
    with pytest.raises(TeachlibError, match="holds no state dictionary"):
        read_public(tmp_path / "list.pt")
    with pytest.raises(TeachlibError, match="no generator of rosinality's or ADA's layout"):
        generator_from({"a": torch.zeros(1)})
    with pytest.raises(TeachlibError, match="no discriminator of rosinality's or ADA's layout"):
        discriminator_from(rosinality)
    with pytest.raises(TeachlibError, match="'another' is unknown"):
        generator_from({**ada, "another": torch.zeros(1)})
    del ada["synthesis.b8.conv1.weight"]
    with pytest.raises(TeachlibError, match=r"'synthesis\.layers\.2\.convolution\.weight' is missing"):
        generator_from(ada)
    with pytest.raises(TeachlibError, match=r"'mapping\.layers\.0\.weight' is missing"):
        generator_from({"input.input": torch.zeros(1, 8, 4, 4)})
    rosinality["conv1.conv.weight"] = torch.zeros(1, 8, 7, 3, 3)
    with pytest.raises(TeachlibError, match=r"'synthesis\.layers\.0\.convolution\.weight' has shape"):
        generator_from(rosinality)
