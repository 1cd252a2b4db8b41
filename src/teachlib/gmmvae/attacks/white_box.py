"""The thesis's own attacks on the whole model: targeted (Eq 4.9) and fooling (Eq 4.10)."""

import torch
from torch import Tensor

from teachlib.errors import require_at_least, require_labels, require_positive
from teachlib.gmmvae.attacks.gradient import Loss, Slopes
from teachlib.gmmvae.selective import SelectiveClassifier


def white_box_loss(classifier: SelectiveClassifier, x: Tensor, targets: Tensor, a: float, b: float) -> Tensor:
    """(‖x − g(f(x))‖²/τ_dec)^a + (‖f(x) − μ_t‖²_Σ⁻¹/τ_enc)^b of each image: what Eqs 4.9 and 4.10 share, (N,).

    Both print Σ_t where the thresholds of §4.6 are on Mahalanobis distances, which have Σ_t⁻¹; with it each ratio is
    one on its threshold.

    Args:
        classifier: encoder, decoder, means and thresholds.
        x: attacked images, (N, C, H, W).
        targets: t, (N,).
        a: exponent of the pixels' ratio, above 1.
        b: exponent of the latent ratio, above 1.
    """
    _, latent, pixels = classifier.measure(x, None)
    targets = require_labels(targets, latent.shape[1], count=len(x))
    return pixels**a + latent.gather(1, targets[:, None]).squeeze(1) ** b


def white_box(
    classifier: SelectiveClassifier,
    x: Tensor,
    targets: Tensor,
    *,
    a: float = 2.0,
    b: float = 2.0,
    steps: int = 200,
    learning_rate: float = 0.01,
) -> Tensor:
    """The targeted attack of thesis Eq 4.9: descent on the shared loss + ‖η‖², from η = 0.

    No ball bounds η; its length is in the loss. Adam, as the thesis names no optimizer; pixels stay in [0, 1].

    Args:
        classifier: to be fooled.
        x: clean images, (N, C, H, W).
        targets: t, (N,).
        a: exponent of the pixels' ratio.
        b: exponent of the latent ratio.
        steps: of the descent.
        learning_rate: Adam's, in pixels.

    Returns:
        x + η, as ``x``.
    """

    def loss(attacked: Tensor) -> Tensor:
        return white_box_loss(classifier, attacked, targets, a, b) + (attacked - x).square().flatten(1).sum(1)

    return _descend(loss, x, steps, learning_rate)


def fooling(
    classifier: SelectiveClassifier,
    noise: Tensor,
    targets: Tensor,
    *,
    a: float = 2.0,
    b: float = 2.0,
    steps: int = 200,
    learning_rate: float = 0.01,
) -> Tensor:
    """The fooling attack of thesis Eq 4.10: from noise, to anything that is accepted as the target.

    Args:
        classifier: to be fooled.
        noise: where it starts, e.g. uniform pixels, (N, C, H, W).
        targets: t, (N,).
        a: exponent of the pixels' ratio.
        b: exponent of the latent ratio.
        steps: of the descent.
        learning_rate: Adam's, in pixels.

    Returns:
        η, as ``noise``.
    """
    return _descend(lambda x: white_box_loss(classifier, x, targets, a, b), noise, steps, learning_rate)


@torch.inference_mode(False)
def _descend(loss: Loss, start: Tensor, steps: int, learning_rate: float) -> Tensor:
    require_at_least(1, steps=steps)
    require_positive(learning_rate=learning_rate)
    slopes, current = Slopes(loss, start), start.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([current], lr=learning_rate)
    for _ in range(steps):
        _, current.grad = slopes(current)
        optimizer.step()
        with torch.no_grad():
            current.clamp_(0, 1)
    return slopes.checked(current.detach())
