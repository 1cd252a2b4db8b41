"""Frames between frames by optical flow: what moves evenly is found half way, and what stands still is left alone."""

import sys

import pytest
import torch
from torch import Tensor

from teachlib import invgan
from teachlib.errors import TeachlibError
from teachlib.invgan import motion, tiling

cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")


def _texture(height: int, width: int, *, down: int = 0, right: int = 0) -> Tensor:
    """A part of one smooth random texture; as if what it shows had moved by so much."""
    whole = tiling.blurred(torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(0)), 3.0)[0]
    whole = (whole - whole.min()) / (whole.max() - whole.min())
    return whole[:, 24 - down : 24 - down + height, 24 - right : 24 - right + width]


@pytest.mark.parametrize(("down", "right"), [(0, 4), (2, -4), (6, 4), (-4, 0)])
def test_a_texture_that_moves_by_whole_pixels_is_found_half_way(down: int, right: int) -> None:
    film = torch.stack([_texture(64, 80), _texture(64, 80, down=down, right=right)])
    truth = _texture(64, 80, down=down // 2, right=right // 2)
    apart = (invgan.interpolated(film, 2)[1] - truth).abs()
    assert apart[:, 10:-10, 10:-10].max() < 0.005  # at the border nobody sees what comes in
    assert apart.mean() < (film.mean(0) - truth).abs().mean() / 5  # what a mere mean misses


@pytest.mark.parametrize("factor", [1, 3, 4])
def test_times_between_are_evenly_spaced_and_the_films_own_frames_are_kept(factor: int) -> None:
    film = torch.stack([_texture(48, 56, right=12 * n // 2) for n in range(3)])
    made = invgan.interpolated(film, factor)
    assert torch.equal(made[::factor], film)
    assert len(made) == 2 * factor + 1
    if factor == 3:  # two pixels a step
        for number, frame in enumerate(made):
            truth = _texture(48, 56, right=2 * number)
            assert (frame - truth)[:, 12:-12, 12:-12].abs().max() < 0.005


def test_a_still_film_stays_as_it_is() -> None:
    film = _texture(40, 33).expand(3, -1, -1, -1)
    assert torch.allclose(invgan.interpolated(film, 3), film[:1], atol=1e-3)


def test_the_flow_points_to_where_a_place_has_gone_and_warping_fetches_it_from_there() -> None:
    first, last = _texture(64, 80), _texture(64, 80, down=3, right=-2)
    found = motion.flow(first, last)
    assert found.shape == (2, 64, 80)
    assert torch.allclose(found[:, 12:-12, 12:-12].mean((1, 2)), torch.tensor([-2.0, 3.0]), atol=0.05)
    assert (motion.warped(last, found) - first)[:, 12:-12, 12:-12].abs().max() < 0.005


def test_warping_is_bilinear_and_goes_on_as_the_border_ends() -> None:
    ramp = torch.arange(5.0).expand(1, 4, 5) / 8
    assert torch.equal(motion.warped(ramp, torch.zeros(2, 4, 5)), ramp)
    right = torch.stack([torch.full((4, 5), 0.25), torch.zeros(4, 5)])
    expected = torch.tensor([0.25, 1.25, 2.25, 3.25, 4.0]) / 8
    assert torch.allclose(motion.warped(ramp, right)[0, 2], expected)
    down = torch.stack([torch.zeros(5, 4), torch.ones(5, 4)])
    assert torch.equal(motion.warped(ramp.mT, down)[0, :, 0], torch.tensor([1.0, 2.0, 3.0, 4.0, 4.0]) / 8)


def _ball(place: int) -> Tensor:
    picture = torch.zeros(1, 64, 64)
    picture[:, 30:34, place : place + 4] = 1.0
    return picture


def test_a_small_ball_is_followed_as_far_as_its_neighbourhoods_overlap() -> None:
    slow = invgan.interpolated(torch.stack([_ball(20), _ball(26)]), 2)[1]
    assert torch.allclose(slow, _ball(23), atol=0.1)
    fast = invgan.interpolated(torch.stack([_ball(20), _ball(28)]), 2)[1]
    assert fast[:, 30:34, 24:28].max() < 0.1  # half way there is none
    assert fast[:, 31:33, 20:22].min() > 0.4  # but half of one where it was
    assert fast[:, 31:33, 30:32].min() > 0.4  # and half where it will be


def test_pictures_of_one_pixel_and_odd_sides_pass() -> None:
    for height, width in ((1, 1), (4, 5), (1, 9)):
        film = torch.rand(2, 1, height, width, generator=torch.Generator().manual_seed(1))
        assert invgan.interpolated(film, 2).shape == (3, 1, height, width)


def test_what_is_no_film_is_refused_in_a_line() -> None:
    with pytest.raises(TeachlibError, match="two frames or more"):
        invgan.interpolated(torch.zeros(1, 1, 8, 8), 2)
    with pytest.raises(TeachlibError, match="two frames or more"):
        invgan.interpolated(torch.zeros(2, 8, 8), 2)
    with pytest.raises(TeachlibError, match="factor is 0"):
        invgan.interpolated(torch.zeros(2, 1, 8, 8), 0)
    with pytest.raises(TeachlibError, match="pixels outside"):
        invgan.interpolated(255 * torch.ones(2, 1, 8, 8), 2)
    with pytest.raises(TeachlibError, match="expected"):
        motion.flow(torch.zeros(1, 8, 8), torch.zeros(1, 8, 9))
    with pytest.raises(TeachlibError, match="a motion of"):
        motion.warped(torch.zeros(1, 8, 8), torch.zeros(2, 8, 9))


def test_a_missing_opencv_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(TeachlibError, match="pip install opencv-python-headless"):
        invgan.interpolated(torch.zeros(2, 1, 8, 8), 2)


def test_the_nearer_frame_counts_most() -> None:
    film = torch.stack([torch.full((1, 32, 32), level) for level in (0.2, 0.6)])
    between = invgan.interpolated(film, 4).mean((1, 2, 3))
    torch.testing.assert_close(between, torch.tensor([0.2, 0.3, 0.4, 0.5, 0.6]), atol=1e-4, rtol=0)
