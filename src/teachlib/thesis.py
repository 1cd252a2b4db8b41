"""The thesis's published tables as data, to set a run's own numbers beside them."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

import pandas as pd

from teachlib.errors import unknown

TABLES: tuple[str, ...] = ("3.1", "A.2", "A.3")
DATASETS: tuple[str, ...] = ("mnist", "cifar-10", "celeba")

DISPLAY_NAMES: dict[str, str] = {
    "vae": "VAE",
    "cv-vae": "CV-VAE",
    "wae": "WAE",
    "2s-vae": "2sVAE",
    "rae-gp": "RAE-GP",
    "rae-l2": "RAE-L2",
    "rae-sn": "RAE-SN",
    "rae": "RAE",
    "ae": "AE",
    "ae-l2": "AE-L2",
    "rae-gp-l2": "RAE-GP-L2",
    "rae-l2-sn": "RAE-L2-SN",
    "rae-sn-gp": "RAE-SN-GP",
    "rae-l2-sn-gp": "RAE-L2-SN-GP",
}
"""Recipe name → the thesis's spelling, in the order of Tables 3.1 and A.3."""


def table(number: str, dataset: str | None = None) -> pd.DataFrame:
    """A table of the thesis, one row a recipe in the thesis's order (Tables 3.1, A.2 and A.3).

    Tables 3.1 and A.3 hold Fréchet Inception Distances (lower is better) of ``reconstruction``, of samples from one
    Gaussian (``normal``) and from ten (``mixture``), and of ``interpolation``; NaN where the thesis prints a dash.
    Table A.2 holds ``normal_precision``, ``normal_recall``, ``mixture_precision`` and ``mixture_recall`` in [0, 1]
    (higher is better), in the order the caption gives; why that order is open to doubt is told under ``pair_order``
    in ``thesis_tables.json``.

    Args:
        number: the table's number in the thesis, one of ``TABLES``.
        dataset: one of ``DATASETS``; all three when left out.

    Returns:
        Columns are the quantities, or pairs (dataset, quantity) without ``dataset``. A fresh copy at every call.

    Raises:
        TeachlibError: no such table or dataset.

    Example:
        >>> float(table("3.1", "mnist").loc["rae-l2", "mixture"])
        8.69
    """
    if number not in TABLES:
        raise unknown("thesis table", number, TABLES)
    if dataset is not None and dataset not in DATASETS:
        raise unknown("dataset of the thesis", dataset, DATASETS)
    if dataset is not None:
        return _of_dataset(number, dataset)
    return pd.concat({name: _of_dataset(number, name) for name in DATASETS}, axis=1, names=["dataset", "quantity"])


def figure_3_3() -> pd.DataFrame:
    """The upper left of Figure 3.3: what a search finds in the latent spaces of four models of strings.

    Returns:
        One row a pair (problem, recipe): share of ``valid`` strings in per cent and mean ``score``, each with the
        spread that the figure prints. Scores of expressions are log(1 + error), lower is better; of molecules log P,
        higher is better.
    """
    rows = {
        ("expressions", "grae"): (100.0, 0.0, 3.22, 0.03),
        ("expressions", "gcvvae"): (99.0, 1.0, 2.85, 0.08),
        ("expressions", "gvae"): (99.0, 1.0, 3.26, 0.20),
        ("expressions", "cvae"): (82.0, 7.0, 4.74, 0.25),
        ("molecules", "grae"): (72.0, 9.0, -5.62, 0.71),
        ("molecules", "gcvvae"): (76.0, 6.0, -6.40, 0.80),
        ("molecules", "gvae"): (28.0, 4.0, -7.89, 1.90),
        ("molecules", "cvae"): (16.0, 4.0, -25.64, 6.35),
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["valid", "valid ±", "score", "score ±"])
    frame.index = pd.MultiIndex.from_tuples(rows, names=["problem", "recipe"])
    return frame


def table_4_1() -> pd.DataFrame:
    """Table 4.1: the Gaussian-mixture VAE on clean test images, in per cent of them.

    Returns:
        One row a pair (dataset, recipe): ``plain_accuracy`` without thresholds; with them ``accuracy``, ``error``
        (accepted, with a wrong label) and ``rejection``, which add to 100.
    """
    rows = {
        ("mnist", "gmm-vae"): (99.67, 97.97, 0.22, 1.81),
        ("svhn", "gmm-vae"): (95.06, 92.80, 4.58, 2.62),
        ("coil-100", "gmm-vae"): (99.89, 98.40, 0.0, 1.60),
        ("mnist", "gmm-vae-semi"): (99.1, 98.17, 0.52, 1.31),
        ("svhn", "gmm-vae-semi"): (86.42, 83.54, 13.64, 2.82),
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["plain_accuracy", "accuracy", "error", "rejection"])
    frame.index = pd.MultiIndex.from_tuples(rows, names=["dataset", "recipe"])
    return frame


def _of_dataset(number: str, dataset: str) -> pd.DataFrame:
    stored = _stored()[number]
    cells = {recipe: row[dataset] for recipe, row in stored["rows"].items()}
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=stored["quantities"], dtype=float)
    return frame.rename_axis(index="recipe", columns="quantity")


@cache
def _stored() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(files("teachlib").joinpath("thesis_tables.json").read_text("utf-8"))["tables"]
    return tables
