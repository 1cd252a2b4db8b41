"""Networks of InvGAN: a mapping, a generator, and a discriminator that also infers the code (thesis § 6.3.1).

Two backbones, one interface: DCGAN, and the StyleGAN2 of :mod:`teachlib.gif`. Both take codes w of one length, whose
numbers have mean 0 and variance 1 over a batch, and both infer codes within ±4: without bounds a generator may ask for
ever larger codes, and codes that are decoded again may grow from batch to batch.
"""

import itertools
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from teachlib.errors import TeachlibError, require_shape
from teachlib.gif.layers import EqualizedLinear
from teachlib.gif.stylegan2 import DiscriminatorTrunk, StyleGAN2Config, Synthesis
from teachlib.nets import DCGANGenerator, normalize_layers

BACKBONES = ("dcgan", "stylegan2")
_FURTHEST = 4.0  # that an inferred code lies from zero, in deviations of the prior


class Seen(NamedTuple):
    """What a discriminator makes of N images.

    The logits of "real", (N,); the codes that it infers, (N, w_dim), zero where it was built without that head; and the
    features of every layer, from the first on, each (N, C, H, W).
    """

    logits: Tensor
    codes: Tensor
    features: list[Tensor]


def bounded(codes: Tensor) -> Tensor:
    """Codes within ±4, those near zero nearly unchanged."""
    return _FURTHEST * (codes / _FURTHEST).tanh()


def _codes(head: nn.Module | None, features: Tensor, w_dim: int) -> Tensor:
    return features.new_zeros(len(features), w_dim) if head is None else bounded(head(features))


class Mapping(nn.Module):
    """From z ~ N(0, I) to codes: two layers (§ 6.3.1), and a batch norm without weights of its own.

    Args:
        w_dim: of z and of codes.
        width: of the layer between.

    Shapes: (N, w_dim) → (N, w_dim).
    """

    def __init__(self, w_dim: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(w_dim, width), nn.ReLU(), nn.Linear(width, w_dim))
        self.standard = nn.BatchNorm1d(w_dim, affine=False)
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor) -> Tensor:
        """Map noise."""
        return self.standard(self.layers(z))


class DCGANInference(nn.Module):
    """DCGAN's discriminator with two heads on one intermediate tensor; spectral norm where it judges.

    Args:
        w_dim: of codes.
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32 or 64.
        width: channels after the first layer; each later layer has twice as many.
        infers: whether it has the head for codes.

    Shapes: (N, channels, size, size) in [0, 1] → :class:`Seen`.
    """

    def __init__(self, w_dim: int, *, channels: int, size: int, width: int, infers: bool = True) -> None:
        super().__init__()
        self.image, self.w_dim = (channels, size, size), w_dim
        widths = [channels, *(width << step for step in range((size // 4).bit_length() - 1))]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        last = widths[-1] * 16
        self.logit = nn.Linear(last, 1)
        normalize_layers(self.layers)
        normalize_layers(self.logit)
        self.code = nn.Linear(last, w_dim) if infers else None

    def forward(self, x: Tensor) -> Seen:
        """Judge images, and infer their codes."""
        require_shape(x, self.image)
        x, features = 2 * x - 1, []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
            features.append(x)
        flat = x.flatten(1)
        return Seen(self.logit(flat).flatten(), _codes(self.code, flat, self.w_dim), features)


class StyleGAN2Generator(nn.Module):
    """StyleGAN2's synthesis, the same code for every layer and no noise: what noise draws no code could tell.

    Args:
        config: of the networks.
        channels: of the images, 1 or 3.

    Shapes: (N, w_dim) → (N, channels, size, size), mostly in [0, 1].
    """

    def __init__(self, config: StyleGAN2Config, channels: int) -> None:
        super().__init__()
        self.channels, self.synthesis = channels, Synthesis(config)

    def forward(self, w: Tensor) -> Tensor:
        """Generate images; grey ones are the mean of three colours."""
        x = self.synthesis(w[:, None].expand(-1, self.synthesis.config.layers + 1, -1)) / 2 + 0.5
        return x.mean(1, keepdim=True) if self.channels == 1 else x


class StyleGAN2Inference(nn.Module):
    """StyleGAN2's discriminator with two heads.

    Args:
        config: of the networks.
        channels: of the images, 1 or 3.
        infers: whether it has the head for codes.

    Shapes: (N, channels, size, size) in [0, 1] → :class:`Seen`.
    """

    def __init__(self, config: StyleGAN2Config, channels: int, *, infers: bool = True) -> None:
        super().__init__()
        self.image, self.w_dim = (channels, config.size, config.size), config.w_dim
        # Without the minibatch's deviation: what is inferred of an image must not depend on its neighbours.
        self.trunk = DiscriminatorTrunk(config, inputs=channels, group=1)
        self.logit = EqualizedLinear(self.trunk.width, 1)
        self.code = EqualizedLinear(self.trunk.width, config.w_dim) if infers else None

    def forward(self, x: Tensor) -> Seen:
        """Judge images, and infer their codes."""
        require_shape(x, self.image)
        features: list[Tensor] = []
        hooks = [block.register_forward_hook(lambda *seen: features.append(seen[-1])) for block in self.trunk.blocks]
        try:
            h = self.trunk(2 * x - 1)
        finally:
            for hook in hooks:
                hook.remove()
        return Seen(self.logit(h).flatten(), _codes(self.code, h, self.w_dim), features)


def require_codes(w: Tensor, w_dim: int) -> None:
    """Refuse what no generator takes.

    Raises:
        TeachlibError: codes of another shape than (N, w_dim): of another model, perhaps.
    """
    if w.ndim != 2 or w.shape[1] != w_dim:
        raise TeachlibError(f"codes of shape {tuple(w.shape)}; expected (N, {w_dim}): are they of another model?")


class InvGAN(nn.Module):
    """Mapping, generator and discriminator of a GAN that infers its own codes.

    Args:
        backbone: of :data:`BACKBONES`.
        shape: of an image, (channels, size, size), of 32 or 64 pixels.
        width: channels of the layer nearest to the image (DCGAN), or most channels of a layer (StyleGAN2).
        w_dim: of codes.
        infers: whether the discriminator has a head for codes; without, this is a GAN.
    """

    def __init__(
        self, backbone: str, shape: tuple[int, int, int], *, width: int, w_dim: int, infers: bool = True
    ) -> None:
        super().__init__()
        channels, size, _ = shape
        self.w_dim = w_dim
        self.mapping = Mapping(w_dim, 4 * w_dim)
        self.generator: nn.Module
        self.discriminator: nn.Module
        if backbone == "dcgan":
            self.generator = DCGANGenerator(w_dim, channels=channels, size=size, width=width)
            self.discriminator = DCGANInference(w_dim, channels=channels, size=size, width=width, infers=infers)
        else:
            config = StyleGAN2Config(size, 32 * width, width, 2, w_dim, w_dim, noise=False)
            self.generator = StyleGAN2Generator(config, channels)
            self.discriminator = StyleGAN2Inference(config, channels, infers=infers)

    def codes(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes from the prior, w = M(z), (count, w_dim)."""
        device = next(self.mapping.parameters()).device
        return self.mapping(torch.randn(count, self.w_dim, generator=generator, device=generator.device).to(device))

    def infer(self, x: Tensor) -> Tensor:
        """Codes of images (N, C, size, size) in [0, 1], (N, w_dim)."""
        return self.discriminator(x).codes

    def generate(self, w: Tensor) -> Tensor:
        """Images of codes (N, w_dim), in [0, 1]."""
        require_codes(w, self.w_dim)
        return self.generator(w).clamp(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images, G(D(x))."""
        return self.generate(self.infer(x))
