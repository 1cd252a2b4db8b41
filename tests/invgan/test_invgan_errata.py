"""What the thesis prints of InvGAN and cannot mean."""

import math

import pytest
import torch

from teachlib import invgan
from teachlib.invgan import losses, pictures, tiling


def test_feature_matching_sees_each_sample_and_the_printed_one_only_means() -> None:
    """Eq 6.2 has the norm outside of the expectation."""
    real = [
        torch.randn(6, 5, generator=torch.Generator().manual_seed(0)),
        torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(1)),
    ]
    shuffled = [layer.roll(1, 0) for layer in real]
    assert losses.feature_matching(real, real) == 0
    assert losses.feature_matching(real, shuffled) > 0.5
    assert losses.printed_feature_matching(real[0], shuffled[0]) < 1e-6
    larger = [100 * layer for layer in real]
    assert torch.allclose(
        losses.feature_matching(larger, [100 * layer for layer in shuffled]), losses.feature_matching(real, shuffled)
    )


def test_the_root_of_a_mean_square_is_larger_than_a_mean_absolute_error() -> None:
    """Table 6.1 converts the one into the other for its rivals."""
    errors = torch.randn(100_000, generator=torch.Generator().manual_seed(0)) / 10
    images = torch.full((1, 1, 100, 1000), 0.5)
    rebuilt = images + errors.view_as(images)
    root = 2 * errors.square().mean().sqrt()
    assert (root / losses.pixel_error(images, rebuilt)).item() == pytest.approx(math.sqrt(math.pi / 2), rel=0.01)
    even = images + 0.1 * errors.sign().view_as(images)
    assert losses.pixel_error(images, even).item() == pytest.approx(0.2)  # equal only where all errors are


def test_the_printed_direction_blurs_and_the_other_one_sharpens() -> None:
    """§ 6.4.3 subtracts the code of the picture from that of the blurred one."""
    model = invgan.from_zoo("invgan-direct", "patches")
    flower = pictures.held_out()[1][None, :, 100:228, 200:328].float() / 255
    steps = [tiling.sharpened(model, flower, strength).diff(dim=3).abs().mean().item() for strength in (-1.0, 0.0, 1.0)]
    assert steps[0] < 0.9 * steps[1] < 0.81 * steps[2]
