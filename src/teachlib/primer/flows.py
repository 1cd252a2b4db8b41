"""Normalizing flows (thesis §2.4.2): invertible steps with a cheap log-determinant, exact log p(x).

Every step maps data towards noise: ``forward`` returns z and log|det ∂z/∂x|, ``inverse`` the x of a z.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, distributed, nn

from teachlib.errors import TeachlibError, at_hand, require_input, unknown
from teachlib.nets import mlp
from teachlib.primer import noise


class Step(nn.Module, ABC):
    """One invertible map.

    ``context``, (N, c) or ``None``, conditions it.
    """

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z and log|det ∂z/∂x|: (N, …) → (N, …), (N,)."""

    @abstractmethod
    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The x that :meth:`forward` maps to z."""


# ---------------------------------------------------------------------------------------------------- vectors


class Coupling(Step):
    """Half of the coordinates pass and decide how the others are transformed (Dinh, Sohl-Dickstein & Bengio, 2017).

    Args:
        dim: of x, at least 2.
        swap: which half passes.
        kind: ``"affine"``: x·exp(s) + t; ``"spline"``: a monotone rational-quadratic spline (Durkan et al., 2019).
        width: of the network's two hidden layers.
        context: dimension of the condition.
    """

    def __init__(
        self, dim: int, *, swap: bool, kind: Literal["affine", "spline"] = "affine", width: int = 64, context: int = 0
    ) -> None:
        super().__init__()
        if kind not in ("affine", "spline"):
            raise unknown("coupling", kind, ("affine", "spline"))
        if dim < 2:
            raise TeachlibError(f"dim={dim}; a coupling needs two coordinates or more")
        self.passes = dim // 2
        self.swap, self.kind = swap, kind
        moved = dim - self.passes
        if swap:
            self.passes, moved = moved, self.passes
        self.per_coordinate = 2 if kind == "affine" else 3 * BINS - 1
        # ReLU bends sharply: on the ring, smooth activations leave twice as much above the entropy.
        self.net = mlp(self.passes + context, width, width, moved * self.per_coordinate, activation=nn.ReLU)
        # A step that starts as the identity: deep stacks train from the first batch on.
        nn.init.zeros_(self.net[-1].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.net[-1].bias)  # type: ignore[arg-type]

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What passes, and what is moved."""
        cut = x.shape[1] - self.passes if self.swap else self.passes
        first, second = x[:, :cut], x[:, cut:]
        return (second, first) if self.swap else (first, second)

    def _join(self, passed: Tensor, moved: Tensor) -> Tensor:
        return torch.cat([moved, passed] if self.swap else [passed, moved], 1)

    def _settings(self, passed: Tensor, context: Tensor | None) -> Tensor:
        given = passed if context is None else torch.cat([passed, context], 1)
        return self.net(given).unflatten(1, (-1, self.per_coordinate))

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As in :class:`Step`."""
        passed, moved = self._parts(x)
        settings = self._settings(passed, context)
        if self.kind == "spline":
            moved, log_slope = spline(moved, settings)
        else:
            log_slope, shift = _bounded(settings)
            moved = moved * log_slope.exp() + shift
        return self._join(passed, moved), log_slope.sum(1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As in :class:`Step`."""
        passed, moved = self._parts(z)
        settings = self._settings(passed, context)
        if self.kind == "spline":
            return self._join(passed, spline(moved, settings, inverse=True)[0])
        log_slope, shift = _bounded(settings)
        return self._join(passed, (moved - shift) * (-log_slope).exp())


def _bounded(settings: Tensor) -> tuple[Tensor, Tensor]:
    """Log-scales within ±3, so that no step explodes early in training, and shifts."""
    raw, shift = settings.unbind(-1)
    return 3 * torch.tanh(raw / 3), shift


BINS = 8
EDGE = 4.0  # outside [−EDGE, EDGE] a spline is the identity
SMALLEST = 1e-3  # bin, and slope


def spline(x: Tensor, settings: Tensor, *, inverse: bool = False) -> tuple[Tensor, Tensor]:
    """A monotone rational-quadratic spline, coordinate by coordinate (Gregory & Delbourgo, 1982; Durkan et al., 2019).

    Args:
        x: (N, d).
        settings: (N, d, 3·BINS − 1): raw widths, heights and inner slopes of the bins; zeros give the identity.
        inverse: go from values to arguments.

    Returns:
        The mapped x, (N, d), and the logarithm of the slope at it, (N, d).
    """
    raw_widths, raw_heights, raw_slopes = settings.split([BINS, BINS, BINS - 1], -1)
    left, widths = _knots(raw_widths)
    bottom, heights = _knots(raw_heights)
    # softplus(0 + shift) + SMALLEST = 1: zeros give slope one, as the identity outside has.
    # Written out, since ONNX's own softplus knows single precision alone.
    shifted = raw_slopes + math.log(math.expm1(1 - SMALLEST))
    inner = SMALLEST + torch.logaddexp(shifted, shifted.new_zeros(()))
    slopes = F.pad(inner, (1, 1), value=1.0)
    within = x.abs() < EDGE
    safe = torch.where(within, x, 0.0)
    edges = (bottom if inverse else left)[..., 1:]
    index = (safe[..., None] >= edges).sum(-1, keepdim=True)
    x0, y0, w, h, d0, d1 = (
        table.gather(-1, index)[..., 0] for table in (left, bottom, widths, heights, slopes[..., :-1], slopes[..., 1:])
    )
    result, log_slope = (_invert_bin if inverse else _apply_bin)(safe, x0, y0, w, h, d0, d1)
    return torch.where(within, result.clamp(-EDGE, EDGE), x), torch.where(within, log_slope, 0.0)


def _knots(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Left ends and sizes of the bins of [−EDGE, EDGE]."""
    sizes = 2 * EDGE * (SMALLEST + (1 - SMALLEST * BINS) * raw.softmax(-1))
    return F.pad(sizes.cumsum(-1)[..., :-1], (1, 0)) - EDGE, sizes


def _apply_bin(
    x: Tensor, x0: Tensor, y0: Tensor, w: Tensor, h: Tensor, d0: Tensor, d1: Tensor
) -> tuple[Tensor, Tensor]:
    t, s = ((x - x0) / w).clamp(0, 1), h / w  # rounding leaves the bin, where the formulas hold no longer
    below = s + (d0 + d1 - 2 * s) * t * (1 - t)
    y = y0 + h * (s * t**2 + d0 * t * (1 - t)) / below
    slope = s**2 * (d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2) / below**2
    return y, slope.log()


def _invert_bin(
    y: Tensor, x0: Tensor, y0: Tensor, w: Tensor, h: Tensor, d0: Tensor, d1: Tensor
) -> tuple[Tensor, Tensor]:
    """The root t of a quadratic a·t² + b·t + c, written so that nothing cancels."""
    s, rise = h / w, y - y0
    bend = d0 + d1 - 2 * s
    a, b, c = h * (s - d0) + rise * bend, h * d0 - rise * bend, -s * rise
    t = (2 * c / (-b - (b.square() - 4 * a * c).clamp_min(0).sqrt())).clamp(0, 1)
    x = x0 + t * w
    _, log_slope = _apply_bin(x, x0, y0, w, h, d0, d1)
    return x, -log_slope


def _over_processes(mean: Tensor) -> Tensor:
    """Of all processes: each has its own share of the batch, and all must start alike."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(mean)
        mean /= distributed.get_world_size()
    return mean


class Affine(Step):
    """One scale and shift a coordinate, set by the first batch to zero mean and unit variance: "actnorm" (Glow).

    Args:
        dim: coordinates, or channels of images.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.log_scale, self.shift = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))
        self.register_buffer("started", torch.tensor(False))
        self.started: Tensor

    @torch.no_grad()
    def _start(self, x: Tensor) -> None:
        axes = [0, *range(2, x.ndim)]
        own = x.cpu() if x.device.type == "mps" else x  # MPS knows no float64
        mean = _over_processes(own.double().mean(axes))
        centred = own.double() - mean.view(1, -1, *[1] * (x.ndim - 2))
        deviation = _over_processes(centred.square().mean(axes)).sqrt()
        # Whatever the unit; but where all values agree, up to rounding, there is nothing to bring to one.
        deviation = torch.where(deviation > 1e-8 * mean.abs(), deviation, 1.0)
        self.log_scale.copy_(-deviation.log())
        self.shift.copy_(-mean / deviation)
        self.started.fill_(True)

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As in :class:`Step`."""
        if self.training and not self.started and x.numel() > x.shape[1]:  # one number has no variance
            self._start(x)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        places = math.prod(x.shape[2:])  # of a channel
        z = x * self.log_scale.exp().view(shape) + self.shift.view(shape)
        return z, (self.log_scale.sum() * places).expand(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As in :class:`Step`."""
        shape = (1, -1) + (1,) * (z.ndim - 2)
        return (z - self.shift.view(shape)) * (-self.log_scale).exp().view(shape)


class Shuffle(Step):
    """A fixed random order of the coordinates; its log-determinant is zero.

    Args:
        dim: coordinates.
        seed: of the order.
    """

    def __init__(self, dim: int, *, seed: int) -> None:
        super().__init__()
        order = torch.randperm(dim, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("order", order)
        self.order: Tensor

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As in :class:`Step`."""
        return x[:, self.order], x.new_zeros(len(x))

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As in :class:`Step`."""
        return z[:, self.order.argsort()]


class Logit(Step):
    """Pixels in (0, 1) to the whole line: logit(α/2 + (1 − α)·x), its ends kept away from 0 and 1.

    Args:
        alpha: α, how much of the interval is given up.
    """

    def __init__(self, alpha: float = 0.02) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As in :class:`Step`."""
        p = self.alpha / 2 + (1 - self.alpha) * x
        slope = math.log(1 - self.alpha) - p.log() - (1 - p).log()
        return p.logit(), slope.flatten(1).sum(1)

    def inverse(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """As in :class:`Step`."""
        return ((z.sigmoid() - self.alpha / 2) / (1 - self.alpha)).clamp(0, 1 - 1e-6)


class Flow(nn.Module):
    """Steps from data to a standard normal z (thesis Eq 2.8).

    Args:
        steps: from data to noise.
        dim: of x.
        context: dimension of the condition; 0 for none.
    """

    def __init__(self, steps: Sequence[Step], dim: int, context: int = 0) -> None:
        super().__init__()
        self.steps, self.dim, self.context = nn.ModuleList(steps), dim, context

    def encode(self, x: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z of (N, d) and log|det ∂z/∂x| of (N,).

        Raises:
            TeachlibError: points of another shape or precision; no context, where one is needed; (checked on the CPU
                alone, where it costs nothing) points so far out that their z is no number.
        """
        z, log_det = self._encode(x, context)
        _refuse_overflow(x, z)
        return z, log_det

    def _encode(self, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor]:
        context = self._checked(x, context)
        total = x.new_zeros(len(x))
        for step in self.steps:
            x, log_det = step(x, context)
            total = total + log_det
        return x, total

    def _checked(self, x: Tensor, context: Tensor | None) -> Tensor | None:
        """The context, as numbers of the points' kind."""
        require_input(self, x, (self.dim,), what="points")
        if not self.context:
            return None
        if context is None or context.shape != (len(x), self.context):
            raise TeachlibError(f"this flow is conditional: pass a context of ({len(x)}, {self.context})")
        return context.to(x)

    def decode(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        """The x of a z; raises as :meth:`encode` does."""
        x, context = z, self._checked(z, context)
        for step in reversed(self.steps):
            x = step.inverse(x, context)  # type: ignore[operator]
        _refuse_overflow(z, x)
        return x

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """log p(x) in nats, exact: (N, d) → (N,)."""
        z, log_det = self.encode(x, context)
        return standard_normal_log_prob(z) + log_det

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, context: Tensor | None = None) -> Tensor:
        """Independent draws, (count, d)."""
        like = next(self.parameters())
        return self.decode(noise.normal((count, self.dim), generator, like.device).to(like.dtype), context)

    def loss(self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log p(x), in nats; a conditional flow takes the labels, (N, context), as its context.

        Where it is no number, the loop that trains says so: on all processes at once, whichever has seen it.
        """
        z, log_det = self._encode(x, labels if self.context else None)
        return -(standard_normal_log_prob(z) + log_det).mean()


def _refuse_overflow(given: Tensor, found: Tensor) -> None:
    """NaN would pass for a likelihood: where numbers outgrow their precision, infinity is taken from infinity."""
    if at_hand(found) and not found.isfinite().all():
        far = float(given.detach().abs().max())
        raise TeachlibError(
            f"points up to {far:g} from zero, of which this flow makes no finite numbers; scale them to about one first"
        )


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats: (N, …) → (N,)."""
    return -0.5 * (z.square() + math.log(2 * math.pi)).flatten(1).sum(1)


def coupling_flow(
    dim: int,
    *,
    layers: int = 6,
    kind: Literal["affine", "spline"] = "spline",
    width: int = 64,
    context: int = 0,
    pixels: bool = False,
) -> Flow:
    """Coupling steps whose halves alternate, with a scale before each, and a shuffle where there are many coordinates.

    Args:
        dim: of x.
        layers: couplings.
        kind: of coupling.
        width: of their networks.
        context: dimension of the condition.
        pixels: x are pixels in (0, 1): start with a logit.
    """
    if layers < 1:
        raise TeachlibError(f"{layers} layers; expected at least 1")
    steps: list[Step] = [Logit()] if pixels else []
    for layer in range(layers):
        steps.append(Affine(dim))
        steps.append(Coupling(dim, swap=layer % 2 == 1, kind=kind, width=width, context=context))
        if dim > 2:
            steps.append(Shuffle(dim, seed=layer))
    return Flow(steps, dim, context)
