"""Spherical paths round two centres: `python benchmarks/paths.py [--record src/teachlib/measured]`.

Mid-points of paths between codes of held-out images, round the origin, as the thesis's released code takes them, and
round the mean of the codes; how far from the origin that mean lies, in deviations of the codes. Of the zoo's models of
a data set, one training each; three draws of the pairs. MNIST is read from `$TEACHLIB_DATA`.
"""

import argparse
import time
from pathlib import Path

import torch

from teachlib import rae, zoo
from teachlib.data import ImageData
from teachlib.metrics import Extractor, extractor, statistics_of
from teachlib.results import provenance, spread, write_result

CENTRES = ("origin", "mean")


def measure(name: str, held_out: ImageData, test: ImageData, look: Extractor, seeds: int) -> dict[str, list[float]]:
    """Of a model: the distances of both paths, one a draw of pairs, and the length of the mean."""
    model = rae.from_zoo(name, held_out.name)
    codes = rae.encode_all(model, held_out)
    real, mean = statistics_of(look.features(test[:][0])), codes.mean(0)
    found = {"length of the mean": [(mean.norm() / codes.std(0).mean()).item()]}
    for seed in range(seeds):
        ends = codes[torch.randint(len(codes), (2, len(codes)), generator=torch.Generator().manual_seed(seed))]
        for where, centre in zip(CENTRES, (None, mean), strict=True):
            middle = rae.spherical(*ends, torch.tensor([0.5]), centre=centre)[:, 0]
            distance = look.between(look.features(rae.decode_all(model, middle)), real)
            found.setdefault(where, []).append(distance)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--datasets", nargs="+", default=["glyphs"])
    parser.add_argument("--count", type=int, default=4_000, help="images at most")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    for dataset in options.datasets:
        held_out, test = (rae.load(dataset, split, limit=options.count) for split in ("validation", "test"))
        look = extractor("classifier", dataset)
        for name in (one for one in rae.DISPLAY_NAMES if f"{one}-{dataset}" in zoo.names()):
            begun = time.perf_counter()
            values = {key: spread(some) for key, some in measure(name, held_out, test, look, options.seeds).items()}
            print(dataset, f"{name:12}", {key: round(value["mean"], 4) for key, value in values.items()}, flush=True)
            command = f"python benchmarks/paths.py --count {options.count} --seeds {options.seeds}"
            origin = provenance(range(options.seeds), time.perf_counter() - begun) | {"command": command}
            row = {
                "recipe": {"name": name, "dataset": dataset},
                "values": values,
                "metric": look.metric,
                "extractor": look.name,
                "samples": len(test),
                "provenance": origin,
            }
            if options.record:
                write_result(options.record, "paths", name, dataset, row)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
