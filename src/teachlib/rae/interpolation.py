"""Three ways from one latent code to another.

The thesis speaks of spherical interpolation (App. A.1.3); the authors' code also has the other two.
"""

import torch
from torch import Tensor

from teachlib.errors import TeachlibError

_LEAST_SINE = 1e-4  # codes less than this angle apart are as good as parallel


def linear(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The straight line (1 − t)·a + t·b.

    Args:
        a: start, (N, d).
        b: end, (N, d).
        t: positions in [0, 1], (T,).

    Returns:
        (N, T, d).

    Raises:
        TeachlibError: codes of two shapes.
    """
    _refuse_unlike(a, b)
    return torch.lerp(a[:, None], b[:, None], t.to(a)[None, :, None])


def rescaled(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """The straight line, each point scaled to the interpolated norm (1 − t)·‖a‖ + t·‖b‖.

    Where the line passes through the origin, there is no direction to scale, and the point stays there. Shapes as in
    :func:`linear`.
    """
    line = linear(a, b, t)
    norm = linear(_norm(a), _norm(b), t)
    return line / _norm(line).clamp_min(torch.finfo(line.dtype).tiny) * norm


def _refuse_unlike(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim != 2:
        raise TeachlibError(f"codes of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected (N, d) of both")


def _norm(code: Tensor) -> Tensor:
    """Of the last axis, kept; at any size of the codes, whose squares alone may leave the range of floats."""
    largest = code.detach().abs().amax(-1, keepdim=True)
    return largest * (code / largest.clamp_min(torch.finfo(code.dtype).tiny)).norm(dim=-1, keepdim=True)


def spherical(a: Tensor, b: Tensor, t: Tensor, *, centre: Tensor | None = None) -> Tensor:
    """Slerp: equal angles for equal steps (Shoemake, 1985); for codes of one norm, the great circle.

    Between parallel codes it is the straight line; between opposite ones no great circle is distinguished, and the
    straight line is taken too.

    Args:
        a: start, (N, d).
        b: end, (N, d).
        t: positions in [0, 1], (T,).
        centre: (d,), of the sphere; the origin where none is given. Codes that no prior drew there lie elsewhere, and
            a path round the origin leaves them: their mean is the centre to take.

    Returns:
        (N, T, d).

    Raises:
        TeachlibError: codes of two shapes; a centre of another.
    """
    _refuse_unlike(a, b)
    if centre is not None:
        if centre.shape != a.shape[1:]:
            raise TeachlibError(f"a centre of shape {tuple(centre.shape)}; expected {tuple(a.shape[1:])}")
        return centre + spherical(a - centre, b - centre, t)
    t = t.to(a)
    unit_a, unit_b = (code / _norm(code).clamp_min(torch.finfo(a.dtype).tiny) for code in (a, b))
    # atan2 keeps its precision where the codes are almost parallel; acos of the cosine does not.
    angle = 2 * torch.atan2((unit_a - unit_b).norm(dim=1), (unit_a + unit_b).norm(dim=1))[:, None, None]
    steps, sine = t[None, :, None], torch.sin(angle)
    curve = torch.sin((1 - steps) * angle) * a[:, None] + torch.sin(steps * angle) * b[:, None]
    # The least sine, also where the straight line is taken: else the gradient of what is not taken would be NaN.
    return torch.where(sine < _LEAST_SINE, linear(a, b, t), curve / sine.clamp_min(_LEAST_SINE))
