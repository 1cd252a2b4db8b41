"""Heads and glasses: the set, and measures that real pictures pass and planted errors fail."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import avg_pool2d, conv2d, pad

from teachlib.energy.assemble import CHAPTER, Assembled, AssembledObjective, recipe, wearing, worn
from teachlib.energy.assemble.measures import distance
from teachlib.energy.assemble.worn import FACE, GLASSES
from teachlib.errors import TeachlibError
from teachlib.gif import parameters, wardrobe
from teachlib.gif.photographs import SCREEN, layers, photograph

SIZE = 32


@pytest.fixture(scope="module")
def held() -> worn.Worn:
    return worn.load("test", 100)


def _model(name: str = "assemble", **options: Any) -> Assembled:
    torch.manual_seed(0)
    return Assembled(recipe(name, "glasses", scale="ci", **options)).eval()


# ------------------------------------------------------------------------------------------------------- the set


def test_layers_make_the_photograph() -> None:
    generator = torch.Generator().manual_seed(0)
    told, style = parameters.randomly(6, generator), wardrobe.randomly(6, generator)
    plain = {"glasses": torch.ones(6, dtype=torch.bool), "noise": torch.zeros(6), "background": 0 * style.background}
    style = wardrobe.Style(**{**vars(style), **plain})
    colours, alphas = layers(told, style, 64, finer=1)
    light, alphas = colours**SCREEN, alphas[:, :, None]
    whole = alphas[:, 1] * light[:, 1] + (1 - alphas[:, 1]) * alphas[:, 0] * light[:, 0]
    taps = torch.tensor([0.1, 0.8, 0.1])
    lens = conv2d(pad(whole, (1, 1, 1, 1), mode="replicate"), (taps[:, None] * taps).expand(3, 1, 3, 3), groups=3)
    theirs = photograph(told, style, 64, finer=1)
    dim = theirs < 0.9  # brighter light is cut at another place
    assert ((lens.clamp(0, 1) ** (1 / SCREEN) - theirs).abs() * dim).max() < 0.03
    assert ((lens.clamp(0, 1) ** (1 / SCREEN) - theirs).abs() * dim).mean() < 1e-4
    # Half the pixels a side cover what four of them do.
    assert torch.allclose(layers(told, style, 32, finer=2)[1], avg_pool2d(alphas[:, :, 0], 2), atol=1e-6)


def test_everyone_wears_glasses_whatever_the_style_says(held: worn.Worn) -> None:
    generator = torch.Generator().manual_seed(1)
    told, style = parameters.randomly(4, generator), wardrobe.randomly(4, generator)
    never = wardrobe.Style(**{**vars(style), "glasses": torch.zeros(4, dtype=torch.bool)})
    assert all(torch.equal(a, b) for a, b in zip(layers(told, style, 32), layers(told, never, 32), strict=True))
    assert (held.alphas()[:, GLASSES] > 0.5).flatten(1).any(1).all()


def test_the_set_is_the_same_at_every_call_and_a_short_one_begins_a_long_one(held: worn.Worn) -> None:
    short = worn.load("test", 30)
    assert torch.equal(short.draw(), held.those(slice(30)).draw())
    assert torch.equal(short[:][0], (short.draw() * 255).round() / 255)
    assert held.present.float().mean(0).tolist() == pytest.approx([0.75, 0.75], abs=0.15)
    assert not torch.equal(worn.load("validation", 30).draw(), short.draw())
    assert short.sha256 == worn.load("test", 30).sha256 != held.sha256
    with pytest.raises(TeachlibError, match="unknown split of glasses 'tests'"):
        worn.load("tests")


def test_splits_are_drawn_from_seeds_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHLIB_CACHE", str(tmp_path))
    drawn = [worn.load(split, 4).colours for split in worn.SPLITS]
    assert not any(torch.equal(drawn[one], drawn[other]) for one, other in ((0, 1), (0, 2), (1, 2)))


def test_pictures_show_what_is_present_and_boxes_hold_it(held: worn.Worn) -> None:
    nothing, both = held.showing().draw(), held.showing(FACE, GLASSES).draw()
    assert not nothing.any()
    assert torch.equal(held.showing(GLASSES).draw(), held.over(nothing, GLASSES))
    assert torch.equal(both, held.over(held.showing(FACE).draw(), GLASSES))
    assert not held.showing().conditions().any()
    conditions = held.showing(FACE, GLASSES).conditions()
    assert torch.equal(conditions[..., 0], torch.ones(100, 2))
    for number in (FACE, GLASSES):
        for alpha, (left, top, right, bottom) in zip(
            held.alphas()[:, number], held.boxes()[:, number].int().tolist(), strict=True
        ):
            on = alpha >= 0.5
            assert on[top:bottom, left:right].sum() == on.sum()
            assert on[top, left:right].any()
            assert on[bottom - 1, left:right].any()
            assert on[top:bottom, left].any()
            assert on[top:bottom, right - 1].any()


# ------------------------------------------------------------------------------------------------------ measures


def test_real_pictures_pass_every_measure(held: worn.Worn) -> None:
    row = wearing.measured(wearing.real, held, seed=0)
    assert row["glasses"] > 0.95
    assert min(row["face"], row["put on"], row["behind"]) > 0.85  # dark hair is hardly seen on black
    assert row["off"] < 0.6 < 2 < row["off by chance"]
    assert row["beside"] < 0.002
    assert row["recognized"] == 1
    assert row["rims"] < 0.01
    assert distance(held.draw(), held.draw()) == pytest.approx(0, abs=1e-4)


def test_a_face_painted_over_glasses_is_found(held: worn.Worn) -> None:
    assert wearing.behind(lambda number, before, asked: asked.over(before, number), held)["rims"] == pytest.approx(1)
    half = wearing.behind(lambda n, before, asked: (before + asked.over(before, n)) / 2, held)
    assert half["rims"] == pytest.approx(0.5, abs=1e-3)


def test_rims_in_another_colour_are_no_face(held: worn.Worn) -> None:
    recoloured = wearing.behind(
        lambda n, before, asked: torch.where(held.alphas()[:, GLASSES, None] >= 0.9, 1 - before, before), held
    )
    assert recoloured["behind"] == 0
    assert recoloured["rims"] > 0.5


def test_glasses_of_another_are_found(held: worn.Worn) -> None:
    other = held.those(torch.arange(100).roll(1))
    row = wearing.put_on(lambda number, before, asked: other.over(before, number), held)
    right = wearing.put_on(wearing.real, held)
    assert row["put on"] < right["put on"] - 0.1
    assert row["off"] > 2 > 4 * right["off"]
    assert row["beside"] > 5 * right["beside"]
    assert row["recognized"] > 0.95  # the face is its own


def test_another_face_is_not_recognized(held: worn.Worn) -> None:
    others = held.showing(FACE, GLASSES).draw().roll(1, 0)
    assert wearing.put_on(lambda number, before, asked: others, held)["recognized"] < 0.05


def test_nothing_added_is_nothing(held: worn.Worn) -> None:
    def idle(number: int, before: torch.Tensor, asked: worn.Worn) -> torch.Tensor:
        return before

    row = wearing.measured(idle, held, seed=0)
    assert [row[name] for name in ("face", "glasses", "put on", "behind", "rims", "beside", "follows")] == [0] * 7


def test_a_slope_is_that_of_glasses_that_follow(held: worn.Worn) -> None:
    covers = torch.zeros(100, 2, SIZE, SIZE, dtype=torch.uint8)
    covers[:, FACE, 8:24, 8:24] = 255
    blocks = worn.Worn(torch.full((100, 2, 3, SIZE, SIZE), 128, dtype=torch.uint8), covers, held.present)
    spot = torch.zeros(100, 3, SIZE, SIZE)
    spot[:, :, 13:19, 13:19] = 1.0

    def along(share: int) -> wearing.Adds:
        def add(number: int, before: torch.Tensor, asked: worn.Worn) -> torch.Tensor:
            moved = (wearing.centres_of(before.amax(1) > 0) - SIZE / 2).round().long()
            return torch.where(wearing.shifted(spot, share * moved) > 0, 1.0, before)

        return add

    for share in (-1, 0, 1, 2):
        assert wearing.follows(along(share), blocks, seed=0) == pytest.approx(share, abs=1e-5)
    with pytest.raises(TeachlibError, match="1 pictures; a slope needs two"):
        wearing.follows(along(1), held.those(slice(1)), seed=0)


@given(st.integers(-3, 3), st.integers(-3, 3))
def test_a_moved_picture_is_one_rolled_with_black_coming_in(x: int, y: int) -> None:
    pictures = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    moved = wearing.shifted(pictures, torch.tensor([[x, y], [0, 0]]))
    rolled = pictures[0].roll((y, x), (1, 2))
    rows, columns = torch.arange(SIZE) - y, torch.arange(SIZE) - x
    inside = ((rows >= 0) & (rows < SIZE))[:, None] & ((columns >= 0) & (columns < SIZE))
    assert torch.equal(moved[0], rolled * inside)
    assert torch.equal(moved[1], pictures[1])


# --------------------------------------------------------------------------------------------------------- models


def test_glasses_that_are_not_told_are_told_nothing_but_that_they_are_there(held: worn.Worn) -> None:
    model = _model(hides="glasses")
    told, full = model.told(held.conditions()), held.conditions()
    assert torch.equal(told[:, FACE], full[:, FACE])
    there = full[:, GLASSES, 0]
    assert torch.equal(told[:, GLASSES], there[:, None] * torch.tensor([1.0, 0, 0, SIZE, SIZE]))
    assert model.order(torch.Generator().manual_seed(0)) == [FACE, GLASSES]
    # Where an object could be is told to nobody.
    assert torch.equal(_model().told(held.places()), full)


def test_both_kinds_of_models_have_as_many_parameters_and_learn(held: worn.Worn) -> None:
    sizes = {}
    for name in ("assemble", "assemble-joint"):
        model = Assembled(recipe(name, "glasses", scale="laptop"))
        sizes[name] = sum(weights.numel() for weights in model.generator.parameters())
    assert sizes["assemble-joint"] == pytest.approx(sizes["assemble"], rel=0.1)
    for name in ("assemble", "assemble-joint", "assemble-direct"):
        model = _model(name)
        for _, loss in AssembledObjective(model).updates(held[:8], torch.Generator().manual_seed(0), 0):
            loss.backward()
        assert all(weights.grad is not None for weights in model.discriminator.parameters())
        row = wearing.evaluate(model, held.those(slice(20)))
        assert ("put on" in row) is (name != "assemble-joint")
    with pytest.raises(TeachlibError, match="no painter of its own"):
        wearing.painters_of(_model("assemble-joint"), 0)


def test_a_models_measures_are_those_of_its_painters(held: worn.Worn) -> None:
    model, asked = _model(), held.those(slice(20))
    add = wearing.painters_of(model, 3)
    z = model.noise(20, torch.Generator().manual_seed(3))
    face = add(FACE, torch.zeros(20, 3, SIZE, SIZE), asked)
    whole = add(GLASSES, face, asked)
    assert torch.equal(whole, model(asked.conditions(), z))
    row = wearing.evaluate(model, asked, seed=3)
    assert row["distance"] == distance(whole, asked.draw())
    assert row["put on"] == wearing.put_on(add, asked)["put on"]


def test_half_of_the_batch_are_real_pictures_that_lack_one_object_completed(held: worn.Worn) -> None:
    model = _model()
    game = AssembledObjective(model)
    pictures, places = held[:40]
    z, seen = model.noise(40, torch.Generator().manual_seed(1)), set()
    full = held.those(slice(40)).showing(FACE, GLASSES).conditions()
    for seed in range(8):
        whole, asked = game._completed((pictures, places), z, torch.Generator().manual_seed(seed))
        number = int(torch.randint(2, (), generator=torch.Generator().manual_seed(seed)))
        seen.add(number)
        lacking = ~held.present[:40, number] & held.present[:40, 1 - number]
        assert len(whole) == len(asked) == 20
        for row in range(20):
            (here,) = (full[lacking] == asked[row]).flatten(1).all(1).nonzero()[:, 0].tolist()
            added = model.generator.add(
                number, pictures[lacking][here : here + 1], asked[row : row + 1], z[row : row + 1]
            )
            assert torch.allclose(whole[row : row + 1], added, atol=1e-5)
    assert seen == {FACE, GLASSES}
    # Where nothing lacks an object alone, there is nothing to complete.
    assert [len(part) for part in game._completed(held[held.present.all(1)], z, torch.Generator())] == [0, 0]


def test_both_players_look_at_completed_pictures_and_at_what_they_shall_show(held: worn.Worn) -> None:
    model, batch = _model(), held[:32]
    told, looked = model.told(batch[1]), []
    hook = model.discriminator.register_forward_pre_hook(lambda _, seen: looked.append(seen))
    list(AssembledObjective(model).updates(batch, torch.Generator().manual_seed(2), 1))
    hook.remove()
    real, fake, mismatched, last = looked
    assert torch.equal(real[0], batch[0])
    assert torch.equal(real[1], told)
    assert torch.equal(mismatched[1], told.roll(1, 0))
    assert not fake[0].requires_grad
    assert last[0].requires_grad
    assert torch.equal(fake[1], last[1])
    assert fake[1][:16, :, 0].all()
    assert torch.equal(fake[1][16:], told[16:])
    black = _model(from_black=True)
    looked = []
    hook = black.discriminator.register_forward_pre_hook(lambda _, seen: looked.append(seen))
    list(AssembledObjective(black).updates(batch, torch.Generator().manual_seed(2), 1))
    hook.remove()
    assert all(torch.equal(looked[place][1], told) for place in (1, 3))


def test_painters_that_learn_from_real_pictures_alone_see_no_other(held: worn.Worn) -> None:
    model, batch = _model(from_real=True), held[:40]
    game, z = AssembledObjective(model), model.noise(40, torch.Generator().manual_seed(1))
    whole, asked = game._completed(batch, z, torch.Generator().manual_seed(0))
    number = int(torch.randint(2, (), generator=torch.Generator().manual_seed(0)))
    assert len(whole) == 40
    assert asked[:, number, 0].all()
    assert 0 < asked[:, 1 - number, 0].mean() < 1  # some begin from black, which is real, too
    other = model.generator.painters[1 - number]
    other.register_forward_hook(lambda *_: pytest.fail("the other painter was asked"))
    seed = next(seed for seed in range(50) if _drawn_after_noise(model, seed) == number)
    list(game.updates(batch, torch.Generator().manual_seed(seed), 1))


def _drawn_after_noise(model: Assembled, seed: int) -> int:
    """The object that a step with this seed completes: its noise is drawn first."""
    generator = torch.Generator().manual_seed(seed)
    model.noise(40, generator)
    return int(torch.randint(2, (), generator=generator))


@pytest.mark.parametrize(("name", "dataset"), [("assemble", "shapes"), ("assemble-joint", "glasses")])
def test_what_begins_from_black_anyway_is_not_told_to(name: str, dataset: str) -> None:
    with pytest.raises(TeachlibError, match="always begins from black; leave from-black and from-real out"):
        recipe(name, dataset, from_black=True)
    with pytest.raises(TeachlibError, match="expected one of them"):
        recipe("assemble", "glasses", from_black=True, from_real=True)
    assert not recipe(name, dataset).completes
    assert recipe("assemble", "glasses").completes
    assert not recipe("assemble", "glasses", from_black=True).completes


def test_every_row_of_the_table_is_a_recipe() -> None:
    for label in CHAPTER.tables["glasses"].rows:
        name, options = CHAPTER.named(label)
        assert CHAPTER.label(CHAPTER.recipe(name, "glasses", scale="ci", **options)) == label


def test_an_assembler_begins_from_the_picture_that_it_is_given(held: worn.Worn) -> None:
    model, asked = _model(), held.those(slice(10)).showing(FACE, GLASSES).conditions()
    z = model.noise(10, torch.Generator().manual_seed(0))
    begun = held.those(slice(10)).showing(FACE).draw()
    made = model.generator(asked, z, (GLASSES,), begun)
    assert torch.equal(made, model.generator.add(GLASSES, begun, asked, z))
    assert torch.equal(model.generator(asked, z, (), begun), begun)
    assert torch.equal(model.generator(asked, z), model.generator(asked, z, (0, 1), torch.zeros_like(begun)))
    for wrong in (begun[:, :1], begun[..., :31], begun[:9], begun.double()):
        with pytest.raises(TeachlibError, match="pictures"):
            model.generator(asked, z, (GLASSES,), wrong)
