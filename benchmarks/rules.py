"""Rules for the threshold on codes, under attack: `python benchmarks/rules.py runs/mnist-gmm-vae-* [--record FOLDER]`.

FGSM at growing ε and the adaptive attack at one, against GMM-VAEs of one recipe: by the quantile of held-out codes, and
by the one that codes would have if they followed their Gaussian, at the course's rate of false rejections, the former
at five times that too, the latter at the thesis's 0.27 % (three sigma). `--rates` takes some of these rates alone.
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
from teachlib.gmmvae.models import GMMVAE
from teachlib.gmmvae.selective import Rule, SelectiveClassifier
from teachlib.results import provenance, refuse_another_row, row_file, write_result

THESIS_RATE = 0.0027
RULES: tuple[tuple[Rule, float], ...] = (
    ("held-out", RATE),
    ("held-out", 5 * RATE),
    ("chi-square", RATE),
    ("chi-square", THESIS_RATE),
)
EPSILONS, ADAPTIVE = (0.05, 0.1, 0.2, 0.3), 0.1


def attacked(model: GMMVAE, classifier: SelectiveClassifier, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Wrong and accepted, under FGSM and under an attack that knows the thresholds; and clean ones refused."""
    blind, row = attacks.misclassified(model.scores, labels), {}
    for epsilon in EPSILONS:
        moved = attacks.fgsm(blind, x, attacks.Ball(epsilon))
        row[f"fgsm_error_{epsilon:g}"] = gmmvae.outcome(classifier.decide(moved), labels).error
    generator = torch.Generator().manual_seed(0)
    moved = attacks.adaptive(classifier, x, labels, attacks.Ball(ADAPTIVE), steps=40, restarts=2, generator=generator)
    row[f"adaptive_error_{ADAPTIVE:g}"] = gmmvae.outcome(classifier.decide(moved), labels).error
    return row | {"clean_rejection": 1 - classifier.decide(x).accepted.double().mean().item()}


def measure(
    seeds: Seeds, splits: dict[str, ImageData], rule: Rule, rate: float, pictures: int, record: Path | None
) -> None:
    """A row: all trainings under one rule."""
    dataset, begun = seeds.recipe["dataset"], time.perf_counter()
    recipe, label = seeds.recipe | {"rule": rule, "rate": rate}, f"{seeds.label}+rule={rule}+rate={rate:g}"
    if record:
        refuse_another_row(row_file(record, "rules", label, dataset), recipe)
    x, labels = splits["test"].first(pictures)[:]
    rows = []
    for run in seeds.opened():
        classifier = gmmvae.selective(run.model, splits["train"], splits["validation"], rate=rate, latent=rule)
        rows.append(attacked(run.model, classifier, x, labels))
    print(label, printed(summary(rows)), sep="\n", flush=True)
    if record:
        result = {
            "recipe": recipe,
            "metric": "shares of digits, wrong and accepted under attack",
            "samples": len(labels),
            "data_sha256": {name: split.sha256 for name, split in splits.items()},
            "provenance": provenance(seeds.seeds, time.perf_counter() - begun),
            "values": summary(rows),
        }
        write_result(record, "rules", label, dataset, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--pictures", type=int, default=300)
    rates = sorted({rate for _, rate in RULES})
    parser.add_argument("--rates", type=float, nargs="+", choices=rates, default=rates)
    options = parser.parse_args()
    seeds = seeds_of_one_recipe(options.runs)
    seeds.refuse_unfinished(bool(options.record))
    splits = {split: gmmvae.load(seeds.recipe["dataset"], split) for split in ("train", "validation", "test")}
    for rule, rate in (one for one in RULES if one[1] in options.rates):
        measure(seeds, splits, rule, rate, options.pictures, options.record)


if __name__ == "__main__":
    main()
