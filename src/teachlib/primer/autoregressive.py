"""Autoregressive models (thesis §2.4.1): p(x) = ∏ p(xᵢ | x₁ … xᵢ₋₁), one network for all factors."""

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_input
from teachlib.primer import noise
from teachlib.primer.conditions import given, whole


class MaskedLinear(nn.Linear):
    """A linear layer, some of whose weights are held at zero.

    Args:
        mask: (outputs, inputs), true where information may pass.
    """

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float())

    def forward(self, input: Tensor) -> Tensor:
        """(N, inputs) → (N, outputs)."""
        return F.linear(input, self.weight * self.mask, self.bias)


def _masked_mlp(dim: int, width: int, layers: int, per_dimension: int) -> nn.Sequential:
    """Outputs (N, per_dimension·dim), those of dimension i a function of the inputs before i (Germain et al., 2015)."""
    if dim < 1 or layers < 1 or width < dim - 1:
        raise TeachlibError(
            f"{dim} variables, width {width}, {layers} hidden layers; expected a width of {dim - 1} or "
            "more, one unit for each that a later one may see, and at least one layer"
        )
    hidden = torch.arange(width) % max(dim - 1, 1)
    modules: list[nn.Module] = []
    for before, after in itertools.pairwise([torch.arange(dim), *[hidden] * layers]):
        modules += [MaskedLinear(after[:, None] >= before[None]), nn.SiLU()]
    outputs = torch.arange(dim).repeat_interleave(per_dimension)
    return nn.Sequential(*modules, MaskedLinear(outputs[:, None] > hidden[None]))


class MADE(nn.Module):
    """A masked multi-layer network over categorical variables (Germain et al., 2015).

    Args:
        dim: number of variables, in the order of their factors.
        levels: values each can take, 2 for bits.
        width: of the hidden layers; the more variables, the more it must be.
        layers: hidden ones.
        classes: number of classes to condition on; 0 for none. A class speaks to the first hidden layer and to the
            outputs: it comes before all variables, so every unit may see it.

    Raises:
        TeachlibError: a width or number of levels too small to say anything.
    """

    def __init__(self, dim: int, *, levels: int = 2, width: int = 256, layers: int = 2, classes: int = 0) -> None:
        super().__init__()
        self.dim, self.levels, self.classes = dim, levels, classes
        if levels < 2:
            raise TeachlibError(f"{levels} levels; expected at least 2")
        self.net = _masked_mlp(dim, width, layers, levels)
        self.label = nn.Embedding(classes, width + dim * levels) if classes else None

    def logits(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of p(xᵢ | x₁ … xᵢ₋₁): (N, dim) whole numbers → (N, dim, levels)."""
        scaled = 2 * whole(x, self.levels, (self.dim,)).to(next(self.parameters())) / (self.levels - 1) - 1
        if self.label is None:
            return self.net(scaled).unflatten(1, (self.dim, self.levels))
        said = self.label(given(labels, self.classes, len(x)))
        outputs = self.dim * self.levels
        logits = self.net[1:](self.net[0](scaled) + said[:, outputs:]) + said[:, :outputs]
        return logits.unflatten(1, (self.dim, self.levels))

    def log_prob(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(x) in nats, exact: (N, dim) whole numbers below ``levels`` → (N,)."""
        log_p = self.logits(x, labels).log_softmax(2)
        return log_p.gather(2, x.long()[..., None])[..., 0].sum(1)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """One variable after the other, a pass of the network each: (count, dim) whole numbers."""
        x = torch.zeros(count, self.dim, dtype=torch.long, device=next(self.parameters()).device)
        for i in range(self.dim):
            x[:, i] = noise.drawn(self.logits(x, labels)[:, i].softmax(1), generator)[:, 0]
        return x

    def loss(self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log p(x) in nats."""
        return -self.log_prob(x, labels).mean()


class MixtureMADE(nn.Module):
    """A masked network over real numbers: each factor is a mixture of Gaussians (Uria, Murray & Larochelle, 2013).

    Args:
        dim: number of variables, in the order of their factors.
        components: Gaussians a factor.
        width: of the hidden layers.
        layers: hidden ones.
    """

    def __init__(self, dim: int, *, components: int = 10, width: int = 128, layers: int = 2) -> None:
        super().__init__()
        self.dim, self.components = dim, components
        self.net = _masked_mlp(dim, width, layers, 3 * components)
        with torch.no_grad():  # means spread out over the data's range, or all components learn the same
            bias = torch.zeros(dim, 3, components)
            bias[:, 1] = torch.linspace(-2, 2, components)
            self.net[-1].bias.copy_(bias.flatten())  # type: ignore[operator]

    def _factors(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights, means and log standard deviations, each (N, dim, components)."""
        require_input(self, x, (self.dim,), what="points")
        logits, means, log_deviations = self.net(x).unflatten(1, (self.dim, 3, self.components)).unbind(2)
        return logits.log_softmax(2), means, log_deviations.clamp(-6, 3)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, exact: (N, dim) → (N,)."""
        log_weights, means, log_deviations = self._factors(x)
        squared = ((x[..., None] - means) * (-log_deviations).exp()).square()
        log_normal = -0.5 * squared - log_deviations - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(log_weights + log_normal, 2).sum(1)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """One variable after the other: (count, dim)."""
        x = next(self.parameters()).new_zeros(count, self.dim)
        for i in range(self.dim):
            log_weights, means, log_deviations = (part[:, i] for part in self._factors(x))
            chosen = noise.drawn(log_weights.exp(), generator)
            moved = log_deviations.gather(1, chosen).exp() * noise.normal((count, 1), generator, x.device)
            x[:, i] = (means.gather(1, chosen) + moved)[:, 0]
        return x

    def loss(self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log p(x) in nats."""
        return -self.log_prob(x).mean()


class Recurrent(nn.Module):
    """The same factors by a recurrent network, as the thesis mentions (after Theis & Bethge, 2015).

    Args:
        levels: values a variable can take.
        width: of the network's memory.
    """

    def __init__(self, *, levels: int = 2, width: int = 64) -> None:
        super().__init__()
        self.levels = levels
        self.embed = nn.Embedding(levels + 1, width)  # the last one stands before the first variable
        self.memory = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, levels)

    def logits(self, x: Tensor) -> Tensor:
        """Of p(xᵢ | x₁ … xᵢ₋₁): (N, D) whole numbers → (N, D, levels)."""
        before = F.pad(whole(x, self.levels, (-1,))[:, :-1], (1, 0), value=self.levels)
        return self.head(self.memory(self.embed(before))[0])

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, exact: (N, D) → (N,)."""
        return self.logits(x).log_softmax(2).gather(2, x.long()[..., None])[..., 0].sum(1)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator, *, length: int) -> Tensor:
        """One variable after the other, one step of the memory each: (count, length) whole numbers."""
        last, state = torch.full((count, 1), self.levels, device=self.head.weight.device), None
        chosen = []
        for _ in range(length):
            out, state = self.memory(self.embed(last), state)
            last = noise.drawn(self.head(out[:, 0]).softmax(1), generator)
            chosen.append(last)
        return torch.cat(chosen, 1)

    def loss(self, x: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log p(x) in nats."""
        return -self.log_prob(x).mean()


# ------------------------------------------------------------------------------------------------------- images


class GatedLayer(nn.Module):
    """One gated layer of PixelCNN with its two stacks (van den Oord et al., 2016).

    The vertical stack sees all rows above, the horizontal one the pixels to the left; what is above flows from the
    first to the second, never back, so that no pixel sees itself or one that comes later.

    Args:
        width: channels of each stack.
        kernel: side of the receptive field, odd.
        first: leave the current pixel out.
        classes: number of classes to condition on; 0 for none.
    """

    def __init__(self, width: int, *, kernel: int = 3, first: bool = False, classes: int = 0) -> None:
        super().__init__()
        reach = kernel // 2
        # The first layer shifts by one, down and right, so that no pixel meets itself; later ones need not.
        shift = 1 if first else 0
        self.above, self.left = (reach, reach, reach + shift, 0), (reach + shift, 0, 0, 0)
        self.first = first
        self.vertical = nn.Conv2d(width, 2 * width, (reach + 1, kernel))
        self.horizontal = nn.Conv2d(width, 2 * width, (1, reach + 1))
        self.down = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.label = nn.Embedding(classes, 4 * width) if classes else None

    def forward(self, above: Tensor, left: Tensor, labels: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both stacks, (N, width, H, W) each."""
        rows, columns = above.shape[2:]
        seen_above = self.vertical(F.pad(above, self.above))[:, :, :rows]
        seen_left = self.horizontal(F.pad(left, self.left))[..., :columns] + self.down(seen_above)
        if self.label is not None:
            said = self.label(given(labels, self.label.num_embeddings, len(left)))
            for_above, for_left = said[..., None, None].chunk(2, 1)
            seen_above, seen_left = seen_above + for_above, seen_left + for_left
        step = self.out(_gate(seen_left))
        return _gate(seen_above), step if self.first else left + step


def _gate(x: Tensor) -> Tensor:
    value, gate = x.chunk(2, 1)
    return value.tanh() * gate.sigmoid()


class PixelCNN(nn.Module):
    """p(image) pixel by pixel, from the top left to the bottom right (van den Oord et al., 2016).

    Args:
        levels: values of a pixel.
        channels: of the image; several channels of a pixel are independent given what came before.
        width: channels of the network.
        layers: gated layers.
        classes: number of classes to condition on; 0 for none.
    """

    def __init__(self, *, levels: int, channels: int = 1, width: int = 32, layers: int = 6, classes: int = 0) -> None:
        super().__init__()
        if layers < 1 or levels < 2:
            raise TeachlibError(f"{layers} layers, {levels} levels; expected at least 1 layer and 2 levels")
        self.levels, self.channels, self.classes = levels, channels, classes
        self.enter = nn.Conv2d(channels, width, 1)
        self.layers = nn.ModuleList(GatedLayer(width, first=number == 0, classes=classes) for number in range(layers))
        self.head = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, 2 * width, 1), nn.SiLU(), nn.Conv2d(2 * width, channels * levels, 1)
        )

    def logits(self, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """Of each pixel given those before it: (N, C, H, W) whole numbers → (N, C, levels, H, W)."""
        above = left = self.enter(
            2 * whole(level, self.levels, (self.channels, -1, -1)).to(self.enter.weight) / (self.levels - 1) - 1
        )
        for layer in self.layers:
            above, left = layer(above, left, labels)
        return self.head(left).unflatten(1, (self.channels, self.levels))

    def log_prob(self, level: Tensor, labels: Tensor | None = None) -> Tensor:
        """log p(image) in nats, exact: (N, C, H, W) whole numbers → (N,)."""
        log_p = self.logits(level, labels).log_softmax(2)
        return log_p.gather(2, level.long()[:, :, None])[:, :, 0].flatten(1).sum(1)

    @torch.no_grad()
    def sample(
        self, count: int, generator: torch.Generator, labels: Tensor | None = None, *, size: int | tuple[int, int] = 8
    ) -> Tensor:
        """One pass of the network a pixel: (count, C, H, W) whole numbers; ``size`` is H and W, or one side of both."""
        device = next(self.parameters()).device
        height, width = (size, size) if isinstance(size, int) else size
        level = torch.zeros(count, self.channels, height, width, dtype=torch.long, device=device)
        for row, column in itertools.product(range(height), range(width)):
            p = self.logits(level[:, :, : row + 1], labels)[..., row, column].softmax(2)
            level[:, :, row, column] = noise.drawn(p.flatten(0, 1), generator).view(count, self.channels)
        return level

    def loss(self, level: Tensor, labels: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log p(image) in nats a dimension."""
        per_image = self.log_prob(level, labels)
        return -per_image.mean() / level[0].numel()
