"""Synthetic photographs: their numbers, their colours, and what they show of what was asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.gif import appearance, camera, heads, light, parameters, photographs, rendering, wardrobe
from teachlib.gif.head import head
from teachlib.gif.parameters import Parameters
from teachlib.gif.photographs import photograph


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    from teachlib.data import cache

    monkeypatch.setenv("TEACHLIB_CACHE", str(tmp_path / "cache"))
    cache._writable_root.cache_clear()
    yield
    cache._writable_root.cache_clear()


# ----------------------------------------------------------------------------------------------------------- numbers


def test_random_numbers_stay_in_their_ranges_and_are_spread_as_said() -> None:
    chosen = parameters.randomly(600, _generator())
    for numbers in (chosen.shape, chosen.appearance):
        assert numbers.mean().abs() < 0.02
        assert 0.97 < numbers.std() < 1.03
    assert 0 <= chosen.expression.min() < chosen.expression.max() <= 1
    assert chosen.pose[:, 0, 1].abs().max() <= torch.pi / 3
    assert 0 <= chosen.pose[:, 2, 0].min() < chosen.pose[:, 2, 0].max() <= torch.pi / 12
    assert torch.equal(chosen.pose[:, 3], chosen.pose[:, 4])  # both eyes look at one place
    assert (light.shading(torch.eye(3).T.expand(600, 3, 3)[..., None], chosen.light) > 0.05).all()


def test_eyes_are_in_the_pictures_whatever_the_pose() -> None:
    chosen = parameters.randomly(300, _generator())
    eyes = head().posed_joints(chosen.shape, chosen.expression, chosen.pose)[:, 3:]
    places = camera.project(eyes, chosen.camera)[..., :2].mean(1)
    assert torch.allclose(places.mean(0), torch.tensor([0.0, 0.13]), atol=0.02)
    assert places.abs().amax() < 0.35


def test_groups_are_exchanged_one_at_a_time() -> None:
    first, second = parameters.randomly(3, _generator()), parameters.neutral(3)
    mixed = first.exchanged(second, "pose", "light")
    assert torch.equal(mixed.pose, second.pose)
    assert torch.equal(mixed.light, second.light)
    assert torch.equal(mixed.shape, first.shape)
    assert len(first[:2]) == 2
    with pytest.raises(TeachlibError, match=r"groups \['hair'\]; expected some of shape"):
        first.exchanged(second, "hair")
    with pytest.raises(TeachlibError, match="different numbers of pictures"):
        Parameters(**{**vars(first), "shape": first.shape[:1]})


# ----------------------------------------------------------------------------------------------------------- colours


def test_the_texture_is_linear_in_its_numbers_until_it_is_cut_off() -> None:
    mean, components = appearance.linear_model(64)
    numbers = 0.3 * torch.randn(2, 10, generator=_generator())
    expected = mean + sum(numbers[:, k, None, None, None] * components[k] for k in range(10))
    found = appearance.albedo(numbers, 64)
    inside = (expected > 0.01) & (expected < 1)
    assert inside.float().mean() > 0.99
    assert torch.allclose(found[inside], expected[inside], atol=1e-6)
    assert torch.allclose(
        appearance.albedo(numbers[:, :3], 64), appearance.albedo(numbers * (torch.arange(10) < 3), 64)
    )
    with pytest.raises(TeachlibError, match=r"\(2, 11\); expected \(N, at most 10\): lightness of the skin"):
        appearance.albedo(torch.zeros(2, 11))


@pytest.mark.parametrize(
    ("component", "low", "high"),
    [
        ("red of the lips", (-0.027, -0.087, 0.0), (0.027, -0.06, 0.06)),
        ("light of the brows", (-0.06, 0.008, -0.02), (0.06, 0.032, 0.06)),
        ("light and blue of the iris", (-0.04, -0.009, 0.0), (0.04, 0.009, 0.06)),
        ("dark rings under the eyes", (-0.07, -0.035, -0.02), (0.07, 0.002, 0.06)),
    ],
)
def test_each_number_colours_the_place_that_it_names(component: str, low: Tensor, high: Tensor) -> None:
    where = appearance.head_atlas(128)
    places = where.on_texels(head().template[None])[0]
    _, components = appearance.linear_model(128)
    moved = components[appearance.COMPONENTS.index(component)].abs().sum(0) * where.used
    box = ((places > torch.tensor(low)[:, None, None]) & (places < torch.tensor(high)[:, None, None])).all(0)
    assert moved[box].sum() > 0.9 * moved.sum() > 0


def test_pupils_are_where_the_eyes_look() -> None:
    """The darkest of each eye, seen from the front, lies before the eye's joint; and moves with it."""
    straight, aside = parameters.neutral(1), parameters.neutral(1)
    aside.pose[:, 3:, 1] = 0.4
    columns = []
    for asked in (straight, aside):
        found = rendering.render(asked, 256)
        eyes = camera.project(head().joints[None, 3:], asked.camera)[0]
        for eye in eyes:
            column, row = int((eye[0] + 1) * 128), int((1 - eye[1]) * 128)
            window = found.colours[0, :, row - 6 : row + 7, column - 12 : column + 13].sum(0)
            darkest = (window < window.min() + 0.15).nonzero()[:, 1].float().mean().item()
            columns.append(darkest)
    left, right, left_aside, right_aside = columns
    assert abs(left - 12) < 2.5
    assert abs(right - 12) < 2.5
    assert left_aside > left + 1.5
    assert right_aside > right + 1.5


# ------------------------------------------------------------------------------------------------------- photographs


def test_one_seed_makes_one_photograph_whatever_is_made_beside_it() -> None:
    chosen, style = parameters.randomly(3, _generator()), wardrobe.randomly(3, _generator())
    together = photograph(chosen, style, 32)
    assert together.shape == (3, 3, 32, 32)
    assert 0 <= together.min() < together.max() <= 1
    assert torch.allclose(photograph(chosen[1:2], style[1:2], 32), together[1:2], atol=1e-5)


def test_photographs_agree_with_renderings_on_bare_skin() -> None:
    """Where the rendering shows a head and the photograph neither hair nor glasses, shadows apart."""
    chosen, style = parameters.randomly(24, _generator()), wardrobe.randomly(24, _generator())
    style = wardrobe.Style(
        **{**vars(style), "bald": torch.ones(24, dtype=torch.bool), "glasses": torch.zeros(24).bool()}
    )
    taken, rendered = photograph(chosen, style, 64), rendering.render(chosen, 64)
    skin = rendered.fragments.covered[:, None].expand_as(taken)
    alike = torch.corrcoef(torch.stack([taken[skin], rendered.colours[skin]]))[0, 1]
    assert alike > 0.85
    behind = torch.corrcoef(torch.stack([taken[~skin], rendered.colours.roll(1, 0)[~skin]]))[0, 1]
    assert behind < 0.5


def test_style_changes_what_parameters_do_not_know_and_nothing_else() -> None:
    chosen = parameters.neutral(2)
    styles = wardrobe.randomly(40, _generator())
    haired = styles[(~styles.bald & ~styles.glasses).nonzero()[:2, 0]]
    taken = photograph(chosen, haired, 64)
    rendered = rendering.render(chosen, 64)
    change = (taken[0] - taken[1]).abs().mean(0)
    rows = torch.arange(64)[:, None].expand(64, 64)
    face = rendered.fragments.covered[0] & (rows > 26) & (rows < 44)
    inner = face & (torch.arange(64)[None] > 24) & (torch.arange(64)[None] < 40)
    assert change[inner].mean() < 0.35 * change[~rendered.fragments.covered[0]].mean()


def test_a_lamp_from_one_side_leaves_the_other_in_shadow() -> None:
    asked = parameters.neutral(1)
    lamp = torch.nn.functional.normalize(torch.tensor([[1.0, 0.3, 0.4]]), dim=1)
    lit = asked.exchanged(
        parameters.Parameters(
            **{**vars(asked), "light": light.uniform(0.3) + light.from_direction(lamp, torch.ones(1, 3))}
        ),
        "light",
    )
    style = wardrobe.randomly(40, _generator())
    bare = style[style.bald.nonzero()[:1, 0]]
    found = photograph(lit, bare, 64)[0].mean(0)
    assert found[30:44, 40:46].mean() > 1.3 * found[30:44, 18:24].mean()  # the head's left is on the right


# --------------------------------------------------------------------------------------------------------- the set


def test_the_set_is_made_once_and_a_short_one_begins_a_long_one() -> None:
    short, long = heads.load("test", 32, 10), heads.load("test", 32, 60)
    assert (len(short), len(long)) == (10, 60)
    assert torch.equal(short.images, long.images[:10])
    assert torch.equal(short.parameters.shape, long.parameters.shape[:10])
    images, numbers = long[torch.tensor([3, 59])]
    assert numbers.tolist() == [3, 59]
    assert torch.equal(images, long.images[[3, 59]].float() / 255)
    shown = long.condition(numbers)
    expected = rendering.condition(long.parameters[numbers], 32)
    assert torch.allclose(shown, expected, atol=0.5 / 127.5 + 1e-4)
    other = heads.load("validation", 32, 10)
    assert not torch.equal(other.images, short.images)


@pytest.mark.parametrize(
    ("split", "size", "said"),
    [("tset", 32, "did you mean 'test'"), ("test", 48, "heads of 48 pixels; expected 32, 64, 128, 256")],
)
def test_other_sets_are_refused(split: str, size: int, said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        heads.load(split, size)
    with pytest.raises(TeachlibError, match="limit is 0"):
        heads.load("test", 32, 0)


def test_eyes_stay_with_the_camera() -> None:
    """Half of a turn of head and neck is taken back by the eyes."""
    pose = parameters.randomly(3000, torch.Generator().manual_seed(0)).pose
    turn, gaze = pose[:, 0, 1] + pose[:, 1, 1], pose[:, 3, 1]
    free = (gaze.abs() < 0.45) & (turn.abs() < 0.4)  # farther eyes do not go
    slope = torch.cov(torch.stack([turn[free], gaze[free]]))
    assert (slope[0, 1] / slope[0, 0]).item() == pytest.approx(-0.5, abs=0.05)


def test_a_shadow_takes_the_lamps_own_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    lamp = torch.tensor([[0.0, 0.0, 1.0]])
    lights = light.uniform(0.9) + light.from_direction(lamp, torch.tensor([[0.6, 0.0, 0.0]]))
    lit = parameters.replace(parameters.neutral(), light=lights)
    monkeypatch.setattr(photographs, "_shadow", lambda *_: torch.ones(1, 4, 4))
    normals = lamp[:, :, None, None].expand(1, 3, 4, 4)
    picture = photographs._Picture(torch.zeros(1, 4, 4), torch.ones(1, 3, 4, 4), normals, torch.zeros(1, 4, 4))
    shaded = photographs._lit(picture, torch.zeros(1, 1, 3), head(), lit)
    taken = (light.shading(normals, lights) - shaded).mean((2, 3))[0]
    torch.testing.assert_close(taken, torch.tensor([0.33, 0.0, 0.0]), atol=0.01, rtol=0)
