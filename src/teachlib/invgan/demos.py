"""Demos of the chapter that run in a reader's page."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from teachlib.chapter import Chapter
from teachlib.invgan.editing import direction
from teachlib.invgan.evaluation import generate_all, infer_all
from teachlib.invgan.networks import InvGAN
from teachlib.live import Demo, Graph, Part

_DRAWN = 2_000  # pictures of the model's own that directions are found on


def graphs(model: InvGAN) -> dict[str, Graph]:
    """The generator and, where there is one, the inference: codes to images in [0, 1], images to codes."""
    image = torch.linspace(0, 1, torch.Size(model.image).numel()).reshape(1, *model.image)
    parts = {"generator": Graph(Part(model, type(model).generate), {"w": torch.zeros(1, model.w_dim)}, ("x",))}
    if model.infers:
        parts["inference"] = Graph(Part(model, type(model).infer), {"x": image}, ("w",))
    return parts


def thickness(images: Tensor) -> Tensor:
    """Mean brightness, (N, 1, H, W) → (N,): of white strokes on black, how much ink there is."""
    return images.flatten(1).mean(1)


def slant(images: Tensor) -> Tensor:
    """How far strokes lean: the covariance of column and row over the variance of rows, (N, 1, H, W) → (N,).

    0: upright; positive: the upper half lies to the right, as in most handwriting.
    """
    _, _, height, width = images.shape
    rows, columns = torch.arange(height).double()[:, None], torch.arange(width).double()[None]
    mass = images.double().squeeze(1)
    total = mass.sum((1, 2)).clamp_min(1e-9)
    row, column = ((mass * values).sum((1, 2)) / total for values in (rows, columns))
    down, right = rows - row[:, None, None], columns - column[:, None, None]
    leaning = (mass * down * right).sum((1, 2)) / (mass * down.square()).sum((1, 2)).clamp_min(1e-9)
    return -leaning


def by_hand(chapter: Chapter[Any, InvGAN, Any]) -> Demo:
    """A reader's handwriting: inferred, generated again, edited along two directions, mixed with another."""
    model = chapter.from_zoo("invgan-direct", "mnist")
    with torch.no_grad():
        codes = model.codes(_DRAWN, torch.Generator().manual_seed(0))
    images = generate_all(model, codes)
    inferred = infer_all(model, images)
    found = {"slant": direction(inferred, slant(images)), "thickness": direction(inferred, thickness(images))}
    constants = {"directions": {name: step.tolist() for name, step in found.items()}, "side": model.image[-1]}
    return Demo(graphs(model), Path(__file__).with_name("by_hand.js"), constants)
