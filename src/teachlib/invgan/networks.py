"""Networks of InvGAN: a mapping, a generator, and a discriminator that also infers the code (thesis § 6.3.1).

Three backbones, one interface: DCGAN, BigGAN (:mod:`teachlib.invgan.biggan`), and the StyleGAN2 of
:mod:`teachlib.gif`. All take codes w of one length, whose numbers have mean 0 and variance 1 over a batch, and infer
codes within ±4: without bounds a generator may ask for ever larger codes, and codes that are decoded again may grow
from batch to batch.
"""

import itertools
from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, one_hot

from teachlib.errors import TeachlibError, require_at_least, require_images, require_input, require_shape, unknown
from teachlib.gif.layers import EqualizedLinear
from teachlib.gif.stylegan2 import DiscriminatorTrunk, StyleGAN2Config, Synthesis
from teachlib.invgan.biggan import BigGANGenerator, BigGANTrunk
from teachlib.nets import DCGANGenerator, normalize_layers

BACKBONES = ("dcgan", "biggan", "stylegan2")
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


class Inference(nn.Module, ABC):
    """A discriminator with two heads on one intermediate tensor; a backbone says how that is computed.

    Either head may be ``None``: what it would say is zero then. An encoder that judges nothing has no ``logit``.

    Args:
        w_dim: of codes.
        image: shape of an image, (channels, size, size).

    Shapes: (N, channels, size, size) in [0, 1] → :class:`Seen`.
    """

    logit: nn.Module | None
    code: nn.Module | None

    def __init__(self, w_dim: int, image: tuple[int, int, int]) -> None:
        super().__init__()
        self.w_dim, self.image = w_dim, image

    @abstractmethod
    def described(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What both heads take of images in [-1, 1], (N, length), and the features of every layer before."""

    @property
    @abstractmethod
    def length(self) -> int:
        """Of what both heads take."""

    def forward(self, x: Tensor) -> Seen:
        """Judge images, and infer their codes."""
        flat, features = self._looked(x)
        return Seen(self._logits(flat), self._codes(flat), features)

    def _looked(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        require_input(self, x, self.image)
        return self.described(2 * x - 1)

    def _logits(self, flat: Tensor) -> Tensor:
        return flat.new_zeros(len(flat)) if self.logit is None else self.logit(flat).flatten()

    def _codes(self, flat: Tensor) -> Tensor:
        return flat.new_zeros(len(flat), self.w_dim) if self.code is None else bounded(self.code(flat))


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
        """Map noise.

        Raises:
            TeachlibError: noise of another shape or precision.
        """
        require_input(self, z, (self.standard.num_features,), what="noise")
        return self.standard(self.layers(z))


class ClassMapping(nn.Module):
    """From noise to codes that also say a class, each as often as any other: the largest of K numbers chooses it.

    Args:
        w_dim: of what is no class.
        classes: K.

    Shapes: (N, w_dim + K) → (N, w_dim + K), the last K zero but for a one.
    """

    def __init__(self, w_dim: int, classes: int) -> None:
        super().__init__()
        self.free, self.classes = Mapping(w_dim, 4 * w_dim), classes

    def forward(self, z: Tensor) -> Tensor:
        """Map noise; raises as :class:`Mapping` does."""
        require_input(self, z, (self.free.standard.num_features + self.classes,), what="noise")
        chosen = one_hot(z[:, -self.classes :].argmax(1), self.classes)
        return torch.cat([self.free(z[:, : -self.classes]), chosen.to(z)], 1)


class DCGANInference(Inference):
    """DCGAN's discriminator with two heads; spectral norm where it judges.

    Args:
        w_dim: of codes.
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32, 64 or 128.
        width: channels after the first layer; each later layer has twice as many.
        infers: whether it has the head for codes.

    Shapes: (N, channels, size, size) in [0, 1] → :class:`Seen`.
    """

    def __init__(self, w_dim: int, *, channels: int, size: int, width: int, infers: bool = True) -> None:
        super().__init__(w_dim, (channels, size, size))
        widths = [channels, *(width << step for step in range((size // 4).bit_length() - 1))]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise(widths))
        self._length = widths[-1] * 16
        self.logit = nn.Linear(self._length, 1)
        normalize_layers(self.layers)
        normalize_layers(self.logit)
        self.code = nn.Linear(self._length, w_dim) if infers else None

    @property
    def length(self) -> int:
        """Of what both heads take."""
        return self._length

    def described(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Convolve."""
        features = []
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
            features.append(x)
        return x.flatten(1), features


class BigGANInference(Inference):
    """BigGAN's discriminator with two heads; spectral norm where it judges.

    Where there are classes it judges whether an image is a real one *of its class*, by a projection (Miyato & Koyama,
    2018): an embedding of the class times the features is added to the logit. It infers them, too, as probabilities.

    Args:
        w_dim: of codes, the classes not counted.
        channels: of the images, 1 or 3.
        size: side of the images in pixels, 32, 64 or 128.
        width: channels of the first block.
        infers: whether it has the head for codes.
        classes: K, how many there are; 0: it is told none.

    Shapes: (N, channels, size, size) in [0, 1], with classes also (N, K), shares of each → :class:`Seen`, whose codes
    end with K probabilities.
    """

    def __init__(
        self, w_dim: int, *, channels: int, size: int, width: int, infers: bool = True, classes: int = 0
    ) -> None:
        super().__init__(w_dim + classes, (channels, size, size))
        self.classes = classes
        self.trunk = BigGANTrunk(channels=channels, size=size, width=width)
        self.logit = nn.Linear(self.length, 1)
        self.belongs = nn.Linear(classes, self.length, bias=False) if classes else None
        for layer in (self.trunk, self.logit, self.belongs):
            if layer is not None:
                normalize_layers(layer)
        self.code = nn.Linear(self.length, self.w_dim) if infers else None

    def forward(self, x: Tensor, told: Tensor | None = None) -> Seen:
        """Judge images, of classes where they are told, and infer their codes."""
        flat, features = self._looked(x)
        logits = self._logits(flat)
        if told is not None and self.belongs is not None:
            logits = logits + (self.belongs(told) * flat).sum(1)
        return Seen(logits, self._codes(flat), features)

    def _codes(self, flat: Tensor) -> Tensor:
        if self.code is None or not self.classes:
            return super()._codes(flat)
        free, told = self.code(flat).tensor_split([-self.classes], 1)
        return torch.cat([bounded(free), told.softmax(1)], 1)

    @property
    def length(self) -> int:
        """Of what both heads take: features at 4×4, where they lie."""
        return self.trunk.channels * 16

    def described(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Go through the blocks."""
        features = self.trunk(x)
        return features[-1].flatten(1), features


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

    @property
    def layers(self) -> int:
        """How many codes a picture may have."""
        return self.synthesis.config.layers + 1

    def forward(self, w: Tensor) -> Tensor:
        """Generate images; grey ones are the mean of three colours.

        Raises:
            TeachlibError: codes of another shape or precision.
        """
        require_input(self, w, (self.synthesis.config.w_dim,), what="codes")
        return self.mixed(w[:, None].expand(-1, self.layers, -1))

    def mixed(self, w: Tensor) -> Tensor:
        """Generate images of a code a layer, (N, layers, w_dim)."""
        x = self.synthesis(w) / 2 + 0.5
        return x.mean(1, keepdim=True) if self.channels == 1 else x


class StyleGAN2Inference(Inference):
    """StyleGAN2's discriminator with two heads.

    Args:
        config: of the networks.
        channels: of the images, 1 or 3.
        infers: whether it has the head for codes.
    """

    def __init__(self, config: StyleGAN2Config, channels: int, *, infers: bool = True) -> None:
        super().__init__(config.w_dim, (channels, config.size, config.size))
        # Without the minibatch's deviation: what is inferred of an image must not depend on its neighbours.
        self.trunk = DiscriminatorTrunk(config, inputs=channels, group=1)
        self.logit = EqualizedLinear(self.trunk.width, 1)
        self.code = EqualizedLinear(self.trunk.width, config.w_dim) if infers else None

    @property
    def length(self) -> int:
        """Of what both heads take."""
        return self.trunk.width

    def described(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Go through the blocks, which are listened to."""
        features: list[Tensor] = []
        hooks = [block.register_forward_hook(lambda *seen: features.append(seen[-1])) for block in self.trunk.blocks]
        try:
            return self.trunk(x), features
        finally:
            for hook in hooks:
                hook.remove()


def require_codes(w: Tensor, w_dim: int) -> None:
    """Refuse what no generator takes.

    Raises:
        TeachlibError: codes of another shape than (N, w_dim): of another model, perhaps.
    """
    if w.ndim != 2 or w.shape[1] != w_dim:
        raise TeachlibError(f"codes of shape {tuple(w.shape)}; expected (N, {w_dim}): are they of another model?")


def generator_of(backbone: str, shape: tuple[int, int, int], *, width: int, w_dim: int) -> nn.Module:
    """A generator, codes (N, w_dim) → images (N, *shape); arguments as of :class:`InvGAN`."""
    channels, size, _ = shape
    if backbone == "stylegan2":
        return StyleGAN2Generator(_styled(size, width, w_dim), channels)
    kind = DCGANGenerator if backbone == "dcgan" else BigGANGenerator
    return kind(w_dim, channels=channels, size=size, width=width)


def inference_of(
    backbone: str, shape: tuple[int, int, int], *, width: int, w_dim: int, infers: bool = True, classes: int = 0
) -> Inference:
    """A discriminator with two heads, images (N, *shape) → :class:`Seen`; arguments as of :class:`InvGAN`."""
    channels, size, _ = shape
    if backbone == "stylegan2":
        return StyleGAN2Inference(_styled(size, width, w_dim), channels, infers=infers)
    if backbone == "biggan":
        return BigGANInference(w_dim, channels=channels, size=size, width=width, infers=infers, classes=classes)
    return DCGANInference(w_dim, channels=channels, size=size, width=width, infers=infers)


def _styled(size: int, width: int, w_dim: int) -> StyleGAN2Config:
    return StyleGAN2Config(size, 32 * width, width, 2, w_dim, w_dim, noise=False)


class InvGAN(nn.Module):
    """Mapping, generator and discriminator of a GAN that infers its own codes.

    Args:
        backbone: of :data:`BACKBONES`.
        shape: of an image, (channels, size, size), of 32, 64 or 128 pixels.
        width: channels of the layer nearest to the image (DCGAN, BigGAN), or most channels of a layer (StyleGAN2).
        w_dim: of codes.
        infers: whether the discriminator has a head for codes; without, this is a GAN.
        judges: whether it has one that judges; without, this is an autoencoder.
        classes: how many classes BigGAN's networks are told; a code ends with them, as zeros and a one where it was
            drawn, as probabilities where it was inferred. To a linear layer that is an embedding of the class.

    Attributes:
        w_dim: of codes, with the classes.
        describes: whether features of the discriminator can be matched: it looks at pictures alone.
    """

    describes = True

    def __init__(
        self,
        backbone: str,
        shape: tuple[int, int, int],
        *,
        width: int,
        w_dim: int,
        infers: bool = True,
        judges: bool = True,
        classes: int = 0,
    ) -> None:
        super().__init__()
        require_at_least(1, width=width, w_dim=w_dim)
        if backbone not in BACKBONES:
            raise unknown("backbone", backbone, BACKBONES)
        if classes and backbone != "biggan":
            raise TeachlibError(f"{backbone} is told no classes; expected the backbone biggan")
        self.w_dim, self.image = w_dim + classes, shape
        self.mapping: nn.Module = ClassMapping(w_dim, classes) if classes else Mapping(w_dim, 4 * w_dim)
        self.generator: nn.Module = generator_of(backbone, shape, width=width, w_dim=self.w_dim)
        inference = inference_of(backbone, shape, width=width, w_dim=w_dim, infers=infers, classes=classes)
        inference.logit = inference.logit if judges else None
        self.discriminator: nn.Module = inference

    def codes(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes from the prior, w = M(z), (count, w_dim)."""
        device = next(self.generator.parameters()).device
        return self.mapping(torch.randn(count, self.w_dim, generator=generator, device=generator.device).to(device))

    @property
    def infers(self) -> bool:
        """Whether there is a head for codes; without, all codes that are inferred are zero."""
        return not isinstance(self.discriminator, Inference) or self.discriminator.code is not None

    def infer(self, x: Tensor) -> Tensor:
        """Codes of images (N, C, size, size) in [0, 1], (N, w_dim).

        Raises:
            TeachlibError: this is a GAN without inference; images of another shape.
        """
        if not self.infers:
            raise TeachlibError("a GAN without inference; take a model that was trained with it, such as invgan-direct")
        return self.discriminator(x).codes

    def generate(self, w: Tensor) -> Tensor:
        """Images of codes (N, w_dim), in [0, 1]."""
        require_codes(w, self.w_dim)
        return self.generator(w).clamp(0, 1)

    def require_images(self, x: Tensor) -> None:
        """Refuse images of another shape than the networks take, values outside of [0, 1], or none at all.

        Raises:
            TeachlibError: such images.
        """
        require_shape(x, self.image)
        require_images(x)
        if not len(x):
            raise TeachlibError("no images; expected one or more")

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images, G(D(x))."""
        return self.generate(self.infer(x))
