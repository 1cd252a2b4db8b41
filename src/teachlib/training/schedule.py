"""How long and how to train, in which order of the data, and what came out."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from teachlib.errors import TeachlibError, require_at_least, require_positive


@dataclass(frozen=True)
class Schedule:
    """How long and how to train.

    Attributes:
        steps: batches in all.
        batch_size: samples a step, over all processes, which must be able to share them evenly.
        seed: of the order of the data and of the noise.
        checkpoint_every: steps between checkpoints; the last step always writes one.
        log_every: steps between lines of the log.
        validate_every: steps between validations; 0: an epoch.
        plateau_patience: halve the learning rates when more than so many validations in a row were no improvement (of
            .0001 at least); ``None``: never.
        accumulate: parts that a process computes its share of a batch in, one after the other; their gradients add up
            to the batch's, in the memory of a part. Batch norm sees parts.
        clip: largest norm of an update's gradient, over all parameters of its optimizer; ``None``: as it is.
        ema_half_life: of a moving average of all weights, in thousands of samples; ``None``: none is kept.
        ema_ramp: the half-life is at most this share of the samples seen, so that the first steps are forgotten soon
            (Karras et al., 2020: 0.05); 0: the same from the start.
    """

    steps: int
    batch_size: int = 100
    seed: int = 0
    checkpoint_every: int = 500
    log_every: int = 50
    validate_every: int = 0
    plateau_patience: int | None = None
    accumulate: int = 1
    clip: float | None = None
    ema_half_life: float | None = None
    ema_ramp: float = 0.05

    def __post_init__(self) -> None:
        require_at_least(1, steps=self.steps, batch_size=self.batch_size, log_every=self.log_every)
        require_at_least(1, checkpoint_every=self.checkpoint_every, accumulate=self.accumulate)
        require_at_least(0, seed=self.seed, validate_every=self.validate_every, ema_ramp=self.ema_ramp)
        require_at_least(0, plateau_patience=self.plateau_patience)
        require_positive(clip=self.clip, ema_half_life=self.ema_half_life)

    def ema_decay(self, step: int) -> float:
        """What an average keeps of itself at the end of a step, counted from 1."""
        assert self.ema_half_life is not None
        half_life, seen = 1000 * self.ema_half_life, step * self.batch_size
        if self.ema_ramp:
            half_life = min(half_life, self.ema_ramp * seen)
        return 0.5 ** (self.batch_size / half_life)


@dataclass
class History:
    """What a run logged: one dictionary a line, each with its ``step``."""

    lines: list[dict[str, float]]

    def series(self, name: str) -> tuple[list[float], list[float]]:
        """Steps and values of one quantity, e.g. ``autoencoder`` or ``validation``."""
        lines = [line for line in self.lines if name in line]
        return [line["step"] for line in lines], [line[name] for line in lines]


def batches(count: int, batch_size: int, seed: int, start: int = 0) -> Iterator[Tensor]:
    """Indices of batch ``start``, ``start + 1``, … for ever: a new permutation an epoch, incomplete batches dropped.

    The order depends on nothing but the arguments, so a resumed run continues exactly where it stopped.

    Raises:
        TeachlibError: fewer samples than one batch.
    """
    per_epoch = count // batch_size
    if per_epoch == 0:
        raise TeachlibError(
            f"{count} samples do not fill a batch of {batch_size}: more are needed, or a smaller batch_size"
        )
    for epoch in itertools.count(start // per_epoch):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(mix(seed, epoch)))
        done = max(start - epoch * per_epoch, 0)
        yield from order.split(batch_size)[done:per_epoch]


def mix(*numbers: int) -> int:
    """One well-spread 63-bit seed from several small numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def refuse_uneven(schedule: Schedule, nets: Mapping[str, nn.Module], processes: int) -> None:
    """A share that is larger than another would count less; one sample alone has no batch statistics.

    Raises:
        TeachlibError: the batch cannot be cut evenly, or batch norm would see one sample.
    """
    size, parts = schedule.batch_size, processes * schedule.accumulate
    if size % parts:
        nearest = max(size // parts, 1) * parts
        between = f"{processes} processes" + (f" in {schedule.accumulate} parts" if schedule.accumulate > 1 else "")
        raise TeachlibError(
            f"a batch of {size} cannot be shared evenly by {between}; take {nearest}, or other --devices"
        )
    normed = any(isinstance(layer, _BatchNorm) for net in nets.values() for layer in net.modules())
    if size == parts and normed:
        raise TeachlibError(f"batch norm needs two samples a process; {size} on {parts} leave one: more a batch")
