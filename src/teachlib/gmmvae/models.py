"""The networks of the chapter."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import require_input, require_pixels
from teachlib.gmmvae.mixture import MixturePrior, class_means
from teachlib.gmmvae.recipes import Recipe

_SMALLEST = 4  # pixels a side, after the last pooling


class Encoder(nn.Sequential):
    """Convolutions, each followed by max-pooling, then dense layers (thesis §4.8.1; sizes and batch norm are ours).

    Shapes: (N, channels, size, size) in [0, 1] → (N, outputs).
    """

    def __init__(self, recipe: Recipe, outputs: int) -> None:
        self.image = recipe.channels, recipe.size, recipe.size
        layers: list[nn.Module] = []
        before = recipe.channels
        for after in _filters(recipe):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            before = after
        hidden = 2 * before
        layers += [nn.Flatten(), nn.Linear(before * _SMALLEST**2, hidden, bias=False), nn.BatchNorm1d(hidden)]
        super().__init__(*layers, nn.ReLU(), nn.Linear(hidden, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """What the layers make of images.

        Raises:
            TeachlibError: images of another size or precision, or pixels outside [0, 1].
        """
        require_input(self, x, self.image)
        require_pixels(x)
        return super().forward(x)


class Decoder(nn.Sequential):
    """Dense layers, then up-sampling and convolutions, and a sigmoid (thesis §4.8.1; sizes and batch norm are ours).

    Shapes: (N, latent) → (N, channels, size, size) in [0, 1].
    """

    def __init__(self, recipe: Recipe) -> None:
        self.latent = recipe.latent
        filters = _filters(recipe)[::-1]
        hidden, before = 2 * filters[0], filters[0]
        layers: list[nn.Module] = [
            *(nn.Linear(recipe.latent, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()),
            *(nn.Linear(hidden, before * _SMALLEST**2), nn.Unflatten(1, (before, _SMALLEST, _SMALLEST))),
        ]
        for after in (*filters[1:], recipe.width):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.Upsample(scale_factor=2)]
            layers.append(nn.Conv2d(before, after, 3, padding=1, bias=False))
            before = after
        layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.Conv2d(before, recipe.channels, 3, padding=1)]
        super().__init__(*layers, nn.Sigmoid())

    def forward(self, z: Tensor) -> Tensor:
        """Images of latents.

        Raises:
            TeachlibError: latents of another shape or precision.
        """
        require_input(self, z, (self.latent,), what="latents")
        return super().forward(z)


def _filters(recipe: Recipe) -> list[int]:
    """Doubling from block to block, to at most eight times the first."""
    return [recipe.width * min(2**block, 8) for block in range(int(math.log2(recipe.size // _SMALLEST)))]


class GMMVAE(nn.Module):
    """Encoder f, decoder g and a mixture prior with one component a class (thesis §4.5).

    Args:
        recipe: sizes and kind.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.encoder = Encoder(recipe, (2 if recipe.learned_variance else 1) * recipe.latent)
        self.decoder = Decoder(recipe)
        self.prior = MixturePrior(class_means(recipe.classes, recipe.latent, recipe.placement), recipe.variance)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of Q(Z|x), each (N, d); the variance is constant unless the recipe learns it."""
        return self.split(self.encoder(x))

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's outputs as mean and log-variance, each (N, d)."""
        constant = math.log(self.recipe.variance)
        if self.recipe.learned_variance:
            mean, excess = outputs.chunk(2, dim=1)
            return mean, excess + constant  # starts near the constant
        return outputs, torch.full_like(outputs, constant)

    def encode(self, x: Tensor) -> Tensor:
        """f(x), the posterior's mean: (N, C, H, W) → (N, d)."""
        return self.posterior(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Images in [0, 1], (N, C, H, W), of latents (N, d)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images, without noise."""
        return self.decode(self.encode(x))

    def scores(self, x: Tensor) -> Tensor:
        """Minus the squared distance of f(x) to each mean, (N, k): unlike log P, with slopes that attacks can climb."""
        return -self.prior.squared_distances(self.encode(x))

    def classify(self, x: Tensor) -> Tensor:
        """The class whose mean is nearest to f(x) (thesis Eq 4.7 with Q for P(Z|X)), (N,)."""
        return self.scores(x).argmax(1)

    def sample(self, labels: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """An image of each class asked for: (N,) → (N, C, H, W)."""
        return self.decode(self.prior.sample(labels, generator))


class CNN(Encoder):
    """The encoder with a logit a class instead of a code: what it is compared with.

    Shapes: (N, channels, size, size) in [0, 1] → (N, classes).
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe, recipe.classes)
        self.recipe = recipe

    def scores(self, x: Tensor) -> Tensor:
        """Logits, (N, k)."""
        return self(x)

    def classify(self, x: Tensor) -> Tensor:
        """The class of the largest logit, (N,)."""
        return self(x).argmax(1)


class MagNet(nn.Module):
    """A classifier and, trained apart, an autoencoder that detects what it cannot rebuild (Meng and Chen, 2017).

    A free code of the latent dimension, no prior: the reconstruction knows nothing of the predicted class.

    Args:
        recipe: sizes.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.classifier = CNN(recipe)
        self.encoder = Encoder(recipe, recipe.latent)
        self.decoder = Decoder(recipe)

    def scores(self, x: Tensor) -> Tensor:
        """The classifier's logits, (N, k)."""
        return self.classifier(x)

    def reconstruct(self, x: Tensor) -> Tensor:
        """What the detector's autoencoder makes of images, as ``x``."""
        return self.decoder(self.encoder(x))

    def classify(self, x: Tensor) -> Tensor:
        """The class of the largest logit, (N,)."""
        return self.scores(x).argmax(1)


Model = GMMVAE | CNN | MagNet


def build(recipe: Recipe) -> Model:
    """The untrained model of a recipe, laid out as convolutions on a CPU are twice as fast in."""
    kinds: dict[str, type[Model]] = {"cnn": CNN, "cnn-adversarial": CNN, "magnet": MagNet}
    return kinds.get(recipe.name, GMMVAE)(recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def shifted(x: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    """Each image moved by its own random number of pixels, at most ``pixels`` either way, with zeros moved in.

    Args:
        x: (N, C, H, W).
        pixels: largest shift.
        generator: explicit randomness.

    Returns:
        As ``x``.
    """
    count, channels, height, width = x.shape
    corners = torch.randint(2 * pixels + 1, (2, count, 1), generator=generator, device=x.device)
    rows = corners[0] + torch.arange(height, device=x.device)
    columns = corners[1] + torch.arange(width, device=x.device)
    sample, channel = torch.arange(count, device=x.device), torch.arange(channels, device=x.device)
    padded = F.pad(x, (pixels, pixels, pixels, pixels))
    return padded[
        sample[:, None, None, None], channel[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]
