"""The adversarial game (thesis §2.2.2; Goodfellow et al., 2014), plain and conditional (thesis §5.2)."""

from collections.abc import Iterator
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import require_input, unknown
from teachlib.modes import evaluating
from teachlib.nets import DCGANDiscriminator, DCGANGenerator, mlp
from teachlib.primer import noise
from teachlib.primer.conditions import given

GENERATOR_LOSSES = ("non-saturating", "saturating")


def discriminator_loss(real_logits: Tensor, generated_logits: Tensor) -> Tensor:
    """−E log D(x) − E log(1 − D(G(z))), from logits (N,) of real and of generated samples; scalar (thesis Eq 2.3)."""
    return F.softplus(-real_logits).mean() + F.softplus(generated_logits).mean()


def generator_loss(generated_logits: Tensor, kind: str = "non-saturating") -> Tensor:
    """What the generator descends, from logits (N,) of generated samples; scalar.

    Args:
        generated_logits: logit of D(G(z)).
        kind: ``"saturating"`` is E log(1 − D(G(z))) of thesis Eq 2.3, whose gradient vanishes where the
            discriminator is sure; ``"non-saturating"`` is −E log D(G(z)), whose gradient is largest there.

    Raises:
        TeachlibError: another kind.
    """
    if kind not in GENERATOR_LOSSES:
        raise unknown("generator loss", kind, GENERATOR_LOSSES)
    return F.softplus(-generated_logits).mean() if kind == "non-saturating" else -F.softplus(generated_logits).mean()


class Game:
    """Two alternating updates a batch: the discriminator's, then the generator's.

    Args:
        generator: (N, latent), or with classes (N, latent + classes), to samples.
        discriminator: samples to logits (N,).
        latent: dimension of the generator's noise.
        classes: number of classes; 0 for none. The condition is a one-hot vector: appended to the noise, and to
            what the discriminator sees, for images as constant channels (thesis Eq 5.1; Mirza & Osindero, 2014).
        kind: of :func:`generator_loss`.
        learning_rate: Adam's, with β₁ = 0.5; the DCGAN paper: 2·10⁻⁴.
        shape: of a sample; ``None``: of any, and the discriminator sees to it.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        latent: int,
        shape: tuple[int, ...] | None = None,
        classes: int = 0,
        kind: Literal["non-saturating", "saturating"] = "non-saturating",
        learning_rate: float = 2e-4,
    ) -> None:
        self.latent, self.shape, self.classes = latent, shape, classes
        self.kind, self.learning_rate = kind, learning_rate
        self.nets: dict[str, nn.Module] = {"generator": generator, "discriminator": discriminator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """An Adam for each network, called as the update that it takes."""
        return {
            name: torch.optim.Adam(self.nets[name].parameters(), lr=self.learning_rate, betas=(0.5, 0.999), fused=True)
            for name in ("discriminator", "generator")
        }

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Samples of noise (N, latent) and, where there are classes, labels (N,).

        Raises:
            TeachlibError: noise of another shape or precision; labels that are none.
        """
        require_input(self.nets["generator"], z, (self.latent,), what="noise")
        if self.classes:
            z = torch.cat([z, F.one_hot(given(labels, self.classes, len(z)), self.classes).to(z)], 1)
        return self.nets["generator"](z)

    def judge(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits (N,) of samples and, where there are classes, of labels (N,).

        Raises:
            TeachlibError: samples of another shape or precision; labels that are none.
        """
        require_input(self.nets["discriminator"], x, self.shape or x.shape[1:], what="samples")
        if self.classes:
            hot = F.one_hot(given(labels, self.classes, len(x)), self.classes).to(x)
            x = torch.cat([x, hot.view(*hot.shape, *[1] * (x.ndim - 2)).expand(-1, -1, *x.shape[2:])], 1)
        return self.nets["discriminator"](x).flatten()

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        """The discriminator's loss; after its step, the generator's against the better discriminator."""
        x, labels = batch
        z = noise.normal((len(x), self.latent), generator, x.device)
        generated = self.generate(z, labels)
        yield "discriminator", discriminator_loss(self.judge(x, labels), self.judge(generated.detach(), labels))
        yield "generator", generator_loss(self.judge(generated, labels), self.kind)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Independent draws."""
        device = next(self.nets["generator"].parameters()).device
        with evaluating(self.nets["generator"]):  # its batch norm must not learn from what it is asked to draw
            return self.generate(noise.normal((count, self.latent), generator, device), labels)


def plane_game(
    *,
    latent: int = 4,
    classes: int = 0,
    width: int = 64,
    dim: int = 2,
    kind: Literal["non-saturating", "saturating"] = "non-saturating",
    learning_rate: float = 1e-3,
) -> Game:
    """The game between two fully connected networks, for vectors of ``dim`` numbers."""
    return Game(
        mlp(latent + classes, width, width, dim),
        mlp(dim + classes, width, width, 1),
        latent=latent,
        shape=(dim,),
        classes=classes,
        kind=kind,
        learning_rate=learning_rate,
    )


class DCGANObjective(Game):
    """The game between the networks of DCGAN.

    Args:
        latent: dimension of the generator's noise.
        channels: of the images.
        size: side of the images in pixels, 32 or 64.
        width: of both networks.
        classes: number of classes to condition on; 0 for none.
        learning_rate: Adam's; the DCGAN paper: 2·10⁻⁴.
    """

    def __init__(
        self,
        *,
        latent: int = 64,
        channels: int = 1,
        size: int = 32,
        width: int = 64,
        classes: int = 0,
        learning_rate: float = 2e-4,
    ) -> None:
        super().__init__(
            DCGANGenerator(latent + classes, channels=channels, size=size, width=width),
            DCGANDiscriminator(channels=channels + classes, size=size, width=width),
            latent=latent,
            shape=(channels, size, size),
            classes=classes,
            learning_rate=learning_rate,
        )
