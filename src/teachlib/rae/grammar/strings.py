"""Data of structured objects: expressions drawn from their grammar, molecules assembled or real."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from teachlib.data import data_root
from teachlib.data.files import check_hash, find, read_bytes
from teachlib.errors import TeachlibError, require_at_least, unknown
from teachlib.rae.grammar.cfg import EXPRESSIONS, SMILES, Grammar
from teachlib.rae.grammar.codecs import CharacterCodec, Codec, RuleCodec
from teachlib.rae.grammar.molecules import assemble


@dataclass(frozen=True)
class Language:
    """One set of strings, and how long the sequences of its models are.

    Attributes:
        name: of :data:`LANGUAGES`.
        title: one line for people.
        grammar: all strings are in its language.
        rules: of the longest derivation.
        alphabet: all characters.
        characters: of the longest string.
        splits: name → number of strings.
        source: where the strings come from.
    """

    name: str
    title: str
    grammar: Grammar
    rules: int
    alphabet: str
    characters: int
    splits: dict[str, int]
    source: str

    def codec(self, *, rules: bool) -> Codec:
        """Strings as rules of the grammar, or as characters."""
        return RuleCodec(self.grammar, self.rules) if rules else CharacterCodec(self.alphabet, self.characters)


_SMILES_CHARACTERS = "C()c12o=ON3F[@H]n-#Sl+sBr/4\\567IP8"
LANGUAGES = {
    known.name: known
    for known in (
        Language(
            name="expressions",
            title="arithmetic in one variable, up to 15 rules",
            grammar=EXPRESSIONS,
            rules=15,
            alphabet="x+()123*/sinep",
            characters=31,
            splits={"train": 96_000, "validation": 2_000, "test": 2_000},
            source="drawn from the grammar of Kusner et al. (2017), none twice, seed 0",
        ),
        Language(
            name="molecules",
            title="small molecules assembled from pieces of well-known drugs",
            grammar=SMILES,
            rules=180,
            alphabet=_SMILES_CHARACTERS,
            characters=66,
            splits={"train": 18_000, "validation": 1_000, "test": 1_000},
            source="assembled, seed 0",
        ),
        Language(
            name="zinc",
            title="250,000 drug-like molecules of ZINC",
            grammar=SMILES,
            rules=277,
            alphabet=_SMILES_CHARACTERS,
            characters=120,
            splits={"train": 220_011, "validation": 24_445, "test": 5_000},
            source="J. Irwin et al., ZINC (2012); the selection of Gómez-Bombarelli et al. (2018)",
        ),
    )
}
_ZINC_FILE = "250k_rndm_zinc_drugs_clean.smi"
_ZINC_HASH = {_ZINC_FILE: "f900b46bb42b77aab37cd827d1ea474e2a037ecab2bd7def2b6027492216d36a"}


def language(name: str) -> Language:
    """The set of strings called ``name``.

    Raises:
        TeachlibError: no such set.
    """
    if name not in LANGUAGES:
        raise unknown("set of strings", name, LANGUAGES)
    return LANGUAGES[name]


def load(name: str, split: str = "train", *, limit: int | None = None, root: str | Path | None = None) -> list[str]:
    """The strings of one split; splits never overlap.

    Args:
        name: ``expressions`` and ``molecules`` are made on the spot; ``zinc`` is read from
            ``zinc/250k_rndm_zinc_drugs_clean.smi(.gz)``, its first 5,000 the test set, as in the published code.
        split: ``train``, ``validation`` or ``test``.
        limit: only the first so many.
        root: where data files lie, see :func:`teachlib.data.data_root`.

    Raises:
        TeachlibError: unknown name or split; a file that is missing, damaged or another one.
    """
    known = language(name)
    if split not in known.splits:
        raise unknown(f"split of {name}", split, known.splits)
    require_at_least(1, limit=limit)
    order = ("test", "validation", "train")  # the small ones first: few strings cost little
    start = sum(known.splits[earlier] for earlier in order[: order.index(split)])
    count = known.splits[split] if limit is None else min(limit, known.splits[split])
    if name == "zinc":
        return _zinc(data_root(root))[start : start + count]
    make = _expressions if name == "expressions" else assemble
    return make(start + count)[start:]


@lru_cache(maxsize=4)
def _expressions(count: int) -> list[str]:
    return Derivations(EXPRESSIONS, LANGUAGES["expressions"].rules).draw(count, np.random.default_rng(0))


@lru_cache(maxsize=1)
def _zinc(root: Path) -> list[str]:
    file = find(root / "zinc", _ZINC_FILE)
    if file is None:
        raise TeachlibError(
            f"zinc: missing {root / 'zinc' / _ZINC_FILE}(.gz); set TEACHLIB_DATA to the folder that holds zinc/, "
            "or take the dataset 'molecules'"
        )
    contents = read_bytes(file)
    check_hash(contents, file, _ZINC_HASH)
    return contents.decode().split()


PATIENCE = 10_000  # draws in a row that bring nothing new


class Derivations:
    """All derivations of a grammar, counted by their length, so that they can be drawn with equal probability.

    Args:
        grammar: whose derivations.
        longest: rules at most.
    """

    def __init__(self, grammar: Grammar, longest: int) -> None:
        self.grammar, self.longest = grammar, longest
        self.count = cache(self._count)
        self.shares = cache(self._shares)
        self.choices = cache(self._choices)
        self.splits = cache(self._splits)

    def _count(self, symbol: str, rules: int) -> int:
        """How many derivations of exactly so many rules rewrite a symbol into terminals."""
        ways = (self.shares(tuple(self.grammar.non_terminals(r)), rules - 1) for r in self.grammar.rules_of(symbol))
        return sum(map(sum, ways)) if rules > 0 else 0

    def _shares(self, symbols: tuple[str, ...], rules: int) -> tuple[int, ...]:
        """How many ways several symbols share so many rules, by the number that the first of them takes."""
        if not symbols:
            return (int(rules == 0),)
        return tuple(
            taken and self.count(symbols[0], taken) * sum(self.shares(symbols[1:], rules - taken))
            for taken in range(rules + 1)
        )

    def sample(self, rules: int, rng: np.random.Generator) -> str:
        """A sentence of exactly so many rules, every derivation as likely as every other.

        Raises:
            TeachlibError: there is none.
        """
        if not self.count(self.grammar.start, rules):
            raise TeachlibError(f"no sentence of this grammar takes exactly {rules} rules")
        derivation: list[int] = []
        todo = [(self.grammar.start, rules)]
        while todo:
            symbol, rules = todo.pop()
            rule = self.grammar.rules_of(symbol)[_pick(self.choices(symbol, rules), rng)]
            derivation.append(rule)
            rest, parts = rules - 1, tuple(self.grammar.non_terminals(rule))
            shared = []
            for place, part in enumerate(parts):
                taken = _pick(self.splits(parts[place:], rest), rng)
                shared.append((part, taken))
                rest -= taken
            todo.extend(reversed(shared))
        text = self.grammar.derive(derivation)
        assert text is not None
        return text

    def _choices(self, symbol: str, rules: int) -> list[float]:
        """The chances of a symbol's rules, summed up."""
        parts = (tuple(self.grammar.non_terminals(rule)) for rule in self.grammar.rules_of(symbol))
        return _summed([sum(self.shares(part, rules - 1)) for part in parts])

    def _splits(self, symbols: tuple[str, ...], rules: int) -> list[float]:
        """The chances of what the first of several symbols takes, summed up."""
        return _summed(self.shares(symbols, rules))

    def draw(self, count: int, rng: np.random.Generator) -> list[str]:
        """Different sentences, in random order: a length in proportion to the root of its number, then any of it.

        Without the root nearly all sentences would have the greatest length.

        Raises:
            TeachlibError: there are not nearly so many.
        """
        numbers = [self.count(self.grammar.start, rules) for rules in range(self.longest + 1)]
        if 2 * count > sum(numbers):
            raise TeachlibError(f"{count} different sentences asked for; {self.longest} rules write {sum(numbers)}")
        lengths = _summed([math.sqrt(number) for number in numbers])
        sentences: dict[str, None] = {}
        repeated = 0
        while len(sentences) < count:
            text = self.sample(_pick(lengths, rng), rng)
            repeated = repeated + 1 if text in sentences else 0
            if repeated > PATIENCE:  # several derivations may write one sentence
                raise TeachlibError(f"only {len(sentences)} different sentences found, then {PATIENCE} known ones")
            sentences[text] = None
        return list(sentences)


def _summed(weights: Sequence[float]) -> list[float]:
    """Running sums of weights, from above 0 to 1; whole numbers may be too large for a float."""
    total = sum(weights)
    return [part / total for part in accumulate(weights)]


def _pick(summed: list[float], rng: np.random.Generator) -> int:
    """A place in proportion to its weight; a weight of zero is never taken, since its sum is its neighbour's."""
    return bisect_right(summed, rng.random())


@dataclass(frozen=True)
class StringData(Dataset[tuple[Tensor, Tensor]]):
    """Strings as the numbers of a codec; indexing gives them and zeros for labels.

    Attributes:
        tokens: (N, T) int64.
    """

    tokens: Tensor

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int | slice | Tensor) -> tuple[Tensor, Tensor]:
        chosen = self.tokens[index]
        return chosen, torch.zeros(chosen.shape[:-1])

    @property
    def sha256(self) -> str:
        """Hash of the numbers, for provenance."""
        return hashlib.sha256(self.tokens.numpy().tobytes()).hexdigest()
