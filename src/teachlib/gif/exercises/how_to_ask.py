"""Exercises on conditions: what the best discriminator says, the projection, and cross-talk as a matrix."""

import torch
from torch import Tensor

from teachlib.checks import calls, exercise, seeded

# ------------------------------------------------------------------------------------------------- best_logit

_P, _Q = torch.randn(5, generator=seeded(0)), torch.randn(5, generator=seeded(1))

best_logit = exercise(
    "best_logit",
    "Write best_logit(log_p, log_q): the logit of the best discriminator of Eq. 5.1 at pairs of x and y, where "
    "log p(x|y) and log q(x|y) of data and generator are given, (N,); labels are asked for as often as they occur.",
    lambda log_p, log_q: log_p - log_q,
    calls({"logits": (_P, _Q)}),
    wrong={
        "reversed": (
            lambda log_p, log_q: log_q - log_p,
            "the sign: real pairs should have the larger logit",
        ),
        "probability": (
            lambda log_p, log_q: torch.sigmoid(log_p - log_q),
            "that is the probability D of being real; its logit, log D/(1 − D), was asked for",
        ),
        "densities": (
            lambda log_p, log_q: log_p.exp() / log_q.exp(),
            "the ratio of the densities; the logit is its logarithm",
        ),
        "halved": (
            lambda log_p, log_q: log_p - torch.logaddexp(log_p, log_q),
            "that is log D, p over p + q; the logit is log D − log(1 − D)",
        ),
    },
)

# ------------------------------------------------------------------------------------------- projection_logit

_H, _C = torch.randn(4, 3, generator=seeded(2)), torch.randn(4, 2, generator=seeded(3))
_A, _V = torch.randn(3, generator=seeded(4)), torch.randn(3, 2, generator=seeded(5))

projection_logit = exercise(
    "projection_logit",
    "Write projection_logit(h, c, a, v): the logits of a projection discriminator (Miyato and Koyama, 2018), "
    "a·h + h·(V c), of features h (N, d) and conditions c (N, k), with a (d,) and V (d, k).",
    lambda h, c, a, v: h @ a + (h * (c @ v.T)).sum(1),
    calls({"logits": (_H, _C, _A, _V)}),
    wrong={
        "subtracted": (
            lambda h, c, a, v: (h - c @ v.T) @ a,
            "subtraction, as the thesis prints it: what c adds is then the same for every picture, and no mismatch is "
            "seen",
        ),
        "condition_alone": (
            lambda h, c, a, v: (h * (c @ v.T)).sum(1),
            "without a·h nothing judges whether the picture is real whatever was asked for",
        ),
        "all_pairs": (
            lambda h, c, a, v: h @ a + (h @ (c @ v.T).T).sum(1),
            "each picture is compared with the conditions of the whole batch; only its own counts",
        ),
        "averaged": (
            lambda h, c, a, v: h @ a + (h * (c @ v.T)).mean(1),
            "the mean over features; an inner product is a sum",
        ),
    },
)

# ----------------------------------------------------------------------------------------------------- slopes

_MIXING = torch.tensor([[1.0, 0.5], [0.0, 1.0]])
_ASKED = torch.randn(12, 2, generator=seeded(6)) @ _MIXING + 1
_FOUND = _ASKED @ torch.tensor([[0.8, 0.3], [-0.1, 0.6]]) + 0.1 * torch.randn(12, 2, generator=seeded(7))


def _slopes(asked: Tensor, found: Tensor) -> Tensor:
    return torch.linalg.lstsq(asked - asked.mean(0), found - found.mean(0)).solution.T


def _single(asked: Tensor, found: Tensor) -> Tensor:
    a, f = asked - asked.mean(0), found - found.mean(0)
    return (f.T @ a) / a.square().sum(0)


slopes = exercise(
    "slopes",
    "Write slopes(asked, found): the matrix B (K, K) of the regression found = B·asked + b, from asked and found "
    "factors (N, K); row i says how far factor i goes when each of them is asked to go one unit.",
    _slopes,
    calls({"slopes": (_ASKED, _FOUND)}),
    wrong={
        "transposed": (
            lambda asked, found: _slopes(asked, found).T,
            "rows and columns are exchanged: row i is about the factor that was found",
        ),
        "one_at_a_time": (
            _single,
            "each asked factor by itself: where asked factors go together a little, one then answers for the other. "
            "Regress on all of them at once",
        ),
        "through_the_origin": (
            lambda asked, found: torch.linalg.lstsq(asked, found).solution.T,
            "the line is forced through the origin: take the means off first, or add a column of ones",
        ),
        "correlation": (
            lambda asked, found: torch.corrcoef(torch.cat([found, asked], 1).T)[:2, 2:],
            "correlations: they are 1 also for who goes half as far as asked",
        ),
    },
)
