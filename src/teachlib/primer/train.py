"""Train a recipe of the primer, and open what was trained."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from teachlib import data, zoo
from teachlib.checkpoints import load_weights, part, read_checkpoint
from teachlib.errors import TeachlibError
from teachlib.primer.images import ImageGAN
from teachlib.primer.recipes import Recipe, from_dict
from teachlib.training import History, Schedule, fit


def train(
    recipe: Recipe,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    fabric: Fabric | None = None,
    limit: int | None = None,
    log_every: int = 50,
    progress: bool = True,
) -> tuple[nn.Module, History]:
    """Train one recipe from its data set.

    Args:
        recipe: what to train.
        seed: of weights, data order and noise.
        folder: for checkpoint and log; ``None`` writes nothing.
        resume: continue a run of the same settings.
        fabric: devices and precision, already launched.
        limit: only the first so many training images.
        log_every: steps between lines of the history.
        progress: show a bar.

    Returns:
        The trained model of :mod:`teachlib.primer.images` in evaluation mode, and the history of its losses.

    Raises:
        TeachlibError: as :func:`teachlib.training.fit` and :func:`teachlib.data.load`.
    """
    training = data.load(recipe.dataset, "train", limit=limit)
    torch.manual_seed(seed)
    model = recipe.build(training)
    history = fit(
        recipe.objective(model),
        training,
        Schedule(steps=recipe.steps, batch_size=recipe.batch_size, seed=seed, log_every=log_every),
        folder=folder,
        resume=resume,
        # A game has no loss that would say how far it is.
        validation=None if isinstance(model, ImageGAN) else data.load(recipe.dataset, "validation", limit=limit),
        fabric=fabric,
        settings={"chapter": "primer", "recipe": recipe.as_dict(), "limit": limit},
        progress=progress,
    )
    return model.cpu(), history


def _filled(recipe: dict[str, Any], tensors: dict[str, torch.Tensor], source: str | Path) -> nn.Module:
    model = from_dict(recipe).build()
    if isinstance(model, ImageGAN):
        for name in ("generator", "discriminator"):
            load_weights(getattr(model, name), part(tensors, name), source=source)
    else:
        load_weights(model, part(tensors, "model"), source=source)
    return model.eval()


def open_run(path: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The model of a run's folder or checkpoint, on the CPU in evaluation mode, and the checkpoint's header.

    Raises:
        TeachlibError: no checkpoint, a damaged one, a pickle, or one of another chapter's recipe.
    """
    file = Path(path) / "checkpoint.safetensors" if Path(path).is_dir() else Path(path)
    tensors, header = read_checkpoint(file)
    if header.get("chapter") != "primer":
        raise TeachlibError(f"{file}: a checkpoint of another recipe, not of the primer's")
    return _filled(header["recipe"], part(tensors, "model"), file), header


def from_zoo(name: str, dataset: str = "digits") -> nn.Module:
    """The zoo's trained model of a recipe, on the CPU in evaluation mode.

    Raises:
        TeachlibError: the zoo has no such model, or its file was altered.
    """
    tensors, card = zoo.read(f"{name}-{dataset}")
    return _filled(card["recipe"], tensors, f"{name}-{dataset}")
