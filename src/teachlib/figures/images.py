"""Images in grids and named rows, each pixel a square of whole size."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.figures.style import DPI, WIDTH, use_style

LINE = 0.26  # of a name above an image, in inches


def image_grid(images: Tensor, *, columns: int, title: str | None = None) -> Figure:
    """Images in rows of ``columns``, each pixel a square of whole size.

    Args:
        images: (N, C, H, W) in [0, 1], C of 1 or 3; values beyond are cut.
        columns: at most so many beside each other.
        title: above the grid.

    Raises:
        TeachlibError: another shape, no images, or no columns.
    """
    return _mosaic(_rows(rgb_pixels(images, "images"), columns), title=title)


def labelled_grid(images: Mapping[str, Tensor], *, columns: int, title: str | None = None) -> Figure:
    """Images in rows of ``columns``, each with its name above it.

    Args:
        images: name → (1, C, H, W) in [0, 1], C of 1 or 3, all of the same height and width.
        columns: at most so many beside each other.
        title: above the grid.

    Raises:
        TeachlibError: another shape, images of different sizes, no images, no columns, or a name that is wider than
            its image is drawn.
    """
    pixels = _of_one_size(images)
    if any(len(image) != 1 for image in pixels):
        raise TeachlibError(f"{[len(image) for image in pixels]} images for the names; expected one for each")
    return _mosaic(_rows(np.concatenate(pixels), columns), above=list(images), title=title)


def strips(rows: Mapping[str, Tensor], *, title: str | None = None) -> Figure:
    """Rows of images with their names on the left, such as originals over reconstructions.

    Args:
        rows: name → (N, C, H, W) in [0, 1], all of the same height and width.
        title: above the rows.

    Raises:
        TeachlibError: another shape, images of different sizes, or no rows.
    """
    return _mosaic(_of_one_size(rows), beside=list(rows), title=title)


def rgb_pixels(images: Tensor, name: str) -> np.ndarray:
    """(N, C, H, W) in [0, 1] → (N, H, W, 3) uint8.

    Raises:
        TeachlibError: another shape, or no images; told by ``name``.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.numel():
        raise TeachlibError(f"{name} of shape {tuple(images.shape)}; expected (N, C, H, W) with C of 1 or 3")
    return _bytes(images).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def _bytes(images: Tensor) -> Tensor:
    return (images.detach().cpu().float().nan_to_num(0).clamp(0, 1) * 255).round().to(torch.uint8)


def _of_one_size(named: Mapping[str, Tensor]) -> list[np.ndarray]:
    """The pixels of each; raises TeachlibError where they differ in size, or there are none."""
    pixels = [rgb_pixels(images, name) for name, images in named.items()]
    if not pixels or len({some.shape[1:] for some in pixels}) > 1:
        raise TeachlibError(f"images of {[some.shape[1:3] for some in pixels]} pixels; expected one size for all")
    return pixels


def _rows(pixels: np.ndarray, columns: int) -> list[np.ndarray]:
    if columns < 1:
        raise TeachlibError(f"columns={columns}; expected at least 1")
    return [pixels[start : start + columns] for start in range(0, len(pixels), columns)]


def _mosaic(
    rows: Sequence[np.ndarray], *, beside: Sequence[str] = (), above: Sequence[str] = (), title: str | None
) -> Figure:
    """All images in one picture of whole pixel sizes, so that nothing is blurred; empty places are transparent.

    Args:
        rows: (N, H, W, 3) each.
        beside: the rows' names, or none.
        above: the images' names, row after row, or none.
        title: above everything.
    """
    use_style()
    height, width = rows[0].shape[1:3]
    columns = max(map(len, rows))
    margin = max((_text_width(label) for label in beside), default=0) + (0.12 if beside else 0)
    gap = max(1, round(min(height, width) / 16))
    across = columns * (width + gap) - gap
    # An image is at most 1.1 inches wide: a few large ones look like posters.
    zoom = max(1, int(min((WIDTH - margin) * DPI, columns * DPI * 1.1) // across))
    line = math.ceil(LINE * DPI / zoom) if above else 0
    step = height + line + gap
    canvas = np.zeros((len(rows) * step - gap, across, 4), np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * step + line, j * (width + gap)
            canvas[top : top + height, left : left + width] = np.dstack([image, np.full((height, width), 255)])
    wide, high = across * zoom / DPI, canvas.shape[0] * zoom / DPI
    head = 0.3 if title else 0.0
    figure = Figure(figsize=(max(margin + wide, _text_width(title or "")), high + head))
    figure.set_layout_engine("none")
    total_wide, total_high = figure.get_size_inches()
    axes = figure.add_axes((margin / total_wide, 0, wide / total_wide, high / total_high))
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    for i, label in enumerate(beside):
        middle = high - (i * step + height / 2) * zoom / DPI
        figure.text((margin - 0.1) / total_wide, middle / total_high, label, ha="right", va="center")
    for place, name in enumerate(above):
        if _text_width(name) > width * zoom / DPI:
            raise TeachlibError(f"the name {name!r} is wider than its image; expected a shorter one, or fewer columns")
        i, j = divmod(place, columns)
        bottom = high - (i * step + line - gap / 2) * zoom / DPI
        figure.text(j * (width + gap) * zoom / DPI / total_wide, bottom / total_high, name, ha="left", va="bottom")
    if title:
        figure.text(0, 1 - 0.06 / total_high, title, ha="left", va="top")
    return figure


def _text_width(text: str) -> float:
    """In inches, at the style's size."""
    return TextPath((0, 0), text, size=11).get_extents().width / 72 + 0.04 if text.strip() else 0.0
