"""What the thesis prints of GANs as energy models (§ 7.5.1) and cannot mean."""

import pytest
import torch

from teachlib.energy import likelihood_loss, line, log_mean, sums_of
from teachlib.primer import discriminator_loss, generator_loss

P = torch.tensor([0.3, 0.7], dtype=torch.float64)
Q = torch.tensor([0.7, 0.3], dtype=torch.float64)


def _best(log_weights):
    """D at the minimum of E f + log E_q[w·exp(−f)] on two points, by gradient descent."""
    f = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([f], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = (P * f).sum() + torch.logsumexp(Q.log() + log_weights - f, 0)
        loss.backward()
        return loss

    optimizer.step(closure)
    return torch.softmax(-f.detach(), 0)


def test_points_of_a_generator_are_no_partition_and_give_a_ratio() -> None:
    """Eq 7.3 drops the cells' sizes, as if they were equal."""
    ratio = P / Q
    assert torch.allclose(_best(torch.zeros(2)), ratio / ratio.sum(), atol=1e-6)
    assert torch.allclose(_best(-Q.log()), P, atol=1e-6)  # a cell's size is one over the density of points
    assert not torch.allclose(_best(torch.zeros(2)), P, atol=0.1)


def test_one_point_a_sum_is_a_wasserstein_critic_s_loss_and_not_goodfellow_s() -> None:
    real, made = torch.randn(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loss = likelihood_loss(-real, sums_of(-made, 1))
    assert torch.allclose(loss, made.mean() - real.mean())
    assert not torch.allclose(loss, discriminator_loss(real, made), atol=0.1)


@pytest.mark.parametrize("scale", [1, 10, 1000])
def test_one_point_a_sum_has_no_minimum(scale) -> None:
    """The loss is linear in f: whatever is below 0 can be had a thousand times over."""
    f = torch.tensor([-1.0, 1.0])
    loss = likelihood_loss(scale * f[:1], scale * sums_of(f[1:], 1))
    assert loss.item() == pytest.approx(-2.0 * scale)


def test_a_penalty_at_the_data_alone_does_not_bound_it() -> None:
    """§ 7.5.1 has the penalty predicted; which one matters."""
    at_data = line.train(line.Points(1, line.WIDE), steps=150, kind="R1", weight=1.0).heights[-1]
    between = line.train(line.Points(1, line.WIDE), steps=150, kind="one-centred", weight=10.0).heights[-1]
    assert at_data > 3 * between


def test_the_shift_to_the_non_saturating_loss_is_the_generator_s() -> None:
    """The discriminator's term has been log(1 − D) all along; the text has 1 − log D become log D there."""
    scores = torch.linspace(-4, 4, 9, dtype=torch.float64, requires_grad=True)

    def slope(loss):
        return torch.autograd.grad(loss * len(scores), scores)[0]

    assert torch.allclose(slope(discriminator_loss(torch.zeros(1), scores)), scores.sigmoid())
    assert torch.allclose(slope(generator_loss(scores, "saturating")), -scores.sigmoid())
    assert torch.allclose(slope(generator_loss(scores)), -(-scores).sigmoid())
    assert torch.allclose(slope(log_mean(-scores[:, None]).mean()), torch.ones_like(scores))  # Eq 7.3, m = 1
