"""Objectives that ask the loop for everything it offers, small enough to be computed by hand."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from teachlib.data import PointData


def points(count: int = 64) -> PointData:
    x = torch.randn(count, 3, generator=torch.Generator().manual_seed(5))
    return PointData(x, torch.zeros(count, dtype=torch.long))


class Pair:
    """Two networks in a row, the second updated first; a penalty every fourth step; a running mean of the loss.

    ``stop`` ends the run with an interrupt before that step.
    """

    def __init__(self, *, stop: int | None = None, rate: float = 0.1, penalty: float = 0.4) -> None:
        torch.manual_seed(1)
        self.nets: dict[str, nn.Module] = {"first": nn.Linear(3, 4), "second": nn.Linear(4, 1)}
        self.mean, self.stop, self.rate, self.penalty = torch.zeros(()), stop, rate, penalty
        self.penalized: list[int] = []
        self.collected: list[list[Tensor | None]] = []  # after each update, the gradients of the two

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {name: torch.optim.SGD(net.parameters(), lr=self.rate) for name, net in self.nets.items()}

    def loss(self, x: Tensor) -> Tensor:
        return (self.nets["second"](torch.tanh(self.nets["first"](x))) - x.sum(1, keepdim=True)).square().mean()

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        if step == self.stop:
            raise KeyboardInterrupt
        loss = self.loss(batch[0])
        self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        if step % 4 == 0:
            self.penalized.append(step)
            loss = loss + self.penalty * self.mean * self.nets["second"].weight.square().sum()
        yield "second", loss
        self._note()
        yield "first", self.loss(batch[0])
        self._note()

    def _note(self) -> None:
        gradients = (next(net.parameters()).grad for net in self.nets.values())
        self.collected.append([None if gradient is None else gradient.clone() for gradient in gradients])

    def state_dict(self) -> Mapping[str, Tensor]:
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.mean = state["mean"]
