"""The widget behind :func:`teachlib.figures.brush`; imported where one is shown, since only notebooks need it."""

from pathlib import Path

import anywidget
import traitlets


class Canvas(anywidget.AnyWidget):
    """A picture to paint on, and beside it another that answers.

    Attributes:
        shape: height and width of both, in pixels.
        picture: address of what is painted on.
        label: what painting does, for screen readers.
        alt: what the answer shows.
        marks: a ``1`` for each pixel that is marked, else a ``0``, row by row; the page sets it after each stroke.
        made: address of the answer.
        said: a line below both.
    """

    _esm = Path(__file__).with_name("canvas.js")
    shape = traitlets.List(traitlets.Int()).tag(sync=True)
    picture = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    marks = traitlets.Unicode().tag(sync=True)
    made = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
