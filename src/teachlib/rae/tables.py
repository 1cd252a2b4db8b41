"""Tables 3.1, A.2 and A.3: what the thesis prints, what was measured here, and both on one page."""

import json
from functools import cache, partial
from importlib.resources import files
from typing import Any

import pandas as pd

from teachlib.errors import unknown
from teachlib.results import read_results, shown
from teachlib.tables import Table, markdown

PUBLISHED: tuple[str, ...] = ("3.1", "A.2", "A.3")
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

PRINTED_AS = {"mnist": "MNIST", "cifar-10": "CIFAR-10", "celeba": "CelebA"}
JPEG_COPIES = "folder:cifar10-jpeg/cifar-10-jpeg.zip"  # all 60,000 images of CIFAR-10, compressed once more

FID = ("reconstruction", "normal", "mixture", "interpolation")
PRD = ("normal_precision", "normal_recall", "mixture_precision", "mixture_recall")
LABELS = {
    "reconstruction": "rec.",
    "normal": "N",
    "mixture": "mixture",
    "interpolation": "interp.",
    "normal_precision": "N, precision",
    "normal_recall": "N, recall",
    "mixture_precision": "mixture, precision",
    "mixture_recall": "mixture, recall",
}
HOW_TO_READ = "Each cell has the thesis's number, and below it ours; rows with one line were not run."


def published(number: str, dataset: str | None = None) -> pd.DataFrame:
    """A table of the thesis, one row a recipe in the thesis's order (Tables 3.1, A.2 and A.3).

    Tables 3.1 and A.3 hold Fréchet Inception Distances (lower is better) of ``reconstruction``, of samples from one
    Gaussian (``normal``) and from ten (``mixture``), and of ``interpolation``; NaN where the thesis prints a dash.
    Table A.2 holds ``normal_precision``, ``normal_recall``, ``mixture_precision`` and ``mixture_recall`` in [0, 1]
    (higher is better), in the order the caption gives; why that order is open to doubt is told under ``pair_order``
    in ``published.json``.

    Args:
        number: the table's number in the thesis, one of :data:`PUBLISHED`.
        dataset: one of :data:`DATASETS`; all three when left out.

    Returns:
        Columns are the quantities, or pairs (dataset, quantity) without ``dataset``. A fresh copy at every call.

    Raises:
        TeachlibError: no such table or dataset.

    Example:
        >>> float(published("3.1", "mnist").loc["rae-l2", "mixture"])
        8.69
    """
    if number not in PUBLISHED:
        raise unknown("thesis table", number, PUBLISHED)
    if dataset is not None and dataset not in DATASETS:
        raise unknown("dataset of the thesis", dataset, DATASETS)
    if dataset is not None:
        return _of_dataset(number, dataset)
    return pd.concat({name: _of_dataset(number, name) for name in DATASETS}, axis=1, names=["dataset", "quantity"])


def _of_dataset(number: str, dataset: str) -> pd.DataFrame:
    stored = _stored()[number]
    cells = {recipe: row[dataset] for recipe, row in stored["rows"].items()}
    frame = pd.DataFrame.from_dict(cells, orient="index", columns=stored["quantities"], dtype=float)
    return frame.rename_axis(index="recipe", columns="quantity")


@cache
def _stored() -> dict[str, Any]:
    tables: dict[str, Any] = json.loads(files("teachlib.rae").joinpath("published.json").read_text("utf-8"))["tables"]
    return tables


def _printed(number: str, dataset: str) -> pd.DataFrame | None:
    return _of_dataset(number, dataset) if dataset in DATASETS else None


def _table(number: str, columns: tuple[str, ...], kind: str) -> Table:
    order = [name for name in DISPLAY_NAMES if name in _stored()[number]["rows"]]
    return Table(
        title=f"Table {number} of the thesis{kind}",
        folder="3.1",
        rows={name: DISPLAY_NAMES[name] for name in order},
        columns=columns,
        dataset="mnist",
        printed=partial(_printed, number),
    )


TABLES = {"3.1": _table("3.1", FID, " (FID)"), "A.2": _table("A.2", PRD, ""), "A.3": _table("A.3", FID, " (FID)")}


# --------------------------------------------------------------------------------------------------- for the page


def _spread(quantity: str, value: dict[str, Any]) -> str:
    """Mean and standard deviation, distances in thousandths, short enough for a narrow column."""
    text = shown(value, factor=1000, digits=1) if quantity in ("floor", *FID) else shown(value, digits=3)
    return text.replace(" ", "\u00a0")


def _beside(number: str, dataset: str, quantities: tuple[str, ...], measured: dict[str, Any]) -> str:
    """One table of the thesis on a data set, with what was measured below each of its numbers."""
    printed = published(number, dataset)
    rows = []
    for name in printed.index:
        ours = measured.get(name)
        cells = [DISPLAY_NAMES[str(name)]]
        for quantity in quantities:
            value = printed.loc[name, quantity]
            theirs = "–" if value != value else f"{value:.2f}"
            cells.append(f"{theirs}<br>{_spread(quantity, ours['values'][quantity])}" if ours else theirs)
        rows.append(cells)
    return markdown(["model", *(LABELS[q] for q in quantities)], rows)


def _only_here(measured: dict[str, Any], quantities: tuple[str, ...]) -> str:
    rows = [
        [DISPLAY_NAMES[name], *(_spread(q, row["values"][q]) for q in quantities)] for name, row in measured.items()
    ]
    return markdown(["model", *(LABELS.get(q, q.replace("_", " ")) for q in quantities)], rows)


def _provenance(measured: dict[str, Any]) -> str:
    """One line a result: enough to run it again and to know what it rests on."""
    lines = []
    for name, row in measured.items():
        recipe, origin = row["recipe"], row["provenance"]
        seconds = ", ".join(f"{value:.0f}" for value in row["training_seconds"])
        lines.append(
            f"- **{name}** on {recipe['dataset']}: variant {recipe['variant']}, width {recipe['width']}, "
            f"{recipe['steps']} steps of {recipe['batch_size']}, seeds {origin['seeds']}; {row['metric']}; "
            f"extractor {row['extractor']}; {row['samples']:,} images a side; trained in {seconds} s, measured in "
            f"{origin['seconds']:.0f} s with {origin['peak_memory_mib']} MiB on {origin['device']}, "
            f"{origin['cores']} cores, torch {origin['torch']}, {origin['date']}, commit {origin['commit']}; test data "
            f"sha256 {row['data_sha256']['test'][:12]}…"
        )
    return "\n".join(lines)


def _seeds(measured: dict[str, Any], name: str, quantity: str) -> list[float]:
    return measured[name]["values"][quantity]["values"]


def _mixture_claims(measured: dict[str, Any]) -> list[str]:
    lines = []
    for name in measured:
        pairs = zip(_seeds(measured, name, "mixture"), _seeds(measured, name, "normal"), strict=True)
        ratios = [mixture / normal for mixture, normal in pairs]
        held = sum(ratio < 1 for ratio in ratios)
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(
            f"- The mixture lowers the distance of **{name}** in {held} of {len(ratios)} seeds (ratio {listed})."
        )
    return lines


def _claims(measured: dict[str, Any], dataset: str) -> str:
    """The thesis's two claims, seed by seed: held or not, and by how much."""
    lines = _mixture_claims(measured)
    for quantity, words in (("normal", "from its prior"), ("mixture", "with the mixture too")):
        pairs = list(zip(_seeds(measured, "rae-l2", "mixture"), _seeds(measured, "vae", quantity), strict=True))
        held = sum(ours <= theirs for ours, theirs in pairs)
        listed = ", ".join(f"{ours / theirs:.2f}" for ours, theirs in pairs)
        lines.append(
            f"- RAE-L2 with the mixture is at least as good as the VAE {words} in {held} of {len(pairs)} seeds "
            f"(ratio {listed})."
        )
    printed = published("3.1", dataset)
    for quantity, words, note in (
        ("normal", "From the simple density", ""),
        ("interpolation", "At mid-points of interpolations", _round_the_mean(measured)),
    ):
        pairs = list(zip(_seeds(measured, "rae-l2", quantity), _seeds(measured, "vae", quantity), strict=True))
        below = sum(ours < theirs for ours, theirs in pairs)
        theirs = " against ".join(f"{printed[quantity][name]:.2f}" for name in ("rae-l2", "vae"))
        lines.append(
            f"- {words}, RAE-L2 is better than the VAE in {below} of {len(pairs)} seeds; the thesis prints {theirs} "
            f"on {PRINTED_AS[dataset]}.{note}"
        )
    return "\n".join(lines)


def _round_the_mean(measured: dict[str, Any]) -> str:
    """What becomes of mid-points if paths go round the mean of the codes, where that was measured."""
    rows = read_results("centres", measured["rae-l2"]["recipe"]["dataset"])
    if not rows:
        return ""
    ours, theirs = (shown(rows[name]["values"]["mean_classifier"]) for name in ("rae-l2", "vae"))
    trainings = len(rows["vae"]["values"]["mean_classifier"]["values"])
    whose = f"{trainings} trainings" if trainings > 1 else "one training, the zoo's"
    return (
        f" These paths go round the origin. Round the mean of the codes, RAE-L2 has {ours} and the VAE {theirs} "
        f"({whose})."
    )


def _both_ways(rows: dict[str, Any]) -> str:
    """Both samplers and both centres of paths, by both looks: what decides two columns of Table 3.1."""
    ways = {"standard": "from N(0, I)", "fitted": "from one fitted", "origin": "round 0", "mean": "round the mean"}
    looks = {"classifier": "by classes", "untrained": "by convolutions"}
    heading = ["model", "mean's length", *(f"{way}, {look}" for look in looks.values() for way in ways.values())]
    cells = []
    for name in (one for one in DISPLAY_NAMES if one in rows):
        values = rows[name]["values"]
        cells.append([DISPLAY_NAMES[name], shown(values["off_the_origin"], digits=2)])
        cells[-1] += [_spread("floor", values[f"{way}_{look}"]) for look in looks for way in ways]
    return markdown(heading, cells)


def _of_jpeg_copies(measured: dict[str, Any]) -> str:
    """CIFAR-10's rows: what they rest on, the table, the untrained network's verdict, the claims."""
    classifier = read_results("features", JPEG_COPIES)["features"]["values"]
    coarse = read_results("3.1-untrained", JPEG_COPIES)
    blurred = "blurred (sigma 0.5 pixels)"
    verdict = "By features of an untrained network (*FD-untrained*), which everybody has and nobody should trust far:"
    return "\n\n".join(
        (
            "These are not CIFAR-10's own pixels: at hand were JPEG copies of all 60,000 images, whose compression is "
            "in every number below, the floor included. The networks are narrow (width 8, the thesis: 128) and were "
            "trained for 2,000 steps. Distances (FD-cifar-10-jpeg) are relative, in thousandths, as above. The "
            "features are those of a classifier that learned on the same copies: it names "
            f"{100 * classifier['accuracy']['mean']:.1f} % of the test images rightly, and puts images blurred by half "
            f"a pixel at {1000 * classifier[blurred]['mean']:.1f}, shuffled pixels at "
            f"{1000 * classifier['pixels shuffled']['mean']:.0f}. " + HOW_TO_READ,
            _beside("3.1", "cifar-10", FID, measured),
            _claims(measured, "cifar-10"),
            *((verdict, _only_here(coarse, ("floor", *FID))) if coarse else ()),
        )
    )


def page() -> str:
    """Tables 3.1, A.2 and A.3 beside ours, the claims, and the provenance of each number."""
    mnist, glyphs, cifar = (read_results("3.1", dataset) for dataset in ("mnist", "glyphs", JPEG_COPIES))
    return "\n\n".join(
        (
            "## Table 3.1 on MNIST",
            "Thesis: FID with Inception features. Here: FD-mnist, divided by the total variance of the test set's "
            "features, in thousandths; mean ± standard deviation over seeds. Lower is better. Compare no values "
            "across extractors. " + HOW_TO_READ,
            _beside("3.1", "mnist", FID, mnist),
            _claims(mnist, "mnist"),
            "## Table A.2 on MNIST",
            "Precision ($F_{1/8}$) and recall ($F_8$) of samples; higher is better. " + HOW_TO_READ,
            _beside("A.2", "mnist", PRD, mnist),
            "## Table A.3 on MNIST",
            "Combinations of regularizers, as Table 3.1. " + HOW_TO_READ,
            _beside("A.3", "mnist", FID, mnist),
            "## Both samplers and both centres, on MNIST",
            "Where the thesis's text fits a Gaussian, its released script draws from N(0, I). The script's paths go "
            "round the origin, which is not where every model's codes lie (*mean's length*: how far off their mean "
            "lies, in their deviations). Three trainings each, with the recipes and seeds of the tables above, by two "
            "looks whose failings differ "
            "([which](../chapters/2-regularized-autoencoders/5-the-table.ipynb#what-does-a-look-forgive)): "
            "`python benchmarks/penalties.py RUN … --table centres`. Distances are relative, in thousandths; lower is "
            "better.",
            _both_ways(read_results("centres", "mnist")),
            "## Table 3.1 on CIFAR-10, from JPEG copies",
            _of_jpeg_copies(cifar),
            "## The same models on glyphs",
            "The thesis has no glyphs: this is the data set of the notebooks. Distances in thousandths, as above.",
            _only_here(glyphs, ("floor", *FID)),
            _claims(glyphs, "mnist"),
            "Both samplers and both centres, as on MNIST above; the zoo's models, one training each, 4,000 glyphs "
            "(`python benchmarks/penalties.py --zoo glyphs --table centres`):",
            _both_ways(read_results("centres", "glyphs")),
            "## Where the numbers of Tables 3.1, A.2 and A.3 come from",
            "\n".join(_provenance(measured) for measured in (mnist, glyphs, cifar)),
        )
    )
