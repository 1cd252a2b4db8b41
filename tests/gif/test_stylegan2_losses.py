"""Penalties against explicit Jacobians and closed forms."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.func import jacrev, vmap

from teachlib.errors import TeachlibError
from teachlib.gif import losses
from teachlib.gif.losses import path_lengths


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _judge(channels: int) -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0)]
    return nn.Sequential(*layers).double()


def test_r1_of_a_linear_discriminator_is_its_squared_norm() -> None:
    """D(x) = ⟨a, x⟩ has gradient a everywhere: γ/2·‖a‖², whatever the images and their number."""
    a = _random(3, 4, 4)
    for count in (1, 5):
        penalty = losses.r1_penalty(lambda x: (x * a).sum((1, 2, 3)), _random(count, 3, 4, 4, seed=2), 10.0)
        torch.testing.assert_close(penalty, 5 * a.square().sum())


def test_r1_equals_the_explicit_jacobian() -> None:
    judge, x = _judge(2), _random(3, 2, 4, 4)
    slopes = vmap(jacrev(lambda one: judge(one[None])[0]))(x)
    expected = 0.7 / 2 * slopes.square().sum((1, 2, 3)).mean()
    torch.testing.assert_close(losses.r1_penalty(judge, x, 0.7), expected)


def test_r1_does_not_differentiate_by_the_condition() -> None:
    judge, x, condition = _judge(5), _random(3, 2, 4, 4), _random(3, 3, 4, 4, seed=1)
    slopes = vmap(jacrev(lambda one, other: judge(torch.cat([one, other])[None])[0]))(x, condition)
    expected = slopes.square().sum((1, 2, 3)).mean() / 2
    torch.testing.assert_close(losses.r1_penalty(judge, x, 1.0, condition=condition), expected)


def test_r1_trains_the_discriminator_and_nothing_else() -> None:
    judge = _judge(2)
    x = _random(3, 2, 4, 4).requires_grad_()
    losses.r1_penalty(judge, x, 1.0).backward()
    assert x.grad is None
    assert judge[0].weight.grad.abs().max() > 0
    assert judge[3].weight.grad.abs().max() > 0
    # The last bias moves no gradient, and so is not moved.
    assert judge[3].bias.grad is None or not judge[3].bias.grad.any()


@pytest.mark.parametrize(("size", "batch", "gamma"), [(32, 32, 0.0064), (64, 32, 0.0256), (256, 16, 0.8192)])
def test_gamma_of_published_configurations(size: int, batch: int, gamma: float) -> None:
    assert losses.r1_gamma(size, batch) == pytest.approx(gamma)


def test_gamma_of_no_image() -> None:
    with pytest.raises(TeachlibError, match="batch_size is 0; expected more than 0"):
        losses.r1_gamma(32, 0)


def test_path_lengths_equal_the_explicit_jacobian() -> None:
    """‖Jᵀ y‖ over a code a layer: squares summed over a code, averaged over layers."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 12)).double()
    w = _random(4, 2, 3).requires_grad_()
    lengths = losses.path_lengths(net(w.flatten(1)).view(4, 3, 2, 2), w, torch.Generator().manual_seed(3))
    noise = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(3)).double() / math.sqrt(4)
    for number in range(4):
        jacobian = jacrev(lambda one: net(one.flatten()))(w[number].detach())  # (12, 2, 3)
        moved = torch.einsum("p,plw->lw", noise[number].flatten(), jacobian)
        torch.testing.assert_close(lengths[number].detach(), moved.square().sum(1).mean().sqrt())


def test_path_lengths_of_a_linear_generator_do_not_grow_with_the_resolution() -> None:
    """Pictures that repeat a code's number at each pixel: E‖Jᵀy‖² = Σ_pixels 1/(H·W) = 1 a channel."""
    for side in (2, 16):
        w = torch.zeros(4000, 1, 1, requires_grad=True)
        images = w[:, :, :, None].expand(-1, 1, side, side)
        lengths = losses.path_lengths(images, w, torch.Generator().manual_seed(0))
        assert lengths.square().mean().item() == pytest.approx(1.0, rel=0.1)


def test_path_penalty_and_its_mean() -> None:
    """From a = 0, one batch of lengths ℓ: a = 0.01·mean ℓ, then the mean square of ℓ − a; and a tends to the mean."""
    path, generator = losses.PathLength(), torch.Generator()
    scale = torch.tensor(3.0, requires_grad=True)

    def images_of(w: Tensor) -> Tensor:
        return scale * w[:, :, :, None].expand(-1, 1, 2, 2)

    w = torch.zeros(8, 1, 1, requires_grad=True)
    penalty = path.penalty(images_of(w), w, generator.manual_seed(1))
    lengths = losses.path_lengths(images_of(w), w, generator.manual_seed(1)).detach()
    torch.testing.assert_close(path.mean, 0.01 * lengths.mean())
    torch.testing.assert_close(penalty.detach(), (lengths - 0.01 * lengths.mean()).square().mean())
    penalty.backward()
    # Lengths are proportional to the scale, so that the penalty is to its square.
    torch.testing.assert_close(scale.grad, 2 * penalty.detach() / 3)
    for _ in range(600):
        path.penalty(images_of(w), w, generator.manual_seed(1))
    torch.testing.assert_close(path.mean, lengths.mean(), rtol=0.01, atol=0)


def test_path_mean_survives_a_checkpoint() -> None:
    path, other = losses.PathLength(), losses.PathLength()
    w = torch.ones(2, 1, 1, requires_grad=True)
    path.penalty(w[:, :, :, None] * torch.ones(1, 1, 2, 2), w, torch.Generator().manual_seed(0))
    other.load_state_dict(path.state_dict())
    assert path.mean > 0
    assert torch.equal(other.mean, path.mean)


def test_lazy_adam_goes_as_far_and_forgets_as_much() -> None:
    rate, betas = losses.lazy_adam(0.0025, (0, 0.99), 16)
    assert 17 * rate == pytest.approx(16 * 0.0025)
    assert betas[1] ** 17 == pytest.approx(0.99**16)
    assert [type(beta) for beta in betas] == [float, float]
    assert betas[0] == 0
    torch.optim.Adam([torch.zeros(1, requires_grad=True)], rate, betas).step()
    with pytest.raises(TeachlibError, match="every is 0; expected at least 1"):
        losses.lazy_adam(0.0025, (0, 0.99), 0)


def test_lengths_of_pictures_that_no_code_moves_have_a_slope() -> None:
    weight = torch.zeros((), requires_grad=True)
    w = torch.ones(2, 3, 4, requires_grad=True)
    images = (weight * w).sum((1, 2)).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    lengths = path_lengths(images, w, torch.Generator().manual_seed(0))
    lengths.sum().backward()
    assert weight.grad is not None
    assert weight.grad.isfinite()
