"""The white-box attack of Eq 4.9: `python benchmarks/white_box.py runs/mnist-gmm-vae-* [--record FOLDER]`.

On GMM-VAEs of one recipe, for several exponents a = b, and for both ways to set the threshold on codes: the quantile
that codes would have if they followed their Gaussian, as the thesis has it, and that of held-out codes.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from teachlib import gmmvae
from teachlib.commands.runs import Seeds, printed, seeds_of_one_recipe, summary
from teachlib.data import ImageData
from teachlib.gmmvae import attacks
from teachlib.gmmvae.evaluation import RATE
from teachlib.gmmvae.selective import RULES, SelectiveClassifier
from teachlib.results import provenance, refuse_another_row, row_file, write_result

PART = 200  # images at once: a fifth faster than a thousand, which no cache holds


def attacked(
    classifier: SelectiveClassifier, x: Tensor, labels: Tensor, *, exponent: float, steps: int
) -> dict[str, float]:
    """Shares of what becomes of the pictures, how long a change is, and what the rule costs on clean ones."""
    # Each digit to be taken for another one, and all others alike.
    targets = (labels + 1 + torch.arange(len(labels)) % 9) % 10
    parts = zip(x.split(PART), targets.split(PART), strict=True)
    moved = torch.cat([attacks.white_box(classifier, *part, a=exponent, b=exponent, steps=steps) for part in parts])
    found = classifier.decide(moved)
    return {
        **vars(gmmvae.outcome(found, labels)),
        "accepted as asked": (found.accepted & (found.labels == targets)).double().mean().item(),
        "length, median": (moved - x).flatten(1).norm(dim=1).median().item(),
        "clean rejection": 1 - classifier.decide(x).accepted.double().mean().item(),
    }


def measure(
    seeds: Seeds, splits: dict[str, ImageData], rule: str, exponent: float, options: argparse.Namespace
) -> None:
    """One cell of the table: all trainings, one exponent, one rule."""
    dataset, begun = seeds.recipe["dataset"], time.perf_counter()
    recipe = seeds.recipe | {"exponent": exponent, "rule": rule, "steps_of_attack": options.steps}
    label = f"{seeds.label}+exponent={exponent}+rule={rule}"
    if options.record:
        refuse_another_row(row_file(options.record, "white-box", label, dataset), recipe)
    x, labels = splits["test"].first(options.pictures)[:]
    rows = []
    for run in seeds.opened():
        classifier = gmmvae.selective(run.model, splits["train"], splits["validation"], latent=rule)
        rows.append(attacked(classifier, x, labels, exponent=exponent, steps=options.steps))
    print(label, printed(summary(rows)), sep="\n", flush=True)
    if options.record:
        result = {
            "recipe": recipe,
            "metric": f"shares of attacked pictures; each threshold is to refuse {RATE:g} of clean ones",
            "samples": len(labels),
            "data_sha256": {name: split.sha256 for name, split in splits.items()},
            "provenance": provenance(seeds.seeds, time.perf_counter() - begun),
            "values": summary(rows),
        }
        write_result(options.record, "white-box", label, dataset, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--rules", choices=RULES, nargs="+", default=RULES)
    parser.add_argument("--exponents", type=float, nargs="+", default=(1.0, 1.5, 2.0, 3.0))
    options = parser.parse_args()
    seeds = seeds_of_one_recipe(options.runs)
    seeds.refuse_unfinished(bool(options.record))
    splits = {split: gmmvae.load(seeds.recipe["dataset"], split) for split in ("train", "validation", "test")}
    for exponent in options.exponents:
        for rule in options.rules:
            measure(seeds, splits, rule, exponent, options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
