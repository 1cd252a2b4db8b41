"""Training throughput of ``fit`` beside pythae's trainer: the same nets, images, batch size and machine."""

import contextlib
import io
import logging
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from benchmarks.table import Row
from teachlib import data
from teachlib.rae.models import Autoencoder, AutoencoderObjective
from teachlib.rae.recipes import recipe
from teachlib.training import Schedule, fit, make_fabric

REQUIREMENTS = Path(__file__).parent / "requirements.txt"
PACKAGES = REQUIREMENTS.parents[1] / "_build" / "bench-packages"
IMAGES, EPOCHS, BATCH, WIDTH, REPEATS = 2000, 2, 100, 16, 5


def install_peer() -> str | None:
    """Make pythae importable without touching the environment; what stands in the way, if anything does."""
    if not (PACKAGES / "pythae").is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        done = subprocess.run([*command, "--target", PACKAGES, "-r", REQUIREMENTS], capture_output=True, text=True)
        if done.returncode:
            return f"no pythae: pip install --no-deps --target {PACKAGES} -r {REQUIREMENTS} failed; is there a network?"
    sys.path.append(str(PACKAGES))  # last, so that it replaces nothing of the environment
    return None


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
    """pythae's own loss for AE (the same sum of squares), Adam at the same rate; its final save is timed, as ours."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    from benchmarks import pythae_nets

    x, y = images[:]
    config = AEConfig(input_dim=images.shape, latent_dim=model.recipe.latent)
    wrapped = AE(config, pythae_nets.Encoder(model.encoder), pythae_nets.Decoder(model.decoder))
    with tempfile.TemporaryDirectory() as folder:
        numbers = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            num_epochs=EPOCHS,
            learning_rate=model.recipe.learning_rate,
            no_cuda=True,
        )
        start = time.perf_counter()
        BaseTrainer(wrapped, BaseDataset(x, y), training_config=numbers).train()
        return time.perf_counter() - start


def timed(train: Callable[[Autoencoder, data.ImageData], float], threads: int) -> float:
    """Seconds of one training from the same start, without its progress bar and its log."""
    install_peer()
    torch.set_num_threads(threads)
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    model = Autoencoder(recipe("ae", width=WIDTH, scale="laptop"))
    with contextlib.redirect_stderr(io.StringIO()):
        return train(model, data.load("glyphs", "train", limit=IMAGES))


def run() -> Row:
    what = f"training, AE of width {WIDTH}, batch {BATCH}, float32"
    obstacle = install_peer()
    if obstacle:
        return Row(what, "", obstacle)
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(REPEATS):
        for name, train in (("ours", ours), ("peer", peer)):
            # A process each, as in use: what one does to the allocator of memory must not help or harm the other.
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                seconds[name].append(process.submit(timed, train, torch.get_num_threads()).result())
    rate = {name: EPOCHS * IMAGES / statistics.median(times) for name, times in seconds.items()}
    return Row(
        what, f"{rate['ours']:.0f} images/s", f"pythae 0.1.2 {rate['peer']:.0f} images/s", rate["ours"] / rate["peer"]
    )
