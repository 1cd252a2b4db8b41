"""The DCGAN pair (Radford, Metz & Chintala, 2016) for 32×32 and 64×64 images."""

import itertools

from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_input

_DOUBLINGS = {32: 3, 64: 4, 128: 5}  # from 4×4 to the image


def _doublings(size: int) -> int:
    if size not in _DOUBLINGS:
        raise TeachlibError(f"images of {size} pixels a side; DCGAN here takes {', '.join(map(str, _DOUBLINGS))}")
    return _DOUBLINGS[size]


def _initialize(module: nn.Module) -> None:
    """Weights from N(0, 0.02²), scales of batch norm from N(1, 0.02²): the paper's initialization."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


class DCGANGenerator(nn.Module):
    """Transposed convolutions from a latent vector to an image.

    Args:
        latent: dimension of the latent vector.
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32, 64 or 128.
        width: channels before the last layer; each earlier layer has twice as many. The paper: 128 for 64×64.

    Shapes: (N, latent) → (N, channels, size, size) in [0, 1].
    """

    def __init__(self, latent: int, *, channels: int = 1, size: int = 32, width: int = 64) -> None:
        super().__init__()
        self.latent, doublings = latent, _doublings(size)
        widths = [width << step for step in reversed(range(doublings))]
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
        for before, after in itertools.pairwise(widths):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)]
        layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers).apply(_initialize)

    def forward(self, z: Tensor) -> Tensor:
        """Generate images.

        Raises:
            TeachlibError: latents of another shape or precision.
        """
        require_input(self, z, (self.latent,), what="latents")
        return self.layers(z[:, :, None, None])


class DCGANDiscriminator(nn.Module):
    """Strided convolutions from an image to one logit.

    Args:
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32, 64 or 128.
        width: channels after the first layer; each later layer has twice as many.

    Shapes: (N, channels, size, size) in [0, 1] → (N,) logits of "real".
    """

    def __init__(self, *, channels: int = 1, size: int = 32, width: int = 64) -> None:
        super().__init__()
        self.image = channels, size, size
        widths = [width << step for step in range(_doublings(size))]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4)).apply(_initialize)

    def forward(self, x: Tensor) -> Tensor:
        """Judge images.

        Raises:
            TeachlibError: images of another precision, or shape, of which it would see several windows.
        """
        require_input(self, x, self.image)
        return self.layers(2 * x - 1).flatten()
