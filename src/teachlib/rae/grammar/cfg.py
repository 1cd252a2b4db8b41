"""Context-free grammars as sequences of rules: parse, derive, count and draw.

A string of the language is one *leftmost derivation*: starting from the start symbol, each rule rewrites the leftmost
non-terminal. The sequence of rules says everything that the string says, and each prefix of it says which rules may
come next. That is what lets a decoder write nothing but sentences (Kusner, Paige & Hernández-Lobato, 2017).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from teachlib.errors import TeachlibError

PADDING = "Nothing"


@dataclass(frozen=True)
class Production:
    """One rule: the symbol on the left becomes those on the right.

    Attributes:
        left: a non-terminal.
        right: symbols; terminals are quoted.
    """

    left: str
    right: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.left} → {' '.join(self.right) or 'ε'}"


@dataclass(slots=True)
class _Item:
    """A production read up to its ``dot``-th symbol, begun at token ``origin`` (Earley, 1970)."""

    rule: int
    dot: int
    origin: int
    before: "_Item | None"  # the same production one symbol earlier
    child: "_Item | None"  # what that symbol was, if not a terminal


def _is_terminal(symbol: str) -> bool:
    return symbol.startswith("'")


class Grammar:
    """A context-free grammar without empty productions; a last one, ``Nothing → None``, pads short derivations.

    Args:
        text: a production a line, ``A -> B 'c' | 'd'``; the first left-hand side is the start symbol.

    Raises:
        TeachlibError: a line that is not a production.
    """

    def __init__(self, text: str) -> None:
        self.productions = (*_read(text), Production(PADDING, ()))
        self.start = self.productions[0].left
        self.symbols = tuple(dict.fromkeys(rule.left for rule in self.productions))  # Nothing is the last
        self._rules_of = {
            symbol: [index for index, rule in enumerate(self.productions) if rule.left == symbol]
            for symbol in self.symbols
        }
        terminals = {symbol[1:-1] for rule in self.productions for symbol in rule.right if _is_terminal(symbol)}
        self.terminals = tuple(sorted(terminals, key=lambda token: (-len(token), token)))  # the longest first

    def __len__(self) -> int:
        return len(self.productions)

    @cached_property
    def masks(self) -> np.ndarray:
        """Which rules rewrite which symbol, (symbols, rules) bool."""
        left = np.array([rule.left for rule in self.productions])
        return np.array([left == symbol for symbol in self.symbols])

    @cached_property
    def left(self) -> np.ndarray:
        """The number of each rule's left-hand side, (rules,)."""
        return np.array([self.symbols.index(rule.left) for rule in self.productions])

    @cached_property
    def shortest(self) -> dict[str, float]:
        """The fewest rules that turn a symbol into terminals; infinite for one that never ends."""
        costs = dict.fromkeys(self.symbols, np.inf) | {PADDING: 0.0}
        while True:
            better = {
                symbol: min(self._cost(rule, costs) for rule in self._rules_of[symbol]) for symbol in self.symbols[:-1]
            } | {PADDING: 0.0}
            if better == costs:
                return costs
            costs = better

    def _cost(self, rule: int, shortest: dict[str, float]) -> float:
        return 1 + sum(shortest.get(symbol, np.inf) for symbol in self.non_terminals(rule))

    def cost(self, rule: int) -> float:
        """The fewest rules, this one among them, that turn its left-hand side into terminals by way of it."""
        return self._cost(rule, self.shortest)

    def non_terminals(self, rule: int) -> list[str]:
        """The symbols on the right that are still to be rewritten, from the left."""
        return [symbol for symbol in self.productions[rule].right if not _is_terminal(symbol)]

    def tokenize(self, text: str) -> list[str]:
        """Terminals from left to right, each the longest that fits; spaces count nothing.

        Raises:
            TeachlibError: a place where no terminal fits.
        """
        tokens, rest = [], text.replace(" ", "")
        while rest:
            token = next((token for token in self.terminals if rest.startswith(token)), None)
            if token is None:
                raise TeachlibError(f"'{text}': no symbol of this grammar fits at '{rest[:20]}'")
            tokens.append(token)
            rest = rest[len(token) :]
        return tokens

    def parse(self, text: str) -> list[int]:
        """The rules of the leftmost derivation of a string.

        Raises:
            TeachlibError: the string is not in the language.
        """
        tokens = self.tokenize(text)
        root = _Chart(self, tokens).root() if tokens else None
        if root is None:
            raise TeachlibError(f"'{text}' is not in the language of this grammar")
        return _rules(root)

    def derive(self, rules: Sequence[int]) -> str | None:
        """The string that a sequence of rules writes; ``None`` if non-terminals are left over.

        Raises:
            TeachlibError: a rule that does not exist, or does not rewrite the leftmost non-terminal.
        """
        written: list[str] = []
        stack = [self.start]
        for index in rules:
            if not 0 <= index < len(self):
                raise TeachlibError(f"rule {index}; this grammar has 0 … {len(self) - 1}")
            rule = self.productions[index]
            expected = stack.pop() if stack else PADDING
            if rule.left != expected:
                raise TeachlibError(f"rule {index} ({rule}) rewrites {rule.left}; the leftmost symbol is {expected}")
            stack.extend(reversed(rule.right))
            while stack and _is_terminal(stack[-1]):
                written.append(stack.pop()[1:-1])
        return None if stack else "".join(written)

    @cached_property
    def first(self) -> dict[str, set[str]]:
        """The terminals that a symbol's strings may begin with."""
        begins: dict[str, set[str]] = {symbol: set() for symbol in self.symbols}
        changed = True
        while changed:
            changed = False
            for rule in self.productions[:-1]:
                begin = rule.right[0]
                new = {begin[1:-1]} if _is_terminal(begin) else begins.get(begin, set())
                changed |= not new <= begins[rule.left]
                begins[rule.left] |= new
        return begins

    def rules_of(self, symbol: str) -> list[int]:
        """The rules that rewrite a symbol; none for a symbol that nothing rewrites."""
        return self._rules_of.get(symbol, [])

    @cached_property
    def openings(self) -> dict[tuple[str, str], list[int]]:
        """The rules that rewrite a symbol into strings that may begin with a terminal, by symbol and terminal."""
        rules: dict[tuple[str, str], list[int]] = {}
        for index, rule in enumerate(self.productions[:-1]):
            begin = rule.right[0]
            for token in {begin[1:-1]} if _is_terminal(begin) else self.first.get(begin, ()):
                rules.setdefault((rule.left, token), []).append(index)
        return rules


_NAME, _TERMINAL = r"[A-Za-z_]\w*", r"'[^'\s]+'"
_SYMBOLS = rf"\s+(?:(?:{_NAME}|{_TERMINAL})\s+)+"
_LINE = re.compile(rf"\s*(?P<left>{_NAME})\s*->(?P<right>{_SYMBOLS}(?:\|{_SYMBOLS})*)")


def _read(text: str) -> list[Production]:
    productions: list[Production] = []
    for line in filter(str.strip, text.splitlines()):
        match = _LINE.fullmatch(f"{line} ")
        if match is None or PADDING in line.split():
            raise TeachlibError(
                f"'{line.strip()}' is no production; expected: symbol -> symbols | symbols, with spaces between them, "
                f"terminals in quotes and without spaces, and no symbol called {PADDING}"
            )
        symbols: list[list[str]] = [[]]
        for symbol in match["right"].split():
            if symbol == "|":
                symbols.append([])
            else:
                symbols[-1].append(symbol)
        productions += [Production(match["left"], tuple(right)) for right in symbols]
    if not productions:
        raise TeachlibError("a grammar without productions; expected lines like: symbol -> symbols | symbols")
    return productions


class _Chart:
    """Earley's algorithm: all that may have been read up to each token, and what each reading waits for."""

    def __init__(self, grammar: Grammar, tokens: list[str]) -> None:
        self.grammar, self.tokens = grammar, tokens
        self.waiting: list[dict[str, list[_Item]]] = [{} for _ in range(len(tokens) + 1)]

    def root(self) -> _Item | None:
        """The start symbol's item that spans all tokens, or ``None``."""
        agenda = self._predicted(self.grammar.start, 0)
        for position in range(len(self.tokens) + 1):
            scanned, complete = self._close(agenda, position)
            if position == len(self.tokens):
                start = self.grammar.start
                roots = (i for i in complete if i.origin == 0 and self.grammar.productions[i.rule].left == start)
                return next(roots, None)
            agenda = scanned
        return None

    def _predicted(self, symbol: str, position: int) -> list[_Item]:
        if position == len(self.tokens) or symbol in self.waiting[position]:
            return []
        self.waiting[position][symbol] = []
        rules = self.grammar.openings.get((symbol, self.tokens[position]), ())
        return [_Item(rule, 0, position, None, None) for rule in rules]

    def _close(self, agenda: list[_Item], position: int) -> tuple[list[_Item], list[_Item]]:
        """Follow every item as far as it goes without another token: those that read it, and those that are done."""
        scanned, complete, seen = [], [], set()
        token = self.tokens[position] if position < len(self.tokens) else None
        while agenda:
            item = agenda.pop()
            key = (item.rule, item.dot, item.origin)
            if key in seen:
                continue
            seen.add(key)
            rule = self.grammar.productions[item.rule]
            if item.dot == len(rule.right):
                complete.append(item)
                for parent in self.waiting[item.origin].get(rule.left, ()):
                    agenda.append(_Item(parent.rule, parent.dot + 1, parent.origin, parent, item))
            elif token is not None and _is_terminal(symbol := rule.right[item.dot]):
                if symbol[1:-1] == token:
                    scanned.append(_Item(item.rule, item.dot + 1, item.origin, item, None))
            elif token is not None:
                agenda.extend(self._predicted(symbol, position))
                self.waiting[position][symbol].append(item)
        return scanned, complete


def _rules(root: _Item) -> list[int]:
    """The rules of a parse tree, each before those of its parts: the leftmost derivation."""
    rules, stack = [], [root]
    while stack:
        item: _Item | None = stack.pop()
        assert item is not None
        rules.append(item.rule)
        while item is not None:  # from the last symbol back to the first, so the first is popped next
            if item.child is not None:
                stack.append(item.child)
            item = item.before
    return rules


EXPRESSIONS = Grammar(
    """
    S -> S '+' T | S '*' T | S '/' T | T
    T -> '(' S ')' | 'sin(' S ')' | 'exp(' S ')' | 'x' | '1' | '2' | '3'
    """
)
"""Arithmetic in one variable: 12 productions with the padding (Kusner et al., 2017)."""

SMILES = Grammar(
    r"""
    smiles -> chain
    atom -> bracket_atom | aliphatic_organic | aromatic_organic
    aliphatic_organic -> 'B' | 'C' | 'N' | 'O' | 'S' | 'P' | 'F' | 'I' | 'Cl' | 'Br'
    aromatic_organic -> 'c' | 'n' | 'o' | 's'
    bracket_atom -> '[' BAI ']'
    BAI -> isotope symbol BAC | symbol BAC | isotope symbol | symbol
    BAC -> chiral BAH | BAH | chiral
    BAH -> hcount BACH | BACH | hcount
    BACH -> charge class | charge | class
    symbol -> aliphatic_organic | aromatic_organic
    isotope -> DIGIT | DIGIT DIGIT | DIGIT DIGIT DIGIT
    DIGIT -> '1' | '2' | '3' | '4' | '5' | '6' | '7' | '8'
    chiral -> '@' | '@@'
    hcount -> 'H' | 'H' DIGIT
    charge -> '-' | '-' DIGIT | '-' DIGIT DIGIT | '+' | '+' DIGIT | '+' DIGIT DIGIT
    bond -> '-' | '=' | '#' | '/' | '\'
    ringbond -> DIGIT | bond DIGIT
    branched_atom -> atom | atom RB | atom BB | atom RB BB
    RB -> RB ringbond | ringbond
    BB -> BB branch | branch
    branch -> '(' chain ')' | '(' bond chain ')'
    chain -> branched_atom | chain branched_atom | chain bond branched_atom
    """
)
"""SMILES of small molecules: 76 productions with the padding (Kusner et al., 2017).

Two of them, ``BACH → charge class`` and ``BACH → class``, never end, since nothing rewrites ``class``; decoders here
leave them out (:attr:`Grammar.shortest` is infinite).
"""
