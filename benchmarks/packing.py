"""PacGAN's own networks on its own 25 Gaussians, at a tenth of its steps: `python benchmarks/packing.py [--packed 2]`.

Lin et al. (2018) print modes caught by a GAN and by discriminators that see two, three and four samples at once. Their
public code has: a generator of four hidden layers of 400 rectifiers with batch normalization, a discriminator of three
maxout layers of 200 units with five pieces each, weights of deviation .02, Adam at 1e-4 with β₁ = .8, both networks
stepping at once, 100 packs a step, 400,000 steps, and centres two apart with deviations of .05.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.energy.evaluation import counted
from teachlib.energy.sets import CENTRES
from teachlib.primer.gan import discriminator_loss, generator_loss
from teachlib.results import measured_folder, provenance, row_file, spread, write_result

PUBLISHED_STEPS, BATCH, RATE = 400_000, 100, 1e-4
_APART = 2.0  # theirs; the course's grid has centres one apart, and deviations as wide
_DEVIATION = 0.05


class Maxout(nn.Module):
    """The largest of five linear functions for each unit (Goodfellow et al., 2013)."""

    def __init__(self, before: int, after: int, pieces: int = 5) -> None:
        super().__init__()
        self.linear, self.pieces = nn.Linear(before, after * pieces), pieces

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(1, (-1, self.pieces)).amax(2)


def networks(packed: int) -> tuple[nn.Sequential, nn.Sequential]:
    """Generator and discriminator, as they start."""
    hidden: list[nn.Module] = []
    for before in (2, 400, 400, 400):
        hidden += [nn.Linear(before, 400, bias=False), nn.BatchNorm1d(400), nn.ReLU()]
    make = nn.Sequential(*hidden, nn.Linear(400, 2))
    judge = nn.Sequential(Maxout(2 * packed, 200), Maxout(200, 200), Maxout(200, 200), nn.Linear(200, 1))
    for layer in [*make.modules(), *judge.modules()]:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return make, judge


def real(count: int, generator: torch.Generator) -> Tensor:
    """Points of their grid."""
    chosen = torch.randint(len(CENTRES), (count,), generator=generator)
    return _APART * CENTRES[chosen] + _DEVIATION * torch.randn(count, 2, generator=generator)


def train(packed: int, seed: int, steps: int) -> nn.Module:
    """A generator against a discriminator that judges so many samples at once."""
    torch.manual_seed(seed)
    make, judge = networks(packed)
    generator = torch.Generator().manual_seed(seed)
    optimizers = [torch.optim.Adam(net.parameters(), RATE, (0.8, 0.999), fused=True) for net in (make, judge)]
    for _ in range(steps):
        made = make(torch.randn(packed * BATCH, 2, generator=generator))
        pairs = [some.reshape(BATCH, 2 * packed) for some in (real(packed * BATCH, generator), made)]
        seen = judge(torch.cat([pairs[0], pairs[1].detach()]))
        of_judge = torch.autograd.grad(discriminator_loss(seen[:BATCH], seen[BATCH:]), list(judge.parameters()))
        of_make = torch.autograd.grad(generator_loss(judge(pairs[1])), list(make.parameters()))
        for net, slopes, optimizer in ((make, of_make, optimizers[0]), (judge, of_judge, optimizers[1])):
            for weight, slope in zip(net.parameters(), slopes, strict=True):
                weight.grad = slope
            optimizer.step()
    return make.eval()


@torch.no_grad()
def measure(make: nn.Module, seed: int) -> dict[str, float]:
    """Their counts of 2,500 samples: modes with a good one, and the share of good ones; and the course's."""
    samples = make(torch.randn(2500, 2, generator=torch.Generator().manual_seed(seed)))
    nearest, which = torch.cdist(samples, _APART * CENTRES).min(1)
    good = nearest < 3 * _DEVIATION
    hits = torch.bincount(which[good], minlength=len(CENTRES))
    ours = counted(which, good, len(CENTRES))
    return {
        "modes with a good sample": float((hits > 0).sum()),
        "modes": float(ours.modes),
        "quality": ours.quality,
        "divergence": ours.divergence,
    }


def recipe(packed: int, steps: int) -> dict[str, Any]:
    """What a row says of its training."""
    return {"name": "pacgan", "dataset": "gaussians", "packed": packed, "steps": steps}


def done(file: Path, recipe: dict[str, Any]) -> tuple[list[dict[str, float]], float]:
    """What a row has of its first seeds, and the seconds that took; nothing, if there is no such row."""
    kept = json.loads(file.read_text()) if file.exists() else {}
    if kept.get("recipe") != recipe:
        return [], 0.0
    columns = {name: value["values"] for name, value in kept["values"].items()}
    found = [dict(zip(columns, each, strict=True)) for each in zip(*columns.values(), strict=True)]
    return found, kept["provenance"]["seconds"]


def row(
    recipe: dict[str, Any], found: list[dict[str, float]], seconds: float, *, metric: str, samples: int, command: str
) -> dict[str, Any]:
    """A row over the seeds 0, 1, … that are through; seconds are one thread's processor time."""
    return {
        "recipe": recipe,
        "values": {name: spread([each[name] for each in found]) for name in found[0]},
        "metric": metric,
        "samples": samples,
        "provenance": provenance(tuple(range(len(found))), seconds) | {"command": command},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packed", type=int, default=2, help="samples judged at once")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--steps", type=int, default=PUBLISHED_STEPS // 10, help="of each training")
    parser.add_argument("--record", type=Path, default=measured_folder())
    options = parser.parse_args()
    torch.set_num_threads(1)
    label = f"pacgan+packed={options.packed}"
    file = row_file(options.record, "packing", label, "gaussians")
    found, before = done(file, recipe(options.packed, options.steps))
    command = f"python benchmarks/packing.py --packed {options.packed}"
    for seed in range(len(found), options.seeds):
        found.append(measure(train(options.packed, seed, options.steps), seed))
        # After each seed: a run that is stopped has lost one training, not all.
        through = row(
            recipe(options.packed, options.steps),
            found,
            before + time.process_time(),
            metric="modes, share of good samples, KL to equal shares",
            samples=2500,
            command=f"{command} --seeds {len(found)} --steps {options.steps}",
        )
        write_result(options.record, "packing", label, "gaussians", through)
        print(f"{options.packed} at once, seed {seed}:", found[-1], flush=True)


if __name__ == "__main__":
    main()
