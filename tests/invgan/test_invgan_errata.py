"""What the thesis prints of InvGAN and cannot mean."""

import torch

from teachlib.invgan import losses


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
