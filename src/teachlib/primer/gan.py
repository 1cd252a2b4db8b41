"""The adversarial game (thesis §2.2.2; Goodfellow et al., 2014) with the DCGAN networks."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.nets import DCGANDiscriminator, DCGANGenerator


def discriminator_loss(real_logits: Tensor, generated_logits: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z))), from logits (N,) of real and of generated samples; scalar."""
    return F.softplus(-real_logits).mean() + F.softplus(generated_logits).mean()


def generator_loss(generated_logits: Tensor) -> Tensor:
    """The non-saturating −E log D(G(z)), from logits (N,) of generated samples; scalar."""
    return F.softplus(-generated_logits).mean()


class DCGANObjective:
    """Two alternating updates a batch: the discriminator's, then the generator's.

    Args:
        latent: dimension of the generator's input.
        channels: of the images.
        size: side of the images in pixels, 32 or 64.
        width: of both networks.
        learning_rate: Adam's, with β₁ = 0.5; the DCGAN paper: 2·10⁻⁴.
    """

    def __init__(
        self, *, latent: int = 64, channels: int = 1, size: int = 32, width: int = 64, learning_rate: float = 2e-4
    ) -> None:
        self.latent, self.learning_rate = latent, learning_rate
        self.nets: dict[str, nn.Module] = {
            "generator": DCGANGenerator(latent, channels=channels, size=size, width=width),
            "discriminator": DCGANDiscriminator(channels=channels, size=size, width=width),
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """An Adam for each network, called as the update that it takes."""
        return {
            name: torch.optim.Adam(self.nets[name].parameters(), lr=self.learning_rate, betas=(0.5, 0.999))
            for name in ("discriminator", "generator")
        }

    def updates(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """The discriminator's loss; after its step, the generator's against the better discriminator."""
        x, _ = batch
        z = torch.randn(len(x), self.latent, generator=generator, device=x.device)
        generated = self.nets["generator"](z)
        discriminator = self.nets["discriminator"]
        yield "discriminator", discriminator_loss(discriminator(x), discriminator(generated.detach()))
        yield "generator", generator_loss(discriminator(generated))
