"""A small GAN of zeros, asked in one of seven ways; everything but the way is the same."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from teachlib.errors import require_as_many, require_input
from teachlib.gif.asking.recipes import AskRecipe
from teachlib.gif.asking.zeros import FACTORS, SIZE, bars
from teachlib.gif.layers import EqualizedConv2d, EqualizedLinear, leaky_relu

_ASKED = len(FACTORS)
# The generator takes the factors beside z, unless a layer or a picture tells it.
_BESIDE_Z = ("input", "auxiliary", "projection", "infogan")


class AskedGenerator(nn.Module):
    """From z and factors to a picture, by way of features of 4², 8² and 16² pixels.

    Shapes: z (N, z_dim), factors (N, 2) → (N, 1, 16, 16).
    """

    def __init__(self, recipe: AskRecipe) -> None:
        super().__init__()
        self.way, width = recipe.way, recipe.width
        channels = (4 * width, 2 * width, width)
        beside = _ASKED if self.way in _BESIDE_Z else 0
        self.first = EqualizedLinear(recipe.z_dim + beside, channels[0] * 16)
        inputs = (channels[0], *channels[:-1])
        self.convolutions = nn.ModuleList(EqualizedConv2d(a, b, 3) for a, b in zip(inputs, channels, strict=True))
        self.picture = EqualizedConv2d(width, 1, 1)
        self.told = nn.ModuleList()
        if self.way in ("layer", "shuffled"):  # the same number for all pixels of a channel
            self.told.extend(EqualizedLinear(_ASKED, count) for count in channels)
        elif self.way == "pixels":
            self.told.extend(EqualizedConv2d(1, count, 3) for count in channels)

    def forward(self, z: Tensor, factors: Tensor) -> Tensor:
        """Draw pictures, in [-1, 1] where they are good."""
        x = torch.cat([z, factors], 1) if self.way in _BESIDE_Z else z
        x = leaky_relu(self.first(x).view(len(z), -1, 4, 4))
        bar = 2 * bars(factors) - 1 if self.way == "pixels" else None
        for level, convolution in enumerate(self.convolutions):
            if level:
                x = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = convolution(x)
            if bar is not None:
                x = x + self.told[level](interpolate(bar, size=x.shape[-1], mode="area"))
            elif self.told:
                x = x + self.told[level](factors)[:, :, None, None]
            x = leaky_relu(x)
        return self.picture(x)


class AskedDiscriminator(nn.Module):
    """From a picture and factors to a logit; an auxiliary head guesses the factors where the way asks for one.

    Shapes: pictures (N, 1, 16, 16), factors (N, 2) → logits (N,) and guesses (N, 2).
    """

    def __init__(self, recipe: AskRecipe) -> None:
        super().__init__()
        self.way, width = recipe.way, recipe.width
        planes = 1 + {"input": _ASKED, "pixels": 1}.get(self.way, 0)
        self.convolutions = nn.ModuleList(
            [
                EqualizedConv2d(planes, width, 3),
                EqualizedConv2d(width, 2 * width, 3, down=True),
                EqualizedConv2d(2 * width, 4 * width, 3, down=True),
            ]
        )
        features = 4 * width
        self.last = EqualizedLinear(features * 16, features)
        joined = _ASKED if self.way in ("layer", "shuffled") else 0
        self.joined = EqualizedLinear(features + joined, features)
        self.logit = EqualizedLinear(features, 1)
        self.embedding = EqualizedLinear(_ASKED, features) if self.way == "projection" else None
        self.guess = EqualizedLinear(features, _ASKED) if self.way in ("auxiliary", "infogan") else None

    def forward(self, pictures: Tensor, factors: Tensor) -> tuple[Tensor, Tensor]:
        """Judge pictures; without an auxiliary head the guesses are the factors themselves.

        Raises:
            TeachlibError: pictures or factors of another shape or precision, or not as many of both.
        """
        require_input(self, pictures, (1, SIZE, SIZE), what="pictures")
        require_input(self, factors, (_ASKED,), what="factors")
        require_as_many(pictures=pictures, factors=factors)
        x = pictures
        if self.way == "input":
            x = torch.cat([x, factors[:, :, None, None].expand(-1, -1, SIZE, SIZE)], 1)
        elif self.way == "pixels":
            x = torch.cat([x, 2 * bars(factors) - 1], 1)
        for convolution in self.convolutions:
            x = leaky_relu(convolution(x))
        x = leaky_relu(self.last(x.flatten(1)))
        h = leaky_relu(self.joined(torch.cat([x, factors], 1) if self.way in ("layer", "shuffled") else x))
        logits = self.logit(h).flatten()
        if self.embedding is not None:
            logits = logits + (h * self.embedding(factors)).sum(1) / h.shape[1] ** 0.5
        return logits, factors if self.guess is None else self.guess(h)


class Asked(nn.Module):
    """A generator of zeros that is asked, and its discriminator.

    Args:
        recipe: that builds it.
    """

    def __init__(self, recipe: AskRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.generator, self.discriminator = AskedGenerator(recipe), AskedDiscriminator(recipe)

    def forward(self, factors: Tensor, z: Tensor) -> Tensor:
        """Pictures of factors (N, 2) and z (N, z_dim), (N, 1, 16, 16) in [0, 1]."""
        require_input(self, factors, (_ASKED,), what="factors")
        require_input(self, z, (self.recipe.z_dim,), what="codes z")
        require_as_many(codes=z, factors=factors)
        return (self.generator(z, factors) / 2 + 0.5).clamp(0, 1)
