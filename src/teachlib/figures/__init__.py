"""Figures with one look: readable in light and dark, colour-blind safe, never without a description."""

from teachlib.figures.brushes import brush
from teachlib.figures.diagrams import diagram
from teachlib.figures.images import image_grid, labelled_grid, strips
from teachlib.figures.plots import bars, coloured, curves, heatmaps, scatter
from teachlib.figures.showing import figure_html, live, show
from teachlib.figures.sliders import explorer, slider
from teachlib.figures.style import COLOURS, DENSITY, DPI, HATCHES, INK, INK_ON_DARK, LINES, MARKERS, WIDTH, use_style

__all__ = [
    "COLOURS",
    "DENSITY",
    "DPI",
    "HATCHES",
    "INK",
    "INK_ON_DARK",
    "LINES",
    "MARKERS",
    "WIDTH",
    "bars",
    "brush",
    "coloured",
    "curves",
    "diagram",
    "explorer",
    "figure_html",
    "heatmaps",
    "image_grid",
    "labelled_grid",
    "live",
    "scatter",
    "show",
    "slider",
    "strips",
    "use_style",
]
