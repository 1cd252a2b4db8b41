"""What is committed under results/: complete provenance, and the claims that the pages make of it."""

import pytest

from teachlib import rae
from teachlib.data import CATALOGUE
from teachlib.results import read_results, spread

MAIN = ("vae", "ae", "rae-l2")  # in three seeds everywhere
ROWS = [(dataset, name) for dataset in ("mnist", "glyphs") for name in read_results("3.1", dataset)]


def _values(dataset: str, name: str, quantity: str) -> list[float]:
    return read_results("3.1", dataset)[name]["values"][quantity]["values"]


@pytest.mark.parametrize(("dataset", "name"), ROWS)
def test_provenance_is_complete(dataset: str, name: str) -> None:
    row = read_results("3.1", dataset)[name]
    assert row["provenance"].keys() >= {"command", "commit", "seeds", "device", "cores", "date", "seconds", "torch"}
    seeds = row["provenance"]["seeds"]
    assert seeds == ([0, 1, 2] if name in MAIN else list(range(len(seeds))))
    assert row["trained_steps"] == [row["recipe"]["steps"]] * len(seeds)
    assert row["samples"] == CATALOGUE[dataset].splits["test"]
    assert row["metric"].startswith(f"FD-{dataset}")  # never FID
    assert len(row["data_sha256"]) == 3


def test_every_recipe_has_a_row_on_glyphs() -> None:
    assert read_results("3.1", "glyphs").keys() == set(rae.RECIPES)


@pytest.mark.parametrize(("dataset", "name"), ROWS)
def test_the_mixture_helps_every_model_at_every_seed(dataset: str, name: str) -> None:
    pairs = zip(_values(dataset, name, "mixture"), _values(dataset, name, "normal"), strict=True)
    assert all(mixture < normal for mixture, normal in pairs)


@pytest.mark.parametrize("dataset", ["mnist", "glyphs"])
def test_rae_with_the_mixture_beats_the_vae_from_its_prior(dataset: str) -> None:
    pairs = zip(_values(dataset, "rae-l2", "mixture"), _values(dataset, "vae", "normal"), strict=True)
    assert all(ours < theirs for ours, theirs in pairs)


@pytest.mark.parametrize("dataset", ["mnist", "glyphs"])
def test_two_orders_of_the_thesis_do_not_come_out_here(dataset: str) -> None:
    """What paper-vs-measured says in its text: when a better run turns these over, the page must change."""
    means = {
        quantity: {name: sum(_values(dataset, name, quantity)) for name in MAIN}
        for quantity in ("normal", "interpolation")
    }
    assert max(means["normal"], key=means["normal"].__getitem__) == "vae"
    assert min(means["interpolation"], key=means["interpolation"].__getitem__) == "vae"


def test_spread_is_the_sample_deviation() -> None:
    assert spread([1.0, 3.0]) == {"mean": 2.0, "std": pytest.approx(2**0.5), "values": [1.0, 3.0]}
    assert spread([4.0])["std"] == 0.0
