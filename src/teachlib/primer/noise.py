"""Random numbers: drawn on the generator's device, moved to the model's.

So a generator of the CPU gives the same samples on every device, and the loop's own one, which lives on the device,
costs no transfer.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def normal(shape: Sequence[int], generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Standard normal numbers, float32."""
    return torch.randn(*shape, generator=generator, device=generator.device).to(device)


def uniform(shape: Sequence[int], generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Numbers of [0, 1), float32."""
    return torch.rand(*shape, generator=generator, device=generator.device).to(device)


def integers(low: int, high: int, count: int, generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Whole numbers low … high − 1, (count,)."""
    return torch.randint(low, high, (count,), generator=generator, device=generator.device).to(device)


def drawn(p: Tensor, generator: torch.Generator) -> Tensor:
    """One column of each row by its probability: (N, K) → (N, 1)."""
    return torch.multinomial(p.to(generator.device), 1, generator=generator).to(p.device)
