"""Train what the zoo ships and put it there, each model with a card: `python tools/make_zoo.py [--runs runs]`.

What a chapter ships stands in its `chapter.py`. Runs that are there are finished and taken, so the tool can be stopped
and started again. MNIST and Fashion-MNIST are read from TEACHLIB_DATA. A card quotes the first seed of the model's
measured row where there is one, so `teachlib evaluate --record` comes first; else the model is measured here.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import teachlib
from teachlib import data, registry, zoo
from teachlib.alone import alone
from teachlib.chapter import Chapter, Run, Shipped
from teachlib.errors import TeachlibError
from teachlib.results import provenance, read_results

SAMPLES = 10_000  # of each number that is measured here


def command(shipped: Shipped) -> str:
    """What a reader would type to train the same."""
    own = registry.words_of(shipped.options)
    return " ".join(("teachlib train", shipped.recipe, "--dataset", shipped.dataset, *own, "--scale laptop --seed 0"))


def add(chapter: Chapter[Any, Any, Any], shipped: Shipped, runs: Path, folder: Path) -> Path:
    """Train one model where that is not done, measure it, and put it into the zoo; the card's file."""
    recipe = chapter.recipe(shipped.recipe, shipped.dataset, scale="laptop", **shipped.options)
    run = runs / f"{data.short_name(shipped.dataset)}-{chapter.label(recipe)}-0"
    chapter.train(recipe, seed=0, folder=run, resume=True)
    model, header = chapter.open_run(run)
    row = read_results(chapter.table, shipped.dataset).get(chapter.label(recipe))
    if row is None or row["recipe"] != header["recipe"]:  # of this very model, or measured now
        measured = chapter.measure([Run(model, header["recipe"], 0)], SAMPLES, None)
        values, metric = measured.rows[0], measured.metric
    else:
        values, metric = {name: value["values"][0] for name, value in row["values"].items()}, row["metric"]
    card = {
        "recipe": header["recipe"],
        "seed": 0,
        "data_sha256": chapter.load(recipe, "train", None).sha256,
        "command": command(shipped),
        "metric": metric,
        "values": {name: round(value, 5) for name, value in values.items()},
        "teachlib": teachlib.__version__,
        "device": provenance([0], 0)["device"],
        "seconds": round(header["seconds"]),
    }
    name = f"{shipped.name}-{shipped.dataset}"
    return zoo.add(name, run / "checkpoint.safetensors", card, average=chapter.averages, where=folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of finished and new runs")
    parser.add_argument("--only", choices=tuple(registry.CHAPTERS), help="one chapter's models")
    parser.add_argument("--zoo", type=Path, default=zoo.folder(), help="folder of models and cards")
    options = parser.parse_args()
    try:
        with alone(options.zoo / ".lock", "adds to this zoo"):
            for key in [options.only] if options.only else registry.CHAPTERS:
                chapter = registry.chapter(key)
                for shipped in chapter.zoo:
                    print(add(chapter, shipped, options.runs, options.zoo))
    except TeachlibError as error:
        sys.exit(f"make_zoo: {error}")


if __name__ == "__main__":
    main()
