"""Train any model that brings its own loss."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn


class LossObjective:
    """One Adam, one update a batch, on ``model.loss(x, labels, generator)``.

    Args:
        model: a module with a method ``loss`` that returns a scalar.
        learning_rate: Adam's.
    """

    def __init__(self, model: nn.Module, *, learning_rate: float = 1e-3) -> None:
        self.learning_rate = learning_rate
        self.nets: dict[str, nn.Module] = {"model": model}

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        """The one optimizer."""
        return {"model": torch.optim.Adam(self.nets["model"].parameters(), lr=self.learning_rate, fused=True)}

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        """The one loss of a batch."""
        yield "model", self.validation_loss(batch, generator)

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        """The model's own loss."""
        return self.nets["model"].loss(*batch, generator)  # type: ignore[operator]
