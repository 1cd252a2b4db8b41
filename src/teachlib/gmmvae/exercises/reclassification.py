"""Exercises on looking for a code that explains an image: which search, one step of it, whose label."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ---------------------------------------------------------------------------------------------- choose_search

_CODES, _ERRORS = torch.randn(3, 4, 2, generator=seeded(0)), torch.rand(3, 4, generator=seeded(1))

choose_search = exercise(
    "choose_search",
    "Write choose_search(codes, errors): of k searches an image, codes (N, k, d) with errors (N, k), the code "
    "whose picture came nearest, (N, d).",
    lambda codes, errors: codes[torch.arange(len(codes)), errors.argmin(1)],
    calls({"codes": (_CODES, _ERRORS)}),
    wrong={
        "average": (
            lambda codes, errors: codes.mean(1),
            "the mean of the codes: between two classes there is no picture of either. Choose one search",
        ),
        "furthest": (
            lambda codes, errors: codes[torch.arange(len(codes)), errors.argmax(1)],
            "the search with the largest error; Eq. 4.8 minimizes it",
        ),
        "one_for_all": (
            lambda codes, errors: codes[:, errors.sum(0).argmin()],
            "the same start for all images: each has its own best",
        ),
    },
)


# ----------------------------------------------------------------------------------------------- search_step

_MIXING = torch.randn(2, 9, generator=seeded(0))
_Z, _GOAL = torch.randn(4, 2, generator=seeded(1)), torch.rand(4, 1, 3, 3, generator=seeded(2))


def _decoder(codes: Tensor) -> Tensor:
    return (codes @ _MIXING).tanh().view(-1, 1, 3, 3)


def _search_step(
    decode: Callable[[Tensor], Tensor],
    z: Tensor,
    x: Tensor,
    step_size: float,
    reduce: Callable[[Tensor], Tensor] = torch.sum,
) -> Tensor:
    z = z.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(reduce((decode(z) - x).square()), z)
    return (z - step_size * gradient).detach()


search_step = exercise(
    "search_step",
    "Write search_step(decode, z, x, step_size): one step of gradient descent on ‖g(z) − x‖² (Eq. 4.8), for N "
    "codes at once; z is (N, d), x is (N, C, H, W).",
    _search_step,
    calls({"next codes": (_decoder, _Z, _GOAL, 0.05)}),
    wrong={
        "batch_mean": (
            lambda decode, z, x, s: _search_step(decode, z, x, s / len(z)),
            "the mean over the batch: each code's step then depends on how many others are searched beside it",
        ),
        "pixel_mean": (
            lambda decode, z, x, s: _search_step(decode, z, x, s, torch.mean),
            "the mean over images and pixels; ‖·‖² is the sum over pixels, and each image is its own problem",
        ),
        "ascent": (
            lambda decode, z, x, s: _search_step(decode, z, x, -s),
            "this walks uphill: Eq. 4.8 minimizes the error",
        ),
        "unsquared": (
            lambda decode, z, x, s: _search_step(
                lambda codes: decode(codes), z, x, s, lambda squares: squares.flatten(1).sum(1).sqrt().sum()
            ),
            "the root of the error: same minimum, other steps, and an infinite slope where the picture is met",
        ),
    },
)


# --------------------------------------------------------------------------------------------- second_opinion

_FIRST, _SECOND = torch.tensor([3, 1, 7, 7, 0]), torch.tensor([5, 1, 2, 4, 6])
_ACCEPTED = torch.tensor([True, True, False, False, False])
_ACCEPTED_LATER = torch.tensor([True, False, True, False, True])


def _opinion(first: Tensor, accepted: Tensor, second: Tensor, later: Tensor) -> Tensor:
    return torch.where(accepted, first, torch.where(later, second, -1))


second_opinion = exercise(
    "second_opinion",
    "Write second_opinion(first, accepted, second, accepted_later): the final labels, (N,): the classifier's where "
    "it accepted, the search's where only that was accepted, and −1 where both refused.",
    _opinion,
    calls({"labels": (_FIRST, _ACCEPTED, _SECOND, _ACCEPTED_LATER)}),
    wrong={
        "search_first": (
            lambda f, a, s, r: torch.where(r, s, torch.where(a, f, -1)),
            "the search overrules what the classifier had accepted; § 4.7 asks it about refused images only",
        ),
        "never_refuses": (
            lambda f, a, s, r: torch.where(a, f, s),
            "every refused image gets the search's label, rubbish too: what stays beyond a threshold stays refused",
        ),
        "class_zero": (
            lambda f, a, s, r: torch.where(a, f, torch.where(r, s, 0)),
            "refused images are labelled 0, which is a class; say −1",
        ),
        "old_label": (
            lambda f, a, s, r: torch.where(a | r, f, -1),
            "the search decides whether to answer, but the answer is still the one that was refused",
        ),
    },
)
