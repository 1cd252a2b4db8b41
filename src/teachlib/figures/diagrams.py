"""Boxes and arrows: what a model's parts are, and what goes where."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from teachlib.errors import TeachlibError
from teachlib.figures.style import COLOURS, INK, WIDTH, use_style

_WIDE, _HIGH = 0.84, 0.56  # of a box, in columns and rows
_MARGIN = 0.04


def diagram(
    boxes: Mapping[str, tuple[float, float]],
    arrows: Sequence[tuple[str, str]],
    *,
    learned: Sequence[str] = (),
) -> Figure:
    """Boxes in columns and rows, with arrows between them.

    Args:
        boxes: text → (column, row) of its middle; rows go down.
        arrows: (from, to), by the texts of the boxes.
        learned: boxes with parameters, which are framed in colour and thicker.

    Raises:
        TeachlibError: no boxes, or an arrow or a learned part that is no box.
    """
    if not boxes:
        raise TeachlibError("no boxes to draw")
    if strangers := ({end for arrow in arrows for end in arrow} | set(learned)) - set(boxes):
        raise TeachlibError(f"{', '.join(map(repr, sorted(strangers)))}: no such box")
    use_style()
    columns, rows = zip(*boxes.values(), strict=True)
    low, high = min(columns) - 0.5, max(columns) + 0.5
    top, bottom = min(rows) - 0.5, max(rows) + 0.5
    figure = Figure(figsize=(WIDTH, 0.54 * WIDTH * (bottom - top) / (high - low)))
    figure.set_layout_engine("none")  # boxes stand where they are told to
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(low, high), ylim=(bottom, top))
    axes.set_axis_off()
    size = min(11.0, 46 / (high - low))
    for text, (x, y) in boxes.items():
        own = text in learned
        axes.add_patch(
            FancyBboxPatch(
                (x - _WIDE / 2 + _MARGIN, y - _HIGH / 2 + _MARGIN),
                _WIDE - 2 * _MARGIN,
                _HIGH - 2 * _MARGIN,
                boxstyle=f"round,pad={_MARGIN}",
                facecolor="none",
                edgecolor=COLOURS[0] if own else INK,
                linewidth=2.4 if own else 1.2,
            )
        )
        axes.text(x, y, text, ha="center", va="center", fontsize=size)
    for start, end in arrows:
        (x, y), (to_x, to_y) = boxes[start], boxes[end]
        places = _edge(x, y, to_x, to_y), _edge(to_x, to_y, x, y)
        axes.add_patch(FancyArrowPatch(*places, arrowstyle="-|>", mutation_scale=12, color=INK, linewidth=1.2))
    return figure


def _edge(x: float, y: float, to_x: float, to_y: float) -> tuple[float, float]:
    """Where the line to another box leaves this one."""
    across, down = to_x - x, to_y - y
    share = min(_WIDE / 2 / abs(across) if across else 9.0, _HIGH / 2 / abs(down) if down else 9.0)
    return x + share * across, y + share * down
