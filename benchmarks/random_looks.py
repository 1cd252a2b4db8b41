"""Whether an order of models is one of their pictures, or of one random network:
`python benchmarks/random_looks.py [--folder RUNS] [--networks 5]`.

Nine models of Table 3.1 on MNIST, three trainings each, by several untrained networks: distances of reconstructions and
of mid-points of paths (round the origin, round the mean of the codes) over the VAE's, and rank correlations with what
the thesis prints. Against all 10,000 test images, since the first of them are of other writers than the last.
"""

import argparse
from pathlib import Path

import torch
from penalties import pictures
from scipy.stats import spearmanr

from teachlib import rae
from teachlib.commands.runs import seeds_of_one_recipe
from teachlib.metrics import statistics_of
from teachlib.metrics.extractors import untrained

NAMES = ("vae", "cv-vae", "wae", "rae-gp", "rae-l2", "rae-sn", "rae", "ae", "ae-l2")
PRINTED = {"reconstruction": "reconstruction", "origin": "interpolation", "mean": "interpolation"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="with runs mnist-NAME-SEED")
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--count", type=int, default=4_000, help="held-out images")
    options = parser.parse_args()
    train, held_out = (rae.load("mnist", split).first(options.count) for split in ("train", "validation"))
    test = rae.load("mnist", "test")[:][0]
    looks = [untrained((1, 32, 32), seed=seed) for seed in range(options.networks)]
    real = [statistics_of(one.features(test)) for one in looks]
    found: dict[tuple[str, int], dict[str, float]] = {}
    for name in NAMES:
        for run in seeds_of_one_recipe([options.folder / f"mnist-{name}-{seed}" for seed in range(3)]).opened():
            shown = pictures(run.model, train, held_out, run.seed)
            for way in PRINTED:
                for network, (one, against) in enumerate(zip(looks, real, strict=True)):
                    row = found.setdefault((way, network), dict.fromkeys(NAMES, 0.0))
                    row[name] += one.between(one.features(shown[way]), against) / 3
    printed = rae.published("A.3", "mnist").combine_first(rae.published("3.1", "mnist"))
    for (way, network), row in found.items():
        order = spearmanr(printed.loc[list(NAMES), PRINTED[way]], [row[name] for name in NAMES]).statistic
        ratios = ", ".join(f"{name} {row[name] / row['vae']:.2f}" for name in NAMES)
        print(f"{way}, network {network}: correlation {order:.2f}; over the VAE's: {ratios}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    main()
