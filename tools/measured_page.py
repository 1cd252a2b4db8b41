"""The tables on the page that sets the thesis's numbers beside measured ones, from ``results/`` alone."""

from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DATASETS = ("mnist", "glyphs")
HOW_TO_READ = "Each cell has the thesis's number, and below it ours; rows with one line were not run."
FID = ("reconstruction", "normal", "mixture", "interpolation")
PRD = ("normal_precision", "normal_recall", "mixture_precision", "mixture_recall")
SEARCH = ("search_valid", "search_mean")
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


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [head, ["---"] + ["--:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(quantity: str, value: dict[str, Any]) -> str:
    """Mean and standard deviation, distances in thousandths, short enough for a narrow column."""
    from teachlib.results import shown

    text = shown(value, factor=1000, digits=1) if quantity in ("floor", *FID) else shown(value, digits=3)
    return text.replace(" ", "\u00a0")


def beside(number: str, quantities: tuple[str, ...], measured: dict[str, Any]) -> str:
    """One table of the thesis on MNIST, with what was measured below each of its numbers."""
    from teachlib import thesis

    printed = thesis.table(number, "mnist")
    rows = []
    for name in printed.index:
        found = measured.get(name)
        cells = [thesis.DISPLAY_NAMES[name]]
        for quantity in quantities:
            value = printed.loc[name, quantity]
            printed_value = "–" if value != value else f"{value:.2f}"
            cells.append(
                f"{printed_value}<br>{spread(quantity, found['values'][quantity])}" if found else printed_value
            )
        rows.append(cells)
    return markdown(["model", *(LABELS[q] for q in quantities)], rows)


def only_here(measured: dict[str, Any], quantities: tuple[str, ...]) -> str:
    from teachlib import thesis

    rows = [
        [thesis.DISPLAY_NAMES[name], *(spread(q, found["values"][q]) for q in quantities)]
        for name, found in measured.items()
    ]
    return markdown(["model", *(LABELS.get(q, q.replace("_", " ")) for q in quantities)], rows)


def provenance(measured: dict[str, Any]) -> str:
    """One line a result: enough to run it again and to know what it rests on."""
    lines = []
    for name, found in measured.items():
        recipe, origin = found["recipe"], found["provenance"]
        hours = ", ".join(f"{seconds:.0f}" for seconds in found["training_seconds"])
        lines.append(
            f"- **{name}** on {recipe['dataset']}: variant {recipe['variant']}, width {recipe['width']}, "
            f"{recipe['steps']} steps of {recipe['batch_size']}, seeds {origin['seeds']}; {found['metric']}; "
            f"extractor {found['extractor']}; {found['samples']:,} images a side; trained in {hours} s, measured in "
            f"{origin['seconds']:.0f} s with {origin['peak_memory_mib']} MiB on {origin['device']}, "
            f"{origin['cores']} cores, torch {origin['torch']}, {origin['date']}, commit {origin['commit']}; test data "
            f"sha256 {found['data_sha256']['test'][:12]}…"
        )
    return "\n".join(lines)


def claims(measured: dict[str, Any]) -> str:
    """The thesis's two claims, seed by seed: held or not, and by how much."""

    def seeds(name: str, quantity: str) -> list[float]:
        return measured[name]["values"][quantity]["values"]

    lines = []
    for name in measured:
        ratios = [m / n for m, n in zip(seeds(name, "mixture"), seeds(name, "normal"), strict=True)]
        held = sum(ratio < 1 for ratio in ratios)
        listed = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        lines.append(
            f"- The mixture lowers the distance of **{name}** in {held} of {len(ratios)} seeds (ratio {listed})."
        )
    for quantity, words in (("normal", "from its prior"), ("mixture", "with the mixture too")):
        pairs = list(zip(seeds("rae-l2", "mixture"), seeds("vae", quantity), strict=True))
        held = sum(ours <= theirs for ours, theirs in pairs)
        listed = ", ".join(f"{ours / theirs:.2f}" for ours, theirs in pairs)
        lines.append(
            f"- RAE-L2 with the mixture is at least as good as the VAE {words} in {held} of {len(pairs)} seeds "
            f"(ratio {listed})."
        )
    for quantity, words, printed in (
        ("normal", "From the simple density", "22.22 against 19.21"),
        ("interpolation", "At mid-points of interpolations", "14.54 against 18.21"),
    ):
        pairs = list(zip(seeds("rae-l2", quantity), seeds("vae", quantity), strict=True))
        below = sum(ours < theirs for ours, theirs in pairs)
        lines.append(
            f"- {words}, RAE-L2 is better than the VAE in {below} of {len(pairs)} seeds; the thesis prints {printed} "
            "on MNIST."
        )
    return "\n".join(lines)


PROBLEMS = {"expressions": "expressions", "zinc": "molecules"}  # our data set: the thesis's name of the problem


def strings(dataset: str) -> str:
    """Figure 3.3's numbers for one problem beside ours, and where ours come from."""
    from teachlib import thesis
    from teachlib.results import read_results

    printed = thesis.figure_3_3().loc[PROBLEMS[dataset]].T.to_dict()
    sign = 1 if dataset == "expressions" else -1  # searches minimize; log P is printed as it is, higher is better
    rows, lines = [], []
    for name, found in read_results("3.3", dataset, folder=ROOT / "results").items():
        values, origin, recipe = found["values"], found["provenance"], found["recipe"]
        signs = (1, sign)
        ours = [
            f"{factor * values[k]['mean']:.2f}\u00a0±\u00a0{values[k + '_spread']['mean']:.2f}"
            for factor, k in zip(signs, SEARCH, strict=True)
        ]
        ours += [f"{sign * values['search_best_1']['mean']:.2f}", spread("exact", values["exact"])]
        theirs = [f"{printed[name]['valid'] / 100:.2f}", f"{printed[name]['score']:.2f}"]
        rows.append([name.upper(), f"{theirs[0]}<br>{ours[0]}", f"{theirs[1]}<br>{ours[1]}", *ours[2:]])
        lines.append(
            f"- **{name}** on {dataset}: variant {recipe['variant']}, {recipe['samples']:,} strings, hidden "
            f"{recipe['hidden']}, {recipe['steps']} steps of {recipe['batch_size']}, seeds {origin['seeds']}; five "
            f"searches from 500 strings, 5 rounds of 50; {origin['device']}, {origin['cores']} cores, torch "
            f"{origin['torch']}, {origin['date']}, commit {origin['commit']}"
        )
    head = ["model", "valid", "mean score", "best score", "given back exactly"]
    return markdown(head, rows) + "\n\n" + "\n".join(lines)


SHARES = ("plain_accuracy", "accuracy", "error", "rejection")
SELECTIVE = ("mnist", "fashion-mnist", "glyphs", "turntable")


def selective() -> str:
    """Table 4.1 beside ours, in per cent; a row a model and data set."""
    from teachlib import thesis
    from teachlib.results import read_results, shown

    printed = thesis.table_4_1().T.to_dict()
    rows, lines = [], []
    for dataset in SELECTIVE:
        for name, found in read_results("4.1", dataset, folder=ROOT / "results").items():
            ours = [shown(found["values"][share], factor=100, digits=2).replace(" ", "\u00a0") for share in SHARES]
            if (dataset, name) in printed:
                theirs = [f"{printed[dataset, name][share]:.2f}" for share in SHARES]
                ours = [f"{first}<br>{second}" for first, second in zip(theirs, ours, strict=True)]
            rows.append([f"{dataset}, {name}", *ours])
            lines.append(origin_of(name, found))
    return markdown(["model", "no thresholds", *SHARES[1:]], rows) + "\n\n" + "\n".join(lines)


def attacked() -> str:
    """Error under each attack over ε, in per cent: no table of the thesis has these."""
    from teachlib.results import read_results, shown

    rows, lines = [], []
    for dataset in SELECTIVE:
        for name, found in read_results("4.3", dataset, folder=ROOT / "results").items():
            values = found["values"]
            radii = sorted(key.rpartition("_")[2] for key in values if key.startswith("adaptive_error_"))
            for attack in dict.fromkeys(key.split("_error_")[0] for key in values if "_error_" in key):
                cells = [shown(values[f"{attack}_error_{radius}"], factor=100, digits=0) for radius in radii]
                rows.append([f"{dataset}, {name}: {attack}", *cells])
            budget = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in found["budget"].items())
            lines.append(origin_of(name, found) + f"; {found['norm']}, {budget}")
    return markdown(["error in per cent at ε =", *radii], rows) + "\n\n" + "\n".join(lines)


def origin_of(name: str, found: dict[str, Any]) -> str:
    """One line: what a result of chapter 4 rests on."""
    recipe, origin = found["recipe"], found["provenance"]
    return (
        f"- **{name}** on {recipe['dataset']}: width {recipe['width']}, {recipe['steps']} steps of "
        f"{recipe['batch_size']}, seeds {origin['seeds']}, {found['samples']:,} test images; {origin['device']}, "
        f"{origin['cores']} cores, torch {origin['torch']}, {origin['date']}, commit {origin['commit']}"
    )


def paper_vs_measured() -> str:
    """Every table of the thesis that was measured here beside ours, the claims, and the provenance of each number."""
    from teachlib.results import read_results

    mnist, glyphs = (read_results("3.1", dataset, folder=ROOT / "results") for dataset in DATASETS)
    return "\n\n".join(
        (
            "## Table 3.1 on MNIST",
            "Thesis: FID with Inception features. Here: FD-mnist, divided by the total variance of the test set's "
            "features, in thousandths; mean ± standard deviation over seeds. Lower is better; compare orders, never "
            "values. " + HOW_TO_READ,
            beside("3.1", FID, mnist),
            claims(mnist),
            "## Table A.2 on MNIST",
            "Precision ($F_{1/8}$) and recall ($F_8$) of samples; higher is better. " + HOW_TO_READ,
            beside("A.2", PRD, mnist),
            "## Table A.3 on MNIST",
            "Combinations of regularizers, as Table 3.1. " + HOW_TO_READ,
            beside("A.3", FID, mnist),
            "## Figure 3.3: expressions",
            "What a search for 1/3 + x + sin(x·x) finds in the latent space: the share of picks that are an "
            "expression, and log(1 + mean squared error), lower is better; our spread is over five searches of one "
            "model. The thesis has no numbers for the last two columns.",
            strings("expressions"),
            "## Figure 3.3: molecules",
            "The same search on ZINC for molecules of high log P, penalized for what is hard to build and for large "
            "rings; higher is better. The row of CVAE was measured when a string with a blank in it still counted as a "
            "molecule, by its part before the blank; its share of valid picks may be too high.",
            strings("zinc"),
            "## The same models on glyphs",
            "The thesis has no glyphs: this is the data set of the notebooks. Distances in thousandths, as above.",
            only_here(glyphs, ("floor", *FID)),
            claims(glyphs),
            "## Table 4.1",
            "Per cent of the test images; with thresholds that refuse 1 % of held-out images each. Where a cell has "
            "two lines, the thesis's is the first. The other rows are not in the thesis.",
            selective(),
            "## Attacks on classifiers that refuse",
            "Error, that is wrong *and* accepted, under each attack in the L∞ ball. The thesis reports at most 3.89 % "
            "under FGSM, and 0 under MIM, PGD and its white-box attack. `adaptive` climbs label and both thresholds "
            "at once and starts from where the others ended.",
            attacked(),
            "## Where the numbers of Tables 3.1, A.2 and A.3 come from",
            provenance(mnist) + "\n" + provenance(glyphs),
        )
    )
