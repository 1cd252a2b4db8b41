"""Attacks that notebook 3.4 shows on a dozen glyphs, on many pictures: `python benchmarks/many_pictures.py RUN …`.

On GMM-VAEs of one recipe (its seeds), with `--record FOLDER` a row of the table `many-pictures`: the least change that
FAB finds; how near HopSkipJump comes, which is told only the answer, beside an attack with gradients; and a detector
that adds noise to the code before it is decoded (criterion 4 of § 4.6), under attacks that average over the noise.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from teachlib import gmmvae
from teachlib.chapter import Measured
from teachlib.commands.runs import printed, seeds_of_one_recipe, summary
from teachlib.data import ImageData
from teachlib.gmmvae import attacks
from teachlib.gmmvae.evaluation import RATE, measured_prior
from teachlib.gmmvae.models import GMMVAE
from teachlib.gmmvae.selective import SelectiveClassifier

RADII = (0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3)  # of FAB's curve
EPSILONS, LENGTHS = (0.05, 0.1), (1.0, 2.0, 3.0, 4.0)
LOUD = 3  # noise on the code, in deviations of a class's codes
THROWS = 20  # of the noise, where decisions are counted
POOL = 6_000  # training images that HopSkipJump may begin with


def least_changes(model: GMMVAE, classifier: SelectiveClassifier, x: Tensor, labels: Tensor) -> dict[str, float]:
    """Shares of the pictures that FAB changes by at most ε (L∞) so that they are labelled, or accepted, wrongly."""
    ends = {
        "labelled": attacks.fab(attacks.misclassified(model.scores, labels), x, steps=50),
        "accepted": attacks.nearest_accepted(classifier, x, labels, steps=20),
    }
    return {
        f"fab {name} within {radius:g}": (end.sizes <= radius).double().mean().item()
        for name, end in ends.items()
        for radius in RADII
    }


def told_the_answer(classifier: SelectiveClassifier, x: Tensor, labels: Tensor, train: ImageData) -> dict[str, float]:
    """How near HopSkipJump comes in Euclidean length, and how many it brings within each; and with gradients."""
    pool, pool_labels = train.first(POOL)[:]
    found = classifier.decide(pool)
    distance = torch.cdist(x.flatten(1), pool.flatten(1))
    distance[(labels[:, None] == pool_labels) | ~found.accepted | (found.labels != pool_labels)] = torch.inf
    start, row = pool[distance.argmin(1)], {"start, median length": distance.amin(1).median().item()}

    def succeeds(images: Tensor, rows: Tensor) -> Tensor:
        answer = classifier.decide(images)
        return answer.accepted & (answer.labels != labels[rows])

    for steps in (10, 20):
        generator = torch.Generator().manual_seed(0)
        end = attacks.hop_skip_jump(succeeds, x, start, steps=steps, first=50, generator=generator)
        size = attacks.Ball(9.0, "l2").size(end, x)
        row[f"{steps} steps, median length"] = size.median().item()
        row |= {f"{steps} steps, within {far:g}": (size <= far).double().mean().item() for far in LENGTHS}
    for far in LENGTHS:
        generator = torch.Generator().manual_seed(0)
        end = attacks.adaptive(
            classifier, x, labels, attacks.Ball(far, "l2"), steps=30, restarts=1, generator=generator
        )
        row[f"gradients, within {far:g}"] = gmmvae.outcome(classifier.decide(end), labels).error
    return row


def thrown_dice(model: GMMVAE, splits: dict[str, ImageData], x: Tensor, labels: Tensor) -> dict[str, float]:
    """Errors with noise on the code and without, under an attack that ignores it and under two that average it out."""
    prior, held_out = measured_prior(model, splits["train"]), splits["validation"][:][0]
    loud, row = LOUD * model.prior.variance**0.5, {}

    def limits_for(deviation: float) -> gmmvae.Thresholds:
        noise = torch.Generator().manual_seed(1)

        def decode(z: Tensor) -> Tensor:
            return model.decode(z + deviation * torch.randn(z.shape, generator=noise))

        return gmmvae.fit_thresholds(model.encode, decode, prior, held_out, rate=RATE, latent="held-out")

    def error(end: Tensor, target: SelectiveClassifier) -> float:
        noise = torch.Generator().manual_seed(2)
        return sum(gmmvae.outcome(target.decide(end, noise), labels).error for _ in range(THROWS)) / THROWS

    strict, loose = limits_for(0.0), limits_for(loud)
    still, wider = (gmmvae.by_likelihood(model.encode, model.decode, prior, limits) for limits in (strict, loose))
    dice = gmmvae.by_likelihood(model.encode, model.decode, prior, loose, deviation=loud)
    row["pixels' threshold, with noise over without"] = loose.pixels / strict.pixels
    for epsilon in EPSILONS:

        def climb(target: SelectiveClassifier, draws: int = 1, radius: float = epsilon) -> Tensor:
            noise, ball = torch.Generator().manual_seed(3), attacks.Ball(radius)
            return attacks.adaptive(target, x, labels, ball, steps=20, restarts=1, draws=draws, generator=noise)

        unaware = climb(still)
        row |= {
            f"no noise, {epsilon:g}": error(unaware, still),
            f"its thresholds alone, {epsilon:g}": error(unaware, wider),
            f"noise, {epsilon:g}": error(unaware, dice),
            f"noise, attack with 1 draw, {epsilon:g}": error(climb(dice), dice),
            f"noise, attack with 4 draws, {epsilon:g}": error(climb(dice, 4), dice),
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--record", type=Path, help="folder that the row is written to")
    options = parser.parse_args()
    seeds = seeds_of_one_recipe(options.runs)
    seeds.refuse_unfinished(bool(options.record))
    splits = {split: gmmvae.load(seeds.recipe["dataset"], split) for split in ("train", "validation", "test")}
    x, labels = splits["test"].first(options.pictures)[:]
    rows = []
    for run in seeds.opened():
        classifier = gmmvae.selective(run.model, splits["train"], splits["validation"])
        rows.append(
            least_changes(run.model, classifier, x, labels)
            | told_the_answer(classifier, x, labels, splits["train"])
            | thrown_dice(run.model, splits, x, labels)
        )
        print(printed(summary(rows[-1:])), flush=True)
    print(seeds.label, printed(summary(rows)), sep="\n")
    if options.record:
        seeds.record(options.record, "many-pictures", Measured(rows, "shares of pictures, and lengths (L2)", len(x)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
