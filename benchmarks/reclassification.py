"""Whom the search of § 4.7 helps: `python benchmarks/reclassification.py runs/mnist-gmm-vae-* [--record FOLDER]`.

All test images that a GMM-VAE refuses are labelled by the search over its decoder, and by its encoder, which refused
them. How many labels were right before, how many are right afterwards, and which of them changed? With `--attacked N`
the same of the first N test images after FGSM on the encoder, whether they are refused or not; with `--through N` after
Auto-PGD through the search itself, five steps of which are kept on the tape.
"""

import argparse
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from teachlib import gmmvae
from teachlib.chapter import Measured
from teachlib.commands.runs import printed, seeds_of_one_recipe, summary
from teachlib.data import ImageData
from teachlib.gmmvae import attacks
from teachlib.gmmvae.evaluation import RATE, measured_prior

PART = 50  # images at once where a search is on the tape


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


def through(model: gmmvae.GMMVAE, splits: dict[str, ImageData], count: int) -> dict[str, float]:
    """What the search makes of test images that were moved through it, and by PGD on the encoder."""
    prior, limits, _ = fitted(model, splits)
    images, labels = splits["test"].first(count)[:]

    def margin(known: Tensor, moved: Tensor) -> Tensor:
        errors = gmmvae.unrolled_errors(model.decode, prior, moved, steps=5, step_size=0.05)
        own = errors.gather(1, known[:, None]).squeeze(1)
        return own - errors.scatter(1, known[:, None], torch.inf).amin(1)

    row = {}
    for epsilon in (0.1, 0.3):
        ball, moved = attacks.Ball(epsilon), []
        for part, known in zip(images.split(PART), labels.split(PART), strict=True):
            moved.append(attacks.apgd(partial(margin, known), part, ball, steps=8))
        ends = {
            "encoder": attacks.pgd(attacks.misclassified(model.scores, labels), images, ball, steps=10),
            "search": torch.cat(moved),
        }
        for name, end in ends.items():
            later = gmmvae.reclassify(model.decode, prior, limits, end, steps=60)
            row[f"right after attacks on the {name}, {epsilon}"] = (later.labels == labels).double().mean().item()
            row[f"wrong and accepted after attacks on the {name}, {epsilon}"] = gmmvae.outcome(later, labels).error
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--steps", type=int, nargs="+", default=[60, 400], help="of each search")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--attacked", type=int, help="images that FGSM moves first, instead of all refused ones")
    instead.add_argument("--through", type=int, help="images that an attack through the search moves first")
    parser.add_argument("--record", type=Path, help="folder that the row is written to")
    options = parser.parse_args()
    seeds = seeds_of_one_recipe(options.runs)
    seeds.refuse_unfinished(bool(options.record))
    splits = {split: gmmvae.load(seeds.recipe["dataset"], split) for split in ("train", "validation", "test")}
    if options.through:
        rows = [through(run.model, splits, options.through) for run in seeds.opened()]
        table, metric, count = "through-the-search", "shares of test images after an attack", options.through
    elif options.attacked:
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
