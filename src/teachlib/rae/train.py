"""Train a recipe of the chapter, and open what was trained."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from teachlib import data, zoo
from teachlib.checkpoints import load_weights, part, read_checkpoint
from teachlib.errors import TeachlibError
from teachlib.rae.models import Autoencoder, AutoencoderObjective
from teachlib.rae.recipes import Recipe, from_dict, like
from teachlib.training import History, Schedule, fit


def load(dataset: str, split: str, *, limit: int | None = None) -> data.ImageData:
    """A split at the size that this chapter's networks take: 64×64 pixels for CelebA, else 32×32.

    Raises:
        TeachlibError: as :func:`teachlib.data.load`; images of which the chapter has no network.
    """
    return data.load(dataset, split, size=64 if like(dataset) == "celeba" else 32, limit=limit)


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
) -> tuple[Autoencoder, History]:
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
        The trained autoencoder in evaluation mode, and the history of its losses.

    Raises:
        TeachlibError: as :func:`teachlib.training.fit` and :func:`teachlib.data.load`.
    """
    training, validation = load(recipe.dataset, "train", limit=limit), load(recipe.dataset, "validation", limit=limit)
    torch.manual_seed(seed)
    model = Autoencoder(recipe)
    schedule = Schedule(
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        seed=seed,
        log_every=log_every,
        plateau_patience=recipe.plateau_patience,
    )
    history = fit(
        AutoencoderObjective(model),
        training,
        schedule,
        folder=folder,
        resume=resume,
        validation=validation,
        fabric=fabric,
        settings={"chapter": "rae", "recipe": recipe.as_dict(), "limit": limit},
        progress=progress,
    )
    return model, history


def open_run(path: str | Path) -> tuple[Autoencoder, dict[str, Any]]:
    """The model of a run's folder or checkpoint, on the CPU in evaluation mode, and the checkpoint's header.

    Raises:
        TeachlibError: no checkpoint, a damaged one, a pickle, or one of another chapter's recipe.
    """
    file = Path(path) / "checkpoint.safetensors" if Path(path).is_dir() else Path(path)
    tensors, header = read_checkpoint(file)
    if header.get("chapter") != "rae":
        raise TeachlibError(f"{file}: a checkpoint of another recipe, not of the RAE chapter's")
    model = Autoencoder(from_dict(header["recipe"]))
    for name, net in (("encoder", model.encoder), ("decoder", model.decoder)):
        load_weights(net, part(tensors, f"model.{name}"), source=file)
    return model.eval(), header


def from_zoo(name: str, dataset: str) -> Autoencoder:
    """The zoo's trained model of a recipe, on the CPU in evaluation mode.

    Args:
        name: of the recipe.
        dataset: it was trained on.

    Raises:
        TeachlibError: the zoo has no such model, or its file was altered.
    """
    tensors, card = zoo.read(f"{name}-{dataset}")
    model = Autoencoder(from_dict(card["recipe"]))
    for part_name, net in (("encoder", model.encoder), ("decoder", model.decoder)):
        load_weights(net, part(tensors, part_name), source=f"{name}-{dataset}")
    return model.eval()
