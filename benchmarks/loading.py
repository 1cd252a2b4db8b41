"""What reading data costs of a training step: gathering a batch of mapped bytes beside a whole step."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.table import Row
from teachlib import registry
from teachlib.data import ImageData
from teachlib.data.cache import mapped
from teachlib.training import Schedule, fit, make_fabric
from teachlib.training.loop import fetched

STEPS, BATCH = 60, 100


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run(name: str, shape: tuple[int, int, int], count: int) -> Row:
    """A recipe at its smallest scale on random bytes of a file."""
    chapter = registry.chapter_of_recipe(name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pixels")
        np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8).tofile(file)
        images = ImageData("noise", "train", mapped(file, (count, *shape)), torch.zeros(count, dtype=torch.long))
        dataset = {8: "digits", 32: "glyphs", 64: "celeba"}[shape[1]]
        recipe = chapter.recipe(name, dataset, scale="ci")
        objective = chapter.objective(recipe, chapter.build(recipe, images), images, 0)
        plan = Schedule(steps=STEPS, batch_size=BATCH)
        whole = seconds(lambda: fit(objective, images, plan, fabric=make_fabric(accelerator="cpu"), progress=False))
        order = torch.randperm(count)[: STEPS * BATCH].split(BATCH)
        reading = seconds(lambda: [fetched(images, rows) for rows in order])
    size = "×".join(map(str, (count, *shape)))
    said = f"{1000 * reading / STEPS:.2f} ms of {1000 * whole / STEPS:.1f} ms a step"
    return Row(f"reading {size} for {name}", said, f"{100 * reading / whole:.1f} % (asked: below 5 %)")
