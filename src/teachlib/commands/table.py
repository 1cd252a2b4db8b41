"""``teachlib table``."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from teachlib import data
from teachlib.chapter import Chapter
from teachlib.errors import TeachlibError, unknown
from teachlib.fill import fill
from teachlib.registry import chapter_of_table, words_of
from teachlib.results import read_results, refuse_unwritable, shown
from teachlib.tables import Table


def run(
    number: str,
    dataset: str | None,
    *,
    results: Path | None,
    train: str | None,
    seeds: int,
    scale: str | None,
    steps: int | None,
    width: int | None,
    out: Path,
    jobs: int | None,
) -> None:
    """Print a table beside what was measured; with ``train``, train and measure first.

    Args:
        number: of the table.
        dataset: ``None``: the table's own.
        results: folder of measured rows; ``None``: what ships.
        train: recipes with commas between, or ``all``.
        seeds: of each recipe.
        scale: of the recipes.
        steps: of the recipes.
        width: of the recipes.
        out: folder of runs and results.
        jobs: processes at a time.

    Raises:
        TeachlibError: no such table, row or data set; a recipe that cannot be trained.
    """
    chapter = chapter_of_table(number)
    table = chapter.tables[number]
    dataset = dataset or table.dataset
    published = table.printed(dataset)
    if published is not None:
        print(f"{table.title}, {dataset}")
        names = {name: title for name, title in table.rows.items() if name in published.index}
        print(published.loc[list(names)].rename(index=names).to_string(na_rep="–"))
    if train is not None:
        settings = {"scale": scale, "steps": steps, "width": width}
        rows = _trainable(chapter, _rows(train, list(table.rows)), dataset, settings)
        refuse_unwritable(out)
        at_once = jobs or (1 if torch.cuda.is_available() else min(os.cpu_count() or 1, len(rows)))
        given = words_of({name: value for name, value in settings.items() if value is not None})
        results = fill(rows, dataset, out, seeds=range(seeds), options=given, jobs=at_once)
    elif results is not None and not results.is_dir():
        raise TeachlibError(f"--results {results}: no such folder; write one by 'teachlib evaluate --record'")
    print("\n" + _measured(table, dataset, results))


def _trainable(
    chapter: Chapter[Any, Any, Any], labels: Sequence[str], dataset: str, settings: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Label → words of the training's command; mistakes are found here, before hours of training."""
    rows = {}
    for label in labels:
        name, own = chapter.named(label)
        chosen = chapter.recipe(name, dataset, **settings, **own)
        chapter.load(chosen, "train", 1)
        rows[label] = [name, *words_of(own)]
    return rows


def _measured(table: Table, dataset: str, results: Path | None) -> str:
    rows = read_results(table.folder, dataset, folder=results)
    # Two tables may share a folder: rows without any of this one's quantities are the other's.
    mine = {name for name, row in rows.items() if not row["values"].keys().isdisjoint(table.columns)}
    kept = {title: rows[name] for name, title in table.rows.items() if name in mine}
    if not kept:
        short = data.short_name(dataset)
        return (
            f"nothing measured on {short} in {results or 'what ships'}: 'teachlib train RECIPE --dataset {dataset}', "
            "then 'evaluate --record FOLDER', then 'table --results FOLDER'"
        )
    first = next(iter(kept.values()))
    # Rows of one table share most quantities, not all: a model without a likelihood has no bits.
    cells = {
        title: {column: _cell(row["values"].get(column)) for column in table.columns} for title, row in kept.items()
    }
    head = f"Measured here, {first['metric']}; {first['samples']} samples; mean ± std over seeds, or one seed's"
    return f"{head}\n{pd.DataFrame(cells).T.to_string()}"


def _cell(value: dict[str, object] | None) -> str:
    return "–" if value is None else shown(value)


def _rows(asked: str, known: Sequence[str]) -> list[str]:
    """Recipes by their names, in the table's order."""
    names = known if asked == "all" else [name.strip() for name in asked.split(",") if name.strip()]
    if not names:
        raise TeachlibError(f"--train '{asked}' names no row; known: {', '.join(known)}")
    for name in names:
        if name not in known:
            raise unknown("row of this table", name, known)
    return [name for name in known if name in names]
