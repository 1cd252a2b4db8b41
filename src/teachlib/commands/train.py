"""``teachlib train``."""

import os
import time
from pathlib import Path
from typing import Any

import torch

from teachlib import data
from teachlib.errors import TeachlibError
from teachlib.registry import chapter_of_recipe
from teachlib.scale import machine
from teachlib.training import History, make_fabric

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")  # weights stay float32: densities need their digits


def run(
    recipe: str,
    dataset: str | None,
    *,
    scale: str | None,
    seed: int,
    out: Path | None,
    resume: bool,
    devices: int,
    nodes: int,
    precision: str,
    tf32: bool,
    compile: bool,
    width: int | None,
    steps: int | None,
    size: int | None,
    grey: bool,
    logger: str | None,
    own: dict[str, Any],
) -> None:
    """Train a recipe; the command's options one by one.

    Args:
        recipe: its name.
        dataset: ``None``: the chapter's own.
        scale: of the recipe.
        seed: of weights, data order and noise.
        out: folder of the run; ``None``: below ``runs/``.
        resume: go on with the run that is there.
        devices: processes on each machine.
        nodes: machines.
        precision: of :data:`PRECISIONS`.
        tf32: coarser products on a GPU.
        compile: networks by ``torch.compile``.
        width: of the networks.
        steps: updates in all.
        size: side of a folder's pictures.
        grey: a folder's pictures in one channel.
        logger: besides the log file.
        own: the chapter's own options.

    Raises:
        TeachlibError: whatever is wrong with them.
    """
    chapter = chapter_of_recipe(recipe)
    pictures = _pictures(dataset or chapter.dataset, size, grey)
    chosen = chapter.recipe(recipe, pictures, scale=scale, width=width, steps=steps, **own)
    folder = out.expanduser() if out else Path("runs") / f"{data.short_name(pictures)}-{chapter.label(chosen)}-{seed}"
    _refuse_machine(devices, nodes, precision, tf32)
    places: dict[str, Any] = {"devices": devices, "nodes": nodes, "precision": precision, "tf32": tf32}
    fabric = make_fabric(**places, loggers=_loggers(logger, folder))
    if "LT_CLI_USED" not in os.environ:  # under 'fabric run' the processes exist already
        fabric.launch()
    if fabric.is_global_zero:
        if resume and not folder.exists():
            print(f"nothing to resume in {folder}; starting anew")
        print(f"{recipe} on {pictures}, scale {chosen.scale}, {chosen.steps} steps · {machine(fabric.device)}")
    started = time.perf_counter()
    try:
        kept: dict[str, Any] = {"seed": seed, "folder": folder, "resume": resume, "fabric": fabric}
        kept["longer"] = steps is not None  # whoever names a number of steps may change it
        _, history = chapter.train(chosen, **kept, compiler="inductor" if compile else None)
    except KeyboardInterrupt:  # before typer turns it into a silent exit
        raise TeachlibError(f"stopped; go on from the last checkpoint with --resume --out {folder}") from None
    if fabric.is_global_zero:
        print(f"done in {time.perf_counter() - started:.0f} s: {_last(history)}\n{folder / 'checkpoint.safetensors'}")


def _last(history: History) -> str:
    """The losses of the last line."""
    last = history.lines[-1] if history.lines else {}
    return ", ".join(f"{name} {value:.4g}" for name, value in last.items() if name != "step")


def _pictures(dataset: str, size: int | None, grey: bool) -> str:
    """The data set's name with the options that only a folder of pictures has."""
    if data.is_folder(dataset):
        return data.folder_name(dataset, size=size, grey=grey)
    if size is not None or grey:
        raise TeachlibError(
            f"{'--grey' if grey else '--size'} is for --dataset folder:PATH; leave it out for {dataset}"
        )
    return dataset


def _refuse_machine(devices: int, nodes: int, precision: str, tf32: bool) -> None:
    if precision not in PRECISIONS:
        raise TeachlibError(f"precision '{precision}'; expected one of {', '.join(PRECISIONS)}")
    if tf32 and not torch.cuda.is_available():
        raise TeachlibError("--tf32 is for CUDA's products, and PyTorch sees no CUDA here; leave it out")
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise TeachlibError(f"--devices {devices}, but this machine has {torch.cuda.device_count()} GPUs")
    if torch.backends.mps.is_available() and devices * nodes > 1:
        raise TeachlibError(
            f"--devices {devices} --nodes {nodes}, but MPS knows one GPU on one machine; leave them out"
        )
    if nodes > 1 and not {"TORCHELASTIC_RUN_ID", "SLURM_NTASKS", "LT_CLI_USED"} & os.environ.keys():
        raise TeachlibError(
            f"--nodes {nodes}: nobody has started processes on the other machines; use torchrun or srun, as the page "
            "'How to use this course' shows"
        )


def _loggers(name: str | None, folder: Path) -> list[Any]:
    if name is None:
        return []
    try:
        if name == "tensorboard":
            from lightning_fabric.loggers import TensorBoardLogger

            return [TensorBoardLogger(folder)]
        if name == "wandb":
            import wandb  # type: ignore[import-not-found, unused-ignore]

            try:
                wandb.init(dir=folder)
            except wandb.errors.Error as error:
                raise TeachlibError(f"--logger wandb: {' '.join(str(error).split())}") from None
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
