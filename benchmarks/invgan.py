"""InvGAN's step, memory and inversion, each beside what does without: the GAN of the same networks, and a search."""

import multiprocessing
import resource
import statistics
import time
from functools import partial

import torch

from benchmarks.table import Row
from teachlib import data, invgan
from teachlib.invgan import inversion
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


def memory(name: str = "invgan-direct", backbone: str = "dcgan") -> Row:
    """The most memory that a process of its own takes for some steps of training."""
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        ours, theirs = (pool.apply(_peak, (each, backbone)) for each in (name, "gan"))
    what = f"memory of training {name}, {backbone}, beside the GAN of the same networks"
    return Row(what, f"{ours} MiB", f"{theirs} MiB", theirs / ours)


def _peak(name: str, backbone: str) -> int:
    _milliseconds(*_made(name, backbone))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def in_domain(count: int = 64) -> Row:
    """A pass of inference beside an in-domain search from there (Zhu et al., 2020: 100 steps, rate .01, weight 2)."""
    model = invgan.from_zoo("invgan-direct", "glyphs")
    images = data.load("glyphs", "test", size=32)[:count][0]
    invgan.infer_all(model, images)  # warms up
    begun = time.perf_counter()
    codes = invgan.infer_all(model, images)
    inferred = time.perf_counter() - begun
    begun = time.perf_counter()
    found, _ = inversion.optimized(model, images, codes, steps=100, learning_rate=0.01, features=1.0, stay=2.0)
    searched = time.perf_counter() - begun
    errors = [invgan.pixel_error(images, invgan.generate_all(model, w)).item() for w in (codes, found)]
    cells = [
        f"{1000 * seconds / count:.2f} ms, error {error:.3f}"
        for seconds, error in zip((inferred, searched), errors, strict=True)
    ]
    return Row("a code by inference, beside an in-domain search", *cells, searched / inferred)
