"""Langevin's chains beside torchebm's, with the same energy, starts and noise: time a step, and how far they part."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.peers import install
from benchmarks.table import Row
from teachlib.primer.energy import EnergyNet, langevin

CHAINS, STEPS, STEP_SIZE, REPEATS = 1000, 200, 0.01, 7


def theirs(energy: EnergyNet) -> Callable[[Tensor, torch.Generator], Tensor]:
    from torchebm.core import BaseModel
    from torchebm.samplers import LangevinDynamics

    class Wrapped(BaseModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.energy = energy

        def forward(self, x: Tensor, **how: Any) -> Tensor:
            return self.energy(x)

    sampler = LangevinDynamics(Wrapped(), step_size=STEP_SIZE, device="cpu")
    return lambda x, generator: sampler.sample(x, n_steps=STEPS, generator=generator)


def ours(energy: EnergyNet) -> Callable[[Tensor, torch.Generator], Tensor]:
    return lambda x, generator: langevin(energy, x, generator, steps=STEPS, step_size=STEP_SIZE)


def run() -> Row:
    """Both by turns; chains start in the same points and draw the same noise, so that their ends should be the same."""
    what = f"{CHAINS} chains in the plane, µs a step"
    if obstacle := install("torchebm"):
        return Row(what, "", obstacle)
    torch.manual_seed(0)
    energy = EnergyNet(2)
    x = torch.randn(CHAINS, 2, generator=torch.Generator().manual_seed(0))
    ends, seconds = {}, {"ours": [], "peer": []}
    for _ in range(REPEATS):
        for name, chains in (("ours", ours(energy)), ("peer", theirs(energy))):
            start = time.perf_counter()
            ends[name] = chains(x.clone(), torch.Generator().manual_seed(1))
            seconds[name].append(time.perf_counter() - start)
    rate = {name: 1e6 * median(each) / STEPS for name, each in seconds.items()}
    apart = (ends["ours"] - ends["peer"]).abs().max().item()
    shown = f"torchebm 0.8.9 {rate['peer']:.0f}; ends {apart:.0e} apart"
    return Row(what, f"{rate['ours']:.0f}", shown, rate["peer"] / rate["ours"])
