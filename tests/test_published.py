"""The thesis's tables as data: values read off the printed pages by hand, and what the tables say about themselves."""

import numpy as np
import pandas as pd
import pytest

from teachlib.errors import TeachlibError
from teachlib.gmmvae.tables import published as table_4_1
from teachlib.rae.grammar.tables import published as figure_3_3
from teachlib.rae.tables import DATASETS, DISPLAY_NAMES, PUBLISHED
from teachlib.rae.tables import published as table

FID_QUANTITIES = ["reconstruction", "normal", "mixture", "interpolation"]
PAIR_QUANTITIES = ["normal_precision", "normal_recall", "mixture_precision", "mixture_recall"]

# The corners of each printed table and two rows from its middle.
PRINTED = [
    ("3.1", "vae", "mnist", [18.26, 19.21, 17.66, 18.21]),
    ("3.1", "vae", "cifar-10", [57.94, 106.37, 103.78, 88.62]),
    ("3.1", "vae", "celeba", [39.12, 48.12, 45.52, 44.49]),
    ("3.1", "cv-vae", "celeba", [40.41, 48.87, 49.30, 44.96]),
    ("3.1", "rae-l2", "mnist", [10.53, 22.22, 8.69, 14.54]),
    ("3.1", "rae-l2", "cifar-10", [32.24, 80.80, 74.16, 62.54]),
    ("3.1", "rae-sn", "celeba", [36.01, 44.74, 40.95, 39.53]),
    ("3.1", "ae-l2", "mnist", [11.19, 315.15, 9.36, 17.15]),
    ("3.1", "ae-l2", "celeba", [44.72, 346.29, 48.42, 56.16]),
    ("A.2", "vae", "mnist", [0.96, 0.92, 0.95, 0.96]),
    ("A.2", "cv-vae", "celeba", [0.25, 0.43, 0.32, 0.55]),
    ("A.2", "wae", "mnist", [0.93, 0.88, 0.98, 0.95]),
    ("A.2", "wae", "cifar-10", [0.38, 0.68, 0.51, 0.81]),
    ("A.2", "rae-sn", "mnist", [0.89, 0.95, 0.98, 0.97]),
    ("A.2", "ae", "celeba", [0.45, 0.66, 0.47, 0.71]),
    ("A.3", "rae-gp", "mnist", [14.04, 22.21, 11.54, 15.32]),
    ("A.3", "rae-gp-l2", "celeba", [47.06, 72.09, 51.55, 50.28]),
    ("A.3", "rae-l2-sn", "cifar-10", [24.17, 240.27, 74.10, 61.71]),
    ("A.3", "rae-sn-gp", "mnist", [17.00, 139.61, 13.12, 16.62]),
    ("A.3", "rae-l2-sn-gp", "mnist", [16.75, 144.51, 13.93, 16.75]),
    ("A.3", "rae-l2-sn-gp", "celeba", [68.86, 318.67, 75.04, 74.29]),
]


@pytest.mark.parametrize(("number", "recipe", "dataset", "printed"), PRINTED)
def test_the_printed_numbers(number: str, recipe: str, dataset: str, printed: list[float]) -> None:
    assert list(table(number, dataset).loc[recipe]) == printed


@pytest.mark.parametrize(("number", "rows"), [("3.1", 10), ("A.2", 8), ("A.3", 10)])
def test_every_row_and_column_is_there(number: str, rows: int) -> None:
    whole = table(number)
    quantities = PAIR_QUANTITIES if number == "A.2" else FID_QUANTITIES
    assert whole.index.name == "recipe"
    assert whole.index.is_unique
    assert len(whole) == rows
    assert list(whole.columns) == [(dataset, quantity) for dataset in DATASETS for quantity in quantities]
    assert set(whole.index) <= set(DISPLAY_NAMES)
    for dataset in DATASETS:
        pd.testing.assert_frame_equal(whole.loc[:, [dataset]].droplevel("dataset", axis=1), table(number, dataset))


def test_the_only_empty_cells_are_the_two_stage_vae_without_a_mixture() -> None:
    gaps = [(number, *cell) for number in PUBLISHED for cell in _cells(table(number).isna())]
    assert gaps == [("3.1", "2s-vae", dataset, "mixture") for dataset in DATASETS]


def test_a_distance_is_positive_and_a_precision_or_recall_a_fraction() -> None:
    for number in ("3.1", "A.3"):
        assert np.nanmin(table(number).to_numpy()) > 0
    assert np.all((table("A.2").to_numpy() > 0) & (table("A.2").to_numpy() < 1))


def test_rows_that_the_thesis_prints_twice_agree() -> None:
    main, combined = table("3.1"), table("A.3")
    shared = main.index.intersection(combined.index)
    assert list(shared) == ["rae-gp", "rae-l2", "rae-sn", "rae", "ae", "ae-l2"]
    pd.testing.assert_frame_equal(main.loc[shared], combined.loc[shared])


def test_the_mixture_helps_everywhere_but_for_the_cv_vae_on_celeba() -> None:
    """§3.8.1 says that it helps 'consistently'; the tables hold one exception."""
    exceptions = set()
    for number in ("3.1", "A.3"):
        for dataset in DATASETS:
            fid = table(number, dataset)
            exceptions |= {(dataset, recipe) for recipe in fid.index[fid["mixture"] >= fid["normal"]]}
    assert exceptions == {("celeba", "cv-vae")}


def test_the_mixture_lowers_precision_only_for_the_vae_and_never_recall() -> None:
    """The caption of Table A.2 says that precision rises 'throughout'."""
    lowered = set()
    for dataset in DATASETS:
        scores = table("A.2", dataset)
        assert (scores["mixture_recall"] >= scores["normal_recall"]).all()
        worse = scores.index[scores["mixture_precision"] < scores["normal_precision"]]
        lowered |= {(dataset, recipe) for recipe in worse}
    assert lowered == {("mnist", "vae"), ("celeba", "vae")}


def test_a_callers_edit_does_not_reach_the_next_caller() -> None:
    mine = table("3.1", "mnist")
    mine.loc["vae", "normal"] = 0.0
    assert table("3.1", "mnist").loc["vae", "normal"] == 19.21


@pytest.mark.parametrize(
    ("number", "dataset", "line"),
    [
        ("31", None, "unknown thesis table '31'; did you mean '3.1'? known: 3.1, A.2, A.3"),
        ("3.1", "cifar10", "unknown dataset of the thesis 'cifar10'; did you mean 'cifar-10'? known: "),
    ],
)
def test_an_unknown_name_gives_one_clear_line(number: str, dataset: str | None, line: str) -> None:
    with pytest.raises(TeachlibError) as raised:
        table(number, dataset)
    assert str(raised.value).startswith(line)
    assert "\n" not in str(raised.value)


def _cells(marked: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The (recipe, dataset, quantity) of every true cell."""
    return [(str(recipe), *column) for column in marked.columns for recipe in marked.index[marked[column]]]


def test_figure_3_3_says_what_the_text_says() -> None:
    """§3.8.2: syntactically valid molecules rise from 28 % (GVAE) to 72 % (GRAE); GCVVAE writes the best equations."""
    found = figure_3_3()
    assert found.loc[("molecules", "gvae"), "valid"] == 28
    assert found.loc[("molecules", "grae"), "valid"] == 72
    assert found.loc["expressions"]["score"].idxmin() == "gcvvae"
    assert found.loc["molecules"]["score"].idxmax() == "grae"
    assert list(found.index.get_level_values("recipe").unique()) == ["grae", "gcvvae", "gvae", "cvae"]


def test_the_classifier_that_refuses_sums_to_one() -> None:
    printed = table_4_1()
    assert list(printed.loc["mnist", "gmm-vae"]) == [99.67, 97.97, 0.22, 1.81]
    assert list(printed.loc["svhn", "gmm-vae-semi"]) == [86.42, 83.54, 13.64, 2.82]
    np.testing.assert_allclose(printed[["accuracy", "error", "rejection"]].sum(axis=1), 100)
