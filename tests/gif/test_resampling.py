"""Resampling equals scipy's upfirdn with the padding of StyleGAN2, and its gradients are right."""

import numpy as np
import pytest
import torch
from scipy.signal import upfirdn

from teachlib.gif.resampling import blur, downsample, upsample

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8


def reference(x: np.ndarray, *, up: int = 1, down: int = 1, pad: tuple[int, int], gain: float = 1.0) -> np.ndarray:
    """Zeros after each pixel, padding, filter, every ``down``-th result."""
    for axis in (-2, -1):
        taps = TAPS * gain**0.5
        stuffed = np.moveaxis(upfirdn([1.0], x, up=up, axis=axis), axis, -1)
        missing = up * x.shape[axis] - stuffed.shape[-1]  # the zeros after the last pixel
        widths = [(0, 0)] * (x.ndim - 1) + [(pad[0], pad[1] + missing)]
        filtered = np.moveaxis(upfirdn(taps, np.pad(stuffed, widths), axis=-1)[..., 3:-3][..., ::down], -1, axis)
        x = filtered
    return x


@pytest.fixture(params=[(5, 8), (4, 4), (7, 3), (9, 6)], ids=str)
def images(request) -> torch.Tensor:
    return torch.randn(2, 3, *request.param, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_upsampling_is_upfirdn_padded_by_two_and_one(images: torch.Tensor) -> None:
    expected = reference(images.numpy(), up=2, pad=(2, 1), gain=4.0)
    torch.testing.assert_close(upsample(images), torch.from_numpy(expected))


def test_downsampling_is_upfirdn_padded_by_one(images: torch.Tensor) -> None:
    expected = reference(images.numpy(), down=2, pad=(1, 1))
    torch.testing.assert_close(downsample(images), torch.from_numpy(expected))


@pytest.mark.parametrize(("padding", "gain"), [(1, 4.0), (2, 1.0)])
def test_blur_is_upfirdn(images: torch.Tensor, padding: int, gain: float) -> None:
    expected = reference(images.numpy(), pad=(padding, padding), gain=gain)
    torch.testing.assert_close(blur(images, padding, gain=gain), torch.from_numpy(expected))


def test_constant_images_stay_constant_inside() -> None:
    ones = torch.ones(1, 2, 8, 8)
    torch.testing.assert_close(upsample(ones)[..., 1:-1, 1:-1], torch.ones(1, 2, 14, 14))
    torch.testing.assert_close(downsample(ones)[..., 1:-1, 1:-1], torch.ones(1, 2, 2, 2))


def test_downsampling_is_a_quarter_of_the_adjoint_of_upsampling() -> None:
    """⟨up x, y⟩ = 4⟨x, down y⟩: the filter is symmetric, and the gain makes up for the zeros."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(2, 3, 5, 6, generator=generator, dtype=torch.float64)
    y = torch.randn(2, 3, 10, 12, generator=generator, dtype=torch.float64)
    torch.testing.assert_close((upsample(x) * y).sum(), 4 * (x * downsample(y)).sum())


@pytest.mark.parametrize("resample", [upsample, downsample, lambda x: blur(x, 2)], ids=["up", "down", "blur"])
def test_gradients_of_first_and_second_order(resample) -> None:
    x = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(resample, x)
    assert torch.autograd.gradgradcheck(resample, x)


def test_layout_of_memory_does_not_matter() -> None:
    x = torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(2))
    last = x.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(upsample(last), upsample(x))
    torch.testing.assert_close(downsample(last), downsample(x))


def test_derivatives_by_torch_func() -> None:
    """The whole Jacobian, one row an output, as explicit tests of penalties take it."""
    x = torch.randn(1, 1, 4, 4, dtype=torch.float64)
    jacobian = torch.func.jacrev(upsample)(x).reshape(64, 16)
    torch.testing.assert_close(jacobian @ x.flatten(), upsample(x).flatten())
