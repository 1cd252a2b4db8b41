"""Modes that were caught, measured, beside what others have published (no table of the thesis: § 7.5.1 has none)."""

from teachlib.energy.spread import SPREADS
from teachlib.rae.tables import JPEG_COPIES
from teachlib.results import read_results, shown
from teachlib.tables import Table, machine_of, markdown

COLUMNS = ("modes", "quality", "divergence")
_TITLES = {"modes-gan": "game", "modes-likelihood": "Eq. 7.3"}
_SPREAD = {
    "distance": "samples repel, by distance",
    "kernel": "samples repel, by a kernel",
    "features": "features repel, by a kernel",
    "determinantal": "a determinant",
    "pack": "pairs are judged",
    "minibatch": "the judge sees the batch",
    "information": "noise is guessed",
    "entropy": "entropy, by a critic",
}
_LIKELIHOOD = {
    "modes-likelihood+m=1": "m = 1",
    "modes-likelihood+m=1+penalty=one-centred": "m = 1, one-centred penalty",
    "modes-likelihood+m=1+penalty=both": "m = 1, R1 and R2",
    "modes-likelihood+m=16": "m = 16",
    "modes-likelihood": "m = 128",
    "modes-likelihood+penalty=R1": "m = 128, R1",
    "modes-likelihood+together=True": "m = 128, both at once",
    "modes-likelihood+points=prior": "m = 128, points of a prior",
    "modes-likelihood+spread=flow": "m = 128, a flow and its entropy",
}

LIN_ET_AL = {1: "17.3", 2: "–", 4: "24.8"}  # modes of 25 with a good sample; of pairs we have no printed number at hand


def _kept_apart(game: str, recipe: str = "modes-gan") -> dict[str, str]:
    """A row for each way to keep samples apart, added to a game."""
    return {f"{recipe}+spread={name}": f"{game}, {_SPREAD[name]}" for name in SPREADS if name in _SPREAD}


ROWS = {
    "modes-gan": _TITLES["modes-gan"],
    "modes-gan+together=True": f"{_TITLES['modes-gan']}, both at once",
    "modes-gan+penalty=R1": f"{_TITLES['modes-gan']}, R1",
    "modes-gan+penalty=R1+spread=kernel": f"{_TITLES['modes-gan']}, R1, samples repel, by a kernel",
    **_kept_apart(_TITLES["modes-gan"]),
    **{label: f"{_TITLES['modes-likelihood']}, {title}" for label, title in _LIKELIHOOD.items()},
}
# How many points a sum needs, how large a batch, and whether a sum's samples should be kept apart.
OF_SUMS = {
    "modes-likelihood+m=2": f"{_TITLES['modes-likelihood']}, m = 2",
    "modes-likelihood+m=4": f"{_TITLES['modes-likelihood']}, m = 4",
    "modes-gan+batch_size=1024": f"{_TITLES['modes-gan']}, batches of 1,024",
    "modes-likelihood+m=128+batch_size=1024": f"{_TITLES['modes-likelihood']}, m = 128, batches of 1,024",
    "modes-likelihood+batch_size=1024": f"{_TITLES['modes-likelihood']}, m = 1,024, batches of 1,024",
    "modes-likelihood+points=both": f"{_TITLES['modes-likelihood']}, m = 128, half from a prior",
    **_kept_apart(f"{_TITLES['modes-likelihood']}, m = 128", "modes-likelihood"),
}
# On pictures R1 is what a row has that says nothing of a penalty.
ROWS_ON_PICTURES = {
    "modes-gan+penalty=none": _TITLES["modes-gan"],
    "modes-gan": f"{_TITLES['modes-gan']}, R1",
    **_kept_apart(f"{_TITLES['modes-gan']}, R1"),
    "modes-likelihood+m=16": f"{_TITLES['modes-likelihood']}, m = 16, R1",
    "modes-likelihood+m=16+penalty=none": f"{_TITLES['modes-likelihood']}, m = 16",
}
# One loss of the pair of Eqs 7.3 and 7.4 at a time.
PARTS = {
    "modes-gan+aim=mean": "D: game, G: mean of log D",
    "modes-gan+aim=sum": "D: game, G: Eq. 7.4, m = 128",
    "modes-likelihood+aim=game": "D: Eq. 7.3, m = 128, G: game",
    "modes-likelihood+aim=mean": "D: Eq. 7.3, m = 128, G: mean of log D",
    "modes-likelihood+spread=distance+aim=mean": "D: Eq. 7.3, m = 128, G: mean of log D, samples repel, by distance",
}
TABLES = {
    "modes": Table(
        title="Modes, quality and divergence",
        folder="modes",
        rows=ROWS | OF_SUMS,
        columns=COLUMNS,
        dataset="gaussians",
    ),
    "pictures": Table(
        title="Samples of pictures whose modes nobody has counted",
        folder="modes",
        rows=ROWS_ON_PICTURES,
        columns=("distance", "density", "coverage"),
        dataset="cifar-10",
    ),
}


# Image GANs whose samples are chosen or moved by what their judges know (benchmarks/better_samples.py).
IMPROVED = {
    "digits": "the GAN of chapter 1, digits of 8×8 pixels",
    "heads": "the GIF of chapter 4, heads",
    "glyphs": "the GAN of chapter 5, glyphs",
    "glyphs-naive": "the naive InvGAN of chapter 5, glyphs",
}
CHOOSING = ("rejection", "chains", "resampling")
CHOOSING_BY_STAIRS = tuple(f"{way}, isotonic" for way in CHOOSING)
MOVING = ("Langevin", "Langevin corrected")
WAYS = (*CHOOSING, *CHOOSING_BY_STAIRS, *MOVING)
JUDGES = ("as it is", "trained on")
_IMPROVED_COLUMNS = {"distance": 3, "coverage": 2, "share": 3, "seconds per 1,000": 2}


def improved_label(name: str) -> str:
    """Of a row of :func:`improved`, in names of files."""
    return name.replace(", ", "-").replace(" ", "-")


def improved(dataset: str) -> dict[str, dict[str, str]]:
    """Of one of :data:`IMPROVED`: row → column → what was measured."""
    measured = {row["recipe"]["name"]: row["values"] for row in read_results("better-samples", dataset).values()}
    names = ("as they come", *(f"{way}, {judge}" for judge in JUDGES for way in WAYS))
    return {
        name: {
            column: shown(measured[name][column], digits=digits) if column in measured[name] else "–"
            for column, digits in _IMPROVED_COLUMNS.items()
        }
        for name in names
        if name in measured
    }


# Models of all chapters, by what is common to them (benchmarks/families.py).
FAMILIES = {
    "digits": "digits of 8×8 pixels, chapter 1",
    "glyphs": "glyphs of 32×32 pixels, chapters 2, 3 and 5",
    "heads": "heads of 32×32 pixels, chapters 4 and 5",
}


def families(dataset: str) -> dict[str, dict[str, float]]:
    """Of one of :data:`FAMILIES`: model, and how it is used → name of a number → number; the nearest samples first."""
    found = {}
    for row in read_results("families", dataset).values():
        used = row["recipe"]["used"]
        name = f"{row['recipe']['name']}, {used}" if used else row["recipe"]["name"]
        found[name] = {key: value["mean"] for key, value in row["values"].items()}
    return dict(sorted(found.items(), key=lambda item: item[1]["distance"]))


def page() -> str:
    """Modes, corrected samples and families, in Markdown."""
    return "\n\n".join([*_modes(), *_improved(), *_families()])


def _families() -> list[str]:
    parts = [
        "## Families side by side",
        "Models of the zoo, one training each (`python benchmarks/families.py`). *Bits* are those of a code that is "
        "rounded until the error of rebuilt held-out pictures (mean absolute, pixels from 0 to 1) is a twentieth "
        "larger, and written by an entropy coder that knows a Gaussian for each number; *error* is what is then left. "
        "Where the error is 0 they are those of all pixels, by the model's own likelihood. Coverage depends on how "
        "many samples there are. Principal components stand beside them, with a mixture fitted to their codes.",
    ]
    columns = {"numbers": ".0f", "bits": ".0f", "error": ".3f", "distance": ".3f", "coverage": ".2f"}
    columns |= {"ms a code": ".2g", "ms a sample": ".2g"}
    for dataset, title in FAMILIES.items():
        if measured := read_results("families", dataset):
            some = next(iter(measured.values()))
            rows = [
                [name, *(format(values[key], how) if key in values else "–" for key, how in columns.items())]
                for name, values in families(dataset).items()
            ]
            parts += [
                f"Measured, {title}, {some['metric']} over the variance of real features, {some['samples']} pictures "
                f"and as many samples; {machine_of(some)}:",
                markdown(["model", *columns], rows),
            ]
    return parts if len(parts) > 2 else []


def _improved() -> list[str]:
    parts = [
        "## Samples corrected by the judge",
        "Image GANs of the zoo; each judge as the game left it, and trained on against the finished generator, "
        "calibrated by Platt's logistic regression or by an isotonic curve. *Share* is that of proposals that "
        "rejection keeps, of chains that have moved (only those are counted), of the pile that does the work (its "
        "effective size), and of the steps that Metropolis and Hastings accept "
        "(`python benchmarks/better_samples.py`).",
    ]
    for dataset, title in IMPROVED.items():
        if measured := read_results("better-samples", dataset):
            some = next(iter(measured.values()))
            rows = [[name, *cells.values()] for name, cells in improved(dataset).items()]
            parts += [
                f"Measured, {title}, {some['metric']}, {some['samples']} samples; {machine_of(some)}:",
                markdown(["samples", *_IMPROVED_COLUMNS], rows),
            ]
    return parts if len(parts) > 2 else []


def _modes() -> list[str]:
    """All sets' tables."""
    parts = []
    length = "{:,} steps where a row does not say otherwise"
    for folder, dataset, title, of_rows, took in (
        ("modes", "gaussians", "25 Gaussians", ROWS, length),
        ("modes", "gaussians", "25 Gaussians: points of a sum, batches, a sum and samples kept apart", OF_SUMS, length),
        ("parts", "gaussians", "25 Gaussians, one part of a game at a time", PARTS, length),
        ("modes-long", "gaussians", "25 Gaussians, longer", ROWS, "{:,} steps"),
        (
            "equal-seconds",
            "gaussians",
            "25 Gaussians",
            ROWS | OF_SUMS,
            "as long as the plain game takes for 6,000 steps",
        ),
        ("modes", "stacked-glyphs", "stacked glyphs, 1,000 modes", ROWS_ON_PICTURES, length),
        ("equal-seconds", "stacked-glyphs", "stacked glyphs", ROWS_ON_PICTURES, "as long as R1 takes for 900 steps"),
        ("modes", "stacked-mnist", "stacked MNIST, 1,000 modes", ROWS_ON_PICTURES, length),
    ):
        if measured := read_results(folder, dataset):
            rows = [
                [
                    name,
                    str(len(measured[label]["provenance"]["seeds"])),
                    *(
                        shown(measured[label]["values"][column], digits=1 if column == "modes" else 3)
                        for column in COLUMNS
                    ),
                ]
                for label, name in of_rows.items()
                if label in measured
            ]
            some = next(iter(measured.values()))
            parts += [
                f"Measured, {title}, {some['metric']}; {took.format(some['recipe']['steps'])}; {machine_of(some)}:",
                markdown(["model", "seeds", *COLUMNS], rows),
            ]
    parts += _pictures()
    if not parts:
        return []
    printed = (
        "The thesis proposes Eqs 7.3 and 7.4 (§ 7.5.1) and prints no number. Others have, of 25 Gaussians and other "
        "networks: a plain GAN catches 3.3 of 25 modes (Srivastava et al., 2017) or 17.3 (Lin et al., 2018), VEEGAN "
        "24.6, PacGAN of four 24.8. One baseline with two values is why all rows here have one pair of networks. "
        "*Game* is the non-saturating one, *Eq. 7.3* the pair of Eqs 7.3 and 7.4."
    )
    return ["## Modes", printed, *parts, *_packing()]


def _pictures() -> list[str]:
    """Games on copies of CIFAR-10, whose modes nobody has counted."""
    measured = read_results("modes-untrained", JPEG_COPIES)
    columns = TABLES["pictures"].columns
    rows = [
        [name, *(shown(measured[label]["values"][column], digits=3) for column in columns)]
        for label, name in ROWS_ON_PICTURES.items()
        if label in measured
    ]
    if not rows:
        return []
    some = next(iter(measured.values()))
    return [
        "Measured, CIFAR-10 compressed once more as JPEG, at scale laptop, one training each "
        f"({some['recipe']['steps']:,} steps of {some['recipe']['batch_size']} pictures); {some['metric']}, of "
        f"{some['samples']} pictures and as many samples; {machine_of(some)}:",
        markdown(["model", *columns], rows),
    ]


def _packing() -> list[str]:
    """PacGAN's own networks, beside what its authors print."""
    measured = {row["recipe"]["packed"]: row for row in read_results("packing", "gaussians").values()}
    columns = {"modes with a good sample": 1, "modes": 1, "quality": 3, "divergence": 3}
    rows = [
        [
            str(packed),
            str(len(row["provenance"]["seeds"])),
            LIN_ET_AL.get(packed, "–"),
            *(shown(row["values"][name], digits=n) for name, n in columns.items()),
        ]
        for packed, row in sorted(measured.items())
    ]
    if not rows:
        return []
    some = next(iter(measured.values()))
    return [
        "The networks of Lin et al. (2018) on their grid, for a tenth of their steps "
        f"({some['recipe']['steps']:,}), beside the modes that they print (`python benchmarks/packing.py`; "
        f"{machine_of(some)}):",
        markdown(["samples at once", "trainings", "printed", *columns], rows),
    ]
