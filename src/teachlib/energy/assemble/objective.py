"""The conditional game of assembled pictures: real ones, generated ones, and real ones with another's boxes."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.energy.assemble.networks import Assembler, Guesser, Joint, Judge, crops
from teachlib.energy.assemble.recipes import AssembleRecipe
from teachlib.energy.assemble.shapes import SIZE
from teachlib.errors import TeachlibError
from teachlib.gif.losses import r1_penalty
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.training import Batch

_R1_EVERY = 8
_GRAIN = 0.5  # deviation, of pixels up to 1


class Assembled(nn.Module):
    """A recipe's networks.

    Args:
        recipe: says which.
    """

    def __init__(self, recipe: AssembleRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.objects = len(recipe.kind.objects)
        how = {"z_dim": recipe.z_dim, "objects": self.objects}
        if recipe.name == "assemble-joint":
            self.generator: Assembler | Joint = Joint(recipe.joint_width, **how)
        else:
            self.generator = Assembler(recipe.width, **how, blends=recipe.name == "assemble")
        self.discriminator = Judge(3 * recipe.width, objects=self.objects)
        self.guesser = Guesser(self.objects) if recipe.classes == "found" else None

    def painters(self) -> Assembler:
        """The generator, whose painters can be asked one by one.

        Raises:
            TeachlibError: a joint one.
        """
        if not isinstance(self.generator, Assembler):
            raise TeachlibError(f"{self.recipe.name} has no painter of its own for each object; take assemble")
        return self.generator

    def noise(self, count: int, generator: torch.Generator) -> Tensor:
        """z of so many pictures of K objects, (count, K, z_dim)."""
        return torch.randn(count, self.objects, self.recipe.z_dim, generator=generator, device=generator.device)

    def told(self, conditions: Tensor) -> Tensor:
        """Conditions (N, K, 5) as the networks are told them: a hidden one's box reaches to the picture's borders, and
        of what is not there no box is told."""
        told = conditions * conditions[..., :1]
        if self.recipe.hidden is None:
            return told
        there = told[:, self.recipe.hidden, 0]
        borders = (there, 0 * there, 0 * there, SIZE * there, SIZE * there)
        for number in self.recipe.kind.hidden:
            told[:, self.recipe.hidden, number] = borders[number]
        return told

    def order(self, generator: torch.Generator) -> list[int]:
        """A random order of the objects: a ground first; one whose box is hidden last, when what decides its place is
        there."""
        order = torch.randperm(self.objects, generator=generator, device=generator.device).tolist()
        return sorted(order, key=self._turn)

    def _turn(self, number: int) -> int:
        """-1, 0 or 1: whether an object comes before all others, among them, or after them."""
        if self.recipe.kind.grounded and number == 0:
            return -1
        return int(number == self.recipe.hidden)

    def forward(self, conditions: Tensor, z: Tensor, order: tuple[int, ...] | None = None) -> Tensor:
        """Pictures (N, 3, 32, 32) in [0, 1] of full conditions (N, 3, 5), of which it is told what the recipe says."""
        if order is None:
            order = tuple(sorted(range(self.objects), key=self._turn))
        return self.generator(self.told(conditions), z, order)


def shuffled(conditions: Tensor, generator: torch.Generator) -> Tensor:
    """Conditions (N, K, 5) whose boxes are in a random order, another in each row: none says of which class it is."""
    order = torch.rand(conditions.shape[:2], generator=generator, device=generator.device).argsort(1)
    return conditions.gather(1, order[..., None].expand_as(conditions))


class AssembledObjective:
    """The non-saturating game with R1, in which a picture must fit its boxes.

    Args:
        model: to train.
    """

    differentiated_twice = ("discriminator",)

    def __init__(self, model: Assembled) -> None:
        self.model, self.recipe = model, model.recipe
        self.planned = self.recipe.steps  # over which the weight of R1 falls
        self.nets: dict[str, nn.Module] = {"generator": model.generator, "discriminator": model.discriminator}
        if model.guesser is not None:
            self.nets["guesser"] = model.guesser

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for both."""
        rate = self.recipe.learning_rate
        return {name: torch.optim.Adam(net.parameters(), rate, (0.0, 0.99)) for name, net in self.nets.items()}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The discriminator's step, with R1 now and then, then the generator's, of the same pictures."""
        pictures, conditions = batch[0], self.model.told(batch[1])
        if self.recipe.untold:
            conditions = shuffled(conditions, generator)
        judge = self.nets["discriminator"]
        z = self.model.noise(len(pictures), generator)
        made, asked = self._completed(batch, z, generator) if self.recipe.completes else (pictures[:0], conditions[:0])
        if len(made) < len(pictures):
            rest = slice(len(made), None)
            whole = self.nets["generator"](conditions[rest], z[rest], self.model.order(generator))
            made, asked = torch.cat([made, whole]), torch.cat([asked, conditions[rest]])
        loss = discriminator_loss(judge(pictures, conditions), judge(made.detach(), asked))
        # -log D of the wrong pair, as of a generated one: what a generator would be told is wrong, is.
        mismatched = generator_loss(-judge(pictures, conditions.roll(1, 0)))
        loss = loss + self.recipe.mismatch * mismatched
        if step % _R1_EVERY == 0:
            loss = loss + _R1_EVERY * r1_penalty(lambda x: judge(x, conditions), pictures, self.recipe.gamma_at(step))
        yield "discriminator", loss
        loss = generator_loss(judge(made, asked))
        if self.model.guesser is not None:
            yield "guesser", self.guessed(made.detach(), asked, generator)
            loss = loss + self.recipe.information * self.guessed(made, asked, generator)
        yield "generator", loss

    def guessed(self, made: Tensor, asked: Tensor, generator: torch.Generator) -> Tensor:
        """-E log q(painter | what it has drawn) in nats: up to a constant, a bound on their mutual information (Chen et
        al., 2016, Eq. 5).

        It is seen through grain. Else painters would put a faint mark of their own on whatever they draw.
        """
        seen = crops(made, asked)
        grain = torch.randn(seen.shape, generator=generator, device=seen.device)
        logits = self.nets["guesser"](seen + _GRAIN * grain)
        painters = torch.arange(self.model.objects, device=made.device).expand(asked.shape[:2]).flatten()
        there = asked[..., 0].flatten() > 0
        return F.cross_entropy(logits[there], painters[there]) if there.any() else 0 * logits.sum()

    def _completed(self, batch: Batch, z: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Real pictures that one painter has completed, half as many as the batch has, and their conditions.

        Real are those of the batch that lack its object and nothing else, as often as it takes; where there are none,
        none are returned. Here a painter can win by its own object alone: nothing else of the picture is a painter's.
        A model that learns nothing else gets a whole batch, of all pictures that lack the object.
        """
        pictures, places = batch[0], batch[1]
        number = int(torch.randint(self.model.objects, (), generator=generator, device=generator.device))
        there = places[..., 0] > 0
        alone, others = self.recipe.from_real, there.sum(1) == self.model.objects - 1
        lacking = (~there[:, number] & (others | alone)).nonzero()[:, 0]
        if not len(lacking):
            return pictures[:0], places[:0]
        count = len(places) if alone else len(places) // 2
        drawn = torch.randint(len(lacking), (count,), generator=generator, device=generator.device)
        chosen = lacking[drawn.to(lacking.device)]
        asked = places[chosen]
        asked[:, number, 0] = 1.0
        asked = self.model.told(asked)
        return self.nets["generator"](asked, z[: len(chosen)], (number,), pictures[chosen]), asked
