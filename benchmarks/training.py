"""Training throughput of ``fit`` beside pythae's trainer: the same nets, images, batch size and machine."""

import contextlib
import io
import logging
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from benchmarks.peers import install
from benchmarks.table import Row
from teachlib import data
from teachlib.rae.models import Autoencoder, AutoencoderObjective
from teachlib.rae.penalties import penalty_of_output
from teachlib.rae.recipes import recipe
from teachlib.training import Schedule, fit, make_fabric

IMAGES, EPOCHS, BATCH, WIDTH, REPEATS = 2000, 2, 100, 16, 5


def ours(model: Autoencoder, images: data.ImageData) -> float:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        fit(
            AutoencoderObjective(model),
            images,
            Schedule(steps=EPOCHS * IMAGES // BATCH, batch_size=BATCH),
            folder=folder,
            fabric=make_fabric(accelerator="cpu"),
        )
        return time.perf_counter() - start


def peer(model: Autoencoder, images: data.ImageData) -> float:
    """pythae's model and trainer of the same name, the same rate; its final save is timed, as ours.

    It has no RAE-SN: there its plain AE trains a decoder with torch's own spectral norm. Its RAE-GP differentiates the
    reconstruction by the images, not by the codes: another quantity, by the same kind of work.
    """
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, RAE_GP, RAE_L2, AEConfig, RAE_GP_Config, RAE_L2_Config
    from pythae.trainers import (
        BaseTrainer,
        BaseTrainerConfig,
        CoupledOptimizerTrainer,
        CoupledOptimizerTrainerConfig,
    )

    from benchmarks import pythae_nets

    x, y = images[:]
    kinds = {"rae-gp": (RAE_GP, RAE_GP_Config), "rae-l2": (RAE_L2, RAE_L2_Config)}
    kind, settings = kinds.get(model.recipe.name, (AE, AEConfig))
    config = settings(input_dim=images.shape, latent_dim=model.recipe.latent)
    wrapped = kind(config, pythae_nets.Encoder(model.encoder), pythae_nets.Decoder(model.decoder))
    if model.recipe.name == "rae-sn":  # pythae pickles its nets, which parametrized layers refuse: weights alone
        wrapped.save = lambda dir_path: torch.save(wrapped.state_dict(), f"{dir_path}.pt")
    rate = model.recipe.learning_rate
    with tempfile.TemporaryDirectory() as folder:
        common = {"output_dir": folder, "per_device_train_batch_size": BATCH, "num_epochs": EPOCHS, "no_cuda": True}
        if kind is RAE_L2:
            numbers = CoupledOptimizerTrainerConfig(
                **common,
                encoder_learning_rate=rate,
                decoder_learning_rate=rate,
                decoder_optimizer_params={"weight_decay": model.recipe.lambda_},
            )
            trainer = CoupledOptimizerTrainer(wrapped, BaseDataset(x, y), training_config=numbers)
        else:
            numbers = BaseTrainerConfig(**common, learning_rate=rate)
            trainer = BaseTrainer(wrapped, BaseDataset(x, y), training_config=numbers)
        start = time.perf_counter()
        trainer.train()
        return time.perf_counter() - start


def _built(name: str, *, for_peer: bool) -> Autoencoder:
    """The recipe's model, with the gradient penalty in every update; for the peer, spectrally normalized by torch."""
    torch.manual_seed(0)
    chosen = replace(recipe(name, width=WIDTH, scale="laptop"), gradient_share=1.0)
    if not (for_peer and chosen.spectral):
        return Autoencoder(chosen)
    model = Autoencoder(replace(chosen, spectral=False))
    for layer in list(model.decoder.modules()):
        if isinstance(layer, nn.Linear | nn.ConvTranspose2d):
            nn.utils.parametrizations.spectral_norm(layer)
    return model


def memory(kind: str) -> float:
    """What Linux says of this process in MiB: ``VmRSS``, held now, or ``VmHWM``, the most that was held."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(kind))
    return int(line.split()[1]) / 1024


def memory_from_here() -> float:
    """Forget the most that was held so far, and return what is held now, in MiB."""
    Path("/proc/self/clear_refs").write_text("5")  # proc(5)
    return memory("VmRSS")


def timed(train: Callable[[Autoencoder, data.ImageData], float], name: str, threads: int) -> tuple[float, float]:
    """Seconds and MiB that one training from the same start took, without its progress bar and its log."""
    install("pythae")
    torch.set_num_threads(threads)
    logging.disable(logging.INFO)
    model, images = _built(name, for_peer=train is peer), data.load("glyphs", "train", limit=IMAGES)
    model(images[:BATCH][0])  # what the libraries hold anyway is not the training's
    before = memory_from_here()
    with contextlib.redirect_stderr(io.StringIO()):
        seconds = train(model, images)
    return seconds, memory("VmHWM") - before


def run(name: str = "ae") -> Row:
    """Throughput and memory of one recipe's training beside pythae's."""
    what = f"training, {name} of width {WIDTH}, batch {BATCH}, float32"
    obstacle = install("pythae")
    if obstacle:
        return Row(what, "", obstacle)
    found: dict[str, list[tuple[float, float]]] = {"ours": [], "peer": []}
    for _ in range(REPEATS):
        for side, train in (("ours", ours), ("peer", peer)):
            # A process each, as in use: what one does to the allocator of memory must not help or harm the other.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                found[side].append(process.submit(timed, train, name, torch.get_num_threads()).result())
    rate = {side: EPOCHS * IMAGES / statistics.median(s for s, _ in runs) for side, runs in found.items()}
    peak = {side: statistics.median(m for _, m in runs) for side, runs in found.items()}
    texts = {side: f"{rate[side]:.0f} images/s, {peak[side]:.0f} MiB" for side in found}
    return Row(what, texts["ours"], f"pythae 0.1.2 {texts['peer']}", rate["ours"] / rate["peer"])


def step_memory(method: str, threads: int) -> tuple[float, float]:
    """Seconds a step and MiB of descending one kind of gradient penalty at batch 100, with the images' own loss."""
    torch.set_num_threads(threads)
    model, x = _built("rae", for_peer=False), data.load("glyphs", "train", limit=BATCH)[:][0]
    optimizer = AutoencoderObjective(model).optimizers()["autoencoder"]
    model(x)
    before, start = memory_from_here(), 0.0
    for step in range(6):
        if step == 1:
            start = time.perf_counter()
        z = model.encoder(x)
        output = model.decoder(z)
        loss = (output - x).square().flatten(1).sum(1).mean()
        loss = loss + 1e-3 * penalty_of_output(output, z, method=cast(Any, method))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    seconds = (time.perf_counter() - start) / 5
    return seconds, memory("VmHWM") - before


def penalties() -> Row:
    """Memory of Hutchinson's estimate beside the released quantity: the ratio is of memory, ours over theirs."""
    found = {}
    for method in ("hutchinson", "released"):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            found[method] = process.submit(step_memory, method, torch.get_num_threads()).result()
    texts = {method: f"{method} {1000 * s:.0f} ms, {mib:.0f} MiB" for method, (s, mib) in found.items()}
    ratio = found["hutchinson"][1] / found["released"][1]
    return Row(f"memory of a step with gradient penalty, batch {BATCH}", texts["hutchinson"], texts["released"], ratio)
