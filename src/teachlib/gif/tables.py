"""What the thesis prints of GIF, and what was measured of our models (§ 5.3.5)."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from teachlib.gif.recipes import RENDERED, VECTORS
from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

_GROUPS = ("yaw", "pitch", "jaw", "shape", "expression", "appearance", "light")
_FIDELITY = ("frechet", "coverage")


Rows = Mapping[str, Mapping[str, Any]]


def published() -> pd.DataFrame:
    """Table 5.1: how often people preferred GIF to each of its variants, in per cent, and each one's FID.

    Half of a hundred is chance: but for the vector model, preferences are hardly above it. The models were not
    demonstrably trained equally long.
    """
    rows = {
        "gif": (float("nan"), 8.94),
        "gif-vector": (89.4, 10.34),
        "gif-no-texture-loss": (51.1, 11.71),
        "gif-normals": (55.8, 9.89),
        "gif-texture": (51.7, 11.28),
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=["GIF preferred", "FID"])


# GIF and the best vector model at 64², all that were trained on heads whose looks and light go together, and those of
# whose training pictures half were told wrong, or left out.
LARGER = {f"{name}+resolution=64": f"{name}, 64²" for name in ("gif", "gif-vector-projection")}
TOGETHER = {
    f"{name}+correlation={rho}": f"{name}, ρ = {rho}"
    for name in ("gif", "gif-vector-projection", "gif-vector-concatenation")
    for rho in (0.5, 0.9)
}
WRONG = {
    "gif+wrong=0.5": "gif, half told wrong",
    "gif+pictures=6000": "gif, half left out",
    "gif-vector-projection+wrong=0.5": "gif-vector-projection, half told wrong",
}
TABLES = {
    "5.1": Table(
        title="Obedience of GIF and its variants",
        folder="5.1",
        rows={name: name for name in (*RENDERED, *VECTORS)} | LARGER | TOGETHER | WRONG,
        columns=(
            "yaw correlation",
            "pitch correlation",
            "jaw correlation",
            "expression correlation",
            "light correlation",
        ),
        dataset="heads",
    )
}


def page() -> str:
    """Table 5.1 as printed, and how well our models obey, which the thesis measures otherwise."""
    printed = [
        [name, "–" if preferred != preferred else f"{preferred:.1f} %", f"{fid:.2f}"]
        for name, (preferred, fid) in zip(published().index, published().itertuples(index=False), strict=True)
    ]
    parts = [
        "## Table 5.1: GIF and its variants",
        "Printed, on FFHQ: how often people preferred GIF to the variant, where 50 % is chance, and the Fréchet "
        "distance. Neither people nor Inception's features can be had here.",
        markdown(["model", "GIF preferred", "FID"], printed),
    ]
    measured = read_results("5.1", "heads")
    if measured:
        usual = {name: row for name, row in measured.items() if name in RENDERED or name in VECTORS}
        tables = (
            (_MEASURED, _obedience(usual)),
            (_LARGER, _obedience(_some(measured, LARGER))),
            (_WRONG, _obedience(_some(measured, WRONG))),
            (_TALK, _talk(measured)),
        )
        parts += [text for words, table in tables if table for text in (words, table)]
        parts.append(_origins(measured))
    return "\n\n".join(parts)


def _some(measured: Rows, titles: Mapping[str, str]) -> Rows:
    return {title: measured[label] for label, title in titles.items() if label in measured}


_MEASURED = (
    "Measured, on synthetic heads: the correlation of parameters that were asked for with those that a network reads "
    "off the pictures again. The first row is that network on photographs, a reference for all others. Beside "
    "it the Fréchet distance, relative to the photographs' variance, and coverage, in features of three random "
    "convolutions."
)


_LARGER = "The same at 64 pixels, where another network reads:"
_WRONG = "And where half of the training pictures are told another one's numbers, or are left out:"
_TALK = (
    "Cross-talk on heads: how far looks (yaw) and the side of the light go when each is asked for independently, in "
    "deviations. Where ρ is not 0, heads of the training set look to the side that their light comes from; a model "
    "that is deaf to the light and guesses it from the looks would have ρ in the last column. The first row is what is "
    "read off photographs."
)
_SLOPES = ("looks obeyed", "light obeyed", "light heard in looks", "looks heard in light")


def _talk(measured: Rows) -> str:
    """Slopes of found on asked factors, with and without correlation in the training set."""
    alone = {label.partition("+")[0]: f"{label.partition('+')[0]}, ρ = 0" for label in TOGETHER}
    labels = dict(sorted((alone | TOGETHER).items(), key=lambda entry: list(alone).index(entry[0].partition("+")[0])))
    kept = {title: measured[label]["values"] for label, title in labels.items() if label in measured}
    kept = {title: values for title, values in kept.items() if _SLOPES[0] in values}
    if not kept:
        return ""
    first = next(iter(kept.values()))
    rows = [["photographs", *(shown(first[f"ceiling {slope}"], digits=2) for slope in _SLOPES)]]
    rows += [[title, *(shown(values[slope], digits=2) for slope in _SLOPES)] for title, values in kept.items()]
    return markdown(["model", *_SLOPES], rows)


def _obedience(measured: Rows) -> str:
    """Correlations by group, models as rows; nothing where nothing was measured."""
    if not measured:
        return ""
    first = next(row["values"] for row in measured.values())
    ceiling = [shown(first[f"ceiling {group} correlation"], digits=2) for group in _GROUPS]
    rows = [["photographs", *ceiling, *("–" for _ in _FIDELITY)]]
    for name, row in measured.items():
        values = row["values"]
        if f"{_GROUPS[0]} correlation" in values:
            obeyed = [shown(values[f"{group} correlation"], digits=2) for group in _GROUPS]
            rows.append([name, *obeyed, *(shown(values[key], digits=2) for key in _FIDELITY)])
    return markdown(["model", *_GROUPS, "Fréchet", "coverage"], rows)


def _origins(measured: Rows) -> str:
    return "\n".join(
        f"- **{name}**: {row['recipe']['size']}×{row['recipe']['size']} pixels, {row['recipe']['pictures']:,} "
        f"pictures, width {row['recipe']['width']}, {row['recipe']['steps']:,} steps, seeds "
        f"{row['provenance']['seeds']}; {machine_of(row)}"
        for name, row in measured.items()
    )
