"""Figures with one look: readable in light and dark, colour-blind safe, never without a description."""

import base64
import hashlib
import html
import io
import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
import torch
from cycler import cycler
from IPython.display import HTML, display
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection, PathCollection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from PIL import Image
from torch import Tensor

from teachlib.errors import TeachlibError

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


# ------------------------------------------------------------------------------------------------------ showing

_DARK = ':is(html[data-theme="dark"],html[theme="dark"],body[data-jp-theme-light="false"],body.vscode-dark)'
# The theme puts what a cell shows on a light card in the dark; these pictures bring their own.
_BARE = (
    'html[data-theme="dark"] .bd-content div.cell_output .text_html:has(>.teachlib-figure,>.teachlib-slider)'
    "{background:transparent!important;color:inherit!important;padding:0!important}"
    ".text_html:has(>.teachlib-figure,>.teachlib-slider){border-radius:0!important}"
)
# A page that says nothing of its theme gets the pictures for light.
_THEMES = (("on-light", ""), ("on-dark", " hidden"))
_THEME_STYLE = (
    f"{_DARK} .teachlib-figure .on-light{{display:none!important}}"
    f"{_DARK} .teachlib-figure .on-dark{{display:block!important}}"
)
_FIGURE_STYLE = ".teachlib-figure img{max-width:100%!important;height:auto!important}" + _THEME_STYLE + _BARE
# In the element itself: a page's own rules for pictures (cards, dimming) then cannot win.
_PLAIN = "padding:0;border:0;border-radius:0;background:none;filter:none;margin:0"


def show(figure: Figure, *, alt: str) -> None:
    """Display a figure so that it is readable on light and on dark pages, then close it.

    It is drawn twice on a transparent ground, with dark and with light text; the page's theme picks one, and a page
    that says nothing gets the one for light. Only black and the style's own ink are exchanged, no other colour.

    Args:
        figure: of matplotlib; closed afterwards.
        alt: what the figure shows, for those who do not see it.

    Raises:
        TeachlibError: no description.
    """
    content = figure_html(figure, alt=alt)
    display({"text/html": content, "text/plain": f"Figure: {alt}"}, raw=True)


def figure_html(figure: Figure, *, alt: str) -> str:
    """What :func:`show` displays, as HTML; closes the figure.

    Raises:
        TeachlibError: no description.
    """
    described = _described(alt)
    width = round(figure.get_figwidth() * DPI / DENSITY)
    pictures = []
    for (name, hidden), picture in zip(_THEMES, _drawn(figure), strict=True):
        address = _address(_with_palette(picture))
        pictures.append(
            f'<img class="{name}"{hidden} alt="{described}" width="{width}" style="{_PLAIN}" src="{address}">'
        )
    return f'<div class="teachlib-figure"><style>{_FIGURE_STYLE}</style>{"".join(pictures)}</div>'


def _described(alt: str) -> str:
    if not alt.strip():
        raise TeachlibError("a figure without description; say in alt what it shows, for those who do not see it")
    return html.escape(" ".join(alt.split()))


def _close(figure: Figure) -> None:
    from matplotlib import pyplot  # here: importing it chooses a backend

    pyplot.close(figure)


def _clear_grounds(figure: Figure) -> None:
    """Remove white behind axes and legends, where a figure was begun in another style."""
    figure.patch.set_alpha(0)
    for axes in figure.axes:
        axes.patch.set_alpha(0)
    for legend in figure.findobj(matplotlib.legend.Legend):
        legend.get_frame().set_alpha(0)


_INKS = {to_hex(colour) for colour in ("black", INK, INK_ON_DARK)}


def _rgba(colour: Any) -> tuple[float, float, float, float] | None:
    """One colour as four numbers; ``None`` for an invisible one, and for arrays of several."""
    try:
        shade = to_rgba(colour)
    except ValueError:
        several = np.asarray(colour, dtype=float)
        if several.shape != (1, 4):
            return None
        shade = to_rgba(tuple(several[0]))
    return shade if shade[3] > 0 else None


def _recolour(figure: Figure, ink: str) -> None:
    """Give ``ink`` to everything drawn in black or in an ink; other colours stay."""
    for artist in figure.findobj(lambda found: isinstance(found, Text | Line2D | Patch | Collection)):
        for part in ("color", "edgecolor", "facecolor", "markeredgecolor", "markerfacecolor"):
            get, put = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
            shade = _rgba(get()) if get and put else None
            if put and shade and to_hex(shade) in _INKS:
                put((*to_rgba(ink)[:3], shade[3]))


def _drawn(figure: Figure) -> list[Image.Image]:
    """The figure for light and for dark pages, on a transparent ground; closes it."""
    if figure.get_layout_engine() is None and any(axes.get_subplotspec() for axes in figure.axes):
        figure.set_layout_engine("constrained")
    _clear_grounds(figure)
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DPI)
    figure.draw_without_rendering()  # ticks and their labels exist only afterwards
    figure.set_layout_engine("none")  # which is found by now; each drawing would look for it again
    pictures: list[Image.Image] = []
    for ink in (INK, INK_ON_DARK):
        _recolour(figure, ink)
        canvas.draw()
        pictures.append(Image.fromarray(np.array(canvas.buffer_rgba())))
    _recolour(figure, INK)
    _close(figure)
    return pictures


def _with_palette(picture: Image.Image) -> Image.Image:
    """With 256 colours: a third of the size."""
    return picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def _address(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


# ------------------------------------------------------------------------------------------------------- images


def image_grid(images: Tensor, *, columns: int, title: str | None = None) -> Figure:
    """Images in rows of ``columns``, each pixel a square of whole size.

    Args:
        images: (N, C, H, W) in [0, 1], C of 1 or 3; values beyond are cut.
        columns: at most so many beside each other.
        title: above the grid.

    Raises:
        TeachlibError: another shape, no images, or no columns.
    """
    pixels = _pixels(images, "images")
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
    pixels = [_pixels(images, name) for name, images in rows.items()]
    if not pixels or len({row.shape[1:] for row in pixels}) > 1:
        raise TeachlibError(f"rows of images of {[row.shape[1:3] for row in pixels]} pixels; expected one size for all")
    return _mosaic(pixels, labels=list(rows), title=title)


def _pixels(images: Tensor, name: str) -> np.ndarray:
    """(N, C, H, W) in [0, 1] → (N, H, W, 3) uint8."""
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


# -------------------------------------------------------------------------------------------------------- plots


def _plot(xlabel: str, ylabel: str, title: str | None, height: float = 3.6) -> tuple[Figure, Axes]:
    use_style()
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure, axes


def _legend(figure: Figure, axes: Axes, count: int) -> None:
    """Below the axes, where it covers nothing."""
    if count > 1:
        legend = figure.legend(
            *axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(count, 3), scatterpoints=1
        )
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
    """Lines that differ in colour, dashes and markers; the legend stands below the axes.

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
        style: Any = LINES[index % len(LINES)]
        axes.plot(
            xs, ys, label=name, color=colour, linestyle=style, marker=marker, markersize=5, markevery=(start, every)
        )
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
) -> Figure:
    """Densities over a square of the plane, one panel each, all on one scale of colours.

    Args:
        panels: name → (side, side), not negative, first row at the top.
        extent: half the side of the square, in the data's units.
        points: name → (N, 2), drawn over the panel of that name.
        columns: panels a row at most.
        names: of the two axes.

    Raises:
        TeachlibError: nothing to draw.
    """
    if not panels:
        raise TeachlibError("no panels to draw")
    use_style()
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    side = WIDTH / columns
    figure = Figure(figsize=(WIDTH, rows * (side + 0.3)), layout="constrained")
    highest = max(float(panel.max()) for panel in panels.values())
    for place, (name, panel) in enumerate(panels.items()):
        axes = figure.add_subplot(rows, columns, place + 1)
        square = (-extent, extent, -extent, extent)
        axes.imshow(_array(panel), extent=square, cmap="cividis", vmin=0, vmax=highest, interpolation="bilinear")
        over = (points or {}).get(name)
        if over is not None:
            x, y = _array(over).T
            axes.scatter(x, y, s=3, color="white", alpha=0.6, linewidths=0)
        axes.set(title=name, xlim=(-extent, extent), ylim=(-extent, extent), xlabel=names[0], ylabel=names[1])
        axes.grid(visible=False)
        axes.label_outer()
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
    width = 0.84 / len(names)
    crowded = len(names) * len(table) > 9
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


# ------------------------------------------------------------------------------------------------------- slider

_SLIDER_STYLE = (
    ".teachlib-slider{color:inherit;margin:.5rem 0}.teachlib-slider :is(label,output){display:block;margin-top:.3rem}"
    ".teachlib-slider output{min-height:1.5em;font-variant-numeric:tabular-nums}"
    ".teachlib-slider input{display:block;width:min(100%,26rem);height:2rem;margin:0;accent-color:#0072B2;"
    "cursor:pointer}"
    ".teachlib-slider input:focus-visible{outline:3px solid #D55E00!important;outline-offset:2px}"
    f"{_DARK} .teachlib-slider input{{accent-color:#2B93CC;color-scheme:dark}}" + _THEME_STYLE + _BARE
)
# In attributes: they work in a static page and in Jupyter alike, and find their parts without an id.
_ON_INPUT = (
    "const s=this.closest('.teachlib-slider'),c=JSON.parse(s.dataset.captions)[this.value];"
    "for(const i of s.querySelectorAll('img'))i.style.objectPosition=this.value*100/this.max+'% 0';"
    "s.querySelector('output').value=c;this.setAttribute('aria-valuetext',c)"
)


def slider(
    frames: Sequence[Tensor | Figure], *, label: str, captions: Sequence[str], alt: str, height: int = 160
) -> HTML:
    """A picture that a slider changes, computed beforehand: it works in the static page, by mouse, touch and keys.

    All frames travel in one picture, side by side; figures in two, for light and for dark pages. Without JavaScript the
    first frame is seen.

    Args:
        frames: two or more of (H, W) or (C, H, W) in [0, 1], all of one shape, C of 1 or 3; or figures of one size,
            which are closed.
        label: what the slider changes.
        captions: one a frame, said aloud by screen readers; plain text.
        alt: what the picture shows.
        height: on the page, in CSS pixels; figures keep their own.

    Raises:
        TeachlibError: no description or label, too few or unequal frames, or another number of captions.
    """
    described = _described(alt)
    if not label.strip():
        raise TeachlibError("a slider without label; say what it changes")
    if len(captions) != len(frames):
        raise TeachlibError(f"{len(frames)} frames and {len(captions)} captions; expected one caption a frame")
    sheets, (frame_height, frame_width) = _sheets(frames)
    pixelated = len(sheets) == 1  # numbers, each to be seen; a figure has DENSITY pixels to a CSS pixel
    width = round(height * frame_width / frame_height) if pixelated else round(frame_width / DENSITY)
    addresses, said = [_address(sheet) for sheet in sheets], json.dumps(list(captions), ensure_ascii=False)
    identity = "\0".join([*addresses, label, said, alt, str(height)])
    name = "slider-" + hashlib.sha256(identity.encode()).hexdigest()[:12]
    style = (
        f"{_PLAIN};{'display:block;' if pixelated else ''}width:{width}px;max-width:100%;height:auto;"
        f"aspect-ratio:{frame_width}/{frame_height};object-fit:cover;object-position:0% 0"
        f"{';image-rendering:pixelated' if pixelated else ''}"
    )
    themes = (("", ""),) if pixelated else _THEMES
    pictures = "".join(
        f'<img class="{theme}"{hidden} alt="{described}" src="{address}" style="{style}">'
        for (theme, hidden), address in zip(themes, addresses, strict=True)
    )
    control = (
        f'<label>{html.escape(label)}<input type="range" min="0" max="{len(frames) - 1}" step="1" value="0" '
        f'autocomplete="off" aria-valuetext="{html.escape(captions[0])}" oninput="{html.escape(_ON_INPUT)}"></label>'
    )
    return HTML(
        f'<div class="teachlib-slider" id="{name}" data-captions="{html.escape(said)}"><style>{_SLIDER_STYLE}</style>'
        f'<div class="teachlib-figure">{pictures}</div>'
        f'{control}<output aria-live="off">{html.escape(captions[0])}</output></div>'
    )


def explorer(
    draw: Callable[[float], Tensor | Figure],
    values: Sequence[float],
    *,
    label: str,
    caption: Callable[[float], str],
    alt: str,
    height: int = 160,
) -> None:
    """Show a picture that depends on one number twice: live, at any value, and as :func:`slider`, without a kernel.

    The rendered book, which has no kernel, shows the second alone.

    Args:
        draw: value → (H, W) or (C, H, W) in [0, 1], always of one shape; or a figure, always of one size.
        values: rising, of the kernel-free twin; the live one reaches from the first to the last.
        label: of the number.
        caption: value → what the picture shows, in words.
        alt: description of the picture for those who do not see it.
        height: of the picture on the page, in CSS pixels; a figure keeps its own.
    """
    import ipywidgets as widgets  # here: only notebooks need it

    step = (values[-1] - values[0]) / 100
    chosen = widgets.FloatSlider(values[0], min=values[0], max=values[-1], step=step, description=label)
    # Not an Output widget: its messages can cross with a cell's reply, and nbclient then waits for ever.
    shown = widgets.HTML()

    def update(_: Any = None) -> None:
        picture = _picture_html(draw(chosen.value), alt=alt, height=height)
        shown.value = f"{picture}<p>{html.escape(caption(chosen.value))}</p>"

    chosen.observe(update, "value")
    update()
    labels = widgets.Label("Any value:"), widgets.Label("Chosen values, without a kernel:")
    live = widgets.VBox([labels[0], chosen, shown, labels[1]])
    live.add_class("teachlib-live")
    display(live)
    frames = [draw(value) for value in values]
    display(slider(frames, label=label, captions=[caption(value) for value in values], alt=alt, height=height))


def _picture_html(picture: Tensor | Figure, *, alt: str, height: int) -> str:
    if isinstance(picture, Figure):
        return figure_html(picture, alt=alt)
    pixels = _pixels(picture.reshape(1, -1, *picture.shape[-2:]), "picture")[0]
    address = _address(Image.fromarray(pixels))
    return f'<img src="{address}" alt="{_described(alt)}" height="{height}" style="image-rendering:pixelated">'


def _sheets(frames: Sequence[Tensor | Figure]) -> tuple[list[Image.Image], tuple[int, int]]:
    """All frames side by side, once for tensors and once a theme for figures; height and width of one frame."""
    tensors = [frame for frame in frames if isinstance(frame, Tensor)]
    shapes = {tuple(frame.shape) if isinstance(frame, Tensor) else tuple(frame.get_size_inches()) for frame in frames}
    if len(frames) < 2 or len(shapes) > 1 or len(tensors) not in (0, len(frames)):
        raise TeachlibError(f"{len(frames)} frames of shapes {sorted(shapes)}; expected two or more of one shape")
    if tensors:
        images = torch.stack([frame.reshape(-1, *frame.shape[-2:]) for frame in tensors])
        pixels = _pixels(images, "frames")
        sheet = Image.fromarray(np.concatenate(list(pixels), axis=1))
        return [sheet.convert("L") if images.shape[1] == 1 else sheet], (pixels.shape[1], pixels.shape[2])
    drawn = [_drawn(frame) for frame in frames if isinstance(frame, Figure)]
    sheets = [
        Image.fromarray(np.concatenate([np.asarray(one) for one in theme], axis=1))
        for theme in zip(*drawn, strict=True)
    ]
    return [_with_palette(sheet) for sheet in sheets], (drawn[0][0].height, drawn[0][0].width)
