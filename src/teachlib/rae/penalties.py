"""The gradient penalty ‖∇D(E(X))‖² of thesis §3.5.1: what it can mean, and what each meaning costs."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad

from teachlib.errors import require_at_least, unknown

Decoder = Callable[[Tensor], Tensor]
Method = Literal["exact", "hutchinson", "released"]
METHODS: tuple[Method, ...] = ("exact", "hutchinson", "released")


def gradient_penalty(
    decoder: Decoder,
    z: Tensor,
    *,
    method: Method = "exact",
    generator: torch.Generator | None = None,
    probes: int = 1,
) -> Tensor:
    """How fast the decoder's output changes with its input, averaged over the batch; differentiable.

    ``exact``: ‖J‖_F², the squared entries of the Jacobian J = ∂D/∂z of a sample, by one pass of forward-mode
    differentiation a latent dimension.

    ``hutchinson``: an unbiased estimate by one backward pass a probe: ‖Jᵀv‖² with independent signs v. Its variance is
    2·(‖JJᵀ‖_F² − Σᵢ(JJᵀ)ᵢᵢ²) a sample and probe (Hutchinson, 1990).

    ``released``: what the authors' code computes: the mean square of ∇_z Σ D(z)², which is 4·‖JᵀD(z)‖²/d. It vanishes
    where the *energy* of the image stays the same, however fast the image changes.

    In training, batch norm makes each output depend on the whole batch; ``hutchinson`` and ``released`` then include
    how a sample's output changes with other samples' latents, and ``exact`` moves all latents of the batch alike. For
    the Jacobian of single samples, pass a decoder in evaluation mode.

    Args:
        decoder: latents (N, d) → outputs (N, …).
        z: where, (N, d).
        method: see above.
        generator: of the probes.
        probes: how many, averaged.

    Returns:
        Scalar.

    Raises:
        TeachlibError: unknown method, or less than one probe.
    """
    if method not in METHODS:
        raise unknown("gradient penalty", method, METHODS)
    require_at_least(1, probes=probes)
    if torch.is_inference_mode_enabled() or z.is_inference():  # neither mode of differentiation works there
        with torch.inference_mode(False):
            return gradient_penalty(decoder, z.clone(), method=method, generator=generator, probes=probes)
    if method == "exact":
        return _exact(decoder, z)
    with torch.enable_grad():  # in validation too
        z = z if z.requires_grad else z.detach().requires_grad_()
        return penalty_of_output(decoder(z), z, method=method, generator=generator, probes=probes)


def penalty_of_output(
    output: Tensor,
    z: Tensor,
    *,
    method: Literal["hutchinson", "released"],
    generator: torch.Generator | None = None,
    probes: int = 1,
) -> Tensor:
    """:func:`gradient_penalty` of an output that was already computed from ``z``: no second pass of the decoder."""
    if not output.requires_grad:  # it depends neither on z nor on any weight
        return output.new_zeros(())
    if method == "released":
        return _gradient(output.square().sum(), z).square().mean()
    total = output.new_zeros(())
    for _ in range(probes):
        gradient = _gradient(output, z, _signs(output, generator))
        total = total + gradient.square().sum(1).mean() / probes
    return total


def _gradient(output: Tensor, z: Tensor, direction: Tensor | None = None) -> Tensor:
    """Zero where the output does not depend on z."""
    return torch.autograd.grad(output, z, direction, create_graph=True, materialize_grads=True)[0]


def _exact(decoder: Decoder, z: Tensor) -> Tensor:
    total = z.new_zeros(())
    with forward_ad.dual_level():
        for axis in torch.eye(z.shape[1], dtype=z.dtype, device=z.device):
            output = decoder(forward_ad.make_dual(z, axis.expand_as(z).contiguous()))
            moved = forward_ad.unpack_dual(output).tangent
            if moved is not None:  # the output does not depend on z at all
                total = total + moved.square().flatten(1).sum(1).mean()
    return total


def _signs(like: Tensor, generator: torch.Generator | None) -> Tensor:
    device = like.device if generator is None else generator.device
    drawn = torch.randint(0, 2, like.shape, generator=generator, device=device)
    return (2 * drawn - 1).to(like)
