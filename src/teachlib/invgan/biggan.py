"""BigGAN's networks at 32 to 128 pixels (Brock, Donahue & Simonyan, 2019), conditioned on a code.

Residual blocks throughout. In the generator every batch norm takes its scale and shift from the code, which may end
with the class. There is no attention, as in the authors' networks for CIFAR-10.
"""

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, relu

from teachlib.errors import TeachlibError, require_input
from teachlib.nets import normalize_layers

_FIRST = 4  # side of the first features, in pixels


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose scale and shift are linear in a code.

    Args:
        channels: of what is normalized.
        w_dim: of the code.

    Shapes: (N, channels, H, W), (N, w_dim) → (N, channels, H, W).
    """

    def __init__(self, channels: int, w_dim: int) -> None:
        super().__init__()
        self.standard = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.shift = (nn.Linear(w_dim, channels, bias=False) for _ in range(2))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Normalize, then scale by 1 + what the code says, and shift."""
        return self.standard(x) * (1 + self.scale(w)[:, :, None, None]) + self.shift(w)[:, :, None, None]


class UpBlock(nn.Module):
    """Twice the sides: norm, ReLU, enlarge, convolve, norm, ReLU, convolve, added to an enlarged shortcut.

    Shapes: (N, inputs, H, W), (N, w_dim) → (N, outputs, 2H, 2W).
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int) -> None:
        super().__init__()
        self.first, self.second = ConditionalBatchNorm(inputs, w_dim), ConditionalBatchNorm(outputs, w_dim)
        self.enlarged, self.refined = nn.Conv2d(inputs, outputs, 3, 1, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Enlarge."""
        h = self.enlarged(interpolate(relu(self.first(x, w)), scale_factor=2))
        return self.refined(relu(self.second(h, w))) + self.shortcut(interpolate(x, scale_factor=2))


class DownBlock(nn.Module):
    """Half the sides: ReLU, convolve, ReLU, convolve, average, added to an averaged shortcut.

    Args:
        inputs: channels.
        outputs: channels.
        first: of the network, which takes images: no ReLU before the first convolution.

    Shapes: (N, inputs, H, W) → (N, outputs, H/2, W/2).
    """

    def __init__(self, inputs: int, outputs: int, *, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.coarse, self.fine = nn.Conv2d(inputs, outputs, 3, 1, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Reduce."""
        h = self.fine(relu(self.coarse(x if self.first else relu(x))))
        return avg_pool2d(h, 2) + self.shortcut(avg_pool2d(x, 2))


def _widths(size: int, width: int) -> list[int]:
    """Channels at the image's side, at half of it, … at 4×4; twice as many each time, up to four times the first."""
    if size not in (32, 64, 128):
        raise TeachlibError(f"images of {size} pixels a side; BigGAN here takes 32, 64 or 128")
    return [width * min(2**step, 4) for step in range((size // _FIRST).bit_length())]


class BigGANGenerator(nn.Module):
    """A linear layer to 4×4, residual blocks, and a convolution to an image; spectral norm, orthogonal weights.

    Args:
        w_dim: of codes.
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32, 64 or 128.
        width: channels before the image.

    Shapes: (N, w_dim) → (N, channels, size, size) in [0, 1].
    """

    def __init__(self, w_dim: int, *, channels: int, size: int, width: int) -> None:
        super().__init__()
        self.w_dim, widths = w_dim, _widths(size, width)[::-1]
        self.begin = nn.Linear(w_dim, widths[0] * _FIRST**2)
        self.blocks = nn.ModuleList(UpBlock(before, after, w_dim) for before, after in itertools.pairwise(widths))
        self.last = nn.BatchNorm2d(width)
        self.colours = nn.Conv2d(width, channels, 3, 1, 1)
        _orthogonal(self)
        normalize_layers(self)

    def forward(self, w: Tensor) -> Tensor:
        """Generate images.

        Raises:
            TeachlibError: codes of another shape or precision.
        """
        require_input(self, w, (self.w_dim,), what="codes")
        x = self.begin(w).unflatten(1, (-1, _FIRST, _FIRST))
        for block in self.blocks:
            x = block(x, w)
        return self.colours(relu(self.last(x))).sigmoid()


class BigGANTrunk(nn.Module):
    """Residual blocks from images down to 4×4; its owner normalizes it.

    Args:
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32, 64 or 128.
        width: channels of the first block.

    Shapes: (N, channels, size, size) → a list of features, those of the last block (N, self.channels, 4, 4).
    """

    def __init__(self, *, channels: int, size: int, width: int) -> None:
        super().__init__()
        widths = [channels, *_widths(size, width)[:-1]]
        self.channels = widths[-1]
        self.blocks = nn.ModuleList(
            DownBlock(before, after, first=number == 0)
            for number, (before, after) in enumerate(itertools.pairwise(widths))
        )
        _orthogonal(self)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Features after each block, the last ones through a ReLU."""
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        return [*features[:-1], relu(features[-1])]


def _orthogonal(net: nn.Module) -> None:
    for weight in _matrices(net):
        nn.init.orthogonal_(weight)


def _matrices(net: nn.Module) -> Iterator[nn.Parameter]:
    """Weights that act as matrices: not biases, not the scales of a norm."""
    return (weight for weight in net.parameters() if weight.ndim > 1)


def orthogonal_penalty(net: nn.Module) -> Tensor:
    """Σ ‖WWᵀ ⊙ (1 − I)‖²_F over weights, each reshaped to (outputs, rest); scalar (BigGAN, Eq 3).

    Filters may have any length, and are kept from pointing the same way.
    """
    products = (weight.flatten(1) @ weight.flatten(1).T for weight in _matrices(net))
    return torch.stack([(product - product.diag().diag()).square().sum() for product in products]).sum()
