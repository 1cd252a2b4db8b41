"""Curves, points, densities and bars, told apart by more than their colours."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.figures.style import COLOURS, HATCHES, LINES, MARKERS, WIDTH, use_style

_DENSE = 40  # points of a curve that is drawn, not measured
_ROW = 0.26  # inches of a row of a legend
_LINE = 30  # letters of an upright label that axes have room for
_BAR = 0.8  # inches that a bar of colours and its label take


def _plot(xlabel: str, ylabel: str, title: str | None, height: float = 3.6) -> tuple[Figure, Axes]:
    use_style()
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=xlabel, ylabel=textwrap.fill(ylabel, _LINE))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure, axes


def _legend(figure: Figure, axes: Axes, count: int) -> None:
    """Below the axes, where it covers nothing, in as many columns as the figure has room for, three at most."""
    if count < 2:
        return
    named, renderer = axes.get_legend_handles_labels(), FigureCanvasAgg(figure).get_renderer()
    for columns in range(min(count, 3), 0, -1):
        legend = figure.legend(*named, loc="outside lower center", ncols=columns, scatterpoints=1)
        if columns == 1 or legend.get_window_extent(renderer).width <= figure.bbox.width:
            break
        legend.remove()
    more = math.ceil(count / columns) - math.ceil(count / 3)
    figure.set_figheight(figure.get_figheight() + _ROW * more)  # what further rows take, the axes keep
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set(sizes=[40], alpha=1)


def _style(index: int) -> tuple[str, str]:
    return COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]


def curves(
    series: Mapping[str, tuple[Any, Any]],
    *,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    xscale: str = "linear",
    yscale: str = "linear",
    ylim: tuple[float, float] | None = None,
) -> Figure:
    """Lines that differ in colour, dashes and, where points are few, markers; the legend stands below the axes.

    Args:
        series: name → (x, y), each of length N.
        xlabel: with unit.
        ylabel: with unit.
        title: above the axes.
        xscale: of matplotlib, ``"log"`` for instance.
        yscale: likewise.
        ylim: lowest and highest y; by default as the lines need.

    Raises:
        TeachlibError: no series.
    """
    if not series:
        raise TeachlibError("no series to draw")
    figure, axes = _plot(xlabel, ylabel, title)
    for index, (name, (x, y)) in enumerate(series.items()):
        colour, marker = _style(index)
        xs, ys = _array(x), _array(y)
        every = max(1, math.ceil(len(xs) / 12))
        # Each curve's markers start elsewhere, so that curves on top of each other show.
        start = index * every // len(series)
        # A marker says "measured here"; on so many points it would say so of a formula, too.
        marked: Any = {} if len(xs) > _DENSE else {"marker": marker, "markersize": 5, "markevery": (start, every)}
        style: Any = LINES[index % len(LINES)]
        axes.plot(xs, ys, label=name, color=colour, linestyle=style, **marked)
    axes.set(xscale=xscale, yscale=yscale, **({"ylim": ylim} if ylim else {}))
    if xscale == "log":
        _name_settings(axes, [x for x, _ in series.values()])
    _legend(figure, axes, len(series))
    return figure


def _name_settings(axes: Axes, settings: Sequence[Any]) -> None:
    """Tick a few chosen settings on a logarithmic axis by their own values instead of the powers of ten."""
    places = sorted({float(place) for xs in settings for place in _array(xs)})
    if len(places) <= 8:
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.set_xticks([], minor=True)


def scatter(
    groups: Mapping[str, Tensor],
    *,
    xlabel: str,
    ylabel: str,
    title: str | None = None,
    scale: str = "linear",
    borders: tuple[float, float] | None = None,
) -> Figure:
    """Points of several groups in the plane, both axes on the same scale.

    Args:
        groups: name → (N, 2).
        xlabel: with unit.
        ylabel: with unit.
        title: above the axes.
        scale: of both axes, ``"log"`` for instance.
        borders: (x, y) of a vertical and a horizontal line, for thresholds.

    Raises:
        TeachlibError: no groups, or points that are not in the plane.
    """
    if not groups:
        raise TeachlibError("no groups to draw")
    figure, axes = _plot(xlabel, ylabel, title, height=4.8)
    for index, (name, points) in enumerate(groups.items()):
        where = _array(points)
        if where.ndim != 2 or where.shape[1] != 2:
            raise TeachlibError(f"{name} of shape {where.shape}; expected (N, 2)")
        colour, marker = _style(index)
        size, alpha = (14, 0.7) if len(where) > 300 else (30, 0.9)
        x, y = where.T
        axes.scatter(x, y, s=size, label=name, color=colour, marker=marker, alpha=alpha, linewidths=0)
    axes.set(xscale=scale, yscale=scale)
    axes.set_aspect("equal", adjustable="datalim")
    if borders:
        axes.axvline(borders[0], color="gray", linestyle="--", linewidth=1.6)
        axes.axhline(borders[1], color="gray", linestyle="--", linewidth=1.6)
    _legend(figure, axes, len(groups))
    return figure


def heatmaps(
    panels: Mapping[str, Tensor],
    *,
    extent: float,
    points: Mapping[str, Tensor] | None = None,
    columns: int = 3,
    names: tuple[str, str] = ("x₁", "x₂"),
    scale: str = "density",
) -> Figure:
    """Densities over a square of the plane, one panel each, all on one scale of colours, with its bar.

    Args:
        panels: name → (side, side), not negative, first row at the top.
        extent: half the side of the square, in the data's units.
        points: name → (N, 2), drawn over the panel of that name.
        columns: panels a row at most.
        names: of the two axes.
        scale: what the colours stand for; there is no bar where all panels are empty.

    Raises:
        TeachlibError: nothing to draw.
    """
    if not panels:
        raise TeachlibError("no panels to draw")
    use_style()
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    highest = max(float(panel.max()) for panel in panels.values())
    side = (WIDTH - _BAR * (highest > 0)) / columns
    figure = Figure(figsize=(WIDTH, rows * (side + 0.4) + 0.1), layout="constrained")
    for place, (name, panel) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        square = (-extent, extent, -extent, extent)
        axes.imshow(_array(panel), extent=square, cmap="cividis", vmin=0, vmax=highest, interpolation="bilinear")
        over = (points or {}).get(name)
        if over is not None:
            x, y = _array(over).T
            axes.scatter(x, y, s=3, color="white", alpha=0.6, linewidths=0)
        axes.set_title(name, fontsize="small" if columns > 2 else None)
        axes.set(xlim=(-extent, extent), ylim=(-extent, extent), xlabel=names[0], ylabel=names[1])
        axes.grid(visible=False)
        axes.label_outer()
    if highest > 0:
        figure.colorbar(axes.images[0], ax=figure.axes, label=scale, shrink=0.8, pad=0.02)
    return figure


def coloured(panel: Tensor, highest: float | None = None) -> Tensor:
    """A table of numbers as a picture in the colours of :func:`heatmaps`: (H, W) → (3, H, W) in [0, 1].

    Args:
        panel: not negative.
        highest: value of the brightest colour; by default the largest.
    """
    scaled = _array(panel) / (highest or float(panel.max()))
    return torch.from_numpy(matplotlib.colormaps["cividis"](scaled.clip(0, 1))[..., :3]).permute(2, 0, 1).float()


def bars(
    table: Mapping[str, Mapping[str, float]],
    *,
    ylabel: str,
    xlabel: str = "",
    log: bool = False,
    title: str | None = None,
) -> Figure:
    """Groups of bars with their values written above.

    Args:
        table: group on the horizontal axis → bar within the group → value; a missing bar or NaN leaves a gap.
        ylabel: with unit.
        xlabel: what the groups are, where their names do not say it.
        log: on a logarithmic axis.
        title: above the axes.

    Raises:
        TeachlibError: nothing to draw, or values that a logarithmic axis cannot show.
    """
    names = _bar_names(table, log)
    figure, axes = _plot(xlabel, ylabel, title)
    width, crowded = 0.84 / len(names), len(names) * len(table) > 9
    for index, name in enumerate(names):
        places = [group + (index - (len(names) - 1) / 2) * width for group in range(len(table))]
        heights = [row.get(name, math.nan) for row in table.values()]
        drawn = axes.bar(
            places,
            heights,
            width * 0.92,
            label=name,
            color=COLOURS[index % len(COLOURS)],
            hatch=HATCHES[index % len(HATCHES)],
            edgecolor="white",
            linewidth=0,
        )
        written = ["" if math.isnan(height) else f"{height:.3g}" for height in heights]
        axes.bar_label(drawn, written, padding=2, fontsize=9, rotation=90 if crowded else 0)
    # Names that would run into each other stand aslant.
    slanted = sum(map(len, table)) > 44 or max(map(len, table)) * len(table) > 60
    axes.set_xticks(
        range(len(table)),
        list(table),
        rotation=30 if slanted else 0,
        ha="right" if slanted else "center",
        rotation_mode="anchor",
    )
    axes.grid(axis="x", visible=False)
    axes.set_yscale("log" if log else "linear")
    axes.margins(y=0.22 if crowded else 0.1)
    _legend(figure, axes, len(names))
    return figure


def _bar_names(table: Mapping[str, Mapping[str, float]], log: bool) -> list[str]:
    names = list(dict.fromkeys(name for row in table.values() for name in row))
    if not names:
        raise TeachlibError("no bars to draw")
    if log and any(value <= 0 for row in table.values() for value in row.values()):
        raise TeachlibError("a value of zero or less has no place on a logarithmic axis; use log=False")
    return names


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values, dtype=float)
