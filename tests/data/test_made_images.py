"""Sets that are drawn here: the turntable and coloured glyphs."""

import itertools
import math

import torch

from teachlib import data
from teachlib.data.colour_glyphs import _STRIPS
from teachlib.data.turntable import SIZE, Solid, render


def test_a_ball_looks_the_same_from_everywhere_and_is_as_large_as_it_should() -> None:
    ball = Solid("ellipsoid", (0, 0, 0), (0.5, 0.5, 0.5), (1, 1, 1))
    pictures = render([ball], torch.tensor([0.0, 1.0, 2.5]))
    torch.testing.assert_close(pictures[1:], pictures[:1].expand(2, -1, -1, -1), atol=1e-4, rtol=0)
    covered = (pictures[0, 0] > 0.25).float().sum() * (2.1 / SIZE) ** 2  # square units
    assert abs(covered / (math.pi * 0.25) - 1) < 0.1


def test_a_box_shows_one_side_or_two_and_repeats_after_half_a_turn() -> None:
    box = Solid("box", (0, 0, 0), (0.4, 0.2, 0.3), (1, 1, 1))
    pictures = render([box], torch.tensor([0.0, 0.4, math.pi, 0.4 + math.pi]))
    torch.testing.assert_close(pictures[2:], pictures[:2], atol=1e-4, rtol=0)
    shades = [len(picture[0].mul(1000).round().unique()) for picture in pictures[:2]]
    assert shades[1] > shades[0]  # top and front; top, front and side


def test_what_is_nearer_hides_what_is_behind() -> None:
    near = Solid("cylinder", (0.6, 0, 0), (0.2, 0.2, 0.3), (1, 0, 0))
    far = Solid("cylinder", (-0.6, 0, 0), (0.2, 0.2, 0.3), (0, 1, 0))
    front, back = render([near, far], torch.tensor([0.0, math.pi]))
    assert front[0].sum() > 1.2 * front[1].sum()
    assert back[1].sum() > 1.2 * back[0].sum()


def test_toys_are_told_apart_by_their_nearest_neighbour() -> None:
    train, test = data.load("turntable", "train"), data.load("turntable", "test")
    nearest = torch.cdist(test[:][0].flatten(1), train[:][0].flatten(1)).argmin(1)
    assert (train.labels[nearest] == test.labels).float().mean() > 0.98
    assert test.factors["angle"][:3].tolist() == [25.0, 55.0, 85.0]


def test_glyphs_keep_their_shapes_and_stand_out() -> None:
    grey, colour = (data.load(name, "validation", limit=200) for name in ("glyphs", "colour-glyphs"))
    assert torch.equal(grey.labels, colour.labels)
    pixels, shapes = colour[:][0], grey[:][0]
    inside, outside = (shapes == 1).expand_as(pixels), (shapes == 0).expand_as(pixels)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    apart = [
        float(((pixel * weights)[full].sum() / full[0].sum() - (pixel * weights)[empty].sum() / empty[0].sum()).abs())
        for pixel, full, empty in zip(pixels, inside, outside, strict=True)
    ]
    assert sum(gap > 0.2 for gap in apart) > 190


def test_splits_have_their_own_part_of_the_photographs() -> None:
    strips = sorted(_STRIPS.values())
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(strips))
