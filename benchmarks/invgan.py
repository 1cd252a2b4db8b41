"""A step of InvGAN beside a step of the GAN of the same networks, taken in turn."""

import statistics
import time
from functools import partial

import torch

from benchmarks.table import Row
from teachlib.invgan.chapter import CHAPTER
from teachlib.invgan.recipes import recipe
from teachlib.training import Objective

STEPS, ROUNDS = 10, 5


def run(name: str = "invgan-direct", backbone: str = "dcgan") -> Row:
    """Milliseconds a step of 64 images at laptop scale; the ratio says how much of a GAN's step rate is left."""
    own, plain = (partial(_milliseconds, *_made(each, backbone)) for each in (name, "gan"))
    times = [(own(), plain()) for _ in range(ROUNDS + 1)][1:]  # the first round warms up
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    what = f"a step of {name}, {backbone}, beside the GAN of the same networks"
    return Row(what, f"{ours:.0f} ms", f"{theirs:.0f} ms", theirs / ours)


def _made(name: str, backbone: str) -> tuple[Objective, torch.Tensor]:
    chosen = recipe(name, "mnist", scale="laptop", backbone=backbone)
    torch.manual_seed(0)
    objective = CHAPTER.objective(chosen, CHAPTER.build(chosen, None), None, 0)  # type: ignore[arg-type]
    return objective, torch.rand(chosen.batch_size, *chosen.shape)


def _milliseconds(objective: Objective, images: torch.Tensor) -> float:
    optimizers, generator = objective.optimizers(), torch.Generator().manual_seed(0)
    begun = time.perf_counter()
    for step in range(1, STEPS + 1):
        for name, loss in objective.updates((images, torch.zeros(len(images))), generator, step):
            optimizers[name].zero_grad()
            loss.backward()
            optimizers[name].step()
    return 1000 * (time.perf_counter() - begun) / STEPS
