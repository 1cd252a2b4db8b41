"""What a regularizer's weight changes: `python benchmarks/penalties.py RUN … [--record src/teachlib/measured]`.

Distances of reconstructions, of samples (from N(0, I), a fitted Gaussian, ten fitted Gaussians) and of mid-points of
paths (round the origin, round the mean of the codes), by two extractors whose failings differ: a classifier of the data
set, which ignores blur, and random filters, which see little else. Runs of one recipe, its seeds, make one row.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib import rae, registry
from teachlib.chapter import checkpoint_file
from teachlib.checkpoints import read_checkpoint
from teachlib.data import ImageData
from teachlib.metrics import extractor, statistics_of
from teachlib.rae.density import fit_gaussian, fit_mixture, standard_normal
from teachlib.rae.losses import weight_penalty
from teachlib.rae.models import Autoencoder
from teachlib.results import provenance, spread, write_result

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs of one data set")
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--count", type=int, default=10_000, help="images at most")
    options = parser.parse_args()
    chapter = registry.chapter("rae")

    def header(run: Path) -> dict[str, Any]:
        return read_checkpoint(checkpoint_file(run))[0]

    first = chapter.recipe_of(header(options.runs[0])["recipe"], options.runs[0])
    train, held_out, test = (rae.load(first.dataset, split) for split in ("train", "validation", "test"))
    held_out, test = held_out.first(options.count), test.first(options.count)
    looks = {kind: extractor(kind, first.dataset) for kind in LOOKS}
    real = {kind: statistics_of(look.features(test[:][0])) for kind, look in looks.items()}
    by_recipe: Callable[[Path], str] = lambda run: str(header(run)["recipe"])  # noqa: E731
    for _, group in groupby(sorted(options.runs, key=by_recipe), key=by_recipe):
        begun, paths = time.perf_counter(), sorted(group)
        rows, seeds = [], []
        for path in paths:
            model, seed = chapter.open_run(path)[0], header(path)["schedule"]["seed"]
            shown = pictures(model, train, held_out, seed)
            row = of_the_loss(model, held_out)
            for kind, look in looks.items():
                row |= {f"{name}_{kind}": look.between(look.features(x), real[kind]) for name, x in shown.items()}
            rows.append(row)
            seeds.append(seed)
        recipe = chapter.recipe_of(header(paths[0])["recipe"], paths[0])
        values = {key: spread([row[key] for row in rows]) for key in rows[0]}
        usual = replace(recipe, steps=rae.recipe(recipe.name, recipe.dataset, scale=recipe.scale).steps)
        label = chapter.label(recipe) + (f"+steps={recipe.steps}" if usual != recipe else "")
        print(f"{label:34}", {key: round(value["mean"], 4) for key, value in values.items()}, flush=True)
        row = {
            "recipe": recipe.as_dict(),
            "trained_steps": [header(path)["step"] for path in paths],
            "training_seconds": [header(path)["seconds"] for path in paths],
            "values": values,
            "metric": "; ".join(look.metric for look in looks.values()),
            "extractor": "; ".join(look.name for look in looks.values()),
            "samples": len(test),
            "provenance": provenance(seeds, time.perf_counter() - begun)
            | {"command": "python benchmarks/penalties.py RUN …"},
        }
        if options.record:
            print(write_result(options.record, "penalties", label, recipe.dataset, row))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
