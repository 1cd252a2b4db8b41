"""Sphinx extension with the book's two wishes that no setting fulfils."""

from enum import EnumMeta
from typing import TYPE_CHECKING, Any

from myst_nb.core.render import MimeData, NbElementRenderer  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from docutils import nodes  # type: ignore[import-untyped]
    from sphinx.application import Sphinx


class _Original:
    """Holds the renderer's own method, so that a second set-up in one process does not wrap it twice."""

    render_image = staticmethod(NbElementRenderer.render_image)


def render_described_image(renderer: NbElementRenderer, data: MimeData) -> "list[nodes.Element]":
    """Render a picture of a notebook as myst-nb does, and add the output's own alt text.

    ``IPython.display.Image(data, alt="…")`` stores the text in the output's metadata. myst-nb reads it from the
    cell's metadata only, where it would hold for every picture of the cell and be written a second time.
    """
    rendered = _Original.render_image(renderer, data)
    metadata = data.output_metadata
    text = metadata.get(data.mime_type, {}).get("alt") or metadata.get("alt")
    for node in rendered if text else []:
        node["alt"] = text
    return rendered


def hide_enum_signature(
    app: "Sphinx", what: str, name: str, obj: object, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Show an enumeration without the constructor's arguments, which nobody passes."""
    return ("", None) if isinstance(obj, EnumMeta) else None


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register with Sphinx."""
    NbElementRenderer.render_image = render_described_image
    app.connect("autodoc-process-signature", hide_enum_signature)
    return {"version": "1", "parallel_read_safe": True}
