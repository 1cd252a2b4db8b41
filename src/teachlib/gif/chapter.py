"""The chapter of faces that obey numbers, to everything that chapters share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, Option, OwnData, Run, Shipped, label_with, options_in
from teachlib.errors import TeachlibError
from teachlib.gif import faces, fetching, ffhq, heads
from teachlib.gif.commands import animate, make_study, prepare, tally
from teachlib.gif.demos import by_sliders
from teachlib.gif.evaluation import evaluate, fidelity, inferred, obedience, told
from teachlib.gif.models import Face, Reinference, build
from teachlib.gif.objectives import FaceObjective, ReinferenceObjective
from teachlib.gif.parameters import vector
from teachlib.gif.recipes import REINFERENCE, STYLES, TEXTURE_FORMS, Recipe, recipe
from teachlib.gif.tables import TABLES, page
from teachlib.gif.told import Told
from teachlib.training import Objective, Schedule

_FIELDS = {"resolution": "size", "path_length": "path_weight"}  # of a recipe, where options are called otherwise


def _check(split: str) -> str:
    return f"heads {split}: made from seeds; the first is {tuple(heads.load(split, 32, 1).images.shape[1:])}"


def _check_faces(split: str) -> str:
    return f"faces {split}: {len(faces.load(split, 64))} portraits"


def _check_ffhq(split: str) -> str:
    return f"ffhq {split}: the first is {tuple(ffhq.load(split, 64, 1).images.shape[1:])}"


class Faces(Chapter[Recipe, Face | Reinference, Told]):
    """A StyleGAN2 that is told by renderings or vectors what to show, and the network that judges whether it does."""

    key, title = "gif", "the GIF chapter"
    table, dataset = "5.1", "heads"
    extracts = averages = True
    options = {
        "resolution": Option("of the pictures in pixels; 0: the scale's", 0),
        "pictures": Option("of the training set; 0: the scale's", 0),
        "gamma": Option("weight of R1; 0: what goes with the resolution", 0.0),
        "correlation": Option("of looks and light in the training set of heads, in [-1, 1]", 0.0),
        "wrong": Option("share of the pictures that are told another one's parameters", 0.0),
        "styles": Option(f"{', '.join(STYLES[:-1])} or {STYLES[-1]}", STYLES[0]),
        "mixing": Option("probability that a picture has two styles; StyleGAN's is 0.9", 0.0),
        "path_length": Option("weight of the penalty of path lengths; StyleGAN2's is 2", 0.0),
        "augmentation": Option("pictures in which its probability may go from 0 to 1; ADA's are 500000, 0: none", 0),
        "texture_form": Option(f"{TEXTURE_FORMS[0]} (the thesis) or {TEXTURE_FORMS[1]} (the code)", TEXTURE_FORMS[0]),
    }
    zoo = (
        *(Shipped(name, "heads") for name in (REINFERENCE, "gif", "gif-vector-projection")),
        Shipped("gif-no-texture-loss", "faces", {"resolution": 32}),
    )
    tables, page = TABLES, staticmethod(page)
    data = {
        "heads": OwnData("synthetic photographs of heads with exact parameters", heads.SPLITS, "this course", _check),
        "faces": OwnData("portraits with landmarks", faces.SPLITS, "SFHQ (MIT)", _check_faces, fetching.get),
        "ffhq": OwnData("FFHQ with DECA's parameters", ffhq.SPLITS, "their authors, by licence", _check_ffhq),
    }
    commands = {"animate": animate, "prepare": prepare, "study": make_study, "tally": tally}
    demos = {"by-sliders": by_sliders}
    recipe = staticmethod(recipe)

    def from_dict(self, values: dict[str, Any]) -> Recipe:
        return Recipe(**values)  # what is none, recipe_of answers

    def load(self, recipe: Recipe, split: str, limit: int | None) -> Told:
        count = recipe.pictures if split == "train" else None
        count = min(filter(None, (count, limit)), default=None)
        if recipe.dataset == "heads":
            return heads.load(split, recipe.size, count, correlation=recipe.correlation)
        return (faces if recipe.dataset == "faces" else ffhq).load(split, recipe.size, count)

    def build(self, recipe: Recipe, training: Told | None) -> Face | Reinference:
        return build(recipe)

    def parts(self, model: Face | Reinference) -> dict[str, nn.Module]:
        if isinstance(model, Reinference):
            return {"network": model.network, "standard": model.standard}
        styles = {} if model.learned is None else {"styles": model.learned}
        networks = {"generator": model.generator, "discriminator": model.discriminator}
        return {**networks, "standard": model.standard, **styles}

    def objective(self, recipe: Recipe, model: Face | Reinference, training: Told, seed: int) -> Objective:
        if isinstance(model, Face):
            return FaceObjective(model, training)
        assert isinstance(training, heads.Heads)  # recipes refuse other sets
        return ReinferenceObjective(model, training)

    def schedule(self, recipe: Recipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), ema_half_life=recipe.ema_half_life)

    def label(self, recipe: Recipe) -> str:
        """The name, and what is not as scale and data set have it, e.g. ``gif+resolution=64``."""
        usual = self.recipe(recipe.name, recipe.dataset, scale=recipe.scale)
        fitting = self.recipe(recipe.name, recipe.dataset, scale=recipe.scale, resolution=recipe.size)
        return label_with(recipe, replace(fitting, size=usual.size), self.options, _FIELDS)

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        return options_in(label, self.options)

    def measure(self, runs: Sequence[Run[Face | Reinference]], samples: int, extractor: str | None) -> Measured:
        """How well what was asked for is read off again; ``extractor`` is a run of the network that reads.

        Of portraits and FFHQ nothing can be read; how near the pictures come to held-out ones is all that is measured.
        """
        asked = runs[0].model.recipe
        if asked.dataset != "heads":
            others = (faces if asked.dataset == "faces" else ffhq).load("test", asked.size, samples)
            rows = [_near(run, others) for run in runs]
            return Measured(rows, "distance to held-out photographs, in features of random convolutions", len(others))
        test = heads.load("test", asked.size, min(samples, heads.SPLITS["test"]))
        read = "parameters asked for beside those that a network reads off the pictures again"
        if isinstance(runs[0].model, Reinference):
            return Measured([_own(run.model, test) for run in runs], f"ceiling: {read}, of photographs", len(test))
        judge = self._judge(extractor, asked.size)
        rows = [_found(run, judge, test) for run in tqdm(runs, unit="run", desc="measuring", leave=False)]
        return Measured(rows, read, len(test), {"judge": extractor or f"zoo: {REINFERENCE}-heads"})

    def _judge(self, extractor: str | None, size: int) -> Reinference:
        judge = self.from_zoo(REINFERENCE, "heads") if extractor is None else self.open_run(extractor)[0]
        if not isinstance(judge, Reinference) or judge.recipe.size != size:
            raise TeachlibError(
                f"{extractor or 'the zoo'}: no network that reads parameters off pictures of {size} pixels; train one "
                f"(teachlib train {REINFERENCE}) and name its run by --extractor"
            )
        return judge


def _own(model: Face | Reinference, test: heads.Heads) -> dict[str, float]:
    assert isinstance(model, Reinference)
    asked = model.standard(vector(test.parameters))
    return obedience(asked, inferred(model, test[:][0])).row("ceiling ")


def _found(run: Run[Face | Reinference], judge: Reinference, test: heads.Heads) -> dict[str, float]:
    assert isinstance(run.model, Face)
    return evaluate(run.model, judge, test, seed=run.seed).row()


def _near(run: Run[Face | Reinference], test: Told) -> dict[str, float]:
    assert isinstance(run.model, Face)
    return vars(fidelity(test[:][0], told(run.model, test, seed=run.seed)))


CHAPTER = Faces()
