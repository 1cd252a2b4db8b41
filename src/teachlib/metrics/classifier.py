"""Features of small classifiers of our own, for Fréchet distances where Inception's weights are not at hand.

A hasty classifier turns the order of models over: it punishes a faint blur more than a wrong shape. Ours have batch
norm and are trained on noisy, blurred and faded copies too, so that shapes are what their features see.
"""

from collections.abc import Iterator
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib import zoo
from teachlib.checkpoints import load_weights, part
from teachlib.errors import TeachlibError, require_images, require_input, require_labels
from teachlib.modes import in_evaluation_mode

DIMENSION = 64


class FeatureClassifier(nn.Module):
    """Four convolutions and a linear layer, all with batch norm, to 64 features; then a linear classifier.

    Shapes: (N, channels, size, size) in [0, 1] → (N, classes) logits; :meth:`features` → (N, 64).

    Args:
        classes: number of classes.
        channels: of the images.
        size: side of the images in pixels, a multiple of 8.
        width: filters of the first convolution.

    Raises:
        TeachlibError: another side.
    """

    def __init__(self, classes: int = 10, *, channels: int = 1, size: int = 32, width: int = 16) -> None:
        super().__init__()
        self.channels, self.size = channels, size
        filters = (channels, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for before, after, stride in zip(filters, filters[1:], (1, 2, 2, 2), strict=False):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        flat = filters[-1] * (size // 8) ** 2
        if size < 8 or size % 8:
            raise TeachlibError(f"images of {size} pixels a side; this network takes multiples of 8")
        self.penultimate = nn.Sequential(nn.Linear(flat, DIMENSION, bias=False), nn.BatchNorm1d(DIMENSION))
        self.head = nn.Linear(DIMENSION, classes)

    def features(self, x: Tensor) -> Tensor:
        """The 64 features before the last ReLU.

        Raises:
            TeachlibError: images of another shape or precision.
        """
        require_input(self, x, (self.channels, self.size, self.size))
        return self.penultimate(self.convolutions(2 * x - 1).flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(F.relu(self.features(x)))


def blur(x: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of images (N, C, H, W); ``sigma`` in pixels, up to about 1.5."""
    from torchvision.transforms.v2.functional import (
        gaussian_blur,  # here: it costs two seconds, and training alone blurs
    )

    return gaussian_blur(x, kernel_size=[7, 7], sigma=[sigma, sigma])


def degrade(x: Tensor, generator: torch.Generator) -> Tensor:
    """A quarter of the batch left alone, a quarter each noisy, blurred and faded; shifted by up to two pixels.

    Args:
        x: images in [0, 1], (N, C, H, W).
        generator: explicit randomness.

    Returns:
        As ``x``.
    """
    shift = torch.randint(-2, 3, (2,), generator=generator, device=x.device).tolist()
    clean, noisy, blurred, faded = x.roll(shift, dims=(2, 3)).tensor_split(4)
    noise = torch.randn(noisy.shape, generator=generator, device=x.device)
    strength = torch.rand(len(faded), 1, 1, 1, generator=generator, device=x.device)
    sigma = 0.3 + 1.2 * torch.rand((), generator=generator, device=x.device).item()
    return torch.cat(
        [
            clean,
            (noisy + 0.25 * noise).clamp(0, 1),
            blur(blurred, sigma),
            faded * (0.4 + 0.6 * strength),
        ]
    )


class FeatureObjective:
    """Cross-entropy on degraded copies; in validation too, with noise of its own.

    Args:
        model: to train.
        learning_rate: Adam's.
    """

    def __init__(self, model: FeatureClassifier, learning_rate: float = 2e-3) -> None:
        self.nets: dict[str, nn.Module] = {"classifier": model}
        self.learning_rate, self.classes = learning_rate, model.head.out_features

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam."""
        return {"classifier": torch.optim.Adam(self.nets["classifier"].parameters(), lr=self.learning_rate)}

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        """The one loss of this batch."""
        yield "classifier", self.validation_loss(batch, generator)

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """The same of held-out images."""
        x, labels = batch
        labels = require_labels(labels, self.classes, count=len(x))
        # The batch is in random order, so that the quarters of ``degrade`` are random samples.
        return F.cross_entropy(self.nets["classifier"](degrade(x, generator)), labels)


@lru_cache(maxsize=4)
def feature_classifier(dataset: str) -> FeatureClassifier:
    """The zoo's classifier of a data set, in evaluation mode.

    Raises:
        TeachlibError: the zoo has none for it.
    """
    name = f"features-{dataset}"
    if name not in zoo.names():
        kept = ", ".join(known for known in zoo.names() if known.startswith("features-"))
        raise TeachlibError(
            f"no feature classifier for '{dataset}' in the zoo, which has {kept}; train one: "
            f"'teachlib train features --dataset {dataset}', or measure with --extractor untrained"
        )
    tensors, card = zoo.read(name)
    # Cards of the first classifiers say nothing of sizes: they are the defaults.
    sizes = {key: card["recipe"][key] for key in ("channels", "size", "width") if key in card["recipe"]}
    model = FeatureClassifier(card["recipe"].get("classes", 10), **sizes)
    load_weights(model, part(tensors, "classifier"), source=name)
    return model.eval()


@torch.no_grad()
@in_evaluation_mode
def features_of(model: FeatureClassifier, images: Tensor, *, batch_size: int = 500) -> Tensor:
    """Features of images, which are resized where the classifier was trained on others.

    Args:
        model: looked through in evaluation mode, and left in its own.
        images: (N, C, H, W) in [0, 1], C as the classifier has it.
        batch_size: images at a time.

    Returns:
        (N, 64) float32.

    Raises:
        TeachlibError: images of other channels, none, or pixels outside [0, 1].
    """
    if images.ndim != 4 or images.shape[1] != model.channels or not len(images):
        raise TeachlibError(f"images of shape {tuple(images.shape)}; expected (N, {model.channels}, H, W)")
    require_images(images)
    side, kind = (model.size, model.size), model.head.weight.dtype
    parts = []
    for chunk in images.split(batch_size):
        fits = chunk.shape[2:] == side
        shown = chunk if fits else F.interpolate(chunk, size=side, mode="bilinear")
        parts.append(model.features(shown.to(kind)))
    return torch.cat(parts)


def classifier_features(dataset: str, images: Tensor, *, batch_size: int = 500) -> Tensor:
    """Features of images by the zoo's classifier of ``dataset``.

    A Fréchet distance between them is called ``FD-<dataset>``, never FID: nobody should compare it with a published
    number.

    Args:
        dataset: whose classifier.
        images: (N, C, H, W) in [0, 1].
        batch_size: images at a time.

    Returns:
        (N, 64) float32.

    Raises:
        TeachlibError: no such classifier; images of other channels, or pixels outside [0, 1].
    """
    return features_of(feature_classifier(dataset), images, batch_size=batch_size)
