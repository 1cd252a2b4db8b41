"""Assembled pictures, to everything that chapters share."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from teachlib.chapter import Chapter, Measured, Option, OwnData, Run, Shipped, label_with, options_in
from teachlib.energy.assemble import finding, grounds, roofs, shapes, standing, wearing, worn
from teachlib.energy.assemble.demos import boxes, graphs
from teachlib.energy.assemble.evaluation import evaluate
from teachlib.energy.assemble.grounds import Grounded
from teachlib.energy.assemble.networks import Assembler
from teachlib.energy.assemble.objective import Assembled, AssembledObjective
from teachlib.energy.assemble.recipes import KINDS, TOLD, AssembleRecipe, recipe
from teachlib.energy.assemble.shapes import Shapes
from teachlib.energy.assemble.tables import TABLES, page
from teachlib.energy.assemble.worn import Worn
from teachlib.live import Graph
from teachlib.training import Objective, Schedule

Pictures = Shapes | Worn | Grounded
LOADERS: dict[str, Callable[[str, int | None], Pictures]] = {
    "shapes": shapes.load,
    "roofs": roofs.load,
    "glasses": worn.load,
    "grounds": grounds.load,
}


def _own(name: str) -> OwnData:
    def check(split: str) -> str:
        return f"{name} {split}: drawn from a seed; {tuple(LOADERS[name](split, 10)[:][0].shape[1:])}"

    return OwnData(KINDS[name].title, KINDS[name].splits, "this course", check)


class Assembling(Chapter[AssembleRecipe, Assembled, Pictures]):
    """The study of pictures that several generators assemble."""

    key, title = "energy.assemble", "the study of assembled pictures"
    table, dataset = "assemble", "shapes"
    averages = True
    options = {
        "hides": Option("the object of which is not told where it is: circle, …, or glasses", TOLD),
        "classes": Option(
            "whether a box comes with the class of what is in it: told, untold, or found (untold, and painters must be "
            "recognizable by what they draw)",
            "told",
        ),
        "from_black": Option("Painters always begin from black; else, with glasses, from real pictures, too.", False),
        "from_real": Option("Painters of glasses learn from real pictures alone, which they complete.", False),
    }
    zoo = (
        Shipped("assemble", "shapes"),
        Shipped("assemble", "glasses", {"from_real": True}),
        Shipped("assemble", "grounds"),
        Shipped("assemble", "roofs", {"hides": "triangle"}),
    )
    tables, page = TABLES, staticmethod(page)
    demos = {"boxes": boxes}
    data = {name: _own(name) for name in KINDS}
    recipe = staticmethod(recipe)

    def from_dict(self, values: dict[str, Any]) -> AssembleRecipe:
        return AssembleRecipe(**values)

    def load(self, recipe: AssembleRecipe, split: str, limit: int | None) -> Pictures:
        return LOADERS[recipe.dataset](split, limit)

    def build(self, recipe: AssembleRecipe, training: Pictures | None) -> Assembled:
        return Assembled(recipe)

    def parts(self, model: Assembled) -> dict[str, nn.Module]:
        parts = {"generator": model.generator, "discriminator": model.discriminator, "guesser": model.guesser}
        return {name: part for name, part in parts.items() if part is not None}

    def graphs(self, model: Assembled) -> dict[str, Graph]:
        """The painters of shapes; of a joint generator, and of glasses, none."""
        return (
            graphs(model.generator)
            if isinstance(model.generator, Assembler) and model.recipe.dataset == "shapes"
            else {}
        )

    def objective(self, recipe: AssembleRecipe, model: Assembled, training: Pictures, seed: int) -> Objective:
        return AssembledObjective(model)

    def schedule(self, recipe: AssembleRecipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), ema_half_life=recipe.ema_half_life)

    def label(self, recipe: AssembleRecipe) -> str:
        return label_with(recipe, self.recipe(recipe.name, recipe.dataset, scale=recipe.scale), self.options, {})

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        return options_in(label, self.options)

    def measure(self, runs: Sequence[Run[Assembled]], samples: int, extractor: str | None) -> Measured:
        """Where objects are drawn, of which class, and whether the one minds the other."""
        test = self.load(runs[0].model.recipe, "test", samples)
        if isinstance(test, Worn):
            rows = [wearing.evaluate(run.model, test, seed=run.seed) for run in runs]
            return Measured(rows, "overlap of boxes, pixels, slopes; see assemble.wearing", len(test))
        if isinstance(test, Grounded):
            rows = [standing.evaluate(run.model, test, seed=run.seed) for run in runs]
            return Measured(rows, "distances, overlap of boxes, shares, pixels; see assemble.standing", len(test))
        if runs[0].model.recipe.untold:
            rows = [finding.evaluate(run.model, test.scenes, seed=run.seed) for run in runs]
            return Measured(rows, "shares, bits, overlap of boxes; see assemble.finding", len(test))
        rows = [evaluate(run.model, test[:][0], test.scenes, seed=run.seed) for run in runs]
        return Measured(rows, "overlap of boxes, shares, slopes; see assemble.measures", len(test))


CHAPTER = Assembling()
