"""Recipes of the chapter whose weights a user changes."""

from dataclasses import replace

import pytest

from teachlib.errors import TeachlibError
from teachlib.rae.chapter import CHAPTER
from teachlib.rae.recipes import recipe


@pytest.mark.parametrize(
    ("name", "factor", "weights"),
    [
        ("vae", "times_beta", ("kl_weight",)),
        ("rae-l2", "times_beta", ("beta",)),
        ("rae-l2", "times_lambda", ("lambda_",)),
        ("ae-l2", "times_lambda", ("lambda_",)),
        ("rae-gp-l2", "times_lambda", ("lambda_", "gradient_weight")),
    ],
)
def test_a_factor_multiplies_its_weights_and_no_others(name: str, factor: str, weights: tuple[str, ...]) -> None:
    usual, changed = recipe(name), recipe(name, **{factor: 16.0})
    different = {key for key, value in changed.as_dict().items() if value != usual.as_dict()[key]}
    assert different == {factor, *weights}
    for weight in weights:
        assert getattr(changed, weight) == 16 * getattr(usual, weight)
    label = CHAPTER.label(changed)
    assert label == f"{name}+{factor}=16.0"
    assert CHAPTER.named(label) == (name, {factor: 16.0})
    assert CHAPTER.label(usual) == name


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ae", {"times_beta": 2.0}, "ae has no weight that times_beta multiplies; leave it at 1"),
        ("rae", {"times_lambda": 2.0}, "rae has no weight that times_lambda multiplies"),
        ("rae-l2", {"times_lambda": -1.0}, "times_lambda is -1.0; expected at least 0"),
        ("vae", {"times_beta": float("nan")}, "times_beta is nan"),
    ],
)
def test_factors_that_cannot_be_are_refused(name: str, options: dict[str, float], said: str) -> None:
    with pytest.raises(TeachlibError, match=said):
        recipe(name, **options)


def test_a_share_of_more_than_each_batch_is_refused() -> None:
    with pytest.raises(TeachlibError, match="gradient_share is 2; expected a share of each batch, at most 1"):
        replace(recipe("rae-gp", "digits", scale="ci"), gradient_share=2.0)
