"""What holds a discriminator's slope: penalties of three kinds (thesis § 7.5.1, "predicts gradient penalty")."""

from collections.abc import Callable

import torch
from torch import Tensor

from teachlib.errors import unknown
from teachlib.gif.losses import r1_penalty

PENALTIES = ("none", "one-centred", "R1", "R2", "both")

Judge = Callable[[Tensor], Tensor]


def slopes(judge: Judge, x: Tensor) -> Tensor:
    """‖∇ₓ f(x)‖ of each sample: (N, …) → (N,), differentiable with respect to what judges."""
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(judge(x).sum(), x, create_graph=True)
    # The derivative of a root is infinite at 0, where a flat judge is.
    return gradient.flatten(1).square().sum(1).add(1e-24).sqrt()


def between(real: Tensor, made: Tensor, generator: torch.Generator) -> Tensor:
    """Points at a random place between a real and a generated sample each (Gulrajani et al., 2017), (N, …)."""
    share = torch.rand(len(real), generator=generator, device=generator.device).to(real)
    share = share.view(-1, *[1] * (real.ndim - 1))
    return share * real + (1 - share) * made


def penalty(kind: str, judge: Judge, real: Tensor, made: Tensor, generator: torch.Generator) -> Tensor:
    """One of :data:`PENALTIES`, unweighted; scalar.

    ``one-centred``: E(‖∇f‖ − 1)² between real and generated samples (Gulrajani et al., 2017). ``R1``: ½·E‖∇f‖² at real
    ones, ``R2``: at generated ones (Mescheder, Geiger & Nowozin, 2018), ``both``: their sum.

    Args:
        kind: which.
        judge: (N, …) → (N,), each sample by itself.
        real: (N, …).
        made: (N, …); nothing is differentiated by what made them.
        generator: draws the places in between.

    Raises:
        TeachlibError: another kind.
    """
    if kind not in PENALTIES:
        raise unknown("penalty", kind, PENALTIES)
    if kind == "none":
        return real.new_zeros(())
    if kind == "one-centred":
        return (slopes(judge, between(real, made.detach(), generator)) - 1).square().mean()
    places = {"R1": [real], "R2": [made], "both": [real, made]}[kind]
    return torch.stack([r1_penalty(judge, x, gamma=1.0) for x in places]).sum()
