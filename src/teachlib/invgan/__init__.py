"""InvGAN: GANs with an inference network (thesis chapter 6)."""

from teachlib.invgan.chapter import CHAPTER
from teachlib.invgan.encoders import Encoder, Plan, train_encoder
from teachlib.invgan.evaluation import evaluate, generate_all, infer_all, midpoints, references
from teachlib.invgan.inversion import best_of, optimized
from teachlib.invgan.losses import code_error, feature_matching, pixel_error, printed_feature_matching
from teachlib.invgan.networks import InvGAN, Mapping, Seen
from teachlib.invgan.objective import MOVES, InvGANObjective
from teachlib.invgan.recipes import RECIPES, Recipe, load, recipe

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CHAPTER",
    "MOVES",
    "RECIPES",
    "Encoder",
    "InvGAN",
    "InvGANObjective",
    "Mapping",
    "Plan",
    "Recipe",
    "Seen",
    "best_of",
    "code_error",
    "evaluate",
    "feature_matching",
    "from_zoo",
    "generate_all",
    "infer_all",
    "load",
    "midpoints",
    "open_run",
    "optimized",
    "pixel_error",
    "printed_feature_matching",
    "recipe",
    "references",
    "train",
    "train_encoder",
]
