"""What the models of the GIF chapter descend."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.gif import consistency
from teachlib.gif.evaluation import COLUMNS, vector_columns
from teachlib.gif.heads import Heads
from teachlib.gif.losses import lazy_adam, r1_penalty
from teachlib.gif.models import Face, Reinference, vector
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.training import Batch

_VIEWS = 4  # of one skin, whose textures are compared
_FURTHEST, _NOISE = 1, 0.03  # pixels that pictures are shifted, and deviation of the noise that they get, at most


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
    """Squared error of standardized parameters, every group of them as important as any other.

    In a plain mean over 157 numbers the angle of the jaw, which few pixels show, is one part in 157: such a network
    reads the light and nothing that is small. Pictures are shifted a little and made noisy, so that fewer are learned
    by heart; a shift is a change of the camera, and the network is asked for the changed one.

    Args:
        model: to train.
        data: photographs and their parameters.
    """

    def __init__(self, model: Reinference, data: Heads) -> None:
        self.model, self.data = model, data
        self.vectors = vector(data.parameters)
        model.standard.set(self.vectors)
        self.weights = group_weights(model.standard.deviation > 1e-6)
        self.nets: dict[str, nn.Module] = {"network": model.network, "standard": model.standard}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam, with weights that decay a little."""
        weights = self.model.network.parameters()
        return {"reinference": torch.optim.AdamW(weights, self.model.recipe.learning_rate, weight_decay=0.05)}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """One step: the error of this batch."""
        pictures, numbers = batch
        places: dict[str, Any] = {"generator": generator, "device": generator.device}
        right, down = torch.randint(-_FURTHEST, _FURTHEST + 1, (2, len(pictures)), **places)
        noise = _NOISE * torch.rand(len(pictures), 1, 1, 1, **places) * torch.randn(pictures.shape, **places)
        seen = 2 * shifted(pictures, right, down) - 1 + noise
        asked = shifted_camera(self.vectors.to(pictures.device)[numbers], right, down, self.model.recipe.size)
        error = (self.nets["network"](seen) - self.model.standard(asked)).square()
        yield "reinference", (error * self.weights.to(error.device)).sum(1).mean()


def group_weights(changes: Tensor) -> Tensor:
    """Weights of the numbers of a vector: each group of :data:`COLUMNS`, and each turn, counts the same; sum 1.

    Args:
        changes: which numbers change at all, (P,).
    """
    weights = torch.zeros(len(changes))
    for columns in (*COLUMNS.values(), *vector_columns().values()):
        weights[columns] += changes[columns] / changes[columns].sum().clamp_min(1)
    return weights / weights.sum()


def shifted(pictures: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Each picture (N, C, H, H) moved by whole pixels (N,); what is uncovered repeats the edge."""
    side = torch.arange(pictures.shape[-1], device=pictures.device)
    rows, columns = ((side - by[:, None]).clamp(0, len(side) - 1) for by in (down, right))
    every = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    return pictures.movedim(1, -1)[every, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def shifted_camera(vectors: Tensor, right: Tensor, down: Tensor, size: int) -> Tensor:
    """Vectors (N, P) of pictures moved by whole pixels (N,): s·(x + t) + 2k/size = s·(x + t + 2k/(size·s))."""
    scale, x, y = range(*vector_columns()["camera"].indices(vectors.shape[1]))
    moved = vectors.clone()
    moved[:, x] += 2 * right / (size * vectors[:, scale])
    moved[:, y] -= 2 * down / (size * vectors[:, scale])
    return moved
