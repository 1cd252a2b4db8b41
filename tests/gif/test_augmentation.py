"""Each transform does what its name says, can be undone, and leaves conditions on their pictures; p follows D."""

import math

import pytest
import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif import augmentation
from teachlib.gif.augmentation import GEOMETRY, TRANSFORMS, AdaptiveAugmentation, augment


def _images(count: int = 4, channels: int = 3, side: int = 16, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, channels, side, side, generator=generator) - 1


def _seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _moved(x: Tensor, flip: int = 0, turns: int = 0, shift: tuple[int, int] = (0, 0)) -> Tensor:
    count = len(x)
    every = torch.full((count,), flip) > 0, torch.full((count,), turns), torch.tensor([shift]).expand(count, -1)
    return augmentation.move(x, *every)


def test_flips_and_quarter_turns_are_those_of_torch() -> None:
    x = _images()
    assert torch.equal(_moved(x, flip=1), x.flip(3))
    for turns in range(4):
        assert torch.equal(_moved(x, turns=turns), torch.rot90(x, turns, (2, 3)))


def test_twice_a_flip_and_four_quarter_turns_are_nothing() -> None:
    x = _images()
    assert torch.equal(_moved(_moved(x, flip=1), flip=1), x)
    turned = x
    for _ in range(4):
        turned = _moved(turned, turns=1)
    assert torch.equal(turned, x)


def test_first_flip_then_turn_then_shift() -> None:
    x = _images()
    expected = _moved(torch.rot90(x.flip(3), 3, (2, 3)), shift=(2, -1))
    assert torch.equal(_moved(x, flip=1, turns=3, shift=(2, -1)), expected)


def test_shifts_reflect_at_the_border() -> None:
    """To the right by 2 and up by 1: numpy's reflecting padding, cut elsewhere."""
    x = _images(side=6)
    padded = torch.nn.functional.pad(x, (2, 0, 0, 1), mode="reflect")
    assert torch.equal(_moved(x, shift=(2, -1)), padded[:, :, 1:, :6])


def test_each_image_has_its_own_movement() -> None:
    x = _images(3)
    found = augmentation.move(
        x, torch.tensor([False, True, False]), torch.tensor([0, 0, 1]), torch.zeros(3, 2, dtype=torch.long)
    )
    assert torch.equal(found, torch.stack([x[0], x[1].flip(2), torch.rot90(x[2], 1, (1, 2))]))


def _ramp(side: int, a: float, b: float, c: float) -> Tensor:
    """a·x + b·y + c at each pixel, places in pixels from the centre."""
    at = torch.arange(side) - (side - 1) / 2
    return (a * at[None, :] + b * at[:, None] + c)[None, None]


@pytest.mark.parametrize(
    "matrix",
    [
        augmentation.scale_matrix(torch.tensor([0.7]), torch.tensor([0.7])),
        augmentation.scale_matrix(torch.tensor([1.3]), torch.tensor([1 / 1.3])),
        augmentation.turn_matrix(torch.tensor([0.6])),
        augmentation.slide_matrix(torch.tensor([[1.3, -2.6]])),
    ],
    ids=["scale", "stretch", "rotation", "slide"],
)
def test_a_ramp_is_warped_exactly(matrix: Tensor) -> None:
    """Bilinear looks and averages reproduce linear functions: the result at q is the ramp at M q, inside."""
    side, (a, b, c) = 24, (0.3, -0.2, 0.5)
    x, y = ((matrix[0, row, 0] * a_x + matrix[0, row, 1] * a_y + matrix[0, row, 2]) for row, a_x, a_y in _places(side))
    expected = a * x + b * y + c
    found = augmentation.warp(_ramp(side, a, b, c), matrix)[0, 0]
    torch.testing.assert_close(found[8:-8, 8:-8], expected[8:-8, 8:-8], atol=1e-4, rtol=1e-4)


def _places(side: int) -> list[tuple[int, Tensor, Tensor]]:
    across, down = _ramp(side, 1, 0, 0)[0, 0], _ramp(side, 0, 1, 0)[0, 0]
    return [(0, across, down), (1, across, down)]


def test_warps_are_undone_by_their_inverse() -> None:
    """On a smooth picture, away from the border, up to the blur of two times four bilinear looks."""
    across, down = _ramp(64, 1, 0, 0), _ramp(64, 0, 1, 0)
    x = (across / 9).sin() * (down / 11).cos()
    one = torch.ones(1)
    matrix = augmentation.turn_matrix(0.5 * one) @ augmentation.scale_matrix(1.2 * one, 0.9 * one)
    back = augmentation.warp(augmentation.warp(x, matrix), torch.linalg.inv(matrix))
    assert (back - x)[..., 16:-16, 16:-16].abs().max() < 0.02


def test_a_quarter_rotation_by_looks_is_that_by_moving() -> None:
    """On a ramp, where looks are exact; the sign of the angle is that of rot90."""
    x = _ramp(16, 0.3, -0.2, 0.5)
    found = augmentation.warp(x, augmentation.turn_matrix(torch.tensor([math.pi / 2])))
    inner = (..., slice(4, -4), slice(4, -4))
    torch.testing.assert_close(found[inner], torch.rot90(x, 1, (2, 3))[inner], atol=1e-4, rtol=1e-4)


def test_shrinking_does_not_alias() -> None:
    """A chequerboard of single pixels, halved, becomes grey; single looks, here at centres, give black or white."""
    at = torch.arange(16)
    board = ((at[:, None] + at) % 2 * 2.0 - 1)[None, None]
    two = torch.tensor([2.0])
    half = augmentation.warp(
        board, augmentation.slide_matrix(torch.tensor([[0.5, 0.5]])) @ augmentation.scale_matrix(two, two)
    )
    assert half[..., 5:-5, 5:-5].abs().max() < 0.05


def _colours(**values: float) -> Tensor:
    neutral = {"brightness": 0.0, "contrast": 1.0, "luma_flip": 0.0, "hue": 0.0, "saturation": 1.0}
    parts = {name: torch.tensor([value], dtype=torch.float64) for name, value in (neutral | values).items()}
    return augmentation.colour_matrix(**parts)


@pytest.mark.parametrize(
    ("forward", "backward"),
    [
        ({"brightness": 0.3}, {"brightness": -0.3}),
        ({"contrast": 2.5}, {"contrast": 0.4}),
        ({"luma_flip": 1}, {"luma_flip": 1}),
        ({"hue": 1.1}, {"hue": -1.1}),
        ({"saturation": 3}, {"saturation": 1 / 3}),
    ],
    ids=["brightness", "contrast", "luma flip", "hue", "saturation"],
)
def test_colour_maps_have_their_inverse(forward: dict[str, float], backward: dict[str, float]) -> None:
    product = _colours(**forward) @ _colours(**backward)
    torch.testing.assert_close(product[0], torch.eye(4, dtype=torch.float64))
    assert not torch.allclose(_colours(**forward)[0], torch.eye(4, dtype=torch.float64), atol=0.1)


def test_colour_maps_by_what_they_do_to_known_colours() -> None:
    red, grey = torch.tensor([1.0, 0, 0, 1]).double(), torch.tensor([0.4, 0.4, 0.4, 1]).double()

    def of(colour: Tensor, **values: float) -> list[float]:
        return (_colours(**values)[0] @ colour)[:3].tolist()

    assert of(grey, brightness=0.1) == pytest.approx([0.5] * 3)
    assert of(grey, contrast=2) == pytest.approx([0.8] * 3)
    assert of(grey, luma_flip=1) == pytest.approx([-0.4] * 3)
    assert of(grey, hue=2.0) == pytest.approx([0.4] * 3)
    assert of(grey, saturation=5) == pytest.approx([0.4] * 3)
    assert of(red, hue=2 * math.pi / 3) == pytest.approx([0, 1, 0])  # a third of a turn: red to green
    assert of(red, saturation=0) == pytest.approx([1 / 3] * 3)
    assert of(red, luma_flip=1) == pytest.approx([1 / 3, -2 / 3, -2 / 3])
    assert of(red, brightness=0.5, contrast=2) == pytest.approx([3, 1, 1])  # brightness first


def test_no_probability_no_change_bit_by_bit() -> None:
    x = _images(channels=5)
    assert torch.equal(augment(x, 0.0, _seeded()), x)
    assert torch.equal(AdaptiveAugmentation()(x, _seeded()), x)
    # At a small p, most images are not drawn for anything, and must not pass through arithmetic either.
    many = _images(200)
    same = (augment(many, 0.001, _seeded()) == many).flatten(1).all(1)
    assert same.float().mean() > 0.95
    neutral = torch.eye(3).expand(4, 3, 3), torch.eye(4).expand(4, 4, 4)
    assert torch.equal(augmentation.warp(x, neutral[0]), x)
    assert torch.equal(augmentation.recolour(x[:, :3], neutral[1]), x[:, :3])


@pytest.mark.parametrize("name", TRANSFORMS)
def test_share_of_changed_images_follows_p(name: str) -> None:
    """Of flips, half are none; of quarter turns, a quarter; of shifts by up to 2 pixels, 1/8² stay where they are."""
    x, p = _images(1).expand(2000, -1, -1, -1), 0.4
    changed = (augment(x, p, _seeded(), {name}) != x).flatten(1).any(1).float().mean().item()
    drawn_but_same = {"flip": 0.5, "luma flip": 0.5, "quarter turn": 0.25, "shift": 1 / 16}.get(name, 0.0)
    assert changed == pytest.approx(p * (1 - drawn_but_same), abs=0.04)


def test_conditions_stay_aligned_with_pictures() -> None:
    """Channels that repeat the picture repeat it after geometry; colours change the picture alone."""
    x = _images(16)
    moved = augment(torch.cat([x, x], 1), 0.9, _seeded(), GEOMETRY)
    assert not torch.equal(moved[:, :3], x)
    assert torch.equal(moved[:, :3], moved[:, 3:])
    coloured = augment(torch.cat([x, x], 1), 0.9, _seeded(), set(TRANSFORMS) - set(GEOMETRY))
    assert torch.equal(coloured[:, 3:], x)
    assert not torch.equal(coloured[:, :3], x)


def test_decisions_are_the_generators() -> None:
    x = _images(8)
    assert torch.equal(augment(x, 0.7, _seeded(1)), augment(x, 0.7, _seeded(1)))
    assert not torch.equal(augment(x, 0.7, _seeded(1)), augment(x, 0.7, _seeded(2)))


def test_gradients_of_first_and_second_order() -> None:
    x = _images(2, 4, 6).double().requires_grad_()
    warped = augment(x, 1.0, _seeded(3))
    assert not torch.equal(warped, x)
    assert torch.autograd.gradcheck(lambda x: augment(x, 1.0, _seeded(3)), x)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, 1.0, _seeded(3)).sin(), x)


def test_p_rises_while_the_discriminator_is_sure_and_stays_a_probability() -> None:
    """8 images a batch, a change every 4: by 32/320 at a time, up for a mean sign above 0.6, down below."""
    adaptive = AdaptiveAugmentation(images=320)
    sure, unsure = torch.ones(8), torch.tensor([1.0, 1, 1, 1, 1, 1, -1, -1])  # mean signs 1 and 0.5
    for _ in range(3):
        adaptive.update(sure)
    assert adaptive.p == 0
    adaptive.update(7 * sure)
    assert adaptive.p == pytest.approx(0.1)
    for _ in range(60):
        adaptive.update(sure)
    assert adaptive.p == 1
    for _ in range(4):
        adaptive.update(unsure)
    assert adaptive.p == pytest.approx(0.9)
    for _ in range(60):
        adaptive.update(unsure)
    assert adaptive.p == 0


def test_p_survives_a_checkpoint_in_the_middle_of_its_step() -> None:
    first, second = AdaptiveAugmentation(images=100), AdaptiveAugmentation(images=100)
    for _ in range(6):
        first.update(torch.ones(8))
    second.load_state_dict(first.state_dict())
    for one in (first, second):
        one.update(torch.ones(8))
        one.update(-torch.ones(4))
    assert first.p == second.p > 0.32


def test_bad_input_is_refused_in_one_line() -> None:
    with pytest.raises(TeachlibError, match="unknown transform 'flop'; did you mean 'flip'"):
        AdaptiveAugmentation(["flop"])
    with pytest.raises(TeachlibError, match="target is 1; expected a mean of signs"):
        AdaptiveAugmentation(target=1)
    with pytest.raises(TeachlibError, match=r"images of shape \(4, 1, 16, 16\); expected \(N, 3 or more, H, H\)"):
        augment(_images(channels=1), 0.5, _seeded())
    with pytest.raises(TeachlibError, match=r"p is 1\.5; expected a probability"):
        augment(_images(), 1.5, _seeded())


def _drawn(name: str) -> augmentation._Draws:
    return augmentation._Draws(20_000, 1.0, torch.Generator().manual_seed(0), frozenset({name}))


@pytest.mark.parametrize("name", ["stretch", "scale"])
def test_sides_change_by_a_fifth_of_an_octave(name: str) -> None:
    warps = augmentation._warps(_drawn(name), 32)
    assert warps[:, 0, 0].log2().std().item() == pytest.approx(0.2, rel=0.03)


def test_pictures_slide_by_an_eighth_of_their_side() -> None:
    warps = augmentation._warps(_drawn("slide"), 32)
    assert warps[:, :2, 2].std().item() == pytest.approx(4, rel=0.03)


@pytest.mark.parametrize(("name", "octaves"), [("contrast", 0.5), ("saturation", 1.0)])
def test_colours_change_by_octaves(name: str, octaves: float) -> None:
    """A grey axis keeps its length under a change of saturation, any other under none of these."""
    matrices = augmentation._colours(_drawn(name))
    along = torch.tensor([1.0, 1.0, 1.0] if name == "contrast" else [1.0, -1.0, 0.0])
    grown = (matrices[:, :3, :3] @ along).norm(dim=1) / along.norm()
    assert grown.log2().std().item() == pytest.approx(octaves, rel=0.03)


def test_brightness_changes_by_a_fifth() -> None:
    matrices = augmentation._colours(_drawn("brightness"))
    assert matrices[:, :3, 3].std().item() == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize("names", [("flipp",), ("flip", "rotaton"), "flip"])
def test_transforms_that_do_not_exist_are_refused(names: object) -> None:
    with pytest.raises(TeachlibError, match=r"unknown transform|expected a collection"):
        augment(torch.zeros(2, 3, 8, 8), 1.0, torch.Generator(), names)
