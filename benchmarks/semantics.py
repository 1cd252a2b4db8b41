"""Table 6.2 on heads: `python benchmarks/semantics.py [--record src/teachlib/measured]`.

Classifiers of twenty attributes, trained on original pictures, on reconstructions by a model of other pictures'
patches ("tiled") and on those by a model of heads ("full"), each tested on all three; beside them classifiers whose
labels were shuffled, and what guesses get. Average precision, mean over the attributes; three seeds of the classifier.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib import invgan
from teachlib.gif import heads
from teachlib.invgan import attributes, semantics
from teachlib.results import provenance, spread, write_result

MODELS = {"tiled": "patches", "full": "heads"}  # how pictures are rebuilt → what the zoo's model was trained on


def views(split: str, count: int) -> tuple[dict[str, Tensor], Tensor]:
    """The pictures of a split, original and rebuilt, and their attributes."""
    told = heads.load(split, 32, count)
    original = told[:][0]
    pictures = {"original": original}
    for name, dataset in MODELS.items():
        model = invgan.from_zoo("invgan-direct", dataset)
        pictures[name] = invgan.generate_all(model, invgan.infer_all(model, original))
    return pictures, semantics.attributes_of(attributes.of_heads(told, split))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--heads", type=int, default=heads.SPLITS["train"])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    train, wanted = views("train", options.heads)
    test, truth = views("test", heads.SPLITS["test"])
    learned = {name: (some, wanted) for name, some in train.items()}
    learned["shuffled"] = (train["original"], wanted.roll(1, 0))
    for name, (some, targets) in learned.items():
        begun, found = time.perf_counter(), dict[str, list[float]]()
        for seed in range(options.seeds):
            net = semantics.train_classifier(some, targets, steps=options.steps, seed=seed)
            for on, pictures in test.items():
                precision = semantics.average_precisions(net, pictures, truth).mean().item()
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
