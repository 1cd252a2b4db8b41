"""Classical estimators of thesis chapter 1: histogram, Parzen window, kernels, vector quantization.

Each offers ``log_prob`` and ``sample``; none is trained by gradients.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from teachlib.distances import distances
from teachlib.errors import TeachlibError, require_as_many, require_labels, require_positive, unknown

CHUNK = 2**24  # numbers in the largest table of distances
MOST_CELLS = 2**24  # that torch can draw from


def _points(x: Tensor) -> Tensor:
    if x.ndim != 2 or not len(x):
        raise TeachlibError(f"samples of shape {tuple(x.shape)}; expected (N, d) with N of at least 1")
    if not x.isfinite().all():
        raise TeachlibError("samples that are not finite; look for NaN in the data")
    return x


def _centres(x: Tensor) -> Tensor:
    """Samples that distances are taken to."""
    if _points(x).dtype not in (torch.float32, torch.float64):
        raise TeachlibError(f"samples of {x.dtype}; expected torch.float32 or torch.float64")
    return x


def _beside(x: Tensor, centres: Tensor) -> tuple[Tensor, Tensor]:
    """Points and centres, both in the finer of their precisions."""
    if x.ndim != 2 or x.shape[1] != centres.shape[1]:
        raise TeachlibError(f"points of shape {tuple(x.shape)}; expected (N, {centres.shape[1]}), as the samples")
    finer = torch.promote_types(x.dtype, centres.dtype)
    return x.to(finer), centres.to(finer)


class Histogram:
    """Counts in equal cells, re-scaled so that the whole integrates to one.

    Args:
        x: samples, (N, d).
        bins: cells an axis; there are binsᵈ in all.
        low: lower corner, the same for all axes; by default the smallest value.
        high: upper corner; by default the largest value.

    Raises:
        TeachlibError: no samples; no bins; more cells than fit into memory; samples outside [low, high].
    """

    def __init__(self, x: Tensor, *, bins: int, low: float | None = None, high: float | None = None) -> None:
        dim = _points(x).shape[1]
        if bins < 1 or bins**dim > MOST_CELLS:
            raise TeachlibError(f"{bins} bins on each of {dim} axes; expected at least one and {MOST_CELLS:,} in all")
        self.low = x.min().item() if low is None else low
        self.high = x.max().item() if high is None else high
        if self.high <= self.low:
            raise TeachlibError(f"low {self.low:g} and high {self.high:g} leave no room for cells; choose low < high")
        if x.min() < self.low or x.max() > self.high:
            raise TeachlibError(f"samples outside [{self.low:g}, {self.high:g}]; widen low and high")
        self.bins, self.dim, self.width = bins, dim, (self.high - self.low) / bins
        self.counts = torch.bincount(self._cell(x), minlength=bins**dim)

    def _cell(self, x: Tensor) -> Tensor:
        index = ((x - self.low) / self.width).floor().long().clamp(0, self.bins - 1)
        powers = self.bins ** torch.arange(self.dim - 1, -1, -1)
        return (index * powers).sum(1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log(count / (N · cell volume)) in nats, (N, d) → (N,); −∞ in empty cells and outside."""
        if _points(x).shape[1] != self.dim:
            raise TeachlibError(f"points of {x.shape[1]} coordinates; this histogram has {self.dim}")
        x = x.to(torch.promote_types(x.dtype, torch.float32))  # half a precision moves the borders
        inside = ((x >= self.low) & (x <= self.high)).all(1)
        density = self.counts[self._cell(x)].to(x.dtype) / (self.counts.sum() * self.width**self.dim)
        return torch.where(inside, density, 0).log()

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """A cell by its frequency, then a uniform point in it: (count, d)."""
        cell = torch.multinomial(self.counts.double(), count, replacement=True, generator=generator)
        powers = self.bins ** torch.arange(self.dim - 1, -1, -1)
        corner = (cell[:, None] // powers) % self.bins
        return self.low + (corner + torch.rand(count, self.dim, generator=generator)) * self.width


class KernelDensity:
    """The average of one kernel a sample (Rosenblatt, 1956; Parzen, 1962).

    Args:
        x: samples, (N, d), the centres.
        bandwidth: h: half a side of the box, or the Gaussian's standard deviation.
        kernel: ``"box"`` is Parzen's window, uniform on a cube; ``"gaussian"`` is smooth.

    Raises:
        TeachlibError: no samples, or a bandwidth that is not positive.
    """

    def __init__(self, x: Tensor, *, bandwidth: float, kernel: Literal["box", "gaussian"] = "gaussian") -> None:
        if kernel not in ("box", "gaussian"):
            raise unknown("kernel", kernel, ("box", "gaussian"))
        require_positive(bandwidth=bandwidth)
        self.centres, self.bandwidth, self.kernel = _centres(x), bandwidth, kernel

    def _log_kernel(self, x: Tensor) -> Tensor:
        """log of the kernel of each centre at each point, (N, number of centres)."""
        x, centres = _beside(x, self.centres)
        dim = x.shape[1]
        if self.kernel == "box":
            inside = torch.cdist(x, centres, p=math.inf) <= self.bandwidth
            return inside.to(x.dtype).log() - dim * math.log(2 * self.bandwidth)
        squared = distances(x, centres).square()
        return -squared / (2 * self.bandwidth**2) - 0.5 * dim * math.log(2 * math.pi * self.bandwidth**2)

    def log_prob(self, x: Tensor) -> Tensor:
        """log of the mean kernel in nats, (N, d) → (N,).

        Raises:
            TeachlibError: points of another shape.
        """
        x, _ = _beside(x, self.centres)
        rows = max(CHUNK // len(self.centres), 1)
        parts = [torch.logsumexp(self._log_kernel(chunk), 1) for chunk in x.split(rows)]
        return torch.cat(parts) - math.log(len(self.centres))

    def leave_one_out(self) -> Tensor:
        """log-density at each centre by all the others, (N,): an honest score of the bandwidth without other data."""
        count = len(self.centres)
        if count < 2:
            raise TeachlibError("one sample; leaving it out leaves none")
        parts = []
        for start in range(0, count, rows := max(CHUNK // count, 1)):
            kernel = self._log_kernel(self.centres[start : start + rows])
            kernel[torch.arange(len(kernel)), torch.arange(start, start + len(kernel))] = -math.inf
            parts.append(torch.logsumexp(kernel, 1))
        return torch.cat(parts) - math.log(count - 1)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """A centre by chance, then a draw from its kernel: (count, d)."""
        chosen = self.centres[torch.randint(len(self.centres), (count,), generator=generator)]
        if self.kernel == "box":
            return chosen + self.bandwidth * (2 * torch.rand(chosen.shape, generator=generator) - 1)
        return chosen + self.bandwidth * torch.randn(chosen.shape, generator=generator)


def best_bandwidth(x: Tensor, candidates: list[float], *, kernel: Literal["box", "gaussian"] = "gaussian") -> float:
    """The candidate of the largest mean leave-one-out log-density.

    Raises:
        TeachlibError: no candidates, or each gives some sample the density zero, as boxes that are too small do.
    """
    scores = [KernelDensity(x, bandwidth=h, kernel=kernel).leave_one_out().mean().item() for h in candidates]
    if not scores or max(scores) == -math.inf:
        raise TeachlibError(f"no bandwidth of {candidates} covers each sample by another one; try larger ones")
    return candidates[max(range(len(scores)), key=scores.__getitem__)]


def conditional_log_prob(x: Tensor, y: Tensor, at_x: Tensor, at_y: Tensor, *, bandwidth: float) -> Tensor:
    """log p(y | x) = log p(x, y) − log p(x), both by Gaussian kernels of one bandwidth, in nats.

    Args:
        x: conditions of the samples, (N, a).
        y: what goes with them, (N, b).
        at_x: where to evaluate, (M, a).
        at_y: (M, b).
        bandwidth: of both estimates.

    Raises:
        TeachlibError: another shape or precision than the samples', or not as many of both.
    """
    _beside(at_x, x)
    _beside(at_y, y)
    require_as_many(conditions=at_x, values=at_y)
    require_as_many(conditions=x, values=y)
    joint = KernelDensity(torch.cat([x, y], 1), bandwidth=bandwidth)
    marginal = KernelDensity(x, bandwidth=bandwidth)
    return joint.log_prob(torch.cat([at_x, at_y], 1)) - marginal.log_prob(at_x)


class VectorQuantizer:
    """A codebook by Lloyd's algorithm; as a density, one round Gaussian a code.

    Args:
        x: samples, (N, d).
        codes: size of the codebook.
        seed: of the first codes, samples chosen by k-means++.
        iterations: at most.

    Raises:
        TeachlibError: fewer samples than codes.

    Attributes:
        codebook: (codes, d).
        frequencies: share of the samples that each code stands for, (codes,).
        deviation: standard deviation, per axis, of a sample around its code.
    """

    def __init__(self, x: Tensor, *, codes: int, seed: int = 0, iterations: int = 100) -> None:
        if len(_centres(x)) < codes or codes < 1:
            raise TeachlibError(f"{len(x)} samples cannot fill {codes} codes; use more samples or fewer codes")
        self.codebook = _spread_out(x, codes, torch.Generator().manual_seed(seed))
        for _ in range(iterations):
            before = self.codebook
            self.codebook = _means(x, self.encode(x), before)
            if torch.equal(before, self.codebook):
                break
        assigned = self.encode(x)
        self.frequencies = torch.bincount(assigned, minlength=codes) / len(x)
        # Where each sample is a code of its own, a spread of nothing: no density has that.
        least = 1e-3 * x.std(unbiased=False).item()
        self.deviation = max((x - self.codebook[assigned]).square().mean().sqrt().item(), least)

    def encode(self, x: Tensor) -> Tensor:
        """The number of the nearest code: (N, d) → (N,).

        Raises:
            TeachlibError: points of another shape.
        """
        x, codebook = _beside(x, self.codebook)
        return torch.cat([distances(chunk, codebook).argmin(1) for chunk in x.split(max(CHUNK // len(codebook), 1))])

    def decode(self, code: Tensor) -> Tensor:
        """The code's place: (N,) → (N, d)."""
        return self.codebook[require_labels(code, len(self.codebook))]

    def distortion(self, x: Tensor) -> float:
        """Mean squared distance to the nearest code."""
        return (x - self.decode(self.encode(x))).square().sum(1).mean().item()

    def log_prob(self, x: Tensor) -> Tensor:
        """Of the mixture of Gaussians at the codes, weighted by their frequencies: (N, d) → (N,) in nats.

        Raises:
            TeachlibError: points of another shape.
        """
        x, codebook = _beside(x, self.codebook)
        variance = max(self.deviation**2, torch.finfo(x.dtype).tiny)
        squared = distances(x, codebook).square()
        constant = 0.5 * x.shape[1] * math.log(2 * math.pi * variance)
        return torch.logsumexp(self.frequencies.log() - squared / (2 * variance), 1) - constant

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """A code by its frequency, then noise around it: (count, d)."""
        code = torch.multinomial(self.frequencies, count, replacement=True, generator=generator)
        noise = torch.randn(count, self.codebook.shape[1], generator=generator)
        return self.decode(code) + self.deviation * noise


def _spread_out(x: Tensor, codes: int, generator: torch.Generator) -> Tensor:
    """k-means++ (Arthur & Vassilvitskii, 2007): each next code by its squared distance to the nearest earlier one."""
    chosen = [int(torch.randint(len(x), (1,), generator=generator))]
    squared = (x - x[chosen[0]]).square().sum(1)
    for _ in range(codes - 1):
        weights = squared if squared.sum() > 0 else torch.ones_like(squared)
        chosen.append(int(torch.multinomial(weights, 1, generator=generator)))
        squared = torch.minimum(squared, (x - x[chosen[-1]]).square().sum(1))
    return x[chosen]


def _means(x: Tensor, assigned: Tensor, codebook: Tensor) -> Tensor:
    """The mean of each code's samples; a code without samples stays where it is."""
    sums = torch.zeros_like(codebook).index_add_(0, assigned, x)
    counts = torch.bincount(assigned, minlength=len(codebook))[:, None]
    return torch.where(counts > 0, sums / counts, codebook)
