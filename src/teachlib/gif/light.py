"""Light from far away on surfaces that scatter it evenly, by spherical harmonics up to the second degree.

Light that comes from direction ω with radiance L(ω) = Σₖ lₖ Yₖ(ω) makes a surface of normal n as bright as
E(n) / π = Σₖ (Aₖ / π) lₖ Yₖ(n), where A is π, 2π/3 and π/4 in degrees 0, 1 and 2 (Ramamoorthi and Hanrahan, 2001).
Nine numbers a colour, 27 in all, describe the light; a white surface under ``uniform()`` light is as bright as it.
"""

import math

import torch
from torch import Tensor

from teachlib.errors import TeachlibError

# Aₖ / π for the nine functions in their order.
_SCATTERED = (1.0, *(2 / 3,) * 3, *(1 / 4,) * 5)


def harmonics(directions: Tensor) -> Tensor:
    """The nine real spherical harmonics of degrees 0, 1 and 2.

    Args:
        directions: of length one, (…, 3).

    Returns:
        (…, 9): 1 | y, z, x | xy, yz, 3z² - 1, xz, x² - y², each with the factor that makes its square integrate to one
        over the sphere.
    """
    x, y, z = directions.unbind(-1)
    one = torch.ones_like(x)
    first, second = math.sqrt(3 / (4 * math.pi)), math.sqrt(15 / (4 * math.pi))
    functions = [
        math.sqrt(1 / (4 * math.pi)) * one,
        *(first * y, first * z, first * x),
        *(second * x * y, second * y * z, second / math.sqrt(12) * (3 * z.square() - 1)),
        *(second * x * z, second / 2 * (x.square() - y.square())),
    ]
    return torch.stack(functions, -1)


def shading(normals: Tensor, light: Tensor) -> Tensor:
    """How bright a white surface is, in each colour.

    Args:
        normals: pictures of normals of length one, (N, 3, H, W); zero where there is no surface.
        light: (N, 9, 3), one column a colour.

    Returns:
        (N, 3, H, W), never negative; a truncated series can be, in the shadow of a strong light.
    """
    if light.shape != (len(normals), 9, 3):
        raise TeachlibError(f"light of shape {tuple(light.shape)}; expected ({len(normals)}, 9, 3)")
    scattered = harmonics(normals.movedim(1, -1)) * normals.new_tensor(_SCATTERED)
    return torch.einsum("nhwk,nkc->nchw", scattered, light).clamp_min(0)


def uniform(brightness: float = 1.0, *, count: int = 1) -> Tensor:
    """The same light from everywhere, (count, 9, 3)."""
    light = torch.zeros(count, 9, 3)
    light[:, 0] = brightness / harmonics(torch.tensor([0.0, 0.0, 1.0]))[0]
    return light


def from_direction(direction: Tensor, brightness: Tensor) -> Tensor:
    """A lamp far away, as nine functions can tell it.

    Args:
        direction: towards the lamp, of length one, (N, 3).
        brightness: of a white surface that faces it, were the series complete, in each colour, (N, 3).

    Returns:
        (N, 9, 3).
    """
    # A point of light has lₖ = Yₖ(ω); a surface that faces it has E = 1, so E / π = 1 / π.
    return math.pi * harmonics(direction)[..., None] * brightness[:, None, :]
