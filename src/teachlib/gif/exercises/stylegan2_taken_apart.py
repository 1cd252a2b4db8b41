"""Exercises on StyleGAN2: a layer with its scales, demodulated kernels, and R1 beside a condition."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from teachlib.checks import calls, exercise, seeded

# -------------------------------------------------------------------------------------------- equalized_layer

_X, _WEIGHT, _BIAS = (torch.randn(*shape, generator=seeded(k)) for k, shape in enumerate([(6, 5), (3, 5), (3,)]))


def _layer(x: Tensor, weight: Tensor, bias: Tensor, fan: int = 1, slope: float = 0.2, gain: float = 2.0) -> Tensor:
    return leaky_relu(x @ weight.T / math.sqrt(weight.shape[fan]) + bias, slope) * math.sqrt(gain)


equalized_layer = exercise(
    "equalized_layer",
    "Write equalized_layer(x, weight, bias): StyleGAN's linear layer with its activation. x is (N, I), the weights "
    "(O, I) are kept at unit variance and scaled by 1/√I when used; then comes leaky ReLU of slope 0.2, times √2.",
    _layer,
    calls({"features": (_X, _WEIGHT, _BIAS)}),
    wrong={
        "no_gain": (
            lambda x, w, b: _layer(x, w, b, gain=1.0),
            "without √2 every layer halves the variance: eight of them leave 0.5 % (GIF's released code has this)",
        ),
        "fan_out": (
            lambda x, w, b: _layer(x, w, b, fan=0),
            "scaled by the number of outputs; what is summed over is the inputs",
        ),
        "unscaled": (
            lambda x, w, b: leaky_relu(x @ w.T + b, 0.2) * math.sqrt(2),
            "the weights are not scaled: outputs grow with the square root of the inputs' number",
        ),
        "small_slope": (
            lambda x, w, b: _layer(x, w, b, slope=0.01),
            "torch's usual slope of 0.01; StyleGAN takes 0.2",
        ),
    },
)

# ------------------------------------------------------------------------------------------------ demodulated

_KERNELS, _STYLE = torch.randn(4, 3, 2, 2, generator=seeded(5)), torch.rand(3, generator=seeded(6)) + 0.5


def _demodulated(weight: Tensor, style: Tensor) -> Tensor:
    scaled = weight * style[None, :, None, None]
    return scaled / scaled.square().sum((1, 2, 3), keepdim=True).sqrt()


def _norm_first(weight: Tensor, style: Tensor) -> Tensor:
    return weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt() * style[None, :, None, None]


def _one_norm(weight: Tensor, style: Tensor) -> Tensor:
    scaled = weight * style[None, :, None, None]
    return scaled / scaled.norm()


def _by_input(weight: Tensor, style: Tensor) -> Tensor:
    scaled = weight * style[None, :, None, None]
    return scaled / scaled.square().sum((0, 2, 3), keepdim=True).sqrt()


demodulated = exercise(
    "demodulated",
    "Write demodulated(weight, style): the kernels (O, I, k, k) that a picture of this style (I,) is convolved with: "
    "inputs scaled by the style, and then each output's kernel by its norm.",
    _demodulated,
    calls({"kernels": (_KERNELS, _STYLE)}),
    wrong={
        "modulated_only": (
            lambda weight, style: weight * style[None, :, None, None],
            "modulated, not demodulated: a large style makes all later features large",
        ),
        "norm_first": (
            _norm_first,
            "the norm is taken before the style scales: the result is not of unit norm",
        ),
        "one_norm": (
            _one_norm,
            "one norm for all outputs; each output has its own",
        ),
        "by_input": (
            _by_input,
            "the norm of each input's kernels: that divides the style out again, and no picture has one",
        ),
    },
)

# --------------------------------------------------------------------------------------------------------- r1

_PICTURES, _CONDITION = torch.randn(3, 1, 2, 2, generator=seeded(7)), torch.randn(3, 1, 2, 2, generator=seeded(8))
_MIX = torch.randn(8, generator=seeded(9))


def _judge(x: Tensor, condition: Tensor) -> Tensor:
    return torch.cat([x, condition], 1).flatten(1).tanh() @ _MIX


Penalty = Callable[[Tensor], Tensor]


def _r1(
    judge: Callable[[Tensor, Tensor], Tensor], x: Tensor, condition: Tensor, gamma: float, reduce: Penalty | None = None
) -> Tensor:
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(judge(x, condition).sum(), x, create_graph=True)
    squares = slope.square().flatten(1)
    return gamma / 2 * (squares.sum(1).mean() if reduce is None else reduce(squares))


def _both(judge: Callable[[Tensor, Tensor], Tensor], x: Tensor, condition: Tensor, gamma: float) -> Tensor:
    inputs = x.detach().requires_grad_(), condition.detach().requires_grad_()
    slopes = torch.autograd.grad(judge(*inputs).sum(), inputs, create_graph=True)
    return gamma / 2 * torch.stack([slope.square().flatten(1).sum(1) for slope in slopes]).sum(0).mean()


r1 = exercise(
    "r1",
    "Write r1(judge, x, condition, gamma): γ/2 times the squared norm of the gradient of judge(x, condition) → (N,) "
    "with respect to the pictures (N, C, H, W), averaged over the batch. It has to be differentiable.",
    _r1,
    calls({"penalty": (_judge, _PICTURES, _CONDITION, 3.0)}),
    wrong={
        "condition_too": (
            _both,
            "the slope along the condition is punished, too: the discriminator must tell conditions that fit from "
            "others, and cannot while it has to be flat there",
        ),
        "pixel_mean": (
            lambda judge, x, c, gamma: _r1(judge, x, c, gamma, torch.mean),
            "the mean over pixels: γ then means something else at each resolution",
        ),
        "no_half": (
            lambda judge, x, c, gamma: 2 * _r1(judge, x, c, gamma),
            "twice too much: γ/2",
        ),
        "norm": (
            lambda judge, x, c, gamma: _r1(judge, x, c, gamma, lambda squares: squares.sum(1).sqrt().mean()),
            "the norm itself; R1 takes its square",
        ),
        "batch_sum": (
            lambda judge, x, c, gamma: _r1(judge, x, c, gamma, torch.sum),
            "the sum over the batch; average it, or γ depends on the batch's size",
        ),
    },
)
