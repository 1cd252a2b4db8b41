"""The one switch from laptop to paper: scales, and what every notebook and command does first."""

import os
import platform
import random
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from teachlib.errors import unknown

T = TypeVar("T")


class Scale(StrEnum):
    """How much to compute: ``ci`` for tests, ``laptop`` for self-study, ``paper`` for GPUs."""

    CI = "ci"
    LAPTOP = "laptop"
    PAPER = "paper"

    @classmethod
    def of(cls, name: "str | Scale | None" = None) -> "Scale":
        """The scale called ``name``; without one, ``TEACHLIB_SCALE``'s, and ``laptop`` where that is unset.

        Raises:
            TeachlibError: no such scale.
        """
        chosen = name or os.environ.get("TEACHLIB_SCALE") or cls.LAPTOP
        if chosen not in [scale.value for scale in cls]:
            raise unknown("scale", str(chosen), [scale.value for scale in cls])
        return cls(chosen)


@dataclass(frozen=True)
class Session:
    """What :func:`begin` decided: the scale, the seed, the device and a folder for runs."""

    scale: Scale
    seed: int
    device: torch.device
    folder: Path

    def pick(self, *, ci: T, laptop: T, paper: T) -> T:
        """The value for the current scale."""
        return {Scale.CI: ci, Scale.LAPTOP: laptop, Scale.PAPER: paper}[self.scale]


def best_device() -> torch.device:
    """CUDA where there is one, then Apple's MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch. Functions of this library take explicit generators besides."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def machine(device: torch.device) -> str:
    """One line about the machine, e.g. ``2 cores, Linux, torch 2.13.0, cpu``."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{os.cpu_count()} cores, {platform.system()}, torch {torch.__version__}, {name}"


def begin(scale: str | None = None, *, seed: int = 0, folder: str | Path = "runs") -> Session:
    """Start a notebook or a command: choose the scale, seed everything, pick a device, say so in one line.

    Args:
        scale: ``"ci"``, ``"laptop"`` or ``"paper"``; ``None`` takes ``TEACHLIB_SCALE``, else ``laptop``.
        seed: for every random number that follows.
        folder: where runs go; created when something is first written there.

    Raises:
        TeachlibError: no such scale.
    """
    session = Session(Scale.of(scale), seed, best_device(), Path(folder))
    seed_everything(seed)
    # Pages are written about runs at laptop: who computes less, or more, is told so beside other numbers.
    whose = "" if session.scale is Scale.LAPTOP else " · the text speaks of scale laptop"
    print(f"scale {session.scale}, seed {seed} · {machine(session.device)}{whose}")
    return session
