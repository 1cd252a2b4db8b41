"""Strings as sequences of numbers: by the rules of a grammar, or by their characters."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from teachlib.errors import TeachlibError
from teachlib.rae.grammar.cfg import Grammar


class Codec(Protocol):
    """Strings ↔ sequences of ``length`` numbers below ``size``.

    Attributes:
        length: T, steps of every sequence.
        size: R, choices at each step.
    """

    length: int
    size: int

    def encode(self, strings: Sequence[str]) -> Tensor:
        """Numbers (N, T) int64."""
        ...

    def mask(self, tokens: Tensor) -> Tensor | None:
        """Which choices were open where each of ``tokens`` (N, T) was taken, (N, T, R) bool; ``None``: all were."""
        ...

    def decode(self, logits: Tensor, generator: torch.Generator | None = None) -> list[str | None]:
        """Strings of scores (N, T, R): the likeliest choices, with a generator drawn ones; ``None`` for no string."""
        ...


def _checked_scores(logits: Tensor, length: int, size: int) -> Tensor:
    """Scores (N, T, R) in single precision on the CPU, or an error."""
    if logits.ndim != 3 or logits.shape[1:] != (length, size):
        raise TeachlibError(f"scores of shape {tuple(logits.shape)}; expected (N, {length}, {size})")
    if logits.isnan().any():
        raise TeachlibError("scores that are not numbers write no string; did training diverge, or the code?")
    return logits.detach().float().cpu()


def _choose(logits: Tensor, generator: torch.Generator | None) -> Tensor:
    """The largest score of each row (N, R), or a draw from their softmax (Gumbel-max)."""
    if generator is not None:
        uniform = torch.rand(logits.shape, generator=generator, device=generator.device).to(logits)
        logits = logits - (-uniform.clamp_min(1e-20).log()).clamp_min(1e-20).log()
    return logits.argmax(1)


class CharacterCodec:
    """One number a character; a space pads to the length. What it decodes need not be a sentence of anything.

    Args:
        alphabet: all characters, without the space.
        length: T, characters of the longest string.
    """

    def __init__(self, alphabet: str, length: int) -> None:
        self.alphabet, self.length, self.size = alphabet + " ", length, len(alphabet) + 1

    def encode(self, strings: Sequence[str]) -> Tensor:
        """Numbers (N, T) int64.

        Raises:
            TeachlibError: a string that is too long, or a character that is not in the alphabet.
        """
        _refuse_one_string(strings)
        tokens = torch.full((len(strings), self.length), self.size - 1)
        for row, text in enumerate(strings):
            _refuse_long(text, len(text), self.length, "characters")
            for column, character in enumerate(text):
                number = self.alphabet.find(character)
                if number < 0:
                    raise TeachlibError(f"'{text}': '{character}' is not in the alphabet '{self.alphabet[:-1]}'")
                tokens[row, column] = number
        return tokens

    def mask(self, tokens: Tensor) -> None:
        """Nothing is forbidden: ``None``."""

    def decode(self, logits: Tensor, generator: torch.Generator | None = None) -> list[str | None]:
        """The string of each sample of ``logits`` (N, T, R); padding around it is taken off.

        Raises:
            TeachlibError: scores of another shape, or that are not numbers.
        """
        logits = _checked_scores(logits, self.length, self.size)
        chosen = _choose(logits.flatten(0, 1), generator).view(logits.shape[:2]).tolist()
        return ["".join(self.alphabet[number] for number in row).strip() for row in chosen]


class RuleCodec:
    """One number a rule of the leftmost derivation; the padding rule fills up to the length (Kusner et al., 2017).

    Args:
        grammar: whose rules.
        length: T, rules of the longest derivation.
        finish: while decoding, allow only rules after which the derivation can still end in time. Without it, as
            published, a derivation that does not end in time is lost.

    Raises:
        TeachlibError: a grammar without any finite sentence.
    """

    def __init__(self, grammar: Grammar, length: int, *, finish: bool = True) -> None:
        if grammar.shortest[grammar.start] == float("inf"):
            raise TeachlibError("no sentence of this grammar ever ends: its rules always leave a symbol to rewrite")
        self.grammar, self.length, self.size, self.finish = grammar, length, len(grammar), finish
        symbols = {symbol: number for number, symbol in enumerate(grammar.symbols)}
        self._of_symbol = torch.from_numpy(grammar.masks)  # (S, R)
        self._left = torch.from_numpy(grammar.left)
        self._costs = torch.tensor([grammar.cost(rule) for rule in range(self.size)])
        self._of_symbol &= self._costs.isfinite()  # rules that never end are never taken
        right = [
            [symbols[symbol] for symbol in reversed(grammar.non_terminals(rule)) if symbol in symbols]
            for rule in range(self.size)
        ]
        self._counts = torch.tensor([len(row) for row in right])
        self._right = pad_sequence([torch.tensor(row, dtype=torch.long) for row in right], batch_first=True)  # (R, W)
        self._shortest = torch.tensor([grammar.shortest[symbol] for symbol in grammar.symbols])

    def encode(self, strings: Sequence[str]) -> Tensor:
        """Numbers (N, T) int64.

        Raises:
            TeachlibError: a string that is not in the language, or takes too many rules.
        """
        _refuse_one_string(strings)
        tokens = torch.full((len(strings), self.length), self.size - 1)
        for row, text in enumerate(strings):
            rules = self.grammar.parse(text)
            _refuse_long(text, len(rules), self.length, "rules")
            tokens[row, : len(rules)] = torch.tensor(rules)
        return tokens

    def mask(self, tokens: Tensor) -> Tensor:
        """The rules that rewrite the same symbol as the rule that was taken, (N, T, R) bool."""
        return self._of_symbol.to(tokens.device)[self._left.to(tokens.device)[tokens]]

    def rules(self, logits: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Rules (N, T) int64, each one that rewrites the symbol on top of its sample's stack.

        All samples step together; each has its stack of non-terminals in a row of one tensor.

        Raises:
            TeachlibError: scores of another shape, or that are not numbers; no sentence is short enough.
        """
        logits = _checked_scores(logits, self.length, self.size)
        if self.finish and self._shortest[0] > self.length:
            raise TeachlibError(f"{self.length} rules; the shortest sentence takes {int(self._shortest[0])}")
        (count, length, _), most = logits.shape, int(self._counts.max())
        rows = torch.arange(count)
        stack = torch.full((count, length * most + 2), len(self.grammar.symbols) - 1)
        stack[:, 1] = 0  # the start symbol, on top of padding
        height = torch.ones(count, dtype=torch.long)
        owed = torch.full((count,), float(self._shortest[0]))  # rules that the stack still takes at least
        chosen = torch.empty(count, length, dtype=torch.long)
        for step in range(length):
            top = stack[rows, height]
            allowed = self._of_symbol[top]
            if self.finish:
                spared = owed - self._shortest[top]
                allowed = allowed & (spared[:, None] + self._costs <= length - step)
            rule = _choose(logits[:, step].masked_fill(~allowed, -torch.inf), generator)
            chosen[:, step] = rule
            owed = owed - self._shortest[top] + self._costs[rule] - 1
            height = (height - 1).clamp_min(0)
            for place in range(most):
                pushing = place < self._counts[rule]
                height = height + pushing
                stack[rows[pushing], height[pushing]] = self._right[rule[pushing], place]
        return chosen

    def decode(self, logits: Tensor, generator: torch.Generator | None = None) -> list[str | None]:
        """The string of each sample of ``logits`` (N, T, R); ``None`` where the derivation did not end in time.

        Raises:
            TeachlibError: as :meth:`rules`.
        """
        return [self.grammar.derive(row) for row in self.rules(logits, generator).tolist()]


def _refuse_one_string(strings: Sequence[str]) -> None:
    if isinstance(strings, str):  # a sequence too, of its characters
        raise TeachlibError(f"one string, '{strings}'; expected a list of strings")


def _refuse_long(text: str, count: int, length: int, what: str) -> None:
    if count > length:
        raise TeachlibError(f"'{text}' takes {count} {what}; this model's sequences have {length}")


def majority(decoded: Sequence[Sequence[str | None]]) -> list[str | None]:
    """Of several decodings of each sample, the commonest that is a string; ``None`` where none is.

    Args:
        decoded: attempts, each a string or ``None`` a sample.
    """
    commonest: list[str | None] = []
    for attempts in zip(*decoded, strict=True):
        strings, counts = np.unique([text for text in attempts if text is not None], return_counts=True)
        commonest.append(str(strings[counts.argmax()]) if len(strings) else None)
    return commonest
