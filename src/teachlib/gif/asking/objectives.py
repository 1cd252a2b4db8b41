"""What generators that are asked descend (Eq. 5.1, and the ways of § 5.2)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from teachlib.gif.asking.models import Asked
from teachlib.gif.losses import r1_penalty
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.training import Batch

_R1_EVERY = 8


class AskedObjective:
    """The conditional game of Eq. 5.1, with the penalty R1, and with an auxiliary head's error where there is one.

    ``shuffled`` is the control: each picture comes with another one's factors, so that nothing can be learned of them.
    ``infogan`` is never told any factors: its two codes are drawn, and a head has to find them in what they drew, a
    lower bound on their mutual information (Chen et al., 2016).

    Args:
        model: to train.
    """

    differentiated_twice = ("discriminator",)

    def __init__(self, model: Asked) -> None:
        self.model, self.recipe = model, model.recipe
        self.nets: dict[str, nn.Module] = {"generator": model.generator, "discriminator": model.discriminator}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for both."""
        rate = self.recipe.learning_rate
        return {name: torch.optim.Adam(net.parameters(), rate, (0.0, 0.99)) for name, net in self.nets.items()}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The discriminator's step, with R1 now and then, then the generator's."""
        pictures, factors = 2 * batch[0] - 1, self._asked(batch[1], generator)
        judge, generate, weight = self.nets["discriminator"], self.nets["generator"], self.recipe.auxiliary_weight
        with torch.no_grad():
            generated = generate(self._z(factors, generator), factors)
        real, guessed = judge(pictures, factors)
        loss = discriminator_loss(real, judge(generated, factors)[0])
        if self.recipe.way == "auxiliary":
            loss = loss + weight * mse_loss(guessed, factors)
        yield "discriminator", loss
        if step % _R1_EVERY == 0:
            penalty = r1_penalty(lambda x: judge(x, factors)[0], pictures, self.recipe.gamma)
            yield "discriminator", _R1_EVERY * penalty
        logits, found = judge(generate(self._z(factors, generator), factors), factors)
        loss = generator_loss(logits)
        if self.recipe.way in ("auxiliary", "infogan"):
            loss = loss + weight * mse_loss(found, factors)
        yield "generator", loss
        if self.recipe.way == "infogan":
            found = judge(generate(self._z(factors, generator), factors).detach(), factors)[1]
            yield "discriminator", weight * mse_loss(found, factors)

    def _asked(self, factors: Tensor, generator: torch.Generator) -> Tensor:
        if self.recipe.way == "shuffled":
            return factors[torch.randperm(len(factors), generator=generator, device=generator.device)]
        if self.recipe.way == "infogan":
            return torch.randn(factors.shape, generator=generator, device=generator.device)
        return factors

    def _z(self, factors: Tensor, generator: torch.Generator) -> Tensor:
        return torch.randn(len(factors), self.recipe.z_dim, generator=generator, device=generator.device)
