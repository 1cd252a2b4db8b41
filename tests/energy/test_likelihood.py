"""Eqs 7.2 to 7.4: sums against quadrature, biases against enumeration, minima against what they should be."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from teachlib.energy import likelihood_loss, line, log_mean, sums_of, support_loss
from teachlib.errors import TeachlibError


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20), st.floats(-1e4, 1e4))
def test_a_log_mean_neither_overflows_nor_depends_on_where_energies_start(energies, shift) -> None:
    values = torch.tensor(energies, dtype=torch.float64)
    expected = float(np.logaddexp.reduce(-np.array(energies))) - math.log(len(energies))
    assert log_mean(values).item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert log_mean(values + shift).item() == pytest.approx(expected - shift, rel=1e-9, abs=1e-8)


def test_weights_count_like_repeated_points() -> None:
    energies = torch.tensor([0.3, -1.0, 2.0])
    repeated = torch.tensor([0.3, -1.0, -1.0, 2.0, 2.0, 2.0])
    weighted = log_mean(energies, torch.tensor([1.0, 2.0, 3.0]).log()) + math.log(3 / 6)
    assert torch.allclose(weighted, log_mean(repeated))


def test_one_point_a_sum_is_the_critics_loss() -> None:
    real, made = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(likelihood_loss(real, sums_of(made, 1)), real.mean() - made.mean())
    assert torch.allclose(support_loss(sums_of(made, 1)), made.mean())


def test_sums_leave_out_what_does_not_fill_one() -> None:
    assert sums_of(torch.arange(7.0), 3).tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    with pytest.raises(TeachlibError, match="2 points do not fill a sum of 3"):
        sums_of(torch.arange(2.0), 3)
    with pytest.raises(TeachlibError, match="no points"):
        log_mean(torch.zeros(4, 0))


def _gradient(net, points, log_weights):
    total = torch.logsumexp(log_weights - net(points), 0)
    gradients = torch.autograd.grad(total, list(net.parameters()), allow_unused=True)
    return torch.cat([g.flatten() for g in gradients if g is not None])


@pytest.mark.parametrize("corner", [False, True])
def test_the_gradient_of_a_sum_over_cells_is_that_of_the_integral(corner) -> None:
    net = line.train(line.Points(64), steps=250).energy
    nodes, weights = np.polynomial.legendre.leggauss(400)
    exact = _gradient(net, torch.tensor(nodes * line.SPAN), torch.tensor(weights * line.SPAN).log())
    points, length = line.cells(128, corner=corner)
    estimate = _gradient(net, points, torch.full((128,), math.log(length)))
    assert (estimate - exact).norm() < 1e-5 * exact.norm()


def test_cells_cover_the_line() -> None:
    points, length = line.cells(5)
    assert points[0] - length / 2 == -line.SPAN
    assert points[-1] + length / 2 == pytest.approx(line.SPAN)
    assert line.cells(5, corner=True)[0][0] == -line.SPAN
    with pytest.raises(TeachlibError, match="m is 0"):
        line.cells(0)


def test_a_generator_of_swapped_shares_has_the_data_s_places() -> None:
    assert line.SWAPPED.means == line.DATA.means
    assert line.SWAPPED.weights == line.DATA.weights[::-1]


P = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
Q = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)


@pytest.mark.parametrize("power", [0, -1, 1])
@pytest.mark.parametrize("m", [1, 2, 3])
def test_what_a_finite_sum_estimates_on_three_points(m, power) -> None:
    """The mean of many estimates, against all m-tuples of a space of three points."""
    energies = torch.tensor([0.0, 1.0, -1.5], dtype=torch.float64)
    log_weights = power * Q.log()
    exact = 0.0
    for chosen in itertools.product(range(3), repeat=m):
        index = torch.tensor(chosen)
        exact += (Q[index].prod() * log_mean(energies[index], log_weights[index])).item()
    draws = torch.multinomial(Q, 60_000 * m, True, generator=torch.Generator().manual_seed(1)).view(-1, m)
    estimates = log_mean(energies[draws], log_weights[draws])
    assert estimates.mean().item() == pytest.approx(exact, abs=5 * estimates.std().item() / 245)
    limit = torch.logsumexp(-energies + (1 + power) * Q.log(), 0).item()
    assert exact < limit  # too small, whatever m


@pytest.mark.parametrize("power", [0, -1, 1])
def test_what_the_minimum_is_on_three_points(power) -> None:
    """Unweighted, D is the ratio of the densities; weighed by 1/p_G, the density; by p_G, p_data/p_G²."""
    free = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")
    log_weights = (1 + power) * Q.log()  # the mean over all draws: each point by its probability

    def closure():
        optimizer.zero_grad()
        loss = (P * free).sum() + torch.logsumexp(log_weights - free, 0)
        loss.backward()
        return loss

    optimizer.step(closure)
    found = torch.softmax(-free.detach(), 0)
    expected = P / Q ** (1 + power)
    assert torch.allclose(found, expected / expected.sum(), atol=1e-5)


def test_a_line_s_densities_integrate_to_one_and_draw_what_they_say() -> None:
    points, length = line.cells(4000)
    for density in (line.DATA, line.WIDE, line.SWAPPED):
        assert (density.log_prob(points).exp().sum() * length).item() == pytest.approx(1, abs=1e-2)
        drawn = density.sample(50_000, generator=torch.Generator().manual_seed(0))
        mean = sum(w * m for w, m in zip(density.weights, density.means, strict=True))
        assert drawn.mean().item() == pytest.approx(mean, abs=0.05)


def test_a_trained_sum_is_the_density_and_eq_7_3_the_ratio() -> None:
    cells = line.train(line.Points(128), steps=400)
    assert line.divergence(line.DATA, line.log_density(cells.energy)) < 0.05
    printed = line.train(line.Points(128, line.SWAPPED), steps=400)
    assert line.divergence(line.DATA, line.log_density(printed.energy)) > 0.2
    assert line.divergence(line.DATA, line.log_density(printed.energy, line.SWAPPED)) < 0.05
    weighted = line.train(line.Points(128, line.SWAPPED, power=-1), steps=400)
    assert line.divergence(line.DATA, line.log_density(weighted.energy)) < 0.1
    squared = line.train(line.Points(128, line.SWAPPED, power=1), steps=400)
    assert line.divergence(line.DATA, line.log_density(squared.energy, line.SWAPPED)) > 0.1
    assert line.divergence(line.DATA, line.log_density(squared.energy, line.SWAPPED, 2)) < 0.05


@pytest.mark.parametrize(
    ("m", "kind", "weight", "finite"),
    [(1, "none", 0, False), (1, "one-centred", 10, True), (1, "both", 1, True), (16, "none", 0, True)],
)
def test_what_holds_the_discriminator(m, kind, weight, finite) -> None:
    run = line.train(line.Points(m, line.WIDE), steps=200, kind=kind, weight=weight)
    assert (run.heights[-1] < 60) == finite


def test_r1_at_the_data_alone_does_not_hold_it() -> None:
    one = line.train(line.Points(1, line.WIDE), steps=200, kind="R1", weight=1)
    both = line.train(line.Points(1, line.WIDE), steps=200, kind="both", weight=1)
    assert one.heights[-1] > 5 * both.heights[-1]


def test_moved_middles_stay_in_their_cells_and_move_together() -> None:
    points, log_weights = line.Points(7).draw(50, torch.Generator().manual_seed(0))
    corners, length = line.cells(7, corner=True)
    within = points - corners
    assert within.min() >= 0
    assert within.max() < length
    torch.testing.assert_close(within, within[:, :1].expand_as(within))
    assert within[:, 0].std() == pytest.approx(length / 12**0.5, rel=0.2)  # of a uniform number
    assert (log_weights == 0).all()
