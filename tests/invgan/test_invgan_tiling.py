"""Pictures larger than the networks: what is cut is joined again, and where a grid shows, it is found."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.invgan import editing, networks, tiling
from teachlib.invgan.chapter import CHAPTER
from teachlib.invgan.recipes import recipe


class Identity(networks.InvGAN):
    """A model whose codes are the pixels of its tiles, a bijection of them."""

    def __init__(self, tile: int = 4, channels: int = 1) -> None:
        nn.Module.__init__(self)
        self.image, self.w_dim = (channels, tile, tile), channels * tile * tile

    def infer(self, x: Tensor) -> Tensor:
        return 2 * x.flatten(1) - 1

    def generate(self, w: Tensor) -> Tensor:
        return (w / 2 + 0.5).unflatten(1, self.image).clamp(0, 1)


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 7), st.integers(0, 20), st.integers(0, 20), st.integers(1, 3), st.integers(1, 2))
def test_what_is_cut_is_joined_again_whatever_the_size(
    tile: int, taller: int, wider: int, channels: int, count: int
) -> None:
    pictures = _random(count, channels, tile + taller, tile + wider)
    grid = tiling.Grid(tile, tile + taller, tile + wider)
    tiles = grid.split(pictures)
    assert tiles.shape == (count * grid.rows * grid.columns, channels, tile, tile)
    assert torch.equal(grid.join(tiles), pictures)


def test_tiles_go_row_by_row_and_see_the_picture_mirrored_beyond_its_border() -> None:
    picture = torch.arange(30.0).view(1, 1, 5, 6)
    tiles = tiling.Grid(4, 5, 6).split(picture)
    assert torch.equal(tiles[0, 0], picture[0, 0, :4, :4])
    assert torch.equal(tiles[1, 0, :, :2], picture[0, 0, :4, 4:])
    assert torch.equal(tiles[1, 0, :, 2], picture[0, 0, :4, 4])  # column 6 is column 4
    assert torch.equal(tiles[2, 0, 1], picture[0, 0, 3, :4])  # row 5 is row 3


@given(st.integers(4, 17), st.integers(4, 17))
def test_a_model_that_keeps_everything_rebuilds_pictures_of_any_size(height: int, width: int) -> None:
    pictures = _random(2, 1, height, width)
    assert torch.allclose(tiling.rebuilt(Identity(), pictures), pictures, atol=1e-6)
    codes = tiling.infer(Identity(), pictures)
    assert codes.shape == (2, -(-height // 4), -(-width // 4), 16)


def test_a_grid_is_seen_where_there_is_one_and_only_there() -> None:
    smooth = tiling.blurred(_random(3, 1, 64, 64), 2.0)
    assert tiling.seams(smooth, 8) == pytest.approx(1.0, abs=0.1)
    tinted = tiling.Grid(8, 64, 64)
    shifted = tinted.split(smooth) + 0.1 * _random(3 * 64, 1, 1, 1, seed=1)
    assert tiling.seams(tinted.join(shifted), 8) > 1.5

    class Pointwise(Identity):
        """Treats every pixel alike, wherever it lies."""

        def generate(self, w: Tensor) -> Tensor:
            return super().generate(w) ** 2

    errors = (tiling.rebuilt(Pointwise(8), smooth) - smooth).abs()
    assert tiling.seams(errors, 8) == pytest.approx(1.0, abs=0.1)


def test_seams_count_edges_of_both_axes_and_not_the_pixels_beside_them() -> None:
    picture = torch.zeros(1, 1, 4, 4)
    picture[..., 2:] = 1.0  # one vertical edge between columns 1 and 2
    assert tiling.seams(picture + 0.1 * _random(1, 1, 4, 4), 2) > 4
    with pytest.raises(TeachlibError, match="no edge of tiles of 4"):
        tiling.seams(picture, 4)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.3])
def test_the_blur_is_scipys(sigma: float) -> None:
    pictures = _random(2, 3, 20, 17)
    reach = math.ceil(3 * sigma)
    theirs = gaussian_filter(pictures.numpy().astype(np.float64), sigma, mode="mirror", radius=reach, axes=(2, 3))
    assert np.allclose(tiling.blurred(pictures, sigma).numpy(), theirs, atol=1e-6)


def test_sharpening_goes_away_from_blur_and_by_nothing_is_the_reconstruction() -> None:
    model, picture = Identity(), 0.3 + 0.4 * _random(1, 1, 12, 9)
    assert torch.allclose(tiling.sharpened(model, picture, 0.0), tiling.rebuilt(model, picture))
    expected = picture + 0.5 * (picture - tiling.blurred(picture, 1.0))
    assert torch.allclose(tiling.sharpened(model, picture, 0.5), expected.clamp(0, 1), atol=1e-5)


def test_what_is_blurred_is_the_reconstruction_and_not_the_picture() -> None:
    class Coarse(Identity):
        """Rebuilds every tile as its mean: blurred, its reconstructions keep an edge that the picture has not."""

        def generate(self, w: Tensor) -> Tensor:
            return super().generate(w).mean((2, 3), keepdim=True).expand(-1, -1, *self.image[1:])

    model, picture = Coarse(), 0.3 + 0.4 * _random(1, 1, 8, 8)
    rebuilt = tiling.rebuilt(model, picture)
    dull = tiling.rebuilt(model, tiling.blurred(rebuilt, 1.0))
    assert torch.allclose(tiling.sharpened(model, picture, 0.5), rebuilt + 0.5 * (rebuilt - dull), atol=1e-5)


def test_enlarging_keeps_a_ramp_a_ramp_between_the_middles_of_pixels() -> None:
    ramp = torch.linspace(0.2, 0.8, 9).expand(1, 1, 9, 9)
    large = tiling.enlarged(ramp, 2)
    assert large.shape == (1, 1, 18, 18)
    step = (0.8 - 0.2) / 8
    expected = 0.2 + step * ((torch.arange(18) + 0.5) / 2 - 0.5)
    assert torch.allclose(large[0, 0, 9, 4:-4], expected[4:-4], atol=0.005)  # bicubic: nearly linear


def test_a_model_in_training_mode_is_not_changed_by_being_used() -> None:
    model = CHAPTER.build(recipe("invgan", "glyphs", scale="ci"), None).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    picture = _random(1, 1, 40, 40)
    tiling.sharpened(model, picture, 1.0)
    editing.between(model, picture[0, :, :32, :32], picture[0, :, 8:, 8:], 3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training


@given(st.integers(2, 9), st.integers(1, 5), st.floats(0.1, 3.0))
def test_windows_over_time_sum_to_one_and_are_the_same_seen_backwards(frames: int, factor: int, sigma: float) -> None:
    weights = tiling.time_weights(frames, factor, sigma)
    assert weights.shape == (factor * (frames - 1) + 1, frames)
    assert torch.allclose(weights.sum(1), torch.ones(len(weights)), atol=1e-5)
    assert torch.allclose(weights.flip(0, 1), weights, atol=1e-5)


def test_a_narrow_window_keeps_frames_and_a_linear_model_averages_as_pixels_do() -> None:
    film = _random(4, 1, 8, 8)
    narrow = tiling.slowed(Identity(), film, 3, sigma=0.05)
    assert torch.allclose(narrow[::3], film, atol=1e-5)
    assert torch.allclose(tiling.slowed(Identity(), film, 2), tiling.averaged(film, 2), atol=1e-5)
    ratio = tiling.time_weights(3, 1, 0.5)[1]
    assert (ratio[0] / ratio[1]).item() == pytest.approx(math.exp(-2.0))


def test_what_cannot_be_tiled_is_refused_in_a_line() -> None:
    model = Identity()
    with pytest.raises(TeachlibError, match="a picture of 3×9 pixels; expected 4 or more"):
        tiling.infer(model, _random(1, 1, 9, 3))
    with pytest.raises(TeachlibError, match=r"expected \(T, 1, height, width\)"):
        tiling.infer(model, _random(1, 3, 9, 9))
    with pytest.raises(TeachlibError, match="needs"):
        tiling.generate(model, torch.zeros(1, 2, 3, 16), 9, 9)
    with pytest.raises(TeachlibError, match="another model"):
        tiling.generate(model, torch.zeros(1, 3, 3, 5), 9, 9)
    with pytest.raises(TeachlibError, match="multiple of"):
        tiling.Grid(4, 8, 8).join(torch.zeros(3, 1, 4, 4))
    with pytest.raises(TeachlibError, match="pixels outside"):
        tiling.infer(model, 255 * _random(1, 1, 8, 8))
    with pytest.raises(TeachlibError, match="pictures of shape"):
        tiling.sharpened(model, _random(1, 8, 8), 1.0)
    with pytest.raises(TeachlibError, match="frames"):
        tiling.slowed(model, _random(1, 1, 8, 8), 2)
