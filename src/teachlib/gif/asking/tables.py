"""Cross-talk, which the thesis names and does not measure (§§ 5.3.4, 7.3), as it was measured here."""

from teachlib.gif.asking.recipes import RECIPES
from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

CORRELATIONS = (0.0, 0.5, 0.9)


def label(name: str, correlation: float) -> str:
    """What a recipe's rows are called."""
    return f"{name}-{correlation:g}"


def parts(text: str) -> tuple[str, float]:
    """The recipe's name and the correlation of a row's label."""
    name = next((name for name in RECIPES if text.startswith(f"{name}-")), "")
    return name, float(text.removeprefix(f"{name}-"))


TABLES = {
    "cross-talk": Table(
        title="Cross-talk between two conditions",
        folder="cross-talk",
        rows={label(name, rho): f"{name}, ρ = {rho:g}" for name in RECIPES for rho in CORRELATIONS},
        columns=("obeyed", "heard", "position error, exchanged", "slant error, exchanged"),
        dataset="zeros",
    )
}


def page() -> str:
    """The measured table, in Markdown."""
    measured = read_results("cross-talk", "zeros")
    if not measured:
        return ""
    head = ["asked by", "ρ", "obeyed", "heard", "error as in training", "error, exchanged"]
    rows = []
    for name in RECIPES:
        for rho in CORRELATIONS:
            if (row := measured.get(label(name, rho))) is not None:
                values = row["values"]
                cells = [shown(values[key], digits=2) for key in ("obeyed", "heard", *_ERRORS)]
                rows.append([name.removeprefix("ask-"), f"{rho:g}", *cells])
    some = next(iter(measured.values()))
    return "\n\n".join(
        [
            "## Cross-talk between conditions",
            "The thesis names it (§§ 5.3.4, 7.3) and prints no number. Measured on zeros, whose position and slant "
            "have the correlation ρ in the training set and are asked for independently: how far a factor goes "
            "where it is asked to (obeyed, 1 is right), and where the other one is (heard, 0 is right); errors of "
            "the slant, in deviations. InfoGAN is told nothing; its codes are named after the factors that they go "
            "with best.",
            markdown(head, rows),
            f"Seeds {some['provenance']['seeds']}, {some['recipe']['steps']:,} steps of width "
            f"{some['recipe']['width']}; {machine_of(some)}.",
        ]
    )


_ERRORS = ("slant error, as in training", "slant error, exchanged")
