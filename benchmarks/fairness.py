"""§ 6.4.1 on a toy: `python benchmarks/fairness.py [--record src/teachlib/measured]`.

Heads in which an attribute and the side of the light agree in 90 of 100. A small network learns the attribute from
them; is it right of heads that are lit from the other side? Ways out: as many of every group (which needs the labels of
the light, no model), and edited pictures that are added, each head with its light turned over, by codes or by principal
components; beside them pictures that are rebuilt and not edited, and a set of as many heads without the correlation,
which is the limit. Three seeds, of the draw and of the network.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from teachlib import gif, invgan
from teachlib.gif import evaluation, heads
from teachlib.invgan import attributes, fairness, semantics
from teachlib.results import provenance, spread, write_result

TARGETS = ("turned to the left", "open mouth")
AGREE = 0.9
ROWS = ("plain", "evened", "rebuilt", "codes", "components", "limit")


def side_of_light(told: heads.Heads) -> Tensor:
    return heads.factors(told.vectors)[:, 1]


class Toy:
    """The heads of a split, their pictures, the target and the side that they are lit from."""

    def __init__(self, told: heads.Heads, split: str, target: str) -> None:
        self.images, self.side = told[:][0], side_of_light(told)
        self.target, self.lit = attributes.of_heads(told, split)[target].long(), (self.side > 0).long()


def sets(model: invgan.InvGAN, toy: Toy, seed: int) -> dict[str, tuple[Tensor, Tensor]]:
    """What each way learns from: pictures and targets."""
    draw = torch.Generator().manual_seed(seed)
    rows = fairness.correlated(toy.target, toy.lit, AGREE, draw)
    some, target, lit, side = toy.images[rows], toy.target[rows], toy.lit[rows], toy.side[rows]
    made = {
        "rebuilt": invgan.generate_all(model, invgan.infer_all(model, some)),
        "codes": fairness.edited(model, some, side, target),
        "components": fairness.edited_linearly(some, model.w_dim, side, target),
    }
    again = fairness.evened(target, lit, 2 * len(rows), draw)
    apart = fairness.correlated(toy.target, toy.lit, 0.5, draw)
    apart = apart[torch.randperm(len(apart), generator=draw)[: len(rows)]]
    return {
        "plain": (some, target),
        "evened": (some[again], target[again]),
        **{name: (torch.cat([some, more]), target.repeat(2)) for name, more in made.items()},
        "limit": (toy.images[apart], toy.target[apart]),
    }


def measure(toy: Toy, test: Toy, steps: int, seeds: int) -> dict[str, dict[str, list[float]]]:
    """Of each way, its numbers, one a seed."""
    model, judge = invgan.from_zoo("invgan-direct", "heads"), gif.from_zoo("reinference")
    found = {name: dict[str, list[float]]() for name in ROWS}
    for seed in range(seeds):
        learned = sets(model, toy, seed)
        nets = {}
        for name, (images, target) in learned.items():
            nets[name] = semantics.train_classifier(images, target[:, None].float(), steps=steps, seed=seed)
            right = fairness.accuracies(nets[name], test.images, test.target, test.lit)
            numbers = {"worst group": right.min(), "mean of groups": right.mean()}
            for key, value in numbers.items():
                found[name].setdefault(key, []).append(value.item())
            print(seed, name, len(images), [round(value, 3) for value in right.tolist()], flush=True)
        count = len(learned["plain"][0])
        before = heads.factors(evaluation.inferred(judge, learned["plain"][0]))[:, 1] > 0
        for name in ("rebuilt", "codes", "components"):
            images, target = (some[count:] for some in learned[name])
            with torch.no_grad():
                said = torch.cat([nets["limit"](part)[:, 0] for part in images.split(500)]) > 0
            turned = (heads.factors(evaluation.inferred(judge, images))[:, 1] > 0) != before
            found[name].setdefault("target kept", []).append((said == target.bool()).float().mean().item())
            found[name].setdefault("light turned over", []).append(turned.float().mean().item())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--targets", nargs="+", default=TARGETS)
    parser.add_argument("--heads", type=int, default=heads.SPLITS["train"])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    train, test = heads.load("train", 32, options.heads), heads.load("test", 32, heads.SPLITS["test"])
    for target in options.targets:
        begun = time.perf_counter()
        found = measure(Toy(train, "train", target), Toy(test, "test", target), options.steps, options.seeds)
        for name, numbers in found.items():
            values = {key: spread(seeds) for key, seeds in numbers.items()}
            print(f"{target}, {name:11}", {key: f"{v['mean']:.3f} ± {v['std']:.3f}" for key, v in values.items()})
            command = f"python benchmarks/fairness.py --steps {options.steps}"
            origin = provenance(range(options.seeds), time.perf_counter() - begun) | {"command": command}
            row = {
                "recipe": {
                    "name": f"{name}+{target.replace(' ', '-')}",
                    "dataset": "heads",
                    "agree": AGREE,
                    "steps": options.steps,
                },
                "values": values,
                "metric": "accuracy of groups of target and side of the light",
                "samples": len(test),
                "provenance": origin,
            }
            if options.record:
                write_result(options.record, "fairness", row["recipe"]["name"], "heads", row)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
