"""HopSkipJump against borders whose nearest point is known."""

import re
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.gmmvae.attacks import hop_skip_jump
from teachlib.gmmvae.attacks.ball import directions

decisions = import_module("teachlib.gmmvae.attacks.decisions")

X = 0.3 + 0.4 * torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(1))
NORMAL = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(2))
NORMAL /= NORMAL.norm()
OFFSETS = torch.tensor([0.2, 0.3, -0.1, 0.4, 0.5, 0.6])  # the third one succeeds as it is
OTHERS = [0, 1, 3, 4, 5]


def beyond_a_plane(images: Tensor, rows: Tensor) -> Tensor:
    assert not torch.is_grad_enabled()
    return ((images - X[rows]) * NORMAL).flatten(1).sum(1) > OFFSETS[rows]


def _start(far: float = 1.5) -> Tensor:
    """Well beyond the plane, and not straight over the image."""
    draw = torch.Generator().manual_seed(3)
    return (X + far * (NORMAL + 0.05 * torch.randn(X.shape, generator=draw))).clamp(-5, 5)


def _attacked(**options: object) -> Tensor:
    words = {"low": -5.0, "high": 5.0, "generator": torch.Generator().manual_seed(0)} | options
    return hop_skip_jump(beyond_a_plane, X, _start(), **words)  # type: ignore[arg-type]


def test_a_planes_nearest_point_is_found_and_what_succeeds_is_left_alone() -> None:
    found = _attacked(steps=15)
    assert beyond_a_plane_all(found)
    apart = (found - X).flatten(1).norm(dim=1)
    assert torch.equal(found[2], X[2])
    assert (apart[OTHERS] >= OFFSETS[OTHERS]).all()  # nothing nearer exists
    assert (apart[OTHERS] < 1.05 * OFFSETS[OTHERS]).all()


def beyond_a_plane_all(images: Tensor) -> bool:
    with torch.no_grad():
        return bool(beyond_a_plane(images, torch.arange(len(images))).all())


def test_more_steps_come_nearer_and_a_seed_repeats_them() -> None:
    short, long = ((_attacked(steps=steps, first=20) - X)[OTHERS].flatten(1).norm(dim=1).mean() for steps in (1, 20))
    assert long < short
    assert torch.equal(_attacked(steps=3), _attacked(steps=3))
    assert not torch.equal(_attacked(steps=3), _attacked(steps=3, generator=torch.Generator().manual_seed(1)))


def test_a_balls_border_is_found_from_inside_the_pixels_range() -> None:
    x = torch.full((2, 1, 5, 5), 0.02)  # near the edge of what pixels can be: half of all noise is cut off
    radii = torch.tensor([0.5, 1.0])

    def outside(images: Tensor, rows: Tensor) -> Tensor:
        assert images.min() >= 0
        assert images.max() <= 1
        return (images - x[rows]).flatten(1).norm(dim=1) > radii[rows]

    found = hop_skip_jump(outside, x, torch.ones_like(x), steps=5, generator=torch.Generator())
    assert torch.allclose((found - x).flatten(1).norm(dim=1), radii, rtol=0.01)


def test_many_are_asked_in_parts_each_about_its_own_image(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = _attacked(steps=3)
    monkeypatch.setattr(decisions, "_AT_ONCE", 2)
    assert torch.equal(_attacked(steps=3), whole)


def test_it_asks_as_often_and_as_far_away_as_it_says() -> None:
    asked: list[Tensor] = []

    def counted(images: Tensor, rows: Tensor) -> Tensor:
        asked.append(images)
        return beyond_a_plane(images, rows)

    hop_skip_jump(counted, X[:1], _start()[:1], steps=4, first=50, low=-5, high=5, generator=torch.Generator())
    counts = [len(images) for images in asked]
    looks = [count for count in counts if count > 1]
    assert looks == [round(50 * step**0.5) for step in range(1, 5)]
    # Is it done, does the start succeed, and a bisection to a share of 36^-1.5, in eight halvings.
    assert counts.index(50) == 2 + 8
    assert sum(counts) - sum(looks) < 2 + 5 * 8 + 4 * 12
    far = [(images - images.mean(0)).flatten(1).norm(dim=1).mean().item() for images in asked if len(images) > 1]
    assert far[0] == pytest.approx(0.1 * 10, rel=0.05)  # of the range
    near = next(images for images in asked[counts.index(71) - 1 :: -1] if beyond_a_plane_all(images))
    assert far[1] == pytest.approx((near - X[0]).norm().item() / 36, rel=0.1)


def test_the_nearest_of_all_ends_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    ends: list[Tensor] = []
    bisected = decisions._bisected

    def watched(*arguments: Any) -> Tensor:
        ends.append(bisected(*arguments))
        return ends[-1]

    monkeypatch.setattr(decisions, "_bisected", watched)
    monkeypatch.setattr(decisions, "_normal", lambda succeeds, near, *_: directions(torch.randn_like(near)))  # astray
    found = _attacked(steps=8)
    apart = torch.stack([(end - X[OTHERS]).flatten(1).norm(dim=1) for end in ends])
    assert (apart[-1] > apart.amin(0)).any()
    torch.testing.assert_close((found - X)[OTHERS].flatten(1).norm(dim=1), apart.amin(0))


@pytest.mark.parametrize(("offset", "least"), [(0.0, 0.9), (-0.25, 0.6)])
def test_a_look_finds_the_normal_also_where_most_points_succeed(offset: float, least: float) -> None:
    """Of the second, without the mean of the verdicts taken off, the cosine is .28."""
    near = torch.full((1, 1, 6, 6), 0.5)

    def beyond(images: Tensor, rows: Tensor) -> Tensor:
        return ((images - near) * NORMAL).flatten(1).sum(1) > offset

    look, rows = torch.full((1, 1, 1, 1), 0.7), torch.zeros(1, dtype=torch.long)
    found = [
        decisions._normal(beyond, near, look, rows, 400, -5.0, 5.0, torch.Generator().manual_seed(seed))
        for seed in range(10)
    ]
    assert sum((one * NORMAL).sum().item() for one in found) / 10 > least


def test_each_jumps_as_far_as_it_still_succeeds() -> None:
    limits, near = torch.tensor([0.6, 0.2]), torch.zeros(2, 1, 1, 1)

    def within(images: Tensor, rows: Tensor) -> Tensor:
        return images.flatten() <= limits[rows]

    lengths = torch.ones_like(near)
    found = decisions._jumped(within, near, torch.ones_like(near), lengths, torch.arange(2), 0.0, 1.0)
    assert found.flatten().tolist() == [0.5, 0.125]


def test_where_all_points_succeed_a_look_still_names_a_direction() -> None:
    near = torch.full((1, 1, 6, 6), 0.5)
    look, rows = torch.full((1, 1, 1, 1), 0.1), torch.zeros(1, dtype=torch.long)
    found = decisions._normal(
        lambda images, rows: torch.ones(len(images), dtype=torch.bool), near, look, rows, 20, 0, 1, torch.Generator()
    )
    assert found.norm().item() == pytest.approx(1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_are_attacked(dtype: torch.dtype) -> None:
    found = hop_skip_jump(
        lambda images, rows: images.flatten(1).float().norm(dim=1) > 1,
        torch.zeros(2, 1, 4, 4, dtype=dtype),
        torch.ones(2, 1, 4, 4, dtype=dtype),
        steps=2,
        generator=torch.Generator(),
    )
    assert found.dtype == dtype
    assert found.float().flatten(1).norm(dim=1).max() < 1.1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": X}, "start 0 does not succeed"),
        ({"start": X[:2]}, "expected a start of the same kind for each image"),
        ({"start": _start().double()}, "expected a start of the same kind for each image"),
        ({"low": 5.0, "high": -5.0}, "pixels from 5.0 to -5.0"),
        ({"x": X + 9}, "pixels outside [-5, 5]"),
        ({"steps": 0}, "steps is 0"),
        (
            {"succeeds": lambda images, rows: images.flatten(1).sum(1)},
            "for 6 images; expected a tensor with a bool for each",
        ),
        ({"succeeds": lambda images, rows: [True] * 6}, "succeeds gave list"),
        ({"first": 1}, "first is 1"),
    ],
)
def test_what_cannot_be_attacked_is_said(change: dict[str, object], said: str) -> None:
    words = {"x": X, "start": _start(), "low": -5.0, "high": 5.0, "generator": torch.Generator()}
    with pytest.raises(TeachlibError, match=re.escape(said)):
        hop_skip_jump(**{"succeeds": beyond_a_plane} | words | change)  # type: ignore[arg-type]


def test_a_network_in_training_mode_is_refused() -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(36))

    def judged(images: Tensor, rows: Tensor) -> Tensor:
        return net(images).sum(1) > 0

    with pytest.raises(TeachlibError, match="training mode"):
        hop_skip_jump(judged, X, _start(), low=-5, high=5, generator=torch.Generator())
