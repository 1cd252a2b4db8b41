"""The games of this chapter: who descends what, and when."""

from collections.abc import Iterator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.energy.likelihood import likelihood_loss, log_mean, sums_of, support_loss
from teachlib.energy.networks import FlowGenerator, Judge, Pair, normalized_features
from teachlib.energy.penalties import penalty
from teachlib.energy.spread import determinantal, kernel_repulsion, repulsion, shared_information
from teachlib.invgan.objective import frozen
from teachlib.primer.flows import standard_normal_log_prob
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.training import Batch

BROAD = 3.0  # deviation of the prior that points may be drawn from, in the plane


class PairObjective:
    """A generator against a judge, by the game's loss or by Eqs 7.3 and 7.4.

    Args:
        model: to train.
    """

    differentiated_twice = ("judge",)

    def __init__(self, model: Pair) -> None:
        self.model, self.recipe = model, model.recipe
        self.nets: dict[str, nn.Module] = dict(model.named_children())

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam for each; one for all where they take their steps together."""
        rate = self.recipe.learning_rate
        sides = {
            "judge": list(self.nets["judge"].parameters()),
            "generator": [w for name, net in self.nets.items() if name != "judge" for w in net.parameters()],
        }
        if self.recipe.together:
            sides = {"both": sides["judge"] + sides["generator"]}
        return {name: torch.optim.Adam(weights, rate, (0.5, 0.99), fused=True) for name, weights in sides.items()}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The judge's loss and the generator's: one after the other, of other noise; or both at once, of the same."""
        x = batch[0]
        z = self.model.noise(len(x), generator)
        if self.recipe.together:
            made, log_prob = self.generated(z)
            judged = self.judge_loss(x, made.detach(), log_prob, generator)
            with frozen(self.nets["judge"]):
                fooled = self.generator_loss(made, z, log_prob)
            yield "both", judged + fooled
            return
        with torch.no_grad():
            made, log_prob = self.generated(z)
        yield "judge", self.judge_loss(x, made, log_prob, generator)
        z = self.model.noise(len(x), generator)
        made, log_prob = self.generated(z)
        yield "generator", self.generator_loss(made, z, log_prob)

    def generated(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Samples, and log p_G of each where the generator knows it, else 0."""
        net = self.nets["generator"]
        if self.recipe.spread == "flow":
            return cast(FlowGenerator, net).with_log_prob(z)
        return net(z), z.new_zeros(len(z))

    def judge_loss(self, x: Tensor, made: Tensor, log_prob: Tensor, generator: torch.Generator) -> Tensor:
        """What the judge descends, with its penalty."""
        judge = self.nets["judge"]
        if self.recipe.name == "modes-gan":
            loss = discriminator_loss(judge(x), judge(made))
        else:
            points, log_weights = self._points(made, -log_prob.detach(), generator)
            sums = sums_of(-judge(points), self.recipe.m)
            weights = sums_of(log_weights, self.recipe.m) if log_weights is not None else None
            loss = likelihood_loss(-judge(x), sums, weights)
        kind, weight = self.recipe.penalty, self.recipe.penalty_weight
        return loss + weight * penalty(kind, self._alone, x, made, generator) if weight else loss

    def _alone(self, x: Tensor) -> Tensor:
        return self.nets["judge"](x)

    def _points(self, made: Tensor, log_weights: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Where the integral is taken, and the logarithms of 1/p there, ``None`` where p is not known."""
        if self.recipe.points == "generator":
            return made, log_weights if self.recipe.spread == "flow" else None
        broad = BROAD * torch.randn(made.shape, generator=generator, device=generator.device).to(made)
        weights = -(standard_normal_log_prob(broad / BROAD) - 2 * torch.tensor(BROAD).log())
        if self.recipe.points == "prior":
            return broad, weights
        # Every other one: each sum then has as many of both.
        mixed = torch.stack([made, broad], 1).flatten(0, 1)[: len(made)]
        return mixed, None

    def generator_loss(self, made: Tensor, z: Tensor, log_prob: Tensor) -> Tensor:
        """What the generator descends: to be where D is large, and what keeps its samples apart."""
        return self._outwitting(made) + self._spreading(made, z, log_prob)

    def _outwitting(self, made: Tensor) -> Tensor:
        scores = self.nets["judge"](made)
        game = self.recipe.name == "modes-gan"
        aim = self.recipe.aim if self.recipe.aim != "usual" else "game" if game else "sum"
        if aim == "mean" or self.recipe.spread == "flow":  # KL(p_G ‖ D/Z): the mean of log D, and the entropy
            return -scores.mean()
        if aim == "sum":
            return support_loss(sums_of(-scores, self.recipe.m))
        if not game:  # Eq 7.3 leaves a factor of D open: here D has the mean one over samples, as p_data/p_G has
            scores = scores - log_mean(-scores.detach(), None)
        return generator_loss(scores)

    def _spreading(self, made: Tensor, z: Tensor, log_prob: Tensor) -> Tensor:
        if not self.recipe.spread_weight:
            return made.new_zeros(())
        return self.recipe.spread_weight * self.spread(made, z, log_prob)

    def spread(self, made: Tensor, z: Tensor, log_prob: Tensor) -> Tensor:
        """The recipe's term of :data:`teachlib.energy.spread.SPREADS`, unweighted."""
        kind = self.recipe.spread
        if kind == "distance":
            return repulsion(made)
        if kind == "kernel":
            return kernel_repulsion(made, 0.25 if made.ndim == 2 else None)
        if kind == "features":
            return kernel_repulsion(normalized_features(cast(Judge, self.nets["judge"]), made))
        if kind == "determinantal":
            return determinantal(made, 0.5 if made.ndim == 2 else 8.0)
        if kind == "flow":
            return log_prob.mean()
        if kind == "information":
            return F.mse_loss(self.nets["witness"](made), z)
        if kind == "entropy":
            return -shared_information(self.nets["witness"], made, z)
        return made.new_zeros(())
