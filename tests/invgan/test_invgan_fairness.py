"""A correlation that misleads a classifier: drawn as asked, told by groups, and undone by moved codes."""

import pytest
import torch
from test_invgan_tiling import Identity
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.invgan import fairness


def _draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _attributes(count: int = 1000) -> tuple[Tensor, Tensor]:
    drawn = torch.rand(count, 2, generator=_draw())
    return drawn[:, 0] < 0.3, drawn[:, 1] < 0.5


def test_groups_are_numbered_and_one_that_is_empty_is_refused() -> None:
    target, other = torch.tensor([0, 0, 1, 1, 1]), torch.tensor([0, 1, 0, 1, 1])
    assert fairness.groups_of(target, other).tolist() == [0, 1, 2, 3, 3]
    with pytest.raises(TeachlibError, match=r"groups of \[1, 1, 1, 0\]"):
        fairness.groups_of(target[:3], other[:3])
    with pytest.raises(TeachlibError, match="true or false"):
        fairness.groups_of(target, other.float() / 2)
    with pytest.raises(TeachlibError, match="true or false"):
        fairness.groups_of(target, other[:4])


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9])
def test_attributes_agree_in_the_share_that_is_asked_for(share: float) -> None:
    target, other = _attributes()
    rows = fairness.correlated(target, other, share, _draw())
    assert len(rows) == len(rows.unique())
    assert (target[rows] == other[rows]).double().mean().item() == pytest.approx(share, abs=0.01)
    assert target[rows].double().mean().item() == pytest.approx(0.5, abs=0.01)
    left = fairness.groups_of(target, other).bincount() - fairness.groups_of(target[rows], other[rows]).bincount()
    assert left.min() <= 1, "no more is left out than must be"


def test_a_share_that_cannot_be_had_is_refused() -> None:
    target, other = _attributes(60)
    for share in (0.0, 1.0, float("nan")):
        with pytest.raises(TeachlibError, match="share is"):
            fairness.correlated(target, other, share, _draw())
    with pytest.raises(TeachlibError, match="too few pictures"):
        fairness.correlated(target, other, 0.99, _draw())


def test_evened_rows_are_of_all_groups_alike() -> None:
    target, other = _attributes()
    rows = fairness.correlated(target, other, 0.9, _draw())
    again = fairness.evened(target[rows], other[rows], 8000, _draw())
    counts = fairness.groups_of(target[rows][again], other[rows][again]).bincount()
    assert (counts / 8000 - 0.25).abs().max() < 0.02


def _codes(count: int = 4000) -> tuple[Tensor, Tensor, Tensor]:
    """Codes that hold a target in their first number and a factor in their second, which go together."""
    draw = _draw()
    factor = torch.randn(count, generator=draw)
    target = factor + 0.7 * torch.randn(count, generator=draw) > 0
    noise = 0.1 * torch.randn(count, 3, generator=draw)
    return torch.stack([target.float(), factor, torch.zeros(count)], 1) + noise, factor, target


def test_turning_over_makes_the_factor_its_negative_and_leaves_the_target_alone() -> None:
    codes, factor, target = _codes()
    moved = fairness.turned_over(codes, factor, target)
    noise = codes[:, 1] - factor
    assert ((moved[:, 1] + factor - noise).abs() < 0.05 + 0.05 * factor.abs()).all()
    for other in (0, 2):
        assert ((moved - codes)[:, other].abs() < 0.05 + 0.05 * factor.abs()).all()
    assert torch.equal(codes, _codes()[0]), "what was given is left alone"


def test_a_target_that_all_have_is_refused() -> None:
    codes, factor, target = _codes(50)
    for wrong in (torch.ones(50), torch.zeros(50), target[:40]):
        with pytest.raises(TeachlibError, match="a target of shape"):
            fairness.turned_over(codes, factor, wrong)


def test_pictures_are_edited_by_their_codes_and_by_components() -> None:
    """Factor: how bright the upper half is. Target: whether the lower half is, which goes along with it."""
    draw = _draw()
    side = 0.6 * torch.rand(300, generator=draw) - 0.3
    target = side + 0.2 * torch.randn(300, generator=draw) > 0
    images = 0.5 + 0.02 * torch.randn(300, 1, 4, 4, generator=draw)
    images[:, :, :2] += side[:, None, None, None]
    images[:, :, 2:] += 0.2 * target[:, None, None, None] - 0.1
    for made in (
        fairness.edited(Identity(), images, side, target),
        fairness.edited_linearly(images, 4, side, target),
    ):
        upper, lower = made[:, 0, :2].mean((1, 2)) - 0.5, made[:, 0, 2:].mean((1, 2)) - 0.5
        assert (upper + side).abs().max() < 0.1
        assert ((lower > 0) == target).double().mean() > 0.99


def test_accuracies_are_those_of_each_group() -> None:
    class Bright(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean((1, 2, 3))[:, None] - 0.5

    target, other = torch.tensor([0, 0, 0, 1, 1, 1, 1]), torch.tensor([0, 0, 1, 0, 1, 1, 1])
    says = torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 1.0])
    found = fairness.accuracies(Bright(), says[:, None, None, None].expand(-1, 1, 2, 2), target, other)
    assert found.tolist() == pytest.approx([0.5, 0.0, 1.0, 2 / 3])
