"""Train a recipe of the chapter, and open what was trained."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from teachlib import data, zoo
from teachlib.checkpoints import load_weights, part, read_checkpoint
from teachlib.errors import TeachlibError
from teachlib.gmmvae.models import CNN, GMMVAE, MagNet, Model, build
from teachlib.gmmvae.objectives import ClassifierObjective, MagNetObjective, MixtureObjective, few_labels
from teachlib.gmmvae.recipes import Recipe, from_dict, image_size
from teachlib.scale import Scale
from teachlib.training import History, Objective, Schedule, fit


def load(dataset: str, split: str, *, scale: str | Scale | None = None, limit: int | None = None) -> data.ImageData:
    """A split at the size that this chapter's networks take; see :func:`teachlib.gmmvae.recipes.image_size`.

    Raises:
        TeachlibError: as :func:`teachlib.data.load`.
    """
    return data.load(dataset, split, size=image_size(dataset, Scale.of(scale)), limit=limit)


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
) -> tuple[Model, History]:
    """Train one recipe from its data set.

    Args:
        recipe: what to train.
        seed: of weights, data order, noise, and of which labels are known.
        folder: for checkpoint and log; ``None`` writes nothing.
        resume: continue a run of the same settings.
        fabric: devices and precision, already launched.
        limit: only the first so many training images.
        log_every: steps between lines of the history.
        progress: show a bar.

    Returns:
        The trained model in evaluation mode, and the history of its losses.

    Raises:
        TeachlibError: as :func:`teachlib.training.fit` and :func:`teachlib.data.load`.
    """
    training = load(recipe.dataset, "train", scale=recipe.scale, limit=limit)
    validation = load(recipe.dataset, "validation", scale=recipe.scale, limit=limit)
    torch.manual_seed(seed)
    model = build(recipe)
    schedule = Schedule(
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        seed=seed,
        log_every=log_every,
        plateau_patience=recipe.plateau_patience,
    )
    history = fit(
        _objective(model, training, seed),
        training,
        schedule,
        folder=folder,
        resume=resume,
        validation=validation,
        fabric=fabric,
        settings={"chapter": "gmmvae", "recipe": recipe.as_dict(), "limit": limit},
        progress=progress,
    )
    return model, history


def _objective(model: Model, training: data.ImageData, seed: int) -> Objective:
    if isinstance(model, CNN):
        return ClassifierObjective(model)
    if isinstance(model, MagNet):
        return MagNetObjective(model)
    count = model.recipe.labels_per_class
    return MixtureObjective(model, None if count is None else few_labels(training, count, seed))


def _parts(model: Model) -> dict[str, torch.nn.Module]:
    """The networks under the names that training gave them."""
    if isinstance(model, CNN):
        return {"classifier": model}
    own: dict[str, torch.nn.Module] = {"encoder": model.encoder, "decoder": model.decoder}
    return own if isinstance(model, GMMVAE) else {"classifier": model.classifier, **own}


def open_run(path: str | Path) -> tuple[Model, dict[str, Any]]:
    """The model of a run's folder or checkpoint, on the CPU in evaluation mode, and the checkpoint's header.

    Raises:
        TeachlibError: no checkpoint, a damaged one, a pickle, or one of another chapter's recipe.
    """
    file = Path(path) / "checkpoint.safetensors" if Path(path).is_dir() else Path(path)
    tensors, header = read_checkpoint(file)
    if header.get("chapter") != "gmmvae":
        raise TeachlibError(f"{file}: a checkpoint of another recipe, not of the GMM-VAE chapter's")
    model = build(from_dict(header["recipe"]))
    for name, net in _parts(model).items():
        load_weights(net, part(tensors, f"model.{name}"), source=file)
    return model.eval(), header


def from_zoo(name: str, dataset: str) -> Model:
    """The zoo's trained model of a recipe, on the CPU in evaluation mode.

    Args:
        name: of the recipe.
        dataset: it was trained on.

    Raises:
        TeachlibError: the zoo has no such model, or its file was altered.
    """
    tensors, card = zoo.read(f"{name}-{dataset}")
    model = build(from_dict(card["recipe"]))
    for part_name, net in _parts(model).items():
        load_weights(net, part(tensors, part_name), source=f"{name}-{dataset}")
    return model.eval()
