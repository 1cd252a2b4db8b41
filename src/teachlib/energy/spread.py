"""What could keep a generator's points apart, the constraint that Eq 7.4 leaves out (thesis § 7.5.1, "future work").

Each is something that the generator descends beside its own loss. All are small where samples are spread out.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.distances import distances
from teachlib.errors import TeachlibError, require_as_many, require_input, require_positive
from teachlib.nets import mlp

# Name → weight that it is used with; chosen on ten Gaussians with other seeds than those of the table.
SPREADS = {
    "none": 0.0,
    "distance": 0.3,
    "kernel": 5.0,
    "features": 2.0,
    "determinantal": 0.1,
    "flow": 1.0,
    "pack": 0.0,
    "minibatch": 0.0,
    "information": 1.0,
    "entropy": 0.3,
}
PACKED = 2  # samples that are judged together


def _pairs(x: Tensor) -> Tensor:
    """Distances of all samples to each other, (N, N); where two are the same, without a slope."""
    x = x.flatten(1)
    if len(x) < 2:
        raise TeachlibError(f"{len(x)} samples; being apart takes two")
    return distances(x, x)


def repulsion(x: Tensor) -> Tensor:
    """−E‖x − x'‖, the energy distance's part that samples have among themselves (Székely & Rizzo, 2013); scalar."""
    return -_pairs(x).sum() / (len(x) * (len(x) - 1))


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """2·E‖x − y‖ − E‖x − x'‖ − E‖y − y'‖ of samples (N, …) and (M, …), unbiased; scalar."""
    across = distances(x.flatten(1), y.flatten(1)).mean()
    return 2 * across + repulsion(x) + repulsion(y)


def kernel_repulsion(x: Tensor, deviation: float | None = None) -> Tensor:
    """Mean of exp(−‖x − x'‖²/2h²) over pairs: how crowded samples are; scalar in (0, 1].

    Args:
        x: (N, …).
        deviation: h; ``None``: h² is a fifth of the mean squared distance as it is now, over all N² pairs.

    Raises:
        TeachlibError: fewer than two samples; an h that is not positive.
    """
    require_positive(deviation=deviation)
    squared = _pairs(x).square()
    width = 2 * deviation**2 if deviation is not None else 0.4 * squared.detach().mean().clamp_min(1e-8)
    count = len(squared)
    return ((-squared / width).exp().sum() - count) / (count * (count - 1))


def determinantal(x: Tensor, deviation: float = 1.0) -> Tensor:
    """−log det(K + I)/N of the kernel exp(−‖x − x'‖²/2h²): small where samples are a likely draw of a determinantal
    point process, which never draws two alike (Kulesza & Taskar, 2012); scalar.

    Args:
        x: (N, …).
        deviation: h.

    Raises:
        TeachlibError: fewer than two samples; an h that is not positive.
    """
    require_positive(deviation=deviation)
    kernel = (-_pairs(x).square() / (2 * deviation**2)).exp()
    return -torch.linalg.slogdet(kernel + torch.eye(len(kernel), device=x.device, dtype=x.dtype)).logabsdet / len(x)


class Critic(nn.Module):
    """T(x, z), which learns to tell which noise z a sample x was made of.

    Args:
        dim: of x, flattened.
        latent: of z.
        width: of two hidden layers.
    """

    def __init__(self, dim: int, latent: int, width: int) -> None:
        super().__init__()
        self.dim, self.latent, self.net = dim, latent, mlp(dim + latent, width, width, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """(N, …) and (N, latent) → (N,).

        Raises:
            TeachlibError: samples or noise of another size or precision, or not as many of both.
        """
        flat = x.flatten(1) if x.ndim > 1 else x
        require_input(self, flat, (self.dim,), what="flattened samples")
        require_input(self, z, (self.latent,), what="noise")
        require_as_many(samples=x, noises=z)
        return self.net(torch.cat([flat, z], 1))[:, 0]


def shared_information(critic: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    """A lower bound on how much x tells of z, by a critic that sees true and shuffled pairs; scalar, in nats, ≤ log 4.

    A deterministic generator's entropy is what its samples tell of their noise, as far as this sees
    (Hjelm et al., 2019, Eq 4; used for a GAN's energy by Kumar et al., 2019).
    """
    true, shuffled = critic(x, z), critic(x, z.roll(1, 0))
    return math.log(4) - F.softplus(-true).mean() - F.softplus(shuffled).mean()


class Minibatch(nn.Module):
    """Tells each sample how close the others of the batch are (Salimans et al., 2016, § 3.2).

    Args:
        features: of a sample.
        kernels: numbers that it adds.
        dim: in which distances are taken for each.
    """

    def __init__(self, features: int, kernels: int = 8, dim: int = 4) -> None:
        super().__init__()
        self.features, self.kernels = features, kernels
        self.project = nn.Linear(features, kernels * dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, features) → (N, features + kernels).

        Raises:
            TeachlibError: features of another length or precision.
        """
        require_input(self, x, (self.features,), what="features")
        projected = self.project(x).unflatten(1, (self.kernels, -1))
        apart = (projected[:, None] - projected).abs().sum(3)
        return torch.cat([x, (-apart).exp().sum(1) - 1], 1)  # less itself
