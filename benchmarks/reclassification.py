"""Whom the search of § 4.7 helps: `python benchmarks/reclassification.py runs/mnist-gmm-vae-* [--record FOLDER]`.

All test images that a GMM-VAE refuses are labelled by the search over its decoder, and by its encoder, which refused
them. How many labels were right before, how many are right afterwards, and which of them changed? With `--attacked N`
the same of the first N test images after FGSM on the encoder, whether they are refused or not.
"""

import argparse
from pathlib import Path

import torch

from teachlib import gmmvae
from teachlib.chapter import Measured
from teachlib.commands.runs import printed, seeds_of_one_recipe, summary
from teachlib.data import ImageData
from teachlib.gmmvae import attacks
from teachlib.gmmvae.evaluation import RATE, measured_prior


def fitted(
    model: gmmvae.GMMVAE, splits: dict[str, ImageData]
) -> tuple[gmmvae.MixturePrior, gmmvae.Thresholds, gmmvae.SelectiveClassifier]:
    """The spread of a model's codes, its thresholds, and the classifier that refuses by them."""
    prior, held_out = measured_prior(model, splits["train"]), splits["validation"][:][0]
    limits = gmmvae.fit_thresholds(model.encode, model.decode, prior, held_out, rate=RATE, latent="held-out")
    return prior, limits, gmmvae.by_likelihood(model.encode, model.decode, prior, limits)


def helped(model: gmmvae.GMMVAE, splits: dict[str, ImageData], lengths: list[int]) -> dict[str, float]:
    """Shares of the refused test images, by the length of the search, and how many these are."""
    prior, limits, classifier = fitted(model, splits)
    images, labels = splits["test"][:]
    first = classifier.decide(images)
    refused = ~first.accepted
    before = first.labels[refused] == labels[refused]
    row = {"refused": float(refused.sum()), "right by the encoder": before.double().mean().item()}
    for steps in lengths:
        later = gmmvae.reclassify(model.decode, prior, limits, images[refused], steps=steps)
        after = later.labels == labels[refused]
        shares = {
            "right": after,
            "gained": after & ~before,
            "lost": before & ~after,
            "right and accepted": after & later.accepted,
            "wrong and accepted": ~after & later.accepted,
        }
        row |= {f"{name}, {steps} steps": share.double().mean().item() for name, share in shares.items()}
    return row


def defended(model: gmmvae.GMMVAE, splits: dict[str, ImageData], count: int) -> dict[str, float]:
    """Right labels of attacked test images by encoder and search, and right ones that thresholds accept, by ε."""
    prior, limits, classifier = fitted(model, splits)
    images, labels = splits["test"].first(count)[:]
    row = {}
    for epsilon in (0.1, 0.3):
        moved = attacks.fgsm(attacks.misclassified(model.scores, labels), images, attacks.Ball(epsilon))
        later = gmmvae.reclassify(model.decode, prior, limits, moved, steps=60)
        for name, found in (("encoder", classifier.decide(moved)), ("search", later)):
            right = found.labels == labels
            row[f"right by the {name}, {epsilon}"] = right.double().mean().item()
            row[f"right and accepted by the {name}, {epsilon}"] = (right & found.accepted).double().mean().item()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--steps", type=int, nargs="+", default=[60, 400], help="of each search")
    parser.add_argument("--attacked", type=int, help="images that FGSM moves first, instead of all refused ones")
    parser.add_argument("--record", type=Path, help="folder that the row is written to")
    options = parser.parse_args()
    seeds = seeds_of_one_recipe(options.runs)
    seeds.refuse_unfinished(bool(options.record))
    splits = {split: gmmvae.load(seeds.recipe["dataset"], split) for split in ("train", "validation", "test")}
    if options.attacked:
        rows = [defended(run.model, splits, options.attacked) for run in seeds.opened()]
        table, metric, count = "defended", "shares of test images after FGSM on the encoder", options.attacked
    else:
        rows = [helped(run.model, splits, options.steps) for run in seeds.opened()]
        metric = f"shares of the test images that thresholds refuse which refuse {RATE:g} of held-out ones each"
        table, count = "reclassification", len(splits["test"])
    print(seeds.label, printed(summary(rows)), sep="\n")
    if options.record:
        seeds.record(options.record, table, Measured(rows, metric, count))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
