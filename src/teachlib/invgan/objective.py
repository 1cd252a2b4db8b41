"""Algorithm 1: the game, and everything that makes its generator invertible, in one step (thesis § 6.3.2)."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import nll_loss, one_hot

from teachlib.gif.losses import path_lengths, r1_gamma, r1_penalty
from teachlib.invgan.biggan import orthogonal_penalty
from teachlib.invgan.losses import STEP, changes, code_error, feature_matching, pixel_error, unevenness
from teachlib.invgan.networks import InvGAN, Seen
from teachlib.invgan.recipes import Recipe
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.rae.losses import mmd
from teachlib.training import Batch

# Which loss moves which network; tests hold it against the gradients. "discriminator" has both heads.
MOVES = {
    "game": {"discriminator"},
    "fool": {"mapping", "generator"},
    "codes": {"discriminator"},
    "reachable": {"mapping", "generator"},
    "pixels": {"generator", "discriminator"},
    "features": {"generator", "discriminator"},
    "reinference": {"generator", "discriminator"},
    "discrepancy": {"mapping", "discriminator"},
    "smoothness": {"generator"},
    "paths": {"generator"},
    "classes": {"discriminator"},
}
R1_EVERY = 16  # steps, where the backbone is StyleGAN2


class Together(ABC):
    """One step of all networks at once, of the weighted sum of losses; a subclass says which there are.

    Args:
        model: to train.
        recipe: its weights.
    """

    def __init__(self, model: InvGAN, recipe: Recipe) -> None:
        self.model, self.recipe = model, recipe
        self.nets: dict[str, nn.Module] = dict(model.named_children())
        self.styled = recipe.backbone == "stylegan2"
        self.differentiated_twice = ("discriminator",) if self.styled else ()

    @abstractmethod
    def losses(self, images: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Every loss of one batch, unweighted: name → scalar.

        Args:
            images: (N, C, H, W) in [0, 1].
            generator: of what is drawn.
            labels: of the images, (N,), where the networks are told classes.
        """

    def weights(self) -> dict[str, float]:
        """Of losses, where they are not 1."""
        return {}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """One Adam for everything: all networks take their step together."""
        weights = [weight for net in self.nets.values() for weight in net.parameters()]
        return {"step": torch.optim.Adam(weights, self.recipe.learning_rate, (0.0 if self.styled else 0.5, 0.99))}

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The weighted sum of all losses, and what the backbone's networks are penalized for."""
        images, weights = batch[0], self.weights()
        losses = self.losses(images, generator, batch[1] if self.recipe.classes else None)
        total = torch.stack([weights.get(name, 1.0) * loss for name, loss in losses.items()]).sum()
        if self.styled and self.recipe.game and step % R1_EVERY == 0:
            gamma = r1_gamma(images.shape[-1], len(images))
            total = total + R1_EVERY * r1_penalty(self.judged, images, gamma)
        if self.recipe.orthogonal:
            total = total + self.recipe.orthogonal * orthogonal_penalty(self.nets["generator"])
        yield "step", total

    def judged(self, images: Tensor) -> Tensor:
        """Logits of "real", (N,), of images."""
        return self.nets["discriminator"](images).logits

    def prior(self, count: int, generator: torch.Generator) -> Tensor:
        """Codes of the prior, through the mapping as it is trained, (count, w_dim)."""
        z = torch.randn(count, self.model.w_dim, generator=generator, device=generator.device)
        return self.nets["mapping"](z.to(next(self.nets["generator"].parameters()).device))


class InvGANObjective(Together):
    """InvGAN's losses, of those that the recipe has.

    Where the recipe reinjects, a share of the game's codes is inferred from the images of the batch before; all others
    come from the prior. A second pass of the discriminator judges generated images for the generator's sake; its
    weights are held still there, and what flows through it reaches the generator, and through codes inferred from
    images the discriminator's first pass.
    """

    def __init__(self, model: InvGAN, recipe: Recipe) -> None:
        super().__init__(model, recipe)
        self.before = torch.zeros(0, model.w_dim)  # codes inferred from the images of the batch before

    def weights(self) -> dict[str, float]:
        """As the recipe has them."""
        named = ("pixels", "features", "reinference", "discrepancy", "smoothness", "paths")
        both = {"codes": self.recipe.codes, "reachable": self.recipe.codes}
        return both | {name: getattr(self.recipe, name) for name in named}

    def losses(self, images: Tensor, generator: torch.Generator, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Every loss that the recipe has, unweighted, as scalars by the names of :data:`MOVES`."""
        recipe, judge, generate = self.recipe, self.nets["discriminator"], self.nets["generator"]
        real = self._seen(images, None if labels is None else one_hot(labels, recipe.classes).to(images))
        prior = self.prior(len(images), generator)
        old = self.before[: int(recipe.reinjects * len(images))].to(images)
        codes = torch.cat([prior[: len(images) - len(old)], old])
        rebuilds = recipe.pixels + recipe.features + recipe.reinference > 0
        losses = {}
        if recipe.game:
            # In passes of their own: batch norm would let the game among samples reach the codes of images.
            made = generate(codes)
            with frozen(judge):
                seen = self._seen(made, self._told(codes))
            judged = self._seen(made.detach(), self._told(codes.detach()))
            losses = {"game": discriminator_loss(real.logits, judged.logits), "fool": generator_loss(seen.logits)}
            if recipe.codes:
                losses["codes"] = code_error(codes.detach(), judged.codes)
                losses["reachable"] = code_error(codes.detach(), seen.codes)
        if rebuilds:
            rebuilt = generate(real.codes)
            with frozen(judge):
                again = self._seen(rebuilt, None)  # its features and codes; nobody asks whether it is real
            losses["pixels"] = pixel_error(images, rebuilt)
            losses["features"] = feature_matching(real.features, again.features)
            losses["reinference"] = code_error(real.codes, again.codes)
        if recipe.discrepancy:
            losses["discrepancy"] = mmd(prior, real.codes, kernel="rbf")
        if recipe.smoothness:
            losses["smoothness"] = self._unevenness(codes.detach(), generator)
        if recipe.paths:
            # Of half of the batch, as StyleGAN2 does: second derivatives are dear.
            w = codes[: max(2, len(codes) // 2), None].detach().requires_grad_()
            losses["paths"] = unevenness(path_lengths(generate(w[:, 0]), w, generator))
        if labels is not None:
            losses["classes"] = nll_loss(real.codes[:, -recipe.classes :].clamp_min(1e-6).log(), labels)
        self.before = real.codes.detach()
        return losses

    def _seen(self, images: Tensor, told: Tensor | None) -> Seen:
        """A look of the discriminator, which may be told classes, (N, K)."""
        judge = self.nets["discriminator"]
        seen: Seen = judge(images) if told is None else judge(images, told)
        return seen

    def _told(self, codes: Tensor) -> Tensor | None:
        """The part of codes that says the class, where there is one."""
        return codes[:, -self.recipe.classes :] if self.recipe.classes else None

    def _unevenness(self, codes: Tensor, generator: torch.Generator) -> Tensor:
        """How unlike the effects of steps of one length are, in the features of the discriminator."""
        judge = self.nets["discriminator"]
        turns = torch.randn(codes.shape, generator=generator, device=generator.device).to(codes)
        stepped = codes + STEP * torch.nn.functional.normalize(turns, dim=1)
        with frozen(judge):
            seen = judge(self.nets["generator"](torch.cat([codes, stepped]))).features
        halves = [layer.chunk(2) for layer in seen]
        return unevenness(changes([before for before, _ in halves], [after for _, after in halves]))

    def state_dict(self) -> dict[str, Tensor]:
        """The codes that the next batch starts with, for checkpoints."""
        return {"before": self.before}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take up what :meth:`state_dict` gave."""
        self.before = state["before"].clone()


@contextmanager
def frozen(net: nn.Module) -> Iterator[None]:
    """Within it, a network's weights take no part in what is computed: gradients flow through, not into it."""
    learning = [weight for weight in net.parameters() if weight.requires_grad]
    for weight in learning:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in learning:
            weight.requires_grad_(True)
