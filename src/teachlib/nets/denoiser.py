"""Networks that look at a noisy sample and a time: for vectors, and a small U-Net for images."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_at_least, require_divisible, require_input, require_labels
from teachlib.nets.mlp import mlp

FREQUENCIES = 16


def embed_time(t: Tensor) -> Tensor:
    """Sines and cosines of a time in [0, 1] at octaves: (N,) → (N, 2·FREQUENCIES)."""
    angle = t[:, None] * math.pi / 2 * 2 ** torch.linspace(0, 8, FREQUENCIES, device=t.device)
    return torch.cat([angle.sin(), angle.cos()], 1)


class VectorDenoiser(nn.Module):
    """Fully connected, with time and class appended.

    Args:
        dim: of the vectors.
        width: of three hidden layers.
        classes: number of classes; 0 for none. Label ``classes`` stands for "no class".

    Shapes: (N, dim), times (N,) in [0, 1], labels (N,) → (N, dim).
    """

    def __init__(self, dim: int, *, width: int = 128, classes: int = 0) -> None:
        super().__init__()
        self.dim, self.classes = dim, classes
        self.net = mlp(dim + 2 * FREQUENCIES + (classes + 1 if classes else 0), width, width, width, dim)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Whatever it is trained to say of ``x`` at time ``t``.

        Raises:
            TeachlibError: vectors of another shape or precision; labels that are none.
        """
        require_input(self, x, (self.dim,), what="vectors")
        parts = [x, embed_time(t)]
        if self.classes:
            parts.append(F.one_hot(_named(labels, self.classes, len(x)), self.classes + 1).to(x))
        return self.net(torch.cat(parts, 1))


def _named(labels: Tensor | None, classes: int, count: int) -> Tensor:
    if labels is None:
        raise TeachlibError(f"this network is conditional: pass labels, ({count},), with {classes} for no class")
    return require_labels(labels, classes + 1, count=count)


class _Block(nn.Module):
    """Two convolutions around a residual connection; time and class scale and shift between them."""

    def __init__(self, before: int, after: int, condition: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = nn.GroupNorm(8, before), nn.GroupNorm(8, after)
        self.conv_1, self.conv_2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.condition = nn.Linear(condition, 2 * after)
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        features = self.conv_1(F.silu(self.norm_1(x)))
        scale, shift = self.condition(condition)[..., None, None].chunk(2, 1)
        return self.skip(x) + self.conv_2(F.silu(self.norm_2(features) * (1 + scale) + shift))


class ImageDenoiser(nn.Module):
    """A U-Net: down by halves, up again, each resolution joined to its equal (after Ho, Jain & Abbeel, 2020).

    Args:
        channels: of the images.
        width: channels at full resolution, a multiple of 8; doubled at each halving.
        depth: halvings; the side must be divisible by 2 to this power.
        classes: number of classes; 0 for none. Label ``classes`` stands for "no class".

    Shapes: (N, C, H, W), times (N,) in [0, 1], labels (N,) → (N, C, H, W).

    Raises:
        TeachlibError: another width.
    """

    def __init__(self, *, channels: int = 1, width: int = 32, depth: int = 2, classes: int = 0) -> None:
        super().__init__()
        if width < 8 or width % 8:
            raise TeachlibError(f"width {width}; expected a multiple of 8, as channels are normalized in eight groups")
        require_at_least(0, depth=depth, classes=classes)
        self.channels, self.classes, self.depth, condition = channels, classes, depth, 4 * width
        self.time = mlp(2 * FREQUENCIES, condition, condition)
        self.label = nn.Embedding(classes + 1, condition) if classes else None
        widths = [width * 2**level for level in range(depth + 1)]
        self.enter = nn.Conv2d(channels, width, 3, padding=1)
        self.down = nn.ModuleList(_Block(widths[max(i - 1, 0)], widths[i], condition) for i in range(depth + 1))
        self.middle = _Block(widths[-1], widths[-1], condition)
        self.up = nn.ModuleList(
            _Block(widths[i] + widths[min(i + 1, depth)], widths[i], condition) for i in reversed(range(depth + 1))
        )
        self.leave = nn.Sequential(nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, channels, 3, padding=1))
        nn.init.zeros_(self.leave[-1].weight)  # type: ignore[arg-type]

    def forward(self, x: Tensor, t: Tensor, labels: Tensor | None = None) -> Tensor:
        """Whatever it is trained to say of ``x`` at time ``t``.

        Raises:
            TeachlibError: images of another shape or precision; sides that cannot be halved so often; labels that are
                none.
        """
        require_input(self, x, (self.channels, -1, -1))
        require_divisible(x.shape[2:], 2**self.depth)
        condition = self.time(embed_time(t))
        if self.label is not None:
            condition = condition + self.label(_named(labels, self.classes, len(x)))
        x, seen = self.enter(x), []
        for number, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if number else x, condition)
            seen.append(x)
        x = self.middle(x, condition)
        for number, block in enumerate(self.up):
            x = F.interpolate(x, scale_factor=2.0) if number else x
            x = block(torch.cat([x, seen.pop()], 1), condition)
        return self.leave(x)
