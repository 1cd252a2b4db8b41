"""What samplers, centres of paths, a penalty's weight, or more steps change:
`python benchmarks/penalties.py RUN … [--record PLACE --table NAME]`, or `--zoo glyphs` in place of runs.

Distances of reconstructions, of samples (from N(0, I), a fitted Gaussian, ten fitted Gaussians) and of mid-points of
paths (round the origin, round the mean of the codes), by two extractors whose failings differ: a classifier of the data
set, which ignores blur, and random filters, which see it. Runs of one recipe, its seeds, make one row; so does each of
the zoo's models of a data set, with one training.
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor

from teachlib import rae, zoo
from teachlib.chapter import Measured
from teachlib.commands.runs import printed, seeds_of_one_recipe, summary
from teachlib.data import ImageData
from teachlib.metrics import extractor, statistics_of
from teachlib.rae.density import fit_gaussian, fit_mixture, standard_normal
from teachlib.rae.losses import weight_penalty
from teachlib.rae.models import Autoencoder
from teachlib.results import provenance, write_result

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


class Judges:
    """Both looks at a data set, and its images."""

    def __init__(self, dataset: str, count: int) -> None:
        train, held_out, test = (rae.load(dataset, split) for split in ("train", "validation", "test"))
        self.train, self.held_out, test = train, held_out.first(count), test.first(count)
        self.looks, self.samples = {kind: extractor(kind, dataset) for kind in LOOKS}, len(test)
        self.real = {kind: statistics_of(look.features(test[:][0])) for kind, look in self.looks.items()}

    def row(self, model: Autoencoder, seed: int) -> dict[str, float]:
        """All that is measured of one model."""
        shown, row = pictures(model, self.train, self.held_out, seed), of_the_loss(model, self.held_out)
        row["off_the_origin"] = off_the_origin(model, self.train)
        for kind, look in self.looks.items():
            row |= {f"{name}_{kind}": look.between(look.features(x), self.real[kind]) for name, x in shown.items()}
        return row

    def measured(self, rows: list[dict[str, float]]) -> Measured:
        """Rows of one recipe, with what they rest on."""
        metric, names = ("; ".join(getattr(look, what) for look in self.looks.values()) for what in ("metric", "name"))
        return Measured(rows, metric, self.samples, {"extractor": names})


def of_runs(options: argparse.Namespace) -> None:
    """A row of runs of one recipe."""
    seeds = seeds_of_one_recipe(options.runs)
    seeds.refuse_unfinished(bool(options.record))
    judges = Judges(seeds.recipe["dataset"], options.count)
    measured = judges.measured([judges.row(run.model, run.seed) for run in seeds.opened()])
    print(seeds.label, printed(summary(measured.rows)), sep="\n")
    if options.record:
        seeds.record(options.record, options.table, measured)


def of_the_zoo(options: argparse.Namespace) -> None:
    """A row of each model that the zoo has of a data set."""
    judges = Judges(options.zoo, options.count)
    for name in (one for one in rae.DISPLAY_NAMES if f"{one}-{options.zoo}" in zoo.names()):
        begun, model = time.perf_counter(), rae.from_zoo(name, options.zoo)
        measured = judges.measured([judges.row(model, 0)])
        print(name, printed(summary(measured.rows)), sep="\n", flush=True)
        result = {
            "recipe": model.recipe.as_dict(),
            "metric": measured.metric,
            "samples": measured.samples,
            **measured.facts,
            "provenance": provenance([0], time.perf_counter() - begun),
            "values": summary(measured.rows),
        }
        if options.record:
            write_result(options.record, options.table, name, options.zoo, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path, help="folders of runs of one recipe")
    parser.add_argument("--zoo", help="data set whose models of the zoo are measured in place of runs")
    parser.add_argument("--record", type=Path, help="folder that the row is written to")
    parser.add_argument("--table", default="penalties", help="of that folder, which gets the row")
    parser.add_argument("--count", type=int, default=10_000, help="images at most")
    options = parser.parse_args()
    if bool(options.zoo) == bool(options.runs):
        parser.error("expected folders of runs, or --zoo and a data set")
    of_the_zoo(options) if options.zoo else of_runs(options)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
