"""HopSkipJump against borders whose nearest point is known."""

import re

import pytest
import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.gmmvae.attacks import hop_skip_jump

X = 0.3 + 0.4 * torch.rand(6, 1, 6, 6, generator=torch.Generator().manual_seed(1))
NORMAL = torch.randn(1, 6, 6, generator=torch.Generator().manual_seed(2))
NORMAL /= NORMAL.norm()
OFFSETS = torch.tensor([0.2, 0.3, 0.4, 0.5, 0.6, -0.1])  # the last one succeeds as it is


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
    assert torch.equal(found[5], X[5])
    assert (apart[:5] >= OFFSETS[:5]).all()  # nothing nearer exists
    assert (apart[:5] < 1.05 * OFFSETS[:5]).all()


def beyond_a_plane_all(images: Tensor) -> bool:
    with torch.no_grad():
        return bool(beyond_a_plane(images, torch.arange(len(images))).all())


def test_more_steps_come_nearer_and_a_seed_repeats_them() -> None:
    short, long = ((_attacked(steps=steps, first=20) - X)[:5].flatten(1).norm(dim=1).mean() for steps in (1, 20))
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


def test_it_asks_as_often_as_it_says() -> None:
    asked = []

    def counted(images: Tensor, rows: Tensor) -> Tensor:
        asked.append(len(images))
        return beyond_a_plane(images, rows)

    hop_skip_jump(counted, X[:1], _start()[:1], steps=4, first=50, low=-5, high=5, generator=torch.Generator())
    looks = sum(round(50 * step**0.5) for step in range(1, 5))
    assert looks < sum(asked) < looks + 4 * (12 + 8) + 12  # besides: bisections to a share of 36^-1.5, and halvings


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"start": X}, "start 0 does not succeed"),
        ({"start": X[:2]}, "6 images and 2 starts"),
        ({"x": X + 9}, "pixels outside [-5, 5]"),
        ({"steps": 0}, "steps is 0"),
        ({"succeeds": lambda images, rows: images.flatten(1).sum(1)}, "expected a bool for each of 6"),
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
