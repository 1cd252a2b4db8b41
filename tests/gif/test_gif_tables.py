"""The page that sets measured rows of GIF beside each other."""

from typing import Any

import pytest

from teachlib.gif import tables
from teachlib.gif.chapter import CHAPTER


def _row(label: str, number: float) -> dict[str, Any]:
    groups = [f"{kind}{group} correlation" for kind in ("", "ceiling ") for group in tables._GROUPS]
    slopes = [f"{kind}{slope}" for kind in ("", "ceiling ") for slope in tables._SLOPES]
    names = [*groups, *slopes, *tables._FIDELITY]
    values = {name: {"mean": number, "std": 0.0, "values": [number]} for name in names}
    name, options = CHAPTER.named(label)
    recipe = CHAPTER.recipe(name, "heads", scale="laptop", **options).as_dict()
    origin = {"device": "cpu", "cores": 2, "torch": "2", "date": "today", "commit": "abc", "seeds": [0]}
    return {"values": values, "recipe": recipe, "provenance": origin, "metric": "m", "samples": 9}


def test_sizes_correlations_and_wrong_numbers_stand_in_tables_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ["gif", *tables.LARGER, *tables.TOGETHER, *tables.WRONG]
    rows = {label: _row(label, 0.01 * (number + 11)) for number, label in enumerate(labels)}
    monkeypatch.setattr(tables, "read_results", lambda *_: rows)
    page = tables.page()
    main, *others = page.split("The same at 64 pixels")
    assert "| gif | 0.11" in main
    assert "correlation=" not in main.partition("- **")[0]
    (rest,) = others
    assert "| gif, 64² | 0.12" in rest
    talk = [line.split(" | ")[:2] for line in rest.splitlines() if "| gif" in line and "ρ =" in line]
    assert talk[:3] == [["| gif, ρ = 0", "0.11"], ["| gif, ρ = 0.5", "0.14"], ["| gif, ρ = 0.9", "0.15"]]
    assert [line[0] for line in talk[3:5]] == [f"| gif-vector-projection, ρ = {rho}" for rho in (0.5, 0.9)]
    assert "| gif, half told wrong | 0.20" in rest
    assert "| gif, half left out | 0.21" in rest
    monkeypatch.setattr(tables, "read_results", lambda *_: {"gif": rows["gif"]})
    alone = tables.page()
    assert "64 pixels" not in alone
    assert "half told wrong" not in alone


def test_every_row_of_the_table_is_a_recipe() -> None:
    for label in tables.TABLES["5.1"].rows:
        name, own = CHAPTER.named(label)
        assert CHAPTER.label(CHAPTER.recipe(name, "heads", scale="laptop", **own)) == label
