"""Grammars, against each other's directions: what is parsed derives itself, what is drawn parses."""

import os
from pathlib import Path

import numpy as np
import pytest

from teachlib.errors import TeachlibError
from teachlib.rae.grammar import EXPRESSIONS, SMILES, Grammar, strings

needs_zinc = pytest.mark.skipif(
    not (Path(os.environ.get("TEACHLIB_DATA", "")) / "zinc").is_dir(), reason="ZINC is not in TEACHLIB_DATA"
)


def test_sizes_are_the_published_ones() -> None:
    assert (len(EXPRESSIONS), len(SMILES)) == (12, 76)
    assert EXPRESSIONS.masks.sum() == 12
    assert EXPRESSIONS.shortest == {"S": 2, "T": 1, "Nothing": 0}


def test_a_derivation_by_hand() -> None:
    """S → S+T → T+T → x+T → x+sin(S) → x+sin(T) → x+sin(1), each rule by its place in the published list."""
    assert EXPRESSIONS.parse("x+sin(1)") == [0, 3, 7, 5, 3, 8]
    assert EXPRESSIONS.derive([0, 3, 7, 5, 3, 8]) == "x+sin(1)"
    assert EXPRESSIONS.derive([0, 3, 7]) is None  # something is left to rewrite


def test_precedence_of_the_left() -> None:
    """Sums, products and quotients are one level and lean left: the grammar's tree is not arithmetic's."""
    assert EXPRESSIONS.parse("1+2*3") == [1, 0, 3, 8, 9, 10]  # (1 + 2) · 3 in the tree; Python evaluates 1 + (2 · 3)


@pytest.mark.parametrize("grammar", [EXPRESSIONS, SMILES], ids=["expressions", "smiles"])
def test_what_is_drawn_parses_to_itself(grammar: Grammar) -> None:
    length = 15 if grammar is EXPRESSIONS else 40
    drawn = strings.Derivations(grammar, length).draw(300, np.random.default_rng(0))
    assert len(set(drawn)) == 300
    for text in drawn:
        rules = grammar.parse(text)
        assert len(rules) <= length
        assert grammar.derive(rules) == text


@pytest.mark.slow
def test_all_generated_expressions_make_the_round_trip() -> None:
    for split in ("train", "validation", "test"):
        for text in strings.load("expressions", split):
            assert EXPRESSIONS.derive(EXPRESSIONS.parse(text)) == text


@needs_zinc
@pytest.mark.slow
def test_ten_thousand_molecules_make_the_round_trip() -> None:
    found = strings.load("zinc", "train", limit=5000) + strings.load("zinc", "test")
    assert len(found) == 10_000
    longest = 0
    for text in found:
        rules = SMILES.parse(text)
        longest = max(longest, len(rules))
        assert SMILES.derive(rules) == text
    assert longest <= 277  # the published model's length


def test_counts_are_those_of_a_list() -> None:
    """All derivations of up to 7 rules written out, against the numbers that drawing rests on."""
    derivations = strings.Derivations(EXPRESSIONS, 7)
    for length in range(1, 8):
        assert derivations.count("S", length) == len(_sentences(length))
        assert all(len(EXPRESSIONS.parse(text)) == length for text in _sentences(length))


def _sentences(length: int, symbol: str = "S") -> set[str]:
    if length < 1:
        return set()
    if symbol == "T":
        inner = _sentences(length - 1)
        return ({*"x123"} if length == 1 else set()) | {f + s + ")" for f in ("(", "sin(", "exp(") for s in inner}
    pairs = [(s, t) for n in range(length - 1) for s in _sentences(n) for t in _sentences(length - 1 - n, "T")]
    return _sentences(length - 1, "T") | {s + sign + t for s, t in pairs for sign in "+*/"}


def test_draws_are_uniform_over_derivations() -> None:
    """The 60 sentences of four rules; χ² on their frequencies."""
    rng, derivations = np.random.default_rng(3), strings.Derivations(EXPRESSIONS, 4)
    drawn = [derivations.sample(4, rng) for _ in range(8_000)]
    frequencies = np.unique(drawn, return_counts=True)[1]
    assert len(frequencies) == len(_sentences(4)) == 60
    expected = 8_000 / 60
    assert ((frequencies - expected) ** 2 / expected).sum() < 98.3  # the 99.9 % quantile of 59 degrees of freedom


def test_mistakes_are_named() -> None:
    with pytest.raises(TeachlibError, match="no symbol of this grammar fits at 'y'"):
        EXPRESSIONS.parse("x+y")
    with pytest.raises(TeachlibError, match="is not in the language"):
        EXPRESSIONS.parse("x+")
    with pytest.raises(TeachlibError, match="is not in the language"):
        SMILES.parse("")
    with pytest.raises(TeachlibError, match="rewrites T; the leftmost symbol is S"):
        EXPRESSIONS.derive([7])
    with pytest.raises(TeachlibError, match="takes exactly 3 rules"):
        strings.Derivations(EXPRESSIONS, 3).sample(3, np.random.default_rng(0))
    with pytest.raises(TeachlibError, match="rule 99; this grammar has 0 … 11"):
        EXPRESSIONS.derive([99])


@pytest.mark.parametrize(
    "text", ["S = x", "A -> B -> 'a'", "S -> 'a", "S -> ''", "S -> 'a b'", "S -> 'a' |", "S ->", ""]
)
def test_what_is_no_grammar_is_refused(text: str) -> None:
    with pytest.raises(TeachlibError, match=r"is no production|without productions"):
        Grammar(text)
    with pytest.raises(TeachlibError, match="no symbol called Nothing"):
        Grammar("S -> Nothing")


def test_the_longest_terminal_that_fits_is_read() -> None:
    assert Grammar("S -> 'a' | 'ab' | 'b' | 'abc'").tokenize("a babcab") == ["ab", "abc", "ab"]
    assert SMILES.tokenize("ClC[C@@H]Br") == ["Cl", "C", "[", "C", "@@", "H", "]", "Br"]


def test_a_bar_in_quotes_is_a_terminal() -> None:
    assert Grammar("S -> 'a' '|' 'b' | 'c'").parse("a|b") == [0]


def test_draws_end_where_there_is_nothing_more_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two derivations of every sentence: counting them, there would be twice as many."""
    monkeypatch.setattr(strings, "PATIENCE", 200)
    grammar = Grammar("S -> A | B\n A -> 'a' | 'b'\n B -> 'a' | 'b'")
    assert sorted(strings.Derivations(grammar, 2).draw(2, np.random.default_rng(0))) == ["a", "b"]
    twelve = Grammar("S -> A | B | C | D | E | F\n" + "\n".join(f"{left} -> 'a'" for left in "ABCDEF"))
    with pytest.raises(TeachlibError, match="only 1 different sentences found"):
        strings.Derivations(twelve, 2).draw(2, np.random.default_rng(0))
