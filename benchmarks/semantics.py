"""Table 6.2 on heads: `python benchmarks/semantics.py [--record src/teachlib/measured]`.

Classifiers of twenty attributes, trained on original pictures, on reconstructions by a model of other pictures'
patches ("tiled"), on those by a model of heads ("full"), and on those of an iterative encoder of the latter's
generator ("iterative", ReStyle: Appendix C), each tested on all four; beside them classifiers whose labels were
shuffled, and what guesses get. Average precision, mean over the attributes; three seeds of the classifier.
"""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib import invgan
from teachlib.gif import heads
from teachlib.invgan import attributes, pictures, semantics
from teachlib.invgan.evaluation import CHUNK
from teachlib.invgan.networks import InvGAN
from teachlib.results import provenance, spread, write_result

MODELS = {"tiled": "patches", "full": "heads"}  # how pictures are rebuilt → what the zoo's model was trained on


PLAN = invgan.Plan(1000, pictures=10.0, features=1.0, iterations=3)  # of the iterative encoder


def ways(count: int) -> dict[str, Callable[[Tensor], Tensor]]:
    """How pictures are rebuilt."""
    models = {name: invgan.from_zoo("invgan-direct", dataset) for name, dataset in MODELS.items()}
    encoder = invgan.train_encoder(models["full"], pictures.load("heads", "train", 32, count), PLAN)

    def iterated(x: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.cat([models["full"].generate(encoder.infer(part)) for part in x.split(CHUNK)])

    found = {name: partial(_rebuilt, model) for name, model in models.items()}
    return {**found, "iterative": iterated}


def _rebuilt(model: InvGAN, x: Tensor) -> Tensor:
    return invgan.generate_all(model, invgan.infer_all(model, x))


def views(
    split: str, count: int, rebuild: Mapping[str, Callable[[Tensor], Tensor]]
) -> tuple[dict[str, Tensor], Tensor]:
    """The pictures of a split, original and rebuilt, and their attributes."""
    told = heads.load(split, 32, count)
    original = told[:][0]
    shown = {"original": original} | {name: way(original) for name, way in rebuild.items()}
    return shown, semantics.attributes_of(attributes.of_heads(told, split))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--heads", type=int, default=heads.SPLITS["train"])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    rebuild = ways(options.heads)
    train, wanted = views("train", options.heads, rebuild)
    test, truth = views("test", heads.SPLITS["test"], rebuild)
    learned = {name: (some, wanted) for name, some in train.items()}
    learned["shuffled"] = (train["original"], wanted.roll(1, 0))
    for name, (some, targets) in learned.items():
        begun, found = time.perf_counter(), dict[str, list[float]]()
        for seed in range(options.seeds):
            net = semantics.train_classifier(some, targets, steps=options.steps, seed=seed)
            for on, shown in test.items():
                precision = semantics.average_precisions(net, shown, truth).mean().item()
                found.setdefault(on, []).append(precision)
        report(options, name, found, time.perf_counter() - begun, len(truth))
    report(options, "prevalence", {on: [truth.mean().item()] for on in test}, 0.0, len(truth))


def report(options: Any, name: str, found: dict[str, list[float]], seconds: float, samples: int) -> None:
    """Print a row, and record it where asked."""
    values = {on: spread(seeds) for on, seeds in found.items()}
    print(f"{name:12}", {on: f"{value['mean']:.3f} ± {value['std']:.3f}" for on, value in values.items()}, flush=True)
    if options.record is None:
        return
    seeds = range(len(next(iter(found.values()))))
    origin = provenance(list(seeds), seconds) | {"command": f"python benchmarks/semantics.py --steps {options.steps}"}
    row = {
        "recipe": {"name": name, "dataset": "heads", "heads": options.heads, "steps": options.steps},
        "values": values,
        "metric": "average precision, mean over twenty attributes",
        "samples": samples,
        "provenance": origin,
    }
    write_result(options.record, "6.2", name, "heads", row)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
