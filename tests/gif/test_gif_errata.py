"""Where the thesis's chapter on faces and its mathematics part ways."""

import pytest
import torch

from teachlib.gif import consistency, layers
from teachlib.gif.models import VectorDiscriminator
from teachlib.gif.stylegan2 import StyleGAN2Config


@pytest.mark.parametrize(("kind", "sees"), [("subtraction", False), ("concatenation", True), ("projection", True)])
def test_a_vector_that_is_subtracted_before_a_linear_layer_tells_nothing_of_mismatches(kind: str, sees: bool) -> None:
    """D(x, c) - D(x, c') - D(x', c) + D(x', c'): zero where what c adds does not depend on x, as then ∂²D/∂x∂c is 0."""
    torch.manual_seed(0)
    judge = VectorDiscriminator(StyleGAN2Config.for_size(8, width=16), 3, kind).double()
    pictures = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    vectors = torch.randn(8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    shown = [judge.trunk(picture[None]) for picture in pictures]  # alone: others would change its deviation
    assert torch.stack(shown).std(0).max() > 0.01
    table = torch.stack([torch.cat([judge(x[None], c[None]) for c in vectors]) for x in pictures])
    interaction = table - table.mean(0) - table.mean(1, keepdim=True) + table.mean()
    assert bool((interaction.abs() > 1e-6).any()) == sees


def test_demodulation_normalizes_the_expected_variance_and_not_each_pictures_own() -> None:
    """§ 5.3.3: instance normalization would make both alike; modulated convolution keeps one twice as large."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 64, 32, 32, generator=generator)
    both = torch.cat([x, 2 * x])
    weight = torch.randn(32, 64, 3, 3, generator=generator)
    styles = torch.randn(1, 64, generator=generator).exp().expand(2, -1)
    out = layers.modulated_conv(both, weight, styles)
    deviations = out[:, :, 2:-2, 2:-2].std((2, 3))
    assert deviations[0].mean().item() == pytest.approx(1, abs=0.05)
    torch.testing.assert_close(deviations[1], 2 * deviations[0])
    adaptive = torch.nn.functional.instance_norm(out)
    torch.testing.assert_close(adaptive[0], adaptive[1], atol=1e-3, rtol=0)


def test_textures_that_agree_cost_nothing_as_printed_and_one_half_as_released() -> None:
    """§ 5.3.4; and the sigmoid hardly pulls on what differs most."""
    visible = torch.ones(2, 4, 4, dtype=torch.bool)

    def slope(apart: float, released: bool) -> tuple[float, float]:
        difference = torch.tensor(apart, requires_grad=True)
        textures = torch.stack([torch.zeros(3, 4, 4), difference.expand(3, 4, 4)])
        loss = consistency.texture_consistency(textures, visible)
        loss = torch.sigmoid(loss) if released else loss
        return loss.item(), torch.autograd.grad(loss, difference)[0].item()

    assert slope(0.0, False) == (0, 0)
    assert slope(0.0, True) == (0.5, 0)
    assert slope(3.0, False)[1] == pytest.approx(6)
    assert slope(3.0, True)[1] < 0.01 * slope(1.0, True)[1]
