"""Exercises on comparing inversions: time until an error is reached, passes of an iterative encoder, the front."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ---------------------------------------------------------------------------------------------------- until

_ERRORS = torch.tensor([0.9, 0.5, 0.3, 0.2, 0.25])


def _until(errors: Tensor, seconds_a_step: float, goal: float) -> float:
    reached = (errors <= goal).nonzero()
    return reached[0].item() * seconds_a_step if len(reached) else -1.0


until = exercise(
    "until",
    "Write until(errors, seconds_a_step, goal): errors (S + 1,) before each step of a search and after the last one. "
    "Return the seconds after which the error is first at most goal, -1 if it never is.",
    _until,
    calls({"later": (_ERRORS, 0.5, 0.3), "at once": (_ERRORS, 0.5, 0.95), "never": (_ERRORS, 0.5, 0.1)}),
    wrong={
        "one_more": (
            lambda errors, seconds_a_step, goal: _until(errors, seconds_a_step, goal) + seconds_a_step,
            "one step too many: the first error is that before any step",
        ),
        "of_all": (
            lambda errors, seconds_a_step, goal: (len(errors) - 1) * seconds_a_step,
            "the time of the whole search, which had reached the goal earlier",
        ),
        "zero_for_never": (
            lambda errors, seconds_a_step, goal: int((errors <= goal).float().argmax()) * seconds_a_step,
            "a search that never gets there was said to be there at once",
        ),
        "at_the_best": (
            lambda errors, seconds_a_step, goal: (
                int(errors.argmin()) * seconds_a_step if errors.min() <= goal else -1.0
            ),
            "the time of the smallest error, not of the first that is small enough",
        ),
    },
)

# --------------------------------------------------------------------------------------------------- passes

_IMAGE, _START = torch.rand(2, 3, generator=seeded(0)), torch.zeros(2, 3)


def _generate(w: Tensor) -> Tensor:
    return 2 * w


def _step(image: Tensor, made: Tensor) -> Tensor:
    return (image - made) / 4


def _passes(
    image: Tensor,
    start: Tensor,
    generate: Callable[[Tensor], Tensor],
    step: Callable[[Tensor, Tensor], Tensor],
    count: int,
) -> Tensor:
    w, found = start, []
    for _ in range(count):
        w = w + step(image, generate(w))
        found.append(w)
    return torch.stack(found)


def _from_the_start(
    image: Tensor,
    start: Tensor,
    generate: Callable[[Tensor], Tensor],
    step: Callable[[Tensor, Tensor], Tensor],
    count: int,
) -> Tensor:
    return torch.stack([start + step(image, generate(start))] * count)


passes = exercise(
    "passes",
    "Write passes(image, start, generate, step, count): an iterative encoder begins with the codes start (N, d). In "
    "each of count passes step(image, made) names the step from the codes whose pictures are made = generate(codes). "
    "Return the codes after each pass, (count, N, d).",
    _passes,
    calls({"three": (_IMAGE, _START, _generate, _step, 3), "one": (_IMAGE, _START + 1, _generate, _step, 1)}),
    wrong={
        "from_the_start": (
            _from_the_start,
            "each pass began again with the first codes: the last answer was not looked at",
        ),
        "no_residual": (
            lambda image, start, generate, step, count: torch.stack(
                [step(image, generate(w)) for w in (start, *_passes(image, start, generate, step, count)[:-1])]
            ),
            "the steps themselves; the codes are those of the pass before plus the step",
        ),
        "start_too": (
            lambda image, start, generate, step, count: torch.cat(
                [start[None], _passes(image, start, generate, step, count)[:-1]]
            ),
            "the codes before each pass; those after it were asked for",
        ),
    },
)

# ---------------------------------------------------------------------------------------------------- front

_E, _D = torch.tensor([0.03, 0.04, 0.05, 0.05, 0.08]), torch.tensor([0.07, 0.04, 0.02, 0.03, 0.05])


def _front(errors: Tensor, distances: Tensor) -> Tensor:
    e, d = errors[:, None], distances[:, None]
    beats = (errors <= e) & (distances <= d) & ((errors < e) | (distances < d))
    return ~beats.any(1)


front = exercise(
    "front",
    "Write front(errors, distances): both (N,), the smaller the better. Return (N,) bools: true for each model that no "
    "other beats, where to beat is to be no worse in both columns and better in one.",
    _front,
    calls({"five": (_E, _D), "twins": (torch.ones(2), torch.ones(2)), "one": (_E[:1], _D[:1])}),
    wrong={
        "best_of_each": (
            lambda errors, distances: (errors == errors.min()) | (distances == distances.min()),
            "only the best in one column; a model between them may be beaten by none either",
        ),
        "no_worse": (
            lambda errors, distances: (
                ~(((errors <= errors[:, None]) & (distances <= distances[:, None])).fill_diagonal_(False).any(1))
            ),
            "of two equal models each was said to beat the other",
        ),
        "strict": (
            lambda errors, distances: ~((errors < errors[:, None]) & (distances < distances[:, None])).any(1),
            "a model that is equal in one column and worse in the other is beaten, too",
        ),
    },
)
