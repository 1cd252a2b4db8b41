"""Scores against values worked out by hand and published ones."""

import math
import re
import sys
from itertools import product

import numpy as np
import pytest

from teachlib.errors import TeachlibError
from teachlib.rae.grammar import evaluation, molecules, strings, targets

needs_rdkit = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("rdkit") is None, reason="RDKit is not installed"
)


def test_expressions_have_the_values_python_gives_them() -> None:
    x = np.linspace(-2, 2, 9)
    for text in strings.load("expressions", "test", limit=300):
        with np.errstate(all="ignore"):
            expected = eval(text, {"x": x, "sin": np.sin, "exp": np.exp, "__builtins__": {}})
            np.testing.assert_array_equal(targets.evaluate_expression(text, x), np.broadcast_to(expected, x.shape))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x+",
        "x(1)",
        "sin",
        "__import__('os')",
        "x**2",
        "x-1",
        "1 x",
        "()",
        "exp(x,1)",
        "y",
        "(lambda:1)()",
        "True",
        "0x1",
        "1_0",
        "9" * 400,
    ],
)
def test_nothing_else_is_evaluated(text: str) -> None:
    assert targets.evaluate_expression(text, np.ones(3)) is None
    assert targets.expression_score(text) == pytest.approx(math.log(1001))


def test_scores_by_hand() -> None:
    assert targets.expression_score("1/3+x+sin(x*x)") == 0.0
    offset = targets.expression_score("1/3+x+sin(x*x)+2")
    assert offset == pytest.approx(math.log(1 + 4))
    assert targets.expression_score("exp(exp(exp(x)))*x*x") < math.log(1001)  # cut at 1,000 a point
    assert targets.expression_score(None) == math.log(1001)
    assert targets.expression_score("x/(1/3+x)") < targets.expression_score("exp(x)")


@needs_rdkit
def test_a_search_minimizes_misfit_or_minus_penalized_log_p() -> None:
    assert evaluation.score("expressions", "x*x") == targets.expression_score("x*x") < math.log(1001)
    assert evaluation.score("molecules", "CCO") == -targets.penalized_log_p("CCO")
    for dataset in ("expressions", "molecules"):
        assert evaluation.score(dataset, None, worst=12.5) == 12.5


def test_a_misfit_is_averaged_over_a_thousand_points_from_minus_ten_to_ten() -> None:
    """x too much: the mean square of n evenly spaced points of [−a, a] is a²(n + 1)/(3(n − 1))."""
    expected = math.log(1 + 100 * 1001 / (3 * 999))
    assert targets.expression_score("1/3+x+sin(x*x)+x") == pytest.approx(expected, rel=1e-9)


@needs_rdkit
def test_published_molecules_have_their_published_scores() -> None:
    """The third best of Kusner et al. (2017), and the best of Jin, Barzilay & Jaakkola (2018)."""
    assert targets.penalized_log_p("CCCc1ccc(Cl)cc1CCCCOC") == pytest.approx(2.80, abs=0.01)
    found = targets.penalized_log_p("c1c(Cl)ccc2c1cc(C(=O)C)c(C(=O)Nc3cc(NC(=O)Nc4cc(c5ccccc5(C))ccc4)ccc3)c2")
    assert found == pytest.approx(5.30, abs=0.01)
    assert [targets.penalty_terms(text)[2] for text in ("CC", "C1CC1", "c1ccccc1", "C1CCCCCC1")] == [0, 0, 0, -1]


@needs_rdkit
def test_there_are_only_so_many_molecules() -> None:
    """All of them, written out."""
    found = set()
    for core in molecules.CORES.values():
        pieces = re.split(r"\{(c|n)\}", core)
        places = range(1, len(pieces), 2)
        for ring in (0, *places):
            tails = [(molecules._RINGS if place == ring else molecules._SMALL)[pieces[place]] for place in places]
            for chosen in product(*tails):
                found.add("".join(a + b for a, b in zip(pieces[::2], (*chosen, ""), strict=True)))
    assert len(found) == molecules.NUMBER
    with pytest.raises(TeachlibError, match="these pieces make 107862"):
        molecules.assemble(107_863)


def test_assembled_molecules_are_molecules() -> None:
    found = strings.load("molecules", "train", limit=2_000)
    assert all(map(targets.is_molecule, found))
    assert not targets.is_molecule("C(C)(C)(C)(C)C")  # five bonds
    assert not targets.is_molecule("c1ccc")
    assert not targets.is_molecule(None)


@needs_rdkit
def test_penalized_log_p_is_the_published_one() -> None:
    """Benzene, by its parts; and a macrocycle pays for its ring."""
    assert targets.log_p("c1ccccc1") == pytest.approx(1.6866, abs=1e-4)  # RDKit's documented example
    value, access, ring = targets.penalty_terms("C1CCCCCCCCC1")
    assert ring == -4
    assert access == pytest.approx(-1.0, abs=0.7)
    moments = targets.ZINC_MOMENTS
    expected = sum((part - mean) / std for part, (mean, std) in zip((value, access, ring), moments, strict=True))
    assert targets.penalized_log_p("C1CCCCCCCCC1") == pytest.approx(expected)
    with pytest.raises(TeachlibError, match="is no molecule"):
        targets.log_p("c1ccc")


def test_without_rdkit_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdkit", None)
    with pytest.raises(TeachlibError, match=r"pip install 'teachlib\[molecules\]'"):
        targets.is_molecule("C")


@needs_rdkit
@pytest.mark.parametrize("text", ["", " ", "CC this is junk", "CC  )(", "CC\t]", "N 27]5PSB", "CC ", "\nCC"])
def test_what_has_a_blank_or_nothing_is_no_molecule_for_any_function(text: str) -> None:
    assert not targets.is_molecule(text)
    for function in (targets.log_p, targets.penalized_log_p):
        with pytest.raises(TeachlibError, match="is no molecule"):
            function(text)
