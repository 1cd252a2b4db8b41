"""What a chapter offers to everything that chapters share; training and opening, which are the same for all.

A chapter's package has a module ``chapter`` with one :class:`Chapter`, called ``CHAPTER``, and a line in
:mod:`teachlib.registry`. The command line, the zoo's tool, the tables and the tests know nothing else of it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from teachlib import zoo
from teachlib.checkpoints import load_weights, part, read_checkpoint, weights_of
from teachlib.errors import TeachlibError
from teachlib.live import Demo, Graph
from teachlib.tables import Table
from teachlib.training import History, Objective, Samples, Schedule, Validates, Watch, fit

if TYPE_CHECKING:
    from lightning_fabric import Fabric


class Recipe(Protocol):
    """What every recipe has; a chapter's own is a frozen dataclass with more."""

    @property
    def name(self) -> str:
        """Of the recipe."""
        ...

    @property
    def dataset(self) -> str:
        """What it is trained on."""
        ...

    @property
    def scale(self) -> str:
        """That its sizes were chosen for."""
        ...

    @property
    def steps(self) -> int:
        """Updates in all."""
        ...

    @property
    def batch_size(self) -> int:
        """Samples a step, over all devices."""
        ...

    @property
    def plateau_patience(self) -> int | None:
        """Validations without improvement before learning rates are halved; ``None``: never."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        ...


R = TypeVar("R", bound=Recipe)
M = TypeVar("M", bound=nn.Module)
D = TypeVar("D", bound=Samples)


@dataclass(frozen=True)
class Option:
    """An option of ``teachlib train`` that only this chapter's recipes have; its name is an argument of ``recipe``.

    Attributes:
        help: one sentence.
        default: decides the kind too: ``False`` makes a switch, other values an option of text or numbers.
    """

    help: str
    default: str | int | float

    def __post_init__(self) -> None:
        if self.default is True or not isinstance(self.default, str | int | float):
            raise TypeError(f"default {self.default!r}; expected False for a switch, text or a number")


@dataclass(frozen=True)
class Run(Generic[M]):
    """One trained model that is to be measured.

    Attributes:
        model: on the CPU, in evaluation mode.
        recipe: that it was trained by, as the checkpoint has it.
        seed: of the training.
    """

    model: M
    recipe: Mapping[str, Any]
    seed: int


@dataclass(frozen=True)
class Measured:
    """What a chapter says of the seeds of one recipe.

    Attributes:
        rows: name → number, a row a run, all with the same names; a number that could not be had is left out.
        metric: what they are, in words.
        samples: how many each rests on.
        facts: what else they rest on, e.g. extractor and hashes of the data.
    """

    rows: list[dict[str, float]]
    metric: str
    samples: int
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.rows or any(row.keys() != self.rows[0].keys() for row in self.rows):
            raise TeachlibError("nothing was measured, or not the same of every run; nothing is recorded")
        for name, value in ((name, value) for row in self.rows for name, value in row.items()):
            if not math.isfinite(value):
                raise TeachlibError(f"{name} is {value}: the model gives no numbers that could be recorded")


@dataclass(frozen=True)
class Shipped:
    """A model that the zoo ships, one at most of each name and data set.

    Attributes:
        recipe: its name.
        dataset: that it is trained on, with seed 0 at laptop scale.
        options: of the recipe.
        called: what the zoo calls it, where another model has the recipe's name.
    """

    recipe: str
    dataset: str
    options: Mapping[str, Any] = field(default_factory=dict)
    called: str = ""

    @property
    def name(self) -> str:
        """In the zoo, before the data set's."""
        return self.called or self.recipe


class Chapter(ABC, Generic[R, M, D]):
    """A chapter, to everything that does not belong to one; a chapter's own class says what is abstract here.

    Attributes:
        key: in the registry and in checkpoints.
        title: as messages name it, e.g. ``the RAE chapter``.
        table: folder below ``--record`` that measured rows go to.
        dataset: that recipes are trained on where none is named.
        extracts: whether ``measure`` takes an extractor.
        averages: whether a model is the moving average of its weights, where a run kept one and nobody says otherwise.
        options: name → option of ``recipe`` beyond those that every chapter has.
        zoo: what of the chapter ships with the package.
        tables: name → table.
        commands: name → function with Typer's annotations, added to the command line.
        demos: name → what lets a reader of the book play with models in the page.
        data: name → data set that only this chapter reads.
    """

    key: ClassVar[str]
    title: ClassVar[str]
    table: ClassVar[str]
    dataset: ClassVar[str]
    extracts: ClassVar[bool] = False
    averages: ClassVar[bool] = False
    options: ClassVar[Mapping[str, Option]] = {}
    zoo: ClassVar[tuple[Shipped, ...]] = ()
    tables: ClassVar[Mapping[str, Table]] = {}
    commands: ClassVar[Mapping[str, Callable[..., None]]] = {}
    demos: ClassVar[Mapping[str, Callable[[Any], Demo]]] = {}  # of the chapter
    data: ClassVar[Mapping[str, "OwnData"]] = {}

    @abstractmethod
    def recipe(self, *args: Any, **kwargs: Any) -> R:
        """``recipe(name, dataset, scale=…, width=…, steps=…, **options)``; refuses what it cannot do."""

    @abstractmethod
    def from_dict(self, values: dict[str, Any], /) -> R:
        """The recipe that ``as_dict`` wrote."""

    @abstractmethod
    def load(self, recipe: R, split: str, limit: int | None) -> D:
        """Data to train on, of at most ``limit`` samples."""

    @abstractmethod
    def build(self, recipe: R, training: D | None) -> M:
        """The untrained model; there is no data where weights will be filled in."""

    @abstractmethod
    def parts(self, model: M) -> dict[str, nn.Module]:
        """The model's networks, under the names that the objective trains them by."""

    @abstractmethod
    def objective(self, recipe: R, model: M, training: D, seed: int) -> Objective:
        """What :func:`teachlib.training.fit` trains."""

    @abstractmethod
    def measure(self, runs: Sequence[Run[M]], samples: int, extractor: str | None) -> Measured:
        """Numbers of the seeds of one recipe, from so many samples at most; see ``teachlib evaluate``."""

    def schedule(self, recipe: R, seed: int, log_every: int) -> Schedule:
        """How to train, with so many steps between lines of the log."""
        return Schedule(
            steps=recipe.steps,
            batch_size=recipe.batch_size,
            seed=seed,
            log_every=log_every,
            plateau_patience=recipe.plateau_patience,
        )

    def label(self, recipe: R) -> str:
        """What runs and rows of a recipe are called after: by all that may stand in one table beside another."""
        return recipe.name

    def named(self, label: str) -> tuple[str, dict[str, Any]]:
        """The recipe's name, and the options that lead back to its label."""
        return label, {}

    def graphs(self, model: M) -> dict[str, Graph]:
        """Parts of a model that can be exported, by name; none where a chapter offers none."""
        return {}

    def page(self) -> str:
        """The chapter's part of the page that sets the thesis's numbers beside measured ones, as Markdown."""
        return ""

    def train(
        self,
        recipe: R,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        resume: bool = False,
        longer: bool = False,
        fabric: "Fabric | None" = None,
        limit: int | None = None,
        log_every: int = 50,
        watch: Watch | None = None,
        compiler: str | None = None,
        progress: bool = True,
    ) -> tuple[M, History]:
        """Train one recipe from its data set.

        Args:
            recipe: what to train.
            seed: of weights, data order and noise.
            folder: for checkpoint and log; ``None`` writes nothing.
            resume: continue a run of the same settings.
            longer: which may have had another number of steps.
            fabric: devices and precision, already launched.
            limit: only the first so many training samples.
            log_every: steps between lines of the history.
            watch: a look at the run every so many steps.
            compiler: backend of ``torch.compile``; ``None``: networks as they are.
            progress: show a bar.

        Returns:
            The trained model on the CPU in evaluation mode, and the history of its losses.

        Raises:
            TeachlibError: as :func:`teachlib.training.fit`, and whatever reading the data raises.
        """
        training = self.load(recipe, "train", limit)
        torch.manual_seed(seed)
        model = self.build(recipe, training)
        objective = self.objective(recipe, model, training, seed)
        history = fit(
            objective,
            training,
            self.schedule(recipe, seed, log_every),
            folder=folder,
            resume=resume,
            longer=longer,
            validation=self.load(recipe, "validation", limit) if isinstance(objective, Validates) else None,
            fabric=fabric,
            settings={"chapter": self.key, "recipe": recipe.as_dict(), "limit": limit},
            watch=watch,
            compiler=compiler,
            progress=progress,
        )
        return model.cpu(), history

    def open_run(self, path: str | Path, *, average: bool | None = None) -> tuple[M, dict[str, Any]]:
        """The model of a run's folder or checkpoint, on the CPU in evaluation mode, and the checkpoint's header.

        Args:
            path: of the folder or file.
            average: the moving average of the weights instead of the last weights; ``None``: as :attr:`averages` says.

        Raises:
            TeachlibError: no checkpoint, a damaged one, a pickle, one of another chapter's recipe, or one without an
                average.
        """
        file = checkpoint_file(path)
        tensors, header = read_checkpoint(file)
        if header.get("chapter") != self.key:
            raise TeachlibError(
                f"{file}: a checkpoint of another recipe (chapter {header.get('chapter')!r}), not of {self.title}"
            )
        weights = weights_of(tensors, self.averages if average is None else average)
        if average and not part(tensors, "average"):
            raise TeachlibError(f"{file}: this run kept no average of its weights; leave the average out")
        return self._filled(header.get("recipe"), weights, file), header

    def from_zoo(self, name: str, dataset: str | None = None, *, where: Path | None = None) -> M:
        """The zoo's trained model of a recipe, on the CPU in evaluation mode.

        Args:
            name: of the recipe, or what the zoo calls the model.
            dataset: it was trained on; ``None``: the chapter's own.
            where: folder of another zoo than the one that ships.

        Raises:
            TeachlibError: the zoo has no such model, or its file was altered.
        """
        name = f"{name}-{dataset or self.dataset}"
        tensors, card = zoo.read(name, where)
        return self._filled(card["recipe"], tensors, name)

    def recipe_of(self, values: Any, source: str | Path) -> R:
        """The recipe that a checkpoint or a card holds.

        Raises:
            TeachlibError: it holds none of this chapter.
        """
        try:
            return self.from_dict(dict(values))
        except (TypeError, KeyError, ValueError, AttributeError):
            raise TeachlibError(f"{source}: holds no recipe of {self.title}; retrain it") from None

    def _filled(self, recipe: Any, weights: Mapping[str, Tensor], source: str | Path) -> M:
        chosen = self.recipe_of(recipe, source)
        try:
            model = self.build(chosen, None)
        except TeachlibError:
            raise
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            # What comes from a file may hold words for numbers, or a width that no memory holds.
            raise TeachlibError(f"{source}: no network of {self.title} is built by its recipe; retrain it") from None
        for name, net in self.parts(model).items():
            load_weights(net, part(weights, name), source=source)
        return model.eval()


@dataclass(frozen=True)
class OwnData:
    """A data set that only one chapter reads.

    Attributes:
        title: one line for people.
        splits: split → number of samples.
        source: where it comes from.
        check: read a split, refuse what is missing or altered, and say in a line what is there.
        get: fetch it, and give its folder; ``None`` where nothing can be fetched.
    """

    title: str
    splits: Mapping[str, int]
    source: str
    check: Callable[[str], str]
    get: Callable[[], Path] | None = None


def label_with(recipe: Recipe, usual: Recipe, options: Mapping[str, Option], fields: Mapping[str, str]) -> str:
    """A recipe's name and what of its options is unusual, e.g. ``gif+resolution=64``.

    Args:
        recipe: to be called.
        usual: the same, with all options left out.
        options: of the chapter.
        fields: option → field of the recipe, where they are called differently.
    """
    changed = []
    for option in options:
        field_ = fields.get(option, option)
        if (value := getattr(recipe, field_)) != getattr(usual, field_):
            changed.append(f"{option}={value}")
    return "+".join([recipe.name, *changed])


def options_in(label: str, options: Mapping[str, Option]) -> tuple[str, dict[str, Any]]:
    """The name and the options of a label that :func:`label_with` made."""
    name, *changed = label.split("+")
    pairs = [part.partition("=") for part in changed]
    return name, {option: type(options[option].default)(value) for option, _, value in pairs}


def checkpoint_file(path: str | Path) -> Path:
    """The checkpoint of a run's folder; a file is taken as it is."""
    return Path(path) / "checkpoint.safetensors" if Path(path).is_dir() else Path(path)
