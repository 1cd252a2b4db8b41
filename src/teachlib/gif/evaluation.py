"""Does it obey? Parameters asked for, beside those read off the pictures again ("re-inference", thesis § 5.3.5).

The network's own error is no fault of a generator: every number stands beside the ceiling that the network reaches on
photographs, and the floor of saying the mean whatever was asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

from teachlib.errors import unknown
from teachlib.gif.cross_talk import CrossTalk, cross_talk
from teachlib.gif.head import head
from teachlib.gif.heads import Heads, factors
from teachlib.gif.models import Face, Reinference
from teachlib.gif.parameters import Parameters, centred, neutral, randomly, vector, vector_columns
from teachlib.gif.told import Told
from teachlib.metrics import density_coverage, frechet_between, statistics_of
from teachlib.modes import evaluating

_BATCH = 100
_INSIDE = 0.1  # sum of a normal's absolute components, where there is a head: 1 or more, but for mixed pixels


def _columns() -> dict[str, slice]:
    """Where the groups stand that obedience is told of: turns that matter most by themselves."""
    columns = vector_columns()
    pose = columns.pop("pose").start  # most of a pose hardly ever changes; these do
    turns = {name: slice(pose + at, pose + at + 1) for name, at in (("pitch", 0), ("yaw", 1), ("jaw", 6))}
    columns["shape"] = slice(0, 10)  # the components that change most
    return {**turns, **columns}


COLUMNS = _columns()


@dataclass(frozen=True)
class Obedience:
    """How well numbers that were asked for are found again, one number a parameter.

    Attributes:
        correlation: Pearson's, (P,).
        r2: 1 - squared error over variance: also scale and offset must be right, (P,).
        slope: of what is found over what is asked; 1 where a step asked for is a step taken, (P,).
    """

    correlation: Tensor
    r2: Tensor
    slope: Tensor

    def row(self, prefix: str = "") -> dict[str, float]:
        """Means over the parameters of each group that changed at all."""
        numbers = {}
        for group, columns in COLUMNS.items():
            for kind, values in vars(self).items():
                known = values[columns][~values[columns].isnan()]
                if len(known):
                    numbers[f"{prefix}{group} {kind}"] = known.mean().item()
        return numbers


def obedience(asked: Tensor, found: Tensor) -> Obedience:
    """Compare standardized vectors, both (N, P); a parameter that never changes has no number (NaN)."""
    a, f = asked - asked.mean(0), found - found.mean(0)
    variance, spread = a.square().mean(0), f.square().mean(0)
    changes = variance > 1e-6
    shared = (a * f).mean(0)
    correlation = shared / (variance * spread).sqrt().clamp_min(1e-12)
    r2 = 1 - (asked - found).square().mean(0) / variance.clamp_min(1e-12)
    slope = shared / variance.clamp_min(1e-12)
    return Obedience(*(torch.where(changes, value, torch.nan) for value in (correlation, r2, slope)))


@torch.no_grad()
def inferred(judge: Reinference, pictures: Tensor) -> Tensor:
    """Standardized parameters read off pictures (N, 3, size, size) in [0, 1], (N, P)."""
    with evaluating(judge):
        return torch.cat([judge(part) for part in pictures.split(_BATCH)])


@dataclass(frozen=True)
class Fidelity:
    """How near a set of pictures comes to photographs, in features of a network that was never trained.

    The network that reads parameters would be blind here: it has learned to see nothing but the head, and takes a head
    pasted into another photograph for a good picture.

    Attributes:
        frechet: distance over the photographs' total variance: 0 is the same, and no number of Inception's.
        density: how many neighbourhoods of photographs a picture lies in, over what is expected; 1 is as photographs,
            and blurred pictures, which lie in the middle of many, have more.
        coverage: share of the photographs that have a picture in their neighbourhood.
    """

    frechet: float
    density: float
    coverage: float


def fidelity(photographs: Tensor, pictures: Tensor) -> Fidelity:
    """Compare pictures with photographs, both (N, 3, size, size) in [0, 1]."""
    real, ours = looks(photographs), looks(pictures)
    distance = frechet_between(statistics_of(ours), statistics_of(real), relative=True)
    found = density_coverage(real, ours)
    return Fidelity(distance, found.density, found.coverage)


@torch.no_grad()
def looks(pictures: Tensor) -> Tensor:
    """What three convolutions with random weights, always the same, see in pictures, (N, 256)."""
    generator, x = torch.Generator().manual_seed(0), avg_pool2d(2 * pictures - 1, max(1, pictures.shape[-1] // 32))
    for inputs, outputs in ((3, 32), (32, 64), (64, 16)):
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator)  # of any size: what is measured is relative
        x = conv2d(x, weight.to(x), stride=2, padding=1).relu()
    return x.flatten(1)


def pasted(test: Heads, others: Heads) -> Tensor:
    """The control that obeys and is no photograph: each rendering, cut out and pasted onto another head's picture.

    Args:
        test: whose heads are asked for.
        others: as many pictures that they are pasted onto.

    Returns:
        (N, 3, size, size) in [0, 1].
    """
    renderings = test.condition(torch.arange(len(test)))
    inside = renderings[:, 3:].abs().sum(1, keepdim=True) > _INSIDE
    return torch.where(inside, renderings[:, :3] / 2 + 0.5, others[:][0])


@torch.no_grad()
def drawn(face: Face, asked: Parameters, styles: Tensor) -> Tensor:
    """Pictures of a model, in parts that fit into memory, (N, 3, size, size) in [0, 1]."""
    parts = [slice(start, start + _BATCH) for start in range(0, len(asked), _BATCH)]
    with evaluating(face):
        return torch.cat([face(asked[rows], styles[rows]) for rows in parts])


@torch.no_grad()
def told(face: Face, test: Told, *, seed: int = 0) -> Tensor:
    """Pictures of what held-out photographs show, in styles of the training set, (N, 3, size, size) in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    styles = face.styles(torch.randint(face.recipe.pictures, (len(test),), generator=generator))
    drawn = []
    with evaluating(face):
        for rows in torch.arange(len(test)).split(_BATCH):
            renderings = test.condition(rows) if face.recipe.renderings else None
            drawn.append(face.draw(face.told(test.vectors[rows], renderings), styles[rows]))
    return torch.cat(drawn)


@dataclass(frozen=True)
class Evaluation:
    """What was found of one model.

    Attributes:
        obeyed: parameters of test pictures, asked of the model in styles of training pictures.
        ceiling: the same, read off the test photographs themselves.
        style_drift: how far what is read off moves when the style alone changes, in deviations of each parameter over
            photographs, averaged.
        variety: mean difference of pixels between two styles of one head, outside the rendering and inside it.
        fidelity: of the pictures beside the test photographs.
        talk: between where a head looks and the side that its light comes from (:func:`teachlib.gif.heads.factors`),
            each in deviations; test pictures ask for them independently.
        ceiling_talk: the same, of the test photographs.
        trembling: of films of a turning head (:func:`trembling`).
    """

    obeyed: Obedience
    ceiling: Obedience
    style_drift: float
    variety: tuple[float, float]
    fidelity: Fidelity
    talk: CrossTalk
    ceiling_talk: CrossTalk
    trembling: float

    def row(self) -> dict[str, float]:
        """As it is recorded."""
        outside, inside = self.variety
        own = {"style drift": self.style_drift, "variety outside": outside, "variety inside": inside}
        own |= {"trembling": self.trembling, **vars(self.fidelity)}
        own |= _talked(self.talk) | _talked(self.ceiling_talk, "ceiling ")
        return {**self.obeyed.row(), **self.ceiling.row("ceiling "), **own}


def _talked(talk: CrossTalk, prefix: str = "") -> dict[str, float]:
    """Slopes of looks on looks and light on light, and of each on the other."""
    (looks, looks_by_light), (light_by_looks, light) = talk.slopes.tolist()
    own = {"looks obeyed": looks, "light obeyed": light}
    own |= {"light heard in looks": looks_by_light, "looks heard in light": light_by_looks}
    return {f"{prefix}{name}": value for name, value in own.items()}


def _talk(asked: Tensor, found: Tensor) -> CrossTalk:
    """Of looks and light, in deviations of what was asked; both (N, 157), standardized."""
    asked, found = factors(asked), factors(found)
    return cross_talk(asked / asked.std(0), found / asked.std(0))


def evaluate(face: Face, judge: Reinference, test: Heads, *, seed: int = 0) -> Evaluation:
    """Ask a model for the heads of test pictures, and read off what it draws.

    Args:
        face: to be judged.
        judge: trained on photographs.
        test: pictures that neither was trained on.
        seed: of the styles.
    """
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(face.recipe.pictures, (2, len(test)), generator=generator)
    asked, photographs = judge.standard(vector(test.parameters)), test[:][0]
    first, second = (drawn(face, test.parameters, face.styles(rows)) for rows in numbers)
    found, other = inferred(judge, first), inferred(judge, second)
    changes = judge.standard.deviation > 1e-6
    inside = test.condition(torch.arange(len(test)))[:, 3:].abs().sum(1, keepdim=True) > _INSIDE
    moved = (first - second).abs().mean(1, keepdim=True)
    read = inferred(judge, photographs)
    return Evaluation(
        obeyed=obedience(asked, found),
        ceiling=obedience(asked, read),
        style_drift=(found - other)[:, changes].abs().mean().item(),
        variety=(moved[~inside].mean().item(), moved[inside].mean().item()),
        fidelity=fidelity(photographs, first),
        talk=_talk(asked, found),
        ceiling_talk=_talk(asked, read),
        trembling=trembling(face),
    )


def drift(picture: Callable[[Parameters], Tensor], judge: Reinference, test: Heads, group: str) -> dict[str, float]:
    """Constant-attribute drift: what else seems to change when one group is exchanged, in deviations.

    Args:
        picture: heads → pictures, (N, 3, size, size) in [0, 1], all in one style.
        judge: trained on photographs.
        test: whose heads exchange the group with the next one's.
        group: of :class:`teachlib.gif.parameters.Parameters`.
    """
    after = test.parameters[torch.arange(1, len(test) + 1) % len(test)]
    exchanged = test.parameters.exchanged(after, group)
    before, then = (inferred(judge, picture(asked)) for asked in (test.parameters, exchanged))
    moved = (then - before).abs().mean(0)
    own = {"pose": ("yaw", "pitch", "jaw")}.get(group, (group,))
    return {name: moved[columns].mean().item() for name, columns in COLUMNS.items() if name not in own}


def group_drift(face: Face, judge: Reinference, test: Heads, group: str, *, seed: int = 0) -> dict[str, float]:
    """The :func:`drift` of a generator's pictures.

    Args:
        face: to be judged.
        judge: trained on photographs.
        test: whose heads exchange the group with the next one's.
        group: of :class:`teachlib.gif.parameters.Parameters`.
        seed: of the style, one for all.
    """
    style = face.styles(torch.tensor([seed % face.recipe.pictures])).expand(len(test), -1)
    return drift(lambda asked: drawn(face, asked, style), judge, test, group)


@torch.no_grad()
def trembling(face: Face, *, styles: int = 4, frames: int = 31) -> float:
    """How unevenly pictures of an evenly turning head change, in each style, averaged.

    By their :func:`unevenness`: a model that glides has little of it, and one that hardly moves is not rewarded, as it
    would be for small second differences alone.

    Args:
        face: to be judged.
        styles: how many, the first ones of its training pictures.
        frames: of a turn from 0.4 rad on one side to as much on the other.
    """
    asked = turning(frames)
    films = [drawn(face, asked, face.styles(torch.full((frames,), number))) for number in range(styles)]
    return sum(map(unevenness, films)) / styles


def turning(frames: int) -> Parameters:
    """A mean head that turns evenly from 0.4 rad on one side to as much on the other."""
    asked = neutral(frames)
    asked.pose[:, 0, 1] = torch.linspace(-0.4, 0.4, frames)
    return centred(asked)


def unevenness(film: Tensor) -> float:
    """The mean absolute second difference over time over the first one, of frames (N, …); a still film's is 0."""
    return (film.diff(n=2, dim=0).abs().mean() / film.diff(dim=0).abs().mean().clamp_min(1e-12)).item()


FACTORS = ("shape", "expression", "pose")


@dataclass(frozen=True)
class VertexError:
    """How far the vertices of asked and of inferred heads lie apart, in millimetres (thesis Figure 5.9b).

    Attributes:
        rmse: root of the mean squared distance; the thesis's word.
        mean: mean distance, which its released script calls RMSE.
        floor: the mean distance where the mean head is inferred of every picture.
    """

    rmse: float
    mean: float
    floor: float


def one_factor(factor: str, count: int, generator: torch.Generator) -> Parameters:
    """Heads of which one factor is drawn and all others are at rest; the camera keeps their eyes in the middle.

    Raises:
        TeachlibError: another factor than shape, expression and pose.
    """
    if factor not in FACTORS:
        raise unknown("factor", factor, FACTORS)
    return centred(neutral(count).exchanged(randomly(count, generator), factor))


@torch.no_grad()
def vertex_error(pictures: Tensor, asked: Parameters, factor: str, judge: Reinference) -> VertexError:
    """Infer one factor of pictures again, and compare the heads that it makes, eyes kept in one place.

    Args:
        pictures: (N, 3, size, size) in [0, 1].
        asked: of the pictures.
        factor: of :data:`FACTORS`.
        judge: that infers.
    """
    if factor not in FACTORS:
        raise unknown("factor", factor, FACTORS)
    columns = vector_columns()[factor]
    standard = inferred(judge, pictures)[:, columns]
    numbers = standard * judge.standard.deviation[columns] + judge.standard.mean[columns]
    given = getattr(asked, factor)
    mean = judge.standard.mean[columns].expand_as(numbers)
    first, second, third = (
        _vertices(replace(neutral(len(asked)), **{factor: values.view_as(given)})) for values in (given, numbers, mean)
    )
    apart, from_mean = ((first - other).norm(dim=2) * 1000 for other in (second, third))
    return VertexError(apart.square().mean().sqrt().item(), apart.mean().item(), from_mean.mean().item())


def _vertices(asked: Parameters) -> Tensor:
    return head().vertices(asked.shape, asked.expression, asked.pose)
