"""Autoencoders and the objectives that train them."""

from collections.abc import Iterator
from typing import Literal, cast

import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.nets import ConvDecoder, ConvEncoder, normalize_layers
from teachlib.rae.losses import (
    Kernel,
    constant_variance_kl,
    kl_divergence,
    latent_penalty,
    mmd,
    reconstruction_loss,
    sample_posterior,
    weight_penalty,
)
from teachlib.rae.penalties import penalty_of_output
from teachlib.rae.recipes import Recipe


class Autoencoder(nn.Module):
    """An encoder and a decoder; the encoder of a VAE emits mean and log-variance side by side.

    Args:
        recipe: sizes and variant.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        sizes = {"channels": recipe.channels, "size": recipe.size, "width": recipe.width}
        outputs = 2 if recipe.learned_variance else 1
        self.encoder: nn.Module = ConvEncoder(recipe.latent, outputs=outputs, **sizes)
        self.decoder: nn.Module = ConvDecoder(recipe.latent, variant=recipe.variant, **sizes)
        if recipe.variant == "released":
            for net in (self.encoder, self.decoder):
                _as_released(net)
        if recipe.spectral and recipe.variant == "thesis":
            normalize_layers(self.decoder)
        elif recipe.spectral:
            for net in (self.encoder, self.decoder):
                normalize_layers(net, of="first", stop_gradient=False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # half as fast again on a CPU

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of Q(Z|x), each (N, d).

        Raises:
            TeachlibError: an encoder that emits no variance.
        """
        if not self.recipe.learned_variance:
            raise TeachlibError(f"{self.recipe.name}: its encoder emits points, no posterior; use encode")
        return self.split(self.encoder(x))

    def split(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's outputs, (N, 2d), as mean and log-variance."""
        mean, raw = outputs.chunk(2, dim=1)
        # The released code emits log σ = 5·tanh(raw); log-variance is twice that.
        return mean, 10 * raw.tanh() if self.recipe.variant == "released" else raw

    def encode(self, x: Tensor) -> Tensor:
        """The code of each image, (N, d): the posterior's mean where there is a posterior."""
        return self.posterior(x)[0] if self.recipe.learned_variance else self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Images in [0, 1], (N, C, H, W), of latents (N, d)."""
        return self.decoder(z)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct images."""
        return self.decode(self.encode(x))


def _as_released(net: nn.Module) -> None:
    """Initialization and batch norm as Keras had them by default."""
    for layer in net.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.momentum, layer.eps = 0.01, 1e-3


class AutoencoderObjective:
    """How every recipe of the chapter is trained: one update a batch.

    Attributes:
        nets: encoder and decoder; :func:`teachlib.training.fit` replaces them by wrapped ones that it trains.
    """

    def __init__(self, model: Autoencoder) -> None:
        self.recipe, self.split = model.recipe, model.split
        self.nets: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}
        self.differentiated_twice = ("decoder",) if self.recipe.gradient_weight else ()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam over the whole autoencoder (thesis App. A.1.2)."""
        parameters = [weight for net in self.nets.values() for weight in net.parameters()]
        return {"autoencoder": torch.optim.Adam(parameters, lr=self.recipe.learning_rate, fused=True)}

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        """The one loss of this batch."""
        yield "autoencoder", self.loss(batch[0], generator)

    def loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Thesis Eq 3.5 for VAEs, Eq 3.11 otherwise; in the released variant, as the authors' code writes them.

        Args:
            x: images in [0, 1], (N, C, H, W).
            generator: of all noise.
        """
        if self.recipe.stochastic:
            return self._variational_loss(x, generator)
        return self._penalized(x, self._encoded(x, generator), generator, self._penalty_now(generator))

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """The same of held-out images; a gradient penalty is computed for every batch, whatever training's share."""
        x, weight = batch[0], self.recipe.gradient_weight
        if not weight:
            return self.loss(x, generator)
        z = self._encoded(x, generator)
        with torch.enable_grad():  # the penalty is a gradient
            return self._penalized(x, z.detach().requires_grad_(), generator, weight).detach()

    def _variational_loss(self, x: Tensor, generator: torch.Generator) -> Tensor:
        recipe = self.recipe
        outputs = self.nets["encoder"](x)
        if recipe.deviation is None:
            mean, log_variance = self.split(outputs)
            divergence = kl_divergence(mean, log_variance)
        else:
            mean, log_variance = outputs, torch.full_like(outputs, recipe.deviation).log() * 2
            divergence = constant_variance_kl(mean, recipe.deviation)
        error = torch.zeros((), device=x.device)
        for _ in range(recipe.draws):
            reconstruction = self.nets["decoder"](sample_posterior(mean, log_variance, generator))
            error = error + reconstruction_loss(x, reconstruction) / recipe.draws
        if recipe.variant == "released":
            error = error / recipe.channels  # a sum over places of the mean over channels
        assert recipe.kl_weight is not None
        return error + recipe.kl_weight * divergence.mean()

    def _penalty_now(self, generator: torch.Generator) -> float:
        """The weight of this batch's gradient penalty: zero for all but a share of them, which then counts for all."""
        weight, share = self.recipe.gradient_weight, self.recipe.gradient_share
        if not weight or share == 1:
            return weight
        return weight / share if torch.rand((), generator=generator, device=generator.device).item() < share else 0.0

    def _encoded(self, x: Tensor, generator: torch.Generator) -> Tensor:
        edge = self.recipe.input_noise
        if edge:
            noise = torch.randn(x.shape, generator=generator, device=x.device)
            x = x + (edge * noise).clamp(-edge, edge)
        return self.nets["encoder"](x)

    def _penalized(self, x: Tensor, z: Tensor, generator: torch.Generator, gradient_weight: float) -> Tensor:
        """Eq 3.11 with the recipe's terms; those of weight zero cost nothing."""
        recipe, decoder = self.recipe, self.nets["decoder"]
        released = recipe.variant == "released"
        reconstruction = decoder(z)
        loss = (x - reconstruction).square().mean() if released else reconstruction_loss(x, reconstruction)
        if recipe.beta:
            loss = loss + recipe.beta * (z.square().mean() if released else latent_penalty(z))
        if recipe.lambda_:
            weights = regularized_kernels(decoder) if released else decoder.parameters()
            loss = loss + recipe.lambda_ * weight_penalty(weights)
        if gradient_weight:
            method: Literal["released", "hutchinson"] = "released" if released else "hutchinson"
            penalty = penalty_of_output(reconstruction, z, method=method, generator=generator)
            loss = loss + gradient_weight * penalty
        if recipe.mmd_weight and len(z) > 1:  # a last batch of one has no discrepancy
            prior = torch.randn(z.shape, generator=generator, device=z.device).to(z)
            loss = loss + recipe.mmd_weight * mmd(z, prior, kernel=cast(Kernel, recipe.kernel))
        return loss


def regularized_kernels(decoder: nn.Module) -> list[Tensor]:
    """What the released code's L2 term counts: kernels, no bias and no batch norm; on 32×32 not the linear layer's."""
    kinds = (nn.ConvTranspose2d,) if getattr(decoder, "size", 32) == 32 else (nn.ConvTranspose2d, nn.Linear)
    return [layer.weight for layer in decoder.modules() if isinstance(layer, kinds)]
