"""Generators and judges, of points in the plane and of pictures; a judge gives log D = −f, up to a constant."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.energy.recipes import Recipe
from teachlib.energy.spread import PACKED, Critic, Minibatch
from teachlib.errors import require_input
from teachlib.modes import evaluating
from teachlib.nets import DCGANGenerator, mlp
from teachlib.primer.flows import Flow, coupling_flow, standard_normal_log_prob


class PointGenerator(nn.Module):
    """z → points, by a fully connected network.

    Args:
        latent: of z.
        width: of two hidden layers.
    """

    def __init__(self, latent: int, width: int) -> None:
        super().__init__()
        self.latent, self.net = latent, mlp(latent, width, width, 2, activation=nn.LeakyReLU)

    def forward(self, z: Tensor) -> Tensor:
        """(N, latent) → (N, 2).

        Raises:
            TeachlibError: z of another shape or precision.
        """
        require_input(self, z, (self.latent,), what="z")
        return self.net(z)


class FlowGenerator(nn.Module):
    """z → points, invertibly: the density of what it generates is known.

    Args:
        width: of the couplings' networks.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.flow: Flow = coupling_flow(2, layers=8, kind="affine", width=width)

    def forward(self, z: Tensor) -> Tensor:
        """(N, 2) → (N, 2)."""
        return self.with_log_prob(z)[0]

    def with_log_prob(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Points and log p_G of each: (N, 2) → (N, 2), (N,)."""
        x, log_det = self.flow.encode(z)  # a flow runs either way; this one from noise to data
        return x, standard_normal_log_prob(z) - log_det

    def log_prob(self, x: Tensor) -> Tensor:
        """log p_G anywhere: (N, 2) → (N,)."""
        z = self.flow.decode(x)
        return standard_normal_log_prob(z) - self.flow.encode(z)[1]


def _sample(channels: int) -> tuple[int, ...]:
    """The shape of a picture, or of a point where there are no channels."""
    return (channels, 32, 32) if channels else (2,)


def _picture_body(channels: int, width: int) -> nn.Sequential:
    """Strided convolutions without normalization: each picture is judged by itself."""
    layers: list[nn.Module] = []
    for before, after in ((channels, width), (width, 2 * width), (2 * width, 4 * width)):
        layers += [nn.Conv2d(before, after, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * width, 8 * width), nn.LeakyReLU(0.2))


class Judge(nn.Module):
    """−f of samples: features, and a linear layer on them.

    Args:
        channels: of pictures; 0: of points.
        width: of the networks.
        packed: samples that are judged together (Lin et al., 2018).
        minibatch: whether features tell how close the others are.
    """

    def __init__(self, channels: int, width: int, *, packed: int = 1, minibatch: bool = False) -> None:
        super().__init__()
        self.packed, self.sample = packed, _sample(channels)
        self.body: nn.Module
        if channels:
            self.body, features = _picture_body(channels * packed, width), 8 * width
        else:
            leaky = nn.LeakyReLU(0.1)
            self.body = nn.Sequential(mlp(2 * packed, width, width, activation=nn.LeakyReLU), leaky)
            features = width
        self.others = Minibatch(features) if minibatch else nn.Identity()
        self.head = nn.Linear(features + (self.others.kernels if isinstance(self.others, Minibatch) else 0), 1)

    def features(self, x: Tensor) -> Tensor:
        """(N, …) → (N // packed, features).

        Raises:
            TeachlibError: samples of another shape or precision.
        """
        require_input(self, x, self.sample, what="samples")
        packed = x[: len(x) // self.packed * self.packed].reshape(-1, self.packed * x.shape[1], *x.shape[2:])
        return self.body(2 * packed - 1 if x.ndim == 4 else packed)

    def forward(self, x: Tensor) -> Tensor:
        """(N, …) → (N // packed,)."""
        return self.head(self.others(self.features(x)))[:, 0]


class Regressor(nn.Module):
    """Guesses the noise that a sample was made of, by a judge's kind of network.

    Args:
        channels: of pictures; 0: of points.
        width: of the network.
        latent: of z.
    """

    def __init__(self, channels: int, width: int, latent: int) -> None:
        super().__init__()
        self.sample = _sample(channels)
        self.body = _picture_body(channels, width) if channels else mlp(2, width, width, width, activation=nn.LeakyReLU)
        self.head = nn.Linear(8 * width if channels else width, latent)

    def forward(self, x: Tensor) -> Tensor:
        """(N, …) → (N, latent).

        Raises:
            TeachlibError: samples of another shape or precision.
        """
        require_input(self, x, self.sample, what="samples")
        return self.head(self.body(2 * x - 1 if x.ndim == 4 else x))


class Pair(nn.Module):
    """A generator and its judge, and what the spread term brings along.

    Args:
        recipe: says which.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe, self.channels = recipe, 0 if recipe.dataset == "gaussians" else 3
        width, latent = recipe.width, recipe.latent
        self.generator: nn.Module
        if recipe.spread == "flow":
            self.generator = FlowGenerator(width // 2)
        elif self.channels:
            self.generator = DCGANGenerator(latent, channels=self.channels, width=width)
        else:
            self.generator = PointGenerator(latent, width)
        packed = PACKED if recipe.spread == "pack" else 1
        self.judge = Judge(self.channels, width, packed=packed, minibatch=recipe.spread == "minibatch")
        if recipe.spread == "information":
            self.witness: nn.Module = Regressor(self.channels, width, latent)
        elif recipe.spread == "entropy":
            self.witness = Critic(3 * 32 * 32 if self.channels else 2, latent, width)

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """z, (count, latent)."""
        z = torch.randn(count, self.recipe.latent, generator=generator, device=generator.device)
        return z.to(next(self.parameters()).device)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, batch_size: int = 1000) -> Tensor:
        """Independent draws, (count, …)."""
        with evaluating(self):
            return torch.cat([self.generator(part) for part in self.noise(count, generator).split(batch_size)])

    def energy(self, x: Tensor) -> Tensor:
        """f, (N, …) → (N,); of a packed judge, each sample beside copies of itself."""
        return -self.judge(x.repeat_interleave(self.judge.packed, 0))


def normalized_features(judge: Judge, x: Tensor) -> Tensor:
    """A judge's features at length one, (N, features)."""
    return F.normalize(judge.features(x), dim=1)
