"""Sphinx extension with the book's wishes that no setting fulfils, and what follows from its public address."""

import gc
import json
import re
from enum import EnumMeta
from html import escape, unescape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import address
import citations
from captions import captioned
from myst_nb.core.render import MimeData, NbElementRenderer  # type: ignore[import-untyped]
from sphinx.util import logging
from sphinxcontrib.bibtex.domain import BibtexDomain

if TYPE_CHECKING:
    from docutils import nodes  # type: ignore[import-untyped]
    from sphinx.application import Sphinx
    from sphinx.config import Config

logger = logging.getLogger(__name__)
LIVE = 'class="teachlib-demo" data-demo='
TOGGLE = re.compile(r"(>\s*([^<>]+?)\s*</a>\s*<details[^>]*>\s*)<summary>")


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


def set_launch_buttons(app: "Sphinx", config: "Config") -> None:
    """Tell the theme where notebooks can be opened; where no address is set, jupyter-book's own is taken away."""
    options = config.html_theme_options
    options.pop("repository_url", None)
    options.pop("launch_buttons", None)
    public = address.checked(config.public_address)
    if public:
        options["repository_url"] = public
        options["repository_branch"] = address.BRANCH
        options["use_repository_button"] = True
        interfaces = {"notebook_interface": "jupyterlab", "colab_url": address.COLAB, "binderhub_url": address.BINDER}
        options["launch_buttons"] = interfaces


def add_erratum_link(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Below what an author wrote: where to report what is wrong with it."""
    if not app.config.public_address or doctree is None:
        return
    title = unescape(re.sub("<[^>]*>", "", context["title"]))
    link = address.erratum_link(app.config.public_address, page, title, version("teachlib"))
    context["body"] += f'<p class="erratum"><a href="{escape(link)}">Report an erratum on this page</a></p>'


def add_live_models(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """On pages whose readers can run models: the script that offers it, and how much would be loaded."""
    if doctree is None or LIVE not in context["body"]:
        return
    sizes = json.loads((Path(app.srcdir) / "_assets" / "live" / "sizes.json").read_text(encoding="utf-8"))

    def with_size(match: re.Match[str]) -> str:
        if match["name"] not in sizes["demos"]:
            known = ", ".join(sorted(sizes["demos"]))
            logger.warning("no chapter has a demo %s; there are: %s", match["name"], known, location=page)
            return match[0]
        shared = 0 if match["name"] in sizes["alone"] else sizes["shared"]
        bytes_ = shared + sizes["demos"][match["name"]]
        return f'{match[0]} data-bytes="{bytes_}" data-shared="{shared}" data-version="{sizes["version"]}"'

    context["body"] = re.sub(rf'{LIVE}"(?P<name>[^"]+)"', with_size, context["body"])
    app.add_js_file("live.js")


def name_toggles(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Name the buttons that unfold chapters in the contents: the theme draws an arrow, which nobody hears."""
    if (write := context.get("generate_toctree_html")) is None:
        return

    def named(*arguments: Any, **options: Any) -> Any:
        return TOGGLE.sub(r'\1<summary aria-label="Sections of \2">', str(write(*arguments, **options)))

    context["generate_toctree_html"] = named


def mend_roles(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Take back what Sphinx and docutils tell screen readers wrongly: lists whose entries are none."""
    if doctree is None:
        return
    body = context["body"].replace('<div role="list" class="citation-list">', '<div class="citation-list">')
    # The parameters of a long signature: definitions of nothing, in a list of definitions.
    body = re.sub(r"<dl>(\s*<dd><em class=\"sig-param)", r'<dl role="presentation">\1', body)
    context["body"] = body.replace('<dd><em class="sig-param', '<dd role="presentation"><em class="sig-param')


def caption_figures(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Below each figure of a notebook: its number, and what it shows."""
    if doctree is not None:
        context["body"] = captioned(context["body"], page)


def lead_to_entries(app: "Sphinx", page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Where a page cites by name, lead to the entry and not to the top of the bibliography."""
    if doctree is None or "bibliography.html" not in context["body"]:
        return
    known = {citation.key: citation for citation in cast(BibtexDomain, app.env.get_domain("cite")).citations}
    entries = {
        key: citations.Entry(
            tuple(" ".join([*each.prelast_names, *each.last_names]) for each in citation.entry.persons["author"]),
            citation.entry.fields["year"],
        )
        for key, citation in known.items()
        if "author" in citation.entry.persons and "year" in citation.entry.fields
    }
    places = {key: citation.citation_id for key, citation in known.items()}
    context["body"] = citations.linked(context["body"], entries, places)


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register with Sphinx."""
    gc.set_threshold(100_000, 20, 50)  # a book is millions of objects that stay; a sixth of the time went on them
    NbElementRenderer.render_image = render_described_image
    app.connect("autodoc-process-signature", hide_enum_signature)
    app.add_config_value("public_address", "", "html", str)
    app.connect("config-inited", set_launch_buttons, priority=100)  # before the theme reads them
    app.connect("html-page-context", add_erratum_link)
    app.connect("html-page-context", add_live_models)
    app.connect("html-page-context", mend_roles)
    app.connect("html-page-context", caption_figures)
    app.connect("html-page-context", lead_to_entries)
    app.connect("html-page-context", name_toggles, priority=900)  # after the theme's own
    return {"version": "1", "parallel_read_safe": True}
