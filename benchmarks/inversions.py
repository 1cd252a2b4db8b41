"""Ways back on one generator: `python benchmarks/inversions.py [--record src/teachlib/measured] [--dataset mnist]`.

Searches, encoders that were trained afterwards, ReStyle's after each of its passes (Table C.1), and the model's own
inference, each for the same held-out pictures of the zoo's model: of glyphs the naive one, whose training never
compared a reconstruction, of MNIST and heads the direct one. Fréchet distances, to the training set, are of rebuilt
test pictures and of rebuilt samples. Every encoder is trained once; a search draws nothing. The time of the iterative
encoder is that of all its passes.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
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
Way = tuple[str, Callable[[Tensor], Tensor], float]  # its name, pictures → codes, and the seconds of its training


def ways(model: InvGAN, train: ImageData, steps: int, searched: int) -> Iterator[Way]:
    """All ways back, each when it is asked for."""
    yield "inference", partial(invgan.infer_all, model), 0.0
    for name, plan in {
        "encoder of codes": invgan.Plan(steps),
        "encoder of pictures": invgan.Plan(steps, **COMPARED),
    }.items():
        encoder, seconds = trained(model, train, plan)
        yield name, encoder.infer, seconds
    of_pictures = encoder.infer
    search = partial(inversion.optimized, model, steps=searched)
    yield "search", lambda x: search(x, torch.zeros(len(x), model.w_dim))[0], 0.0
    yield "search with features", lambda x: search(x, torch.zeros(len(x), model.w_dim), features=1.0)[0], 0.0
    within = partial(search, stay=1.0, infer=of_pictures)
    yield "in-domain search", lambda x: within(x, of_pictures(x))[0], seconds
    encoder, seconds = trained(model, train, invgan.Plan(steps // 2, **COMPARED, iterations=PASSES))
    for count in range(1, PASSES + 1):
        yield f"iterative encoder, pass {count}", partial(after, encoder, count), seconds


def trained(model: InvGAN, train: ImageData, plan: invgan.Plan) -> tuple[Any, float]:
    """An encoder, and how long it took."""
    begun = time.perf_counter()
    return invgan.train_encoder(model, train, plan), time.perf_counter() - begun


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
    for name, way, learned in ways(model, train, options.steps, options.searched):
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
