"""Ways back on one generator: `python benchmarks/inversions.py [--record src/teachlib/measured] [--dataset mnist]`.

Searches, encoders that were trained afterwards, ReStyle's after each of its passes (Table C.1), and the model's own
inference, each for the same held-out pictures of the zoo's model: of glyphs the naive one, whose training never
compared a reconstruction, of MNIST and heads the direct one. Fréchet distances, to the training set, are of rebuilt
test pictures and of rebuilt samples. Every encoder is trained once; a search draws nothing. The time of the iterative
encoder is that of all its passes.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib import invgan, metrics
from teachlib.data import ImageData
from teachlib.invgan import inversion, pictures
from teachlib.invgan.evaluation import CHUNK, real_statistics
from teachlib.invgan.networks import InvGAN
from teachlib.modes import evaluating
from teachlib.results import provenance, spread, write_result

MODELS = {"glyphs": "invgan-naive", "mnist": "invgan-direct", "heads": "invgan-direct"}
PASSES = 4
COMPARED = {"pictures": 10.0, "features": 1.0}  # weights of an encoder that sees real pictures
Way = Callable[[Tensor], Tensor]  # pictures → codes


def ways(model: InvGAN, train: ImageData, steps: int, searched: int) -> dict[str, Callable[[], tuple[Way, float]]]:
    """All ways back by name; called, one trains what it needs and says how many seconds of training it rests on."""
    plans = {
        "codes": invgan.Plan(steps),
        "pictures": invgan.Plan(steps, **COMPARED),
        "iterative": invgan.Plan(steps // 2, **COMPARED, iterations=PASSES),
    }

    @cache
    def encoder(kind: str) -> tuple[Any, float]:
        begun = time.perf_counter()
        return invgan.train_encoder(model, train, plans[kind]), time.perf_counter() - begun

    def single(kind: str) -> tuple[Way, float]:
        learned, seconds = encoder(kind)
        return learned.infer, seconds

    def from_mean(features: float) -> tuple[Way, float]:
        search = partial(inversion.optimized, model, steps=searched, features=features)
        return lambda x: search(x, torch.zeros(len(x), model.w_dim))[0], 0.0

    def from_encoder(stay: float) -> tuple[Way, float]:
        infer, seconds = single("pictures")
        search = partial(inversion.optimized, model, steps=searched, stay=stay, infer=infer)
        return lambda x: search(x, infer(x))[0], seconds

    def iterated(count: int) -> tuple[Way, float]:
        learned, seconds = encoder("iterative")
        return partial(after, learned, count), seconds

    return {
        "inference": lambda: (partial(invgan.infer_all, model), 0.0),
        "encoder of codes": partial(single, "codes"),
        "encoder of pictures": partial(single, "pictures"),
        "search": partial(from_mean, 0.0),
        "search with features": partial(from_mean, 1.0),
        "in-domain search": partial(from_encoder, 1.0),
        "search from an encoder": partial(from_encoder, 0.0),
        **{f"iterative encoder, pass {count}": partial(iterated, count) for count in range(1, PASSES + 1)},
    }


@torch.no_grad()
def after(encoder: Any, count: int, x: Tensor) -> Tensor:
    """Codes after so many of an encoder's passes, all of which are made."""
    return encoder(x)[count - 1]  # type: ignore[no-any-return]


def prior(model: InvGAN, count: int) -> Tensor:
    """Codes of samples."""
    with torch.no_grad(), evaluating(model):
        return model.codes(count, torch.Generator().manual_seed(0))


def rebuilt(model: InvGAN, way: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """What the generator makes of the codes that a way back finds."""
    return torch.cat([invgan.generate_all(model, way(part).detach()) for part in images.split(CHUNK)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=Path, help="folder that rows are written to")
    parser.add_argument("--dataset", choices=MODELS, help="one set alone")
    parser.add_argument("--ways", nargs="+", help="these alone, by name")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=1000, help="of encoders; half as many of the iterative one")
    parser.add_argument("--searched", type=int, default=100, help="steps of a search")
    options = parser.parse_args()
    for dataset in [options.dataset] if options.dataset else MODELS:
        measure(options, dataset)


def measure(options: Any, dataset: str) -> None:
    """Print the ways back of one model, and record them where asked."""
    model = invgan.from_zoo(MODELS[dataset], dataset)
    train, test = (pictures.load(dataset, split, 32) for split in ("train", "test"))
    judge = metrics.untrained(model.image) if dataset in pictures.SETS else metrics.extractor("classifier", dataset)
    images, real = test.first(options.pictures)[:][0], real_statistics(train, judge)
    samples = invgan.generate_all(model, prior(model, len(images)))
    wanted = judge.features(images)
    known = ways(model, train, options.steps, options.searched)
    if missing := [name for name in options.ways or () if name not in known]:
        sys.exit(f"inversions: no way is named {missing[0]!r}; there are: {'; '.join(known)}")
    for name in options.ways or known:
        way, learned = known[name]()
        begun = time.perf_counter()
        made = rebuilt(model, way, images)
        seconds = (time.perf_counter() - begun) / len(images)
        features = judge.features(made)
        values = {
            "error": invgan.pixel_error(images, made).item(),
            "feature distance": (wanted - features).norm(dim=1).mean().item(),
            "test rebuilt": judge.between(features, real),
            "random rebuilt": judge.between(judge.features(rebuilt(model, way, samples)), real),
            "milliseconds an image": 1000 * seconds,
            "seconds of training": learned,
        }
        print(f"{dataset:8}{name:28}", {what: round(value, 4) for what, value in values.items()}, flush=True)
        if options.record:
            asked = {"steps": options.steps, "searched": options.searched}
            command = f"python benchmarks/inversions.py --dataset {dataset}"
            row = {
                "recipe": {"name": name, "dataset": dataset, "model": MODELS[dataset], **asked},
                "values": {what: spread([value]) for what, value in values.items()},
                "metric": judge.says,
                "samples": len(images),
                "provenance": provenance([0], learned + seconds * len(images)) | {"command": command},
            }
            write_result(options.record, "inversions", name.replace(", ", "-").replace(" ", "-"), dataset, row)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
