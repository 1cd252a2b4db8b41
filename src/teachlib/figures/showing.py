"""From a figure of matplotlib to HTML with a description, readable on light and on dark pages."""

import base64
import html
import io
from typing import Any

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.colors import to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image

from teachlib.errors import TeachlibError
from teachlib.figures.style import DENSITY, DPI, INK, INK_ON_DARK

DARK = ':is(html[data-theme="dark"],html[theme="dark"],body[data-jp-theme-light="false"],body.vscode-dark)'
_OWN = ".text_html:has(>.teachlib-figure,>.teachlib-slider,>.teachlib-demo)"
# The theme puts what a cell shows on a light card in the dark; these pictures bring their own.
BARE = (
    f'html[data-theme="dark"] .bd-content div.cell_output {_OWN}'
    "{background:transparent!important;color:inherit!important;padding:0!important}"
    f"{_OWN}{{border-radius:0!important}}"
)
# A page that says nothing of its theme gets the pictures for light.
THEMES = (("on-light", ""), ("on-dark", " hidden"))
THEME_STYLE = (
    f"{DARK} .teachlib-figure .on-light{{display:none!important}}"
    f"{DARK} .teachlib-figure .on-dark{{display:block!important}}"
)
_FIGURE_STYLE = ".teachlib-figure img{max-width:100%!important;height:auto!important}" + THEME_STYLE + BARE
# In the element itself: a page's own rules for pictures (cards, dimming) then cannot win.
PLAIN = "padding:0;border:0;border-radius:0;background:none;filter:none;margin:0"


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
    described = escaped_description(alt)
    width = round(figure.get_figwidth() * DPI / DENSITY)
    pictures = []
    for (name, hidden), picture in zip(THEMES, draw_for_themes(figure), strict=True):
        address = data_address(with_palette(picture))
        pictures.append(
            f'<img class="{name}"{hidden} alt="{described}" width="{width}" style="{PLAIN}" src="{address}">'
        )
    return f'<div class="teachlib-figure"><style>{_FIGURE_STYLE}</style>{"".join(pictures)}</div>'


def live(demo: str, still: Figure, *, alt: str) -> None:
    """Display a figure that the rendered book lets its readers run themselves.

    Elsewhere, and until the reader asks for it, the figure is all there is.

    Args:
        demo: of a chapter's ``demos``, e.g. ``latent-map``.
        still: the figure, of matplotlib; closed afterwards.
        alt: what it shows, for those who do not see it.

    Raises:
        TeachlibError: no description.
    """
    display({"text/html": demo_html(demo, still, alt=alt), "text/plain": f"Figure: {alt}"}, raw=True)


def demo_html(demo: str, still: Figure, *, alt: str) -> str:
    """What :func:`live` displays, as HTML; closes the figure.

    Raises:
        TeachlibError: no description.
    """
    return f'<div class="teachlib-demo" data-demo="{html.escape(demo)}">{figure_html(still, alt=alt)}</div>'


def escaped_description(alt: str) -> str:
    """A description on one line, ready for an attribute of HTML.

    Raises:
        TeachlibError: an empty one.
    """
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
    for artist in figure.findobj(lambda artist: isinstance(artist, Text | Line2D | Patch | Collection)):
        for part in ("color", "edgecolor", "facecolor", "markeredgecolor", "markerfacecolor"):
            get, put = getattr(artist, f"get_{part}", None), getattr(artist, f"set_{part}", None)
            shade = _rgba(get()) if get and put else None
            if put and shade and to_hex(shade) in _INKS:
                put((*to_rgba(ink)[:3], shade[3]))


def draw_for_themes(figure: Figure) -> list[Image.Image]:
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


def with_palette(picture: Image.Image) -> Image.Image:
    """With 256 colours: a third of the size."""
    return picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def data_address(picture: Image.Image) -> str:
    """The picture itself as an address, so that a page needs no other file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
