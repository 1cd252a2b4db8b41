"""Structured objects: autoencoders of expressions and molecules, by their grammars (thesis §3.8.2)."""

from teachlib.rae.grammar.cfg import EXPRESSIONS, SMILES, Grammar, Production
from teachlib.rae.grammar.chapter import CHAPTER
from teachlib.rae.grammar.codecs import CharacterCodec, Codec, RuleCodec, majority
from teachlib.rae.grammar.evaluation import (
    PRIORS,
    Written,
    decode_valid,
    evaluate,
    is_valid,
    score,
    search_model,
)
from teachlib.rae.grammar.models import (
    SequenceAutoencoder,
    SequenceDecoder,
    SequenceEncoder,
    SequenceObjective,
    released_sequence_loss,
    sequence_loss,
)
from teachlib.rae.grammar.recipes import RECIPES, SequenceRecipe, recipe
from teachlib.rae.grammar.search import ExactProcess, Field, Found, Surrogate, expected_improvement, propose, search
from teachlib.rae.grammar.sparse import SparseProcess
from teachlib.rae.grammar.strings import LANGUAGES, Derivations, Language, StringData, language, load
from teachlib.rae.grammar.tables import published
from teachlib.rae.grammar.targets import (
    evaluate_expression,
    expression_score,
    is_molecule,
    log_p,
    penalized_log_p,
)

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CHAPTER",
    "EXPRESSIONS",
    "LANGUAGES",
    "PRIORS",
    "RECIPES",
    "SMILES",
    "CharacterCodec",
    "Codec",
    "Derivations",
    "ExactProcess",
    "Field",
    "Found",
    "Grammar",
    "Language",
    "Production",
    "RuleCodec",
    "SequenceAutoencoder",
    "SequenceDecoder",
    "SequenceEncoder",
    "SequenceObjective",
    "SequenceRecipe",
    "SparseProcess",
    "StringData",
    "Surrogate",
    "Written",
    "decode_valid",
    "evaluate",
    "evaluate_expression",
    "expected_improvement",
    "expression_score",
    "from_zoo",
    "is_molecule",
    "is_valid",
    "language",
    "load",
    "log_p",
    "majority",
    "open_run",
    "penalized_log_p",
    "propose",
    "published",
    "recipe",
    "released_sequence_loss",
    "score",
    "search",
    "search_model",
    "sequence_loss",
    "train",
]
