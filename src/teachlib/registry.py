"""What chapters there are: one line each, read before any of them is imported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from teachlib.errors import TeachlibError, unknown

if TYPE_CHECKING:
    from teachlib.chapter import Chapter
    from teachlib.checks import Exercise


@dataclass(frozen=True)
class Line:
    """What has to be known of a chapter before it is imported; the chapter itself says the same, which a test compares.

    Attributes:
        package: its package, whose module ``chapter`` holds ``CHAPTER``, and ``exercises``, where it has them,
            ``EXERCISES``.
        recipes: names of all its recipes, which no other chapter has.
        tables: names of its tables, as ``teachlib table`` takes them.
        commands: name → help of the commands that it adds to the command line.
        data: names of data sets that only this chapter reads.
    """

    package: str
    recipes: tuple[str, ...]
    tables: tuple[str, ...] = ()
    commands: Mapping[str, str] = field(default_factory=dict)
    data: tuple[str, ...] = ()


# In reading order: a later chapter may import an earlier one. The keys stand in checkpoints.
CHAPTERS: dict[str, Line] = {
    "metrics": Line("teachlib.metrics", ("features",), ("features",)),
    "primer": Line(
        "teachlib.primer",
        ("primer-vae", "primer-gan", "primer-diffusion", "primer-pixelcnn", "primer-glow", "primer-energy"),
        ("primer",),
    ),
    "rae": Line(
        "teachlib.rae",
        (
            *("vae", "cv-vae", "wae", "2s-vae", "rae", "rae-l2", "rae-gp", "rae-sn", "ae", "ae-l2"),
            *("rae-gp-l2", "rae-l2-sn", "rae-sn-gp", "rae-l2-sn-gp"),
        ),
        ("3.1", "A.2", "A.3"),
    ),
    "rae.grammar": Line(
        "teachlib.rae.grammar",
        ("cvae", "gvae", "gcvvae", "grae"),
        ("3.3",),
        data=("expressions", "molecules", "zinc"),
    ),
    "gmmvae": Line(
        "teachlib.gmmvae",
        ("gmm-vae", "gmm-vae-semi", "gmm-vae-variable", "cnn", "cnn-adversarial", "magnet"),
        ("4.1",),
        {"attack": "Attack trained classifiers by everything there is; accuracy, error and rejection over the radii."},
    ),
    "gif": Line(
        "teachlib.gif",
        (
            *("gif", "gif-no-texture-loss", "gif-normals", "gif-texture"),
            *("gif-vector", "gif-vector-concatenation", "gif-vector-projection", "reinference"),
        ),
        ("5.1",),
        {
            "animate": "Move a face by curves or by speech: its rendering, and beside it several styles of it.",
            "prepare": "Make conditions for your own portraits: a mesh on each face, its normals and its skin.",
            "study": "Write a page that asks people which of two models drew the head that was asked for.",
            "tally": "Count the answers of a study: how often the first model was chosen, with an exact interval.",
        },
        data=("heads", "faces", "ffhq"),
    ),
    "gif.asking": Line(
        "teachlib.gif.asking",
        (
            *("ask-input", "ask-layer", "ask-auxiliary", "ask-projection", "ask-pixels"),
            *("ask-shuffled", "ask-infogan"),
        ),
        ("cross-talk",),
        data=("zeros",),
    ),
    "invgan": Line(
        "teachlib.invgan",
        (
            *("gan", "invgan-naive", "invgan-augmented", "invgan", "invgan-direct"),
            *("autoencoder", "bigan", "alae", "vae-gan"),
        ),
        ("6.1",),
        {
            "invert": "Infer the codes of pictures, and draw what the model makes of them below each.",
            "edit": "Mend a picture; with --mask fill in, with --mask --other merge, with --layers --other mix.",
            "tile": "Rebuild a picture or film tile by tile; sharpen it, or make more frames of it.",
        },
        data=(
            "patches",
            "imagenet",
            "ucf101",
        ),
    ),
    "energy": Line(
        "teachlib.energy",
        ("modes-gan", "modes-likelihood"),
        ("modes", "pictures"),
        data=("gaussians", "stacked-glyphs", "stacked-mnist"),
    ),
    "energy.assemble": Line(
        "teachlib.energy.assemble",
        ("assemble", "assemble-direct", "assemble-joint"),
        ("assemble", "roofs", "glasses", "grounds", "classes"),
        data=("shapes", "roofs", "glasses", "grounds"),
    ),
}


def recipes() -> tuple[str, ...]:
    """The names of all recipes of all chapters."""
    return tuple(name for line in CHAPTERS.values() for name in line.recipes)


def tables() -> tuple[str, ...]:
    """The names of all tables of all chapters."""
    return tuple(name for line in CHAPTERS.values() for name in line.tables)


def data_sets() -> tuple[str, ...]:
    """The names of the data sets that belong to single chapters."""
    return tuple(name for line in CHAPTERS.values() for name in line.data)


def chapter(key: str) -> "Chapter[Any, Any, Any]":
    """The chapter of a key, imported now.

    Raises:
        TeachlibError: no such chapter.
    """
    if key not in CHAPTERS:
        raise unknown("chapter", key, CHAPTERS)
    return import_module(f"{CHAPTERS[key].package}.chapter").CHAPTER


def chapter_of_recipe(name: str) -> "Chapter[Any, Any, Any]":
    """The chapter that has a recipe of this name.

    Raises:
        TeachlibError: none has, with the nearest name.
    """
    refuse_unknown_recipe(name)
    return chapter(next(key for key, line in CHAPTERS.items() if name in line.recipes))


def refuse_unknown_recipe(name: str) -> None:
    """Answer a recipe's name that no chapter has, without importing one.

    Raises:
        TeachlibError: it is none, with the nearest name.
    """
    if name not in recipes():
        raise unknown("recipe", name, recipes())


def chapter_of_table(name: str) -> "Chapter[Any, Any, Any]":
    """The chapter that has a table of this name.

    Raises:
        TeachlibError: none has.
    """
    if name not in tables():
        raise unknown("table", name, tables())
    return chapter(next(key for key, line in CHAPTERS.items() if name in line.tables))


def chapter_of_checkpoint(header: Mapping[str, Any], source: object) -> "Chapter[Any, Any, Any]":
    """The chapter whose model a checkpoint holds.

    Raises:
        TeachlibError: one that this version of teachlib does not have, or none at all.
    """
    key = header.get("chapter")
    if not isinstance(key, str) or key not in CHAPTERS:
        kind = f"of chapter {key!r}" if key is not None else "of no chapter"
        raise TeachlibError(f"{source}: a checkpoint {kind}; this teachlib knows: {', '.join(CHAPTERS)}")
    return chapter(key)


def words_of(options: Mapping[str, Any]) -> list[str]:
    """Options of a recipe as the command line takes them, e.g. ``{"noise_level": 2, "odd": True}``."""
    words: list[str] = []
    for name, value in options.items():
        words += [flag(name)] if value is True else [flag(name), str(value)] if value is not False else []
    return words


def flag(name: str) -> str:
    """An option's name on the command line."""
    return "--" + name.replace("_", "-")


def exercises() -> dict[str, "Exercise"]:
    """All exercises of all chapters under their full names, ``rae.kl_divergence``: chapters may use one name twice."""
    every: dict[str, Exercise] = {}
    for key, line in CHAPTERS.items():
        if find_spec(f"{line.package}.exercises") is not None:
            own = import_module(f"{line.package}.exercises").EXERCISES
            every |= {f"{key}.{name}": exercise for name, exercise in own.items()}
    return every
