"""Exercises on penalties of the decoder: its Jacobian, exact and estimated, and a matrix's largest singular value."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.checks import Answer, calls, exercise, seeded, with_gradient

# ----------------------------------------------------------------------------------------------- jacobian_penalty

_LATENTS = torch.tensor([[0.3, -0.8], [1.1, 0.4], [-0.5, 0.9]]).requires_grad_()
_WEIGHT = torch.tensor([[0.9, -0.4, 0.3, 0.7], [0.2, 0.8, -0.6, 0.5]], requires_grad=True)


def _bent(z: Tensor) -> Tensor:
    """(N, 2) → (N, 1, 2, 2)."""
    return torch.sigmoid(2 * z @ _WEIGHT).unflatten(-1, (1, 2, 2))


def _penalty_with(reduce: Callable[[Tensor], Tensor]) -> Answer:
    """Of the batch's Jacobians, (N, D, d)."""

    def answer(decode: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
        def one(code: Tensor) -> Tensor:
            return decode(code[None]).flatten()

        return reduce(torch.stack([torch.autograd.functional.jacobian(one, code, create_graph=True) for code in z]))

    return answer


_jacobian_penalty = _penalty_with(lambda j: j.square().flatten(1).sum(1).mean())

jacobian_penalty = exercise(
    "jacobian_penalty",
    "Write jacobian_penalty(decode, z), z of (N, d): the squared Frobenius norm of each sample's Jacobian of "
    "decode, averaged over the batch; gradients must reach the decoder.",
    _jacobian_penalty,
    with_gradient("penalty", (_bent, _LATENTS), to=(_WEIGHT,), called="gradient to the decoder"),
    wrong={
        "sum_of_outputs": (
            _penalty_with(lambda j: j.sum(1).square().sum(1).mean()),
            "this is the gradient of the *sum* of all outputs: opposite slopes cancel. ‖J‖² squares each first",
        ),
        "energy": (
            lambda decode, z: torch.autograd.grad(decode(z).square().sum(), z, create_graph=True)[0].square().mean(),
            "this is the released code's quantity, 4·‖JᵀD‖²/d: it sees how fast the image's energy changes, no more",
        ),
        "not_squared": (
            _penalty_with(lambda j: j.flatten(1).norm(dim=1).mean()),
            "the norm is not squared: the sum of the squared entries was asked for",
        ),
        "mean_of_entries": (
            _penalty_with(lambda j: j.square().mean()),
            "the squared entries are averaged; sum them for each sample, then average over the samples",
        ),
        "spectral": (
            _penalty_with(lambda j: torch.linalg.matrix_norm(j, 2).square().mean()),
            "this is the largest singular value, squared: the steepest direction alone. ‖J‖_F² adds all directions",
        ),
        "summed_over_batch": (
            _penalty_with(lambda j: j.square().sum()),
            "summed over the batch: average over its samples",
        ),
    },
)


# --------------------------------------------------------------------------------------------- hutchinson_penalty

_SIGNS = 2.0 * torch.randint(0, 2, (3, 1, 2, 2), generator=seeded(4)) - 1


def _pulled_back(output: Tensor, z: Tensor, vector: Tensor) -> Tensor:
    return torch.autograd.grad(output, z, vector, create_graph=True)[0]


hutchinson_penalty = exercise(
    "hutchinson_penalty",
    "Write hutchinson_penalty(decode, z, signs), signs of the output's shape: ‖Jᵀv‖² of each sample with its "
    "signs v, averaged over the batch; gradients must reach the decoder.",
    lambda decode, z, signs: _pulled_back(decode(z), z, signs).square().sum(1).mean(),
    with_gradient("penalty", (_bent, _LATENTS, _SIGNS), to=(_WEIGHT,), called="gradient to the decoder"),
    wrong={
        "without_signs": (
            lambda decode, z, signs: _pulled_back(decode(z), z, torch.ones_like(signs)).square().sum(1).mean(),
            "the signs are all one: that is the gradient of the sum of all outputs, in which slopes cancel",
        ),
        "not_squared": (
            lambda decode, z, signs: _pulled_back(decode(z), z, signs).norm(dim=1).mean(),
            "the norm of Jᵀv is not squared; unsquared it estimates nothing in particular",
        ),
        "squared_before": (
            lambda decode, z, signs: _pulled_back(decode(z).square(), z, signs).square().sum(1).mean(),
            "the output is squared before it is differentiated: that is the slope of the energy, not of the image",
        ),
        "mean_over_dimensions": (
            lambda decode, z, signs: _pulled_back(decode(z), z, signs).square().mean(),
            "averaged over the latent dimensions: sum over them, or the penalty shrinks as the code grows",
        ),
        "batch_averaged_first": (
            lambda decode, z, signs: _pulled_back(decode(z), z, signs).mean(0).square().sum(),
            "the gradients are averaged over the batch before they are squared: slopes of different samples cancel",
        ),
    },
)


# -------------------------------------------------------------------------------------------------- spectral_norm


def _power(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    """The unit vector after so many steps."""
    v = start
    for _ in range(steps):
        v = matrix.T @ (matrix @ v)
        v = v / v.norm()
    return v


def _spectral_norm(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    return (matrix @ _power(matrix, start, steps)).norm()


_SQUARE = torch.tensor([[0.3, 2.0, 0.1], [-0.2, 0.4, 0.9], [1.5, 0.2, -0.7]])
_WIDE = torch.tensor([[300.0, -120.0, 40.0, 9.0], [80.0, 250.0, -30.0, 60.0]])
_START = torch.tensor([1.0, 0.5, -0.3])


def _by_eigenvalues(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    v = start
    for _ in range(steps):
        v = (matrix @ v if matrix.shape[0] == matrix.shape[1] else matrix.T @ (matrix @ v)).clone()
        v = v / v.norm()
    return (matrix @ v).norm()


def _unnormalized(matrix: Tensor, start: Tensor, steps: int) -> Tensor:
    v = start
    for _ in range(steps):
        v = matrix.T @ (matrix @ v)
    return (matrix @ v).norm() / v.norm()


spectral_norm = exercise(
    "spectral_norm",
    "Write spectral_norm(matrix, start, steps): the norm of matrix @ v, where v is start after so many steps of "
    "power iteration v ← MᵀMv / ‖MᵀMv‖; start is (columns,).",
    _spectral_norm,
    calls(
        {
            "of a square matrix": (_SQUARE, _START, 60),
            "after three steps": (_SQUARE, _START, 3),
            "of a wide matrix with large entries": (_WIDE, torch.ones(4), 40),
        }
    ),
    wrong={
        "squared": (
            lambda matrix, start, steps: _spectral_norm(matrix, start, steps).square(),
            "the square of the singular value: MᵀM has the squares for eigenvalues; take the norm of Mv",
        ),
        "eigenvalue": (
            _by_eigenvalues,
            "the vector is multiplied by M alone: that looks for an eigenvector. Singular vectors come from MᵀM",
        ),
        "unnormalized": (
            _unnormalized,
            "the vector is never normalized: with large entries it overflows. Divide by its norm at each step",
        ),
        "frobenius": (
            lambda matrix, start, steps: matrix.norm(),
            "this is the Frobenius norm, the root of the sum of all squared singular values",
        ),
        "one_step": (
            lambda matrix, start, steps: _spectral_norm(matrix, start, 1),
            "one step was taken whatever steps says",
        ),
    },
    tolerance=1e-3,
)
