"""Pictures that a reader changes: by a slider without a kernel, and live with one."""

import hashlib
import html
import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from IPython.display import HTML, display
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.figures.images import rgb_pixels
from teachlib.figures.showing import (
    BARE,
    DARK,
    PLAIN,
    THEME_STYLE,
    THEMES,
    data_address,
    draw_for_themes,
    escaped_description,
    figure_html,
    with_palette,
)
from teachlib.figures.style import DENSITY

_SLIDER_STYLE = (
    ".teachlib-slider{color:inherit;margin:.5rem 0}.teachlib-slider :is(label,output){display:block;margin-top:.3rem}"
    ".teachlib-slider output{min-height:1.5em;font-variant-numeric:tabular-nums}"
    ".teachlib-slider input{display:block;width:min(100%,26rem);height:2rem;margin:0;accent-color:#0072B2;"
    "cursor:pointer}"
    ".teachlib-slider input:focus-visible{outline:3px solid #D55E00!important;outline-offset:2px}"
    ".teachlib-slider button{font:inherit;color:inherit;background:none;border:1px solid;border-radius:.3rem;"
    "padding:.3rem .9rem;cursor:pointer}"
    ".teachlib-slider button:focus-visible{outline:3px solid #D55E00;outline-offset:2px}"
    ".teachlib-slider .named{display:grid;grid-template-columns:auto minmax(0,1fr);column-gap:.5rem;font-size:.85em}"
    ".teachlib-slider .named>*{grid-column:2}.teachlib-slider :is(.rows,.columns){display:grid;line-height:1.2}"
    ".teachlib-slider .named>.rows{grid-column:1;grid-row:2;grid-auto-rows:1fr;align-items:center;max-width:6rem}"
    ".teachlib-slider .columns{grid-auto-columns:1fr;grid-auto-flow:column;text-align:center;align-items:end}"
    f"{DARK} .teachlib-slider input{{accent-color:#2B93CC;color-scheme:dark}}" + THEME_STYLE + BARE
)
_TICKS = 25  # more would run into each other
# In attributes: they work in a static page and in Jupyter alike, and find their parts without an id.
_ON_INPUT = (
    "const s=this.closest('.teachlib-slider'),c=JSON.parse(s.dataset.captions)[this.value];"
    "for(const i of s.querySelectorAll('img'))i.style.objectPosition=this.value*100/this.max+'% 0';"
    "s.querySelector('output').value=c;this.setAttribute('aria-valuetext',c)"
)
# From the present frame, or the first, to the last one; a reader who takes hold of the slider meanwhile stops it.
_ON_PLAY = (
    "const b=this,c=b.closest('.teachlib-slider').querySelector('input'),"
    "rest=()=>{clearInterval(b.clock);b.clock=0;b.textContent='Play'},"
    "go=v=>{c.value=v;c.dispatchEvent(new Event('input'))};"
    "if(b.clock)rest();else{c.blur();if(c.value===c.max)go(0);b.textContent='Pause';"
    "b.clock=setInterval(()=>{if(!b.isConnected||document.activeElement===c)return rest();"
    "go(+c.value+1);if(c.value===c.max)rest()},350)}"
)


def slider(
    frames: Sequence[Tensor | Figure],
    *,
    label: str,
    captions: Sequence[str],
    alt: str,
    height: int = 160,
    start: int = 0,
    play: bool = False,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> HTML:
    """A picture that a slider changes, computed beforehand: it works in the static page, by mouse, touch and keys.

    All frames travel in one picture, side by side; figures in two, for light and for dark pages. Without JavaScript the
    frame at ``start`` is seen.

    Args:
        frames: two or more of (H, W) or (C, H, W) in [0, 1], all of one shape, C of 1 or 3; or figures of one size,
            which are closed.
        label: what the slider changes.
        captions: one a frame, said aloud by screen readers; plain text.
        alt: what the picture shows.
        height: on the page, in CSS pixels; figures keep their own.
        start: number of the frame that is seen first, from 0: a telling one.
        play: with a button that shows one frame after the other until it is pressed again: for what happens in time.
        rows: names of equally high parts of every frame, from above, beside it.
        columns: of equally wide parts, from the left, above it.

    Raises:
        TeachlibError: no description or label, too few or unequal frames, another number of captions, or a start that
            is no frame.
    """
    described = escaped_description(alt)
    if not label.strip():
        raise TeachlibError("a slider without label; say what it changes")
    if len(captions) != len(frames):
        raise TeachlibError(f"{len(frames)} frames and {len(captions)} captions; expected one caption a frame")
    if not 0 <= start < len(frames):
        raise TeachlibError(f"start={start}; expected the number of a frame, 0 to {len(frames) - 1}")
    sheets, (frame_height, frame_width) = _sheets(frames)
    pixelated = len(sheets) == 1  # numbers, each to be seen; a figure has DENSITY pixels to a CSS pixel
    width = round(height * frame_width / frame_height) if pixelated else round(frame_width / DENSITY)
    addresses, said = [data_address(sheet) for sheet in sheets], json.dumps(list(captions), ensure_ascii=False)
    named = [json.dumps([[*rows], [*columns]])] if rows or columns else []
    identity = "\0".join(
        [*addresses, label, said, alt, str(height), *([str(start)] if start else []), *["play"] * play, *named]
    )
    name = "slider-" + hashlib.sha256(identity.encode()).hexdigest()[:12]
    place = 100 * start / (len(frames) - 1)
    style = (
        f"{PLAIN};{'display:block;' if pixelated else ''}width:{width}px;max-width:100%;height:auto;"
        f"aspect-ratio:{frame_width}/{frame_height};object-fit:cover;object-position:{place:g}% 0"
        f"{';image-rendering:pixelated' if pixelated else ''}"
    )
    themes = (("", ""),) if pixelated else THEMES
    pictures = "".join(
        f'<img class="{theme}"{hidden} alt="{described}" src="{address}" style="{style}">'
        for (theme, hidden), address in zip(themes, addresses, strict=True)
    )
    marked = len(frames) if len(frames) <= _TICKS else 0
    ticks = "".join(f'<option value="{place}"></option>' for place in range(marked))
    control = (
        f'<label>{html.escape(label)}<input type="range" min="0" max="{len(frames) - 1}" step="1" '
        f'value="{start}" autocomplete="off" aria-valuetext="{html.escape(captions[start])}" list="{name}-ticks" '
        f'oninput="{html.escape(_ON_INPUT)}"></label><datalist id="{name}-ticks">{ticks}</datalist>'
    )
    button = f'<button type="button" onclick="{html.escape(_ON_PLAY)}">Play</button>' if play else ""
    return HTML(
        f'<div class="teachlib-slider" id="{name}" data-captions="{html.escape(said)}"><style>{_SLIDER_STYLE}</style>'
        + _with_names(pictures, rows, columns, width)
        + f'{control}{button}<output aria-live="off">{html.escape(captions[start])}</output></div>'
    )


def _with_names(pictures: str, rows: Sequence[str], columns: Sequence[str], width: int) -> str:
    """Pictures with words beside and above their parts."""
    if not rows and not columns:
        return f'<div class="teachlib-figure">{pictures}</div>'
    beside, above = ("".join(f"<span>{html.escape(name)}</span>" for name in names) for names in (rows, columns))
    return (
        f'<div class="teachlib-figure named"><div class="columns" style="width:{width}px;max-width:100%">{above}</div>'
        f'<div class="rows">{beside}</div><div>{pictures}</div></div>'
    )


def explorer(
    draw: Callable[[float], Tensor | Figure],
    values: Sequence[float],
    *,
    label: str,
    caption: Callable[[float], str],
    alt: str,
    height: int = 160,
    start: float | None = None,
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
        start: the one of ``values`` that both show first; by default the first.

    Raises:
        TeachlibError: a start that is none of the values.
    """
    import ipywidgets as widgets  # here: only notebooks need it

    first = values[0] if start is None else start
    if first not in values:
        raise TeachlibError(
            f"start={first:g}; expected one of the values {', '.join(f'{value:g}' for value in values)}"
        )
    step = (values[-1] - values[0]) / 100
    chosen = widgets.FloatSlider(first, min=values[0], max=values[-1], step=step, description=label)
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
    display(
        slider(
            frames,
            label=label,
            captions=[caption(value) for value in values],
            alt=alt,
            height=height,
            start=list(values).index(first),
        )
    )


def _picture_html(picture: Tensor | Figure, *, alt: str, height: int) -> str:
    if isinstance(picture, Figure):
        return figure_html(picture, alt=alt)
    pixels = rgb_pixels(picture.reshape(1, -1, *picture.shape[-2:]), "picture")[0]
    address = data_address(Image.fromarray(pixels))
    return f'<img src="{address}" alt="{escaped_description(alt)}" height="{height}" style="image-rendering:pixelated">'


def _sheets(frames: Sequence[Tensor | Figure]) -> tuple[list[Image.Image], tuple[int, int]]:
    """All frames side by side, once for tensors and once a theme for figures; height and width of one frame."""
    tensors = [frame for frame in frames if isinstance(frame, Tensor)]
    shapes = {tuple(frame.shape) if isinstance(frame, Tensor) else tuple(frame.get_size_inches()) for frame in frames}
    if len(frames) < 2 or len(shapes) > 1 or len(tensors) not in (0, len(frames)):
        raise TeachlibError(f"{len(frames)} frames of shapes {sorted(shapes)}; expected two or more of one shape")
    if tensors:
        images = torch.stack([frame.reshape(-1, *frame.shape[-2:]) for frame in tensors])
        pixels = rgb_pixels(images, "frames")
        sheet = Image.fromarray(np.concatenate(list(pixels), axis=1))
        return [sheet.convert("L") if images.shape[1] == 1 else sheet], (pixels.shape[1], pixels.shape[2])
    drawn = [draw_for_themes(frame) for frame in frames if isinstance(frame, Figure)]
    sheets = [
        Image.fromarray(np.concatenate([np.asarray(one) for one in theme], axis=1))
        for theme in zip(*drawn, strict=True)
    ]
    return [with_palette(sheet) for sheet in sheets], (drawn[0][0].height, drawn[0][0].width)
