"""What a distance says of images whose order is beyond doubt: an extractor that disagrees is of no use."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.metrics.classifier import blur
from teachlib.metrics.statistics import frechet_between, statistics_of


def sanity(
    features: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor, real: Tensor, *, relative: bool = True
) -> dict[str, float]:
    """Fréchet distances to real images of others that are real, blurred, noisy, one-sided and shuffled.

    Args:
        features: images (N, C, H, W) in [0, 1] → (N, F).
        images: real ones, not among ``real``, (N, C, H, W).
        labels: theirs, (N,); of a single class, nothing can be dropped.
        real: the set to compare with, (M, C, H, W).
        relative: divide by the total variance of the real features.

    Returns:
        What was done to the images → distance; ``floor`` for nothing.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(images.shape, generator=generator)
    height, width = images.shape[2:]
    shuffled = torch.randperm(height * width, generator=generator)
    classes = labels.unique()
    degraded = {
        "floor": images,
        "blurred (sigma 0.5 pixels)": blur(images, 0.5).clamp(0, 1),
        "blurred (sigma 1.5 pixels)": blur(images, 1.5).clamp(0, 1),
        "noisy (0.1)": (images + 0.1 * noise).clamp(0, 1),
        "pixels shuffled": images.flatten(2)[..., shuffled].view_as(images),
    }
    if len(classes) > 1:
        degraded["one class dropped"] = images[labels != classes[len(classes) // 3]]
        degraded["half of the classes dropped"] = images[torch.isin(labels, classes[: len(classes) // 2])]
    against = statistics_of(features(real))
    return {
        name: frechet_between(statistics_of(features(changed)), against, relative=relative)
        for name, changed in degraded.items()
    }
