"""Rule sequences and characters, against the grammar itself."""

import pytest
import torch

from teachlib.errors import TeachlibError
from teachlib.rae.grammar import EXPRESSIONS, SMILES, CharacterCodec, Grammar, RuleCodec, majority

GRAMMARS = {"expressions": (EXPRESSIONS, 15), "smiles": (SMILES, 60)}


def _noise(count: int, codec: RuleCodec | CharacterCodec) -> torch.Tensor:
    return 5 * torch.randn(count, codec.length, codec.size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", GRAMMARS)
@pytest.mark.parametrize("finish", [True, False])
def test_whatever_is_decoded_parses(name: str, finish: bool) -> None:
    """Scores of noise: every string is a sentence, and its rules are those that were chosen."""
    grammar, length = GRAMMARS[name]
    codec = RuleCodec(grammar, length, finish=finish)
    logits = _noise(500, codec)
    strings, rules = codec.decode(logits), codec.rules(logits)
    whole = [(text, row) for text, row in zip(strings, rules.tolist(), strict=True) if text is not None]
    assert len(whole) == 500 if finish else 20 < len(whole) < 500  # cut off as published
    for text, row in whole:
        parsed = grammar.parse(text)
        assert row == parsed + [len(grammar) - 1] * (length - len(parsed))


@pytest.mark.parametrize("name", GRAMMARS)
def test_sure_scores_give_back_the_string(name: str) -> None:
    grammar, length = GRAMMARS[name]
    strings = {"expressions": ["x", "sin(x*x)/3", "1+exp(x)"], "smiles": ["CC(=O)Nc1ccc(O)cc1", "C[C@H](N)C(=O)O"]}[
        name
    ]
    codec = RuleCodec(grammar, length)
    tokens = codec.encode(strings)
    assert codec.decode(20 * torch.nn.functional.one_hot(tokens, codec.size).float()) == strings
    mask = codec.mask(tokens)
    assert mask.gather(2, tokens[..., None]).all()  # the rule that was taken was open
    assert (mask.sum(2) == 1)[tokens == codec.size - 1].all()  # padding leaves no choice


@pytest.mark.parametrize("text", ["S -> 'a' | 'b'", "S -> 'a' S | 'b'", "S -> S S | 'a'", "S -> S 'b' S S | 'a'"])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_derivations_grow_as_far_as_their_length_lets_them(text: str, length: int) -> None:
    """The first rule, which leaves most to rewrite, wherever it is open: in time for an end, or never ending."""
    grammar = Grammar(text)
    scores = torch.tensor([3.0, 2.0, 1.0]).expand(1, length, 3)
    (written,) = RuleCodec(grammar, length).decode(scores)
    assert written is not None
    rules = grammar.parse(written)
    step = len(grammar.non_terminals(0))  # rules that one use of the first rule asks for
    assert len(rules) == (1 + (length - 1) // step * step if step else 1)
    chosen = RuleCodec(grammar, length, finish=False).rules(scores)
    assert chosen.tolist() == [[0] * length if step else [0] + [2] * (length - 1)]


def test_draws_follow_the_softmax() -> None:
    """Only S → T, then T → x | 1 | 2 | 3 fit into two rules: their frequencies against the softmax."""
    codec = RuleCodec(EXPRESSIONS, 2)
    scores = torch.randn(codec.size, generator=torch.Generator().manual_seed(1))
    drawn = codec.decode(scores.expand(20_000, 2, -1), torch.Generator().manual_seed(2))
    expected = scores[7:11].softmax(0)
    for text, probability in zip("x123", expected.tolist(), strict=True):
        assert drawn.count(text) / 20_000 == pytest.approx(probability, abs=4 * (probability / 20_000) ** 0.5)


def test_rules_that_never_end_are_never_taken() -> None:
    """``class`` has no rule in the published grammar: choosing it would leave the derivation open for ever."""
    codec = RuleCodec(SMILES, 60, finish=False)
    dangling = [i for i, rule in enumerate(SMILES.productions) if "class" in rule.right]
    logits = _noise(300, codec)
    logits[:, :, dangling] += 100
    assert not torch.isin(codec.rules(logits), torch.tensor(dangling)).any()


def test_characters_there_and_back() -> None:
    codec = CharacterCodec("x+*/()123sinep", 19)
    strings = ["sin(x)+1", "x", "exp(x*x)/(1+x)+1"]
    tokens = codec.encode(strings)
    assert codec.decode(20 * torch.nn.functional.one_hot(tokens, codec.size).float()) == strings
    assert codec.mask(tokens) is None
    assert codec.size == 15


def test_the_commonest_string_wins() -> None:
    assert majority([["a", None, "x"], ["b", None, None], ["b", None, "y"], ["b", None, "y"]]) == ["b", None, "y"]


def test_mistakes_are_named() -> None:
    with pytest.raises(TeachlibError, match="takes 10 rules; this model's sequences have 5"):
        RuleCodec(EXPRESSIONS, 5).encode(["sin(x*x)/3+1"])
    with pytest.raises(TeachlibError, match="'y' is not in the alphabet"):
        CharacterCodec("x+", 3).encode(["y"])
    with pytest.raises(TeachlibError, match="takes 4 characters"):
        CharacterCodec("x+", 3).encode(["x+xx"])
    with pytest.raises(TeachlibError, match="expected a list of strings"):
        CharacterCodec("x+", 3).encode("x+x")
    with pytest.raises(TeachlibError, match="no sentence of this grammar ever ends"):
        RuleCodec(Grammar("S -> S 'a'"), 5)
    for codec in (CharacterCodec("x+", 3), RuleCodec(EXPRESSIONS, 3)):
        with pytest.raises(TeachlibError, match="not numbers"):
            codec.decode(torch.full((1, 3, codec.size), torch.nan))
        with pytest.raises(TeachlibError, match=r"scores of shape \(1, 2, 3\)"):
            codec.decode(torch.zeros(1, 2, 3))
    codec = RuleCodec(SMILES, 4)
    with pytest.raises(TeachlibError, match="the shortest sentence takes 5"):
        codec.decode(torch.zeros(1, 4, codec.size))
