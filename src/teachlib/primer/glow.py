"""Glow for images (Kingma & Dhariwal, 2018): coupling flows at several resolutions."""

import math

import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_at_least, require_divisible, require_input, require_pixels
from teachlib.primer.flows import Affine, Logit, Step, standard_normal_log_prob


class InvertibleConvolution(Step):
    """A 1×1 convolution with an invertible matrix: a learned shuffle of the channels.

    Args:
        channels: of the images.
        seed: of the rotation that it starts as.
    """

    def __init__(self, channels: int, *, seed: int) -> None:
        super().__init__()
        start = torch.randn(channels, channels, generator=torch.Generator().manual_seed(seed))
        self.weight = nn.Parameter(torch.linalg.qr(start)[0])

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As in :class:`teachlib.primer.flows.Step`."""
        log_det = torch.linalg.slogdet(self.weight)[1] * math.prod(x.shape[2:])
        return torch.einsum("oc,nchw->nohw", self.weight, x), log_det.expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As in :class:`teachlib.primer.flows.Step`."""
        return torch.einsum("oc,nchw->nohw", torch.linalg.inv(self.weight), z)


class ImageCoupling(Step):
    """Half of the channels decide, by convolutions, how the other half is scaled and shifted.

    Args:
        channels: of the images, even.
        width: hidden channels.
    """

    def __init__(self, channels: int, *, width: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels // 2, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 1),
            nn.SiLU(),
            nn.Conv2d(width, channels, 3, padding=1),
        )
        nn.init.zeros_(self.net[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.net[-1].bias)  # type: ignore[arg-type]

    def _settings(self, passed: Tensor) -> tuple[Tensor, Tensor]:
        raw, shift = self.net(passed).chunk(2, 1)
        return 3 * torch.tanh(raw / 3), shift

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As in :class:`teachlib.primer.flows.Step`."""
        passed, moved = x.chunk(2, 1)
        log_scale, shift = self._settings(passed)
        return torch.cat([passed, moved * log_scale.exp() + shift], 1), log_scale.flatten(1).sum(1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As in :class:`teachlib.primer.flows.Step`."""
        passed, moved = z.chunk(2, 1)
        log_scale, shift = self._settings(passed)
        return torch.cat([passed, (moved - shift) * (-log_scale).exp()], 1)


class Glow(nn.Module):
    """Squeeze, then steps of scale, 1×1 convolution and coupling; half of the channels leave after each resolution.

    Args:
        channels: of the images.
        size: side in pixels, divisible by 2 to the power of ``resolutions``.
        resolutions: how often the side is halved.
        steps: a resolution.
        width: of the couplings' networks.

    Shapes: images with values in (0, 1), (N, channels, size, size).

    Raises:
        TeachlibError: a side that cannot be halved so often.
    """

    def __init__(
        self, *, channels: int = 1, size: int = 32, resolutions: int = 3, steps: int = 8, width: int = 128
    ) -> None:
        super().__init__()
        require_at_least(1, channels=channels, resolutions=resolutions, steps=steps, width=width)
        require_divisible((size, size), 2**resolutions)
        self.shape, self.logit = (channels, size, size), Logit()
        self.resolutions = nn.ModuleList()
        self.latent_shapes: list[tuple[int, int, int]] = []
        for resolution in range(resolutions):
            channels, size = 4 * channels, size // 2
            self.resolutions.append(_resolution(channels, steps, width, seed=100 * resolution))
            if resolution < resolutions - 1:
                channels //= 2
                self.latent_shapes.append((channels, size, size))
        self.latent_shapes.append((channels, size, size))

    def encode(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """The latents that leave at each resolution, and log|det ∂z/∂x| of (N,).

        Raises:
            TeachlibError: images of another shape or precision, or outside [0, 1].
        """
        require_input(self, x, self.shape)
        require_pixels(x)
        x, total = self.logit(x)
        latents = []
        for number, steps in enumerate(self.resolutions):
            x = nn.functional.pixel_unshuffle(x, 2)
            for step in steps:  # type: ignore[attr-defined]
                x, log_det = step(x)
                total = total + log_det
            if number < len(self.resolutions) - 1:
                x, leaving = x.chunk(2, 1)
                latents.append(leaving)
        return [*latents, x], total

    def decode(self, latents: list[Tensor]) -> Tensor:
        """The images of such latents.

        Raises:
            TeachlibError: not a batch for each resolution, or one of another shape or precision.
        """
        if len(latents) != len(self.latent_shapes):
            raise TeachlibError(f"latents of {len(latents)} resolutions; expected {len(self.latent_shapes)}")
        for z, shape in zip(latents, self.latent_shapes, strict=True):
            require_input(self, z, shape, what="latents")
        x = latents[-1]
        for number in reversed(range(len(self.resolutions))):
            if number < len(self.resolutions) - 1:
                x = torch.cat([x, latents[number]], 1)
            for step in reversed(self.resolutions[number]):  # type: ignore[call-overload]
                x = step.inverse(x)
            x = nn.functional.pixel_shuffle(x, 2)
        return self.logit.inverse(x)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, exact: (N, C, H, W) → (N,)."""
        latents, log_det = self.encode(x)
        return log_det + sum(standard_normal_log_prob(z) for z in latents)

    def sample(self, count: int, generator: torch.Generator, *, temperature: float = 1.0) -> Tensor:
        """Images from noise of standard deviation ``temperature``, (count, C, H, W)."""
        device = next(self.parameters()).device
        noise = [torch.randn(count, *shape, generator=generator) for shape in self.latent_shapes]
        return self.decode([temperature * z.to(device) for z in noise])

    def loss(self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log p(x) in nats a dimension: the same minimizer as in nats, and steps of a size that suits Adam."""
        return -self.log_prob(x).mean() / math.prod(self.shape)


def _resolution(channels: int, steps: int, width: int, *, seed: int) -> nn.ModuleList:
    layers: list[Step] = []
    for step in range(steps):
        layers += [Affine(channels), InvertibleConvolution(channels, seed=seed + step)]
        layers.append(ImageCoupling(channels, width=width))
    return nn.ModuleList(layers)
