"""What a model of strings can do: give them back, write new ones, and be searched (thesis Fig. 3.3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from teachlib.errors import require_at_least
from teachlib.modes import in_evaluation_mode
from teachlib.rae.density import fit_density
from teachlib.rae.grammar.codecs import majority
from teachlib.rae.grammar.models import SequenceAutoencoder, sequence_loss
from teachlib.rae.grammar.search import Found, Surrogate, search
from teachlib.rae.grammar.strings import language, load
from teachlib.rae.grammar.targets import (
    POINTS,
    WORST_EXPRESSION,
    evaluate_expression,
    expression_score,
    is_molecule,
    penalized_log_p,
)

PRIORS = ("normal", "gaussian", "mixture")


def is_valid(dataset: str, text: str | None) -> bool:
    """Whether a string means something: an expression with values, a molecule that RDKit accepts.

    Raises:
        TeachlibError: unknown data set; RDKit is needed and not installed.
    """
    if language(dataset).name == "expressions":
        return text is not None and evaluate_expression(text, POINTS) is not None
    return is_molecule(text)


def score(dataset: str, text: str | None, worst: float = WORST_EXPRESSION) -> float:
    """What a search minimizes: an expression's misfit, or a molecule's negative penalized log P.

    Args:
        dataset: which of the two.
        text: a valid string, or ``None``.
        worst: of ``None``.
    """
    if text is None:
        return worst
    return expression_score(text) if dataset == "expressions" else -penalized_log_p(text)


@in_evaluation_mode
def decode_valid(
    model: SequenceAutoencoder, z: Tensor, *, attempts: int = 25, generator: torch.Generator
) -> list[str | None]:
    """The commonest valid string of several draws a code; ``None`` where no draw is valid (Kusner et al., 2017)."""
    logits = model.scores(z)
    drawn = [model.codec.decode(logits, generator) for _ in range(attempts)]
    dataset = model.recipe.dataset
    known = {text: is_valid(dataset, text) for text in {text for row in drawn for text in row}}
    return majority([[text if known[text] else None for text in row] for row in drawn])


@dataclass(frozen=True)
class Written:
    """What :func:`evaluate` measured.

    Attributes:
        exact: share of test strings that come back letter by letter.
        nats: −log P(string | its code) of a test string.
        valid: share of valid strings among those of codes drawn from each of :data:`PRIORS`.
        different: share of different strings among the valid ones, likewise.
        trials: the picks of searches with seeds of their own.
    """

    exact: float
    nats: float
    valid: dict[str, float]
    different: dict[str, float]
    trials: list[Found]

    @property
    def best(self) -> list[tuple[str, float]]:
        """The three best different strings of all trials, and their scores."""
        merged = {text: score for trial in self.trials for text, score in trial.best(3)}
        return sorted(merged.items(), key=lambda pair: pair[1])[:3]

    def row(self) -> dict[str, float]:
        """All numbers by name, as measured tables keep them."""
        row = {"exact": self.exact, "nats": self.nats}
        row |= {f"{name}_valid": value for name, value in self.valid.items()}
        row |= {f"{name}_different": value for name, value in self.different.items()}
        for name, values in (
            ("search_valid", [trial.valid for trial in self.trials]),
            ("search_mean", [trial.scores.mean() for trial in self.trials]),
        ):
            row |= {name: float(np.mean(values)), f"{name}_spread": float(np.std(values, ddof=min(1, len(values) - 1)))}
        return row | {f"search_best_{place}": value for place, (_, value) in enumerate(self.best, 1)}


@in_evaluation_mode
def evaluate(
    model: SequenceAutoencoder,
    *,
    seed: int = 0,
    count: int = 1_000,
    known: int = 500,
    trials: int = 5,
    rounds: int = 5,
    batch: int = 50,
    attempts: int = 25,
    surrogate: Callable[[np.ndarray, np.ndarray], Surrogate] | None = None,
) -> Written:
    """Measure one model.

    Args:
        model: measured in evaluation mode, and left in its own.
        seed: of all draws.
        count: test strings, and strings of each prior.
        known: training strings whose scores the search starts from.
        trials: searches, each from the same strings with a seed of its own.
        rounds: of each search.
        batch: picks a round.
        attempts: draws a code.
        surrogate: of the search; by default :class:`teachlib.rae.grammar.search.ExactProcess`.

    Raises:
        TeachlibError: a number below one; RDKit is needed and not installed.
    """
    require_at_least(1, count=count, known=known, trials=trials, rounds=rounds, batch=batch, attempts=attempts)
    dataset, generator = model.recipe.dataset, torch.Generator().manual_seed(seed)
    train, test = load(dataset, "train", limit=min(5_000, model.recipe.samples)), load(dataset, "test", limit=count)
    codes, tokens = model.encode(model.codec.encode(train)), model.codec.encode(test)
    logits = model.scores(model.encode(tokens))
    nats = sequence_loss(logits, tokens, model.codec.mask(tokens)).mean().item()
    valid, different = {}, {}
    for name in PRIORS:
        z = fit_density(name, codes, seed=seed).sample(count, generator)
        strings = model.decode(z, generator)
        right = [text for text in strings if is_valid(dataset, text)]
        valid[name], different[name] = len(right) / count, len(set(right)) / max(1, len(right))
    searched = [
        search_model(
            model,
            train[:known],
            codes[:known],
            seed=seed + trial,
            rounds=rounds,
            batch=batch,
            attempts=attempts,
            surrogate=surrogate,
        )
        for trial in range(trials)
    ]
    exact = float(np.mean([a == b for a, b in zip(model.codec.decode(logits), test, strict=True)]))
    return Written(exact, nats, valid, different, searched)


@in_evaluation_mode
def search_model(
    model: SequenceAutoencoder,
    strings: Sequence[str],
    codes: Tensor,
    *,
    seed: int = 0,
    rounds: int = 5,
    batch: int = 50,
    attempts: int = 25,
    candidates: Callable[[int, np.random.Generator], np.ndarray] | None = None,
    surrogate: Callable[[np.ndarray, np.ndarray], Surrogate] | None = None,
) -> Found:
    """Bayesian optimization in the latent space of a model, from strings whose scores are known.

    Args:
        model: measured in evaluation mode, and left in its own.
        strings: with known scores.
        codes: theirs, (N, d).
        seed: of candidates and draws.
        rounds: fits of the surrogate.
        batch: picks a round.
        attempts: draws a pick; the commonest valid string counts.
        candidates: see :func:`teachlib.rae.grammar.search.search`.
        surrogate: by default :class:`teachlib.rae.grammar.search.ExactProcess`.
    """
    dataset, generator = model.recipe.dataset, torch.Generator().manual_seed(seed)
    scores = np.array([score(dataset, text) for text in strings])
    worst = WORST_EXPRESSION if dataset == "expressions" else float(scores.max())

    def decode(picked: np.ndarray) -> list[str | None]:
        z = torch.from_numpy(picked).float()
        return decode_valid(model, z, attempts=attempts, generator=generator)

    return search(
        decode,
        partial(score, dataset, worst=worst),
        codes.numpy(),
        scores,
        rounds=rounds,
        batch=batch,
        candidates=candidates,
        surrogate=surrogate,
        seed=seed,
    )
