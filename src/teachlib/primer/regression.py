"""One input, several answers: plain regression and the mixture density network (thesis §2.1; Bishop, 1994)."""

import math

import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError, require_input
from teachlib.nets import mlp
from teachlib.primer import noise


class Regression(nn.Module):
    """A network that answers each input with one value, trained by least squares.

    Args:
        inputs: dimension of x.
        outputs: dimension of y.
        width: of two hidden layers.

    Shapes: (N, inputs) → (N, outputs).
    """

    def __init__(self, inputs: int = 1, outputs: int = 1, *, width: int = 64) -> None:
        super().__init__()
        self.inputs, self.net = inputs, mlp(inputs, width, width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Predict.

        Raises:
            TeachlibError: x of another shape or precision.
        """
        require_input(self, x, (self.inputs,), what="x")
        return self.net(x)

    def loss(self, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean squared error; its minimizer is E[y | x]."""
        prediction = self(x)
        _refuse_other_shape(y, prediction.shape)
        return (prediction - y).square().sum(1).mean()


def _refuse_other_shape(y: Tensor, expected: torch.Size) -> None:
    """Subtracting (N,) from (N, 1) gives (N, N), and a loss that looks like one."""
    if y.shape != expected:
        raise TeachlibError(f"y of shape {tuple(y.shape)}; expected {tuple(expected)}")


class MixtureDensityNetwork(nn.Module):
    """p(y | x) as a mixture of round Gaussians whose weights, means and spreads a network gives (Bishop, 1994).

    Args:
        inputs: dimension of x.
        outputs: dimension of y.
        components: K.
        width: of two hidden layers.
    """

    def __init__(self, inputs: int = 1, outputs: int = 1, *, components: int = 5, width: int = 64) -> None:
        super().__init__()
        self.inputs, self.outputs, self.components = inputs, outputs, components
        self.net = mlp(inputs, width, width, components * (2 + outputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-weights (N, K), means (N, K, outputs) and log standard deviations (N, K) at ``x``, (N, inputs).

        Raises:
            TeachlibError: x of another shape or precision.
        """
        require_input(self, x, (self.inputs,), what="x")
        logits, log_deviations, means = self.net(x).split(
            [self.components, self.components, self.components * self.outputs], 1
        )
        return logits.log_softmax(1), means.unflatten(1, (self.components, self.outputs)), log_deviations

    def log_prob(self, x: Tensor, y: Tensor) -> Tensor:
        """log p(y | x) in nats, (N, inputs) and (N, outputs) → (N,)."""
        _refuse_other_shape(y, torch.Size((len(x), self.outputs)))
        log_weights, means, log_deviations = self(x)
        squared = (y[:, None] - means).square().sum(2) * (-2 * log_deviations).exp()
        log_normal = -0.5 * squared - self.outputs * (log_deviations + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(log_weights + log_normal, 1)

    @torch.no_grad()
    def sample(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """One answer for each input, (N, outputs)."""
        log_weights, means, log_deviations = self(x)
        chosen = noise.drawn(log_weights.exp(), generator)
        mean = means.gather(1, chosen[..., None].expand(-1, -1, self.outputs))[:, 0]
        return mean + log_deviations.gather(1, chosen).exp() * noise.normal(mean.shape, generator, mean.device)

    def loss(self, x: Tensor, y: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Mean of −log p(y | x), in nats."""
        return -self.log_prob(x, y).mean()
