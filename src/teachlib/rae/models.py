"""Autoencoders and the objectives that train them."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from teachlib.nets import ConvDecoder, ConvEncoder
from teachlib.rae.losses import negative_elbo, rae_loss, sample_posterior, weight_penalty
from teachlib.rae.recipes import Recipe


class Autoencoder(nn.Module):
    """An encoder and a decoder; the encoder of a VAE emits mean and log-variance side by side.

    Args:
        recipe: sizes and variant.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        outputs = 2 if recipe.stochastic else 1
        self.encoder: nn.Module = ConvEncoder(recipe.latent, width=recipe.width, outputs=outputs)
        self.decoder: nn.Module = ConvDecoder(recipe.latent, width=recipe.width, variant=recipe.variant)

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of Q(Z|x), each (N, d); for stochastic encoders."""
        return self.split(self.encoder(x))

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's outputs, (N, 2d), as mean and log-variance."""
        mean, raw = outputs.chunk(2, dim=1)
        # The released code emits log σ = 5·tanh(raw); log-variance is twice that.
        return mean, 10 * raw.tanh() if self.recipe.variant == "released" else raw

    def encode(self, x: Tensor) -> Tensor:
        """The code of each image, (N, d): the posterior's mean where there is a posterior."""
        return self.posterior(x)[0] if self.recipe.stochastic else self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images in [0, 1], (N, C, H, W), of latents (N, d)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images."""
        return self.decode(self.encode(x))


class AutoencoderObjective:
    """How ``vae``, ``ae`` and ``rae-l2`` are trained: one update a batch.

    Attributes:
        nets: encoder and decoder; :func:`teachlib.training.fit` replaces them by wrapped ones that it trains.
    """

    def __init__(self, model: Autoencoder) -> None:
        self.model, self.recipe = model, model.recipe
        self.nets: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam over the whole autoencoder (thesis App. A.1.2)."""
        return {"autoencoder": torch.optim.Adam(self.model.parameters(), lr=self.recipe.learning_rate, fused=True)}

    def updates(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Iterator[tuple[str, Tensor]]:
        """The one loss of this batch."""
        yield "autoencoder", self.loss(batch[0], generator)

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Thesis Eq 3.5 for a VAE, Eq 3.11 otherwise; in the released variant, as the authors' code writes them.

        Args:
            x: images in [0, 1], (N, C, H, W).
            generator: of the posterior's noise.
        """
        return self._variational_loss(x, generator) if self.recipe.stochastic else self._deterministic_loss(x)

    def _variational_loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        # On grey images the released loss, a sum over pixels of the mean over channels, is this sum too.
        mean, log_variance = self.model.split(self.nets["encoder"](x))
        z = sample_posterior(mean, log_variance, generator)
        assert self.recipe.kl_weight is not None
        return negative_elbo(x, self.nets["decoder"](z), mean, log_variance, self.recipe.kl_weight)

    def _deterministic_loss(self, x: Tensor) -> Tensor:
        recipe, decoder = self.recipe, self.model.decoder
        z = self.nets["encoder"](x)
        reconstruction = self.nets["decoder"](z)
        if recipe.variant == "released":
            loss = (x - reconstruction).square().mean() + recipe.beta * z.square().mean()
            return loss + recipe.lambda_ * weight_penalty(convolution_kernels(decoder))
        return rae_loss(x, reconstruction, z, decoder.parameters(), beta=recipe.beta, lambda_=recipe.lambda_)


def convolution_kernels(decoder: nn.Module) -> list[Tensor]:
    """What the released code regularizes on MNIST: kernels of transposed convolutions; no bias, no batch norm."""
    return [layer.weight for layer in decoder.modules() if isinstance(layer, nn.ConvTranspose2d)]
