"""The nearest images: linear losses against linear and quadratic programs, curved ones against known distances."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.gmmvae.attacks import Ball, Norm, fab, nearest_accepted
from teachlib.gmmvae.attacks.boundary import change_to_plane
from teachlib.gmmvae.selective import SelectiveClassifier

X = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(1))
SLOPE = torch.randn(X.shape, generator=torch.Generator().manual_seed(2))
RISES = torch.tensor([0.3, -0.4, 1.5, -2.0, 0.0])


def _program(x: Tensor, slope: Tensor, rise: float, norm: Norm) -> float | None:
    """The least size of a change with ⟨slope, change⟩ = rise in the unit box; ``None`` where there is none."""
    start, w = x.flatten().double().numpy(), slope.flatten().double().numpy()
    many = len(start)
    box = [(-a, 1 - a) for a in start]
    if norm == "linf":
        bound = [[*(-1.0 if i == j else 0.0 for j in range(many)), -1.0] for i in range(many)]
        other = [[*(1.0 if i == j else 0.0 for j in range(many)), -1.0] for i in range(many)]
        found = linprog(
            [*[0.0] * many, 1.0], bound + other, [0.0] * 2 * many, [[*w, 0.0]], [rise], bounds=[*box, (0, None)]
        )
        return float(found.fun) if found.success else None
    held = {"type": "eq", "fun": lambda d: d @ w - rise, "jac": lambda d: w}
    found = minimize(
        lambda d: d @ d, [0.0] * many, jac=lambda d: 2 * d, bounds=box, constraints=held, options={"ftol": 1e-14}
    )
    return float(found.fun**0.5) if found.success else None


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_least_changes_to_a_plane_are_those_of_a_program(norm: Norm) -> None:
    ball = Ball(1.0, norm)
    change = change_to_plane(X, SLOPE, RISES, ball)
    gained = (SLOPE * change).flatten(1).sum(1)
    sizes = ball.size(X + change, X)
    for row, rise in enumerate(RISES.tolist()):
        least = _program(X[row], SLOPE[row], rise, norm)
        assert least is not None
        assert gained[row].item() == pytest.approx(rise, abs=1e-5)
        assert sizes[row].item() == pytest.approx(least, abs=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), rise=st.floats(-30, 30), flat=st.booleans())
def test_changes_stay_in_the_box_and_reach_what_it_lets_them(norm: Norm, seed: int, rise: float, flat: bool) -> None:
    draw = torch.Generator().manual_seed(seed)
    x = torch.rand(4, 2, 3, 3, generator=draw).round(decimals=1)
    slope = torch.randn(x.shape, generator=draw)
    if flat:
        slope[0] = 0
        slope[1:, 0] = 0
    change = change_to_plane(x, slope, torch.full((4,), rise), Ball(1.0, norm))
    assert (x + change).amin() > -1e-6
    assert (x + change).amax() < 1 + 1e-6
    up = slope * (1 if rise >= 0 else -1)
    most = (up.clamp(min=0) * (1 - x) + (-up).clamp(min=0) * x).flatten(1).sum(1)
    gained = (up * change).flatten(1).sum(1)
    torch.testing.assert_close(gained, most.clamp(max=abs(rise)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_linear_losss_nearest_images_are_exact(norm: Norm) -> None:
    offsets = torch.tensor([0.3, 0.6, 1.0, 40.0, -0.2])  # no image of the box reaches the fourth; the last succeeds

    def loss(v: Tensor) -> Tensor:
        return (SLOPE * (v - X)).flatten(1).sum(1) - offsets

    found = fab(loss, X, norm=norm, steps=20)
    for row in range(3):
        least = _program(X[row], SLOPE[row], offsets[row].item(), norm)
        assert found.sizes[row].item() == pytest.approx(least, rel=5e-3)
    assert (loss(found.images)[:3] > 0).all()
    assert found.sizes[3] == torch.inf
    assert torch.equal(found.images[3], X[3])
    assert found.sizes[4] == 0
    assert torch.equal(found.images[4], X[4])
    kept = found.within(Ball(found.sizes[0].item(), norm), X)
    assert torch.equal(kept[0], found.images[0])
    assert torch.equal(kept[3], X[3])
    assert found.sizes[2] > found.sizes[0]
    assert torch.equal(kept[2], X[2])  # it lies further off


def test_a_spheres_nearest_point_is_found_and_restarts_only_help() -> None:
    x = 0.35 + 0.3 * X
    centre = torch.full_like(x, 0.5)

    def outside(v: Tensor) -> Tensor:
        return (v - centre).flatten(1).norm(dim=1) - 0.6

    least = 0.6 - (x - centre).flatten(1).norm(dim=1)
    once = fab(outside, x, norm="l2", steps=60)
    assert (once.sizes < 1.02 * least).all()
    assert (once.sizes > least - 1e-5).all()
    thrice = fab(outside, x, norm="l2", steps=60, restarts=3, generator=torch.Generator().manual_seed(0))
    assert (thrice.sizes <= once.sizes + 1e-6).all()


def test_what_is_only_met_by_chance_is_found_from_elsewhere() -> None:
    """Around the clean image the loss is flat: only another beginning leads on."""

    def flat_first(v: Tensor) -> Tensor:
        mean = v.flatten(1).mean(1)
        return torch.where((v - X).abs().flatten(1).amax(1) < 0.05, -1.0 + 0 * mean, mean - mean.detach() + 0.1)

    assert fab(flat_first, X, steps=3).sizes.isinf().all()
    again = fab(flat_first, X, steps=3, restarts=2, generator=torch.Generator().manual_seed(0))
    assert (again.sizes < 0.06).all()
    assert (again.sizes >= 0.05 - 1e-6).all()


def test_refusals() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(12, 1), nn.Flatten(0))
    with pytest.raises(TeachlibError, match="in training mode"):
        fab(net, X)
    with pytest.raises(TeachlibError, match=re.escape("2 restarts from the clean image are all the same")):
        fab(net.eval(), X, restarts=2)
    with pytest.raises(TeachlibError, match="norm 'l1'"):
        fab(net, X, norm="l1")  # type: ignore[arg-type]
    with pytest.raises(TeachlibError, match="not a finite number"):
        fab(lambda v: v.flatten(1).sum(1) * torch.nan, X)
    with pytest.raises(TeachlibError, match="steps is 0"):
        fab(net, X, steps=0)


def test_every_wrong_class_is_looked_for_and_the_nearest_is_kept() -> None:
    """Three classes by the nearest of three points, and a detector that lets a mere ball around each in."""
    means = torch.stack([torch.full((2, 2), value) for value in (0.2, 0.5, 0.9)])

    def measure(x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        far = (x - means).flatten(2).square().sum(2)
        return -far, far / 0.05**2, torch.zeros(len(x))

    x = torch.full((4, 1, 2, 2), 0.2)
    x[2], x[3] = 0.9, 0.5
    labels = torch.tensor([0, 0, 2, 0])  # the last one is already accepted as something else
    found = nearest_accepted(SelectiveClassifier(measure), x, labels, steps=60, batch_size=3)
    # The length of (1, 1, 1, 1) is 2: each ball ends .025 from its mean along the diagonal.
    torch.testing.assert_close(found.sizes[:3], torch.tensor([0.275, 0.275, 0.375]), atol=5e-3, rtol=0)
    assert found.sizes[3] == 0
    decided = SelectiveClassifier(measure).decide(found.images)
    assert decided.accepted.all()
    assert decided.labels.tolist() == [1, 1, 1, 1]
    with pytest.raises(TeachlibError, match="class 4; expected 0 … 2"):
        nearest_accepted(SelectiveClassifier(measure), x, labels + 2)
