"""Table 4.1 and attacks: what the thesis prints, what was measured here, and both on one page."""

from typing import Any

import pandas as pd

from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

SHARES = ("plain_accuracy", "accuracy", "error", "rejection")
_DATASETS = ("mnist", "fashion-mnist", "glyphs", "turntable", "coil-20")


def published() -> pd.DataFrame:
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
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(SHARES))
    frame.index = pd.MultiIndex.from_tuples(rows, names=["dataset", "recipe"])
    return frame


def _printed(dataset: str) -> pd.DataFrame | None:
    whole = published()
    mine = whole.index.get_level_values("dataset") == dataset
    return whole[mine].droplevel("dataset") if mine.any() else None


TABLES = {
    "4.1": Table(
        title="Table 4.1 of the thesis, in per cent",
        folder="4.1",
        rows={
            name: name for name in ("gmm-vae", "gmm-vae-semi", "gmm-vae-variable", "cnn", "cnn-adversarial", "magnet")
        },
        columns=SHARES,
        dataset="mnist",
        printed=_printed,
    )
}


def _selective() -> str:
    """Table 4.1 beside ours, in per cent; a row a model and data set."""
    printed = published().T.to_dict()
    rows, lines = [], []
    for dataset in _DATASETS:
        for name, row in read_results("4.1", dataset).items():
            ours = [shown(row["values"][share], factor=100, digits=2).replace(" ", "\u00a0") for share in SHARES]
            if (dataset, name) in printed:
                theirs = [f"{printed[dataset, name][share]:.2f}" for share in SHARES]
                ours = [f"{first}<br>{second}" for first, second in zip(theirs, ours, strict=True)]
            rows.append([f"{dataset}, {name}", *ours])
            lines.append(_origin(name, row))
    return markdown(["model", "no thresholds", *SHARES[1:]], rows) + "\n\n" + "\n".join(lines)


def _attacked() -> str:
    """Error under each attack over ε, in per cent: no table of the thesis has these."""
    rows, lines = [], []
    for dataset in _DATASETS:
        for name, row in read_results("4.3", dataset).items():
            values = row["values"]
            radii = sorted(key.rpartition("_")[2] for key in values if key.startswith("adaptive_error_"))
            for attack in dict.fromkeys(key.split("_error_")[0] for key in values if "_error_" in key):
                cells = [shown(values[f"{attack}_error_{radius}"], factor=100, digits=0) for radius in radii]
                rows.append([f"{dataset}, {name}: {attack}", *cells])
            budget = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in row["budget"].items())
            lines.append(_origin(name, row) + f"; {row['norm']}, {budget}")
    return markdown(["error in per cent at ε =", *radii], rows) + "\n\n" + "\n".join(lines)


def _origin(name: str, row: dict[str, Any]) -> str:
    """One line: what a result rests on."""
    recipe = row["recipe"]
    return (
        f"- **{name}** on {recipe['dataset']}: width {recipe['width']}, {recipe['steps']} steps of "
        f"{recipe['batch_size']}, seeds {row['provenance']['seeds']}, {row['samples']:,} test images; {machine_of(row)}"
    )


def white_box() -> dict[str, dict[str, str]]:
    """Of Eq 4.9 on handwriting, over seeds: exponents and rule → shares in per cent, the error first, and a length."""
    rows = read_results("white-box", "mnist").values()
    ordered = sorted(rows, key=lambda row: (row["recipe"]["rule"] == "chi-square", row["recipe"]["exponent"]))
    return {
        f"a = b = {row['recipe']['exponent']:g}, {row['recipe']['rule']}": {
            name: shown(value, digits=2) if name.startswith("length") else shown(value, factor=100, digits=0)
            for name, value in sorted(row["values"].items(), key=lambda one: one[0] != "error")
        }
        for row in ordered
    }


def _attacked_white_box() -> str:
    rows = white_box()
    some = next(iter(read_results("white-box", "mnist").values()))
    return "\n\n".join(
        (
            f"The white-box attack itself on {some['samples']:,} digits of MNIST, by exponents and by the rule that "
            f"sets the threshold on codes; per cent, over {len(some['provenance']['seeds'])} trainings "
            "(`python benchmarks/white_box.py`):",
            markdown(["", *next(iter(rows.values()))], [[name, *row.values()] for name, row in rows.items()]),
            f"- {machine_of(some)}",
        )
    )


def reclassified() -> dict[str, dict[str, str]]:
    """What the search of § 4.7 makes of all refused digits of MNIST: its steps → per cent of them, over the seeds."""
    values = read_results("reclassification", "mnist")["gmm-vae"]["values"]
    lengths = [name.split(", ")[1] for name in values if name.startswith("gained, ")]
    names = ("right", "gained", "lost", "right and accepted", "wrong and accepted")

    def of(name: str) -> str:
        return shown(values[name], factor=100, digits=0)

    before = {"right before": of("right by the encoder")}
    return {length: before | {name: of(f"{name}, {length}") for name in names} for length in lengths}


def _reclassified() -> str:
    rows = reclassified()
    row = read_results("reclassification", "mnist")["gmm-vae"]
    refused = shown(row["values"]["refused"], digits=0)
    return "\n\n".join(
        (
            f"Of the test digits of MNIST that are refused ({refused} of {row['samples']:,}, over "
            f"{len(row['provenance']['seeds'])} trainings), per cent. The thesis: of 181, 170 are right "
            "before (by its Table 4.1), that is 94 %, and 110 afterwards, 61 % "
            "(`python benchmarks/reclassification.py`).",
            markdown(["search", *next(iter(rows.values()))], [[name, *cells.values()] for name, cells in rows.items()]),
            f"- {machine_of(row)}",
        )
    )


def page() -> str:
    """Table 4.1 and errors under attack, with the provenance of each number."""
    return "\n\n".join(
        (
            "## Table 4.1",
            "Per cent of the test images; with thresholds that refuse 1 % of held-out images each. Where a cell has "
            "two lines, the thesis's is the first. The other rows are not in the thesis.",
            _selective(),
            "## Attacks on classifiers that refuse",
            "Error, that is wrong *and* accepted, under each attack in the L∞ ball. The thesis reports at most 3.89 % "
            "under FGSM, and 0 under MIM and PGD (both at ε = 0.3) and its white-box attack. `adaptive` climbs label "
            "and both thresholds at once and starts from where the others ended. A ± is over trainings, attacked on "
            "the same test images: how much the draw of the images matters is not in it.",
            _attacked(),
            _attacked_white_box(),
            "## Refused digits, labelled by search (§ 4.7)",
            _reclassified(),
        )
    )
