"""Train what the zoo ships and put it there, each model with a card: `python tools/make_zoo.py [--runs runs]`.

Runs that are finished are taken as they are, so the tool can be stopped and started again. MNIST and Fashion-MNIST
are read from TEACHLIB_DATA. The cards quote results/3.1, 3.3 and 4.1, so `teachlib evaluate --record` comes first.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import teachlib
from teachlib import data, gmmvae, primer, rae, zoo
from teachlib.data import ImageData
from teachlib.metrics import classifier_features, feature_classifier, frechet_between, statistics_of
from teachlib.metrics.classifier import ClassifierObjective, FeatureClassifier, blur
from teachlib.rae import grammar
from teachlib.results import provenance, read_results
from teachlib.training import Schedule, fit

FEATURES = {
    "glyphs": Schedule(steps=1200),
    "digits": Schedule(steps=600),
    "mnist": Schedule(steps=2500, validate_every=250, plateau_patience=0),
    "fashion-mnist": Schedule(steps=2000),
}
MAIN = ("vae", "wae", "rae", "rae-l2", "rae-gp", "rae-sn", "ae")  # of MNIST
STRINGS = {"grae": "thesis", "gcvvae": "thesis", "gvae": "released", "cvae": "released"}  # recipe: variant
SELECTIVE = [
    *((name, "glyphs") for name in gmmvae.RECIPES),
    *(("gmm-vae", name) for name in ("mnist", "fashion-mnist", "turntable")),
]
AUTOENCODERS = [*((name, "glyphs") for name in rae.RECIPES), *((name, "mnist") for name in MAIN)]


def train_classifier(dataset: str, runs: Path) -> Path:
    schedule, folder = FEATURES[dataset], runs / f"features-{dataset}"
    torch.manual_seed(schedule.seed)
    fit(
        ClassifierObjective(FeatureClassifier()),
        rae.load(dataset, "train"),
        schedule,
        validation=rae.load(dataset, "validation") if schedule.plateau_patience is not None else None,
        folder=folder,
        resume=True,
        settings={"chapter": "metrics", "recipe": {"name": "features", "dataset": dataset}},
    )
    return folder / "checkpoint.safetensors"


def distance(dataset: str, images: Tensor, real: Tensor) -> float:
    sides = [statistics_of(classifier_features(dataset, side)) for side in (images, real)]
    return round(frechet_between(*sides, relative=True), 5)


def sanity(dataset: str, validation: ImageData, test: ImageData) -> dict[str, float]:
    """What the distance says of images whose order is beyond doubt; an extractor that disagrees is of no use."""
    count = min(len(validation), len(test))
    (x, labels), real = validation[:count], test[:count][0]
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    return {
        "floor": distance(dataset, x, real),
        "blurred (sigma 0.5 pixels)": distance(dataset, blur(x, 0.5), real),
        "blurred (sigma 1.5 pixels)": distance(dataset, blur(x, 1.5), real),
        "noisy (0.1)": distance(dataset, (x + 0.1 * noise).clamp(0, 1), real),
        "one class dropped": distance(dataset, x[labels != 3], real),
        "five classes dropped": distance(dataset, x[labels < 5], real),
        "pixels shuffled": distance(dataset, x.flatten(2)[..., torch.randperm(1024)].view_as(x), real),
    }


@torch.no_grad()
def accuracy(model: FeatureClassifier, test: ImageData) -> float:
    right = [(model(x).argmax(1) == y).float().mean() * len(y) for x, y in _chunks(test)]
    return round(sum(value.item() for value in right) / len(test), 4)


def _chunks(data: ImageData) -> list[tuple[Tensor, Tensor]]:
    return [data[start : start + 500] for start in range(0, len(data), 500)]


def add_classifier(dataset: str, runs: Path) -> None:
    name, checkpoint = f"features-{dataset}", train_classifier(dataset, runs)
    splits = {split: rae.load(dataset, split) for split in ("train", "validation", "test")}
    card: dict[str, Any] = {
        "recipe": {"name": "features", "dataset": dataset},
        "seed": 0,
        "data_sha256": splits["train"].sha256,
        "command": "python tools/make_zoo.py",
        "teachlib": teachlib.__version__,
    }
    zoo.add(name, checkpoint, card)
    feature_classifier.cache_clear()
    card["test_accuracy"] = accuracy(feature_classifier(dataset), splits["test"])
    card["relative_frechet_distance_to_test"] = sanity(dataset, splits["validation"], splits["test"])
    print(zoo.add(name, checkpoint, card), card["test_accuracy"], card["relative_frechet_distance_to_test"])


def add_measured(name: str, dataset: str, table: str, header: dict[str, Any], runs: Path) -> None:
    """A finished run with the first seed of its row in results/."""
    result = read_results(table, dataset)[name]
    recipe = header["recipe"]
    card = {
        "recipe": recipe,
        "seed": header["schedule"]["seed"],
        "data_sha256": result["data_sha256"]["train"],
        "command": f"teachlib train {name} --dataset {dataset} --scale {recipe['scale']} --seed 0",
        "metric": result["metric"],
        "values": {quantity: round(value["values"][0], 5) for quantity, value in result["values"].items()},
        "teachlib": teachlib.__version__,
        "device": provenance([0], 0)["device"],
    }
    print(zoo.add(f"{name}-{dataset}", runs / f"{dataset}-{name}-0" / "checkpoint.safetensors", card))


def add_primer(name: str, runs: Path) -> None:
    """Train where that is not done, and add with its measured row."""
    recipe, folder = primer.recipe(name, "digits", scale="laptop"), runs / f"digits-{name}-0"
    primer.train(recipe, folder=folder, resume=True)
    model, header = primer.open_run(folder)
    found = primer.evaluate(model, data.load("digits", "test")).row()
    card = {
        "recipe": header["recipe"],
        "seed": header["schedule"]["seed"],
        "data_sha256": data.load("digits", "train").sha256,
        "command": f"teachlib train {name} --dataset digits --scale laptop --seed 0",
        "metric": "bits per dimension and FD-digits on the 300 test digits",
        "values": {key: round(value, 5) if isinstance(value, float) else value for key, value in found.items()},
        "teachlib": teachlib.__version__,
        "device": provenance([0], 0)["device"],
        "seconds": round(header["seconds"]),
    }
    print(zoo.add(f"{name}-digits", folder / "checkpoint.safetensors", card))


def add_strings(name: str, runs: Path) -> None:
    """Train where that is not done, and add with its row of results/3.3."""
    chosen = grammar.recipe(name, "expressions", scale="laptop", variant=STRINGS[name])
    folder = runs / f"expressions-{name}-0"
    model, _ = grammar.train(chosen, folder=folder, resume=True)
    _, header = grammar.open_run(folder)
    result = read_results("3.3", "expressions")[name]
    tokens = model.codec.encode(grammar.load("expressions", "train", limit=chosen.samples))
    card = {
        "recipe": header["recipe"],
        "seed": header["schedule"]["seed"],
        "data_sha256": grammar.StringData(tokens).sha256,
        "command": f"teachlib train {name} --dataset expressions --variant {chosen.variant} --scale laptop --seed 0",
        "metric": result["metric"],
        "values": {key: round(value["values"][0], 5) for key, value in result["values"].items()},
        "teachlib": teachlib.__version__,
        "device": provenance([0], 0)["device"],
        "seconds": round(header["seconds"]),
    }
    print(zoo.add(f"{name}-expressions", folder / "checkpoint.safetensors", card))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of finished and new runs")
    parser.add_argument(
        "--only", choices=("features", "autoencoders", "selective", "primer", "strings"), help="one kind of model"
    )
    options = parser.parse_args()
    if options.only in (None, "features"):
        for dataset in FEATURES:
            add_classifier(dataset, options.runs)
    if options.only in (None, "autoencoders"):
        for name, dataset in AUTOENCODERS:
            add_measured(name, dataset, "3.1", rae.open_run(options.runs / f"{dataset}-{name}-0")[1], options.runs)
    if options.only in (None, "selective"):
        for name, dataset in SELECTIVE:
            add_measured(name, dataset, "4.1", gmmvae.open_run(options.runs / f"{dataset}-{name}-0")[1], options.runs)
    if options.only in (None, "primer"):
        for name in primer.RECIPES:
            add_primer(name, options.runs)
    if options.only in (None, "strings"):
        for name in STRINGS:
            add_strings(name, options.runs)


if __name__ == "__main__":
    main()
