"""Demos of the chapter that run in a reader's page."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from torch import Tensor

from teachlib.chapter import Chapter
from teachlib.data import ImageData
from teachlib.figures.style import COLOURS, INK, use_style
from teachlib.live import Demo, Graph, Part
from teachlib.rae.density import fit_mixture
from teachlib.rae.evaluation import encode_all
from teachlib.rae.models import Autoencoder
from teachlib.rae.recipes import load

_MAPPED = {"vae": "VAE", "ae": "AE", "rae-l2": "RAE-L2"}
_REACH = 3.2  # deviations from the middle of a map to its edge
_FITTED, _SHOWN = 4_000, 240  # codes of training images that mixtures are fitted to, of test images that are shown


def graphs(model: Autoencoder) -> dict[str, Graph]:
    """Encoder and decoder: images to codes (means, where there are posteriors), codes to images."""
    recipe = model.recipe
    image = torch.linspace(0, 1, recipe.channels * recipe.size**2).reshape(1, recipe.channels, recipe.size, recipe.size)
    return {
        "encoder": Graph(Part(model, Autoencoder.encode), {"x": image}, ("z",)),
        "decoder": Graph(Part(model, Autoencoder.decode), {"z": torch.zeros(1, recipe.latent)}, ("x",)),
    }


def plane_of(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (d,) and the two directions of most variance, (2, d), each as long as the codes' deviation along it."""
    mean = codes.mean(0)
    _, lengths, directions = torch.linalg.svd(codes - mean, full_matrices=False)
    axes = directions[:2] * (lengths[:2, None] / (len(codes) - 1) ** 0.5)
    # A singular vector's sign is arbitrary: the largest entry is made positive, so that every build shows one map.
    signs = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
    return mean, axes * signs


def in_plane(codes: Tensor, mean: Tensor, axes: Tensor) -> Tensor:
    """Where codes (N, d) lie on a plane, in deviations, (N, 2)."""
    return (codes - mean) @ axes.T / axes.square().sum(1)


def ellipses_of(means: Tensor, covariances: Tensor, mean: Tensor, axes: Tensor) -> Tensor:
    """What Gaussians (K, d) look like in a plane: centre, two half axes of one deviation, angle in radians, (K, 5)."""
    into = axes.double() / axes.double().square().sum(1, keepdim=True)
    flat = into @ covariances.double() @ into.T
    variances, directions = torch.linalg.eigh(flat)
    angle = torch.atan2(directions[:, 1, 1], directions[:, 0, 1])
    centres = (means.double() - mean) @ into.T
    return torch.cat([centres, variances.flip(1).clamp_min(0).sqrt(), angle[:, None]], 1)


class _Map(NamedTuple):
    """A model's codes in their plane: mean and axes of it, codes (N, d) that are shown, their places, and ellipses."""

    mean: Tensor
    axes: Tensor
    codes: Tensor
    places: Tensor
    ellipses: Tensor


def _mapped(model: Autoencoder, train: ImageData, shown: ImageData) -> _Map:
    """The plane in which a model's codes of training images vary most, and the mixture that is fitted to them."""
    fitted, codes = encode_all(model, train), encode_all(model, shown)
    mean, axes = plane_of(fitted)
    mixture = fit_mixture(fitted)
    ellipses = ellipses_of(mixture.means, mixture.covariances, mean, axes)
    return _Map(mean, axes, codes, in_plane(codes, mean, axes), ellipses)


def latent_map(chapter: Chapter[Any, Autoencoder, Any]) -> Demo:
    """The codes of AE, VAE and RAE-L2 in their planes of most variance, with the mixtures fitted to them."""
    train, test = load("glyphs", "train", limit=_FITTED), load("glyphs", "test", limit=_SHOWN)
    parts, maps = {}, []
    for name, title in _MAPPED.items():
        model = chapter.from_zoo(name)
        parts[name] = graphs(model)["decoder"]
        values = _mapped(model, train, test)._asdict()
        maps.append({"model": name, "title": title, **{key: _short(value) for key, value in values.items()}})
    constants = {"maps": maps, "labels": test[:][1].tolist(), "side": test[:1][0].shape[-1], "reach": _REACH}
    return Demo(parts, Path(__file__).with_name("latent_map.js"), constants)


def latent_maps(models: Mapping[str, Autoencoder], train: ImageData, shown: ImageData) -> Figure:
    """The still figure of the demo: codes of images in the plane of most variance, and the mixtures fitted to them.

    Args:
        models: title → model, of images with ten classes.
        train: images that the mixtures are fitted to the codes of.
        shown: images whose codes are drawn.
    """
    use_style()
    figure = Figure(figsize=(3.0 * len(models), 3.2), layout="constrained")
    panels = figure.subplots(1, len(models), squeeze=False)
    labels = shown[:][1]
    for panel, (title, model) in zip(panels[0], models.items(), strict=True):
        found = _mapped(model, train, shown)
        for label in labels.unique().tolist():
            colour = COLOURS[label % len(COLOURS)]
            panel.scatter(*found.places[labels == label].T, marker=f"${label}$", s=22, c=colour, linewidths=0)
        for u, v, long, short, angle in found.ellipses.tolist():
            panel.add_patch(
                Ellipse((u, v), 2 * long, 2 * short, angle=math.degrees(angle), fill=False, edgecolor=INK, lw=0.8)
            )
        panel.set(title=title, xlim=(-_REACH, _REACH), ylim=(-_REACH, _REACH), aspect="equal")
        panel.set(xlabel="most variance (deviations)", ylabel="second most" if panel is panels[0][0] else "")
    return figure


def _short(values: Tensor) -> list[Any]:
    """With four digits, which a picture of 240 points does not need more of."""
    rounded: list[Any] = (values.double() * 1e4).round().div(1e4).tolist()
    return rounded
