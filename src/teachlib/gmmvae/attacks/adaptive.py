"""The attack that the thesis asks for in §4.8.4 and does not run: on encoder, decoder and both thresholds at once."""

from collections.abc import Sequence

import torch
from torch import Tensor
from tqdm import tqdm

from teachlib.errors import require_at_least, require_images, require_labels, require_positive
from teachlib.gmmvae.attacks.ball import Ball, Norm, per_sample
from teachlib.gmmvae.attacks.gradient import Loss, apgd
from teachlib.gmmvae.attacks.targets import accepted_as, several
from teachlib.gmmvae.selective import SelectiveClassifier
from teachlib.modes import refuse_training

# The loss has a narrow ridge. Auto-PGD's own first step, 2ε, throws images off it where ε is large, and an attack that
# may do more then finds less: on glyphs no success at all at ε = 1, where steps of this size reach them all.
_FIRST_STEP: dict[Norm, float] = {"linf": 0.05, "l2": 1.0}


@torch.inference_mode(False)
def adaptive(
    classifier: SelectiveClassifier,
    x: Tensor,
    labels: Tensor,
    ball: Ball,
    *,
    steps: int = 100,
    restarts: int = 5,
    starts: Sequence[Tensor] = (),
    draws: int = 1,
    first_step: float | None = None,
    generator: torch.Generator,
    batch_size: int = 250,
    progress: bool = False,
) -> Tensor:
    """Images that a selective classifier accepts with a wrong label, found with full knowledge of it.

    Auto-PGD on :func:`accepted_as`. First a fifth of the steps for every class but the true one; then, for images
    that still resist, ``restarts`` full climbs, each at the next best class, from where the first look at it ended or,
    every second time, from a random point, with a weight between code and pixels drawn anew.

    Args:
        classifier: to be fooled.
        x: clean images, (N, C, H, W).
        labels: true classes, (N,).
        ball: how far it may go.
        steps: of each full climb.
        restarts: full climbs an image.
        starts: where other attacks on these images ended, within the ball. What has succeeded there is kept, so that
            this attack is never weaker than those.
        draws: of the classifier's noise, a gradient.
        first_step: length of every climb's first step; by default 2ε, but not more than 0.05 (L∞) or 1 (L2).
        generator: explicit randomness.
        batch_size: images at a time; smaller ones fit caches better.
        progress: show a bar.

    Returns:
        For each image the point with the greatest loss found, as ``x``; within the ball.

    Raises:
        TeachlibError: no such images, labels or numbers; a network in training mode; a slope that is not a number.
    """
    require_at_least(1, steps=steps, draws=draws, batch_size=batch_size)
    require_at_least(0, restarts=restarts)
    require_positive(first_step=first_step)
    require_images(x, ball.low, ball.high, rounding=0)
    if not len(x):
        return x.clone()
    if first_step is None:
        first_step = min(2 * ball.epsilon, _FIRST_STEP[ball.norm])
    x, labels = x.clone(), labels.clone()  # a caller in inference mode gives tensors that no gradient may see
    parts = []
    chunks = range(0, len(x), batch_size)
    for first in tqdm(chunks, unit="batch", desc="adaptive attack", leave=False, disable=not progress):
        rows = slice(first, first + batch_size)
        search = _Search(classifier, x[rows], labels[rows], ball, draws, first_step, generator)
        for start in starts:
            search.keep(start[rows])
        search.scout(max(steps // 5, 1))
        for restart in range(restarts):
            search.climb(steps, restart)
        parts.append(search.best)
    return torch.cat(parts)


class _Search:
    """Best point and loss of each image, and what a short climb at each class has come to."""

    def __init__(
        self,
        classifier: SelectiveClassifier,
        x: Tensor,
        labels: Tensor,
        ball: Ball,
        draws: int,
        first_step: float,
        generator: torch.Generator,
    ) -> None:
        self.classifier, self.x, self.ball = classifier, x, ball
        self.draws, self.first_step, self.generator = draws, first_step, generator
        self.best, self.value = x.clone(), torch.full((len(x),), -torch.inf, device=x.device)
        with torch.no_grad(), refuse_training():
            scores, _, _ = classifier.measure(x[:1], generator)
        self.classes = several(scores)
        self.labels = require_labels(labels, self.classes, count=len(x))
        self.ends = torch.stack([x] * self.classes)
        self.reached = torch.full((len(x), self.classes), -torch.inf, device=x.device)
        self.keep(x)

    def keep(self, points: Tensor) -> None:
        """Take points that are better, as what the classifier takes them for."""
        with torch.no_grad():
            predicted = self.classifier.decide(points, self.generator).labels
            value = self._loss(predicted)(points)
        self._improve(slice(None), points, torch.where(predicted == self.labels, -torch.inf, value))

    def _loss(self, targets: Tensor, weight: Tensor | float = 1.0) -> Loss:
        return accepted_as(self.classifier, targets, weight=weight, draws=self.draws, generator=self.generator)

    def _improve(self, rows: slice | Tensor, points: Tensor, value: Tensor) -> None:
        better = value > self.value[rows]
        self.best[rows] = torch.where(per_sample(better, self.x), points, self.best[rows])
        self.value[rows] = torch.where(better, value, self.value[rows])

    def _attack(
        self, rows: Tensor, targets: Tensor, start: Tensor, steps: int, weight: Tensor | float = 1.0
    ) -> tuple[Tensor, Tensor]:
        loss, size = self._loss(targets, weight), self.first_step
        end = apgd(loss, self.x[rows], self.ball, steps=steps, step_size=size, start=start)
        with torch.no_grad():
            value = self._loss(targets)(end)
        self._improve(rows, end, value)
        return end, value

    def scout(self, steps: int) -> None:
        """A short climb at every class but the true one."""
        for target in range(self.classes):
            rows = ((self.labels != target) & (self.value <= 0)).nonzero().flatten()
            if len(rows):
                targets = torch.full_like(rows, target)
                self.ends[target, rows], self.reached[rows, target] = self._attack(rows, targets, self.x[rows], steps)

    def climb(self, steps: int, restart: int) -> None:
        """A full climb at the class that came next closest."""
        rows = (self.value <= 0).nonzero().flatten()
        if not len(rows):
            return
        rank = (restart // 2) % (self.classes - 1)
        targets = self.reached[rows].argsort(1, descending=True)[:, rank]
        from_noise = restart % 2 == 1
        start = self.ball.random(self.x[rows], self.generator) if from_noise else self.ends[targets, rows]
        exponent = 2 * torch.rand(len(rows), generator=self.generator, device=self.x.device) - 1
        self._attack(rows, targets, start, steps, 10**exponent)
