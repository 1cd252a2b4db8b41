"""What samplers, centres of paths, a penalty's weight, or more steps change:
`python benchmarks/penalties.py RUN … [--record PLACE --table NAME]`.

Distances of reconstructions, of samples (from N(0, I), a fitted Gaussian, ten fitted Gaussians) and of mid-points of
paths (round the origin, round the mean of the codes), by two extractors whose failings differ: a classifier of the data
set, which ignores blur, and random filters, which see it. Runs of one recipe, its seeds, make one row.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from teachlib import rae
from teachlib.chapter import Measured
from teachlib.commands.runs import printed, seeds_of_one_recipe, summary
from teachlib.data import ImageData
from teachlib.metrics import extractor, statistics_of
from teachlib.rae.density import fit_gaussian, fit_mixture, standard_normal
from teachlib.rae.losses import weight_penalty
from teachlib.rae.models import Autoencoder

LOOKS = ("classifier", "untrained")


def pictures(model: Autoencoder, train: ImageData, held_out: ImageData, seed: int) -> dict[str, Tensor]:
    """Everything that is compared with the test set, by name."""
    codes, ends = rae.encode_all(model, train), rae.encode_all(model, held_out)
    generator = torch.Generator().manual_seed(seed)
    pairs, half = ends[torch.randint(len(ends), (2, len(ends)), generator=generator)], torch.tensor([0.5])
    latent = {
        "reconstruction": ends,
        "standard": standard_normal(codes.shape[1]).sample(len(ends), generator),
        "fitted": fit_gaussian(codes).sample(len(ends), generator),
        "mixture": fit_mixture(codes, seed=seed).sample(len(ends), generator),
        "origin": rae.spherical(*pairs, half)[:, 0],
        "mean": rae.spherical(*pairs, half, centre=codes.mean(0))[:, 0],
    }
    return {name: rae.decode_all(model, z) for name, z in latent.items()}


@torch.no_grad()
def of_the_loss(model: Autoencoder, held_out: ImageData) -> dict[str, float]:
    """The error of held-out images, and what the L2 penalty adds to the loss beside it."""
    x = held_out[:][0]
    error = (x - rae.decode_all(model, rae.encode_all(model, held_out))).square().flatten(1).sum(1).mean().item()
    penalty = model.recipe.lambda_ * weight_penalty(model.decoder.parameters()).item()
    return {"squared_error": error, "penalty": penalty}


@torch.no_grad()
def off_the_origin(model: Autoencoder, train: ImageData) -> float:
    """How far the mean of the codes lies from the origin, in deviations of the codes."""
    codes = rae.encode_all(model, train)
    return (codes.mean(0).norm() / codes.var(0).mean().sqrt()).item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--record", type=Path, help="folder that the row is written to")
    parser.add_argument("--table", default="penalties", help="of that folder, which gets the row")
    parser.add_argument("--count", type=int, default=10_000, help="images at most")
    options = parser.parse_args()
    seeds = seeds_of_one_recipe(options.runs)
    seeds.refuse_unfinished(bool(options.record))
    dataset = seeds.recipe["dataset"]
    train, held_out, test = (rae.load(dataset, split) for split in ("train", "validation", "test"))
    held_out, test = held_out.first(options.count), test.first(options.count)
    looks = {kind: extractor(kind, dataset) for kind in LOOKS}
    real = {kind: statistics_of(look.features(test[:][0])) for kind, look in looks.items()}
    rows = []
    for run in seeds.opened():
        shown, row = pictures(run.model, train, held_out, run.seed), of_the_loss(run.model, held_out)
        row["off_the_origin"] = off_the_origin(run.model, train)
        for kind, look in looks.items():
            row |= {f"{name}_{kind}": look.between(look.features(x), real[kind]) for name, x in shown.items()}
        rows.append(row)
    print(seeds.label, printed(summary(rows)), sep="\n")
    if options.record:
        metric, names = ("; ".join(getattr(look, what) for look in looks.values()) for what in ("metric", "name"))
        seeds.record(options.record, options.table, Measured(rows, metric, len(test), {"extractor": names}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
