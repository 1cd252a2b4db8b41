"""The convolutional encoder and decoder of thesis Table A.1, at any width."""

import itertools
from typing import Literal

import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_input

# Image side → (kernel of every convolution, up-sampling steps of the decoder), Table A.1.
_LAYOUT = {32: (4, 2), 64: (5, 3)}


def _layout(size: int) -> tuple[int, int]:
    if size not in _LAYOUT:
        raise TeachlibError(f"images of {size} pixels a side; these nets take {' or '.join(map(str, _LAYOUT))}")
    return _LAYOUT[size]


class ConvEncoder(nn.Module):
    """Four halving convolutions with batch norm and ReLU, then a linear layer (thesis Table A.1).

    Images in [0, 1] are mapped to [−1, 1] first where they are 32×32, as the authors' code does inside its encoder.

    Args:
        latent: dimension d of the code.
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32 or 64.
        width: filters of the first layer; the others have 2, 4 and 8 times as many. The thesis: 128.
        outputs: vectors of length d to emit: 1 for a code, 2 for mean and log-variance (the table's M).

    Shapes: (N, channels, size, size) → (N, outputs·d).
    """

    def __init__(self, latent: int, *, channels: int = 1, size: int = 32, width: int = 128, outputs: int = 1) -> None:
        super().__init__()
        kernel, _ = _layout(size)
        self.rescale, self.image = size == 32, (channels, size, size)
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, kernel, stride=2, padding=(kernel - 1) // 2)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        self.head = nn.Linear(8 * width * (size // 16) ** 2, outputs * latent)

    def forward(self, x: Tensor) -> Tensor:
        """Encode images.

        Raises:
            TeachlibError: images of another shape or precision.
        """
        require_input(self, x, self.image)
        return self.head(self.convolutions(2 * x - 1 if self.rescale else x).flatten(1))


class ConvDecoder(nn.Module):
    """A linear layer to 8×8 maps, doubling transposed convolutions, and one last of stride 1 (thesis Table A.1).

    Args:
        latent: dimension d of the code.
        channels: of the images, 1 or 3. The table prints one for every data set (see the errata).
        size: side of the images in pixels, 32 or 64.
        width: as the encoder's; the first maps have 8 times as many channels. The thesis: 128.
        variant: ``"thesis"`` has batch norm and ReLU after the linear layer, as Table A.1 draws it; ``"released"``
            has neither, as the authors' code.

    Shapes: (N, d) → (N, channels, size, size) in [0, 1].
    """

    def __init__(
        self,
        latent: int,
        *,
        channels: int = 1,
        size: int = 32,
        width: int = 128,
        variant: Literal["thesis", "released"] = "thesis",
    ) -> None:
        super().__init__()
        kernel, doublings = _layout(size)
        self.latent, self.size, self.first_maps = latent, size, (8 * width, 8, 8)
        self.linear = nn.Linear(latent, 8 * width * 64)
        layers: list[nn.Module] = [nn.BatchNorm2d(8 * width), nn.ReLU()] if variant == "thesis" else []
        widths = [8 * width >> step for step in range(doublings + 1)]
        padding, extra = (kernel - 1) // 2, kernel % 2
        for before, after in itertools.pairwise(widths):
            layers += [nn.ConvTranspose2d(before, after, kernel, stride=2, padding=padding, output_padding=extra)]
            layers += [nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.ConvTranspose2d(widths[-1], channels, kernel, stride=1, padding=padding)]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        """Decode latents.

        Raises:
            TeachlibError: latents of another shape or precision.
        """
        require_input(self, z, (self.latent,), what="latents")
        maps = self.convolutions(self.linear(z).unflatten(1, self.first_maps))
        # An even kernel at stride 1 cannot keep the size; the surplus row and column go, as "SAME" padding has it.
        return torch.sigmoid(maps[..., : self.size, : self.size])
