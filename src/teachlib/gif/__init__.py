"""GIF: a StyleGAN2 that obeys renderings of a three-dimensional head (thesis chapter 5)."""

from teachlib.gif import (
    animation,
    appearance,
    camera,
    cross_talk,
    evaluation,
    faces,
    ffhq,
    flame,
    head,
    heads,
    light,
    mesh,
    obj,
    parameters,
    portraits,
    rotations,
    study,
    textures,
    wardrobe,
)
from teachlib.gif.chapter import CHAPTER
from teachlib.gif.evaluation import evaluate, group_drift, obedience
from teachlib.gif.head import Head, expression_of
from teachlib.gif.models import Face, Reinference
from teachlib.gif.parameters import Parameters
from teachlib.gif.photographs import photograph
from teachlib.gif.rasterizer import interpolate, rasterize
from teachlib.gif.recipes import RECIPES, Recipe, recipe
from teachlib.gif.rendering import condition, render
from teachlib.gif.stylegan2 import Discriminator, Generator, StyleGAN2Config

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CHAPTER",
    "RECIPES",
    "Discriminator",
    "Face",
    "Generator",
    "Head",
    "Parameters",
    "Recipe",
    "Reinference",
    "StyleGAN2Config",
    "animation",
    "appearance",
    "camera",
    "condition",
    "cross_talk",
    "evaluate",
    "evaluation",
    "expression_of",
    "faces",
    "ffhq",
    "flame",
    "from_zoo",
    "group_drift",
    "head",
    "heads",
    "interpolate",
    "light",
    "mesh",
    "obedience",
    "obj",
    "open_run",
    "parameters",
    "photograph",
    "portraits",
    "rasterize",
    "recipe",
    "render",
    "rotations",
    "study",
    "textures",
    "train",
    "wardrobe",
]
