"""The command line: ``teachlib train | evaluate | table | data | zoo | assignment | grade | doctor``, and more.

Chapters add commands. Names that do not exist are answered here, before torch or a chapter is imported; what the
commands do stands in :mod:`teachlib.commands`.
"""

import inspect
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from teachlib import catalogue, registry
from teachlib.errors import TeachlibError, unknown

UsageError: Any = typer.BadParameter.__base__  # click's, of which newer versions of typer bring a copy


class Deferred(TyperCommand):
    """A command of which only name and help are known until it is called: what it takes depends on what is asked.

    Args:
        name: of the command.
        help: its first line.
        meant: words after the command's name → the command itself.
    """

    def __init__(self, name: str, help: str, meant: Callable[[Sequence[str]], Any]) -> None:
        super().__init__(name, help=help)
        self.meant = meant

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The context of the command itself."""
        return self.meant(args).make_context(info_name, args, parent, **extra)


class Commands(TyperGroup):
    """The commands of this file, and those of the chapters, none of which is imported for a list of commands."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, training first."""
        return ["train", *super().list_commands(ctx), *_commands_of_chapters()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name; ``None`` for none."""
        if cmd_name == "train":
            return Deferred("train", str(train.__doc__), _train_of)
        chapters = _commands_of_chapters()
        if cmd_name in chapters:
            key = chapters[cmd_name]
            help_ = registry.CHAPTERS[key].commands[cmd_name]
            return Deferred(cmd_name, help_, lambda args: _command(registry.chapter(key).commands[cmd_name], cmd_name))
        return super().get_command(ctx, cmd_name)


class Grading(TyperGroup):
    """Commands of which one, ``class``, needs no name: a word that is no command is an assignment."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of these words."""
        known = args and (args[0] in self.commands or args[0].startswith("-"))
        return super().resolve_command(ctx, args if known else ["class", *args])


def _commands_of_chapters() -> dict[str, str]:
    """Command → key of the chapter that has it."""
    return {name: key for key, line in registry.CHAPTERS.items() for name in line.commands}


def _command(function: Callable[..., Any], name: str) -> Any:
    """A function with Typer's annotations as a command."""
    single = typer.Typer(add_completion=False)
    single.command(name)(function)
    return typer.main.get_command(single)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train the models of the course, measure them, and set the numbers beside the thesis's.",
)
_SWITCHES = {"--resume", "--grey", "--tf32", "--compile", "--help"}  # options of train that no word follows

data_app = typer.Typer(no_args_is_help=True, help="List, fetch and check data sets.")
zoo_app = typer.Typer(no_args_is_help=True, help="The small trained models that ship with the package.")
assignment_app = typer.Typer(no_args_is_help=True, help="List, build and check the graded assignments.")
grade_app = typer.Typer(
    cls=Grading,
    no_args_is_help=True,
    help="Grade a class: 'teachlib grade NAME SUBMISSIONS --out DIR'; merge marks, or see what this machine allows.",
)
app.add_typer(data_app, name="data")
app.add_typer(zoo_app, name="zoo")
app.add_typer(assignment_app, name="assignment")
app.add_typer(grade_app, name="grade")


def _offered(names: Callable[[], Iterable[str]]) -> Callable[[str], list[str]]:
    """What a shell offers after the first letters of a value: the names that begin like this."""

    def beginning(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return beginning


def _scales() -> Iterable[str]:
    return ("ci", "laptop", "paper")


def _known_sets() -> Iterable[str]:
    return (*catalogue.CATALOGUE, *registry.data_sets())


def _asked(words: Sequence[str]) -> tuple[list[str], str | None]:
    """What may be the recipe among the words after ``train``, and the data set.

    What follows an option of every chapter's is its value. A chapter's own options are not known yet.
    """
    plain, dataset, value_of = [], None, ""
    for word in words:
        if value_of == "--dataset":
            dataset = word
        elif word.startswith("--dataset="):
            dataset = word.partition("=")[2]
        elif not value_of and not word.startswith("-"):
            plain.append(word)
        value_of = word if word in _usual_options() and word not in _SWITCHES else ""
    return plain, dataset


def _usual_options() -> set[str]:
    """Options that ``train`` has whatever the recipe."""
    return {registry.flag(name) for name in inspect.signature(train).parameters} - {"--recipe", "--own"}


def _train_of(words: Sequence[str]) -> Any:
    """The command ``train`` with the options of the chapter whose recipe is asked for."""
    plain, dataset = _asked(words)
    if not plain:
        return _command(_with_options(train, {}, "the chapter's own"), "train")
    name = next((word for word in plain if word in registry.recipes()), plain[0])
    registry.refuse_unknown_recipe(name)
    if "--help" not in words and dataset is not None:
        catalogue.refuse_unknown(dataset, registry.data_sets())
    chapter = registry.chapter_of_recipe(name)
    _refuse_foreign_options(name, words, {registry.flag(option) for option in chapter.options})
    return _command(_with_options(train, chapter.options, chapter.dataset), "train")


def _refuse_foreign_options(recipe: str, words: Sequence[str], own: set[str]) -> None:
    """An option that other chapters have, or nobody, with what this one has instead."""
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    foreign = sorted(given - _usual_options() - own - _SWITCHES)
    if foreign:
        nearest = get_close_matches(foreign[0], _usual_options() | own, n=1)
        meant = f"; did you mean {nearest[0]}?" if nearest else ""
        has = f"its own options: {', '.join(sorted(own))}" if own else "it has no options of its own"
        raise TeachlibError(f"{foreign[0]}: {recipe} has no such option ({has}){meant or '; leave it out'}")


def _with_options(function: Callable[..., None], options: Any, dataset: str) -> Callable[..., None]:
    """The function with a chapter's options among its parameters, handed on as ``own``, and its default data set."""

    def called(**given: Any) -> None:
        own = {name: given.pop(name) for name in options}
        function(**given, own=own)

    signature = inspect.signature(function)
    usual = [parameter for name, parameter in signature.parameters.items() if name != "own"]
    said = f"See 'teachlib data list', or folder:PATH; default: {dataset}."
    named: Any = Annotated[str | None, typer.Option(help=said, autocompletion=_offered(_known_sets))]
    usual = [parameter.replace(annotation=named) if parameter.name == "dataset" else parameter for parameter in usual]
    added = []
    for name, option in options.items():
        switch = [registry.flag(name)] if option.default is False else []
        annotation: Any = Annotated[type(option.default), typer.Option(*switch, help=option.help)]
        added.append(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option.default, annotation=annotation)
        )
    called.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in usual] + added
    )
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in [*usual, *added]}
    called.__doc__ = function.__doc__
    return called


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            help=f"What to train: {', '.join(registry.recipes())}.", autocompletion=_offered(registry.recipes)
        ),
    ],
    dataset: str | None = None,
    scale: Annotated[str | None, typer.Option(help="ci, laptop or paper.", autocompletion=_offered(_scales))] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of weights, data order and noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for checkpoint and log.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    devices: Annotated[int, typer.Option(min=1, help="Processes on each machine, a device each (DDP).")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Machines; torchrun or SLURM starts the processes.")] = 1,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = "32-true",
    tf32: Annotated[bool, typer.Option("--tf32", help="Coarser products on a GPU, and faster ones.")] = False,
    compile: Annotated[bool, typer.Option("--compile", help="By torch.compile: minutes first, faster then.")] = False,
    width: Annotated[
        int | None, typer.Option(help="Of the networks: filters of the first layer, or hidden units.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates in all; with --resume, of the longer run, too.")] = None,
    size: Annotated[int | None, typer.Option(help="With folder:PATH: side of the squares in pixels.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="With folder:PATH: one channel instead of three.")] = False,
    logger: Annotated[str | None, typer.Option(help="Besides log.jsonl: tensorboard or wandb.")] = None,
    own: dict[str, Any] = {},  # noqa: B006 (read only: what _with_options adds)
) -> None:
    """Train a recipe; see 'teachlib train RECIPE --help' for its own options. A stopped run goes on with --resume."""
    given = locals()
    from teachlib.commands.train import run

    run(**given)


@app.command()
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Folders of 'teachlib train': seeds of one recipe.")],
    record: Annotated[Path | None, typer.Option(help="Write <record>/<table>/<recipe>-<dataset>.json.")] = None,
    samples: Annotated[int, typer.Option(min=100, help="Images, or whatever is measured, at most.")] = 10_000,
    extractor: Annotated[
        str | None,
        typer.Option(help="Of features: classifier, inception, untrained, or a run of 'teachlib train features'."),
    ] = None,
    average: Annotated[
        bool | None,
        typer.Option("--average/--last", help="Measure the moving average of the weights, or the last ones."),
    ] = None,
) -> None:
    """Measure trained runs, seeds of one recipe: how good, and what it cost; mean and spread over the seeds."""
    from teachlib.commands.evaluate import run

    run(runs, record=record, samples=samples, extractor=extractor, average=average)


@app.command()
def table(
    number: Annotated[
        str,
        typer.Argument(help=f"Which: {', '.join(registry.tables())}.", autocompletion=_offered(registry.tables)),
    ],
    dataset: Annotated[
        str | None,
        typer.Option(help="Whose rows to show; default: the table's own.", autocompletion=_offered(_known_sets)),
    ] = None,
    results: Annotated[Path | None, typer.Option(help="Folder of your own 'evaluate --record'.")] = None,
    train: Annotated[
        str | None, typer.Option(help="First train and measure these recipes: names with commas between, or 'all'.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="With --train: how many of each, from 0.")] = 1,
    scale: Annotated[str | None, typer.Option(help="With --train: ci, laptop or paper.")] = None,
    steps: Annotated[int | None, typer.Option(help="With --train: updates in all.")] = None,
    width: Annotated[int | None, typer.Option(help="With --train: filters of the first layer.")] = None,
    out: Annotated[Path, typer.Option(help="With --train: folder of runs and results; goes on there.")] = Path("runs"),
    jobs: Annotated[int | None, typer.Option(min=1, help="With --train: processes at a time.")] = None,
) -> None:
    """Print a table of the thesis beside what was measured here, or with --train, what is measured now."""
    given = locals()
    if number not in registry.tables():
        raise unknown("table", number, registry.tables())
    if dataset is not None:
        catalogue.refuse_unknown(dataset, registry.data_sets())
    idle = {
        "seeds": seeds != 1,
        "scale": scale,
        "steps": steps,
        "width": width,
        "out": out != Path("runs"),
        "jobs": jobs,
    }
    without = [f"--{name}" for name, set_ in idle.items() if set_]
    if train is None and without:
        raise TeachlibError(f"{without[0]} goes with --train; leave it out, or say what to train")
    if train is not None and results is not None:
        raise TeachlibError("--results shows what is measured already, --train measures anew into --out; take one")
    from teachlib.commands.table import run

    run(**given)


_Set = Annotated[str, typer.Argument(autocompletion=_offered(_known_sets))]


@data_app.command("list")
def data_list() -> None:
    """What data exist, their terms, and whether they are at hand."""
    from teachlib.commands import sets

    sets.show()


@data_app.command("get")
def data_get(name: _Set) -> None:
    """Download a data set and check its hashes."""
    catalogue.refuse_unknown(name, registry.data_sets())
    from teachlib.commands import sets

    sets.get(name)


@data_app.command("check")
def data_check(name: _Set) -> None:
    """Read a data set and compare its hashes."""
    catalogue.refuse_unknown(name, registry.data_sets())
    from teachlib.commands import sets

    sets.check(name)


@zoo_app.command("list")
def zoo_list() -> None:
    """The models, how they were made and how large they are."""
    import pandas as pd

    from teachlib import zoo

    rows = [
        {"name": name, "parameters": card["parameters"], "steps": card["steps"], "made by": card["command"]}
        for name, card in ((name, zoo.card(name)) for name in zoo.names())
    ]
    print(pd.DataFrame(rows).to_string(index=False, max_colwidth=70))


_Source = Annotated[Path, typer.Option(help="Folder of the assignments' sources.")]
_Name = Annotated[str, typer.Argument(help="Of the assignment, see 'teachlib assignment list'; or its source's path.")]
_SOURCES = Path("assignments/source")


@assignment_app.command("list")
def assignment_list(source: _Source = _SOURCES) -> None:
    """What assignments there are: questions, points and named mistakes."""
    from teachlib.commands import assignment

    assignment.show(source)


@assignment_app.command("build")
def assignment_build(
    name: _Name,
    variant: Annotated[int, typer.Option(min=0, max=999_999_999, help="Constants and data follow from it.")] = 0,
    students: Annotated[
        Path | None, typer.Option(help="CSV with a column 'id': a notebook each, with variants from --variant on.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write into; default: handed-out, or solved with --solutions.")
    ] = None,
    term: Annotated[
        str | None, typer.Option(help="Under this name; its source is kept beside that folder, in terms/TERM.")
    ] = None,
    solutions: Annotated[bool, typer.Option("--solutions", help="The teacher's notebook instead: solved.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite notebooks that differ.")] = False,
    source: _Source = _SOURCES,
) -> None:
    """Write the notebook that students get: without solutions and hidden tests."""
    from teachlib.commands import assignment

    options: dict[str, Any] = {"term": term, "solutions": solutions, "replace": replace}
    assignment.build(name, variant=variant, students=students, out=out, source=source, **options)


@assignment_app.command("check")
def assignment_check(
    name: _Name,
    variants: Annotated[int, typer.Option(min=1, help="How many variants, from 0.")] = 3,
    sandbox: Annotated[str, typer.Option(help="Where answers run: none (this process), strict or weak.")] = "none",
    source: _Source = _SOURCES,
) -> None:
    """What the grader says to the solution, each named mistake, an empty answer and fixed numbers."""
    from teachlib.commands import assignment

    assignment.check(name, variants=variants, sandbox=sandbox, source=source)


@grade_app.command("class", hidden=True)
def grade_class(
    name: _Name,
    submissions: Annotated[
        Path, typer.Argument(help="Folder or zip file, as a learning-management system exports it.")
    ],
    out: Annotated[Path, typer.Option(help="Folder of the class: grades, feedback, report; goes on there.")],
    jobs: Annotated[int, typer.Option(min=1, max=64, help="Processes at a time.")] = min(os.cpu_count() or 1, 8),
    sandbox: Annotated[str, typer.Option(help="strict, or weak where the system forbids more.")] = "strict",
    variant: Annotated[int | None, typer.Option(min=0, help="That all have; default: the record's, or 0.")] = None,
    variants: Annotated[Path | None, typer.Option(help="CSV with columns id and variant.")] = None,
    worksheet: Annotated[
        list[Path] | None, typer.Option(help="Moodle's grading worksheet or Canvas's gradebook, to be filled in.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="With Canvas's gradebook: the assignment's column.")] = None,
    rescale: Annotated[bool, typer.Option("--rescale", help="Convert to the worksheet's own maximum.")] = False,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="For a cell, or a call of an answer.")] = 10.0,
    total: Annotated[float, typer.Option(min=1, max=3600, help="Seconds for a submission.")] = 60.0,
    source: _Source = _SOURCES,
) -> None:
    """Grade all submissions in a sandbox; what is graded already stays."""
    given = locals()
    from teachlib.commands import grade

    grade.grade(**given)


@grade_app.command("marks")
def grade_marks(
    name: _Name,
    out: Annotated[Path, typer.Argument(help="Folder of the class.")],
    marks: Annotated[Path | None, typer.Argument(help="The filled table; default: marks.csv in that folder.")] = None,
    worksheet: Annotated[list[Path] | None, typer.Option(help="Moodle's or Canvas's file, to be filled in.")] = None,
    column: Annotated[str | None, typer.Option(help="With Canvas's gradebook: the assignment's column.")] = None,
    rescale: Annotated[bool, typer.Option("--rescale", help="Convert to the worksheet's own maximum.")] = False,
    source: _Source = _SOURCES,
) -> None:
    """Merge marks given by hand into grades and feedback."""
    given = locals()
    from teachlib.commands import grade

    grade.marks(**given)


@grade_app.command("doctor")
def grade_doctor() -> None:
    """Which sandbox this machine can give; each is tried."""
    from teachlib.commands import grade

    grade.doctor()


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="Of the zoo, see 'teachlib zoo list', or the folder of a run.")],
    out: Annotated[Path, typer.Option(help="Folder that gets a file a part.")] = Path("exported"),
) -> None:
    """Write the parts of a trained model as ONNX files, which run without torch; each is compared with torch first."""
    from teachlib.commands import export as command

    command.run(model, out=out)


@app.command()
def doctor() -> None:
    """Versions, device, memory and data; what would fail, and the mend."""
    from teachlib.commands.doctor import run

    run()


def _out_of_memory(error: Exception) -> bool:
    """Whether this is what torch raises when the machine, or an address, has no room: it has no class for that."""
    words = ("can't allocate memory", "not enough memory", "Storage size calculation overflowed", "out of memory")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def main() -> None:
    """Run the command line; a mistake of the user's prints one line and exits with 1."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows ASCII only shows ? for ×
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        sys.exit(app(standalone_mode=False, prog_name="teachlib"))
    except TeachlibError as error:
        mistake = str(error)
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a command without its subcommand shows its help
            error.show()
            sys.exit(2)
        command = error.ctx.command_path if error.ctx else "teachlib"
        mistake = f"{' '.join(error.format_message().split())} (see '{command} --help')"
    except typer.Abort:
        mistake = "stopped"
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        mistake = "not enough memory; choose a smaller --width, or fewer processes"
    except OSError as error:  # a path that nobody foresaw: too long a name, a folder that must not be looked into
        if error.filename is None:
            raise
        path = os.fsdecode(error.filename)
        shown = path if len(path) <= 120 else f"{path[:60]}…{path[-30:]}"
        mistake = f"{shown}: {error.strerror}; check the path and its permissions, or choose another"
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:  # several processes make the same mistake: one says so
        print(f"teachlib: {mistake}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
