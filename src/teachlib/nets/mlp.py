"""Fully connected networks."""

import itertools

from torch import Tensor, nn

from teachlib.errors import require_input


class FullyConnected(nn.Sequential):
    """Linear layers with activations between them: (N, …, first) → (N, …, last).

    Args:
        layers: a linear one first.
    """

    def forward(self, x: Tensor) -> Tensor:
        """What the last layer says.

        Raises:
            TeachlibError: inputs of another length or precision.
        """
        first, inner = self[0], [-1] * (x.ndim - 2)
        assert isinstance(first, nn.Linear)
        require_input(self, x, (*inner, first.in_features), what="inputs")
        return super().forward(x)


def mlp(*sizes: int, activation: type[nn.Module] = nn.SiLU) -> FullyConnected:
    """Linear layers of these sizes with activations between them, none after the last: (N, first) → (N, last)."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), activation()]
    return FullyConnected(*layers[:-1])
