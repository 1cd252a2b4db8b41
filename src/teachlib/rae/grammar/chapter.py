"""Structured objects, to everything that chapters share."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, Option, OwnData, Run, Shipped
from teachlib.rae.grammar.evaluation import evaluate
from teachlib.rae.grammar.models import SequenceAutoencoder, SequenceObjective
from teachlib.rae.grammar.recipes import SequenceRecipe, from_dict, recipe
from teachlib.rae.grammar.sparse import SparseProcess
from teachlib.rae.grammar.strings import LANGUAGES, StringData, language, load
from teachlib.rae.grammar.tables import TABLES, page
from teachlib.training import Objective

_STRINGS = 1_000  # at most, that are given back, and drawn from each prior
_KNOWN = 500  # training strings that a search starts from
_KNOWN_AT_PAPER_SCALE = 5_000


def _check(name: str, split: str) -> str:
    return f"{name} {split}: {len(load(name, split))} strings"


class Strings(Chapter[SequenceRecipe, SequenceAutoencoder, StringData]):
    """Autoencoders of expressions and molecules."""

    key, title = "rae.grammar", "structured objects"
    table, dataset = "3.3", "expressions"
    options = {"variant": Option("thesis, or released: as the published code of GVAE and CVAE has it.", "thesis")}
    zoo = tuple(
        Shipped(name, "expressions", {"variant": variant})
        for name, variant in (("grae", "thesis"), ("gcvvae", "thesis"), ("gvae", "released"), ("cvae", "released"))
    )
    tables, page = TABLES, staticmethod(page)
    data = {
        name: OwnData(known.title, known.splits, known.source, partial(_check, name))
        for name, known in LANGUAGES.items()
    }
    recipe, from_dict = staticmethod(recipe), staticmethod(from_dict)

    def load(self, recipe: SequenceRecipe, split: str, limit: int | None) -> StringData:
        most = recipe.samples if split == "train" else max(100, recipe.samples // 10)
        strings = load(recipe.dataset, split, limit=most if limit is None else min(limit, most))
        return StringData(language(recipe.dataset).codec(rules=recipe.rules).encode(strings))

    def build(self, recipe: SequenceRecipe, training: StringData | None) -> SequenceAutoencoder:
        return SequenceAutoencoder(recipe)

    def parts(self, model: SequenceAutoencoder) -> dict[str, nn.Module]:
        return {"encoder": model.encoder, "decoder": model.decoder}

    def objective(
        self, recipe: SequenceRecipe, model: SequenceAutoencoder, training: StringData, seed: int
    ) -> Objective:
        return SequenceObjective(model)

    def measure(self, runs: Sequence[Run[SequenceAutoencoder]], samples: int, extractor: str | None) -> Measured:
        """What models of strings give back, write, and are found to hold by a search."""
        rows, count = [], min(samples, _STRINGS)
        trials = 5 if samples >= _KNOWN else 1
        large = runs[0].model.recipe.scale == "paper"  # an exact process takes the cube of the strings that it knows
        known, surrogate = (_KNOWN_AT_PAPER_SCALE, SparseProcess) if large else (_KNOWN, None)
        for run in tqdm(runs, unit="run", desc="measuring", leave=False):
            options: dict[str, Any] = {"known": min(samples, known), "trials": trials, "surrogate": surrogate}
            written = evaluate(run.model, seed=run.seed, count=count, **options)
            rows.append(written.row())
            print(*(f"{value:7.3f}  {text}" for text, value in written.best), sep="\n")
        names = set.intersection(*(set(row) for row in rows))  # a search that found little has no third best
        return Measured(
            [{name: row[name] for name in row if name in names} for row in rows],
            "shares of strings; mean and spread over five searches, lower scores are better",
            count,
            {"language": language(runs[0].model.recipe.dataset).source},
        )


CHAPTER = Strings()
