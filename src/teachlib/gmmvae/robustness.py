"""Every attack on one classifier, over growing ε (thesis Figure 4.3, and what it does not show)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from teachlib.errors import TeachlibError, require_at_least, require_images, require_labels
from teachlib.gmmvae.attacks import (
    Ball,
    Norm,
    accepted_wrongly,
    adaptive,
    apgd,
    fgsm,
    mim,
    misclassified,
    nearest_accepted,
    orthogonal_pgd,
    pgd,
    slacks,
    square,
)
from teachlib.gmmvae.attacks.targets import several
from teachlib.gmmvae.selective import Map, Outcome, SelectiveClassifier, outcome
from teachlib.modes import refuse_training


@dataclass(frozen=True)
class Budget:
    """What each attack may spend.

    Attributes:
        steps: of MIM, PGD, Auto-PGD and orthogonal PGD, and of the adaptive attack's full climbs; FAB's search for the
            nearest image has half as many at each class.
        restarts: of PGD, and full climbs of the adaptive attack.
        queries: of the Square attack.
        draws: of the classifier's noise, a gradient of the adaptive attack.
        batch_size: images at a time.
    """

    steps: int = 40
    restarts: int = 1
    queries: int = 500
    draws: int = 1
    batch_size: int = 250

    def __post_init__(self) -> None:
        require_at_least(1, **vars(self))


@dataclass(frozen=True)
class Robustness:
    """What came of every attack.

    Attributes:
        epsilons: radii, in growing order.
        outcomes: attack → an outcome for each radius; ``error`` is the share of successes: wrong, and accepted.
        plain: attack → share of wrong labels for each radius, refused or not.
    """

    epsilons: tuple[float, ...]
    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    plain: dict[str, list[float]] = field(default_factory=dict)

    def row(self) -> dict[str, float]:
        """All shares under names such as ``pgd_error_0.1``."""
        row: dict[str, float] = {}
        for name, found in self.outcomes.items():
            for epsilon, shares, wrong in zip(self.epsilons, found, self.plain[name], strict=True):
                row |= {f"{name}_{key}_{epsilon:g}": value for key, value in vars(shares).items()}
                row[f"{name}_misclassified_{epsilon:g}"] = wrong
        return row


def robustness(
    scores: Map,
    classifier: SelectiveClassifier,
    x: Tensor,
    labels: Tensor,
    epsilons: Sequence[float],
    *,
    norm: Norm = "linf",
    budget: Budget | None = None,
    surrogate: Map | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Robustness:
    """Attack one classifier by everything there is.

    FGSM, MIM, PGD and Auto-PGD climb the classifier's margin and know of no detector; ``transfer`` climbs another
    network's; ``square`` sees the joint loss of label and detectors through queries alone; ``orthogonal`` goes from one
    of these requirements to the next; ``fab`` looks once for the nearest image that meets all of them, and succeeds at
    all radii from there on; ``adaptive`` climbs the joint loss and starts from where all others ended, and from its own
    successes at smaller radii, so that at each radius it is at least as strong as any of them.

    Args:
        scores: of every class, (N, k), higher for likelier ones; logits or minus distances.
        classifier: the same with its detectors.
        x: clean images, (N, C, H, W).
        labels: true classes, (N,).
        epsilons: radii.
        norm: of the ball.
        budget: see :class:`Budget`.
        surrogate: another network's scores, for transfer.
        seed: of all draws.
        progress: show a bar.

    Raises:
        TeachlibError: no radius, or one below zero; no images; labels that are none of two classes or more.
    """
    spend, generator = budget or Budget(), torch.Generator().manual_seed(seed)
    radii = tuple(sorted(set(epsilons)))
    _refuse_no_task(scores, x, labels, radii)
    measured = Robustness(radii)
    climb = partial(adaptive, classifier, x, labels, steps=spend.steps, restarts=spend.restarts, draws=spend.draws)
    earlier: list[Tensor] = []
    balls = {epsilon: Ball(epsilon, norm) for epsilon in radii}
    alone = {e: _attacks(scores, classifier, ball, spend, surrogate, generator) for e, ball in balls.items()}
    # At each radius FAB and the adaptive attack follow those that begin without another's end.
    count = sum(len(attacks) + 2 for attacks in alone.values())
    with tqdm(total=count, unit="attack", leave=False, disable=not progress) as bar:
        bar.set_description("the nearest")
        nearest = nearest_accepted(
            classifier,
            x,
            labels,
            norm=norm,
            steps=max(spend.steps // 2, 1),
            draws=spend.draws,
            generator=generator,
            batch_size=spend.batch_size,
        )
        for epsilon, ball in balls.items():
            ends = {}
            for name, attack in alone[epsilon].items():
                bar.set_description(f"{name}, ε = {epsilon:g}")
                ends[name] = _by_batch(attack, x, labels, spend.batch_size)
                bar.update()
            ends["fab"] = nearest.within(ball, x)
            bar.update()
            bar.set_description(f"adaptive, ε = {epsilon:g}")
            starts = [*ends.values(), *earlier]
            ends["adaptive"] = climb(ball, starts=starts, generator=generator, batch_size=spend.batch_size)
            bar.update()
            earlier = [ends["adaptive"]]
            for name, end in ends.items():
                decision = classifier.decide(end, generator)
                measured.outcomes.setdefault(name, []).append(outcome(decision, labels))
                measured.plain.setdefault(name, []).append(float((decision.labels != labels).double().mean()))
    return measured


def _refuse_no_task(scores: Map, x: Tensor, labels: Tensor, radii: Sequence[float]) -> None:
    if not radii:
        raise TeachlibError("no radius; expected one epsilon or more")
    require_images(x, rounding=0)
    if not len(x):
        raise TeachlibError("no images; expected one or more, as every number is a share of them")
    with torch.no_grad(), refuse_training():
        classes = several(scores(x[:1]))
    require_labels(labels, classes, count=len(x))


Attack = Callable[[Tensor, Tensor], Tensor]


def _by_batch(attack: Attack, x: Tensor, labels: Tensor, batch_size: int) -> Tensor:
    pairs = zip(x.split(batch_size), labels.split(batch_size), strict=True)
    return torch.cat([attack(images, known) for images, known in pairs])


def _attacks(
    scores: Map,
    classifier: SelectiveClassifier,
    ball: Ball,
    spend: Budget,
    surrogate: Map | None,
    generator: torch.Generator,
) -> dict[str, Attack]:
    """Each as a function of images and labels alone."""
    steps = spend.steps
    restarted = partial(pgd, steps=steps, restarts=spend.restarts, generator=generator)
    attacks: dict[str, Attack] = {
        "fgsm": lambda x, y: fgsm(misclassified(scores, y), x, ball),
        "mim": lambda x, y: mim(misclassified(scores, y), x, ball, steps=steps),
        "pgd": lambda x, y: restarted(misclassified(scores, y), x, ball),
        "apgd": lambda x, y: apgd(misclassified(scores, y), x, ball, steps=steps),
        "orthogonal": lambda x, y: orthogonal_pgd(slacks(classifier, y, generator=generator), x, ball, steps=steps),
        "square": lambda x, y: square(
            lambda v, rows: accepted_wrongly(classifier, y[rows], generator=generator)(v),
            x,
            ball,
            queries=spend.queries,
            generator=generator,
        ),
    }
    if surrogate is not None:
        other = surrogate
        attacks["transfer"] = lambda x, y: mim(misclassified(other, y), x, ball, steps=steps)
    return attacks
