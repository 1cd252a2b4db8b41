"""Where the thesis's chapter on faces and its mathematics part ways."""

import pytest
import torch

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
