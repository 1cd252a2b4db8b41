"""What commands that measure runs share: opening seeds of one recipe, refusing others, printing and recording."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from teachlib.chapter import Chapter, Measured, Run, checkpoint_file
from teachlib.checkpoints import read_checkpoint
from teachlib.errors import TeachlibError
from teachlib.registry import chapter_of_checkpoint
from teachlib.results import provenance, spread, write_result


@dataclass(frozen=True)
class Seeds:
    """Runs of one recipe that differ in their seeds.

    Attributes:
        chapter: whose recipe it is.
        recipe: as the checkpoints have it.
        paths: of the runs.
        headers: of the checkpoints.
        started: when the command began, for provenance.
    """

    chapter: Chapter[Any, Any, Any]
    recipe: dict[str, Any]
    paths: Sequence[Path]
    headers: Sequence[dict[str, Any]]
    started: float

    @property
    def seeds(self) -> list[int]:
        """One a run."""
        return [header["schedule"]["seed"] for header in self.headers]

    @property
    def label(self) -> str:
        """What the recipe's row is called."""
        return self.chapter.label(self.chapter.recipe_of(self.recipe, self.paths[0]))

    def opened(self, *, average: bool | None = None) -> list[Run[Any]]:
        """The models, on the CPU in evaluation mode; of averaged weights or the last ones, or as the chapter has it."""
        models = [self.chapter.open_run(path, average=average)[0] for path in self.paths]
        return [Run(model, self.recipe, seed) for model, seed in zip(models, self.seeds, strict=True)]

    def refuse_unfinished(self, recorded: bool) -> None:
        """Numbers of half a training may be looked at, but not recorded as those of the recipe."""
        for path, header in zip(self.paths, self.headers, strict=True):
            done, planned = header["step"], self.recipe["steps"]
            if done < planned:
                mistake = f"{path}: stopped at step {done} of {planned}; finish it with --resume"
                if recorded:
                    raise TeachlibError(mistake)
                print(f"{mistake}; measured as it is")

    def record(self, folder: Path, table: str, measured: Measured) -> None:
        """Write the rows' mean and spread with everything that they rest on, and print the file's name."""
        result = {
            "recipe": self.recipe,
            "trained_steps": [header["step"] for header in self.headers],
            "training_seconds": [header["seconds"] for header in self.headers],
            "metric": measured.metric,
            "samples": measured.samples,
            **measured.facts,
            "provenance": provenance(self.seeds, time.perf_counter() - self.started),
            "values": summary(measured.rows),
        }
        print(write_result(folder, table, self.label, self.recipe["dataset"], result))


def seeds_of_one_recipe(paths: Sequence[Path]) -> Seeds:
    """Read the checkpoints' headers.

    Raises:
        TeachlibError: no checkpoint, of no chapter that is known, of different recipes, or one seed twice.
    """
    started = time.perf_counter()
    headers = [read_checkpoint(checkpoint_file(path))[1] for path in paths]
    chapter, recipe = chapter_of_checkpoint(headers[0], paths[0]), headers[0].get("recipe", {})
    chapter.recipe_of(recipe, paths[0])  # refuses a header that was made by something else
    for path, header in zip(paths, headers, strict=True):
        _refuse_no_run(path, header)
    for path, header in zip(paths, headers, strict=True):
        _refuse_other_recipe(path, header.get("recipe", {}), paths[0], recipe)
    seeds = [header["schedule"]["seed"] for header in headers]
    if len(set(seeds)) < len(seeds):
        raise TeachlibError(f"seeds {seeds}: a run counted twice has no spread; give each seed once")
    return Seeds(chapter, recipe, paths, headers, started)


def _refuse_no_run(path: Path, header: Mapping[str, Any]) -> None:
    """A checkpoint that no training wrote has no seed, and nobody knows how far it is."""
    schedule = header.get("schedule")
    if not isinstance(schedule, dict) or "seed" not in schedule or not {"step", "seconds"} <= header.keys():
        raise TeachlibError(
            f"{path}: says neither its seed nor how far it was trained; measure runs of 'teachlib train'"
        )


def _refuse_other_recipe(path: Path, recipe: dict[str, Any], first_path: Path, first: dict[str, Any]) -> None:
    names = [name for name in {**first, **recipe} if recipe.get(name) != first.get(name)]
    if names:
        here, there = (values.get(names[0]) for values in (recipe, first))
        raise TeachlibError(
            f"{path}: {names[0]} is {here!r} here, {there!r} in {first_path}; evaluate seeds of one recipe at a time"
        )


def summary(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, Any]]:
    """Name → mean, deviation and values over the runs."""
    return {name: spread([row[name] for row in rows]) for name in rows[0]}


def printed(values: Mapping[str, Mapping[str, Any]]) -> str:
    """Means as a table, with deviations where there is more than one run."""
    frame = pd.DataFrame({name: {"mean": value["mean"], "std": value["std"]} for name, value in values.items()}).T
    several = any(len(value["values"]) > 1 for value in values.values())
    return (frame if several else frame[["mean"]]).to_string(float_format="%.4f")


def refuse_folders(*files: Path) -> None:
    """Where a file is to be written, a folder is in the way, or none can be: said before the minutes of work.

    Raises:
        TeachlibError: a folder, a name that no file can have, or a place that cannot be written.
    """
    for file in files:
        try:
            if file.is_dir() or not file.name:
                raise TeachlibError(f"{file}: a folder; expected the name of a file that can be written")
            place = next(parent for parent in (*file.parents, Path()) if parent.exists())
        except OSError as error:
            raise TeachlibError(f"{file}: no name for a file ({error.strerror}); choose another") from None
        if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
            raise TeachlibError(f"{file}: nothing can be written in {place}; choose another folder")


def refuse_to_replace(written: Sequence[Path], read: Sequence[Path]) -> None:
    """What is read must not be written over.

    Raises:
        TeachlibError: it would be.
    """
    for file in written:
        for own in read:
            if file.exists() and own.exists() and file.samefile(own):
                raise TeachlibError(f"{file}: would replace {own}, which is read; choose another name for --out")
