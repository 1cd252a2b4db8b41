"""Training of StyleGAN2 at 64² with one convolution for the batch, beside one group an image, from the same weights.

The grouped form is how the paper states it and how most public implementations compute it. Networks lie in memory as
``fit`` lays them. Beside a public checkout: ``python -m benchmarks.stylegan2_peer``.
"""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from unittest.mock import patch

import torch
from torch import Tensor, nn

from benchmarks.table import Row
from teachlib.gif import layers
from teachlib.gif.losses import (
    PATH_EVERY,
    PATH_WEIGHT,
    R1_EVERY,
    PathLength,
    lazy_adam,
    r1_gamma,
    r1_penalty,
)
from teachlib.gif.stylegan2 import Discriminator, Generator, StyleGAN2Config
from teachlib.primer.gan import discriminator_loss, generator_loss

SIZE, WIDTH, BATCH, STEPS = 64, 64, 8, 16  # one round of both penalties


def step(generator: Generator, discriminator: nn.Module, optimizers: list, number: int, draws: torch.Generator) -> None:
    """Both networks' updates, each with its penalty when it is due."""
    real = torch.rand(BATCH, 3, SIZE, SIZE, generator=draws) * 2 - 1

    def codes() -> Tensor:
        return generator.broadcast(generator.mapping(torch.randn(BATCH, WIDTH, generator=draws)))

    def pictures(w: Tensor) -> Tensor:
        return generator.synthesis(w, noise=generator.synthesis.draw_noise(BATCH, draws))

    def path() -> Tensor:
        w = codes()[: BATCH // 2]
        return PATH_EVERY * PATH_WEIGHT * PathLength().penalty(generator.synthesis(w), w, draws)

    def descend(optimizer: torch.optim.Optimizer, loss: Callable[[], Tensor]) -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    with torch.no_grad():
        generated = pictures(codes())
    descend(optimizers[0], lambda: discriminator_loss(discriminator(real), discriminator(generated)))
    if number % R1_EVERY == 0:
        descend(optimizers[0], lambda: R1_EVERY * r1_penalty(discriminator, real, r1_gamma(SIZE, BATCH)))
    descend(optimizers[1], lambda: generator_loss(discriminator(pictures(codes()))))
    if number % PATH_EVERY == 0:
        descend(optimizers[1], path)


def timed(grouped: bool, threads: int) -> float:
    """Seconds of a round of steps, after one that is not counted."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    config, draws = StyleGAN2Config.for_size(SIZE, width=WIDTH), torch.Generator().manual_seed(0)
    generator, discriminator = Generator(config), Discriminator(config)
    optimizers = []
    for net, every in ((discriminator, R1_EVERY), (generator, PATH_EVERY)):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        rate, betas = lazy_adam(0.0025, (0.0, 0.99), every)
        optimizers.append(torch.optim.Adam(net.parameters(), rate, betas, fused=True))
    convolution = layers.modulated_conv_grouped if grouped else layers.modulated_conv
    with patch.object(layers, "modulated_conv", convolution):
        step(generator, discriminator, optimizers, 0, draws)
        start = time.perf_counter()
        for number in range(STEPS):
            step(generator, discriminator, optimizers, number, draws)
        return time.perf_counter() - start


def run() -> Row:
    """Throughput of one round of steps, the median of three, each in a process of its own."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(3):
        for grouped in found:
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
                found[grouped].append(process.submit(timed, grouped, torch.get_num_threads()).result())
    rate = {grouped: STEPS * BATCH / statistics.median(times) for grouped, times in found.items()}
    what = f"training, StyleGAN2 {SIZE}² of width {WIDTH}, batch {BATCH}"
    return Row(what, f"{rate[False]:.1f} images/s", f"grouped {rate[True]:.1f} images/s", rate[False] / rate[True])
