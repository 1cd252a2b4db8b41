"""Spectral normalization (thesis §3.5.1; Miyato et al., 2018), and what it normalizes by."""

from collections.abc import Callable
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from teachlib.errors import TeachlibError, unknown

Linear = Callable[[Tensor, Tensor], Tensor]  # weight, x → weight applied to x
Of = Literal["outputs", "first", "map"]
LAYERS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def as_linear_map(layer: nn.Module) -> Linear:
    """What a layer does to its input, without its bias: (weight, (1, …)) → (1, …)."""
    if isinstance(layer, nn.Linear):
        return lambda weight, x: F.linear(x, weight)
    if isinstance(layer, nn.Conv2d):
        return lambda weight, x: F.conv2d(x, weight, None, layer.stride, layer.padding, layer.dilation, layer.groups)
    if isinstance(layer, nn.ConvTranspose2d):
        padding = cast(tuple[int, ...], layer.padding)  # only plain convolutions take words for it
        return lambda weight, x: F.conv_transpose2d(
            x, weight, None, layer.stride, padding, layer.output_padding, layer.groups, layer.dilation
        )
    raise TeachlibError(f"a layer of type {type(layer).__name__}; expected Linear, Conv2d or ConvTranspose2d")


def kernel_matrix(layer: nn.Module, *, of: Of = "outputs") -> Linear:
    """The kernel reshaped to a matrix, applied to a vector: what Miyato et al. take the norm of.

    Args:
        layer: a linear or convolutional one.
        of: ``"outputs"``: a row for each output channel; ``"first"``: a row for each entry of the weight's first axis,
            which for transposed convolutions is the *input* channel.
    """
    transposed = of == "outputs" and isinstance(layer, nn.ConvTranspose2d)
    return lambda weight, x: (weight.transpose(0, 1) if transposed else weight).flatten(1) @ x


def largest_singular_value(apply: Callable[[Tensor], Tensor], x: Tensor, *, iterations: int = 100) -> Tensor:
    """Of a linear map, by power iteration: x ← AᵀAx / ‖AᵀAx‖, then ‖Ax‖.

    Args:
        apply: x → Ax, linear and differentiable.
        x: where to start; any but zero.
        iterations: how many; the error falls with the squared ratio of the two largest singular values each time.

    Returns:
        Scalar, at most the true value.
    """
    for _ in range(iterations):
        x = _iterated(apply, x)
    return apply(x).norm()


def _iterated(apply: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """One step of power iteration; the transpose comes from automatic differentiation."""
    y, pull = torch.func.vjp(apply, x)  # type: ignore[misc]
    (back,) = pull(y)
    return back / back.norm().clamp_min(torch.finfo(back.dtype).tiny)


def _of_size_one(weight: Tensor) -> Tensor:
    """With a largest entry of one: what is divided by its norm has no size, but the squares in between have."""
    return weight / weight.detach().abs().amax().clamp_min(torch.finfo(weight.dtype).tiny)


class SpectralNorm(nn.Module):
    """A weight divided by an estimate of its norm; one step of power iteration at each pass in training.

    Args:
        weight: of the layer.
        apply: the linear map whose norm counts.
        shape: of what it is applied to.
        stop_gradient: take the iterate for a constant, as Miyato et al. do; the authors' code lets the gradient
            through the step.
    """

    def __init__(self, weight: Tensor, apply: Linear, shape: tuple[int, ...], *, stop_gradient: bool = True) -> None:
        super().__init__()
        self.apply_weight, self.stop_gradient = apply, stop_gradient
        start = torch.randn(shape).to(weight)
        self.register_buffer("vector", start / start.norm())
        self.vector: Tensor
        with torch.no_grad():  # near the first singular vector from the start
            for _ in range(15):
                self.vector.copy_(_iterated(lambda x: apply(_of_size_one(weight), x), self.vector))

    def forward(self, weight: Tensor) -> Tensor:
        """Normalize."""
        x, weight = self.vector, _of_size_one(weight)
        if self.training:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.stop_gradient):
                x = _iterated(lambda at: self.apply_weight(weight, at), self.vector)
            self.vector = x.detach().clone()
        return weight / self.apply_weight(weight, x.clone()).norm()


def spectral_norm(
    layer: nn.Module, *, of: Of = "outputs", shape: tuple[int, ...] | None = None, stop_gradient: bool = True
) -> nn.Module:
    """Keep a layer's weight at norm one, in place.

    Args:
        layer: ``Linear``, ``Conv2d`` or ``ConvTranspose2d``.
        of: whose largest singular value: of the kernel reshaped to a matrix, by ``"outputs"`` (Miyato et al.) or by
            its ``"first"`` axis (the authors' code), see :func:`kernel_matrix`; or ``"map"``: of the layer as a linear
            map of whole signals, which alone bounds how much it stretches.
        shape: of one input, without the batch, for ``"map"`` of convolutions.
        stop_gradient: see :class:`SpectralNorm`.

    Raises:
        TeachlibError: another layer, another ``of``, no shape where one is needed, or ``"outputs"`` of a transposed
            convolution in groups, whose kernel does not hold a row for each output.
    """
    if of not in ("outputs", "first", "map"):
        raise unknown("norm", of, ("outputs", "first", "map"))
    if not isinstance(layer, LAYERS):
        raise TeachlibError(f"a layer of type {type(layer).__name__}; expected Linear, Conv2d or ConvTranspose2d")
    if of == "outputs" and isinstance(layer, nn.ConvTranspose2d) and layer.groups > 1:
        raise TeachlibError("a transposed convolution of several groups has no row for each output; take of='map'")
    weight = layer.weight
    if of == "map":
        size = (layer.in_features,) if isinstance(layer, nn.Linear) else shape
        if size is None:
            raise TeachlibError("a convolution's norm depends on what it is applied to; pass the shape of an input")
        apply, size = as_linear_map(layer), (1, *size)
    else:
        apply = kernel_matrix(layer, of=of)
        transposed = of == "outputs" and isinstance(layer, nn.ConvTranspose2d)
        size = (weight.numel() // weight.shape[1 if transposed else 0],)
    parametrize.register_parametrization(
        layer, "weight", SpectralNorm(weight.detach(), apply, size, stop_gradient=stop_gradient)
    )
    return layer


def normalize_layers(net: nn.Module, *, of: Of = "outputs", stop_gradient: bool = True) -> nn.Module:
    """:func:`spectral_norm` on every linear and convolutional layer of a network, by its kernel; in place."""
    for layer in [module for module in net.modules() if isinstance(module, LAYERS)]:
        spectral_norm(layer, of=of, stop_gradient=stop_gradient)
    return net
