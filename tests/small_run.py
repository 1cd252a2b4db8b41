"""A run small enough to be killed ten times: noise, dropout and batch norm, all that a resumed run could get wrong."""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning_fabric  # noqa: F401  (here and below: training imports them, which takes forks of this seconds)
import numpy as np
import torch
import torch._dynamo
from torch import Tensor, nn

from teachlib.catalogue import CATALOGUE
from teachlib.chapter import Chapter
from teachlib.data import ImageData, PointData
from teachlib.primer import plane_game
from teachlib.training import Schedule, fit, make_fabric


def at_hand(chapter: Chapter[Any, Any, Any]) -> str:
    """A data set of a chapter's that nobody has to fetch: its own, or else the first that a model it ships has seen."""
    names = (chapter.dataset, *(shipped.dataset for shipped in chapter.zoo))
    return next(name for name in names if name not in CATALOGUE or CATALOGUE[name].embedded)


class Denoiser:
    """Restores noisy 4×4 images; without ``norm`` nothing in it couples samples or draws random numbers.

    With ``delay`` seconds it is slow to start, as one process of several can be.
    """

    def __init__(self, *, norm: bool = True, delay: float = 0.0) -> None:
        torch.manual_seed(0)
        self.delay = delay
        middle = [nn.BatchNorm1d(16), nn.Dropout(0.2)] if norm else []
        self.nets: dict[str, nn.Module] = {
            "net": nn.Sequential(nn.Flatten(), nn.Linear(16, 16), *middle, nn.Linear(16, 16))
        }
        self.noise = 0.1 if norm else 0.0

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        time.sleep(self.delay)
        return {"denoise": torch.optim.Adam(self.nets["net"].parameters(), lr=1e-2)}

    def updates(
        self, batch: tuple[Tensor, Tensor], generator: torch.Generator, step: int
    ) -> Iterator[tuple[str, Tensor]]:
        yield "denoise", self.validation_loss(batch, generator)

    def validation_loss(self, batch: tuple[Tensor, Tensor], generator: torch.Generator) -> Tensor:
        x, _ = batch
        noisy = x + self.noise * torch.randn(x.shape, generator=generator)
        return (self.nets["net"](noisy) - x.flatten(1)).square().mean()


def images(count: int = 200) -> ImageData:
    pixels = torch.randint(256, (count, 1, 4, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return ImageData("noise", "train", pixels, torch.zeros(count, dtype=torch.long))


def resume(folder: Path) -> None:
    """Start or go on with a run of 400 steps that writes a checkpoint every seventh."""
    torch.set_num_threads(1)
    random.seed(0)
    np.random.seed(0)
    plan = Schedule(
        steps=400, batch_size=20, seed=3, checkpoint_every=7, log_every=5, plateau_patience=1, ema_half_life=0.2
    )  # fmt: skip
    fit(Denoiser(), images(), plan, folder=folder, resume=True, validation=images(40), progress=False)


def main(what: str, folder: str) -> None:
    """``1`` or ``2``: the same global batch in one process or in several; ``game-``: of two networks that play."""
    torch.set_num_threads(1)
    fabric = make_fabric(devices=int(what[-1]), accelerator="cpu")
    fabric.launch()
    if what.startswith("game"):
        torch.manual_seed(0)
        game, points = plane_game(), PointData(torch.randn(200, 2, generator=torch.Generator().manual_seed(0)), *_NONE)
        # Each process draws noise of its own, so only games of few steps stay close.
        fit(game, points, Schedule(steps=2, batch_size=200), folder=folder, fabric=fabric, progress=False)
        return
    fit(
        Denoiser(norm=False, delay=0.5 * fabric.global_rank),  # the first process writes before the second looks
        images(),
        Schedule(steps=40, batch_size=20),
        folder=folder,
        fabric=fabric,
        progress=False,
    )


_NONE = (torch.zeros(200, dtype=torch.long),)

if __name__ == "__main__":
    main(*sys.argv[1:])
