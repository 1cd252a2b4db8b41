"""The chapter of invertible GANs, to everything that chapters share."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import nn
from tqdm import tqdm

from teachlib.chapter import Chapter, Measured, Option, OwnData, Run, Shipped, label_with, options_in
from teachlib.data import ImageData
from teachlib.invgan import corpora, pictures
from teachlib.invgan.commands import edit, invert, tile
from teachlib.invgan.demos import by_hand, graphs
from teachlib.invgan.evaluation import evaluate, real_statistics
from teachlib.invgan.networks import BACKBONES, InvGAN
from teachlib.invgan.objective import InvGANObjective
from teachlib.invgan.recipes import RECIPES, Recipe, load, recipe
from teachlib.invgan.rivals import OBJECTIVES, Encoding
from teachlib.invgan.tables import TABLES, page
from teachlib.live import Graph
from teachlib.metrics import Extractor, untrained
from teachlib.metrics import extractor as find_extractor
from teachlib.training import Objective, Schedule


def _check(split: str) -> str:
    return f"patches {split}: {len(pictures.patches(split))} patches"


def _check_imagenet(split: str) -> str:
    return f"imagenet {split}: {len(corpora.files('imagenet', split))} photographs"


def _check_ucf101(split: str) -> str:
    return f"ucf101 {split}: {len(corpora.files('ucf101', split))} films"


class InvertibleGANs(Chapter[Recipe, InvGAN, ImageData]):
    """GANs that infer the codes of pictures, and what each part of their objective is good for."""

    key, title = "invgan", "the InvGAN chapter"
    table, dataset = "6.1", "mnist"
    extracts = averages = True
    options = {
        "backbone": Option(", ".join(BACKBONES), BACKBONES[0]),
        "reinjects": Option("share of the game's codes that are inferred from the batch before", 0.5),
        "pixels": Option("weight of the error of reconstructions in pixels", 10.0),
        "features": Option("weight of feature matching", 1.0),
        "reinference": Option("weight of the error of codes that are inferred twice", 1.0),
        "discrepancy": Option("weight of the MMD between inferred codes and the prior", 1.0),
        "smoothness": Option("weight of the penalty of uneven steps", 0.0),
        "paths": Option("weight of the penalty of uneven path lengths, in pixels", 0.0),
        "classes": Option("tell the networks (of BigGAN) the class of each image", False),
        "without": Option("class that is left out of the training images; -1: none", -1),
        "resolution": Option("of the networks, 32, 64 or 128 pixels; 0: what fits the data set", 0),
    }
    zoo = (
        *(Shipped(name, "glyphs") for name in RECIPES),
        *(Shipped("invgan-direct", dataset) for dataset in ("mnist", "heads", "patches")),
        Shipped("invgan-direct", "heads", {"backbone": "stylegan2"}, called="invgan-direct-stylegan2"),
    )
    demos = {"by-hand": by_hand}
    tables, page = TABLES, staticmethod(page)
    data = {
        "patches": OwnData("patches of photographs, 32 pixels", pictures.PATCHES, "scikit-image, scikit-learn", _check),
        "imagenet": OwnData(
            "patches of ImageNet, 32 pixels", corpora.PATCHES, "its authors, on request", _check_imagenet
        ),
        "ucf101": OwnData("patches of UCF101's films, 32 pixels", corpora.PATCHES, "its authors", _check_ucf101),
    }
    commands = {"invert": invert, "edit": edit, "tile": tile}
    recipe = staticmethod(recipe)

    def from_dict(self, values: dict[str, Any]) -> Recipe:
        return Recipe(**{**values, "shape": tuple(values["shape"])})

    def load(self, recipe: Recipe, split: str, limit: int | None) -> ImageData:
        return load(recipe, split, limit)

    def build(self, recipe: Recipe, training: ImageData | None) -> InvGAN:
        if recipe.name in OBJECTIVES:
            return Encoding(recipe)
        infers = recipe.codes + recipe.pixels > 0
        return InvGAN(
            recipe.backbone,
            recipe.shape,
            width=recipe.width,
            w_dim=recipe.w_dim,
            infers=infers,
            judges=recipe.game > 0,
            classes=recipe.classes,
        )

    def parts(self, model: InvGAN) -> dict[str, nn.Module]:
        return dict(model.named_children())

    def objective(self, recipe: Recipe, model: InvGAN, training: ImageData, seed: int) -> Objective:
        return OBJECTIVES.get(recipe.name, InvGANObjective)(model, recipe)

    def graphs(self, model: InvGAN) -> dict[str, Graph]:
        """Generator and inference."""
        return graphs(model)

    def schedule(self, recipe: Recipe, seed: int, log_every: int) -> Schedule:
        return replace(super().schedule(recipe, seed, log_every), ema_half_life=recipe.ema_half_life)

    def label(self, recipe: Recipe) -> str:
        """The name, and what is not as usual, e.g. ``invgan+discrepancy=0.0``."""
        return label_with(
            recipe, self.recipe(recipe.name, recipe.dataset, scale=recipe.scale), self.options, {"resolution": "size"}
        )

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        return options_in(label, self.options)

    def _extractor(self, recipe: Recipe, asked: str | None) -> Extractor:
        """What was asked for; of sets that have no classes, features of random convolutions."""
        if recipe.dataset in pictures.SETS and asked in (None, "untrained"):
            return untrained(recipe.shape)
        return find_extractor(asked, recipe.dataset)

    def measure(self, runs: Sequence[Run[InvGAN]], samples: int, extractor: str | None) -> Measured:
        """Table 6.1's columns."""
        recipe = self.recipe_of(runs[0].recipe, "the run")
        chosen = self._extractor(recipe, extractor)
        train, test = self.load(recipe, "train", None), self.load(recipe, "test", None)
        real = real_statistics(train, chosen)
        rows = [
            evaluate(run.model, train, test, chosen, seed=run.seed, count=samples, real=real).row()
            for run in tqdm(runs, unit="run", desc="measuring", leave=False)
        ]
        facts = {"extractor": chosen.name, "data_sha256": {"train": train.sha256, "test": test.sha256}}
        return Measured(rows, f"{chosen.says}, to the training set", min(samples, len(test)), facts)


CHAPTER = InvertibleGANs()
