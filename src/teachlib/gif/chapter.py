"""The chapter of faces that obey numbers, to everything that chapters share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, OwnData, Run, Shipped
from teachlib.errors import TeachlibError
from teachlib.gif import heads
from teachlib.gif.commands import animate, make_study, prepare, tally
from teachlib.gif.evaluation import Evaluation, evaluate, inferred, obedience
from teachlib.gif.heads import SPLITS, Heads
from teachlib.gif.models import Face, Reinference, build, vector
from teachlib.gif.objectives import FaceObjective, ReinferenceObjective
from teachlib.gif.recipes import REINFERENCE, Recipe, recipe
from teachlib.gif.tables import TABLES, page
from teachlib.training import Objective, Schedule


def _check(split: str) -> str:
    return f"heads {split}: made from seeds; the first is {tuple(heads.load(split, 32, 1).images.shape[1:])}"


class Faces(Chapter[Recipe, Face | Reinference, Heads]):
    """A StyleGAN2 that is told by renderings or vectors what to show, and the network that judges whether it does."""

    key, title = "gif", "the GIF chapter"
    table, dataset = "5.1", "heads"
    extracts = averages = True
    zoo = tuple(Shipped(name, "heads") for name in (REINFERENCE, "gif", "gif-vector-projection"))
    tables, page = TABLES, staticmethod(page)
    data = {"heads": OwnData("synthetic photographs of heads with exact parameters", SPLITS, "this course", _check)}
    commands = {"animate": animate, "prepare": prepare, "study": make_study, "tally": tally}
    recipe = staticmethod(recipe)

    def from_dict(self, values: dict[str, Any]) -> Recipe:
        return Recipe(**values)  # what is none, recipe_of answers

    def load(self, recipe: Recipe, split: str, limit: int | None) -> Heads:
        count = recipe.pictures if split == "train" else None
        return heads.load(split, recipe.size, min(filter(None, (count, limit)), default=None))

    def build(self, recipe: Recipe, training: Heads | None) -> Face | Reinference:
        return build(recipe)

    def parts(self, model: Face | Reinference) -> dict[str, nn.Module]:
        if isinstance(model, Reinference):
            return {"network": model.network, "standard": model.standard}
        return {"generator": model.generator, "discriminator": model.discriminator, "standard": model.standard}

    def objective(self, recipe: Recipe, model: Face | Reinference, training: Heads, seed: int) -> Objective:
        return (
            ReinferenceObjective(model, training) if isinstance(model, Reinference) else FaceObjective(model, training)
        )

    def schedule(self, recipe: Recipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), ema_half_life=recipe.ema_half_life)

    def measure(self, runs: Sequence[Run[Face | Reinference]], samples: int, extractor: str | None) -> Measured:
        """How well what was asked for is read off again; ``extractor`` is a run of the network that reads."""
        size = runs[0].model.recipe.size
        test = heads.load("test", size, min(samples, SPLITS["test"]))
        read = "parameters asked for beside those that a network reads off the pictures again"
        if isinstance(runs[0].model, Reinference):
            return Measured([_own(run.model, test) for run in runs], f"ceiling: {read}, of photographs", len(test))
        judge = self._judge(extractor, size)
        rows = [_found(run, judge, test).row() for run in tqdm(runs, unit="run", desc="measuring", leave=False)]
        return Measured(rows, read, len(test), {"judge": extractor or f"zoo: {REINFERENCE}-heads"})

    def _judge(self, extractor: str | None, size: int) -> Reinference:
        judge = self.from_zoo(REINFERENCE, "heads") if extractor is None else self.open_run(extractor)[0]
        if not isinstance(judge, Reinference) or judge.recipe.size != size:
            raise TeachlibError(
                f"{extractor or 'the zoo'}: no network that reads parameters off pictures of {size} pixels; train one "
                f"(teachlib train {REINFERENCE}) and name its run by --extractor"
            )
        return judge


def _own(model: Face | Reinference, test: Heads) -> dict[str, float]:
    assert isinstance(model, Reinference)
    asked = model.standard(vector(test.parameters))
    return obedience(asked, inferred(model, test[:][0])).row("ceiling ")


def _found(run: Run[Face | Reinference], judge: Reinference, test: Heads) -> Evaluation:
    assert isinstance(run.model, Face)
    return evaluate(run.model, judge, test, seed=run.seed)


CHAPTER = Faces()
