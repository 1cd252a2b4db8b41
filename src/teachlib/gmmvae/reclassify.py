"""Labels for refused images, by searching the decoder's images for the nearest one (thesis §4.7)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from teachlib.errors import require_at_least, require_images, require_positive
from teachlib.gmmvae.losses import reconstruction_error
from teachlib.gmmvae.mixture import MixturePrior
from teachlib.gmmvae.selective import Decision, Map, Thresholds
from teachlib.modes import refuse_training


@dataclass(frozen=True)
class Search:
    """The code whose image is nearest, of each of N images.

    Attributes:
        z: z* of Eq 4.8, (N, d).
        error: squared distance between its image and the one searched for, (N,).
    """

    z: Tensor
    error: Tensor


def nearest_code(
    decode: Map, prior: MixturePrior, x: Tensor, *, steps: int = 100, learning_rate: float = 0.02, batch_size: int = 100
) -> Search:
    """z* = argmin ‖g(z) − x‖² (thesis Eq 4.8), the best of k searches that start at the class means.

    Adam on the codes, all starts of a batch at once; a search never ends worse than it began.

    Args:
        decode: codes (N, d) → images.
        prior: whose means are the starts.
        x: (N, C, H, W).
        steps: of each search.
        learning_rate: Adam's; distances between classes are √2.
        batch_size: images at a time; each has k starts.

    Raises:
        TeachlibError: no such images, steps or rates; a decoder in training mode.
    """
    require_at_least(0, steps=steps)
    require_at_least(1, batch_size=batch_size)
    require_positive(learning_rate=learning_rate)
    require_images(x, -torch.inf, torch.inf)
    with refuse_training():
        decode(prior.means)
    parts = [_searched(decode, prior, chunk, steps, learning_rate) for chunk in x.split(batch_size)]
    return Search(torch.cat([part.z for part in parts]), torch.cat([part.error for part in parts]))


@torch.inference_mode(False)
def _searched(decode: Map, prior: MixturePrior, x: Tensor, steps: int, learning_rate: float) -> Search:
    classes = len(prior.means)
    z = prior.means.repeat(len(x), 1).requires_grad_()  # row i·k + c: image i from mean c
    goal = x.repeat_interleave(classes, 0)
    optimizer = torch.optim.Adam([z], lr=learning_rate)
    best, best_error = z.detach().clone(), torch.full((len(z),), torch.inf, device=x.device)
    for _ in range(steps + 1):  # the last one only looks at where the one before it has led
        with torch.enable_grad():
            error = reconstruction_error(goal, decode(z))
            (z.grad,) = torch.autograd.grad(error.sum(), z)
        better = error.detach() < best_error
        best = torch.where(better[:, None], z.detach(), best)
        best_error = torch.where(better, error.detach(), best_error)
        optimizer.step()
    chosen = best_error.view(-1, classes).argmin(1)
    rows = torch.arange(len(x), device=x.device) * classes + chosen
    return Search(best[rows], best_error[rows])


def reclassify(
    decode: Map, prior: MixturePrior, thresholds: Thresholds, x: Tensor, *, steps: int = 100
) -> Decision:  # fmt: skip
    """The class whose mean is nearest to z*, with both ratios: what lies beyond a threshold is still refused (§4.7).

    Args:
        decode: codes (N, d) → images.
        prior: a component a class.
        thresholds: as for the classifier itself.
        x: images that it refused, (N, C, H, W).
        steps: of each search.
    """
    found = nearest_code(decode, prior, x, steps=steps)
    distances = prior.mahalanobis(found.z)
    labels = distances.argmin(1)
    latent = distances.gather(1, labels[:, None])[:, 0]
    return Decision(labels, latent / thresholds.latent, found.error / thresholds.pixels)


def unrolled_errors(decode: Map, prior: MixturePrior, x: Tensor, *, steps: int = 10, step_size: float) -> Tensor:
    """Error of the search from each class mean, (N, k), differentiable in ``x`` through every step.

    What an attack on reclassification climbs: plain gradient descent instead of Adam, few steps, all kept on the tape.

    Args:
        decode: codes (N, d) → images.
        prior: whose means are the starts.
        x: (N, C, H, W).
        steps: of each search.
        step_size: of the descent on the mean squared error.
    """
    classes = len(prior.means)
    z = prior.means.repeat(len(x), 1).requires_grad_()
    goal = x.repeat_interleave(classes, 0)
    for _ in range(steps):
        error = reconstruction_error(goal, decode(z))
        (gradient,) = torch.autograd.grad(error.sum(), z, create_graph=True)
        z = z - step_size / x[0].numel() * gradient
    return reconstruction_error(goal, decode(z)).view(-1, classes)
