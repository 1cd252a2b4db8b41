"""Every family of the primer as a model of images: one way to train, sample and measure them all.

Each takes images in [0, 1] of (N, C, H, W). What a family cannot do, its class does not offer: the table of abilities
is read off these classes (:func:`abilities`).
"""

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from teachlib.errors import require_at_least, require_divisible, require_shape
from teachlib.nets import ImageDenoiser, mlp
from teachlib.primer import noise
from teachlib.primer.autoregressive import PixelCNN
from teachlib.primer.classical import KernelDensity, VectorQuantizer, best_bandwidth
from teachlib.primer.diffusion import Diffusion, cosine_schedule
from teachlib.primer.energy import EnergyNet, mala, noise_contrastive_loss
from teachlib.primer.flows import Logit
from teachlib.primer.gan import DCGANObjective, Game
from teachlib.primer.glow import Glow
from teachlib.primer.pixels import dequantize, from_levels, quantize, to_levels
from teachlib.primer.vae import VAE

Shape = tuple[int, int, int]


@runtime_checkable
class Draws(Protocol):
    """Draws new images."""

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, C, H, W) in [0, 1]."""
        ...


@runtime_checkable
class Evaluates(Protocol):
    """Knows log P(image) exactly."""

    def log_prob(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Of the pixels' levels, in nats; for densities, of dequantized ones: (N, C, H, W) → (N,)."""
        ...


@runtime_checkable
class Bounds(Protocol):
    """Knows a lower bound on log P(image)."""

    def log_prob_bound(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """An estimate of the bound in nats: (N, C, H, W) → (N,)."""
        ...


@runtime_checkable
class Estimates(Protocol):
    """Has an estimate of log P(image) that is neither exact nor a bound."""

    def log_prob_estimate(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """In nats: (N, C, H, W) → (N,)."""
        ...


@runtime_checkable
class Infers(Protocol):
    """Finds the latent code of an image."""

    def encode(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, d)."""
        ...


@runtime_checkable
class Compresses(Protocol):
    """Rebuilds an image from a code with fewer numbers than it has pixels."""

    def encode(self, x: Tensor) -> Tensor:
        """(N, C, H, W) → (N, d)."""
        ...

    def reconstruct(self, x: Tensor) -> Tensor:
        """As ``x``."""
        ...


def abilities(model: object) -> dict[str, str]:
    """What a model can do, read off its methods: ``sample``, ``evaluate``, ``infer``, ``compress``.

    ``evaluate`` is ``exact`` for P of the pixels' levels, ``density`` for the exact density of dequantized pixels, of
    which P is at least the average over a cell, else ``bound``, ``estimate`` or ``–``.
    """
    likelihood = "–"
    for protocol, word in ((Evaluates, "exact"), (Bounds, "bound"), (Estimates, "estimate")):
        if isinstance(model, protocol):
            likelihood = word
    if likelihood == "exact" and isinstance(model, ImageFlow | _Fitted):
        likelihood = "density"  # of dequantized pixels, exact; of the pixels themselves a bound, by Jensen's inequality
    return {
        "sample": _yes(model, Draws),
        "evaluate": likelihood,
        "infer": _yes(model, Infers),
        "compress": _yes(model, Compresses),
    }


def _yes(model: object, protocol: type) -> str:
    return "yes" if isinstance(model, protocol) else "–"


def _of_shape(x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Images that a model was built for; some networks would take others, and draw samples of the old shape."""
    require_shape(x, shape)
    return x


class ImageVAE(nn.Module):
    """A :class:`teachlib.primer.VAE` over flattened images.

    Args:
        shape: of an image.
        levels: of a pixel.
        latent: dimension of the code.
        width: of the networks.
        classes: number of classes to condition on; 0 for none.
    """

    def __init__(self, shape: Shape, levels: int, *, latent: int = 8, width: int = 128, classes: int = 0) -> None:
        super().__init__()
        self.shape, self.levels, self.classes = shape, levels, classes
        self.vae = VAE(math.prod(shape), levels=levels, latent=latent, width=width, classes=classes)

    def _flat(self, x: Tensor) -> Tensor:
        return to_levels(_of_shape(x, self.shape).flatten(1), self.levels)

    def loss(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Negative ELBO in nats a dimension."""
        return self.vae.loss(self._flat(x), labels, generator)

    def log_prob_bound(self, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """The importance-weighted bound of a hundred draws."""
        return self.vae.importance_weighted_bound(self._flat(x), generator, labels)

    def encode(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The posterior's mean, (N, latent)."""
        return self.vae.posterior(self._flat(x), labels).mean

    def reconstruct(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """The decoder's mean at the code."""
        return self.vae.decode(self.encode(x, labels), labels).unflatten(1, self.shape)

    def sample(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """The decoder's mean at draws from the prior."""
        return self.vae.sample(count, generator, labels).unflatten(1, self.shape)


class ImagePixelCNN(nn.Module):
    """A :class:`teachlib.primer.PixelCNN`.

    Args:
        shape: of an image.
        levels: of a pixel.
        width: channels.
        layers: gated layers.
        classes: number of classes to condition on; 0 for none.
    """

    def __init__(self, shape: Shape, levels: int, *, width: int = 32, layers: int = 6, classes: int = 0) -> None:
        super().__init__()
        self.shape, self.levels, self.classes = shape, levels, classes
        self.net = PixelCNN(levels=levels, channels=shape[0], width=width, layers=layers, classes=classes)

    def loss(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Nats a dimension."""
        return self.net.loss(to_levels(_of_shape(x, self.shape), self.levels), labels)

    def log_prob(self, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Exact, in nats."""
        return self.net.log_prob(to_levels(_of_shape(x, self.shape), self.levels), labels)

    def sample(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Pixel by pixel."""
        return from_levels(self.net.sample(count, generator, labels, size=self.shape[1:]), self.levels)


class ImageFlow(nn.Module):
    """A :class:`teachlib.primer.Glow`.

    Args:
        shape: of an image: square, of a side that can be halved down to maps of 4 to 7 pixels.
        levels: of a pixel.
        width: of the couplings' networks.
        layers: steps a resolution.

    Raises:
        TeachlibError: another shape.
    """

    def __init__(self, shape: Shape, levels: int, *, width: int = 64, layers: int = 6) -> None:
        super().__init__()
        self.shape, self.levels, self.dimensions = shape, levels, math.prod(shape)
        resolutions = max(int(math.log2(max(shape[1], 1))) - 2, 1)  # down to 4×4
        require_divisible(shape[1:], 2**resolutions, square=True)
        self.flow = Glow(channels=shape[0], size=shape[1], resolutions=resolutions, steps=layers, width=width)

    def _dequantized(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return dequantize(to_levels(_of_shape(x, self.shape), self.levels), self.levels, generator)

    def loss(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Nats a dimension."""
        return -self.flow.log_prob(self._dequantized(x, generator)).mean() / self.dimensions

    def log_prob(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Of dequantized pixels, exact, in nats of the levels' unit cells."""
        return self.flow.log_prob(self._dequantized(x, generator)) - self.dimensions * math.log(self.levels)

    def encode(self, x: Tensor) -> Tensor:
        """z, as many numbers as pixels; of the middle of each level's cell, (N, D)."""
        middle = (to_levels(_of_shape(x, self.shape), self.levels) + 0.5) / self.levels
        return torch.cat([z.flatten(1) for z in self.flow.encode(middle)[0]], 1)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """From noise, rounded to levels."""
        return from_levels(quantize(self.flow.sample(count, generator), self.levels), self.levels)


class ImageDiffusion(nn.Module):
    """A :class:`teachlib.primer.Diffusion` with a U-Net that knows the classes.

    Args:
        shape: of an image.
        levels: of a pixel.
        width: of the U-Net.
        steps: T.
        classes: number of classes; 0 for none.
        depth: halvings of the U-Net; both sides must be divisible by 2 to this power.

    Raises:
        TeachlibError: other sides.
    """

    def __init__(
        self, shape: Shape, levels: int, *, width: int = 32, steps: int = 200, classes: int = 10, depth: int = 1
    ) -> None:
        super().__init__()
        require_at_least(0, depth=depth)
        require_divisible(shape[1:], 2**depth)
        self.shape, self.levels = shape, levels
        net = ImageDenoiser(channels=shape[0], width=width, depth=depth, classes=classes)
        self.diffusion = Diffusion(net, cosine_schedule(steps), shape, classes=classes, pixels=True)

    def loss(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Squared error of the predicted noise."""
        return self.diffusion.loss(x, labels, generator)

    def log_prob_bound(self, x: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """The variational bound in nats."""
        level = to_levels(_of_shape(x, self.shape), self.levels)
        return self.diffusion.log_prob_bound(level, generator, labels, levels=self.levels)

    def sample(
        self,
        count: int,
        generator: torch.Generator,
        labels: Tensor | None = None,
        *,
        guidance: float = 1.0,
        steps: int | None = None,
    ) -> Tensor:
        """By ancestral sampling; with ``steps``, by so many steps of DDIM."""
        eta = 1.0 if steps is None else 0.0
        return self.diffusion.sample(count, generator, labels, guidance=guidance, steps=steps, eta=eta)


class ImageGAN(nn.Module):
    """The game of :mod:`teachlib.primer.gan`: DCGAN for 32×32 and 64×64, fully connected for images of other sides.

    Args:
        shape: of an image.
        levels: of a pixel; samples are rounded to them.
        width: of both networks.
        latent: dimension of the noise.
        learning_rate: of both players.
        classes: number of classes to condition on; 0 for none.
    """

    def __init__(
        self,
        shape: Shape,
        levels: int,
        *,
        width: int = 128,
        latent: int = 16,
        learning_rate: float = 2e-4,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.shape, self.levels, self.classes = shape, levels, classes
        dim, (side, across) = math.prod(shape), shape[1:]
        if side == across and side in (32, 64):
            self.game: Game = DCGANObjective(
                latent=latent, channels=shape[0], size=side, width=width, classes=classes, learning_rate=learning_rate
            )
        else:
            generator = nn.Sequential(mlp(latent + classes, width, width, dim), nn.Sigmoid(), nn.Unflatten(1, shape))
            seen = (shape[0] + classes) * side * across  # the condition comes as planes of zeros and ones
            judge = nn.Sequential(nn.Flatten(), *mlp(seen, width, width, 1, activation=_Leaky))
            self.game = Game(generator, judge, latent=latent, shape=shape, classes=classes, learning_rate=learning_rate)
        self.generator, self.discriminator = self.game.nets["generator"], self.game.nets["discriminator"]

    def sample(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """One pass of the generator."""
        return from_levels(to_levels(self.game.sample(count, generator, labels), self.levels), self.levels)


class _Leaky(nn.LeakyReLU):
    """With DCGAN's slope."""

    def __init__(self) -> None:
        super().__init__(0.2)


class ImageEnergy(nn.Module):
    """An energy over logits of dequantized pixels, trained against Gaussian noise of the data's own moments.

    Args:
        shape: of an image.
        levels: of a pixel.
        width: of the network.
    """

    def __init__(self, shape: Shape, levels: int, *, width: int = 128) -> None:
        super().__init__()
        self.shape, self.levels, self.dimensions = shape, levels, math.prod(shape)
        self.logit, self.correction = Logit(), EnergyNet(self.dimensions, width=width, confining=0.0)
        self.register_buffer("mean", torch.zeros(self.dimensions))
        self.register_buffer("factor", torch.eye(self.dimensions))
        self.mean: Tensor
        self.factor: Tensor

    def start(self, x: Tensor, generator: torch.Generator) -> None:
        """Take the noise's mean and covariance from training images."""
        at, _ = self._logits(x, generator)
        self.mean.copy_(at.mean(0))
        ridge = 1e-2 * torch.eye(self.dimensions)
        self.factor.copy_(torch.linalg.cholesky(torch.cov(at.T) + ridge))

    def _logits(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        level = to_levels(_of_shape(x, self.shape), self.levels)
        return self.logit(dequantize(level, self.levels, generator).flatten(1))

    def _log_noise(self, at: Tensor) -> Tensor:
        return torch.distributions.MultivariateNormal(self.mean, scale_tril=self.factor).log_prob(at)

    def _log_model(self, at: Tensor) -> Tensor:
        """The noise's density, tilted by a learned energy: what is left to learn is the difference."""
        return self._log_noise(at) + self.correction.log_prob(self._whitened(at))

    def _whitened(self, at: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self.factor, (at - self.mean).T, upper=False).T

    def loss(self, x: Tensor, labels: Tensor | None, generator: torch.Generator) -> Tensor:
        """Noise-contrastive (thesis Eq 2.10)."""
        at, _ = self._logits(x, generator)
        white = noise.normal(at.shape, generator, at.device)
        return noise_contrastive_loss(self._log_model, self._log_noise, at, self.mean + white @ self.factor.T)

    def log_prob_estimate(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """With the learned constant, which no finite data make exact: neither exact nor a bound."""
        at, log_slope = self._logits(x, generator)
        return self._log_model(at) + log_slope - self.dimensions * math.log(self.levels)

    def sample(self, count: int, generator: torch.Generator, *, steps: int = 300) -> Tensor:
        """Ends of adjusted Langevin chains, started from the noise and run where it is white."""
        start = noise.normal((count, self.dimensions), generator, self.mean.device)

        def energy(white: Tensor) -> Tensor:
            return 0.5 * white.square().sum(1) + self.correction(white)

        white, _ = mala(energy, start, generator, steps=steps, step_size=0.05)
        u = self.logit.inverse(self.mean + white @ self.factor.T).view(count, *self.shape)
        return from_levels(quantize(u, self.levels), self.levels)


# ---------------------------------------------------------------------------------------------------- classical


class _Fitted(nn.Module):
    """A classical density over dequantized pixels, fitted to training images and never trained; it stays on the CPU.

    Args:
        x: training images, (N, C, H, W) in [0, 1].
        levels: of a pixel.
        seed: of the dequantization.
    """

    def __init__(self, x: Tensor, levels: int, *, seed: int = 0) -> None:
        super().__init__()
        self.shape, self.levels = tuple(x.shape[1:]), levels
        self.points = self._dequantized(x, torch.Generator().manual_seed(seed))

    def _dequantized(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return dequantize(to_levels(_of_shape(x, self.shape), self.levels), self.levels, generator).flatten(1)

    def _images(self, u: Tensor) -> Tensor:
        return from_levels(quantize(u, self.levels), self.levels).view(-1, *self.shape)


class ImageKernels(_Fitted):
    """Gaussian kernels on all training images; the bandwidth by leaving one out."""

    def __init__(self, x: Tensor, levels: int, *, seed: int = 0) -> None:
        super().__init__(x, levels, seed=seed)
        bandwidth = best_bandwidth(self.points, [0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2])
        self.density = KernelDensity(self.points, bandwidth=bandwidth)
        self.register_buffer("centres", self.points)

    def log_prob(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Of dequantized pixels, in nats of the levels' unit cells."""
        u = self._dequantized(x, generator)
        return self.density.log_prob(u) - u.shape[1] * math.log(self.levels)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """A training image with noise, rounded to levels."""
        return self._images(self.density.sample(count, generator))


class ImageGaussian(_Fitted):
    """One Gaussian with the training images' mean and covariance, 10⁻⁴ added to each variance."""

    def __init__(self, x: Tensor, levels: int, *, seed: int = 0) -> None:
        super().__init__(x, levels, seed=seed)
        ridge = 1e-4 * torch.eye(self.points.shape[1])
        self.register_buffer("mean", self.points.mean(0))
        self.register_buffer("factor", torch.linalg.cholesky(torch.cov(self.points.T) + ridge))
        self.mean: Tensor
        self.factor: Tensor

    def log_prob(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Of dequantized pixels, in nats of the levels' unit cells."""
        u = self._dequantized(x, generator)
        if not len(u):  # torch's check of a batch fails on none
            return u.new_zeros(0)
        density = torch.distributions.MultivariateNormal(self.mean, scale_tril=self.factor)
        return density.log_prob(u) - u.shape[1] * math.log(self.levels)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws, rounded to levels."""
        return self._images(self.mean + torch.randn(count, len(self.mean), generator=generator) @ self.factor.T)


class ImageCodes(_Fitted):
    """A codebook of mean images, as a mixture of round Gaussians."""

    def __init__(self, x: Tensor, levels: int, *, codes: int = 64, seed: int = 0) -> None:
        super().__init__(x, levels, seed=seed)
        self.quantizer = VectorQuantizer(self.points, codes=codes, seed=seed)
        self.register_buffer("codebook", self.quantizer.codebook)

    def log_prob(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Of dequantized pixels, in nats of the levels' unit cells."""
        u = self._dequantized(x, generator)
        return self.quantizer.log_prob(u) - u.shape[1] * math.log(self.levels)

    def encode(self, x: Tensor) -> Tensor:
        """The number of the nearest code, (N, 1)."""
        middle = ((to_levels(_of_shape(x, self.shape), self.levels) + 0.5) / self.levels).flatten(1)
        return self.quantizer.encode(middle)[:, None]

    def reconstruct(self, x: Tensor) -> Tensor:
        """The code's mean image."""
        return self._images(self.quantizer.decode(self.encode(x)[:, 0]))

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """A code with noise, rounded to levels."""
        return self._images(self.quantizer.sample(count, generator))
