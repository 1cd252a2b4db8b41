"""What the models of the GIF chapter descend."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.checkpoints import part
from teachlib.gif import consistency
from teachlib.gif.augmentation import AdaptiveAugmentation
from teachlib.gif.evaluation import COLUMNS
from teachlib.gif.heads import Heads
from teachlib.gif.losses import PATH_EVERY, PathLength, lazy_adam, r1_penalty
from teachlib.gif.models import Face, Reinference
from teachlib.gif.parameters import vector, vector_columns
from teachlib.gif.told import Told
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.training import Batch

_VIEWS = 4  # of one skin, whose textures are compared
PATH_SHRINK = 2  # share of a batch whose path lengths are taken: one in two (Karras et al., 2020, App. B)
_FURTHEST, _NOISE = 1, 0.03  # pixels that pictures are shifted, and deviation of the noise that they get, at most


class FaceObjective:
    """StyleGAN2's game, played with pictures and what they were asked to show.

    Args:
        model: to train.
        data: photographs and what is known of them.
    """

    def __init__(self, model: Face, data: Told) -> None:
        self.model, self.data, self.recipe = model, data, model.recipe
        model.standard.set(data.vectors)
        self.nets: dict[str, nn.Module] = {
            "generator": model.generator,
            "discriminator": model.discriminator,
            "standard": model.standard,
        }
        if model.learned is not None:
            self.nets["styles"] = model.learned
        self.differentiated_twice = ("discriminator", "generator") if self.recipe.path_weight else ("discriminator",)
        self.belongs = associations(len(data), self.recipe.wrong)
        self.path = PathLength()
        until = self.recipe.augmentation
        self.augmentation = AdaptiveAugmentation(images=until) if until else None

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for both; a network that has a penalty with steps of its own makes up for them by its rate."""
        rate, betas = lazy_adam(self.recipe.learning_rate, (0.0, 0.99), self.recipe.r1_every)
        drawing = [*self.model.generator.parameters()]
        if self.model.learned is not None:
            drawing += self.model.learned.parameters()
        own: tuple[float, tuple[float, float]] = (self.recipe.learning_rate, (0.0, 0.99))
        if self.recipe.path_weight:
            own = lazy_adam(*own, PATH_EVERY)
        return {
            "generator": torch.optim.Adam(drawing, *own),
            "discriminator": torch.optim.Adam(self.model.discriminator.parameters(), rate, betas),
        }

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The discriminator's step, now and then R1's, then the generator's, now and then that of path lengths."""
        pictures, numbers = 2 * batch[0] - 1, batch[1].cpu()
        told = self._told(self.belongs[numbers]).to(pictures.device)
        styles = self._styles(batch[1], generator)
        judge = self._judge(told, generator)
        with torch.no_grad():
            generated, _ = self._generated(styles, told, generator)
        real = judge(pictures)
        if self.augmentation is not None:
            self.augmentation.update(real)
        yield "discriminator", discriminator_loss(real, judge(generated))
        if step % self.recipe.r1_every == 0:
            yield "discriminator", self.recipe.r1_every * r1_penalty(judge, pictures, self.recipe.gamma)
        styles = self._styles(batch[1], generator)
        loss = generator_loss(judge(self._generated(styles, told, generator)[0]))
        if self.recipe.texture_weight and step % self.recipe.texture_every == 0:
            weight = self.recipe.texture_weight * self.recipe.texture_every
            loss = loss + weight * self.texture_loss(numbers[:_VIEWS], generator)
        yield "generator", loss
        if self.recipe.path_weight and step % PATH_EVERY == 0:
            few = slice(max(1, len(numbers) // PATH_SHRINK))
            styles = self._styles(batch[1][few], generator)
            penalty = self.path.penalty(*self._generated(styles, told[few], generator), generator)
            yield "generator", PATH_EVERY * self.recipe.path_weight * penalty

    def _judge(self, told: Tensor, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        """The discriminator on pictures of what these were told; both are transformed where the recipe augments."""
        judge, augment = self.nets["discriminator"], self.augmentation
        if augment is None:
            return lambda pictures: judge(pictures, told)
        if not self.recipe.renderings:
            return lambda pictures: judge(augment(pictures, generator), told)

        def seen(pictures: Tensor) -> Tensor:
            moved = augment(torch.cat([pictures, told], 1), generator)
            return judge(moved[:, :3], moved[:, 3:])

        return seen

    def _generated(self, styles: Tensor, told: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures, and the codes of each layer that they were drawn of."""
        mixed = (styles.roll(1, 0), self.recipe.mixing) if self.recipe.mixing else None
        return self.nets["generator"](styles, told, generator, mixed=mixed, training=True)

    def _styles(self, numbers: Tensor, generator: torch.Generator) -> Tensor:
        """Of these pictures; or of nobody, where the recipe has noise."""
        if self.recipe.styles == "noise":
            shape = (len(numbers), self.recipe.width)
            return torch.randn(shape, generator=generator, device=generator.device).to(numbers.device)
        return self.nets["styles"](numbers) if "styles" in self.nets else self.model.styles(numbers)

    def _told(self, numbers: Tensor) -> Tensor:
        renderings = self.data.condition(numbers) if self.recipe.renderings else None
        return self.model.told(self.data.vectors[numbers].to(self.model.standard.mean.device), renderings)

    def texture_loss(self, numbers: Tensor, generator: torch.Generator) -> Tensor:
        """Texture consistency of one style and skin between the shapes and poses of these pictures; scalar."""
        share = torch.rand(len(numbers), generator=generator, device=generator.device).cpu()
        seen = self.data.views(self.belongs[numbers], share, self.recipe.size)
        styles = self._styles(numbers[:1].to(generator.device), generator).expand(len(numbers), -1)
        told = self.model.told(seen.vectors, seen.renderings).to(generator.device)
        drawn, _ = self.nets["generator"](styles, told, generator, training=True)
        textures = seen.steal(drawn.cpu() if drawn.is_cuda else drawn)
        released = self.recipe.texture_form == "sigmoid"
        return consistency.texture_consistency(*textures, released=released).to(drawn.device)

    def state_dict(self) -> dict[str, Tensor]:
        """What penalties and augmentation remember, for checkpoints."""
        state = {f"path.{key}": value for key, value in self.path.state_dict().items()}
        if self.augmentation is not None:
            state |= {f"augmentation.{key}": value for key, value in self.augmentation.state_dict().items()}
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self.path.load_state_dict(part(state, "path"))
        if self.augmentation is not None:
            self.augmentation.load_state_dict(part(state, "augmentation"))


def associations(count: int, wrong: float) -> Tensor:
    """Whose parameters each picture is told to show: its own, but for a share that exchange them (thesis § 5.3.6).

    Args:
        count: of the pictures.
        wrong: share of them, in [0, 1].

    Returns:
        (count,), each picture once.
    """
    generator = torch.Generator().manual_seed(0)
    belongs = torch.arange(count)
    chosen = torch.randperm(count, generator=generator)[: round(wrong * count)]
    belongs[chosen] = chosen.roll(1)
    return belongs


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
