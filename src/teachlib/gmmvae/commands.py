"""``teachlib attack``: the command that this chapter adds."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import Tensor

from teachlib.chapter import Measured
from teachlib.commands.runs import printed, seeds_of_one_recipe, summary
from teachlib.errors import TeachlibError
from teachlib.gmmvae.evaluation import selective
from teachlib.gmmvae.recipes import load
from teachlib.gmmvae.robustness import Budget, robustness
from teachlib.results import refuse_another_row, refuse_unwritable, row_file

TABLE = "4.3"


def attack(
    runs: Annotated[list[Path], typer.Argument(help="Folders of 'teachlib train': seeds of one classifier.")],
    epsilons: Annotated[str, typer.Option(help="Radii, with commas between.")] = "0.05,0.1,0.2,0.3",
    norm: Annotated[str, typer.Option(help="linf or l2.")] = "linf",
    samples: Annotated[int, typer.Option(min=10, help="Test images.")] = 1_000,
    steps: Annotated[int, typer.Option(min=1, help="Of every climb.")] = 100,
    restarts: Annotated[int, typer.Option(min=1, help="Of PGD and of the adaptive attack.")] = 5,
    queries: Annotated[int, typer.Option(min=2, help="Of the Square attack.")] = 1_000,
    surrogate: Annotated[Path | None, typer.Option(help="Another classifier's run, for transfer.")] = None,
    record: Annotated[Path | None, typer.Option(help="Write <record>/4.3/<recipe>-<dataset>.json.")] = None,
) -> None:
    """Attack trained classifiers by everything there is; accuracy, error and rejection over the radii."""
    radii = _radii(epsilons)
    seeds = seeds_of_one_recipe(runs)
    if seeds.chapter.key != "gmmvae":
        raise TeachlibError(f"{runs[0]}: a checkpoint of another recipe, not of the GMM-VAE chapter; attack needs one")
    recipe = seeds.recipe
    seeds.refuse_unfinished(record is not None)
    if record is not None:
        refuse_unwritable(record / TABLE)
        refuse_another_row(row_file(record, TABLE, seeds.label, recipe["dataset"]), recipe)
    other = _surrogate(surrogate, recipe["dataset"]) if surrogate else None
    splits = {split: load(recipe["dataset"], split, scale=recipe["scale"]) for split in ("train", "validation", "test")}
    x, labels = splits["test"].first(samples)[:]
    budget = Budget(steps=steps, restarts=restarts, queries=queries)
    rows = []
    for run in seeds.opened():
        classifier = selective(run.model, splits["train"], splits["validation"])
        options: dict[str, Any] = {"norm": norm, "budget": budget, "surrogate": other, "seed": run.seed}
        rows.append(robustness(run.model.scores, classifier, x, labels, radii, **options, progress=True).row())
    print(printed(summary(rows)))
    if record is not None:
        facts = {"norm": norm, "budget": vars(budget), "surrogate": str(surrogate) if surrogate else None}
        words = "shares of the test images; error is wrong and accepted"
        seeds.record(record, TABLE, Measured(rows, words, len(x), facts))


def _surrogate(run: Path, dataset: str) -> Callable[[Tensor], Tensor]:
    from teachlib.gmmvae.chapter import CHAPTER  # the chapter has this command

    model, header = CHAPTER.open_run(run)
    if header["recipe"]["dataset"] != dataset:
        raise TeachlibError(
            f"--surrogate {run} was trained on {header['recipe']['dataset']}; expected a classifier of {dataset}"
        )
    return model.scores


def _radii(text: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        raise TeachlibError(f"--epsilons {text}; expected numbers with commas between, such as 0.1,0.2") from None
