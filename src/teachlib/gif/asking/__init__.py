"""Ways to tell a generator what to draw, and whether it hears one condition in another (thesis §§ 5.2, 5.3.4, 7.3)."""

from teachlib.gif.asking.chapter import CHAPTER
from teachlib.gif.asking.evaluation import evaluate
from teachlib.gif.asking.models import Asked
from teachlib.gif.asking.recipes import RECIPES, AskRecipe, recipe
from teachlib.gif.asking.zeros import Zeros, bars, draw, load, read
from teachlib.gif.cross_talk import CrossTalk, cross_talk

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CHAPTER",
    "RECIPES",
    "AskRecipe",
    "Asked",
    "CrossTalk",
    "Zeros",
    "bars",
    "cross_talk",
    "draw",
    "evaluate",
    "from_zoo",
    "load",
    "open_run",
    "read",
    "recipe",
    "train",
]
