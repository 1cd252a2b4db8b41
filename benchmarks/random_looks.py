"""Whether an order of models is one of their pictures, or of one random network:
`python benchmarks/random_looks.py [RUN …] [--networks 5] [--record FOLDER]`.

The zoo's models of Table 3.1 on MNIST, one training each, and further runs of other ones (of several seeds of a recipe,
the mean), by several untrained networks: distances of reconstructions and of mid-points of paths (round the origin,
round the mean of the codes), one a network, and rank correlations with what the thesis prints. Against all 10,000 test
images, since the first of them are of other writers than the last.
"""

import argparse
import time
from pathlib import Path
from statistics import mean

import torch
from penalties import pictures
from scipy.stats import spearmanr

from teachlib import rae, zoo
from teachlib.commands.runs import seeds_of_one_recipe
from teachlib.metrics import statistics_of
from teachlib.metrics.extractors import untrained
from teachlib.rae.models import Autoencoder
from teachlib.results import provenance, spread, write_result

PRINTED = {"reconstruction": "reconstruction", "origin": "interpolation", "mean": "interpolation"}


def trained(runs: list[Path]) -> dict[str, list[tuple[Autoencoder, int]]]:
    """Recipe → its trainings and their seeds: the zoo's, and those of the folders."""
    found = {name: [(rae.from_zoo(name, "mnist"), 0)] for name in rae.DISPLAY_NAMES if f"{name}-mnist" in zoo.names()}
    for folder in runs:
        seeds = seeds_of_one_recipe([folder])
        if f"{seeds.label}-mnist" not in zoo.names():
            found.setdefault(seeds.label, []).extend((run.model, run.seed) for run in seeds.opened())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="of models that the zoo has not")
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--count", type=int, default=4_000, help="held-out images")
    parser.add_argument("--record", type=Path, help="folder that the row is written to")
    options = parser.parse_args()
    begun, models = time.perf_counter(), trained(options.runs)
    train, held_out = (rae.load("mnist", split).first(options.count) for split in ("train", "validation"))
    test = rae.load("mnist", "test")[:][0]
    looks = [untrained((1, 32, 32), seed=seed) for seed in range(options.networks)]
    real = [statistics_of(one.features(test)) for one in looks]
    # Way → model → the distances by each network.
    found: dict[str, dict[str, list[float]]] = {way: {} for way in PRINTED}
    for name, trainings in models.items():
        shown = [pictures(model, train, held_out, seed) for model, seed in trainings]
        for way in PRINTED:
            found[way][name] = [
                mean(one.between(one.features(some[way]), against) for some in shown)
                for one, against in zip(looks, real, strict=True)
            ]
        print(name, {way: [round(value, 4) for value in row[name]] for way, row in found.items()}, flush=True)
    printed = rae.published("A.3", "mnist").combine_first(rae.published("3.1", "mnist")).loc[list(models)]
    for way, rows in found.items():
        orders = [spearmanr(printed[PRINTED[way]], row).statistic for row in zip(*rows.values(), strict=True)]
        print(f"{way}: correlations", [round(order, 2) for order in orders])
    if options.record:
        values = {f"{way}_{name}": spread(row[name]) for way, row in found.items() for name in row}
        result = {
            "recipe": {"name": "autoencoders", "dataset": "mnist", "networks": options.networks},
            "metric": "FD-untrained, a value for each network",
            "samples": len(held_out),
            "provenance": provenance([0], time.perf_counter() - begun),
            "values": values,
        }
        write_result(options.record, "random-looks", "autoencoders", "mnist", result)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    main()
