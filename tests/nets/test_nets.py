"""The networks: Table A.1's sizes, and every parameter learns."""

import pytest
import torch
from torch import nn

from teachlib.errors import TeachlibError
from teachlib.nets import ConvDecoder, ConvEncoder, DCGANDiscriminator, DCGANGenerator, ImageDenoiser, VectorDenoiser


def _count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_full_width_mnist_parameters_by_hand() -> None:
    """Table A.1's MNIST column, counted from its filters: kernels, biases, and two per channel of batch norm."""

    def convolution(before: int, after: int) -> int:
        return 16 * before * after + after

    encoder = sum(convolution(a, b) + 2 * b for a, b in ((1, 128), (128, 256), (256, 512), (512, 1024)))
    encoder += 1024 * 4 * 16 + 16
    decoder = (16 + 1) * 8 * 8 * 1024 + 2 * 1024
    decoder += convolution(1024, 512) + 2 * 512 + convolution(512, 256) + 2 * 256 + convolution(256, 1)
    assert _count(ConvEncoder(16)) == encoder
    assert _count(ConvDecoder(16)) == decoder
    assert _count(ConvDecoder(16, variant="released")) == decoder - 2 * 1024


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("variant", ["thesis", "released"])
def test_shapes_and_gradients(size: int, channels: int, variant) -> None:
    encoder = ConvEncoder(5, channels=channels, size=size, width=4, outputs=2)
    decoder = ConvDecoder(10, channels=channels, size=size, width=4, variant=variant)
    x = torch.rand(3, channels, size, size, generator=torch.Generator().manual_seed(0))
    z = encoder(x)
    assert z.shape == (3, 10)
    out = decoder(z)
    assert out.shape == x.shape
    assert 0 <= out.min() <= out.max() <= 1
    (out - x).square().sum().backward()
    for net in (encoder, decoder):
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, name
            # A bias before batch norm is taken out again by the norm's mean: its gradient is rounding only.
            if not name.endswith("bias"):
                assert parameter.grad.abs().max() > 1e-6, name


def test_decoder_maps_in_the_order_of_the_table() -> None:
    decoder = ConvDecoder(64, channels=3, size=64, width=2)
    widths = [layer.out_channels for layer in decoder.convolutions if isinstance(layer, nn.ConvTranspose2d)]
    assert widths == [8, 4, 2, 3]
    assert [layer.kernel_size for layer in decoder.convolutions if isinstance(layer, nn.ConvTranspose2d)] == [
        (5, 5)
    ] * 4


@pytest.mark.parametrize("size", [32, 64])
def test_dcgan(size: int) -> None:
    generator, discriminator = DCGANGenerator(7, size=size, width=4), DCGANDiscriminator(size=size, width=4)
    x = generator(torch.randn(3, 7, generator=torch.Generator().manual_seed(0)))
    assert x.shape == (3, 1, size, size)
    logits = discriminator(x)
    assert logits.shape == (3,)
    logits.sum().backward()
    assert all(p.grad is not None for net in (generator, discriminator) for p in net.parameters())
    assert generator.layers[0].weight.std().item() == pytest.approx(0.02, rel=0.1)


def test_other_sizes_are_refused() -> None:
    for build in (lambda: ConvEncoder(4, size=28), lambda: ConvDecoder(4, size=48), lambda: DCGANGenerator(4, size=16)):
        with pytest.raises(TeachlibError, match=r"32(, | or )64"):
            build()


def test_images_of_other_shapes_are_refused() -> None:
    for net in (ConvEncoder(4, width=4), DCGANDiscriminator(width=4)):
        for shape in ((2, 1, 64, 64), (2, 1, 32, 16), (2, 3, 32, 32)):
            with pytest.raises(TeachlibError, match=r"takes \(N, 1, 32, 32\)"):
                net(torch.rand(shape))


def test_a_denoiser_names_the_sides_widths_and_labels_that_it_cannot_take() -> None:
    net, t = ImageDenoiser(width=8, depth=2, classes=3), torch.zeros(2)
    with pytest.raises(TeachlibError, match="images of 8×6 pixels; expected sides that are multiples of 4"):
        net(torch.rand(2, 1, 8, 6), t, torch.tensor([0, 1]))
    with pytest.raises(TeachlibError, match="width 12; expected a multiple of 8"):
        ImageDenoiser(width=12)
    for denoiser, x in ((net, torch.rand(2, 1, 4, 8)), (VectorDenoiser(5, width=8, classes=3), torch.rand(2, 5))):
        assert denoiser(x, t, torch.tensor([0, 3])).shape == x.shape  # 3 is "no class"
        for labels, words in (
            (torch.tensor([0, -1]), "class -1; expected 0 … 3"),
            (torch.tensor([0, 4]), "class 4"),
            (None, "pass labels"),
        ):
            with pytest.raises(TeachlibError, match=words):
                denoiser(x, t, labels)
