"""Our StyleGAN2 beside a public one with the same weights: the pictures' and logits' greatest difference, and speed.

    python -m benchmarks.stylegan2_peer --peer PATH

PATH is a checkout of rosinality/stylegan2-pytorch or NVlabs/stylegan2-ada-pytorch. Both run on the CPU here, by their
own fallbacks; nothing of them is in this repository.
"""

import argparse
import importlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from teachlib.gif.importing import discriminator_from, generator_from
from teachlib.primer.gan import discriminator_loss, generator_loss

SIZES, SEED, BATCH = (32, 64, 128), 0, 4


def rosinality(checkout: Path, size: int) -> tuple[nn.Module, nn.Module, Callable[..., Any]]:
    """Its generator, discriminator, and how the first is called; without its kernels, which only a GPU can use."""
    from torch.utils import cpp_extension

    cpp_extension.load = lambda *_, **__: None  # type: ignore[assignment]
    sys.path.insert(0, str(checkout))
    model = importlib.import_module("model")
    generator = model.Generator(size, 512, 8, channel_multiplier=1)
    return generator, model.Discriminator(size, channel_multiplier=1), lambda z, noise: generator([z], noise=noise)[0]


def ada(checkout: Path, size: int) -> tuple[nn.Module, nn.Module, Callable[..., Any]]:
    """Its generator, discriminator, and how the first is called, with the noise that it keeps."""
    sys.path.insert(0, str(checkout))
    networks = importlib.import_module("training.networks")
    narrow = {"channel_base": 16_384}
    generator = networks.Generator(512, 0, 512, size, 3, {"num_layers": 8}, narrow)
    discriminator = networks.Discriminator(0, size, 3, channel_base=16_384)
    return generator, discriminator, lambda z, noise: generator(z, None, noise_mode="const")


def randomized(net: nn.Module) -> nn.Module:
    """With biases and strengths that are not zero, so that none can be forgotten unseen."""
    with torch.no_grad():
        for name, weight in net.named_parameters():
            if name.endswith(("bias", "noise.weight", "noise_strength")):
                weight.add_(0.1 * torch.randn_like(weight))
    return net.eval()


def compare(peer: Callable[..., tuple[nn.Module, nn.Module, Callable[..., Any]]], checkout: Path, size: int) -> None:
    """Print the greatest differences at one size."""
    torch.manual_seed(SEED)
    theirs, their_judge, call = peer(checkout, size)
    randomized(theirs), randomized(their_judge)
    ours, noise = generator_from(theirs.state_dict())
    our_judge = discriminator_from(their_judge.state_dict())
    z = torch.randn(8, 512)
    with torch.no_grad():
        expected, pictures = call(z, noise), ours(z, noise=noise)
        logits = their_judge(expected, None) if peer is ada else their_judge(expected)
        judged = our_judge(expected)
    apart, scale = (pictures - expected).abs().max(), expected.std()
    print(f"{size}²: pictures differ by at most {apart:.2e} (their deviation {scale:.2f}), ", end="")
    print(f"logits by {(judged - logits.flatten()).abs().max():.2e} (of {logits.abs().mean():.2f})")


def seconds(draw: Callable[[Tensor], Tensor], judge: Callable[[Tensor], Tensor], nets: list[nn.Module]) -> float:
    """One step of both networks without penalties: the median of 3."""
    optimizers = [torch.optim.Adam(net.train().parameters(), 1e-3, (0.0, 0.99)) for net in nets]
    z, real = torch.randn(BATCH, 512), torch.randn(BATCH, 3, 64, 64)
    times = []
    for _ in range(4):
        start = time.perf_counter()
        with torch.no_grad():
            generated = draw(z)
        for optimizer, loss in (
            (optimizers[1], lambda: discriminator_loss(judge(real), judge(generated))),  # noqa: B023
            (optimizers[0], lambda: generator_loss(judge(draw(z)))),
        ):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def race(peer: Callable[..., tuple[nn.Module, nn.Module, Callable[..., Any]]], checkout: Path) -> None:
    """Print seconds of a training step at 64², theirs and ours, with the same weights."""
    theirs, their_judge, call = peer(checkout, 64)
    ours, noise = generator_from(theirs.state_dict())
    our_judge = discriminator_from(their_judge.state_dict())
    judge = (lambda x: their_judge(x, None)) if peer is ada else their_judge
    slow = seconds(lambda z: call(z, noise), lambda x: judge(x).flatten(), [theirs, their_judge])
    for net in (ours, our_judge):
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # as fit does
    fast = seconds(lambda z: ours(z, noise=noise), our_judge, [ours, our_judge])
    print(f"a training step at 64², batch {BATCH}: theirs {slow:.2f} s, ours {fast:.2f} s, {slow / fast:.2f}×")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stylegan2_peer", description=__doc__.splitlines()[0])
    parser.add_argument("--peer", type=Path, required=True, help="checkout of a public StyleGAN2")
    checkout = parser.parse_args().peer
    peer = ada if (checkout / "training" / "networks.py").exists() else rosinality
    if peer is rosinality and not (checkout / "model.py").exists():
        parser.error(f"{checkout} holds neither model.py nor training/networks.py")
    warnings.filterwarnings("ignore")
    print(f"beside {peer.__name__}, {torch.get_num_threads()} threads")
    for size in SIZES:
        compare(peer, checkout, size)
    race(peer, checkout)


if __name__ == "__main__":
    main()
