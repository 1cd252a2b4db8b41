"""A look at a run while it trains: samples, distances, and the best weights so far."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from teachlib.errors import require_at_least
from teachlib.modes import evaluating
from teachlib.training.states import random_states, set_random_states


@dataclass(frozen=True)
class Watch:
    """What to look at, and how often.

    Attributes:
        every: steps between looks; the last step always has one.
        look: step, networks → numbers for the log, by name; it may draw figures or write files besides. The networks
            are the averaged ones where an average is kept, on their device, in evaluation mode, gradients off. It is
            called in the first process alone.
        best: the number whose smallest value so far decides when ``best.safetensors`` is written beside the checkpoint;
            ``None``: never.
    """

    every: int
    look: Callable[[int, Mapping[str, nn.Module]], Mapping[str, float]]
    best: str | None = None

    def __post_init__(self) -> None:
        require_at_least(1, every=self.every)


@contextmanager
def undisturbed(nets: Mapping[str, nn.Module]) -> Iterator[None]:
    """Evaluation mode without gradients; afterwards modes and random numbers are as if nobody had looked."""
    kept: dict[str, Any] = random_states()
    with torch.random.fork_rng(), torch.no_grad(), evaluating(*nets.values()):
        try:
            yield
        finally:
            set_random_states(kept)
