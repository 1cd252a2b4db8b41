"""What the thesis prints of InvGAN (Table 6.1), and what was measured of our models."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from teachlib.invgan.recipes import OWN, RECIPES
from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

COLUMNS = ("random", "random rebuilt", "test rebuilt", "midpoint", "error", "seconds an image")
_PRINTED = {
    # FID of 500 and of 50,000 samples to the training set, mean absolute error on a scale of -1 … 1, seconds an image.
    "DCGAN, MNIST": ("17.44 / 6.10", "16.76 / 4.25", "17.77 / 4.70", "26.04 / 11.44", "0.070", "3.3e-5"),
    "StyleGAN, CelebA": ("26.63 / 4.81", "24.35 / 3.51", "24.37 / 4.14", "32.37 / 15.60", "0.150", "1.0e-3"),
    "StyleGAN, FFHQ": ("49.14 / 12.12", "44.42 / 8.85", "41.14 / 7.15", "49.52 / 14.36", "0.255", "2.0e-3"),
}
_ATTRIBUTES = {
    # Tested on original, tiled and full, of classifiers trained on the key.
    "original": ("0.81 ± 0.15", "0.79 ± 0.16", "0.81 ± 0.15"),
    "tiled": ("0.77 ± 0.16", "0.80 ± 0.15", "0.78 ± 0.16"),
    "full": ("0.79 ± 0.15", "0.78 ± 0.16", "0.81 ± 0.14"),
}
VIEWS = tuple(_ATTRIBUTES)
DATASETS = ("mnist", "glyphs", "heads", "faces", "patches")


def published(dataset: str) -> pd.DataFrame | None:
    """Table 6.1's own models, FID of 50,000 samples; of another network's features, so no number here is like them."""
    if dataset != "mnist":
        return None
    numbers = [cell.split(" / ")[-1] for cell in _PRINTED["DCGAN, MNIST"]]
    return pd.DataFrame([[float(number) for number in numbers]], index=["invgan"], columns=list(COLUMNS))


TABLES = {
    "6.1": Table(
        title="Table 6.1 of the thesis",
        folder="6.1",
        rows={
            f"{name}{own}": f"{name}{title}"
            for own, title in (("", ""), ("+backbone=stylegan2", ", StyleGAN2"), ("+backbone=biggan", ", BigGAN"))
            for name in (RECIPES if not own else OWN)
        },
        columns=COLUMNS,
        dataset="mnist",
        printed=published,
    )
}


def page() -> str:
    """Table 6.1 as printed, and the same columns of our models."""
    printed = [[name, *cells] for name, cells in _PRINTED.items()]
    parts = [
        "## Table 6.1: InvGAN",
        "Printed: FID of 500 / 50,000 samples to the training set, mean absolute error of rebuilt test images on a "
        "scale of -1 … 1, seconds an image on a V100. MNIST has 10,000 test images, so that the distances of 50,000 "
        "rebuilt ones rest on fewer.",
        markdown(["model", *COLUMNS], printed),
    ]
    for dataset in DATASETS:
        if measured := read_results("6.1", dataset):
            parts += [f"Measured, {dataset}, {next(iter(measured.values()))['metric']}:", _measured(measured)]
    return "\n\n".join(parts + _attributes())


def _attributes() -> list[str]:
    """Table 6.2, printed and measured."""
    head = ["trained on", *(f"tested on {view}" for view in VIEWS)]
    parts = [
        "## Table 6.2: attributes of reconstructions",
        "Printed: average precision of a ResNet50, mean over twenty attributes of CelebA, ± their deviation.",
        markdown(head, [[name, *cells] for name, cells in _ATTRIBUTES.items()]),
    ]
    if measured := read_results("6.2", "heads"):
        rows = [
            [name, *(shown(measured[name]["values"][view], digits=3) for view in VIEWS)]
            for name in (*VIEWS, "shuffled", "prevalence")
        ]
        parts += [
            "Measured on twenty attributes of heads of 32 pixels, by a small network, ± over three seeds of it; with "
            "shuffled labels, and what guesses get (`python benchmarks/semantics.py`):",
            markdown(head, rows),
            f"- {machine_of(measured['original'])}",
        ]
    return parts


def _cell(values: Mapping[str, Any], column: str) -> str:
    return shown(values[column], digits=4) if column in values else "–"  # of a GAN that infers nothing


def _measured(measured: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [TABLES["6.1"].rows.get(label, label), *(_cell(row["values"], column) for column in COLUMNS)]
        for label, row in measured.items()
    ]
    origins = "\n".join(f"- **{name}**: {machine_of(row)}" for name, row in measured.items())
    return f"{markdown(['model', *COLUMNS], rows)}\n\n{origins}"
