"""What hidden tests are written with: choices, tables, modules, given functions."""

import numpy as np
import pytest
import torch
from torch import nn

from teachlib.checks import Unfit
from teachlib.classroom.answers import Given, Local, answer_of, choices, module, rows

ASKED = {"loss": ("Falls", "grows"), "limit": ("0", "1/2")}


@pytest.mark.parametrize("said", [{"loss": "grows", "limit": "0"}, {"loss": " Grows ", "limit": 0, "more": 1}])
def test_choices_are_places(said: dict[str, object]) -> None:
    assert choices(said, ASKED) == [1, 0]


@pytest.mark.parametrize(
    "said", [{}, {"loss": "grows"}, {"loss": "grows", "limit": "1"}, ["grows", "0"], None, "grows"]
)
def test_other_choices_are_refused(said: object) -> None:
    with pytest.raises(Unfit, match="expected"):
        choices(said, ASKED)


def test_a_table_becomes_columns() -> None:
    table = rows([{"K": 1, "b": torch.tensor(0.5)}, {"K": 2.0, "b": torch.ones(1), "more": "x"}], ("K", "b"), 2)
    assert {name: column.tolist() for name, column in table.items()} == {"K": [1.0, 2.0], "b": [0.5, 1.0]}


@pytest.mark.parametrize(
    "table",
    [
        None, {}, 3, "x", [], [{"K": 1}], [{"K": 1}, {"K": 1}], [{"K": True}, {"K": 2}], [{"K": "1"}, {"K": 2}],
        [{"K": torch.zeros(2)}, {"K": 1}], [{"K": float("nan")}, {"K": 1}], [{"K": n} for n in range(101)], [1, 2],
    ],
)  # fmt: skip
def test_other_tables_are_refused(table: object) -> None:
    with pytest.raises(Unfit, match="expected"):
        rows(table, ("K",), 2)


def test_more_rows_may_be_allowed() -> None:
    assert len(rows([{"K": n} for n in range(300)], ("K",), 2, most=300)["K"]) == 300


def test_values_expressions_and_functions_are_called_alike() -> None:
    sympy = pytest.importorskip("sympy")
    t = sympy.Symbol("t")
    assert answer_of(7)() == 7
    assert answer_of(t**2)(t=torch.tensor([3.0])).tolist() == [9.0]
    assert answer_of(2.5)(t=torch.ones(1)) == 2.5  # a constant is an expression
    assert answer_of(None) is None
    with pytest.raises(Unfit, match="expected an expression in s alone"):
        answer_of(t**2)(s=torch.ones(1))
    with pytest.raises(Unfit, match="expected an expression in t alone"):
        answer_of("t**2")(t=torch.ones(1))


def test_a_module_is_called_with_the_tests_parameters() -> None:
    weights = {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}
    forward = module(Local(nn.Linear), (2, 1), weights)
    assert forward(torch.tensor([[1.0, 2.0]])).tolist() == [[3.0]]
    with pytest.raises(Unfit, match="exactly the parameters"):
        module(Local(nn.Linear), (3, 1), weights)
    for other in (Local(3), Local(np.sum), lambda: None):
        with pytest.raises(Unfit, match="expected a class"):
            module(other, (), {})


def test_a_given_function_is_what_was_made() -> None:
    def scaled(factor: float) -> object:
        return lambda x: factor * x

    given = Given(scaled, 3.0)
    assert (given(2.0), given.name, given.arguments) == (6.0, "scaled", [3.0])
