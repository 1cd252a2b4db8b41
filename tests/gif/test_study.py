"""The perceptual study: intervals against their definition, the page, and answers that are none."""

import base64
import html
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import binom

from teachlib.errors import TeachlibError
from teachlib.gif import study


@pytest.mark.parametrize(("chosen", "of"), [(0, 7), (7, 7), (3, 10), (51, 100), (894, 1000)])
def test_the_interval_holds_exactly_the_shares_that_would_not_be_rejected(chosen: int, of: int) -> None:
    """Clopper and Pearson: at the lower end, so many or more have a chance of exactly 2.5 %; likewise at the upper."""
    low, high = study.Share(chosen, of).interval()
    if chosen:
        assert 1 - binom.cdf(chosen - 1, of, low) == pytest.approx(0.025, abs=1e-6)
    else:
        assert low == 0
    if chosen < of:
        assert binom.cdf(chosen, of, high) == pytest.approx(0.025, abs=1e-6)
    else:
        assert high == 1


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
def test_the_interval_holds_the_truth_in_95_of_100_studies(share: float) -> None:
    counts = np.arange(31)
    inside = [low <= share <= high for low, high in (study.Share(int(k), 30).interval() for k in counts)]
    assert binom.pmf(counts, 30, share)[inside].sum() >= 0.95


def test_power_is_the_chance_of_a_small_p_value() -> None:
    for share, of in ((0.5, 20), (0.75, 20), (0.9, 33)):
        chance = sum(binom.pmf(k, of, share) for k in range(of + 1) if study.Share(k, of).p_value() <= 0.05)
        assert study.power(share, of) == pytest.approx(chance, abs=1e-9)
    assert study.power(0.5, 50) <= 0.05
    assert study.power(0.9, 4) == 0  # four answers out of four are no surprise


@pytest.mark.parametrize("share", [0.6, 0.894, 0.2])
def test_so_many_answers_are_enough_and_fewer_are_not(share: float) -> None:
    of = study.needed(share)
    assert all(study.power(share, of + k) >= 0.8 for k in range(3))
    assert study.power(share, of - 1) < 0.8
    assert of == study.needed(1 - share)


def test_each_side_is_as_often_right() -> None:
    where = study.sides(20, torch.Generator().manual_seed(0))
    assert sorted(where) == ["left"] * 10 + ["right"] * 10
    assert where != sorted(where)


def _page(count: int = 3) -> tuple[str, list[str]]:
    shades = torch.arange(count)[:, None, None, None] / 20  # every picture is another
    pictures = [(value + shades).expand(count, 3, 4, 4) for value in (0.5, 0.0, 0.8)]
    where = study.sides(count, torch.Generator().manual_seed(1))
    return study.pairs_page(*pictures, where, title="Heads & <tails>"), where


def test_a_page_needs_nothing_from_elsewhere_and_does_not_give_the_models_away() -> None:
    page, where = _page()
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "Heads &amp; &lt;tails&gt;" in page
    assert page.count("<fieldset>") == 3
    assert page.count("<img") == 9
    assert all("alt=" in image for image in re.findall("<img[^>]*>", page))
    # Every question shows its own pictures, the first model's where the key says.
    data = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    shown = [round(np.asarray(Image.open(io.BytesIO(base64.b64decode(one)))).mean() / 255 * 20) for one in data]
    for number, side in enumerate(where):
        dark, light = (0 if side == "left" else 2), (2 if side == "left" else 0)
        assert shown[3 * number + dark] == number
        assert shown[3 * number + 1] == 10 + number
        assert shown[3 * number + light] == 16 + number


def test_ratings_are_asked_on_five_points() -> None:
    pictures = torch.zeros(2, 3, 4, 4)
    page = study.ratings_page(pictures, pictures, title="Ratings")
    assert page.count('type="radio"') == 10
    assert "Strongly disagree" in page


def test_answers_are_counted_against_the_key(tmp_path: Path) -> None:
    where = ["left", "right", "left"]
    study.write_key(tmp_path / "key.json", ["gif", "gif-vector"], where)
    (tmp_path / "a.csv").write_text("question,answer\n1,left\n2,left\n3,left\n")
    (tmp_path / "b.csv").write_text("question,answer\n2,right\n")
    name, share = study.tally([tmp_path / "a.csv", tmp_path / "b.csv"], tmp_path / "key.json")
    assert (name, share) == ("gif", study.Share(3, 4))
    assert str(share).startswith("75.0% of 4 (95 %: ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a first line"),
        ("q,a\n1,left\n", "expected a first line"),
        ("question,answer\n4,left\n", "line 2"),
        ("question,answer\n0,left\n", "from 1 to 3"),
        ("question,answer\n1,up\n", "one of left, right"),
        ("question,answer\n1\n", "line 2"),
        ("question,answer\n1,left\n1,right\n", "answered before"),
        ("question,answer\n", "no answers"),
        ("question,answer\n²,left\n", "line 2"),
        ("question,answer\n\n1,left\n\n9,left\n", "line 5"),
        ("question,answer\n" + "9" * 5000 + ",left\n", "line 2"),
        ("question,answer\n1," + "l" * 200_000 + "\n", "cannot be read"),
    ],
)
def test_answers_that_are_none_are_named(text: str, message: str, tmp_path: Path) -> None:
    study.write_key(tmp_path / "key.json", ["gif", "gif-vector"], ["left", "right", "left"])
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(TeachlibError, match=message) as caught:
        study.tally([tmp_path / "a.csv"], tmp_path / "key.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: study.tally([], folder / "no.json"), "not the key of a study"),
        (lambda folder: study.read_answers(folder / "none.csv", 3, study.SIDES), "cannot be read"),
        (lambda folder: study.Share(3, 2), "no more chosen"),
        (lambda folder: study.Share(0, 0), "at least one answer"),
        (lambda folder: study.needed(0.5), "not one half"),
        (lambda folder: study.power(1.5, 3), r"expected a share in \[0, 1\]"),
        (lambda folder: study.pairs_page(*torch.zeros(3, 2, 3, 4, 4), ["left"], title=""), "as many of each"),
        (lambda folder: study.ratings_page(torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 4, 4), title=""), "as many"),
        (lambda folder: study.independent(torch.zeros(3, 5)), "two or more rated styles"),
    ],
)
def test_mistakes_are_answered_in_one_line(call, message: str, tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match=message):
        call(tmp_path)


def test_style_plays_no_part_where_ratings_are_drawn_alike_and_does_where_they_are_not() -> None:
    alike = torch.tensor([[5.0, 10, 20, 40, 25]]).repeat(4, 1)
    assert study.independent(alike) == pytest.approx(1)
    assert study.independent(torch.stack([alike[0], alike[0].flip(0)])) < 1e-5


def test_a_page_can_be_tried_within_another() -> None:
    page, _ = _page()
    shown = study.shown(page).data
    assert html.unescape(re.search('srcdoc="([^"]*)"', shown).group(1)) == page  # type: ignore[union-attr]
    assert 'title="' in shown


@pytest.mark.parametrize(
    "kept",
    [
        '{"models": ["gif"], "first": ["up"]}',
        '{"models": ["gif"], "first": "left"}',
        '{"models": ["gif"], "first": []}',
        '{"models": "gif", "first": ["left"]}',
        '{"models": [null], "first": ["left"]}',
        '{"models": ["a\\nb"], "first": ["left"]}',
        "[" * 100_000,
    ],
)
def test_keys_that_are_none_are_refused(kept: str, tmp_path: Path) -> None:
    (tmp_path / "key.json").write_text(kept)
    (tmp_path / "a.csv").write_text("question,answer\n1,left\n")
    with pytest.raises(TeachlibError, match="not the key of a study"):
        study.tally([tmp_path / "a.csv"], tmp_path / "key.json")


def test_nobody_is_counted_twice_and_no_reckoning_is_endless(tmp_path: Path) -> None:
    study.write_key(tmp_path / "key.json", ["gif", "other"], ["left"])
    (tmp_path / "a.csv").write_text("question,answer\n1,left\n")
    with pytest.raises(TeachlibError, match="given twice"):
        study.tally([tmp_path / "a.csv", tmp_path / "." / "a.csv"], tmp_path / "key.json")
    for answers, level in ((10**9, 0.05), (2.5, 0.05), (10, float("nan"))):
        with pytest.raises(TeachlibError, match="whole number"):
            study.power(0.6, answers, level)  # type: ignore[arg-type]


def test_ratings_that_nobody_gave_change_nothing() -> None:
    counts = torch.tensor([[3.0, 7.0], [6.0, 4.0]])
    wide = torch.tensor([[0.0, 3, 0, 7, 0], [0, 6, 0, 4, 0]])
    assert study.independent(wide) == pytest.approx(study.independent(counts))
    with pytest.raises(TeachlibError, match="two or more"):
        study.independent(wide * float("nan"))


def test_a_style_that_was_rated_once_counts() -> None:
    assert 0 < study.independent(torch.tensor([[1.0, 0, 0, 0, 0], [3, 4, 0, 0, 0]])) <= 1


def test_grey_pictures_are_shown_and_others_refused() -> None:
    grey, colour = torch.rand(1, 1, 4, 4), torch.rand(1, 3, 4, 4)
    assert study.pairs_page(colour, grey, grey, ["left"], title="t").count("<img") == 3
    with pytest.raises(TeachlibError, match=r"a picture of shape \(2, 4, 4\)"):
        study.pairs_page(colour, torch.rand(1, 2, 4, 4), grey, ["left"], title="t")
