"""What the thesis prints of InvGAN (Table 6.1), and what was measured of our models."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from teachlib.invgan.recipes import OWN, RECIPES
from teachlib.rae.tables import JPEG_COPIES
from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

COLUMNS = ("random", "random rebuilt", "test rebuilt", "midpoint", "error", "seconds an image")
_PRINTED = {
    # FID of 500 and of 50,000 samples to the training set, mean absolute error on a scale of -1 … 1, seconds an image.
    "DCGAN, MNIST": ("17.44 / 6.10", "16.76 / 4.25", "17.77 / 4.70", "26.04 / 11.44", "0.070", "3.3e-5"),
    "StyleGAN, CelebA": ("26.63 / 4.81", "24.35 / 3.51", "24.37 / 4.14", "32.37 / 15.60", "0.150", "1.0e-3"),
    "StyleGAN, FFHQ": ("49.14 / 12.12", "44.42 / 8.85", "41.14 / 7.15", "49.52 / 14.36", "0.255", "2.0e-3"),
}
# The same columns of inversions of a generator that was there before, FFHQ; TsRecFID, IntTsFID where they are printed.
_RIVALS = {
    "Xu et al., 2021": ("49.65 / 14.59", "56.71 / 23.93", "– / 13.73", "68.45 / 38.01", "0.129", "0.045"),
    "encoder (Zhu et al., 2020)": ("46.82 / 14.38", "–", "88.48 / –", "–", "0.460", "–"),
    "squared error, optimized": ("46.82 / 14.38", "–", "58.04 / –", "–", "0.106", "–"),
    "in-domain (Zhu et al., 2020)": ("46.82 / 14.38", "52.02 / –", "42.64 / –", "71.83 / –", "0.115", "99.76"),
    **{
        f"ReStyle, {passes} (Table C.1)": ("40.33 / 4.71", rebuilt, "–", "–", "–", "–")
        for passes, rebuilt in {
            "1 pass": "57.63 / 29.56",
            "2 passes": "53.09 / 22.88",
            "3 passes": "51.68 / 20.80",
            "4 passes": "51.49 / 19.93",
        }.items()
    },
}
_WAYS = ("error", "feature distance", "test rebuilt", "random rebuilt", "milliseconds an image", "seconds of training")
_ATTRIBUTES = {
    # Tested on original, tiled, full and an iterative encoder's (Appendix C), of classifiers trained on the key.
    "original": ("0.81 ± 0.15", "0.79 ± 0.16", "0.81 ± 0.15", "–"),
    "tiled": ("0.77 ± 0.16", "0.80 ± 0.15", "0.78 ± 0.16", "–"),
    "full": ("0.79 ± 0.15", "0.78 ± 0.16", "0.81 ± 0.14", "–"),
    "iterative": ("0.78 ± 0.17", "–", "–", "0.80 ± 0.15"),
}
VIEWS = tuple(_ATTRIBUTES)
DATASETS = ("mnist", "fashion-mnist", "glyphs", "heads", "faces", "patches")
# Columns by what stands for the thesis's; then what makes codes smooth (§ 6.3), and what is the same by another clock.
_SMOOTH = ("error", "random", "uneven steps", "path length")
_READ = ": share of the turn that is read"
# Heads rebuilt and turned: way → column → the value's name in the measured row, where there is one.
INVERSE = {
    way: {"rebuilt": rebuilt, "turned": turned, "turn that is read": turned and turned + _READ}
    for way, rebuilt, turned in (
        ("GIF, style inferred", "style inferred", "turned, GIF, style inferred"),
        ("GIF, mean style", "mean style", "turned, GIF, mean style"),
        ("GIF, parameters read off", "style inferred, parameters read off", ""),
        ("InvGAN, direction of yaw", "InvGAN", "turned, InvGAN, direction of yaw"),
        ("photograph, not turned", "", "turned, photograph, not turned"),
    )
}
# What a classifier learns from that a correlation would mislead, by the name of the measured row.
DEBIASED = {
    "plain": "as they are",
    "evened": "groups alike",
    "rebuilt": "with rebuilt",
    "components": "edited by components",
    "codes": "edited by codes",
    "limit": "limit",
}
MISLED = ("turned to the left", "open mouth")
FAIRNESS = ("worst group", "mean of groups", "light turned over", "target kept")
_TO_TEST = "random to test"
_BUDGET_COLUMNS = (*COLUMNS[:-1], _TO_TEST)
# Folder of rows → their heading, and what they are: trained as long as invgan-direct, and with as many weights.
_BUDGETS = {
    "seconds/6.1": (
        "At equal time",
        "The same models at equal *time*: steps such that each trains as long as 4,000 of `invgan-direct` (by "
        "milliseconds a step that were measured in turn; `python -m benchmarks invgan`). *Random to test*: the "
        "distance of samples to the test pictures instead of the training set.",
    ),
    "parameters/6.1": (
        "At equal time and weights",
        "And with as many *weights*, too: the rivals' networks are so narrow that they exceed InvGAN's 157,714 by a "
        "twentieth at most (the autoencoder has as many as it is).",
    ),
}


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
        "rebuilt ones rest on fewer. *Random to test*, where it was measured: the distance of samples to the test "
        "pictures instead of the training set.",
        markdown(["model", *COLUMNS], printed),
    ]
    for dataset in DATASETS:
        if measured := read_results("6.1", dataset):
            parts += [f"Measured, {dataset}, {next(iter(measured.values()))['metric']}:", _measured(measured)]
    for section in (_untrained, _smooth, _by_budget, _ways_back, _attributes, _fairness, _left_out, _inverse):
        parts += section()
    return "\n\n".join(parts)


def _untrained() -> list[str]:
    """CIFAR-10's JPEG copies, of which no classifier ships: features of random convolutions."""
    if not (measured := read_results("6.1-untrained", JPEG_COPIES)):
        return []
    rows = [row["values"] for row in measured.values()]
    linear, nearest = (rows[0][f"error of {name}"]["mean"] for name in ("PCA", "nearest"))
    better = sum(row["error"]["mean"] < linear for row in rows)
    return [
        f"Measured, CIFAR-10 (JPEG copies), {next(iter(measured.values()))['metric']}; one seed. Principal components, "
        f"as many as a code has numbers, err by {linear:.3f} on the same pictures, and the nearest training picture by "
        f"{nearest:.3f}: {better or 'none'} of these {len(rows)} models err by less than components do.",
        _measured(measured),
    ]


def _smooth() -> list[str]:
    """Evenness asked for in features, in pixels, and not at all."""
    measured = read_results("6.1", "mnist")
    labels = {
        "invgan-direct": "none",
        "invgan-direct+smoothness=1.0": "in features",
        "invgan-direct+paths=1.0": "pixels",
    }
    rows = [
        [how, *(shown(measured[label]["values"][column], digits=3) for column in _SMOOTH)]
        for label, how in labels.items()
        if label in measured
    ]
    return [
        "Even steps of codes (§ 6.3), MNIST: `invgan-direct` with the unevenness of steps penalized in the "
        "discriminator's features (`--smoothness 1`), that of StyleGAN2's path lengths in pixels (`--paths 1`), or "
        "nothing. A path length of 2 is that of a linear generator.",
        markdown(["penalty", *_SMOOTH], rows),
    ]


def _by_budget() -> list[str]:
    """Rows at equal time instead of equal steps, and with as many weights; samples are set beside the test set, too."""
    parts = []
    for folder, (heading, what) in _BUDGETS.items():
        parts.append(what)
        for dataset in DATASETS:
            if measured := read_results(folder, dataset):
                direct = read_results("6.1", dataset)["invgan-direct"]
                rows = [_budget(label, row) for label, row in {**measured, "invgan-direct": direct}.items()]
                parts += [f"{heading}, {dataset}:", markdown(["model", "width", "steps", *_BUDGET_COLUMNS], rows)]
    return parts


def _budget(label: str, row: dict[str, Any]) -> list[str]:
    recipe = row["recipe"]
    cells = [_cell(row["values"], column) for column in _BUDGET_COLUMNS]
    return [label, str(recipe["width"]), str(recipe["steps"]), *cells]


def _ways_back() -> list[str]:
    """Other inversions, printed, and measured on generators of the zoo."""
    parts = [
        "## Ways back on one generator (Tables 6.1 and C.1)",
        "Printed, FFHQ; errors of optimization and of in-domain inversion are roots of squared ones:",
        markdown(["inversion", *COLUMNS], [[name, *cells] for name, cells in _RIVALS.items()]),
    ]
    for dataset in DATASETS:
        if measured := read_results("inversions", dataset):
            row = next(iter(measured.values()))
            rows = [
                [name, *(shown(each["values"][what], digits=3) for what in _WAYS)]
                for name, each in ((each["recipe"]["name"], each) for each in measured.values())
            ]
            parts += [
                f"Measured on the zoo's `{row['recipe']['model']}` of {dataset}, {row['samples']} test pictures, "
                f"{row['metric']}, to the training set; searches of {row['recipe']['searched']} steps "
                "(`python benchmarks/inversions.py`):",
                markdown(["way", *_WAYS], rows),
                f"- {machine_of(row)}",
            ]
    return parts


def _left_out() -> list[str]:
    """What is noticed of a class that a generator has never seen."""
    if not (measured := read_results("left-out", "mnist")):
        return []
    columns = list(measured["whole"]["values"])
    rows = [[column, *(shown(measured[name]["values"][column], digits=3) for name in measured)] for column in columns]
    return [
        "## A class left out (§ 7.2.2)",
        "`invgan-direct` on MNIST, with and without the eights; errors on ±1 (`python -m benchmarks.left_out`).",
        markdown(["", *measured], rows),
        f"- {machine_of(next(iter(measured.values())))}",
    ]


def _inverse() -> list[str]:
    """Styles of a GIF inferred: rebuilt and turned."""
    if not (measured := read_results("gif-inverse", "heads")):
        return []
    values = measured["gif"]["values"]
    rows = [
        [way, *(shown(values[name], digits=3) if name else "–" for name in names.values())]
        for way, names in INVERSE.items()
    ]
    return [
        "## The inverse of GIF",
        "Held-out heads of 32 pixels, rebuilt and turned by 0.35 radians, against the true photographs; errors on ±1, "
        "and how much of the turn a judge reads (`python -m benchmarks.gif_inverse`).",
        markdown(["", *next(iter(INVERSE.values()))], rows),
        f"- {machine_of(measured['gif'])}",
    ]


def debiased() -> dict[tuple[str, str], dict[str, str]]:
    """Of each target and way to learn it where the light misleads: what was measured, by column."""
    measured = read_results("fairness", "heads")
    return {
        (target, said): {
            column: shown(values[column], digits=2) if column in values else "–"
            for values in [measured[f"{way}+{target.replace(' ', '-')}"]["values"]]
            for column in FAIRNESS
        }
        for target in MISLED
        for way, said in DEBIASED.items()
    }


def _fairness() -> list[str]:
    """A classifier that the light misleads, and pictures edited so that it does not."""
    if not (measured := read_results("fairness", "heads")):
        return []
    rows = [[target, said, *cells.values()] for (target, said), cells in debiased().items()]
    return [
        "## A classifier that the light misleads (§ 6.4.1)",
        "Accuracy in four groups of held-out heads, where 90 of 100 training heads with the target are lit from one "
        "side, and 90 of 100 without it from the other. Of added pictures: the share that a judge sees lit from the "
        "other side, and the share of which the limit's classifier still says what is true of the head; the limit "
        "learns from as many heads without the correlation. Three seeds (`python benchmarks/fairness.py`).",
        markdown(["target", "learned from", *FAIRNESS], rows),
        f"- {machine_of(next(iter(measured.values())))}",
    ]


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
    to_test = any(_TO_TEST in row["values"] for row in measured.values())
    columns = (*COLUMNS, *[_TO_TEST] * to_test)
    rows = [
        [TABLES["6.1"].rows.get(label, label), *(_cell(row["values"], column) for column in columns)]
        for label, row in measured.items()
    ]
    origins = "\n".join(f"- **{name}**: {machine_of(row)}" for name, row in measured.items())
    return f"{markdown(['model', *columns], rows)}\n\n{origins}"
