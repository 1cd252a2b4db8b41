"""Captions: which outputs are figures, how they are numbered, and what of the code is folded."""

import re
from pathlib import Path

import captions
import pytest
from rendered import ROOT  # which also puts the tools on the path

PAGE = "chapters/5-invertible-gans/3-against-the-others"
FIGURE = '<div class="output text_html"><div class="teachlib-{}"><div><img alt="{}" src="data:,"></div></div></div>'
CODE = '<span class="n">alt</span><span class="o">=</span>{}<span class="p">,</span>'


def test_figures_are_numbered_and_the_caption_is_what_they_show() -> None:
    body = FIGURE.format("figure", "A &amp; B") + "<p>between</p>" + FIGURE.format("slider", "C") + "<p>after</p>"
    found = captions.captioned(body, PAGE)
    assert re.sub(r'<p class="figure-caption".*?</p>', "", found) == body
    first, second = re.findall(r'</div><p class="figure-caption" id="(.*?)"><b>(.*?)</b>(.*?)</p></div>', found)
    assert first == ("figure-1", "Figure 5.3.1.", ' <span aria-hidden="true">A &amp; B</span>')
    assert second[:2] == ("figure-2", "Figure 5.3.2.")


@pytest.mark.parametrize("output", ['<div class="teachlib-live">', '<div class="other">', "<table>"])
def test_other_outputs_are_no_figures(output: str) -> None:
    body = f'<div class="output text_html">{output}</div>'
    assert captions.captioned(body, PAGE) == body


def test_pages_that_are_no_notebooks_stay_as_they_are() -> None:
    body = FIGURE.format("demo", "A")
    for page in ("book/welcome", "chapters/5-invertible-gans/index"):
        assert captions.captioned(body, page) == body


def test_a_description_is_folded_and_stays_in_the_code() -> None:
    pieces = (
        '<span class="s2">&quot;Fifteen letters &quot;</span>\n    <span class="s2">&quot;and some more.&quot;</span>'
    )
    found = captions.captioned(CODE.format(pieces), PAGE)
    assert found == CODE.format(f'<span class="described">{pieces}</span>')


@pytest.mark.parametrize(
    "argument",
    [
        '<span class="s2">&quot;short&quot;</span>',
        '<span class="sa">f</span><span class="s2">&quot;Of so many, {</span><span class="n">n</span>',
        '<span class="n">described_by_a_variable_with_a_long_name</span>',
    ],
)
def test_what_is_short_or_no_mere_text_is_not_folded(argument: str) -> None:
    assert captions.captioned(CODE.format(argument), PAGE) == CODE.format(argument)


def test_every_figure_of_every_notebook_has_its_number(html: Path) -> None:
    pages = sorted((html / "chapters").glob("*/[0-9]*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        shown = len(re.findall(r'<div class="output text_html"><div class="teachlib-(?:figure|slider|demo)"', text))
        number = f"{page.parent.name.split('-')[0]}.{page.name.split('-')[0]}"
        wanted = [f"Figure {number}.{count}." for count in range(1, shown + 1)]
        assert re.findall(r'<p class="figure-caption" id="figure-\d+"><b>(.*?)</b> <span', text) == wanted, page


def test_a_copy_of_the_code_has_the_description(address: str, browser: object) -> None:
    page = browser.new_page()  # type: ignore[attr-defined]
    page.goto(f"{address}{PAGE}.html")
    seen, copied = page.evaluate(
        """() => {
            const code = document.querySelector('.described').closest('pre')
            return [code.innerText, code.cloneNode(true).innerText]  // the latter is what the button copies
        }"""
    )
    page.close()
    folded = (ROOT / f"{PAGE}.ipynb").read_text(encoding="utf-8")
    described = re.search(r'alt=\\"([^"\\]{25,})', folded)
    assert described
    assert described[1] not in seen
    assert described[1] in copied
