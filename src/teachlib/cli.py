"""The command line: ``teachlib train | evaluate | attack | table | data | zoo | doctor``."""

import io
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer
from tqdm import tqdm

from teachlib import data as datasets
from teachlib import gmmvae, primer, rae, thesis, zoo
from teachlib.checkpoints import read_checkpoint
from teachlib.errors import TeachlibError, unknown
from teachlib.fill import fill
from teachlib.metrics import classifier_features
from teachlib.rae import grammar
from teachlib.results import (
    provenance,
    read_results,
    refuse_another_row,
    refuse_unwritable,
    shown,
    spread,
    write_result,
)
from teachlib.scale import best_device, machine
from teachlib.training import make_fabric

RECIPES = (*rae.RECIPES, *grammar.RECIPES, *gmmvae.RECIPES, *primer.RECIPES)
UsageError: Any = typer.BadParameter.__base__  # click's, of which newer versions of typer bring a copy
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
data_app = typer.Typer(no_args_is_help=True, help="List, fetch and check data sets.")
zoo_app = typer.Typer(no_args_is_help=True, help="The small trained models that ship with the package.")
app.add_typer(data_app, name="data")
app.add_typer(zoo_app, name="zoo")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help=f"What to train: {', '.join(RECIPES)}.")],
    dataset: Annotated[
        str | None, typer.Option(help="See 'teachlib data list', or folder:PATH; default: glyphs, or expressions.")
    ] = None,
    scale: Annotated[str | None, typer.Option(help="ci, laptop or paper.")] = None,
    variant: Annotated[str, typer.Option(help="thesis, or the authors' released code.")] = "thesis",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of weights, data order and noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for checkpoint and log.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    devices: Annotated[int, typer.Option(min=1, help="Processes, a device each (DDP).")] = 1,
    precision: Annotated[str, typer.Option(help="32-true, bf16-mixed or 16-mixed.")] = "32-true",
    width: Annotated[
        int | None, typer.Option(help="Of the networks: filters of the first layer, or hidden units.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Updates in all.")] = None,
    size: Annotated[int | None, typer.Option(help="With folder:PATH: side of the squares in pixels.")] = None,
    grey: Annotated[bool, typer.Option("--grey", help="With folder:PATH: one channel instead of three.")] = False,
    conditional: Annotated[bool, typer.Option("--conditional", help="Learn p(x | class); primer recipes.")] = False,
    logger: Annotated[str | None, typer.Option(help="Besides log.jsonl: tensorboard or wandb.")] = None,
) -> None:
    """Train a recipe; a run that was stopped goes on with --resume."""
    if dataset is None:
        dataset = "expressions" if recipe in grammar.RECIPES else "glyphs"
    dataset = _pictures(dataset, size, grey)
    chosen = _recipe(recipe, dataset, scale, variant, width, steps, conditional)
    run = f"{datasets.short_name(dataset)}-{recipe}{'-conditional' if conditional else ''}-{seed}"
    folder = out.expanduser() if out else Path("runs") / run
    fabric = _launched(devices, precision, logger, folder)
    if resume and not folder.exists() and fabric.is_global_zero:
        print(f"nothing to resume in {folder}; starting anew")
    if fabric.is_global_zero:
        print(f"{recipe} on {dataset}, scale {chosen.scale}, {chosen.steps} steps · {machine(fabric.device)}")
    started = time.perf_counter()
    try:
        _, history = _CHAPTERS[type(chosen)].train(chosen, seed=seed, folder=folder, resume=resume, fabric=fabric)
    except KeyboardInterrupt:  # before typer turns it into a silent exit
        raise TeachlibError(f"stopped; go on from the last checkpoint with --resume --out {folder}") from None
    if fabric.is_global_zero:
        last = history.lines[-1] if history.lines else {}
        losses = ", ".join(f"{name} {value:.4g}" for name, value in last.items() if name != "step")
        print(f"done in {time.perf_counter() - started:.0f} s: {losses}\n{folder / 'checkpoint.safetensors'}")


def _pictures(dataset: str, size: int | None, grey: bool) -> str:
    """The data set's name with the options that only a folder of pictures has."""
    if datasets.is_folder(dataset):
        return datasets.folder_name(dataset, size=size, grey=grey)
    if size is not None or grey:
        raise TeachlibError(
            f"{'--grey' if grey else '--size'} is for --dataset folder:PATH; leave it out for {dataset}"
        )
    return dataset


Chosen = rae.Recipe | grammar.SequenceRecipe | gmmvae.Recipe | primer.Recipe
_CHAPTERS: dict[type, Any] = {
    rae.Recipe: rae,
    grammar.SequenceRecipe: grammar,
    gmmvae.Recipe: gmmvae,
    primer.Recipe: primer,
}


def _recipe(
    name: str, dataset: str, scale: str | None, variant: str, width: int | None, steps: int | None, conditional: bool
) -> Chosen:
    """Of whichever chapter has a recipe of this name."""
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    if name not in primer.RECIPES:
        if conditional:
            raise TeachlibError(f"--conditional: {name} has no conditional version; leave it out")
        if name in grammar.RECIPES:
            return grammar.recipe(name, dataset, scale=scale, variant=variant, width=width, steps=steps)
        if name in rae.RECIPES:
            return rae.recipe(name, dataset, scale=scale, variant=variant, width=width, steps=steps)
    if variant != "thesis":
        raise TeachlibError(f"--variant {variant}: of {name} no code was released to follow; leave it out")
    if name in gmmvae.RECIPES:
        return gmmvae.recipe(name, dataset, scale=scale, width=width, steps=steps)
    return primer.recipe(name, dataset, scale=scale, width=width, steps=steps, conditional=conditional)


def _launched(devices: int, precision: str, logger: str | None, folder: Path) -> Any:
    known = ("32-true", "16-mixed", "bf16-mixed")  # weights stay float32: densities need their digits
    if precision not in known:
        raise TeachlibError(f"precision '{precision}'; expected one of {', '.join(known)}")
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise TeachlibError(f"--devices {devices}, but this machine has {torch.cuda.device_count()} GPUs")
    fabric = make_fabric(devices=devices, precision=precision, loggers=_loggers(logger, folder))
    if "LT_CLI_USED" not in os.environ:  # under 'fabric run' the processes exist already
        fabric.launch()
    return fabric


def _loggers(name: str | None, folder: Path) -> list[Any]:
    if name is None:
        return []
    try:
        if name == "tensorboard":
            from lightning_fabric.loggers import TensorBoardLogger

            return [TensorBoardLogger(folder)]
        if name == "wandb":
            import wandb  # type: ignore[import-not-found, unused-ignore]

            wandb.init(dir=folder)
            return [_WandbLogger(wandb)]
    except ModuleNotFoundError as error:
        raise TeachlibError(
            f"--logger {name} needs a package that is missing: pip install {error.name or name}"
        ) from None
    raise TeachlibError(f"unknown logger '{name}'; known: tensorboard, wandb")


class _WandbLogger:
    """The two methods of a Fabric logger that the loop uses."""

    def __init__(self, wandb: Any) -> None:
        self.wandb = wandb

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        self.wandb.log(metrics, step=step)

    def finalize(self, status: str) -> None:
        self.wandb.finish(exit_code=0 if status == "success" else 1)


@app.command()
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="Folders of 'teachlib train': seeds of one recipe.")],
    record: Annotated[Path | None, typer.Option(help="Write <record>/<table>/<recipe>-<dataset>.json.")] = None,
    samples: Annotated[int, typer.Option(min=100, help="Images a distance, at most.")] = 10_000,
) -> None:
    """Measure trained runs, seeds of one recipe: how good, and what it cost; mean and spread over the seeds."""
    started = time.perf_counter()
    headers = [read_checkpoint(run / "checkpoint.safetensors" if run.is_dir() else run)[1] for run in runs]
    recipe = headers[0].get("recipe", {})
    for run, header in zip(runs, headers, strict=True):
        _refuse_other_recipe(run, header.get("recipe", {}), runs[0], recipe)
    seeds = [header.get("schedule", {}).get("seed") for header in headers]
    if len(set(seeds)) < len(seeds):
        raise TeachlibError(f"seeds {seeds}: a run counted twice has no spread; give each seed once")
    _notice_unfinished(runs, headers, record)
    table, measure = _MEASURES.get(str(headers[0].get("chapter")), _MEASURES["rae"])
    if record is not None:
        refuse_unwritable(record / table)  # before the minutes of measuring, not after them
    rows, facts = measure(runs, samples)
    values = {name: spread([row[name] for row in rows]) for name in rows[0]}
    print(_summary(values).to_string(float_format="%.4f"))
    if record is not None:
        result = {
            "recipe": recipe,
            "trained_steps": [header["step"] for header in headers],
            "training_seconds": [header["seconds"] for header in headers],
            **facts,
            "provenance": provenance(seeds, time.perf_counter() - started),
            "values": values,
        }
        name = recipe["name"] + ("-conditional" if facts.get("conditional") else "")
        print(write_result(record, table, name, recipe["dataset"], result))


def _refuse_other_recipe(run: Path, recipe: dict[str, Any], first_run: Path, first: dict[str, Any]) -> None:
    names = [name for name in {**first, **recipe} if recipe.get(name) != first.get(name)]
    if names:
        here, there = (found.get(names[0]) for found in (recipe, first))
        raise TeachlibError(
            f"{run}: {names[0]} is {here!r} here, {there!r} in {first_run}; evaluate seeds of one recipe at a time"
        )


def _notice_unfinished(runs: list[Path], headers: list[dict[str, Any]], record: Path | None) -> None:
    """Numbers of half a training may be looked at, but not recorded as those of the recipe."""
    for run, header in zip(runs, headers, strict=True):
        done, planned = header.get("step", 0), header.get("recipe", {}).get("steps", 0)
        if done < planned:
            mistake = f"{run}: stopped at step {done} of {planned}; finish it with --resume"
            if record is not None:
                raise TeachlibError(mistake)
            print(f"{mistake}; measured as it is")


_SPLITS = ("train", "validation", "test")
Measured = tuple[list[dict[str, float]], dict[str, Any]]  # a row of numbers a run, and what they rest on


def _facts(metric: str, dataset: str, samples: int, splits: dict[str, datasets.ImageData]) -> dict[str, Any]:
    return {
        "metric": metric,
        "extractor": f"features-{dataset} (zoo), 64 features",
        "samples": min(samples, len(splits["test"])),
        "data_sha256": {split: loaded.sha256 for split, loaded in splits.items()},
    }


def _measure_primer(runs: list[Path], samples: int) -> Measured:
    """Bits, distances and costs of the primer's image models."""
    rows, opened = [], [primer.open_run(run) for run in runs]
    dataset = opened[0][1]["recipe"]["dataset"]
    test = datasets.load(dataset, "test")
    for model, header in tqdm(opened, unit="run", desc="measuring", leave=False):
        found = primer.evaluate(model, test, seed=header["schedule"]["seed"], samples=samples)
        numbers = {name: value for name, value in found.row().items() if isinstance(value, int | float)}
        rows.append({name: value for name, value in numbers.items() if not math.isnan(value)})
    if math.isnan(found.distance):
        print(f"no feature classifier for {dataset} in the zoo, so no distances")
    print(f"likelihood: {found.likelihood}")
    metric = f"bits per dimension of the test set; FD-{dataset}, relative"
    own = {"likelihood": found.likelihood, "conditional": bool(getattr(model, "classes", 0))}
    return rows, own | _facts(metric, dataset, samples, {"test": test})


def _measure_rae(runs: list[Path], samples: int) -> Measured:
    """Reconstructions, samples and interpolations of autoencoders."""
    rows, opened = [], [rae.open_run(run) for run in runs]
    dataset = opened[0][0].recipe.dataset
    splits = {split: rae.load(dataset, split) for split in _SPLITS}
    classifier_features(dataset, splits["test"][:2][0])  # where it takes no such images, before minutes of measuring
    with tqdm(total=6 * len(opened), unit="set", desc="features", leave=False) as bar:

        def extract(images: torch.Tensor) -> torch.Tensor:
            """Called six times a run: for test and validation images, and for four kinds of generated ones."""
            found = classifier_features(dataset, images)
            bar.update()
            return found

        for model, header in opened:
            seed, model = header["schedule"]["seed"], model.to(best_device())
            found = rae.evaluate(model, **splits, extractor=extract, seed=seed, count=samples)
            rows.append(found.row())
            bar.write(f"seed {seed}: " + ", ".join(f"{name} {value:.4g}" for name, value in found.distances.items()))
    metric = f"FD-{dataset}: Fréchet distance over the total variance of the test set's features"
    return rows, _facts(metric, dataset, samples, splits)


def _measure_grammar(runs: list[Path], samples: int) -> Measured:
    """What models of strings give back, write, and are found to hold by a search."""
    rows, opened = [], [grammar.open_run(run) for run in runs]
    dataset = opened[0][0].recipe.dataset
    for model, header in tqdm(opened, unit="run", desc="measuring", leave=False):
        seed, count = header["schedule"]["seed"], min(samples, 1_000)
        trials = 5 if samples >= 500 else 1
        found = grammar.evaluate(model, seed=seed, count=count, known=min(samples, 500), trials=trials)
        rows.append(found.row())
        print(*(f"{value:7.3f}  {text}" for text, value in found.best), sep="\n")
    names = set.intersection(*(set(row) for row in rows))  # a search that found little has no third best
    return [{name: row[name] for name in row if name in names} for row in rows], {
        "metric": "shares of strings; mean and spread over five searches, lower scores are better",
        "samples": min(samples, 1_000),
        "language": grammar.language(dataset).source,
    }


def _measure_gmmvae(runs: list[Path], samples: int) -> Measured:
    """Accuracy with and without thresholds."""
    rows, opened = [], [gmmvae.open_run(run) for run in runs]
    recipe = opened[0][0].recipe
    splits = {split: gmmvae.load(recipe.dataset, split, scale=recipe.scale) for split in _SPLITS}
    splits["test"] = splits["test"].first(samples)
    for model, _ in tqdm(opened, unit="run", desc="measuring", leave=False):
        rows.append(gmmvae.evaluate(model, splits["train"], splits["validation"], splits["test"]).row())
    return rows, {
        "metric": "shares of the test set; thresholds on code and pixels refuse 1 % of held-out images each",
        "samples": len(splits["test"]),
        "data_sha256": {split: loaded.sha256 for split, loaded in splits.items()},
    }


_MEASURES = {
    "rae": ("3.1", _measure_rae),
    "primer": ("primer", _measure_primer),
    "rae.grammar": ("3.3", _measure_grammar),
    "gmmvae": ("4.1", _measure_gmmvae),
}


def _summary(values: dict[str, dict[str, Any]]) -> pd.DataFrame:
    found = pd.DataFrame({name: {"mean": value["mean"], "std": value["std"]} for name, value in values.items()}).T
    return found if any(len(value["values"]) > 1 for value in values.values()) else found[["mean"]]


@app.command()
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
    """Attack trained classifiers by everything there is; shares of accuracy, error and rejection over the radii."""
    started = time.perf_counter()
    radii = _radii(epsilons)
    opened = [gmmvae.open_run(run) for run in runs]
    recipe = opened[0][1]["recipe"]
    for run, (_, header) in zip(runs, opened, strict=True):
        _refuse_other_recipe(run, header["recipe"], runs[0], recipe)
    _notice_unfinished(runs, [header for _, header in opened], record)
    if record is not None:
        refuse_unwritable(record / "4.3")
        refuse_another_row(record / "4.3" / f"{recipe['name']}-{recipe['dataset']}.json", recipe)
    other = _surrogate(surrogate, recipe["dataset"]) if surrogate else None
    loaded = {split: gmmvae.load(recipe["dataset"], split, scale=recipe["scale"]) for split in _SPLITS}
    x, labels = loaded["test"].first(samples)[:]
    budget = gmmvae.Budget(steps=steps, restarts=restarts, queries=queries)
    rows = []
    for model, header in opened:
        classifier = gmmvae.selective(model, loaded["train"], loaded["validation"])
        seed = header["schedule"]["seed"]
        options: dict[str, Any] = {"norm": norm, "budget": budget, "surrogate": other, "seed": seed, "progress": True}
        rows.append(gmmvae.robustness(model.scores, classifier, x, labels, radii, **options).row())
    values = {name: spread([row[name] for row in rows]) for name in rows[0]}
    print(_summary(values).to_string(float_format="%.4f"))
    if record is not None:
        result = {
            "recipe": recipe,
            "trained_steps": [header["step"] for _, header in opened],
            "metric": "shares of the test images; error is wrong and accepted",
            "norm": norm,
            "budget": vars(budget),
            "surrogate": str(surrogate) if surrogate else None,
            "samples": len(x),
            "provenance": provenance(
                [header["schedule"]["seed"] for _, header in opened], time.perf_counter() - started
            ),
            "values": values,
        }
        print(write_result(record, "4.3", recipe["name"], recipe["dataset"], result))


def _surrogate(run: Path, dataset: str) -> Callable[[torch.Tensor], torch.Tensor]:
    model, header = gmmvae.open_run(run)
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


@app.command()
def table(
    number: Annotated[str, typer.Argument(help=f"Of the thesis: {', '.join(thesis.TABLES)}.")],
    dataset: Annotated[str, typer.Option(help="Whose measured rows to show.")] = "mnist",
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
    printed = thesis.table(number, dataset if dataset in thesis.DATASETS else "mnist")
    datasets_known = {*thesis.DATASETS, *datasets.CATALOGUE}
    if dataset not in datasets_known:
        datasets.entry(dataset)  # raises, with the nearest name
    if dataset in thesis.DATASETS:
        print(f"Table {number} of the thesis, {dataset}" + (" (FID)" if number != "A.2" else ""))
        print(printed.rename(index=thesis.DISPLAY_NAMES).to_string(na_rep="–"))
    folder = None
    if train is not None:
        names = _rows(train, list(printed.index))
        for name in names:  # mistakes are found before hours of training
            rae.recipe(name, dataset, scale=scale, steps=steps, width=width)
        datasets.load(dataset, "train", limit=1)
        refuse_unwritable(out)
        at_once = jobs or (1 if torch.cuda.is_available() else min(os.cpu_count() or 1, len(names)))
        settings = {"scale": scale, "steps": steps, "width": width}
        folder = fill(names, dataset, out, seeds=range(seeds), jobs=at_once, **settings)  # type: ignore[arg-type]
    measured = read_results("3.1", dataset, folder=folder)
    if not measured:
        print(f"\nnothing measured here yet on {dataset}: 'teachlib train RECIPE --dataset {dataset}', then 'evaluate'")
        return
    first = next(iter(measured.values()))
    print(f"\nMeasured here, {first['metric']}; {first['samples']} samples; mean ± std over seeds, or one seed's")
    rows = {
        title: {quantity: shown(measured[name]["values"][quantity]) for quantity in printed.columns}
        for name, title in thesis.DISPLAY_NAMES.items()
        if name in measured
    }
    print(pd.DataFrame(rows).T.to_string())


def _rows(asked: str, known: list[str]) -> list[str]:
    """Recipes by their names, in the table's order."""
    names = known if asked == "all" else [name.strip() for name in asked.split(",") if name.strip()]
    if not names:
        raise TeachlibError(f"--train '{asked}' names no row; known: {', '.join(known)}")
    for name in names:
        if name not in known:
            raise unknown("row of this table", name, known)
    return [name for name in known if name in names]


@data_app.command("list")
def data_list() -> None:
    """What data exist, their terms, and whether they are at hand."""
    rows = [
        {
            "name": found.name,
            "image": "×".join(map(str, found.shape)),
            "classes": found.classes,
            "train/validation/test": "/".join(map(str, found.splits.values())),
            "at hand": _presence(found),
            "terms": found.terms,
        }
        for found in datasets.CATALOGUE.values()
    ]
    print(pd.DataFrame(rows).to_string(index=False, max_colwidth=60))
    strings = [
        {
            "name": found.name,
            "strings": found.title,
            "train/validation/test": "/".join(map(str, found.splits.values())),
            "source": found.source,
        }
        for found in grammar.LANGUAGES.values()
    ]
    print(pd.DataFrame(strings).to_string(index=False, max_colwidth=90))
    print(f"data files are looked for in {datasets.data_root()} (TEACHLIB_DATA)")


def _presence(found: datasets.Entry) -> str:
    if found.folder is None:
        return "embedded"
    return "yes" if datasets.present(found.name) else "no"


@data_app.command("get")
def data_get(name: str) -> None:
    """Download a data set and check its hashes."""
    if name in grammar.LANGUAGES:
        grammar.load(name, "test", limit=1)  # says where a file is missing that has to be put there by hand
        print(f"{name}: at hand; nothing to fetch")
        return
    found = datasets.entry(name)
    print(f"{found.title}: {found.terms}")
    folder = datasets.get(name)
    print(f"{name} is embedded; nothing to fetch" if found.embedded else f"in {folder}, hashes as expected")


@data_app.command("check")
def data_check(name: str) -> None:
    """Read a data set and compare its hashes."""
    if name in grammar.LANGUAGES:
        for split in grammar.language(name).splits:
            print(f"{name} {split}: {len(grammar.load(name, split))} strings")
    else:
        print("\n".join(datasets.check(name)))


@zoo_app.command("list")
def zoo_list() -> None:
    """The models, how they were made and how large they are."""
    rows = [{"name": name, **_zoo_row(zoo.card(name))} for name in zoo.names()]
    print(pd.DataFrame(rows).to_string(index=False, max_colwidth=70))


def _zoo_row(card: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": card["parameters"], "steps": card["steps"], "made by": card["command"]}


@app.command()
def doctor() -> None:
    """Versions, device, memory and data; what would fail, and the mend."""
    device = best_device()
    print(f"teachlib {version('teachlib')} · Python {sys.version.split()[0]} · {machine(device)}")
    for package in ("torch", "torchvision", "lightning-fabric", "scikit-learn", "matplotlib", "torch-fidelity"):
        print(f"  {package:18} {_version(package)}")
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info()
        print(f"  GPU memory         {free / 2**30:.1f} of {total / 2**30:.1f} GiB free")
    print(f"  disk               {shutil.disk_usage('.').free / 2**30:.1f} GiB free here")
    print(f"  data               {datasets.data_root()}")
    troubles = _troubles(device)
    for found in datasets.CATALOGUE.values():
        print(f"    {found.name:16} {_presence(found)}")
    print("\n".join(f"! {trouble}" for trouble in troubles) or "nothing would fail")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _troubles(device: torch.device) -> list[str]:
    """What would fail, each with its mend."""
    troubles = []
    if device.type == "cpu":
        troubles.append("no GPU: scale 'paper' would take days; use 'laptop'")
    missing = [entry.name for entry in datasets.CATALOGUE.values() if _presence(entry) == "no"]
    if missing:
        troubles.append(f"not at hand: {', '.join(missing)}; run 'teachlib data get NAME' or set TEACHLIB_DATA")
    if _version("torch-fidelity") == "missing":
        troubles.append("no torch-fidelity: Inception features cannot be computed; pip install 'teachlib[inception]'")
    if not os.access(".", os.W_OK):
        troubles.append("this folder is not writable: runs cannot be saved here; pass --out")
    if shutil.disk_usage(".").free < 2**30:
        troubles.append("less than 1 GiB of disk left: checkpoints may not fit")
    for name in zoo.names():
        try:
            zoo.read(name)
        except TeachlibError as error:
            troubles.append(str(error))
    return troubles


def _out_of_memory(error: Exception) -> bool:
    """Whether this is what torch raises when the machine, or an address, has no room: it has no class for that."""
    words = ("can't allocate memory", "not enough memory", "Storage size calculation overflowed")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in str(error) for word in words)


def main() -> None:
    """Run the command line; a mistake of the user's prints one line and exits with 1."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that knows ASCII only shows ? for ×
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        sys.exit(app(standalone_mode=False))
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
    if int(os.environ.get("LOCAL_RANK", 0)) == 0:  # several processes make the same mistake: one says so
        print(f"teachlib: {mistake}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
