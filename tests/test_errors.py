"""The checks that recur, at their borders."""

import math

import pytest
import torch
from torch import nn

from teachlib.errors import (
    TeachlibError,
    require_at_least,
    require_divisible,
    require_images,
    require_input,
    require_labels,
    require_positive,
    unknown,
)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, -math.inf])
def test_what_is_not_positive(value: float) -> None:
    with pytest.raises(TeachlibError, match=f"width is {value}; expected more than 0"):
        require_positive(width=value)
    require_positive(width=1e-300, other=None)


@pytest.mark.parametrize("value", [1, math.nan, math.inf, -math.inf])
def test_what_is_too_small(value: float) -> None:
    with pytest.raises(TeachlibError, match=f"width is {value}; expected at least 2"):
        require_at_least(2, width=value)
    require_at_least(2, width=2, other=None)


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    assert str(TeachlibError("a\n  b\r\nc\u2028d")) == "a b c d"
    assert str(TeachlibError("two  blanks stay: 'a  b.png'")) == "two  blanks stay: 'a  b.png'"
    assert str(TeachlibError("a name: x\n")) == "a name: x"


def test_images_between_their_bounds() -> None:
    x = torch.rand(2, 1, 3, 3)
    for good in (x, x.half(), x.bfloat16(), x[:0], x.requires_grad_(), (x > 0.5).double()):
        require_images(good)
    require_images(9 * x, -math.inf, math.inf)
    for bad in (x[0], x.byte(), x + 1, -x - 0.1, x * math.nan, x / 0):
        with pytest.raises(TeachlibError, match=r"expected|scale the images"):
            require_images(bad)


def test_labels_come_back_as_whole_numbers() -> None:
    for kind in (torch.uint8, torch.int32, torch.int64):
        assert require_labels(torch.tensor([0, 2], dtype=kind), 3).dtype == torch.int64
    assert not len(require_labels(torch.zeros(0, dtype=torch.int64), 3))
    for bad, words in (
        (torch.tensor([0, -1, 7]), "class -1; expected 0 … 2"),
        (torch.tensor([0, 3]), "class 3; expected 0 … 2"),
        (torch.tensor([0.0]), "labels of torch.float32"),
        (torch.tensor([[0]]), "labels of shape"),
    ):
        with pytest.raises(TeachlibError, match=words):
            require_labels(bad, 3)
    with pytest.raises(TeachlibError, match=r"labels of shape \(2,\); expected whole numbers, \(3,\)"):
        require_labels(torch.tensor([0, 1]), 3, count=3)


def test_sides_that_can_be_halved() -> None:
    require_divisible((8, 4), 4)
    for sides, by, square in (((8, 6), 4, False), ((0, 8), 4, False), ((8, 4), 4, True)):
        with pytest.raises(TeachlibError, match=f"images of {sides[0]}×{sides[1]} pixels; expected"):
            require_divisible(sides, by, square=square)


def test_what_is_no_name_at_all_is_an_unknown_one() -> None:
    """Arguments in another order, say."""
    assert str(unknown("norm", 0.3, ("l2", "linf"))) == "unknown norm '0.3'; known: l2, linf"  # type: ignore[arg-type]


def test_what_a_network_takes() -> None:
    x, net = torch.rand(4, 2, 3), nn.Linear(3, 1)
    require_input(net, x, (2, 3))
    require_input(net, x, (-1, 3))
    for wrong, shape, words in (
        (x, (3, 3), r"codes of shape \(4, 2, 3\); this network takes \(N, 3, 3\)"),
        (x, (-1, 4), r"this network takes \(N, …, 4\)"),
        (x, (3,), r"this network takes \(N, 3\)"),
        (torch.tensor(1.0), (), r"codes of shape \(\); this network takes \(N\)"),
        (x.double(), (2, 3), "codes of torch.float64; this network takes torch.float32"),
        (x.long(), (2, 3), "codes of torch.int64; this network takes torch.float32"),
    ):
        with pytest.raises(TeachlibError, match=words):
            require_input(net, wrong, shape, what="codes")
    with torch.autocast("cpu", torch.bfloat16):
        require_input(net, x.bfloat16(), (2, 3))
        with pytest.raises(TeachlibError, match="int64"):
            require_input(net, x.long(), (2, 3))


def test_what_a_network_without_weights_takes() -> None:
    net = nn.Module()
    net.register_buffer("order", torch.arange(3))  # says nothing of numbers
    require_input(net, torch.rand(2, 3, dtype=torch.float64), (3,))
    with pytest.raises(TeachlibError, match="this network takes floating numbers"):
        require_input(net, torch.arange(6).view(2, 3), (3,))
    net.register_buffer("mean", torch.zeros(3))
    with pytest.raises(TeachlibError, match=r"this network takes torch\.float32"):
        require_input(net, torch.rand(2, 3, dtype=torch.float64), (3,))
