"""What :func:`teachlib.training.fit` asks of objectives and of data."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

Batch = tuple[Tensor, Tensor]


class Samples(Protocol):
    """What is trained on: indexed by a tensor or a slice, it gives samples and labels."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Batch: ...


@runtime_checkable
class Stored(Protocol):
    """A set whose images are kept as bytes: they travel as bytes, and become numbers in [0, 1] on the device."""

    def stored(self, index: Any, /) -> Batch:
        """As indexing does, with bytes for numbers."""
        ...


class Objective(Protocol):
    """What is trained.

    Attributes:
        nets: name → network. ``fit`` replaces each by one that is wrapped for its device, precision and processes,
            so losses must call ``self.nets[name](…)``.
    """

    nets: dict[str, nn.Module]

    def optimizers(self) -> dict[str, Optimizer]:
        """Name of an update → its optimizer."""
        ...

    def updates(self, batch: Batch, generator: torch.Generator, step: int) -> Iterator[tuple[str, Tensor]]:
        """The updates of one batch in order: (name, scalar loss); the step is taken before the next is computed.

        Only the parameters of the named optimizer collect gradients. ``step`` counts from 0 over the whole run, also
        when it is resumed: a penalty of every sixteenth step asks for it. A name may come more than once.
        """
        ...


@runtime_checkable
class Validates(Protocol):
    """An objective that can say how far it is: one with a loss that means something on held-out data."""

    def validation_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Scalar loss of a held-out batch, networks in evaluation mode; gradients are off."""
        ...


@runtime_checkable
class Stateful(Protocol):
    """An objective that remembers something beside its weights, such as a running mean; checkpoints then hold it."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """Name → tensor; numbers as tensors of no dimension."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor], /) -> None:
        """Take up what :meth:`state_dict` gave."""
        ...


@runtime_checkable
class Planned(Protocol):
    """An objective whose weights change over a planned number of steps: a run of it is made no longer afterwards.

    Attributes:
        planned: that number.
    """

    planned: int


@runtime_checkable
class Twice(Protocol):
    """An objective that differentiates some networks twice, as gradient penalties do: these are never compiled.

    Attributes:
        differentiated_twice: their names.
    """

    differentiated_twice: Collection[str]
