"""Pictures changed by their codes, on a generator whose answers are known."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.invgan import editing, inversion, networks
from teachlib.invgan.chapter import CHAPTER
from teachlib.invgan.recipes import recipe

SIZE, W = 8, 4


class Linear(networks.InvGAN):
    """Pictures that are linear in codes, and an inference that is least squares: exact for pictures it can make."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.image, self.w_dim = (1, SIZE, SIZE), W
        weights = torch.randn(W, SIZE * SIZE, generator=torch.Generator().manual_seed(0))
        self.generator = _Drawn(0.05 * weights)
        self.discriminator = _Fitted(0.05 * weights)

    def infer(self, x: Tensor) -> Tensor:
        return self.discriminator(x).codes


class _Drawn(nn.Module):
    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.register_buffer("weights", weights)

    def forward(self, w: Tensor) -> Tensor:
        return 0.5 + (w @ self.weights).view(-1, 1, SIZE, SIZE)


class _Fitted(_Drawn):
    def forward(self, x: Tensor) -> networks.Seen:
        codes = (x.flatten(1) - 0.5) @ torch.linalg.pinv(self.weights)
        return networks.Seen(codes[:, 0], codes, [x])


@pytest.fixture
def model() -> Linear:
    return Linear()


def _codes(count: int = 3) -> Tensor:
    return torch.randn(count, W, generator=torch.Generator().manual_seed(1)).clamp(-2, 2)


def test_hidden_pixels_are_recovered_by_a_search_and_visible_ones_left_alone(model: Linear) -> None:
    images = model.generate(_codes())
    mask = editing.square(SIZE, 1, 2, 3)
    spoilt = images.masked_fill(mask, 1.0)
    once, _ = editing.inpainted(model, spoilt, mask)
    found, codes = editing.inpainted(model, spoilt, mask, steps=400, stay=0.0)
    hidden = mask.expand_as(images)
    assert torch.equal(found[~hidden], images[~hidden])
    assert (found - images).abs()[hidden].mean() < 0.01
    assert (found - images).abs()[hidden].mean() < (once - images).abs()[hidden].mean() / 5
    assert torch.allclose(codes, _codes(), atol=0.1)


def test_a_search_that_is_held_stays_where_the_model_infers(model: Linear) -> None:
    images, mask = model.generate(_codes()), editing.square(SIZE, 1, 2, 3)
    _, once = editing.inpainted(model, images, mask)
    _, free = editing.inpainted(model, images, mask, steps=50, stay=0.0)
    assert (free - once).abs().max() > 0.05
    off = Linear()
    off.infer = lambda x: torch.ones(len(x), W)  # type: ignore[method-assign]
    _, held = editing.inpainted(off, images, mask, steps=200, stay=1e4)
    assert (held - 1).abs().max() < 0.2


def test_what_the_hidden_pixels_held_does_not_matter(model: Linear) -> None:
    images, mask = model.generate(_codes()), editing.square(SIZE, 0, 0, 4)
    one, _ = editing.inpainted(model, images.masked_fill(mask, 0.0), mask, steps=5)
    other, _ = editing.inpainted(model, images.masked_fill(mask, 1.0), mask, steps=5)
    assert torch.equal(one, other)


def test_everything_is_generated_where_nothing_is_to_be_kept(model: Linear) -> None:
    images, mask = model.generate(_codes()), editing.square(SIZE, 0, 0, 4)
    made, codes = editing.inpainted(model, images, mask, keep=False)
    assert torch.allclose(made, model.generate(codes))
    assert not torch.allclose(made, images, atol=1e-3)


def test_merging_pastes_where_the_mask_is_and_mends_what_was_pasted(model: Linear) -> None:
    ours, theirs = model.generate(_codes()), model.generate(_codes().flip(0))
    mask = editing.square(SIZE, 4, 4, 4)
    pasted, made = editing.merged(model, ours, theirs, mask)
    assert torch.equal(pasted[..., 4:, 4:], theirs[..., 4:, 4:])
    assert torch.equal(pasted[..., :4, :], ours[..., :4, :])
    assert torch.allclose(made, model(pasted))
    same, kept = editing.merged(model, ours, ours, mask)
    assert torch.equal(same, ours)
    assert torch.allclose(kept, ours, atol=1e-5)


@given(st.sampled_from([(8,), (7, 8), (2, 1, 8, 8), (3, 2, 8, 8), (1, 1, 9, 8), (0, 1, 8, 8)]))
def test_masks_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(TeachlibError, match="mask of shape"):
        editing.require_mask(torch.ones(shape), torch.zeros(3, 1, SIZE, SIZE))


def test_masks_that_say_nothing_are_refused() -> None:
    images = torch.zeros(2, 1, SIZE, SIZE)
    for mask, words in (
        (torch.zeros(8, 8), "no pixel"),
        (torch.ones(8, 8), "every pixel"),
        (torch.rand(8, 8), "true or"),
    ):
        with pytest.raises(TeachlibError, match=words):
            editing.require_mask(mask, images)
    with pytest.raises(TeachlibError, match="leaves a picture"):
        editing.square(8, 4, 4, 5)


def test_a_search_sees_visible_pixels_alone(model: Linear) -> None:
    images = model.generate(_codes())
    visible = torch.ones(3, 1, SIZE, SIZE)
    visible[..., :4] = 0
    start = torch.zeros(3, W)
    one, errors = inversion.optimized(model, images, start, steps=3, visible=visible)
    other, _ = inversion.optimized(model, images * visible, start, steps=3, visible=visible)
    assert torch.allclose(one, other)
    expected = 2 * (images - 0.5).abs()[..., 4:].flatten(1).mean(1)
    assert torch.allclose(errors[0], expected)
    with pytest.raises(TeachlibError, match="hidden pixels"):
        inversion.optimized(model, images, start, visible=visible, features=1.0)
    with pytest.raises(TeachlibError, match="a pixel or more"):
        inversion.optimized(model, images, start, visible=0 * visible)


def test_a_planted_direction_is_found_and_a_step_along_it_is_one_deviation() -> None:
    codes = torch.randn(2_000, W, generator=torch.Generator().manual_seed(2)) + 5.0  # wherever they lie
    weights = torch.tensor([1.0, -2.0, 0.0, 0.5])
    factor = codes @ weights + 3.0
    step = editing.direction(codes, factor, ridge=1e-6)
    assert torch.allclose(step / step.norm(), weights / weights.norm(), atol=1e-3)
    assert (step @ weights).item() == pytest.approx(factor.std().item(), rel=1e-3)
    assert torch.allclose(editing.direction(codes, factor > 0.0), editing.direction(codes, (factor > 0.0).float()))


def test_a_direction_is_that_of_scikit_learns_ridge_regression() -> None:
    codes = torch.randn(12, W, generator=torch.Generator().manual_seed(3))
    factor = torch.randn(12, generator=torch.Generator().manual_seed(4))
    theirs = torch.tensor(Ridge(alpha=5.0).fit(codes.numpy(), factor.numpy()).coef_).double()
    expected = theirs * factor.double().std() / theirs.square().sum()
    assert torch.allclose(editing.direction(codes, factor, ridge=5.0).double(), expected, rtol=1e-4)


def test_directions_need_a_factor_that_varies() -> None:
    with pytest.raises(TeachlibError, match="the same for all"):
        editing.direction(torch.randn(5, 3), torch.ones(5))
    with pytest.raises(TeachlibError, match=r"expected \(N,\)"):
        editing.direction(torch.randn(5, 3), torch.ones(4))
    with pytest.raises(TeachlibError, match="ridge"):
        editing.direction(torch.randn(5, 3), torch.randn(5), ridge=0.0)
    with pytest.raises(TeachlibError, match="not finite"):
        editing.direction(torch.randn(5, 3) * torch.nan, torch.randn(5))


def test_the_way_between_two_pictures_begins_and_ends_with_them(model: Linear) -> None:
    images = model.generate(_codes(2))
    path = editing.between(model, *images, 5)
    assert torch.allclose(path[[0, -1]], images, atol=1e-5)
    assert torch.allclose(path[2], images.mean(0), atol=1e-5)


@pytest.fixture
def styled() -> networks.InvGAN:
    torch.manual_seed(0)
    return CHAPTER.build(recipe("invgan", "glyphs", scale="ci", backbone="stylegan2"), None).eval()


def test_mixing_takes_the_first_layers_of_one_and_the_rest_of_the_other(styled: networks.InvGAN) -> None:
    one, other = (styled.codes(2, torch.Generator().manual_seed(seed)).detach() for seed in (0, 1))
    layers = styled.generator.layers
    assert torch.equal(editing.mixed(styled, one, other, 0), styled.generate(other))
    assert torch.equal(editing.mixed(styled, one, other, layers), styled.generate(one))
    # What a layer beyond the mixed ones takes has no part in the first: the coarse code alone decides it.
    seen: list[Tensor] = []
    styled.generator.synthesis.layers[1].register_forward_hook(lambda *call: seen.append(call[-1]))
    editing.mixed(styled, one, other, 2)
    styled.generate(one)
    assert torch.equal(seen[0], seen[1])
    with pytest.raises(TeachlibError, match="expected 0"):
        editing.mixed(styled, one, other, layers + 1)


def test_mixing_needs_a_code_for_each_layer(model: Linear) -> None:
    with pytest.raises(TeachlibError, match="stylegan2"):
        editing.mixed(model, _codes(), _codes(), 1)


def test_pictures_of_another_shape_or_range_are_refused(model: Linear) -> None:
    mask = editing.square(SIZE, 0, 0, 2)
    for images in (torch.zeros(1, 3, SIZE, SIZE), torch.zeros(0, 1, SIZE, SIZE), torch.full((1, 1, SIZE, SIZE), 200.0)):
        with pytest.raises(TeachlibError):
            editing.inpainted(model, images, mask)
        with pytest.raises(TeachlibError):
            editing.mended(model, images)
