"""AssembleGAN (thesis § 7.5.2): a generator for each object, run in turn on the picture assembled so far."""

from teachlib.energy.assemble import finding, grounds, roofs, standing, wearing, worn
from teachlib.energy.assemble.chapter import CHAPTER
from teachlib.energy.assemble.evaluation import alone, evaluate, laid_over, measured, minds, pairs, pictures_of
from teachlib.energy.assemble.measures import (
    apexes,
    boxes_of,
    classes_of,
    clear,
    dependency,
    distance,
    obedience,
    overlap,
    seen,
)
from teachlib.energy.assemble.networks import Assembler, Joint, Painter, masks
from teachlib.energy.assemble.objective import Assembled, AssembledObjective
from teachlib.energy.assemble.recipes import RECIPES, AssembleRecipe, recipe
from teachlib.energy.assemble.shapes import OBJECTS, Scenes, Shapes, depends, load, scenes

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CHAPTER",
    "OBJECTS",
    "RECIPES",
    "AssembleRecipe",
    "Assembled",
    "AssembledObjective",
    "Assembler",
    "Joint",
    "Painter",
    "Scenes",
    "Shapes",
    "alone",
    "apexes",
    "boxes_of",
    "classes_of",
    "clear",
    "dependency",
    "depends",
    "distance",
    "evaluate",
    "finding",
    "from_zoo",
    "grounds",
    "laid_over",
    "load",
    "masks",
    "measured",
    "minds",
    "obedience",
    "open_run",
    "overlap",
    "pairs",
    "pictures_of",
    "recipe",
    "roofs",
    "scenes",
    "seen",
    "standing",
    "train",
    "wearing",
    "worn",
]
