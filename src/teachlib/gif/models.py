"""GIF and what it is compared with: a StyleGAN2 that is told what to show by renderings or by a vector (§ 5.3.4)."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from teachlib.errors import require_as_many, require_input
from teachlib.gif import flame
from teachlib.gif.layers import EqualizedConv2d, EqualizedLinear, leaky_relu
from teachlib.gif.parameters import Parameters, neutral, vector
from teachlib.gif.recipes import REINFERENCE, VECTORS, Recipe
from teachlib.gif.rendering import condition
from teachlib.gif.stylegan2 import (
    Discriminator,
    DiscriminatorTrunk,
    Generator,
    MappingNetwork,
    StyleGAN2Config,
    Synthesis,
    mix_styles,
)

_CHANNELS = {"colours": slice(0, 3), "normals": slice(3, 6)}
VECTOR = vector(neutral()).shape[1]
_LENGTHS = {"heads": VECTOR, "faces": 0, "ffhq": sum(flame.VECTOR.values())}  # of what is known of each picture


class Injector(nn.Module):
    """From a rendering to what is added to the features of one layer: three convolutions (Ghosh et al., 2020).

    Args:
        inputs: channels of the rendering.
        outputs: channels of the layer.
        side: of the layer, in pixels.

    Shapes: (N, inputs, H, W) → (N, outputs, side, side).
    """

    def __init__(self, inputs: int, outputs: int, side: int) -> None:
        super().__init__()
        self.side = side
        sizes = (inputs, 2 * inputs, 4 * inputs, outputs)
        first, second, last = (EqualizedConv2d(a, b, 3) for a, b in itertools.pairwise(sizes))
        # Features start as those of a StyleGAN2 without conditions: where they lead is learned, not drawn.
        nn.init.zeros_(last.weight)
        self.layers = nn.ModuleList([first, second, last])

    def forward(self, rendering: Tensor) -> Tensor:
        """Compute features."""
        x = interpolate(rendering, size=self.side, mode="bilinear", align_corners=False, antialias=True)
        for layer in self.layers[:-1]:
            x = relu(layer(x))
        return self.layers[-1](x)


class ToldGenerator(nn.Module, ABC):
    """A StyleGAN2 that is told what to show; derived classes say how it hears it.

    Shapes: z (N, z_dim), a condition of N → (N, 3, size, size).
    """

    @abstractmethod
    def networks(self) -> tuple[MappingNetwork, Synthesis]:
        """Of the StyleGAN2."""

    @abstractmethod
    def codes(self, z: Tensor, condition: Tensor) -> Tensor:
        """w of each picture, (N, w_dim)."""

    @abstractmethod
    def synthesize(
        self, w: Tensor, condition: Tensor, generator: torch.Generator | None, noise: Sequence[Tensor] | None
    ) -> Tensor:
        """Pictures of a code for each layer, (N, layers + 1, w_dim)."""

    def forward(
        self,
        z: Tensor,
        condition: Tensor,
        generator: torch.Generator | None = None,
        *,
        noise: Sequence[Tensor] | None = None,
        mixed: tuple[Tensor, float] | None = None,
        psi: float = 1.0,
        training: bool = False,
    ) -> tuple[Tensor, Tensor] | Tensor:
        """Draw pictures.

        Args:
            z: styles.
            condition: what is to be shown.
            generator: draws noise, where layers have any and none is given, and how styles are mixed.
            noise: for each layer, instead.
            mixed: other styles, and with which probability a picture's are those from some layer on.
            psi: share of each code's distance to the codes' average that is kept (truncation).
            training: keep the average of codes, and give the codes as well, (N, layers + 1, w_dim).
        """
        mapping, synthesis = self.networks()
        layers = synthesis.config.layers + 1
        w = self.codes(z, condition)
        if training:
            mapping.track(w)
        every = w[:, None].expand(-1, layers, -1)
        if mixed is not None:
            assert generator is not None
            others, probability = mixed
            other = self.codes(others, condition)[:, None].expand(-1, layers, -1)
            every = mix_styles(every, other, generator, probability)
        if psi != 1:
            every = mapping.truncated(every, psi)
        pictures = self.synthesize(every, condition, generator, noise)
        return (pictures, every) if training else pictures


class RenderedGenerator(ToldGenerator):
    """A StyleGAN2 whose layers are given renderings where they had noise.

    Args:
        config: of the networks; without noise.
        inputs: channels of the renderings.

    Shapes: z (N, z_dim), renderings (N, inputs, size, size) → (N, 3, size, size).
    """

    def __init__(self, config: StyleGAN2Config, inputs: int) -> None:
        super().__init__()
        self.generator = Generator(config)
        shapes = [self.generator.synthesis.feature_shape(layer) for layer in range(config.layers)]
        self.inputs = inputs
        self.injectors = nn.ModuleList(Injector(inputs, channels, side) for channels, side, _ in shapes)

    def networks(self) -> tuple[MappingNetwork, Synthesis]:
        """Of the StyleGAN2."""
        return self.generator.mapping, self.generator.synthesis

    def codes(self, z: Tensor, condition: Tensor) -> Tensor:
        """The style alone decides; raises where the renderings have another shape or precision."""
        size = self.generator.synthesis.config.size
        require_input(self, condition, (self.inputs, size, size), what="renderings")
        require_as_many(codes=z, renderings=condition)
        return self.generator.mapping(z)

    def synthesize(
        self, w: Tensor, condition: Tensor, generator: torch.Generator | None, noise: Sequence[Tensor] | None
    ) -> Tensor:
        """Add features of the renderings; nothing is random but the style."""
        added = {layer: injector(condition) for layer, injector in enumerate(self.injectors)}
        return self.generator.synthesis(w, condition=added)


class VectorGenerator(ToldGenerator):
    """A StyleGAN2 that maps a vector together with z (App. B.1.1).

    Args:
        config: of the networks; with noise.
        inputs: length of the vector.

    Shapes: z (N, z_dim), vector (N, inputs) → (N, 3, size, size).
    """

    def __init__(self, config: StyleGAN2Config, inputs: int) -> None:
        super().__init__()
        self.inputs, self.z_dim = inputs, config.z_dim
        self.embedding = EqualizedLinear(inputs, config.z_dim)
        joined = StyleGAN2Config(**{**vars(config), "z_dim": 2 * config.z_dim})
        self.mapping, self.synthesis = MappingNetwork(joined), Synthesis(config)

    def networks(self) -> tuple[MappingNetwork, Synthesis]:
        """Of the StyleGAN2."""
        return self.mapping, self.synthesis

    def codes(self, z: Tensor, condition: Tensor) -> Tensor:
        """Style and vector decide together; raises where one has another shape or precision."""
        require_input(self, z, (self.z_dim,), what="codes z")
        require_input(self, condition, (self.inputs,), what="vectors")
        require_as_many(codes=z, vectors=condition)
        return self.mapping(torch.cat([z, self.embedding(condition)], 1))

    def synthesize(
        self, w: Tensor, condition: Tensor, generator: torch.Generator | None, noise: Sequence[Tensor] | None
    ) -> Tensor:
        """With the given noise, with noise of a generator, or without."""
        if noise is None and generator is not None:
            noise = self.synthesis.draw_noise(len(w), generator)
        return self.synthesis(w, noise=noise)


class RenderedDiscriminator(nn.Module):
    """Sees a picture and its renderings one behind the other, pixel on pixel.

    Shapes: pictures (N, 3, size, size), renderings (N, inputs, size, size) → logits (N,).
    """

    def __init__(self, config: StyleGAN2Config, inputs: int) -> None:
        super().__init__()
        self.trunk = Discriminator(config, inputs=3 + inputs)

    def forward(self, pictures: Tensor, rendering: Tensor) -> Tensor:
        """Judge whether a picture is real, and the renderings its own.

        Raises:
            TeachlibError: pictures or renderings of another shape or precision, or not as many of both.
        """
        channels, *sides = self.trunk.shape
        require_input(self, pictures, (3, *sides), what="pictures")
        require_input(self, rendering, (channels - 3, *sides), what="renderings")
        require_as_many(pictures=pictures, renderings=rendering)
        return self.trunk(torch.cat([pictures, rendering], 1))


class VectorDiscriminator(nn.Module):
    """Sees a picture, and then compares what it found with a vector c.

    - ``subtraction``, as printed: the last activation h(x), as long as c, less c, and a linear layer. As that layer is
      linear, D(x, c) = a·h(x) - a·c: what c adds does not depend on x, so that no mismatch can be seen.
    - ``concatenation``: h(x) and c, through two more layers.
    - ``projection``: a·h(x) + h(x)·V c (Miyato and Koyama, 2018).

    Shapes: pictures (N, 3, size, size), c (N, inputs) → logits (N,).
    """

    def __init__(self, config: StyleGAN2Config, inputs: int, kind: str) -> None:
        super().__init__()
        self.kind, self.inputs = kind, inputs
        self.trunk = DiscriminatorTrunk(config)
        width = self.trunk.width
        joined = width + inputs if kind == "concatenation" else width
        self.to_vector = EqualizedLinear(width, inputs) if kind == "subtraction" else None
        self.embedding = EqualizedLinear(inputs, width) if kind == "projection" else None
        self.hidden = EqualizedLinear(joined, width) if kind == "concatenation" else None
        self.logit = EqualizedLinear(inputs if kind == "subtraction" else width, 1)

    def forward(self, pictures: Tensor, condition: Tensor) -> Tensor:
        """Judge whether a picture is real, and shows what it was asked to.

        Raises:
            TeachlibError: pictures or vectors of another shape or precision, or not as many of both.
        """
        require_input(self, condition, (self.inputs,), what="vectors")
        require_as_many(pictures=pictures, vectors=condition)
        h = self.trunk(pictures)
        if self.to_vector is not None:
            return self.logit(leaky_relu(self.to_vector(h)) - condition).flatten()
        if self.hidden is not None:
            return self.logit(leaky_relu(self.hidden(torch.cat([h, condition], 1)))).flatten()
        assert self.embedding is not None
        return self.logit(h).flatten() + (h * self.embedding(condition)).sum(1) / h.shape[1] ** 0.5


class Face(nn.Module):
    """A generator of faces, its discriminator, and a style for each picture that it is trained on.

    Args:
        recipe: that builds it.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        told = not recipe.renderings
        config = StyleGAN2Config.for_size(
            recipe.size, width=recipe.width, mapping_layers=recipe.mapping_layers, noise=told
        )
        if recipe.channel_base:
            config = replace(config, channel_base=recipe.channel_base)
        length = _LENGTHS[recipe.dataset]
        self.generator: ToldGenerator
        self.discriminator: nn.Module
        if told:
            self.generator = VectorGenerator(config, length)
            self.discriminator = VectorDiscriminator(config, length, VECTORS[recipe.name])
        else:
            inputs = 3 * len(recipe.renderings)
            self.generator = RenderedGenerator(config, inputs)
            self.discriminator = RenderedDiscriminator(config, inputs)
        self.standard = Standard(length)
        self.learned = nn.Embedding(recipe.pictures, recipe.width) if recipe.styles == "learned" else None
        self._drawn: Tensor | None = None  # of all pictures, once somebody asks: no weights, and in no checkpoint

    def styles(self, numbers: Tensor) -> Tensor:
        """The vector of each training picture, (N, width): drawn once, and never learned (thesis § 5.3.4).

        Where they are learned, as the recipe has it, they are what they have become.
        """
        if self.learned is not None:
            return self.learned(numbers.to(self.learned.weight.device))
        if self._drawn is None or self._drawn.device != numbers.device:
            shape = (self.recipe.pictures, self.recipe.width)
            self._drawn = torch.randn(shape, generator=torch.Generator().manual_seed(7)).to(numbers.device)
        return self._drawn[numbers]

    def condition(self, parameters: Parameters, renderings: Tensor | None = None) -> Tensor:
        """What the networks are told of N heads: renderings, or standardized vectors.

        Args:
            parameters: of the heads.
            renderings: of these parameters, (N, 6, size, size), where they are at hand; otherwise they are made.
        """
        if self.recipe.renderings and renderings is None:
            renderings = condition(parameters, self.recipe.size)
        return self.told(vector(parameters), renderings)

    def told(self, vectors: Tensor, renderings: Tensor | None) -> Tensor:
        """What the networks are told of N pictures, of whatever data set.

        Args:
            vectors: (N, P).
            renderings: colours and normals, (N, 6, size, size); vector models need none.
        """
        if not self.recipe.renderings:
            return self.standard(vectors)
        assert renderings is not None
        return torch.cat([renderings[:, _CHANNELS[kind]] for kind in self.recipe.renderings], 1)

    def forward(self, parameters: Parameters, styles: Tensor, *, psi: float = 1.0) -> Tensor:
        """Pictures of parameters in given styles (N, width), (N, 3, size, size) in [0, 1].

        What noise a model has is the same for all pictures: the frames of a film must not tremble with it.

        Args:
            parameters: of N heads.
            styles: (N, width).
            psi: share of each code's distance to the codes' average that is kept: less is less various and better.
        """
        return self.draw(self.condition(parameters), styles, psi=psi)

    def draw(self, told: Tensor, styles: Tensor, *, psi: float = 1.0) -> Tensor:
        """As calling the model does, for what :meth:`told` gave."""
        require_input(self, styles, (self.recipe.width,), what="styles")
        _, synthesis = self.generator.networks()
        noise = None
        if synthesis.config.noise:
            noise = synthesis.draw_noise(1, torch.Generator(styles.device).manual_seed(0))
        pictures = self.generator(styles, told, noise=noise, psi=psi)
        return (pictures / 2 + 0.5).clamp(0, 1)


class Standard(nn.Module):
    """Numbers less their mean, over their deviation, as it was set; those that never change are zero.

    Shapes: (N, length) → (N, length).
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(length))
        self.register_buffer("deviation", torch.ones(length))

    def set(self, rows: Tensor) -> None:
        """Take mean and deviation of rows (N, length)."""
        if rows.numel():
            self.mean.copy_(rows.mean(0))
            self.deviation.copy_(rows.std(0, unbiased=len(rows) > 1))

    def forward(self, rows: Tensor) -> Tensor:
        """Standardize.

        Raises:
            TeachlibError: rows of another length or precision.
        """
        require_input(self, rows, tuple(self.mean.shape), what="rows")
        return torch.where(self.deviation > 1e-6, (rows - self.mean) / self.deviation.clamp_min(1e-6), 0.0)


class Reinference(nn.Module):
    """From pictures back to the parameters that they were made from, standardized: DECA's part in the thesis.

    Args:
        recipe: that builds it.

    Shapes: (N, 3, size, size) in [0, 1] → (N, 157).
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe, width = recipe, recipe.width
        # The first layer keeps all pixels: a mouth that opens moves one or two of a picture of 32².
        layers, before, side = _block(3, width, 1), width, recipe.size
        while side > 4:
            after = min(before + width, 4 * width)
            layers += [*_block(before, after, 2), *_block(after, after, 1)]
            before, side = after, side // 2
        self.network = nn.Sequential(
            *layers, nn.Flatten(), nn.Linear(before * side**2, 8 * width), nn.ReLU(), nn.Linear(8 * width, VECTOR)
        )
        self.standard = Standard(VECTOR)

    def forward(self, pictures: Tensor) -> Tensor:
        """Infer parameters."""
        require_input(self, pictures, (3, self.recipe.size, self.recipe.size))
        return self.network(2 * pictures - 1)


def _block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


def build(recipe: Recipe) -> Face | Reinference:
    """The untrained model of a recipe."""
    return Reinference(recipe) if recipe.name == REINFERENCE else Face(recipe)
