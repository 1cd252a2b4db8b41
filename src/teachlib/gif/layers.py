"""The layers of StyleGAN2 (Karras et al., 2019, 2020), in plain PyTorch."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_at_least
from teachlib.gif.resampling import blur, downsample

EPSILON = 1e-8  # of the public implementations: pixel norm, demodulation and standard deviation all add it


def leaky_relu(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, times √2, which keeps the variance of its input nearly (Karras et al., 2020, App. B)."""
    return F.leaky_relu(x, 0.2).mul_(math.sqrt(2))  # in place: the gradient needs x alone


def pixel_norm(z: Tensor) -> Tensor:
    """Vectors (N, d) scaled to a mean square of one (Karras et al., 2018, §4.2)."""
    return z * (z.square().mean(1, keepdim=True) + EPSILON).rsqrt()


class EqualizedLinear(nn.Module):
    """A linear map whose weights are kept at unit variance and scaled by 1/√fan-in when used (Karras et al., 2018).

    All weights then have the same range, so that Adam, whose steps do not know the gradient's size, moves layers of
    every width alike.

    Args:
        inputs: their number.
        outputs: their number.
        bias: its starting value.
        rate: multiplies the learning rate: weights are kept 1/rate times as large, and scaled by ``rate`` when used.

    Shapes: (N, inputs) → (N, outputs).
    """

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.rate, self.scale = rate, rate / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)


class EqualizedConv2d(nn.Module):
    """A convolution whose weights are scaled by 1/√fan-in when used, as :class:`EqualizedLinear`'s.

    Args:
        inputs: channels.
        outputs: channels.
        side: of the kernel, odd.
        down: halve the image, through the resampling filter.
        bias: whether there is one.

    Shapes: (N, inputs, H, W) → (N, outputs, H, W), or with ``down`` half the sides.
    """

    def __init__(self, inputs: int, outputs: int, side: int, *, down: bool = False, bias: bool = True) -> None:
        super().__init__()
        self.scale, self.side, self.down = 1 / math.sqrt(inputs * side**2), side, down
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Convolve images."""
        weight = self.weight * self.scale
        if not self.down:
            return F.conv2d(x, weight, self.bias, padding=self.side // 2)
        if self.side == 1:  # one look at each kept pixel: drop the others first
            return F.conv2d(downsample(x), weight, self.bias)
        return F.conv2d(blur(x, 1 + self.side // 2), weight, self.bias, stride=2)


def modulated_conv(x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool = True, up: bool = False) -> Tensor:
    """Convolve each image with kernels whose inputs are scaled by its style (Karras et al., 2020, §2.2).

    Scaling kernels by s and then to unit norm, w' = w·s·d, equals scaling the image's channels by s before and by d
    after a convolution that the whole batch shares. d needs the squares of the shared kernels only, summed over
    their pixels: a product of two matrices, and no kernel of its own for any image.

    Args:
        x: (N, I, H, W).
        weight: (O, I, k, k), k odd, already scaled by 1/√fan-in.
        styles: (N, I), s.
        demodulate: divide by the norm that the scaled kernels have, which outputs of unit variance ask for.
        up: double the image: a transposed convolution of stride 2, then the resampling filter.

    Returns:
        (N, O, H, W), or with ``up`` (N, O, 2H, 2W).
    """
    x = x * styles[:, :, None, None]
    if up:
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        x = blur(x, 2 - weight.shape[-1] // 2, gain=4.0)
    else:
        x = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
    if demodulate:
        norms = styles.square() @ weight.square().sum((2, 3)).T  # (N, O)
        x = x * (norms + EPSILON).rsqrt()[:, :, None, None]
    return x


def modulated_conv_grouped(
    x: Tensor, weight: Tensor, styles: Tensor, *, demodulate: bool = True, up: bool = False
) -> Tensor:
    """:func:`modulated_conv` as the paper states it, for comparison: kernels for each image, and one group an image.

    It holds N·O·I·k² numbers for kernels, and grouped convolutions are slow in training. Arguments, shapes and results
    are those of :func:`modulated_conv`.
    """
    (count, inputs, height, width), (outputs, _, side, _) = x.shape, weight.shape
    kernels = weight * styles[:, None, :, None, None]  # (N, O, I, k, k)
    if demodulate:
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + EPSILON).rsqrt()
    joined = x.reshape(1, count * inputs, height, width)
    if up:
        kernels = kernels.transpose(1, 2).reshape(count * inputs, outputs, side, side)
        y = F.conv_transpose2d(joined, kernels, stride=2, groups=count)
        return blur(y.reshape(count, outputs, *y.shape[2:]), 2 - side // 2, gain=4.0)
    kernels = kernels.reshape(count * outputs, inputs, side, side)
    return F.conv2d(joined, kernels, padding=side // 2, groups=count).reshape(count, outputs, height, width)


class ModulatedConv2d(nn.Module):
    """:func:`modulated_conv` with styles that an affine map reads off the latent code.

    Args:
        inputs: channels.
        outputs: channels.
        side: of the kernel, odd.
        w_dim: of the latent code.
        demodulate: as there.
        up: as there.

    Shapes: (N, inputs, H, W) and (N, w_dim) → (N, outputs, H, W), or with ``up`` twice the sides.
    """

    def __init__(
        self, inputs: int, outputs: int, side: int, w_dim: int, *, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.demodulate, self.up = 1 / math.sqrt(inputs * side**2), demodulate, up
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.affine = EqualizedLinear(w_dim, inputs, bias=1.0)  # styles start around one: nothing is scaled

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Convolve images in the style of their codes."""
        weight = self.weight * self.scale
        return modulated_conv(x, weight, self.affine(w), demodulate=self.demodulate, up=self.up)


class NoiseInjection(nn.Module):
    """Noise on all channels alike, by a strength that is learned from zero (Karras et al., 2020, §2.1).

    Shapes: (N, C, H, W) and noise (N or 1, 1, H, W) → (N, C, H, W).
    """

    def __init__(self) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Add noise."""
        return x + self.strength * noise


def minibatch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """A channel more, which tells how different the images of a group are (Karras et al., 2018, §3).

    The standard deviation over a group, averaged over channels and pixels, is one number a group. Image i's group is
    i modulo N/group, as in the public implementations. A smaller batch is one group, also as there; of none there is
    none.

    Args:
        x: (N, C, H, W).
        group: images that are compared.

    Returns:
        (N, C + 1, H, W).

    Raises:
        TeachlibError: a larger batch that cannot be divided into groups.
    """
    require_at_least(1, group=group)
    count, channels, height, width = x.shape
    if not count:
        return x.new_zeros(0, channels + 1, height, width)
    size = min(group, count)
    if count % size:
        raise TeachlibError(
            f"a batch of {count}; the discriminator compares images in groups of {group}: "
            f"expected a multiple of {group}, or fewer"
        )
    deviation = (x.unflatten(0, (size, -1)).var(0, unbiased=False) + EPSILON).sqrt().mean((1, 2, 3))  # (N/size,)
    return torch.cat([x, deviation.repeat(size)[:, None, None, None].expand(-1, 1, height, width)], 1)
