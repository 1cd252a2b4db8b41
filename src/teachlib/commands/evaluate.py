"""``teachlib evaluate``."""

from pathlib import Path

from teachlib.commands.runs import printed, seeds_of_one_recipe, summary
from teachlib.errors import TeachlibError
from teachlib.results import refuse_another_row, refuse_unwritable, row_file


def run(runs: list[Path], *, record: Path | None, samples: int, extractor: str | None, average: bool | None) -> None:
    """Measure seeds of one recipe, print mean and spread, and record them where that is asked for.

    Args:
        runs: folders of ``teachlib train``.
        record: folder of results.
        samples: at most, for each number.
        extractor: of features; see :func:`teachlib.metrics.extractor`.
        average: measure the moving average of the weights, or not; ``None``: as the chapter has it.

    Raises:
        TeachlibError: runs that do not belong together, that are unfinished and to be recorded, or that cannot be
            measured like this.
    """
    seeds = seeds_of_one_recipe(runs)
    chapter = seeds.chapter
    if extractor is not None and not chapter.extracts:
        raise TeachlibError(f"--extractor {extractor}: {chapter.title} takes no features of images; leave it out")
    seeds.refuse_unfinished(record is not None)
    table = chapter.table
    if extractor in ("inception", "untrained"):
        table += f"-{extractor}"  # numbers of another extractor are another table
    if average is not None and average != chapter.averages:
        table += "-average" if average else "-last"
    if record is not None:  # before the minutes of measuring, not after them
        refuse_unwritable(record / table)
        refuse_another_row(row_file(record, table, seeds.label, seeds.recipe["dataset"]), seeds.recipe)
    measured = chapter.measure(seeds.opened(average=average), samples, extractor)
    print(printed(summary(measured.rows)))
    if record is not None:
        seeds.record(record, table, measured)
