"""What the models of the GIF chapter descend."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from teachlib.gif import consistency
from teachlib.gif.heads import Heads
from teachlib.gif.losses import lazy_adam, r1_penalty
from teachlib.gif.models import Face, Reinference, vector
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.training import Batch

_VIEWS = 4  # of one skin, whose textures are compared


class FaceObjective:
    """StyleGAN2's game, played with pictures and what they were asked to show.

    Args:
        model: to train.
        data: photographs and their parameters.
    """

    differentiated_twice = ("discriminator",)

    def __init__(self, model: Face, data: Heads) -> None:
        self.model, self.data, self.recipe = model, data, model.recipe
        model.standard.set(vector(data.parameters))
        self.nets: dict[str, nn.Module] = {
            "generator": model.generator,
            "discriminator": model.discriminator,
            "standard": model.standard,
        }

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for both; the discriminator's rate makes up for R1's own steps."""
        rate, betas = lazy_adam(self.recipe.learning_rate, (0.0, 0.99), self.recipe.r1_every)
        generator, discriminator = self.model.generator.parameters(), self.model.discriminator.parameters()
        return {
            "generator": torch.optim.Adam(generator, self.recipe.learning_rate, (0.0, 0.99)),
            "discriminator": torch.optim.Adam(discriminator, rate, betas),
        }

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The discriminator's step, now and then R1's, then the generator's."""
        pictures, numbers = 2 * batch[0] - 1, batch[1].cpu()
        conditions = self._conditions(numbers).to(pictures.device)
        styles = self.model.styles(batch[1])
        generate, judge = self.nets["generator"], self.nets["discriminator"]
        with torch.no_grad():
            generated = generate(styles, conditions, generator)
        yield "discriminator", discriminator_loss(judge(pictures, conditions), judge(generated, conditions))
        if step % self.recipe.r1_every == 0:
            penalty = r1_penalty(lambda x: judge(x, conditions), pictures, self.recipe.gamma)
            yield "discriminator", self.recipe.r1_every * penalty
        loss = generator_loss(judge(generate(styles, conditions, generator), conditions))
        if self.recipe.texture_weight and step % self.recipe.texture_every == 0:
            weight = self.recipe.texture_weight * self.recipe.texture_every
            loss = loss + weight * self.texture_loss(numbers[:_VIEWS], generator)
        yield "generator", loss

    def _conditions(self, numbers: Tensor) -> Tensor:
        renderings = self.data.condition(numbers) if self.recipe.renderings else None
        return self.model.condition(self.data.parameters[numbers], renderings)

    def texture_loss(self, numbers: Tensor, generator: torch.Generator) -> Tensor:
        """Texture consistency of one style and skin between the shapes and poses of these pictures; scalar."""
        share = torch.rand(len(numbers), generator=generator, device=generator.device).cpu()
        moved = consistency.interpolated(self.data.parameters[numbers], share)
        seen = consistency.views(moved, self.recipe.size, 2 * self.recipe.size)
        styles = self.model.styles(numbers[:1].expand(len(numbers))).to(generator.device)
        conditions = self.model.condition(moved, seen.renderings).to(generator.device)
        drawn = self.nets["generator"](styles, conditions, generator)
        return consistency.texture_consistency(*seen.steal(drawn.cpu() if drawn.is_cuda else drawn)).to(drawn.device)


class ReinferenceObjective:
    """Squared error of standardized parameters.

    Args:
        model: to train.
        data: photographs and their parameters.
    """

    def __init__(self, model: Reinference, data: Heads) -> None:
        self.model, self.data = model, data
        self.vectors = vector(data.parameters)
        model.standard.set(self.vectors)
        self.nets: dict[str, nn.Module] = {"network": model.network, "standard": model.standard}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam, with weights that decay a little."""
        weights = self.model.network.parameters()
        return {"reinference": torch.optim.AdamW(weights, self.model.recipe.learning_rate, weight_decay=0.05)}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """One step: the error of this batch."""
        pictures, numbers = batch
        asked = self.model.standard(self.vectors.to(pictures.device)[numbers])
        yield "reinference", mse_loss(self.nets["network"](2 * pictures - 1), asked)
