"""Tables of modes: whatever was measured is on the page, under its name."""

import pytest

from teachlib.energy.tables import COLUMNS, OF_SUMS, PARTS, ROWS, ROWS_ON_PICTURES, page
from teachlib.results import read_results, shown

TABLES = {
    ("modes", "gaussians"): ROWS | OF_SUMS,
    ("equal-seconds", "gaussians"): ROWS | OF_SUMS,
    ("modes-long", "gaussians"): ROWS,
    ("parts", "gaussians"): PARTS,
    ("modes", "stacked-glyphs"): ROWS_ON_PICTURES,
    ("equal-seconds", "stacked-glyphs"): ROWS_ON_PICTURES,
}


@pytest.mark.parametrize("table", TABLES)
def test_every_row_that_was_measured_is_on_the_page(table) -> None:
    text, names, measured = page(), TABLES[table], read_results(*table)
    assert measured
    for label, row in measured.items():
        cells = [shown(row["values"][column], digits=1 if column == "modes" else 3) for column in COLUMNS]
        line = " | ".join([names[label], str(len(row["provenance"]["seeds"])), *cells])
        assert f"| {line} |" in text


def test_the_same_games_stand_in_both_tables_of_the_plane() -> None:
    """But for what was measured at equal seconds alone, or at equal steps alone."""
    steps, seconds = (set(read_results(folder, "gaussians")) for folder in ("modes", "equal-seconds"))
    assert steps - seconds == {"modes-likelihood+m=2"}
    assert seconds - steps == {
        "modes-gan+penalty=R1+spread=kernel",
        *(f"modes-likelihood+spread={name}" for name in ("features", "minibatch")),
    }


def test_equal_seconds_are_steps_over_their_cost() -> None:
    for label, row in read_results("equal-seconds", "gaussians").items():
        cost = row["values"]["cost of a step"]["mean"]
        assert row["recipe"]["steps"] == round(6000 / cost), label
