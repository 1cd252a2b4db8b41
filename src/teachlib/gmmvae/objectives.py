"""How the models of the chapter are trained."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib import data
from teachlib.errors import TeachlibError, require_labels
from teachlib.gmmvae.attacks import Ball, misclassified, pgd
from teachlib.gmmvae.losses import reconstruction_error, supervised_loss, unsupervised_loss, variable_entropy_loss
from teachlib.gmmvae.models import CNN, GMMVAE, MagNet, shifted
from teachlib.gmmvae.recipes import Recipe

ATTACK_STEPS = 7  # of PGD in adversarial training; Madry et al. (2018) take 40 on MNIST, and 7 on CIFAR-10


def _adam(nets: dict[str, nn.Module], learning_rate: float) -> dict[str, torch.optim.Optimizer]:
    parameters = [weight for net in nets.values() for weight in net.parameters()]
    return {"model": torch.optim.Adam(parameters, lr=learning_rate, fused=True)}


def _moved(x: Tensor, pixels: int, generator: torch.Generator) -> Tensor:
    return shifted(x, pixels, generator) if pixels else x


class MixtureObjective:
    """Eq 4.6 for images with labels, and where the recipe knows few labels, Eq 4.2 for the others.

    Args:
        model: to train.
        labelled: the images and labels that training may see, (M, C, H, W) and (M,); ``None``: all of the batch's.
    """

    def __init__(self, model: GMMVAE, labelled: tuple[Tensor, Tensor] | None = None) -> None:
        self.recipe, self.prior, self.split, self.labelled = model.recipe, model.prior, model.split, labelled
        self.nets: dict[str, nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam over encoder and decoder (thesis §4.8.1)."""
        return _adam(self.nets, self.recipe.learning_rate)

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        """The one loss of this batch."""
        x, labels = batch
        if self.labelled is None:
            yield "model", self._supervised(_moved(x, self.recipe.shift, generator), labels, generator)
        else:
            yield "model", self._semi_supervised(x, generator)

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """Eq 4.6 of held-out images where they are."""
        return self._supervised(*batch, generator)

    def _coded(self, x: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean and log-variance of Q(Z|x), a draw from it, and its reconstruction."""
        mean, log_variance = self.split(self.nets["encoder"](x))
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean + (0.5 * log_variance).exp() * noise
        return mean, log_variance, z, self.nets["decoder"](z)

    def _goal(self, labels: Tensor, device: torch.device) -> Tensor:
        """The mean of each label, (N, d); on a GPU, which nobody waits for, a label out of range ends the process."""
        known = require_labels(labels, self.recipe.classes)
        return F.embedding(known, self.prior.to(device).means)  # indexing would take −1 for the last class

    def _supervised(self, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        prior, goal, alpha = self.prior.to(x.device), self._goal(labels, x.device), self.recipe.alpha
        code, log_variance, _, reconstruction = self._coded(x, generator)
        if self.recipe.learned_variance:
            return variable_entropy_loss(x, reconstruction, code, log_variance, goal, prior, alpha)
        return supervised_loss(x, reconstruction, code, goal, alpha)

    def _semi_supervised(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Half of the images with labels, half without, in one pass: batch norm then sees one distribution."""
        assert self.labelled is not None
        half = len(x) // 2
        images, classes = self.labelled
        rows = torch.randint(len(images), (half,), generator=generator, device=generator.device).cpu()
        known, labels = images[rows].to(x.device), classes[rows].to(x.device)
        both = _moved(torch.cat([known, x[half:]]), self.recipe.shift, generator)
        prior, alpha = self.prior.to(x.device), self.recipe.alpha
        code, _, z, reconstruction = self._coded(both, generator)
        labelled, unlabelled = slice(half), slice(half, None)
        goal = self._goal(labels, x.device)
        supervised = supervised_loss(both[labelled], reconstruction[labelled], code[labelled], goal, alpha)
        free = unsupervised_loss(both[unlabelled], reconstruction[unlabelled], z[unlabelled], prior, alpha)
        return 0.5 * (supervised + free)


class _OnMovedImages(ABC):
    """One loss a batch, of images that are moved by a few pixels."""

    recipe: Recipe
    nets: dict[str, nn.Module]

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """Adam."""
        return _adam(self.nets, self.recipe.learning_rate)

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        """The one loss of this batch."""
        x, labels = batch
        yield "model", self.validation_loss((_moved(x, self.recipe.shift, generator), labels), generator)

    @abstractmethod
    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """The same of held-out images where they are."""


class LabelObjective(_OnMovedImages):
    """Cross-entropy, on images as they are or as an attack on the network of this moment leaves them."""

    def __init__(self, model: CNN) -> None:
        self.model, self.recipe = model, model.recipe  # attacks need the plain network, whose passes nobody averages
        self.nets = {"classifier": model}

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """Of held-out images where they are, attacked like training's."""
        x, labels = batch
        labels = require_labels(labels, self.recipe.classes, count=len(x))
        if self.recipe.epsilon:
            x = self._attacked(x, labels, generator)
        return F.cross_entropy(self.nets["classifier"](x), labels)

    def _attacked(self, x: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """The inner maximum of adversarial training (Madry et al., 2018)."""
        was_training = self.model.training
        self.model.eval()  # the attack's own passes must not count as batches
        ball = Ball(self.recipe.epsilon)
        attacked = pgd(misclassified(self.model, labels), x, ball, steps=ATTACK_STEPS, generator=generator)
        self.model.train(was_training)
        return attacked


class MagNetObjective(_OnMovedImages):
    """Cross-entropy for the classifier, squared error of slightly noisy images for the autoencoder, as one sum.

    The networks share no weight, so the sum trains each by itself.
    """

    def __init__(self, model: MagNet) -> None:
        self.recipe = model.recipe
        self.nets = {"classifier": model.classifier, "encoder": model.encoder, "decoder": model.decoder}

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """The same of held-out images where they are."""
        x, labels = batch
        labels = require_labels(labels, self.recipe.classes, count=len(x))
        noisy = x + 0.1 * torch.randn(x.shape, generator=generator, device=x.device)
        rebuilt = self.nets["decoder"](self.nets["encoder"](noisy.clamp(0, 1)))
        return F.cross_entropy(self.nets["classifier"](x), labels) + reconstruction_error(x, rebuilt).mean()


def few_labels(training: data.ImageData, per_class: int, seed: int) -> tuple[Tensor, Tensor]:
    """The first ``per_class`` images of each class in a random order, and their labels.

    Raises:
        TeachlibError: a class with fewer images, or an image without a class.
    """
    order = torch.randperm(len(training), generator=torch.Generator().manual_seed(seed))
    labels = training.labels[order]
    rows = []
    if (labels < 0).any():
        raise TeachlibError(f"class {int(labels.min())}; expected 0 and more: leave out what has no label")
    for label in labels.unique():
        found = order[labels == label][:per_class]
        if len(found) < per_class:
            raise TeachlibError(f"class {int(label)} has {len(found)} images; {per_class} a class were asked for")
        rows.append(found)
    return training[torch.cat(rows)]
