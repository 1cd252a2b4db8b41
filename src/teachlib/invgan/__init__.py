"""InvGAN: GANs with an inference network (thesis chapter 6)."""

from teachlib.invgan.attributes import of_heads
from teachlib.invgan.chapter import CHAPTER
from teachlib.invgan.demos import slant, thickness
from teachlib.invgan.editing import brush, direction, inpainted, mended, merged, mixed
from teachlib.invgan.encoders import Encoder, Plan, train_encoder
from teachlib.invgan.evaluation import evaluate, generate_all, infer_all, midpoints, references
from teachlib.invgan.inversion import best_of, optimized
from teachlib.invgan.losses import code_error, feature_matching, pixel_error, printed_feature_matching
from teachlib.invgan.motion import interpolated
from teachlib.invgan.networks import InvGAN, Mapping, Seen
from teachlib.invgan.objective import MOVES, InvGANObjective
from teachlib.invgan.recipes import RECIPES, Recipe, load, recipe
from teachlib.invgan.semantics import average_precisions, train_classifier
from teachlib.invgan.styles import StyleEncoder, train_style_encoder
from teachlib.invgan.tiling import rebuilt, seams, sharpened, slowed

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
    "StyleEncoder",
    "average_precisions",
    "best_of",
    "brush",
    "code_error",
    "direction",
    "evaluate",
    "feature_matching",
    "from_zoo",
    "generate_all",
    "infer_all",
    "inpainted",
    "interpolated",
    "load",
    "mended",
    "merged",
    "midpoints",
    "mixed",
    "of_heads",
    "open_run",
    "optimized",
    "pixel_error",
    "printed_feature_matching",
    "rebuilt",
    "recipe",
    "references",
    "seams",
    "sharpened",
    "slant",
    "slowed",
    "thickness",
    "train",
    "train_classifier",
    "train_encoder",
    "train_style_encoder",
]
