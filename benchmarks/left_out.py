"""Is a class that was left out missed? `python -m benchmarks.left_out --whole RUN … --without RUN … [--record FOLDER]`.

§ 7.2.2 leaves it open whether inverting unseen pictures measures what a generator has not learned. Runs of
`teachlib train invgan-direct --dataset mnist`, and with `--without 8`, are asked about pictures of the class and of all
others: the error of what is inferred and of what a search finds, whether a classifier still sees the class in what was
rebuilt, and, of samples alone, coverage.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib import invgan, metrics
from teachlib.commands.runs import seeds_of_one_recipe
from teachlib.data import ImageData
from teachlib.invgan import inversion, recipes
from teachlib.invgan.chapter import CHAPTER
from teachlib.invgan.networks import InvGAN
from teachlib.metrics.chapter import CHAPTER as CLASSIFIERS
from teachlib.results import provenance, spread, write_result

STEPS = 200  # of a search, from the mean code


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", type=Path, nargs="+", required=True, help="runs that saw every class")
    parser.add_argument("--without", type=Path, nargs="+", required=True, help="runs that did not")
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--count", type=int, default=200, help="pictures that a search is made for")
    options = parser.parse_args()
    left_out = seeds_of_one_recipe(options.without).recipe["without"]
    for name, runs in {"whole": options.whole, "without": options.without}.items():
        row = measured(runs, left_out, options.count)
        print(name, {what: f"{v['mean']:.3f} ± {v['std']:.3f}" for what, v in row["values"].items()}, flush=True)
        if options.record is not None:
            write_result(options.record, "left-out", name, row["recipe"]["dataset"], row)


def measured(runs: list[Path], left_out: int, count: int) -> dict[str, Any]:
    """One row, of the seeds of one recipe."""
    begun, seeds = time.perf_counter(), seeds_of_one_recipe(runs)
    recipe = CHAPTER.from_dict(dict(seeds.recipe))
    test = recipes.load(recipe, "test")
    found = [asked(run.model, test, left_out, count, run.seed) for run in seeds.opened()]
    return {
        "recipe": recipe.as_dict()
        | {"name": "without" if recipe.without >= 0 else "whole", "steps of a search": STEPS},
        "values": {what: spread([row[what] for row in found]) for what in found[0]},
        "metric": f"errors on ±1; of class {left_out} and of all others",
        "samples": count,
        "provenance": provenance([run.seed for run in seeds.opened()], time.perf_counter() - begun)
        | {"command": "python -m benchmarks.left_out --whole runs/… --without runs/… --record src/teachlib/measured"},
    }


def asked(model: InvGAN, test: ImageData, left_out: int, count: int, seed: int) -> dict[str, float]:
    """What is found of the class and of all others."""
    judge = metrics.extractor("classifier", test.name)
    classifier = CLASSIFIERS.from_zoo("features", test.name)
    with torch.no_grad():
        codes = model.eval().codes(len(test), torch.Generator().manual_seed(seed))
    samples = judge.features(invgan.generate_all(model, codes))
    row = {}
    for who, mine in {"left out": test.labels == left_out, "others": test.labels != left_out}.items():
        images, labels = test[mine.nonzero()[:, 0]]
        rebuilt = invgan.generate_all(model, invgan.infer_all(model, images))
        searched = found(model, images[:count])
        row |= {
            f"inferred, {who}": invgan.pixel_error(images, rebuilt).item(),
            f"searched, {who}": invgan.pixel_error(images[:count], searched).item(),
            f"recognized, {who}": accuracy(classifier, rebuilt, labels),
            f"recognized when searched, {who}": accuracy(classifier, searched, labels[:count]),
            f"coverage, {who}": metrics.density_coverage(judge.features(images), samples).coverage,
        }
    return row


def found(model: InvGAN, images: Tensor) -> Tensor:
    """What a search from the mean code ends with."""
    codes, _ = inversion.optimized(model, images, torch.zeros(len(images), model.w_dim), steps=STEPS)
    return invgan.generate_all(model, codes)


def accuracy(classifier: torch.nn.Module, images: Tensor, labels: Tensor) -> float:
    """Of the zoo's classifier, which has seen every class."""
    with torch.no_grad():
        said = torch.cat([classifier(part) for part in images.split(500)]).argmax(1)
    return (said == labels).float().mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
