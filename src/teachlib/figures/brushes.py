"""Pictures that a reader paints on, with a kernel that answers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from teachlib.errors import TeachlibError
from teachlib.figures.images import rgb_pixels
from teachlib.figures.showing import data_address, escaped_description

if TYPE_CHECKING:
    from teachlib.figures.canvas import Canvas


def brush(picture: Tensor, answer: Callable[[Tensor], Tensor], *, label: str, alt: str) -> "Canvas":
    """A picture to paint on, by mouse, touch or keys; after each stroke, beside it, what is made of the marks.

    It answers where a kernel runs, in JupyterLab, VS Code and Colab. The rendered book leaves it out: show a
    :func:`teachlib.figures.slider` beneath.

    Args:
        picture: (H, W) or (C, H, W) in [0, 1], C of 1 or 3.
        answer: marks (H, W), bool, some of them true → a picture of the same size. A :class:`TeachlibError` that it
            raises is shown below.
        label: what painting does.
        alt: what the answer shows.

    Returns:
        The widget; as a cell's last line it is shown. Its ``marks`` are kept while the kernel runs.

    Raises:
        TeachlibError: no description or label; what is no picture; anywidget is missing.
    """
    escaped_description(alt)
    if not label.strip():
        raise TeachlibError("a brush without label; say what painting does")
    address = _address(picture)
    try:
        from teachlib.figures.canvas import Canvas
    except ImportError:
        raise TeachlibError("a brush needs anywidget; 'pip install anywidget', and restart Jupyter") from None
    height, width = picture.shape[-2:]
    empty = "0" * (height * width)
    canvas = Canvas(shape=[height, width], picture=address, label=label, alt=alt, marks=empty)

    def update(_: object = None) -> None:
        canvas.made, canvas.said = answered(picture, answer, canvas.marks)

    canvas.observe(update, "marks")
    update()
    return canvas


def answered(picture: Tensor, answer: Callable[[Tensor], Tensor], marks: str) -> tuple[str, str]:
    """The address of what is made of marks, and a line in words: the picture itself where there are none, or no answer.

    Args:
        picture: as :func:`brush` takes it.
        answer: likewise.
        marks: a ``1`` or ``0`` for each pixel, row by row.
    """
    try:
        marked = marked_pixels(marks, *picture.shape[-2:])
        if not marked.any():
            return _address(picture), "Nothing is marked yet."
        return _address(answer(marked)), f"{int(marked.sum())} of {marked.numel()} pixels are marked."
    except TeachlibError as error:
        return _address(picture), f"{error}."


def marked_pixels(marks: str, height: int, width: int) -> Tensor:
    """Marks as pixels, (height, width) of bools.

    Raises:
        TeachlibError: other characters than zeros and ones, or another number of them.
    """
    if len(marks) != height * width or set(marks) - {"0", "1"}:
        raise TeachlibError(f"{len(marks)} marks; expected a 0 or 1 for each of {height}×{width} pixels")
    return torch.tensor([mark == "1" for mark in marks]).view(height, width)


def _address(picture: Tensor) -> str:
    if picture.ndim not in (2, 3):
        raise TeachlibError(f"a picture of shape {tuple(picture.shape)}; expected (H, W) or (C, H, W)")
    return data_address(Image.fromarray(rgb_pixels(picture.reshape(1, -1, *picture.shape[-2:]), "picture")[0]))
