"""The one look: colours, markers and dashes that tell series apart, the ink, and sizes."""

import matplotlib
from cycler import cycler

# Okabe and Ito's palette, the light ones darkened until each stands out from white and from the book's dark ground
# (contrast of 3 and more against both).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#B8608F", "#A67C00", "#2B93CC")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
HATCHES = ("", "//", "..", "\\\\", "xx", "--")

INK, INK_ON_DARK = "#1f2730", "#d7dee5"
# Twice the 96 pixels of a CSS inch, so that text is sharp on dense screens.
DPI, DENSITY = 192, 2
WIDTH = 6.0


def use_style() -> None:
    """Set matplotlib's defaults to the course's look; every function here that draws calls it first."""
    matplotlib.rcParams.update(
        {
            "figure.figsize": (WIDTH, 3.6),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.grid": True,
            "axes.axisbelow": True,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.prop_cycle": cycler(color=COLOURS),
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "font.size": 11,
            "grid.color": "#8a949e",
            "grid.alpha": 0.3,
            "legend.frameon": False,
            "legend.labelcolor": INK,
            "lines.linewidth": 1.8,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
        }
    )
