"""Train a model of strings, and open what was trained."""

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from teachlib import zoo
from teachlib.checkpoints import load_weights, part, read_checkpoint
from teachlib.errors import TeachlibError
from teachlib.rae.grammar.models import SequenceAutoencoder, SequenceObjective
from teachlib.rae.grammar.recipes import SequenceRecipe, from_dict
from teachlib.rae.grammar.strings import StringData, load
from teachlib.training import History, Schedule, fit


def train(
    recipe: SequenceRecipe,
    *,
    seed: int = 0,
    folder: str | Path | None = None,
    resume: bool = False,
    fabric: Fabric | None = None,
    log_every: int = 50,
    progress: bool = True,
) -> tuple[SequenceAutoencoder, History]:
    """Train one recipe from its set of strings.

    Args:
        recipe: what to train.
        seed: of weights, data order and noise.
        folder: for checkpoint and log; ``None`` writes nothing.
        resume: continue a run of the same settings.
        fabric: devices and precision, already launched.
        log_every: steps between lines of the history.
        progress: show a bar.

    Returns:
        The trained model in evaluation mode, and the history of its losses.

    Raises:
        TeachlibError: as :func:`teachlib.training.fit` and :func:`teachlib.rae.grammar.strings.load`.
    """
    torch.manual_seed(seed)
    model = SequenceAutoencoder(recipe)
    training = StringData(model.codec.encode(load(recipe.dataset, "train", limit=recipe.samples)))
    held_out = load(recipe.dataset, "validation", limit=max(100, recipe.samples // 10))
    schedule = Schedule(
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        seed=seed,
        log_every=log_every,
        plateau_patience=recipe.plateau_patience,
    )
    history = fit(
        SequenceObjective(model),
        training,
        schedule,
        folder=folder,
        resume=resume,
        validation=StringData(model.codec.encode(held_out)),
        fabric=fabric,
        settings={"chapter": "rae.grammar", "recipe": recipe.as_dict()},
        progress=progress,
    )
    return model, history


def open_run(path: str | Path) -> tuple[SequenceAutoencoder, dict[str, Any]]:
    """The model of a run's folder or checkpoint, on the CPU in evaluation mode, and the checkpoint's header.

    Raises:
        TeachlibError: no checkpoint, a damaged one, a pickle, or one of another recipe.
    """
    file = Path(path) / "checkpoint.safetensors" if Path(path).is_dir() else Path(path)
    tensors, header = read_checkpoint(file)
    if header.get("chapter") != "rae.grammar":
        raise TeachlibError(f"{file}: a checkpoint of another recipe, not of structured objects")
    return _filled(header["recipe"], part(tensors, "model"), file), header


def from_zoo(name: str, dataset: str) -> SequenceAutoencoder:
    """The zoo's trained model of a recipe, on the CPU in evaluation mode.

    Raises:
        TeachlibError: the zoo has no such model, or its file was altered.
    """
    tensors, card = zoo.read(f"{name}-{dataset}")
    return _filled(card["recipe"], tensors, f"{name}-{dataset}")


def _filled(values: dict[str, Any], tensors: dict[str, torch.Tensor], source: str | Path) -> SequenceAutoencoder:
    model = SequenceAutoencoder(from_dict(values))
    for name, net in (("encoder", model.encoder), ("decoder", model.decoder)):
        load_weights(net, part(tensors, name), source=source)
    return model.eval()
