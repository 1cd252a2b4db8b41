"""StyleGAN2 (Karras et al., 2019, 2020): mapping, synthesis and discriminator, for images of 32² to 256² pixels.

Networks are called by what they do: codes z are mapped to w, a code w for each layer is synthesized to a picture. A
condition, such as features of a rendered face, is added where StyleGAN2 adds noise (Ghosh et al., 2020; thesis §5.3).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_at_least, require_input, require_positive, require_shape
from teachlib.gif.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    ModulatedConv2d,
    NoiseInjection,
    leaky_relu,
    minibatch_deviation,
    pixel_norm,
)
from teachlib.gif.resampling import upsample

MAPPING_RATE = 0.01  # of the learning rate (Karras et al., 2019, App. C)
MIXING = 0.9  # probability that a picture has two codes (Karras et al., 2019, §3.1)
AVERAGE_KEEPS = 0.995  # of itself, at each update


@dataclass(frozen=True)
class StyleGAN2Config:
    """Sizes of the networks.

    Attributes:
        size: side of the images in pixels, a power of two from 8 to 1024.
        channel_base: channels at a resolution are this over its side, in pixels …
        channel_max: … but at most so many.
        mapping_layers: of the mapping network; the paper: 8, ADA: 2.
        z_dim: of the mapping network's input.
        w_dim: of its output.
        noise: whether layers add noise of a learned strength; without, a condition takes its place.

    Raises:
        TeachlibError: another size, or numbers that leave no layer or channel.
    """

    size: int
    channel_base: int = 16_384
    channel_max: int = 512
    mapping_layers: int = 2
    z_dim: int = 512
    w_dim: int = 512
    noise: bool = True

    def __post_init__(self) -> None:
        if self.size not in {2**power for power in range(3, 11)}:
            raise TeachlibError(f"images of {self.size} pixels a side; StyleGAN2 takes a power of two from 8 to 1024")
        require_at_least(self.size, channel_base=self.channel_base)
        require_at_least(1, channel_max=self.channel_max, mapping_layers=self.mapping_layers)
        require_at_least(1, z_dim=self.z_dim, w_dim=self.w_dim)

    @classmethod
    def for_size(cls, size: int, *, width: int = 512, mapping_layers: int = 2, noise: bool = True) -> "StyleGAN2Config":
        """What ADA's automatic configuration takes for images of less than 512² (Karras et al., 2020, ADA).

        Args:
            size: side of the images in pixels.
            width: most channels of a layer, and dimensions of z and w; a smaller one shrinks all layers alike.
            mapping_layers: of the mapping network.
            noise: whether layers add noise.
        """
        return cls(size, 32 * width, width, mapping_layers, width, width, noise)

    @property
    def resolutions(self) -> list[int]:
        """4, 8, …, size."""
        return [2**power for power in range(2, self.size.bit_length())]

    @property
    def layers(self) -> int:
        """Convolutions of the synthesis that features pass: one at 4×4, two at each other resolution."""
        return 2 * len(self.resolutions) - 1

    def channels(self, resolution: int) -> int:
        """Of features at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)


class MappingNetwork(nn.Module):
    """From codes z ~ N(0, I) to w, with an average of w for truncation (Karras et al., 2019, §2, App. B).

    Buffers:
        average: (w_dim,), of the codes that :meth:`track` was shown.

    Shapes: (N, z_dim) → (N, w_dim).
    """

    average: Tensor

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.z_dim = config.z_dim
        sizes = [config.z_dim, *[config.w_dim] * config.mapping_layers]
        self.layers = nn.ModuleList(EqualizedLinear(a, b, rate=MAPPING_RATE) for a, b in itertools.pairwise(sizes))
        self.register_buffer("average", torch.zeros(config.w_dim))

    def forward(self, z: Tensor) -> Tensor:
        """Map codes.

        Raises:
            TeachlibError: codes of another dimension or precision.
        """
        require_input(self, z, (self.z_dim,), what="codes z")
        w = pixel_norm(z)
        for layer in self.layers:
            w = leaky_relu(layer(w))
        return w

    @torch.no_grad()
    def track(self, w: Tensor) -> None:
        """Move the average towards the mean of a batch of codes (N, w_dim); for training, once a step."""
        self.average.lerp_(w.mean(0).to(self.average), 1 - AVERAGE_KEEPS)

    def truncated(self, w: Tensor, psi: float, cutoff: int | None = None) -> Tensor:
        """Codes nearer to the average: less variety, better pictures (Karras et al., 2019, App. B).

        Args:
            w: (N, L, w_dim), a code a layer.
            psi: share of the distance to the average that is kept; 1: all.
            cutoff: only the first so many layers; ``None``: all.

        Returns:
            (N, L, w_dim).
        """
        near = self.average.lerp(w, psi)
        return near if cutoff is None else torch.cat([near[:, :cutoff], w[:, cutoff:]], 1)


class SynthesisLayer(nn.Module):
    """Modulated convolution, noise or condition, bias, activation.

    Args:
        inputs: channels.
        outputs: channels.
        config: of the networks.
        up: double the image.

    Shapes: (N, inputs, H, W), (N, w_dim) → (N, outputs, H, W), or with ``up`` twice the sides.
    """

    def __init__(self, inputs: int, outputs: int, config: StyleGAN2Config, *, up: bool = False) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, outputs, 3, config.w_dim, up=up)
        self.noise = NoiseInjection() if config.noise else None
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None, condition: Tensor | None = None) -> Tensor:
        """Compute features; noise (N or 1, 1, H, W) and a condition (N, outputs, H, W) are added where given."""
        x = self.convolution(x, w)
        if self.noise is not None and noise is not None:
            x = self.noise(x, noise)
        if condition is not None:
            x = x + condition
        return leaky_relu(x + self.bias[:, None, None])


class ToRGB(nn.Module):
    """Features to colours, in the style of a code, without demodulation.

    Shapes: (N, inputs, H, W), (N, w_dim) → (N, 3, H, W).
    """

    def __init__(self, inputs: int, w_dim: int) -> None:
        super().__init__()
        self.convolution = ModulatedConv2d(inputs, 3, 1, w_dim, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Colour features."""
        return self.convolution(x, w) + self.bias[:, None, None]


class Synthesis(nn.Module):
    """From codes w to pictures: each resolution adds its colours to the enlarged ones of that before (skip generator).

    Layer 0 works at 4×4; layers 2k − 1 and 2k at 4·2ᵏ pixels a side, the first of which doubles the image. Layer i
    takes code i. Colours at 4·2ᵏ take code 2k + 1, that of the next layer, so that there is one code more than layers.

    Shapes: (N, layers + 1, w_dim) → (N, 3, size, size), in about [−1, 1] after training on such pictures.
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        channels = [config.channels(resolution) for resolution in config.resolutions]
        self.constant = nn.Parameter(torch.randn(channels[0], 4, 4))
        self.layers = nn.ModuleList([SynthesisLayer(channels[0], channels[0], config)])
        for before, after in itertools.pairwise(channels):
            self.layers.append(SynthesisLayer(before, after, config, up=True))
            self.layers.append(SynthesisLayer(after, after, config))
        self.to_rgb = nn.ModuleList(ToRGB(inputs, config.w_dim) for inputs in channels)

    def forward(
        self, w: Tensor, *, noise: Sequence[Tensor] | None = None, condition: Mapping[int, Tensor] | None = None
    ) -> Tensor:
        """Draw pictures.

        Args:
            w: a code for each layer, (N, layers + 1, w_dim).
            noise: for each layer, (N or 1, 1, side, side), as :meth:`draw_noise` draws it; ``None``: none is added.
            condition: layer → (N, channels, side, side) as :meth:`feature_shape` says; layers may be left out.

        Raises:
            TeachlibError: codes, noise or conditions of other shapes, or for layers that there are not.
        """
        require_input(self, w, (self.config.layers + 1, self.config.w_dim), what="codes w")
        condition = condition or {}
        self._refuse_other_layers(len(w), noise, condition)
        x = self.constant.expand(len(w), -1, -1, -1)
        image: Tensor | None = None
        for number, layer in enumerate(self.layers):
            x = layer(x, w[:, number], None if noise is None else noise[number], condition.get(number))
            if number % 2 == 0:
                colours = self.to_rgb[number // 2](x, w[:, number + 1])
                image = colours if image is None else upsample(image) + colours
        assert image is not None
        return image

    def feature_shape(self, layer: int) -> tuple[int, int, int]:
        """Channels, height and width of what a layer computes, and of a condition that is added to it."""
        resolution = self.config.resolutions[(layer + 1) // 2]
        return self.config.channels(resolution), resolution, resolution

    def draw_noise(self, count: int, generator: torch.Generator) -> list[Tensor]:
        """Standard normal noise for each layer, (count, 1, side, side); ``count`` 1 serves a whole batch."""
        sides = [self.feature_shape(layer)[1] for layer in range(self.config.layers)]
        shapes = [(count, 1, side, side) for side in sides]
        return [torch.randn(s, generator=generator, device=generator.device).to(self.constant) for s in shapes]

    def _refuse_other_layers(self, count: int, noise: Sequence[Tensor] | None, condition: Mapping[int, Tensor]) -> None:
        layers = self.config.layers
        if noise is not None and len(noise) != layers:
            raise TeachlibError(f"noise for {len(noise)} layers; expected {layers}: draw_noise draws it")
        if wrong := sorted(set(condition) - set(range(layers))):
            raise TeachlibError(f"a condition for layer {wrong[0]}; expected layers 0 … {layers - 1}")
        if noise is not None and not self.config.noise:
            raise TeachlibError("noise for a network that adds none; leave it out")
        for layer, told in condition.items():
            require_shape(told, self.feature_shape(layer), what="conditions")
            if len(told) != count:
                raise TeachlibError(f"{len(told)} conditions for layer {layer} of {count} codes; expected as many")
        for layer, drawn in enumerate(noise or ()):
            side = self.feature_shape(layer)[1]
            require_shape(drawn, (1, side, side), what="noise")
            if len(drawn) not in (1, count):
                raise TeachlibError(f"noise of {len(drawn)} pictures for {count} codes; expected 1 or {count}")


def mix_styles(w: Tensor, other: Tensor, generator: torch.Generator, probability: float = MIXING) -> Tensor:
    """From some layer on, each picture's codes are another's, so that layers learn to work apart (§3.1, 2019).

    Args:
        w: (N, L, w_dim).
        other: (N, L, w_dim).
        generator: decides whether, and from which layer 1 … L − 1 on; for each picture by itself.
        probability: of mixing.

    Returns:
        (N, L, w_dim).
    """
    count, layers = w.shape[:2]
    device = generator.device
    crossover = torch.randint(1, layers, (count,), generator=generator, device=device)
    mixed = torch.rand(count, generator=generator, device=device) < probability
    crossover = torch.where(mixed, crossover, layers)
    taken = torch.arange(layers, device=device) >= crossover[:, None]
    return torch.where(taken[:, :, None].to(w.device), other, w)


class Generator(nn.Module):
    """Mapping and synthesis.

    Args:
        config: of the networks.

    Shapes: (N, z_dim) → (N, 3, size, size).
    """

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.mapping = MappingNetwork(config)
        self.synthesis = Synthesis(config)

    def forward(
        self,
        z: Tensor,
        *,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Sequence[Tensor] | None = None,
        condition: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """Draw pictures of codes z: :meth:`MappingNetwork.truncated` says what ``psi`` and ``cutoff`` do.

        Raises:
            TeachlibError: as :class:`MappingNetwork` and :class:`Synthesis` do.
        """
        w = self.broadcast(self.mapping(z))
        return self.synthesis(self.mapping.truncated(w, psi, cutoff), noise=noise, condition=condition)

    def broadcast(self, w: Tensor) -> Tensor:
        """The same code for each layer: (N, w_dim) → (N, layers + 1, w_dim)."""
        return w[:, None].expand(-1, self.config.layers + 1, -1)


class ResidualBlock(nn.Module):
    """Two convolutions that halve the image, beside one that looks at single pixels.

    Shapes: (N, before, H, W) → (N, after, H/2, W/2).
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.convolution_1 = EqualizedConv2d(before, before, 3)
        self.convolution_2 = EqualizedConv2d(before, after, 3, down=True)
        self.skip = EqualizedConv2d(before, after, 1, down=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute features; over √2, as the variances of both ways add up."""
        features = leaky_relu(self.convolution_2(leaky_relu(self.convolution_1(x))))
        return (features + self.skip(x)) / math.sqrt(2)


class DiscriminatorTrunk(nn.Module):
    """Residual blocks down to 4×4, how different the batch's images are, and a linear layer.

    Args:
        config: of the networks.
        inputs: channels of what is judged: 3 for pictures, 9 for pictures with two renders beside them.
        group: images whose deviation is taken together.

    Shapes: (N, inputs, size, size) → (N, width), the channels at 4×4.
    """

    def __init__(self, config: StyleGAN2Config, *, inputs: int = 3, group: int = 4) -> None:
        super().__init__()
        require_positive(inputs=inputs, group=group)
        self.shape, self.group = (inputs, config.size, config.size), group
        channels = [config.channels(resolution) for resolution in reversed(config.resolutions)]
        self.width = channels[-1]
        self.from_rgb = EqualizedConv2d(inputs, channels[0], 1)
        self.blocks = nn.ModuleList(ResidualBlock(before, after) for before, after in itertools.pairwise(channels))
        self.convolution = EqualizedConv2d(self.width + 1, self.width, 3)
        self.linear = EqualizedLinear(self.width * 4 * 4, self.width)

    def forward(self, x: Tensor) -> Tensor:
        """Compute features.

        Raises:
            TeachlibError: another shape; a batch that is larger than a group and cannot be divided into groups.
        """
        require_input(self, x, self.shape)
        x = leaky_relu(self.from_rgb(x))
        for block in self.blocks:
            x = block(x)
        x = leaky_relu(self.convolution(minibatch_deviation(x, self.group)))
        return leaky_relu(self.linear(x.flatten(1)))


class Discriminator(DiscriminatorTrunk):
    """The trunk, and a linear layer to a logit; arguments as there.

    Shapes: (N, inputs, size, size) → (N,) logits of "real".
    """

    def __init__(self, config: StyleGAN2Config, *, inputs: int = 3, group: int = 4) -> None:
        super().__init__(config, inputs=inputs, group=group)
        self.logit = EqualizedLinear(self.width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Judge pictures; raises as the trunk does."""
        return self.logit(super().forward(x)).flatten()
