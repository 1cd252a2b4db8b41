"""Texture consistency: a head that only moves keeps its colours (thesis § 5.3.4)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from teachlib.gif import rotations
from teachlib.gif.appearance import head_atlas
from teachlib.gif.parameters import Parameters, vector
from teachlib.gif.rendering import Render, render
from teachlib.gif.textures import Atlas, stolen


@dataclass(frozen=True)
class Views:
    """Renderings of one skin in several shapes and poses, ready to be stolen from.

    Attributes:
        vectors: what is known of the views as numbers, (N, P).
        renderings: what the generator is shown, (N, 6, size, size).
        steal: pictures of the views → textures and which texels are visible.
    """

    vectors: Tensor
    renderings: Tensor
    steal: Callable[[Tensor], tuple[Tensor, Tensor]]


def interpolated(parameters: Parameters, share: Tensor) -> Parameters:
    """Each head on its way to the next one's shape, expression, pose and camera; skin and light are the first one's.

    Turns go the shortest way on the sphere, each picture by a share of its own; the released code of GIF interpolates
    axes and angles as if they were plain numbers, and all pictures of a batch by one share.

    Args:
        parameters: of N pictures.
        share: of the way, (N,).
    """
    after = parameters[torch.arange(1, len(parameters) + 1) % len(parameters)]

    def mixed(group: str) -> Tensor:
        one, other = getattr(parameters, group), getattr(after, group)
        return one + share.view(-1, *[1] * (one.ndim - 1)) * (other - one)

    return Parameters(
        shape=mixed("shape"),
        expression=mixed("expression"),
        pose=rotations.between(parameters.pose, after.pose, share[:, None].expand(-1, parameters.pose.shape[1])),
        camera=mixed("camera"),
        appearance=parameters.appearance[:1].expand_as(parameters.appearance),
        light=parameters.light[:1].expand_as(parameters.light),
    )


def views(parameters: Parameters, size: int, texels: int) -> Views:
    """Render views of one skin.

    Args:
        parameters: of the views.
        size: of the pictures, in pixels.
        texels: a side of the textures.
    """
    with torch.no_grad():
        found, where = render(parameters, size), head_atlas(texels)
    return seen(found, where, vector(parameters))


def seen(found: Render, where: Atlas, vectors: Tensor) -> Views:
    """Renderings as views.

    Args:
        found: of N heads.
        where: their texels.
        vectors: what is known of them as numbers, (N, P).
    """
    return Views(vectors, found.channels, lambda pictures: stolen(pictures, found.screen, where, found.fragments))


def texture_consistency(textures: Tensor, visible: Tensor, *, released: bool = False) -> Tensor:
    """Mean squared difference of stolen textures, over all pairs and the texels that both show; scalar, 0 of one.

    The thesis asks for an L² loss on such texels. The released code takes the sigmoid of the square, which is one half
    where textures agree, and divides by all texels, so that pairs that share few of them count little.

    Args:
        textures: (N, C, T, T).
        visible: (N, T, T).
        released: as the released code has it; its gradient is a quarter of the square's, over all texels.
    """
    first, second = torch.triu_indices(len(textures), len(textures), 1)
    both = (visible[first] & visible[second])[:, None]
    squares = (textures[first] - textures[second]).square()
    if released:
        return (squares.sigmoid() * both).sum() / max(squares.numel(), 1)
    return (squares * both).sum() / (both.sum() * textures.shape[1]).clamp_min(1)
