"""Every recipe of every chapter: each weight learns, and an interrupted run ends like an unbroken one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_run import at_hand

from teachlib import registry
from teachlib.training import Planned, Watch

RECIPES = [(key, name) for key, line in registry.CHAPTERS.items() for name in line.recipes]


class _Stop(Exception):
    """Somebody pulls the plug."""


def _pull(step: int, nets: object) -> dict[str, float]:
    raise _Stop


@pytest.mark.parametrize(("key", "name"), RECIPES)
def test_every_weight_learns_and_an_interrupted_run_ends_like_an_unbroken_one(
    key: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chapter = registry.chapter(key)
    usual = chapter.schedule
    # A checkpoint after a step, which holds the optimizers' moments.
    monkeypatch.setattr(chapter, "schedule", lambda *asked: replace(usual(*asked), checkpoint_every=1))
    recipe = chapter.recipe(name, at_hand(chapter), scale="ci", steps=4, **_narrow(chapter, name))
    limit = None if name == "gmm-vae-semi" else 300  # it looks for a hundred labels a class
    options = {"seed": 3, "limit": limit, "progress": False}
    model, _ = chapter.train(recipe, folder=tmp_path / "whole", **options)
    torch.manual_seed(3)
    start = dict(chapter.build(recipe, chapter.load(recipe, "train", limit)).named_parameters())
    still = [key for key, weight in model.named_parameters() if torch.equal(weight, start[key])]
    assert not still, "no gradient reaches these"
    planned = isinstance(chapter.objective(recipe, model, chapter.load(recipe, "train", limit), 3), Planned)
    other = recipe if planned else replace(recipe, steps=6)  # how long a run is to be changes none of its steps
    with pytest.raises(_Stop):
        chapter.train(other, folder=tmp_path / "pieces", watch=Watch(2, _pull), **options)
    resumed, _ = chapter.train(recipe, folder=tmp_path / "pieces", resume=True, longer=True, **options)
    for key_, value in model.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key_]), key_


def _narrow(chapter: object, name: str) -> dict[str, int]:
    return {} if name == "primer-diffusion" else {"width": 8}
