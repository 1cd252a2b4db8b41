"""What keeps samples apart: each term against a loop, and against what it is for."""

import math
from collections.abc import Callable

import pytest
import torch

from teachlib.energy import (
    Minibatch,
    determinantal,
    energy_distance,
    kernel_repulsion,
    repulsion,
    shared_information,
)
from teachlib.errors import TeachlibError

X = torch.randn(9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TERMS = {"distance": repulsion, "kernel": kernel_repulsion, "determinantal": determinantal}


def test_repulsion_is_the_mean_distance_of_pairs() -> None:
    pairs = [(a - b).norm() for i, a in enumerate(X) for j, b in enumerate(X) if i != j]
    assert torch.allclose(-repulsion(X), torch.stack(pairs).mean())


def test_the_kernel_is_a_mean_over_pairs_and_has_a_width_of_its_own() -> None:
    pairs = torch.stack([(a - b).square().sum() for i, a in enumerate(X) for j, b in enumerate(X) if i != j])
    assert torch.allclose(kernel_repulsion(X, 0.7), (-pairs / (2 * 0.7**2)).exp().mean())
    assert torch.allclose(kernel_repulsion(X), kernel_repulsion(100 * X), atol=1e-9)  # as wide as samples are apart


def test_the_determinant_is_that_of_the_kernel() -> None:
    kernel = torch.stack([torch.stack([(-(a - b).square().sum() / (2 * 0.5**2)).exp() for b in X]) for a in X])
    expected = -(torch.linalg.eigvalsh(kernel) + 1).log().sum() / len(X)
    assert torch.allclose(determinantal(X, 0.5), expected)
    apart, alike = 50 * torch.arange(9.0)[:, None].expand(9, 2), torch.zeros(9, 2)
    assert determinantal(apart).item() == pytest.approx(-math.log(2))
    assert determinantal(alike).item() == pytest.approx(-math.log(10) / 9)


@pytest.mark.parametrize("name", TERMS)
def test_spread_samples_have_less_of_it_and_gradients_part_them(name) -> None:
    term = TERMS[name]
    assert term(3 * X) < term(0.2 * X) or name == "kernel"
    assert torch.allclose(term(X), term(X.flip(0)))
    pair = torch.tensor([[0.0, 0.0], [0.1, 0.0]], requires_grad=True)
    (gradient,) = torch.autograd.grad(term(pair), pair)
    assert gradient[0, 0] > 0 > gradient[1, 0]  # descended, the left one goes left
    same = torch.zeros(3, 2, requires_grad=True)
    term(same).backward()
    assert same.grad.isfinite().all()
    with pytest.raises(TeachlibError, match="1 samples"):
        term(X[:1])


def test_the_energy_distance_is_none_between_samples_of_one_density_and_some_between_others() -> None:
    first, second = torch.randn(2, 3000, 2, generator=torch.Generator().manual_seed(2))
    assert abs(energy_distance(first, second).item()) < 0.01
    assert energy_distance(first, second + 1).item() > 0.2


def test_shared_information_is_that_of_a_sure_critic() -> None:
    def sees(x, z):
        return torch.where((x - z).abs().sum(1) < 1e-6, 40.0, -40.0)

    z = torch.randn(20, 3, generator=torch.Generator().manual_seed(3))
    assert shared_information(sees, z.clone(), z).item() == pytest.approx(math.log(4))
    assert shared_information(lambda x, z: torch.zeros(len(x)), z, z).item() == pytest.approx(0, abs=1e-6)
    assert shared_information(sees, torch.zeros(20, 3), z).item() < -10  # tells them apart where nothing can


def test_minibatch_discrimination_sums_over_the_others() -> None:
    layer = Minibatch(4, kernels=3, dim=2)
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(4))
    out = layer(x)
    projected = (x @ layer.project.weight.T).view(5, 3, 2)
    for i in range(5):
        near = sum((-(projected[i] - projected[j]).abs().sum(1)).exp() for j in range(5) if j != i)
        assert torch.allclose(out[i, 4:], near, atol=1e-5)
    assert torch.equal(out[:, :4], x)


@pytest.mark.parametrize("term", [kernel_repulsion, determinantal])
def test_a_kernel_without_width_is_refused(term: Callable[..., torch.Tensor]) -> None:
    with pytest.raises(TeachlibError, match=r"deviation is 0.0; expected more than 0"):
        term(X, 0.0)
