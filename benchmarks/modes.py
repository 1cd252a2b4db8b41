"""The table of modes on 25 Gaussians, ten seeds a row side by side: `python benchmarks/modes.py [--steps N] [rows …]`.

`teachlib table modes --train all --seeds 10` trains the same games one after the other. Networks of a few thousand
weights leave most of a core idle, so here the weights of all seeds are stacked, and every step is one batched product.
What is trained are the library's own losses, mapped over the seeds; those that cannot be mapped, because they
differentiate twice or draw by themselves, are trained one after the other.

All rows take the same number of steps, or with `--equal-seconds` as many as the plain game does in the same time (rows
that are there already are left as they are). What a step costs, over one of the plain game, is measured by turns, alone
on one thread, by the course's own loop, before anything is trained: begin it on an idle machine.
"""

import argparse
import copy
import math
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap

from teachlib.energy import Counted, Pair, PairObjective, gaussians
from teachlib.energy.chapter import CHAPTER
from teachlib.energy.evaluation import METRIC, evaluate
from teachlib.energy.recipes import Recipe
from teachlib.energy.tables import OF_SUMS, ROWS
from teachlib.results import measured_folder, provenance, refuse_another_row, row_file, spread, write_result
from teachlib.training import Schedule, fit

SEEDS = tuple(range(10))


class Losses(nn.Module):
    """Both losses of a game as functions of its weights.

    Args:
        pair: the networks.
    """

    def __init__(self, pair: Pair) -> None:
        super().__init__()
        self.pair = pair
        self.game = PairObjective(pair)

    def forward(self, side: str, x: Tensor, z: Tensor) -> Tensor:
        """The loss of "judge" or "generator"."""
        made, log_prob = self.game.generated(z)
        if side == "judge":
            return self.game.judge_loss(x, made.detach(), log_prob, torch.Generator())
        return self.game.generator_loss(made, z, log_prob)


def _schedule(recipe: Recipe, steps: int) -> Schedule:
    """How the course's own loop trains it."""
    return Schedule(steps=steps, batch_size=recipe.batch_size, ema_half_life=recipe.ema_half_life)


def cost(recipe: Recipe, over: Recipe, data: Counted, steps: int = 60, turns: int = 4) -> float:
    """Processor time of a step by the course's own loop, over that of another game's, by turns; the least counts."""
    least = [math.inf, math.inf]
    for _ in range(turns):
        for number, chosen in enumerate((over, recipe)):
            schedule = _schedule(chosen, steps)
            game = PairObjective(Pair(chosen))
            begun = time.process_time()
            fit(game, data, schedule, progress=False)
            least[number] = min(least[number], time.process_time() - begun)
    return least[1] / least[0]


def can_be_mapped(recipe: Recipe) -> bool:
    """Whether a game's losses are functions of weights, samples and noise, differentiated once."""
    return recipe.penalty == "none" and recipe.points == "generator" and recipe.spread != "flow"


def trained(recipe: Recipe, seed: int) -> Pair:
    """A model by the course's own loop: the average of its weights."""
    with tempfile.TemporaryDirectory() as folder:
        CHAPTER.train(recipe, seed=seed, folder=folder, progress=False)
        return CHAPTER.open_run(folder)[0]


def side_by_side(recipe: Recipe) -> list[Pair]:
    """A row's models, the averages of their weights, one a seed, trained at once."""
    pairs = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        pairs.append(Pair(recipe))
    weights, _ = stack_module_state([Losses(pair) for pair in pairs])  # type: ignore[arg-type]
    skeleton = Losses(copy.deepcopy(pairs[0])).to("meta")
    judges = {name for name in weights if name.startswith("pair.judge.")}
    own = {"judge": judges, "generator": weights.keys() - judges}
    optimizers = {
        side: torch.optim.Adam([weights[name] for name in sorted(names)], recipe.learning_rate, (0.5, 0.99), fused=True)
        for side, names in own.items()
    }

    def loss(moving: dict[str, Tensor], still: dict[str, Tensor], side: str, x: Tensor, z: Tensor) -> Tensor:
        return functional_call(skeleton, {**moving, **still}, (side, x, z))

    slopes = {side: vmap(grad(loss), in_dims=(0, 0, None, 0, 0)) for side in own}
    average = {name: value.detach().clone() for name, value in weights.items()}
    schedule = _schedule(recipe, recipe.steps)
    generator = torch.Generator().manual_seed(0)
    for step in range(recipe.steps):
        x = gaussians(len(SEEDS) * recipe.batch_size, generator).points.view(len(SEEDS), recipe.batch_size, 2)
        z = torch.randn(2, len(SEEDS), recipe.batch_size, recipe.latent, generator=generator)
        for side, noise in zip(own, z[[0, 0]] if recipe.together else z, strict=True):
            values = {name: value.detach() for name, value in weights.items()}
            moving = {name: value for name, value in values.items() if name in own[side]}
            still = {name: value for name, value in values.items() if name not in own[side]}
            for name, slope in slopes[side](moving, still, side, x, noise).items():
                weights[name].grad = slope
            if not recipe.together:
                optimizers[side].step()
        if recipe.together:
            for optimizer in optimizers.values():
                optimizer.step()
        keeps = schedule.ema_decay(step + 1)
        torch._foreach_lerp_(list(average.values()), [value.detach() for value in weights.values()], 1 - keeps)
    for seed, pair in enumerate(pairs):
        pair.load_state_dict({name.removeprefix("pair."): value[seed] for name, value in average.items()}, strict=False)
    return pairs


def over_the_game(recipe: Recipe) -> float:
    """What a step of a game costs over one of the plain game."""
    data = gaussians(10_000, torch.Generator().manual_seed(0))
    return cost(recipe, CHAPTER.recipe("modes-gan", scale="laptop"), data)


def measure(recipe: Recipe, costs: float, *, alone: bool) -> dict[str, Any]:
    """A row, as `teachlib evaluate --record` writes it."""
    begun = time.perf_counter()
    one_by_one = alone or not can_be_mapped(recipe)
    pairs = [trained(recipe, seed) for seed in SEEDS] if one_by_one else side_by_side(recipe)
    rows = [evaluate(pair.eval(), seed=seed) for seed, pair in zip(SEEDS, pairs, strict=True)]
    origin = provenance(SEEDS, time.perf_counter() - begun)
    values = {name: spread([row[name] for row in rows]) for name in rows[0]}
    return {
        "recipe": recipe.as_dict(),
        "values": values | {"cost of a step": spread([costs])},
        "metric": METRIC,
        "samples": 10_000,
        "provenance": origin | {"command": " ".join(["python benchmarks/modes.py", *sys.argv[1:]])},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help="of the table; all that can be mapped over seeds")
    parser.add_argument("--steps", type=int, default=6000, help="of every row")
    parser.add_argument(
        "--equal-seconds", action="store_true", help="as many steps of each row as take the plain game's time"
    )
    parser.add_argument("--table", help="folder of the rows; modes, or equal-seconds")
    parser.add_argument(
        "--alone", action="store_true", help="no row's seeds side by side: what both programs differ by"
    )
    parser.add_argument("--record", type=Path, default=measured_folder())
    options = parser.parse_args()
    table = options.table or ("equal-seconds" if options.equal_seconds else "modes")
    torch.set_num_threads(1)
    planned: dict[str, tuple[Recipe, float]] = {}
    for label in options.rows or (ROWS | OF_SUMS):
        name, own = CHAPTER.named(label)
        recipe = CHAPTER.recipe(name, scale="laptop", steps=options.steps, **own)
        file = row_file(options.record, table, label, "gaussians")
        if options.equal_seconds and file.is_file():  # costs are never the same twice, and so are steps
            print(f"{file}: there already, left as it is")
            continue
        refuse_another_row(file, recipe.as_dict())
        costs = over_the_game(recipe)
        steps = round(options.steps / costs) if options.equal_seconds else options.steps
        planned[label] = replace(recipe, steps=steps), costs
        print(f"{label}: a step costs {costs:.2f} of the plain game's; {steps} steps", flush=True)
    for label, (recipe, costs) in planned.items():
        result = measure(recipe, costs, alone=options.alone)
        print(label, {key: round(value["mean"], 3) for key, value in result["values"].items()}, flush=True)
        write_result(options.record, table, label, "gaussians", result)


if __name__ == "__main__":
    main()
