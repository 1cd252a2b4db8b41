"""The numbers of Figure 3.3: what the thesis prints, what was measured here, and both on one page."""

import pandas as pd

from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

PROBLEMS = {"expressions": "expressions", "zinc": "molecules"}  # our data set: the thesis's name of the problem
_SEARCH = ("search_valid", "search_mean")


def published() -> pd.DataFrame:
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


def _printed(dataset: str) -> pd.DataFrame | None:
    whole = published()
    mine = whole.index.get_level_values("problem") == PROBLEMS.get(dataset)
    return whole[mine].droplevel("problem") if mine.any() else None


TABLES = {
    "3.3": Table(
        title="Figure 3.3 of the thesis",
        folder="3.3",
        rows={"grae": "GRAE", "gcvvae": "GCVVAE", "gvae": "GVAE", "cvae": "CVAE"},
        columns=("exact", "nats", *_SEARCH, "search_best_1"),
        dataset="expressions",
        printed=_printed,
    )
}


def _problem(dataset: str) -> str:
    """Figure 3.3's numbers for one problem beside ours, and where ours come from."""
    printed = published().loc[PROBLEMS[dataset]].T.to_dict()
    sign = 1 if dataset == "expressions" else -1  # searches minimize; log P is printed as it is, higher is better
    rows, lines = [], []
    for name, row in read_results("3.3", dataset).items():
        values, recipe = row["values"], row["recipe"]
        ours = [
            f"{factor * values[k]['mean']:.2f}\u00a0±\u00a0{values[k + '_spread']['mean']:.2f}"
            for factor, k in zip((1, sign), _SEARCH, strict=True)
        ]
        exact = shown(values["exact"], digits=3).replace(" ", "\u00a0")
        best = f"{sign * values['search_best_1']['mean']:.2f}" if "search_best_1" in values else "none"
        ours += [best, exact]
        theirs = [f"{printed[name]['valid'] / 100:.2f}", f"{printed[name]['score']:.2f}"]
        rows.append([name.upper(), f"{theirs[0]}<br>{ours[0]}", f"{theirs[1]}<br>{ours[1]}", *ours[2:]])
        lines.append(
            f"- **{name}** on {dataset}: variant {recipe['variant']}, {recipe['samples']:,} strings, hidden "
            f"{recipe['hidden']}, {recipe['steps']} steps of {recipe['batch_size']}, seeds "
            f"{row['provenance']['seeds']}; five searches from 500 strings, 5 rounds of 50; {machine_of(row)}"
        )
    head = ["model", "valid", "mean score", "best score", "given back exactly"]
    return markdown(head, rows) + "\n\n" + "\n".join(lines)


def page() -> str:
    """Figure 3.3 on both problems beside ours, and the provenance of each number."""
    return "\n\n".join(
        (
            "## Figure 3.3: expressions",
            "What a search for 1/3 + x + sin(x·x) finds in the latent space: the share of picks that are an "
            "expression, and log(1 + mean squared error), lower is better; our spread is over five searches of one "
            "model. The thesis has no numbers for the last two columns.",
            _problem("expressions"),
            "## Figure 3.3: molecules",
            "The same search on ZINC for molecules of high log P, penalized for what is hard to build and for large "
            "rings; higher is better. CVAE was trained with three seeds, and no pick of its searches was a "
            "molecule: its mean is the score that such a pick is given.",
            _problem("zinc"),
        )
    )
