"""Images in grids and named rows, each pixel a square of whole size."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.figures.style import DPI, WIDTH, use_style


def image_grid(images: Tensor, *, columns: int, title: str | None = None) -> Figure:
    """Images in rows of ``columns``, each pixel a square of whole size.

    Args:
        images: (N, C, H, W) in [0, 1], C of 1 or 3; values beyond are cut.
        columns: at most so many beside each other.
        title: above the grid.

    Raises:
        TeachlibError: another shape, no images, or no columns.
    """
    pixels = rgb_pixels(images, "images")
    if columns < 1:
        raise TeachlibError(f"columns={columns}; expected at least 1")
    rows = [pixels[start : start + columns] for start in range(0, len(pixels), columns)]
    return _mosaic(rows, labels=[], title=title)


def strips(rows: Mapping[str, Tensor], *, title: str | None = None) -> Figure:
    """Rows of images with their names on the left, such as originals over reconstructions.

    Args:
        rows: name → (N, C, H, W) in [0, 1], all of the same height and width.
        title: above the rows.

    Raises:
        TeachlibError: another shape, images of different sizes, or no rows.
    """
    pixels = [rgb_pixels(images, name) for name, images in rows.items()]
    if not pixels or len({row.shape[1:] for row in pixels}) > 1:
        raise TeachlibError(f"rows of images of {[row.shape[1:3] for row in pixels]} pixels; expected one size for all")
    return _mosaic(pixels, labels=list(rows), title=title)


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


def _mosaic(rows: Sequence[np.ndarray], *, labels: list[str], title: str | None) -> Figure:
    """All images in one picture of whole pixel sizes, so that nothing is blurred; empty places are transparent."""
    use_style()
    height, width = rows[0].shape[1:3]
    columns = max(map(len, rows))
    margin = max((_text_width(label) for label in labels), default=0) + (0.12 if labels else 0)
    gap = max(1, round(min(height, width) / 16))
    canvas = np.zeros((len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            top, left = i * (height + gap), j * (width + gap)
            canvas[top : top + height, left : left + width] = np.dstack([image, np.full((height, width), 255)])
    # An image is at most 1.1 inches wide: a few large ones look like posters.
    room = min((WIDTH - margin) * DPI, columns * DPI * 1.1)
    zoom = max(1, int(room // canvas.shape[1]))
    wide, high = canvas.shape[1] * zoom / DPI, canvas.shape[0] * zoom / DPI
    head = 0.3 if title else 0.0
    figure = Figure(figsize=(max(margin + wide, _text_width(title or "")), high + head))
    figure.set_layout_engine("none")
    total_wide, total_high = figure.get_size_inches()
    axes = figure.add_axes((margin / total_wide, 0, wide / total_wide, high / total_high))
    axes.imshow(canvas, interpolation="nearest", aspect="auto")
    axes.set_axis_off()
    for i, label in enumerate(labels):
        middle = high - (i * (height + gap) + height / 2) * zoom / DPI
        figure.text((margin - 0.1) / total_wide, middle / total_high, label, ha="right", va="center")
    if title:
        figure.text(0, 1 - 0.06 / total_high, title, ha="left", va="top")
    return figure


def _text_width(text: str) -> float:
    """In inches, at the style's size."""
    return TextPath((0, 0), text, size=11).get_extents().width / 72 + 0.04 if text.strip() else 0.0
