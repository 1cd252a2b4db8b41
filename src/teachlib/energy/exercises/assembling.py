"""Exercises on assembling: one picture over another, whether boxes agree, whether one thing minds another."""

import torch

from teachlib.checks import calls, exercise, seeded

# -------------------------------------------------------------------------------------------------------- over

_UNDER, _COLOUR = torch.rand(2, 2, 3, 4, 4, generator=seeded(0))
_ALPHA = torch.rand(2, 1, 4, 4, generator=seeded(1))
_THERE = torch.tensor([1.0, 0.0])

over = exercise(
    "over",
    "Write over(picture, colour, alpha, there): a painter's colour (N, 3, H, W) laid over a picture of the same shape "
    "by alpha (N, 1, H, W) where the object is there, (N,) of 1 or 0, and nothing changed where it is not.",
    lambda picture, colour, alpha, there: picture + there[:, None, None, None] * alpha * (colour - picture),
    calls(
        {
            "one is there": (_UNDER, _COLOUR, _ALPHA, _THERE),
            "opaque": (_UNDER, _COLOUR, torch.ones_like(_ALPHA), torch.ones(2)),
        }
    ),
    wrong={
        "added": (
            lambda picture, colour, alpha, there: picture + there[:, None, None, None] * alpha * colour,
            "added: what is under it shines through",
        ),
        "under": (
            lambda picture, colour, alpha, there: colour + there[:, None, None, None] * alpha * (picture - colour),
            "the picture was laid over the object",
        ),
        "always": (
            lambda picture, colour, alpha, there: picture + alpha * (colour - picture),
            "objects that are not there were drawn as well",
        ),
        "darkens": (
            lambda picture, colour, alpha, there: there[:, None, None, None] * alpha * colour + (1 - alpha) * picture,
            "where the object is not there, its alpha has darkened the picture",
        ),
    },
)

# --------------------------------------------------------------------------------------------------------- iou

_BOXES = torch.tensor([[0.0, 0.0, 10.0, 10.0], [2.0, 3.0, 8.0, 6.0], [0.0, 0.0, 4.0, 4.0]])
_OTHERS = torch.tensor([[5.0, 5.0, 15.0, 15.0], [2.0, 3.0, 8.0, 6.0], [6.0, 7.0, 9.0, 9.0]])

iou = exercise(
    "iou",
    "Write iou(a, b): intersection over union of boxes (N, 4) and (N, 4), each left, top, right, bottom; (N,).",
    lambda a, b: (
        (inner := (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1))
        / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inner)
    ),
    calls({"three": (_BOXES, _OTHERS), "the other way": (_OTHERS, _BOXES + 1)}),
    wrong={
        "negative_sides": (
            lambda a, b: (
                (inner := (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).prod(1))
                / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - inner)
            ),
            "two negative sides make a positive area: boxes that do not meet overlap by nothing",
        ),
        "twice": (
            lambda a, b: (
                (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
                / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1))
            ),
            "the overlap was counted twice in the union: equal boxes then get a half",
        ),
        "of_first": (
            lambda a, b: (
                (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
                / (a[:, 2:] - a[:, :2]).prod(1)
            ),
            "the share of the first box: one that covers the whole picture would be perfect",
        ),
        "hull": (
            lambda a, b: (
                (torch.minimum(a[:, 2:], b[:, 2:]) - torch.maximum(a[:, :2], b[:, :2])).clamp(min=0).prod(1)
                / (torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])).prod(1)
            ),
            "over the box around both, which is more than their union",
        ),
    },
)

# ------------------------------------------------------------------------------------------------------- minds

_SQUARES = torch.rand(30, generator=seeded(2)) * 20
_MOVED = torch.rand(30, generator=seeded(3)) * 20
_TOPS = torch.rand(30, generator=seeded(4)) * 6 + 0.1 * _SQUARES
_AFTER = _TOPS + 0.4 * (_MOVED - _SQUARES) + torch.randn(30, generator=seeded(5)) / 4

minds = exercise(
    "minds",
    "Write minds(tops, tops_after, squares, squares_after): heights of the triangle's top and of the square's in N "
    "pictures, before and after the square ALONE was moved, (N,) each. Return the slope of the top on the square's "
    "height: 0 for a triangle that minds nothing, 1 for one that goes along; least squares through the origin.",
    lambda tops, tops_after, squares, squares_after: (
        ((tops_after - tops) * (squares_after - squares)).sum() / (squares_after - squares).square().sum()
    ),
    calls(
        {
            "goes along": (_TOPS, _AFTER, _SQUARES, _MOVED),
            "stays": (_TOPS, _TOPS, _SQUARES, _MOVED),
            "a little": (_TOPS, _TOPS + 0.1 * (_MOVED - _SQUARES), _SQUARES, _MOVED),
        }
    ),
    wrong={
        "of_levels": (
            lambda tops, tops_after, squares, squares_after: (
                ((tops - tops.mean()) * (squares - squares.mean())).sum() / (squares - squares.mean()).square().sum()
            ),
            "heights were compared between pictures: boxes that were told may go together there without any minding",
        ),
        "inverse": (
            lambda tops, tops_after, squares, squares_after: (
                ((tops_after - tops) * (squares_after - squares)).sum()
                / (tops_after - tops).square().sum().clamp(min=1e-9)
            ),
            "the square's slope on the top: divide by how far the square was moved",
        ),
        "mean_of_ratios": (
            lambda tops, tops_after, squares, squares_after: ((tops_after - tops) / (squares_after - squares)).mean(),
            "a mean of ratios: squares that hardly moved then outweigh all others",
        ),
        "share_above": (
            lambda tops, tops_after, squares, squares_after: (tops_after < squares_after).double().mean(),
            "the share of tops above the square: a triangle that is always at the top would be perfect",
        ),
    },
)
