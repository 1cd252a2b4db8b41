"""A classifier that a correlation misleads, and pictures edited so that the correlation goes (thesis § 6.4.1)."""

import torch
from torch import Tensor, nn

from teachlib.errors import TeachlibError
from teachlib.invgan.editing import direction
from teachlib.invgan.evaluation import generate_all, infer_all
from teachlib.invgan.networks import InvGAN
from teachlib.modes import in_evaluation_mode

_CHUNK = 500


def groups_of(target: Tensor, other: Tensor) -> Tensor:
    """The group of each picture, (N,): 0 neither, 1 the other attribute alone, 2 the target alone, 3 both.

    Args:
        target: whether each has what is to be told, (N,) of bools or of zeros and ones.
        other: likewise, of what it is correlated with.

    Raises:
        TeachlibError: other shapes or values; a group that no picture is of.
    """
    for answers in (target, other):
        if answers.ndim != 1 or len(answers) != len(target) or not ((answers == 0) | (answers == 1)).all():
            raise TeachlibError(
                f"attributes of shapes {tuple(target.shape)} and {tuple(other.shape)}; expected (N,) of true or false"
            )
    groups = 2 * target.long() + other.long()
    counts = groups.bincount(minlength=4).tolist()
    if 0 in counts:
        raise TeachlibError(f"groups of {counts} pictures (neither, other, target, both); expected some of each")
    return groups


def correlated(target: Tensor, other: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Rows of a set in which two attributes agree in a given share, with as many pictures with the target as without.

    Args:
        target: as :func:`groups_of` takes it.
        other: likewise.
        share: of pictures that have both or neither, between 0 and 1; ½: no correlation.
        generator: of the draw.

    Returns:
        Numbers of pictures, each at most once, in no order.

    Raises:
        TeachlibError: another share; too few pictures for it.
    """
    if not 0 < share < 1:
        raise TeachlibError(f"share is {share}; expected more than 0 and less than 1")
    groups = groups_of(target, other)
    shares = torch.tensor([share, 1 - share, 1 - share, share])
    each = (groups.bincount(minlength=4) / shares).min()
    counts = (shares * each).floor().long().tolist()
    if 0 in counts:
        raise TeachlibError(f"too few pictures: of the groups, {counts} could be taken; expected some of each")
    members = [(groups == number).nonzero()[:, 0] for number in range(4)]
    drawn = [m[torch.randperm(len(m), generator=generator)[:n]] for m, n in zip(members, counts, strict=True)]
    return torch.cat(drawn)


def evened(target: Tensor, other: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Rows of a set that takes as many pictures of each group, those of rare groups again and again, (count,)."""
    groups = groups_of(target, other)
    weights = 1.0 / groups.bincount(minlength=4)[groups]
    return weights.multinomial(count, replacement=True, generator=generator)


def turned_over(codes: Tensor, factor: Tensor, target: Tensor) -> Tensor:
    """Codes moved so that a known factor becomes its negative, as a regression says, and the target stays.

    The regression is of deviations from the means of those with the target and of those without: in the set as a whole
    whatever tells the target would tell the factor, too.

    Args:
        codes: (N, w_dim).
        factor: of the same pictures, (N,).
        target: whether they have it, (N,) of bools or of zeros and ones; some have, some have not.

    Raises:
        TeachlibError: as :func:`teachlib.invgan.direction`; a target that all or none have.
    """
    has = target.bool()
    if has.shape != factor.shape or len(codes) != len(has) or has.all() or not has.any():
        raise TeachlibError(f"a target of shape {tuple(target.shape)}; expected (N,), true for some pictures, not all")
    apart, values = codes.clone(), factor.clone().double()
    for members in (has, ~has):
        apart[members] -= codes[members].mean(0)
        values[members] -= factor[members].double().mean()
    step = direction(apart, values)
    return codes + (-2 * factor / values.std()).to(codes)[:, None] * step


def edited(model: InvGAN, images: Tensor, factor: Tensor, target: Tensor) -> Tensor:
    """Pictures (N, C, H, W) with a factor turned over by their codes, as :func:`turned_over`."""
    return generate_all(model, turned_over(infer_all(model, images), factor, target))


def edited_linearly(images: Tensor, components: int, factor: Tensor, target: Tensor) -> Tensor:
    """The same by principal components of the pictures themselves, which needs no model."""
    flat = images.flatten(1)
    middle = flat.mean(0)
    with torch.random.fork_rng(devices=()):  # the projection is drawn, and touches no draw of the caller's
        torch.manual_seed(0)
        axes = torch.pca_lowrank(flat - middle, components, center=False, niter=4)[2]
    moved = turned_over((flat - middle) @ axes, factor, target)
    return (middle + moved @ axes.T).clamp(0, 1).view_as(images)


@torch.no_grad()
@in_evaluation_mode
def accuracies(net: nn.Module, images: Tensor, target: Tensor, other: Tensor) -> Tensor:
    """Of a classifier, in each group of :func:`groups_of`, (4,); what it says above 0 is yes.

    Args:
        net: images → (N, 1).
        images: (N, C, H, W) in [0, 1].
        target: as :func:`groups_of` takes it.
        other: likewise.
    """
    groups = groups_of(target, other)
    said = torch.cat([net(part)[:, 0] for part in images.split(_CHUNK)]) > 0
    right = (said == target.bool()).double()
    return torch.zeros(4, dtype=torch.double).index_add(0, groups, right) / groups.bincount(minlength=4)
