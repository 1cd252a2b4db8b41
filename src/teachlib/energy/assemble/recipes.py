"""Recipes of assembled pictures; the thesis gives no architecture and no numbers (§ 7.5.2), all of them are ours."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from teachlib.energy.assemble import grounds, roofs, shapes, worn
from teachlib.errors import TeachlibError, require_at_least, require_positive, unknown
from teachlib.scale import Scale

RECIPES = ("assemble", "assemble-direct", "assemble-joint")
TOLD = "everything"


@dataclass(frozen=True)
class Kind:
    """A set of pictures that are made of objects.

    Attributes:
        objects: their names, in the order of their conditions.
        z_dim: numbers of noise for each.
        places: whether it is known where an object could be that is not there, so that it can be put there.
        hidden: which of a condition's numbers are not told of an object that is hidden: left, top, right, bottom are
            1 to 4.
        title: one line on what the pictures show.
        splits: split → number of pictures.
        grounded: whether the first object is the ground that all others stand on.
    """

    objects: tuple[str, ...]
    z_dim: int
    places: bool
    hidden: tuple[int, ...]
    title: str
    splits: Mapping[str, int]
    grounded: bool = False


KINDS = {
    "shapes": Kind(shapes.OBJECTS, 8, False, (2, 4), "a circle, a triangle and a square, each or none", shapes.SPLITS),
    "roofs": Kind(shapes.OBJECTS, 8, False, (2, 4), "triangles that stand on squares, and circles", roofs.SPLITS),
    "glasses": Kind(worn.OBJECTS, 32, True, (1, 2, 3, 4), "a head, glasses, or a head that wears them", worn.SPLITS),
    "grounds": Kind(grounds.OBJECTS, 8, False, (2, 4), "shapes on a ground of stripes", grounds.SPLITS, grounded=True),
}
_STEPS = {Scale.CI: 20, Scale.LAPTOP: 6_000, Scale.PAPER: 100_000}
_WIDTH = {Scale.CI: 8, Scale.LAPTOP: 16, Scale.PAPER: 48}
CLASSES = ("told", "untold", "found")
_JOINT_WIDER = {2: 1.875, 3: 2.375, 4: 2.8125}  # so that one painter has as many parameters as two, three or four


@dataclass(frozen=True)
class AssembleRecipe:
    """One model of assembled pictures, ready to train.

    Attributes:
        name: of :data:`RECIPES`.
        dataset: of :data:`KINDS`.
        scale: the sizes were chosen for.
        hides: the object of which is not told where it is: of ``shapes`` and ``roofs`` how high it stands, only from
            where to where it is wide, of ``glasses`` nothing; or ``everything`` is told.
        width: channels of each painter.
        steps: updates in all.
        z_dim: numbers of noise for each object.
        classes: ``told`` if each box is of a known class; ``untold`` if it is not, boxes coming in any order;
            ``found`` if it is not and painters must be recognizable by what they draw.
        from_black: painters always begin from black, and never complete a real picture.
        from_real: they do nothing else; each learns from what is real around its object, and none from another one.
        batch_size: pictures a step, over all devices.
        learning_rate: Adam's.
        gamma: weight of R1 in the first step; it falls, by the same factor each, for two fifths of all steps.
        last_gamma: and stays at this: strong at first, where painters go astray; weak later, for sharp edges.
        mismatch: weight of real pictures that come with another's boxes, among the generated ones.
        information: weight of how badly painters are recognized, where they must be.
        ema_half_life: of the average of the weights, in thousands of pictures.
        plateau_patience: none, rates stay.
    """

    name: str
    dataset: str
    scale: str
    hides: str
    width: int
    steps: int
    z_dim: int = 8
    classes: str = "told"
    from_black: bool = False
    from_real: bool = False
    batch_size: int = 32
    learning_rate: float = 1e-3
    gamma: float = 3.0
    last_gamma: float = 0.3
    mismatch: float = 0.5
    information: float = 1.0
    ema_half_life: float = 10.0
    plateau_patience: int | None = None

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise unknown("recipe", self.name, RECIPES)
        if self.dataset not in KINDS:
            raise TeachlibError(
                f"{self.name} on {self.dataset}: the boxes of its objects are not known; only those of "
                f"{', '.join(KINDS)} are"
            )
        if self.hides not in (TOLD, *self.kind.objects):
            raise unknown("object to hide", self.hides, (TOLD, *self.kind.objects))
        if self.kind.grounded and self.hides == self.kind.objects[0]:
            raise TeachlibError(f"hides={self.hides}: a ground is everywhere; hide {', '.join(self.kind.objects[1:])}")
        if self.classes not in CLASSES:
            raise unknown("classes", self.classes, CLASSES)
        if self.untold and (self.dataset != "shapes" or self.hides != TOLD or self.name == "assemble-joint"):
            raise TeachlibError(
                f"classes={self.classes}: expected painters of shapes that are told all boxes; leave classes, hides or "
                "dataset out, and take assemble or assemble-direct"
            )
        require_at_least(1, width=self.width, steps=self.steps, batch_size=self.batch_size)
        require_at_least(0, mismatch=self.mismatch, information=self.information)
        require_positive(
            learning_rate=self.learning_rate,
            gamma=self.gamma,
            last_gamma=self.last_gamma,
            ema_half_life=self.ema_half_life,
        )

    @property
    def kind(self) -> Kind:
        """What its pictures are made of."""
        return KINDS[self.dataset]

    @property
    def completes(self) -> bool:
        """Whether painters learn to complete real pictures that lack an object; a joint generator has none."""
        return self.kind.places and not self.from_black and self.name != "assemble-joint"

    @property
    def untold(self) -> bool:
        """Whether boxes come without classes."""
        return self.classes != "told"

    @property
    def hidden(self) -> int | None:
        """The number of the object of which is not told where it is."""
        return self.kind.objects.index(self.hides) if self.hides != TOLD else None

    @property
    def joint_width(self) -> int:
        """Of one painter for everything, with as many parameters as one for each object."""
        return round(self.width * _JOINT_WIDER[len(self.kind.objects)])

    def gamma_at(self, step: int) -> float:
        """Weight of R1 in a step, counted from 0."""
        return self.gamma * (self.last_gamma / self.gamma) ** min(1.0, 2.5 * step / self.steps)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and results."""
        return asdict(self)


def recipe(
    name: str,
    dataset: str = "shapes",
    *,
    scale: str | Scale | None = None,
    width: int | None = None,
    steps: int | None = None,
    hides: str = TOLD,
    classes: str = "told",
    from_black: bool = False,
    from_real: bool = False,
) -> AssembleRecipe:
    """A recipe by name.

    Args:
        name: of :data:`RECIPES`: painters that add by alpha, painters that return the whole picture, one for all.
        dataset: of :data:`KINDS`.
        scale: decides width and steps.
        width: other than the scale's.
        steps: other than the scale's.
        hides: the object of which is not told where it is: that must then follow from the others.
        classes: whether boxes come with the class of what is in them, see :class:`AssembleRecipe`.
        from_black: painters always begin from black; else, where it is known where an object could be, they learn to
            complete real pictures that lack one, too.
        from_real: they learn nothing else.

    Raises:
        TeachlibError: unknown name, data set, scale or object; sizes below one; an option that changes nothing.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    require_at_least(1, width=width, steps=steps)
    chosen = Scale.of(scale)
    sizes = (width or _WIDTH[chosen], steps or _STEPS[chosen])
    made = AssembleRecipe(name, dataset, chosen.value, hides, *sizes)
    made = replace(made, z_dim=made.kind.z_dim, classes=classes)
    if from_black and from_real:
        raise TeachlibError("from-black and from-real: expected one of them, or none for both beginnings")
    if not made.completes and (from_black or from_real):
        raise TeachlibError(f"{name} on {dataset} always begins from black; leave from-black and from-real out")
    return replace(made, from_black=from_black, from_real=from_real)
