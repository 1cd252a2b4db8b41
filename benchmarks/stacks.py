"""Ways to keep samples apart, on stacked glyphs at equal seconds: `python benchmarks/stacks.py [--seeds N] [rows …]`.

A step of one way costs several of another's. So what a step costs, over one of the game with R1, is measured first, by
turns on one thread, and every way takes as many steps as fit into the time of that game's `--steps`.
"""

import argparse
import json
import time
from pathlib import Path

import torch
from modes import cost, trained
from packing import done, row

from teachlib import energy
from teachlib.energy.chapter import CHAPTER
from teachlib.energy.evaluation import METRIC, evaluate
from teachlib.energy.recipes import Recipe
from teachlib.energy.tables import ROWS_ON_PICTURES
from teachlib.results import measured_folder, row_file, write_result

DATASET, TABLE = "stacked-glyphs", "equal-seconds"


def chosen(label: str, file: Path, over: Recipe, data: energy.Counted) -> tuple[Recipe, float]:
    """A row's game with the steps it may take, and what each costs: as the row has them, or measured now."""
    name, own = CHAPTER.named(label)
    recipe = CHAPTER.recipe(name, dataset=DATASET, scale="laptop", **own)
    if file.exists():
        kept = json.loads(file.read_text())
        steps, costs = kept["recipe"]["steps"], kept["values"]["cost of a step"]["mean"]
    else:
        costs = cost(recipe, over, data, steps=20, turns=3)
        steps = round(over.steps / costs)
    return CHAPTER.recipe(name, dataset=DATASET, scale="laptop", steps=steps, **own), costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="of the table of pictures; all")
    parser.add_argument("--steps", type=int, default=900, help="of the game with R1, where a row has none")
    parser.add_argument("--seeds", type=int, default=10, help="how many trainings a row")
    parser.add_argument("--record", type=Path, default=measured_folder())
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = energy.load(DATASET, "train")
    over = CHAPTER.recipe("modes-gan", dataset=DATASET, scale="laptop", steps=options.steps)
    for label in options.rows or ROWS_ON_PICTURES:
        file = row_file(options.record, TABLE, label, DATASET)
        recipe, costs = chosen(label, file, over, data)
        found, before = done(file, recipe.as_dict())
        begun = time.process_time()
        for seed in range(len(found), options.seeds):
            measured = evaluate(trained(recipe, seed), seed=seed)
            found.append(measured | {"cost of a step": costs})
            # After each seed: a run that is stopped has lost one training, not all.
            through = row(
                recipe.as_dict(),
                found,
                before + time.process_time() - begun,
                metric=METRIC,
                samples=10_000,
                command=f"python benchmarks/stacks.py {label} --seeds {len(found)} --steps {options.steps}",
            )
            write_result(options.record, TABLE, label, DATASET, through)
            print(label, recipe.steps, "steps, seed", seed, {k: round(v, 3) for k, v in found[-1].items()}, flush=True)


if __name__ == "__main__":
    main()
