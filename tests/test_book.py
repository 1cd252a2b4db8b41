"""The book: how it is built, and what a reader's browser gets."""

import contextlib
import importlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
import yaml
from axe_playwright_python.base import AXE_FILE_PATH as AXE
from rendered import PATIENCE
from torch import Tensor

from teachlib import invgan, primer, rae, registry
from teachlib.figures.style import COLOURS
from teachlib.gif import demos as by_sliders
from teachlib.gif.rendering import condition
from teachlib.primer.demos import fitted_flow

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

import check_html  # noqa: E402
import format_notebooks  # noqa: E402
import live_models  # noqa: E402
import notebooks  # noqa: E402
import pages  # noqa: E402
import refresh_vendor  # noqa: E402
import staging  # noqa: E402

import book as book_tool  # noqa: E402

TOC_PAGES = staging.toc_pages(ROOT)
PHONE = {"width": 390, "height": 844}


# ------------------------------------------------------------------------------------------------ the rendered book


BY_NAME = re.compile(r'href="[^"#]*bibliography\.html(#[^"]*|)"[^>]*>(?:<span[^>]*>)?([^<]*\d{4}[^<]*)<')


def test_book_is_built_without_warnings(html: Path) -> None:
    """The build treats each warning as an error, and leaves its stamp only when there was none."""
    stamp = book_tool.read_stamp(book_tool.Book(html.parent.parent))
    assert stamp["sources"] == book_tool.sources_digest()


def test_every_page_of_the_contents_is_rendered(html: Path) -> None:
    missing = [page for page in TOC_PAGES if not (html / f"{page}.html").is_file()]
    assert not missing
    assert TOC_PAGES[0] in (html / "index.html").read_text(encoding="utf-8")


def test_pages_are_offline_small_described_and_linked(html: Path) -> None:
    assert check_html.findings(html) == []


def test_pages_fold_imports_and_leave_out_what_papermill_adds(html: Path) -> None:
    """The cell that imports is one click away on every notebook's page."""
    for notebook in staging.notebooks(ROOT):
        page = (html / notebook.relative_to(ROOT)).with_suffix(".html").read_text(encoding="utf-8")
        assert "tag_injected-parameters" not in page, notebook
        folded = [cell for cell in page.split('<div class="cell ')[1:] if "tag_hide-input" in cell.partition(">")[0]]
        assert any('<span class="kn">import</span>' in cell for cell in folded), notebook


def test_citations_by_name_lead_to_their_entries(html: Path) -> None:
    there = set(re.findall(r'id="([^"]+)"', (html / "book" / "bibliography.html").read_text(encoding="utf-8")))
    links = [link for page in (html / "chapters").rglob("*.html") for link in BY_NAME.findall(page.read_text("utf-8"))]
    assert len(links) > 100
    astray = {text for place, text in links if place.removeprefix("#") not in there}
    assert not astray


def test_whatever_unfolds_has_a_name(html: Path) -> None:
    for name in TOC_PAGES:
        text = (html / f"{name}.html").read_text(encoding="utf-8")
        for attributes, content in re.findall(r"<summary([^>]*)>(.*?)</summary>", text, re.DOTALL):
            assert "aria-label" in attributes or re.sub(r"<[^>]+>", "", content).strip(), name


def test_executed_notebooks_carry_no_traces_of_the_run(html: Path) -> None:
    for source in staging.notebooks(ROOT):
        name = source.relative_to(ROOT)
        notebook = nbformat.read(html.parent / "src" / name, as_version=4)
        assert "papermill" not in notebook.metadata
        assert all(not {"papermill", "execution"} & cell.metadata.keys() for cell in notebook.cells)
        assert [cell for cell in notebook.cells if "injected-parameters" in cell.metadata.get("tags", [])]


# --------------------------------------------------------------------------------------------------- in a browser


EVERY_FORMULA_IS_SET = """() => [...document.querySelectorAll('.math.notranslate')]
    .every(element => element.querySelector('mjx-container'))"""
FORMULAS_WITH_ERRORS = """() => [...document.querySelectorAll('mjx-merror, [data-mjx-error]')]
    .map(element => element.textContent)"""
LEFTOVER_DOLLARS = """() => {
    const article = document.querySelector('main').cloneNode(true);
    article.querySelectorAll('pre, code, script, mjx-container').forEach(element => element.remove());
    return article.textContent.match(/.{0,30}(\\$\\$|\\\\\\(|\\\\\\[).{0,30}/g) || [];
}"""
TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


VIOLATIONS = """async ([left, rules, texts]) => {
    const chosen = texts ? { include: window.teachlibTexts } : {};
    const found = await axe.run({ ...chosen, exclude: left.map(s => [s]) }, { resultTypes: ["violations"], ...rules });
    return found.violations.filter(fault => ["serious", "critical"].includes(fault.impact))
        .map(fault => `${fault.id}: ${fault.nodes.slice(0, 3).map(node => node.html.slice(0, 200)).join(" | ")}`);
}"""
# Of texts that look alike, in letters and in all that lies behind and around them, axe needs to see a few on one page:
# a book has a million. These are the looks that no page had before, and what has them is kept for axe.
NEW_LOOKS = """([left, seen]) => {
    const known = new Set(seen), alike = new Map();
    const ground = element => {
        const behind = [];
        for (let e = element; e; e = e.parentElement) {
            const style = getComputedStyle(e);
            behind.push(style.backgroundColor, style.backgroundImage, style.opacity);
        }
        return behind.filter(one => !["rgba(0, 0, 0, 0)", "none", "1"].includes(one)).join();
    };
    const told = link => [getComputedStyle(link).textDecorationLine, getComputedStyle(link.parentElement).color];
    for (const element of document.querySelectorAll("body *")) {
        if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        if (element.closest(left.join()) || !element.checkVisibility()) continue;
        const { color, fontSize, fontWeight, textShadow } = getComputedStyle(element);
        const link = element.closest("a");
        const look = [color, fontSize, fontWeight, textShadow, ...(link ? told(link) : []), ground(element)].join();
        if (!known.has(look)) alike.set(look, [...(alike.get(look) || []), link || element].slice(0, 3));
    }
    window.teachlibTexts = [...alike.values()].flat();
    return [...alike.keys()];
}"""
OF_LOOKS = ("color-contrast", "link-in-text-block")
# Formulas are left to MathJax, which describes them to whoever asks.
FORMULAS = ("mjx-container",)
# Thousands of elements on every page, alike on all: looked at once.
ALIKE = (*FORMULAS, ".highlight", "dt.sig")


def violations(page: Any, seen: set[str], left: tuple[str, ...] = ALIKE) -> list[str]:
    """What axe-core calls serious or worse: in structure, and in how texts look in the light theme and in the dark one.

    Args:
        page: loaded.
        seen: looks of texts that need not be looked at again; gets those of this page.
        left: selectors of what is left out.
    """
    page.add_script_tag(path=AXE)
    page.add_style_tag(content="*, *::before, *::after { transition: none !important; }")  # else colours fade
    of_pages = {"rules": {rule: {"enabled": False} for rule in OF_LOOKS}}
    found: list[str] = page.evaluate(VIOLATIONS, [left, of_pages, False])
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        looks = page.evaluate(NEW_LOOKS, [left, sorted(seen)])
        faults = page.evaluate(VIOLATIONS, [left, {"runOnly": OF_LOOKS}, True]) if looks else []
        found += [f"{theme}: {fault}" for fault in faults]
        seen.update(looks)
    return found


@pytest.mark.parametrize(
    ("faint", "rule"),
    [
        ("<p style='color:#bbb'>faint</p>", "color-contrast"),
        ("<p style='opacity:.3'>faint</p>", "color-contrast"),
        ("<div style='background:#333'><p>black on nearly black</p></div>", "color-contrast"),
        ("<p>dark <em style='color:#ccc'>and faint</em></p>", "color-contrast"),
        ("<table><tr><td style='color:#aaa'>3.1</td></tr></table>", "color-contrast"),
        (
            "<p>dark <a href='#x' style='color:#222;text-decoration:none'>leads on</a> and is not told by its look</p>",
            "link-in-text-block",
        ),
    ],
)
def test_one_text_that_is_hard_to_see_among_many_others_is_found(browser: Any, faint: str, rule: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    text = "<p>as <a href='#x'>it</a> should be</p><ul><li>one</li></ul><table><tr><td>2.7</td></tr></table>" * 20
    seen: set[str] = set()  # also where a page before had all the other looks
    for content, faults in ((text, 0), (text + faint + text, 1), (text, 0)):
        page.set_content(f"<!doctype html><html lang=en><title>t</title><main><h1>t</h1>{content}</main></html>")
        assert sum(f"light: {rule}" in fault for fault in violations(page, seen)) == faults
    page.close()


@pytest.fixture(scope="session")
def seen() -> set[str]:
    """The looks of texts that were judged on pages before, by this process."""
    return set()


@pytest.fixture(scope="session")
def phone(browser: Any) -> Iterator[Any]:
    """A reader's phone, which keeps what all pages load."""
    context = browser.new_context(viewport=PHONE)
    yield context
    context.close()


@pytest.mark.parametrize("name", [TOC_PAGES[0], TOC_PAGES[5], "book/reference/teachlib.rae", "search"])
def test_page_on_a_desk_is_accessible(browser: Any, address: str, name: str) -> None:
    """What a phone hides, the contents at both sides, is the same on all pages."""
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}{name}.html", wait_until="load")
    page.wait_for_function(EVERY_FORMULA_IS_SET)
    assert violations(page, set(), FORMULAS) == []
    page.close()


def slow_where_generated(name: str) -> Any:
    """A page as a parameter of a test; of the reference's, which one template makes, one is seen at each run."""
    seldom = "/reference/" in name and name != "book/reference/teachlib.gmmvae"
    return pytest.param(name, marks=pytest.mark.slow if seldom else ())


@pytest.mark.parametrize("name", map(slow_where_generated, [*TOC_PAGES, "search", "genindex"]))
def test_page_on_a_phone(phone: Any, address: str, name: str, seen: set[str]) -> None:
    requests: list[str] = []
    errors: list[str] = []
    page = phone.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda request: requests.append(request.url))
    page.on("requestfailed", lambda request: errors.append(f"failed: {request.url}"))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}{name}.html", wait_until="load")
    page.wait_for_function(EVERY_FORMULA_IS_SET)
    foreign = [url for url in requests if not url.startswith((address, "data:", "blob:"))]
    assert not foreign
    assert not errors
    assert page.evaluate(FORMULAS_WITH_ERRORS) == []
    assert page.evaluate(LEFTOVER_DOLLARS) == []
    assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"
    assert violations(page, seen) == []
    page.close()


MOVED = """() => {
    document.querySelectorAll("details").forEach(part => { part.open = true; });
    const found = [];
    for (const table of document.querySelectorAll("main table.table, main table.dataframe")) {
        const box = table.closest(".pst-scrollable-table-container, .output.text_html");
        const cell = table.querySelector("tbody tr > :first-child");
        if (!box || !cell || box.scrollWidth < box.clientWidth + 40 || cell.rowSpan > 1) continue;
        box.scrollLeft = 40;
        found.push(cell.getBoundingClientRect().left - box.getBoundingClientRect().left);
    }
    return found;
}"""


@pytest.mark.parametrize("name", ["book/paper-vs-measured", "chapters/6-gans-as-energy-models/3-who-is-missing"])
def test_names_of_rows_stay_when_a_wide_table_is_moved(browser: Any, address: str, name: str) -> None:
    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}{name}.html", wait_until="load")
    places = page.evaluate(MOVED)
    assert places
    assert all(abs(place) < 4 for place in places), places
    page.close()


def brightness(page: Any, name: str) -> float:
    """The mean of a colour's three parts on the page's body, between 0 and 255."""
    parts = page.evaluate(f"() => getComputedStyle(document.body).{name}.match(/[0-9.]+/g).slice(0, 3).map(Number)")
    return sum(parts) / 3


def test_switch_turns_the_page_dark_and_light(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1300, "height": 900}, color_scheme="light")
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}{TOC_PAGES[0]}.html", wait_until="load")
    seen = {}
    for _ in range(4):
        page.locator(".theme-switch-button:visible").first.click()
        mode = page.evaluate("() => document.documentElement.dataset.mode")
        seen[mode] = (brightness(page, "backgroundColor"), brightness(page, "color"))
    page.close()
    assert seen["dark"][0] < 60 < 180 < seen["dark"][1]
    assert seen["light"][1] < 80 < 200 < seen["light"][0]


def test_reader_who_prefers_dark_gets_dark(browser: Any, address: str) -> None:
    page = browser.new_page(color_scheme="dark")
    page.set_default_timeout(PATIENCE)
    page.goto(f"{address}{TOC_PAGES[0]}.html", wait_until="load")
    assert brightness(page, "backgroundColor") < 60
    page.close()


# --------------------------------------------------------------------------------------------------- models in the page

DEMO = re.compile(r'class="teachlib-demo" data-demo="([^"]+)" data-bytes="(\d+)"')
SHOWN = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
    .filter((_, n) => n % 4 === 0)"""


def pages_with_demos(html: Path) -> dict[str, str]:
    """Demo → the page that has it."""
    texts = {name: (html / f"{name}.html").read_text(encoding="utf-8") for name in TOC_PAGES}
    return {demo: name for name, text in texts.items() for demo, _ in DEMO.findall(text)}


@contextmanager
def opened(browser: Any, url: str, demo: str) -> Iterator[tuple[Any, Any, list[str]]]:
    """A page, the demo's box in it, and the addresses that were asked for so far."""
    requests: list[str] = []
    page = browser.new_page(viewport=PHONE)
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(url, wait_until="load")
    yield page, page.locator(f'.teachlib-demo[data-demo="{demo}"]'), requests
    page.close()


def run_demo(page: Any, box: Any) -> str:
    """Press the button by keys, wait, and return what is said below the demo."""
    box.locator(".offer button").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("box => box.dataset.state", arg=box.element_handle())
    assert box.get_attribute("data-state") == "running", box.inner_text()
    said: str = box.locator(".said").inner_text()
    return said


def until_said(page: Any, box: Any, text: str) -> None:
    """Wait for a line below the demo; what screen readers hear comes later, and an old one may stand there still."""
    said = box.locator(".said").element_handle()
    page.wait_for_function("([said, text]) => said.innerText.includes(text)", arg=[said, text])


def pixels_of(canvas: Any) -> Tensor:
    """What a canvas shows, in [0, 1], (1, 1, H, W)."""
    shown = torch.tensor(canvas.evaluate(SHOWN)) / 255
    side = round(len(shown) ** 0.5)
    return shown.view(1, 1, side, side)


def colours_of(canvas: Any) -> Tensor:
    """What a canvas shows, in [0, 1], (1, 3, H, W)."""
    script = "canvas => [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data]"
    shown = torch.tensor(canvas.evaluate(script)).view(-1, 4)[:, :3] / 255
    side = round(len(shown) ** 0.5)
    return shown.T.reshape(1, 3, side, side)


def eventually(page: Any, holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold: what a page computes takes as long as the machine is busy."""
    for _ in range(PATIENCE // 100):
        if holds():
            return True
        page.wait_for_timeout(100)
    return False


def test_scripts_and_library_agree_on_colours_and_parts() -> None:
    script = (ROOT / "_assets" / "live.js").read_text(encoding="utf-8")
    palette = re.search(r"live\.palette = \[(.*)\];", script)
    assert palette
    assert tuple(re.findall(r"#\w+", palette[1])) == COLOURS
    assert f"const PARTS = {live_models.PARTS};" in script


def test_every_demo_is_on_a_page(html: Path) -> None:
    demos = {name for key in registry.CHAPTERS for name in registry.chapter(key).demos}
    assert pages_with_demos(html).keys() == demos


@pytest.mark.parametrize("way", ["host", "disk"])
def test_decoders_under_one_pointer_draw_what_torch_draws(browser: Any, html: Path, address: str, way: str) -> None:
    name = pages_with_demos(html)["latent-map"]
    url = f"{address}{name}.html" if way == "host" else (html / f"{name}.html").as_uri()
    with opened(browser, url, "latent-map") as (page, box, requests):
        assert not [each for each in requests if "/live/" in each], "loaded before the reader asked"
        assert "5." in box.locator(".note").inner_text()
        assert "0.0 and 0.0 deviations" in run_demo(page, box)
        assert not [each for each in requests if not each.startswith((address, "file:", "data:", "blob:"))]
        maps = box.locator("canvas.map")
        maps.first.focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
            page.keyboard.press(key)
        until_said(page, box, "0.6 and 0.3 deviations")
        demo = registry.chapter("rae").demos["latent-map"](registry.chapter("rae"))
        for number, described in enumerate(demo.constants["maps"]):
            code = torch.tensor(described["mean"]) + torch.tensor([0.6, 0.3]) @ torch.tensor(described["axes"])
            model = rae.from_zoo(described["model"], "glyphs")
            expected = model.decode(code[None]).detach()
            gap = (pixels_of(box.locator("canvas.pixels").nth(number)) - expected).abs().max()
            assert gap <= 1.01 / 255, described["title"]
        assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"
        box.locator(".offer button").click()
        assert box.locator(".teachlib-figure").is_visible()
        assert not maps.first.is_visible()


def test_handwriting_is_inferred_and_generated_as_by_torch(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["by-hand"]
    with opened(browser, f"{address}{name}.html", "by-hand") as (page, box, _):
        run_demo(page, box)
        paper = box.locator("canvas.paper").first
        paper.focus()
        for key in ("Delete", "ArrowUp", "ArrowUp", " ", *("ArrowDown",) * 12, *("ArrowRight",) * 6, " "):
            page.keyboard.press(key)
        paper.blur()  # the mark of the keys' pen is no ink
        written = page.evaluate(
            "canvas => [...teachlibLive.centred(canvas.getContext('2d', {willReadFrequently: true}), 280)]",
            arg=paper.element_handle(),
        )
        one = torch.tensor(written).view(1, 1, 32, 32)
        mass = (one * torch.arange(32.0)).sum() / one.sum(), (one * torch.arange(32.0)[:, None]).sum() / one.sum()
        assert torch.tensor(mass) == pytest.approx([15.5, 15.5], abs=0.3)  # MNIST centres digits by their mass
        expected = invgan.from_zoo("invgan-direct", "mnist")(one).detach()
        made = box.locator("canvas.pixels").first
        assert eventually(page, lambda: bool((pixels_of(made) - expected).abs().max() <= 2.01 / 255))
        assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"


def test_a_digit_is_judged_and_attacked_as_by_torch(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["refusing"]
    net = registry.chapter("gmmvae").demos["refusing"](registry.chapter("gmmvae")).graphs["judge"].net
    with opened(browser, f"{address}{name}.html", "refusing") as (page, box, _):
        said = run_demo(page, box)
        before, after = box.locator("canvas.pixels").nth(0), box.locator("canvas.pixels").nth(1)
        written = pixels_of(before)
        with torch.no_grad():
            scores, latent, pixels, rebuilt = net(written)
        label = int(scores.argmax())
        found = re.match(r"Taken for (\d), (\w+): code at ([\d.]+) of its threshold, pixels at ([\d.]+)\.", said)
        assert found, said
        assert int(found[1]) == label
        assert float(found[3]) == pytest.approx(latent[0, label].item(), abs=0.02)
        assert float(found[4]) == pytest.approx(pixels.item(), abs=0.02)
        assert (pixels_of(after) - rebuilt).abs().max() <= 3 / 255  # the page's pixels are not rounded to bytes first
        box.locator("button", has_text="Ten steps").focus()
        page.keyboard.press("Enter")
        until_said(page, box, "After 10 steps")
        moved = (pixels_of(before) - written).abs()
        assert 0.18 <= moved.max() <= 0.21  # the bound that the slider opens with
        with torch.no_grad():
            climbed, *_ = net(pixels_of(before))
        assert climbed[0, label] < scores[0, label]
        assert climbed.argmax() != label


def test_digits_come_out_of_noise_as_by_torch(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["reverse-diffusion"]
    model = primer.from_zoo("primer-diffusion").diffusion
    drawn = model.sample(10, torch.Generator().manual_seed(0), torch.arange(10), steps=50, eta=0)
    with opened(browser, f"{address}{name}.html", "reverse-diffusion") as (page, box, _):
        assert "t = 200 of 200" in run_demo(page, box)
        time = box.locator("input[type=range]").first
        time.focus()
        page.keyboard.press("End")
        until_said(page, box, "t = 0 of 200")
        shown = torch.cat([pixels_of(box.locator("canvas.pixels").nth(n)) for n in range(10)])
        assert (shown - drawn).abs().max() <= 2 / 255
        page.keyboard.press("Home")
        until_said(page, box, "t = 200 of 200")
        box.locator("button", has_text="Play").click()
        until_said(page, box, "t = 0 of 200")
        again = torch.cat([pixels_of(box.locator("canvas.pixels").nth(n)) for n in range(10)])
        assert torch.equal(again, shown)  # rewound and played, it is the same film
        assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"


def test_boxes_are_filled_as_by_torch(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["boxes"]
    chapter = registry.chapter("energy.assemble")
    model = chapter.from_zoo("assemble").generator
    noise = torch.tensor(chapter.demos["boxes"](chapter).constants["z"]).view(1, 3, -1)
    asked = torch.tensor([[[1.0, 3, 4, 13, 14], [1.0, 16, 2, 29, 14], [1.0, 11, 18, 23, 30]]])
    with opened(browser, f"{address}{name}.html", "boxes") as (page, box, _):
        assert "Order: circle, triangle, square" in run_demo(page, box)

        def shown() -> Tensor:
            return colours_of(box.locator("canvas.pixels").last)

        def painted(order: tuple[int, ...]) -> Tensor:
            with torch.no_grad():
                picture: Tensor = model(asked, noise, order)
            return picture

        assert (shown() - painted((0, 1, 2))).abs().max() <= 2 / 255
        box.locator("canvas.board").focus()
        for key in ("3", "ArrowUp", "ArrowUp", "ArrowRight", "+"):
            page.keyboard.press(key)
        until_said(page, box, "from 12, 16 to 25, 29")
        asked[0, 2] = torch.tensor([1.0, 12, 16, 25, 29])
        assert (shown() - painted((0, 1, 2))).abs().max() <= 2 / 255
        box.locator("input[type=checkbox]").first.click()
        box.locator("button", has_text="Another order").click()
        until_said(page, box, "triangle, square, circle")
        asked[0, 0] = 0
        assert (shown() - painted((1, 2, 0))).abs().max() <= 2 / 255
        assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"


def updates(game: primer.Game, x: Tensor, z: Tensor, kind: str) -> Iterator[tuple[str, Tensor]]:
    """Both losses of a step, each computed once the one before was followed; as the game's own, with noise at hand."""
    made = game.generate(z)
    yield "discriminator", primer.discriminator_loss(game.judge(x), game.judge(made.detach()))
    yield "generator", primer.generator_loss(game.judge(made), kind)


def test_a_game_in_the_page_has_the_losses_of_torch(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["gan-game"]
    chapter = registry.chapter("primer")
    constants = chapter.demos["gan-game"](chapter).constants
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        game = primer.plane_game(latent=constants["latent"], width=32)
    for net in game.nets.values():
        net.double()  # as numbers in the page are
    chance = torch.Generator().manual_seed(3)
    real, z = (torch.randn(100, 64, width, generator=chance, dtype=torch.float64) for width in (2, constants["latent"]))
    optimizers = game.optimizers()
    with opened(browser, f"{address}{name}.html", "gan-game") as (page, box, requests):
        assert "loads 0." in box.locator(".note").inner_text()
        assert run_demo(page, box).startswith("Step 0: ")
        assert not [each for each in requests if "runtime-" in each or "engine" in each], "it needs no runtime"
        found = page.evaluate(
            """([players, real, z, rate]) => {
                const game = teachlibLive.gan(players);
                const rates = { generator: rate, discriminator: rate };
                return real.map((x, n) => game.learn(x, z[n], { rates, saturating: n >= 50 }));
            }""",
            [constants, real.flatten(1).tolist(), z.flatten(1).tolist(), constants["rate"]],
        )
        for step in range(100):
            for player, loss in updates(game, real[step], z[step], "saturating" if step >= 50 else "non-saturating"):
                optimizers[player].zero_grad()
                loss.backward()
                optimizers[player].step()
                assert found[step][player] == pytest.approx(loss.item(), abs=1e-9), (step, player)


def test_a_game_is_played_on_points_that_keys_drew(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["gan-game"]
    with opened(browser, f"{address}{name}.html", "gan-game") as (page, box, _):
        run_demo(page, box)
        board = box.locator("canvas.field")
        board.focus()
        page.keyboard.press(" ")  # a set that is not the reader's own takes no points
        box.locator("select").select_option("my own points")
        assert "There are no data yet" in box.locator(".said").inner_text()
        box.locator("button", has_text="Play").click()  # nothing to learn from
        assert box.locator("button", has_text="Play").is_visible()
        board.focus()
        for key in ("ArrowRight", "ArrowUp", " ", "ArrowUp", " "):
            page.keyboard.press(key)
        box.locator("button", has_text="One step").click()
        assert box.locator(".said").inner_text().startswith("Step 1: ")
        box.locator("button", has_text="Play").click()
        assert eventually(page, lambda: int(box.locator(".said").inner_text().split()[1].rstrip(":")) > 20)
        box.locator("button", has_text="Pause").click()
        assert "of the samples have data within" in box.locator(".said").inner_text()
        board.focus()
        page.keyboard.press("Delete")
        assert "There are no data yet" in box.locator(".said").inner_text()
        box.locator("button", has_text="One step").click()  # nothing to learn from: nothing happens
        assert "There are no data yet" in box.locator(".said").inner_text()
        box.locator("select").select_option("moons")
        box.locator("button", has_text="One step").click()
        first = box.locator(".said").inner_text()
        assert first.startswith("Step 1: ")
        box.locator("button", has_text="From the start").click()
        box.locator("button", has_text="One step").click()
        assert box.locator(".said").inner_text() == first  # the same film
        assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"


def test_a_flow_is_warped_as_by_torch(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["warping"]
    with opened(browser, f"{address}{name}.html", "warping") as (page, box, _):
        said = run_demo(page, box)
        for z, keys in (((0.92, 0.31), ()), ((0.52, 0.51), ("ArrowLeft", "ArrowLeft", "ArrowUp"))):
            box.locator("canvas[tabindex]").focus()
            for key in keys:
                page.keyboard.press(key)
            start = f"z = ({z[0]:.2f}, {z[1]:.2f}) becomes x = "
            until_said(page, box, start)
            said = box.locator(".said").inner_text().replace("−", "-")
            x1, x2, sign, size = re.findall(r"x = \((-?[\d.]+), (-?[\d.]+)\).* log N\(z\) ([+-]) ([\d.]+)\.", said)[0]
            with torch.no_grad():
                x = fitted_flow().decode(torch.tensor([z]))
                _, log_det = fitted_flow().encode(x)  # of ∂z/∂x: what is added to log N(z)
            assert [float(x1), float(x2)] == pytest.approx(x[0].tolist(), abs=0.006)
            assert float(f"{sign}{size}") == pytest.approx(log_det.item(), abs=0.006)
            slopes = torch.autograd.functional.jacobian(lambda at: fitted_flow().decode(at[None])[0], torch.tensor(z))
            told = [float(each) for each in re.findall(r"× ([\d.]+)", said)]
            assert told == pytest.approx(torch.linalg.svdvals(slopes).tolist(), rel=0.05, abs=0.01)
        box.locator("input[type=range]").focus()
        page.keyboard.press("Home")
        assert "After 0 of 6 couplings" in box.locator("figcaption").nth(1).inner_text()
        box.locator("button", has_text="Play").click()
        assert eventually(page, lambda: "Data x" in box.locator("figcaption").nth(1).inner_text())
        assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"


def test_a_head_is_rasterized_and_drawn_as_by_torch(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["by-sliders"]
    face = registry.chapter("gif").from_zoo("gif", "heads")
    numbers = torch.zeros(1, 8)
    with opened(browser, f"{address}{name}.html", "by-sliders") as (page, box, _):
        assert "Style 1 of 8. All numbers are zero." in run_demo(page, box)

        def agrees() -> bool:
            parameters = by_sliders.asked(numbers)
            rendering = condition(parameters, 32)
            with torch.no_grad():
                drawn = face.draw(rendering, face.styles(torch.tensor([style])), psi=0.7)
            wanted = (*(rendering / 2 + 0.5).split(3, 1), drawn)
            canvases = [box.locator("canvas.pixels").nth(n) for n in range(3)]
            gaps = [(colours_of(c) - w).abs().max() for c, w in zip(canvases, wanted, strict=True)]
            return max(gaps).item() <= 2 / 255

        style = 0
        assert eventually(page, agrees)
        box.locator("canvas.pixels").last.focus()
        for key in ("ArrowRight", "ArrowRight", "ArrowUp"):
            page.keyboard.press(key)
        numbers[0, :2] = torch.tensor([10.0, -2.0])
        for slider, (key, value) in {2: ("End", 1.0), 5: ("Home", -2.0), 7: ("End", 80.0)}.items():
            box.locator("input[type=range]").nth(slider).focus()
            page.keyboard.press(key)
            numbers[0, slider] = value
        box.locator("button", has_text="Another style").click()
        style = 1
        assert eventually(page, agrees)
        assert "turn 10°, nod −2°, open mouth 1.00, lightness of the skin −2.00" in box.locator(".said").inner_text()
        assert page.evaluate(TOO_WIDE) <= 0, "the page scrolls sideways"


def test_where_models_cannot_be_loaded_the_still_figure_stays(browser: Any, html: Path, address: str) -> None:
    name = pages_with_demos(html)["latent-map"]
    with opened(browser, f"{address}{name}.html", "latent-map") as (page, box, _):
        page.route("**/live/engine.js*", lambda route: route.abort())
        box.locator(".offer button").click()
        page.wait_for_function("box => box.dataset.state", arg=box.element_handle())
        assert box.get_attribute("data-state") == "failed"
        assert "engine.js could not be loaded" in box.locator(".note").inner_text()
        assert box.locator(".teachlib-figure").is_visible()
        page.unroute("**/live/engine.js*")
        box.evaluate("box => delete box.dataset.state")
        assert "deviations" in run_demo(page, box)  # asked again, it runs


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The least that a run looks at: a library with measured tables, a lock."""
    (tmp_path / "src" / "teachlib" / "measured").mkdir(parents=True)
    (tmp_path / "src" / "teachlib" / "one.py").write_text("ONE = 1\n")
    (tmp_path / "requirements.lock").write_text("torch==2\n")
    return tmp_path


def write_notebook(path: Path, *cells: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parameters = nbformat.v4.new_code_cell('scale = "laptop"', metadata={"tags": ["parameters"]})
    written = [nbformat.v4.new_markdown_cell("# A page"), parameters, *map(nbformat.v4.new_code_cell, cells)]
    nbformat.write(nbformat.v4.new_notebook(cells=written), path)
    return path


def run_notebook(project: Path, source: Path, scale: str = "ci") -> tuple[nbformat.NotebookNode, int]:
    name = source.relative_to(project).as_posix()
    build = project / "_build"
    outputs, cached = notebooks.executed(
        {name: source}, root=project, src=build / "src", build=build, scale=scale, at_once=1
    )
    return nbformat.reads(outputs[name].decode(), as_version=4), cached


def test_notebook_runs_at_the_scale_with_one_thread(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEACHLIB_DATA", "/nowhere")
    source = write_notebook(
        project / "chapters" / "a.ipynb",
        "import os; print(scale, os.environ['OMP_NUM_THREADS'], os.environ.get('TEACHLIB_DATA'))",
        "print(os.path.basename(os.getcwd()))",
    )
    notebook, cached = run_notebook(project, source)
    printed = "".join(output.text for cell in notebook.cells for output in cell.get("outputs", []))
    assert printed == "ci 1 None\nchapters\n"
    assert cached == 0
    assert not {"papermill"} & notebook.metadata.keys()


def test_a_widget_of_another_host_stays_out_of_the_page_and_others_stay(project: Path) -> None:
    brush = "figures.brush(torch.zeros(4, 4), lambda marks: marks.float(), label='a', alt='b')"
    source = write_notebook(
        project / "chapters" / "a.ipynb",
        f"import ipywidgets, torch\nfrom teachlib import figures\n{brush}",
        "ipywidgets.IntSlider()",
    )
    notebook, _ = run_notebook(project, source)
    assert [len(cell.outputs) for cell in notebook.cells[-2:]] == [0, 1]
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    names = {model["model_name"] for model in state.values()}
    assert "IntSliderModel" in names
    assert "AnyModel" not in names


def test_failing_cell_stops_the_build_and_is_named(project: Path) -> None:
    source = write_notebook(project / "chapters" / "b.ipynb", "one = 1", "zero = 0\none / zero", "print('never')")
    with pytest.raises(staging.BookError) as caught:
        run_notebook(project, source)
    message = str(caught.value)
    assert "chapters/b.ipynb: cell 4 fails at scale ci" in message
    assert "    zero = 0\n    one / zero" in message
    assert "ZeroDivisionError: division by zero" in message
    assert "Traceback" not in message
    assert (project / "_build" / "failed" / "chapters" / "b.ipynb").is_file()
    assert not list((project / "_build").glob("cache/*"))


def test_notebook_without_parameters_is_refused(project: Path) -> None:
    source = project / "c.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")]), source)
    with pytest.raises(staging.BookError, match="exactly one cell needs the tag 'parameters'"):
        run_notebook(project, source)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the slow part of a run by a copy, and list what was run."""
    names: list[str] = []

    def copy(job: notebooks.Job, environment: object) -> notebooks.Outcome:
        names.append(job.name)
        Path(job.output).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(job.source, job.output)
        return notebooks.Outcome(0.0)

    monkeypatch.setattr(notebooks, "run", copy)
    return names


def test_second_run_comes_from_the_cache(project: Path, runs: list[str]) -> None:
    source = write_notebook(project / "d.ipynb", "1")
    first, _ = run_notebook(project, source)
    second, cached = run_notebook(project, source)
    assert (runs, cached) == (["d.ipynb"], 1)
    assert first == second


@pytest.mark.parametrize(
    "changed", ["d.ipynb", "src/teachlib/one.py", "requirements.lock", "src/teachlib/measured/new.json"]
)
def test_change_of_an_input_runs_the_notebook_again(project: Path, runs: list[str], changed: str) -> None:
    source = write_notebook(project / "chapters" / "d.ipynb", "1")
    run_notebook(project, source)
    if changed == "d.ipynb":
        write_notebook(source, "2")
    else:
        (project / changed).write_text("# changed\n")
    _, cached = run_notebook(project, source)
    assert (len(runs), cached) == (2, 0)


def test_each_scale_has_its_own_entry(project: Path, runs: list[str]) -> None:
    source = write_notebook(project / "d.ipynb", "1")
    run_notebook(project, source, "ci")
    _, cached = run_notebook(project, source, "laptop")
    assert (len(runs), cached) == (2, 0)


def test_damaged_cache_is_no_cache(project: Path, runs: list[str]) -> None:
    source = write_notebook(project / "d.ipynb", "1")
    run_notebook(project, source)
    for entry in (project / "_build" / "cache").iterdir():
        entry.write_bytes(entry.read_bytes()[:40])
    notebook, cached = run_notebook(project, source)
    assert (len(runs), cached) == (2, 0)
    assert notebook.cells[-1].source == "1"


def test_after_a_failure_no_further_notebook_starts(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def fail(job: notebooks.Job, environment: object) -> notebooks.Outcome:
        started.append(job.name)
        return notebooks.Outcome(0.0, f"{job.name}: cell 1 fails")

    monkeypatch.setattr(notebooks, "run", fail)
    monkeypatch.setattr(notebooks, "warm_kernels", contextlib.nullcontext)
    sources = {f"{letter}.ipynb": write_notebook(project / f"{letter}.ipynb", letter) for letter in "abcdefgh"}
    build = project / "_build"
    with pytest.raises(staging.BookError):
        notebooks.executed(sources, root=project, src=build / "src", build=build, scale="ci", at_once=1)
    assert started == ["a.ipynb"]


# --------------------------------------------------------------------------------------------------------- staging


def test_unchanged_files_keep_their_times_and_removed_ones_go(tmp_path: Path) -> None:
    staging.stage(tmp_path, {"a.md": b"a", "sub/b.md": b"b"}, keep=())
    os.utime(tmp_path / "a.md", (1, 1))
    staging.stage(tmp_path, {"a.md": b"a"}, keep=())
    assert (tmp_path / "a.md").stat().st_mtime == 1
    assert not (tmp_path / "sub").exists()
    staging.stage(tmp_path, {"a.md": b"new"}, keep=())
    assert (tmp_path / "a.md").stat().st_mtime > 1


def test_contents_without_a_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(staging.BookError, match=r"_toc\.yml names book/nothing, and there is no file"):
        staging.page_source(tmp_path, "book/nothing")


def test_generated_line_is_replaced_and_an_unknown_one_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(staging.GENERATORS, "greeting", lambda: "Hello")
    assert staging.fill_generated("a\n<!-- generated: greeting -->\nb", "p.md") == "a\nHello\nb"
    with pytest.raises(staging.BookError, match=r"p\.md: nothing generates 'gretting'; .* greeting"):
        staging.fill_generated("<!-- generated: gretting -->", "p.md")


def test_staged_configuration_runs_nothing() -> None:
    config = yaml.safe_load(staging.static_sources(ROOT)["_config.yml"])
    assert config["execute"]["execute_notebooks"] == "off"


# --------------------------------------------------------------------------------------------------- checks of HTML

GOOD_PAGE = """<html><head><link rel="stylesheet" href="_static/a.css"></head><body><h1 id="top-of">T</h1>
<img src="_static/p.png" alt="A falling curve."><a href="#top-of">up</a><a href="https://example.org/">out</a>
</body></html>"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.css").write_text("body { color: red }")
    (tmp_path / "_static" / "p.png").write_bytes(b"")
    (tmp_path / "index.html").write_text(GOOD_PAGE)
    return tmp_path


def test_good_page_has_no_findings(site: Path) -> None:
    assert check_html.findings(site) == []


@pytest.mark.parametrize(
    ("added", "finding"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "fetches https://cdn.example/x.js"),
        ('<link rel="preload" href="//fonts.example/f.woff2">', "fetches //fonts.example/f.woff2"),
        ('<img alt="A." srcset="_static/p.png 1x, https://a.example/p.png 2x">', "fetches https://a.example/p.png"),
        ('<iframe src="http://a.example/"></iframe>', "fetches http://a.example/"),
        ("<style>@import 'https://a.example/f.css';</style>", "fetches https://a.example/f.css"),
        ("<p style='background: url(https://a.example/b.png)'></p>", "fetches https://a.example/b.png"),
        ('<script>import("https://a.example/m.js")</script>', "fetches https://a.example/m.js"),
        ('<img src="_static/p.png">', "no alt text for the image _static/p.png"),
        ('<img src="_static/p.png" alt="_static/p.png">', "no alt text for the image _static/p.png"),
        ('<script src="_static/gone.js"></script>', "_static/gone.js is missing"),
        ('<a href="gone.html">x</a>', "the link gone.html leads to no file"),
        ('<a href="index.html#gone">x</a>', "the link index.html#gone leads to no anchor"),
        ("x" * 2_000_001, "2.0 MB, at most 2 MB are allowed"),
    ],
)
def test_each_defect_of_a_page_is_found(site: Path, added: str, finding: str) -> None:
    (site / "index.html").write_text(GOOD_PAGE.replace("</body>", f"{added}</body>"))
    assert check_html.findings(site) == [f"index.html: {finding}"]


def test_style_sheet_that_fetches_is_found(site: Path) -> None:
    (site / "_static" / "a.css").write_text("@font-face { src: url('https://a.example/f.woff2') }")
    assert check_html.findings(site) == ["_static/a.css: fetches https://a.example/f.woff2"]


# ------------------------------------------------------------------------------------------- what the pages rest on


def test_vendored_files_are_those_of_the_manifest() -> None:
    assert refresh_vendor.changed_files() == []
    manifest = json.loads(refresh_vendor.MANIFEST.read_text(encoding="utf-8"))
    assert {name: entry["version"] for name, entry in manifest.items()} == {
        package.folder: package.version for package in refresh_vendor.PACKAGES
    }
    assert all(f"{name}/LICENSE" in entry["files"] and entry["licence"] for name, entry in manifest.items())


def test_thesis_map_leads_to_pages_and_names_that_exist() -> None:
    for entry in pages.thesis_entries():
        if entry.page:
            assert entry.page.partition("#")[0] in TOC_PAGES, entry
        for name in entry.code:
            resolve(name)
        assert not entry.results or any((ROOT / "src/teachlib/measured" / entry.results).glob("*.json")), entry
        assert entry.run or not entry.results, entry


def resolve(name: str) -> object:
    """The object with a dotted name; an AttributeError or ImportError says what is wrong with it."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part)
        return found
    raise ImportError(f"no module of {name} can be imported")


def test_thesis_map_counts_and_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "map.yml"
    path.write_text(
        '- {kind: section, number: "3", title: One}\n'
        '- {kind: algorithm, number: "1", title: "A|B", code: teachlib.scale.begin}\n'
        '- {kind: section, number: "A", title: Two, page: book/errata, run: shapes, results: "3.1"}\n'
    )
    entries = pages.thesis_entries(path)
    monkeypatch.setattr(pages, "thesis_entries", lambda: entries)
    text = pages.thesis_map()
    assert "**2 of 3 entries are covered so far.**" in text
    assert "## Chapter 3: From variational to deterministic autoencoders\n\n1 of 2 covered." in text
    assert "| Algorithm 1 | A\\|B | {py:obj}`scale.begin <teachlib.scale.begin>` | explained |" in text
    assert "| Section A | Two | {doc}`/book/errata` | run on shapes; `measured/3.1` |" in text
    assert "| Section 3 | One | not yet | – |" in text


def test_thesis_map_wants_quoted_numbers(tmp_path: Path) -> None:
    path = tmp_path / "map.yml"
    path.write_text("- {kind: equation, number: 3.10, title: T}\n")
    with pytest.raises(pages.PageError, match="needs quotes"):
        pages.thesis_entries(path)


def test_library_reference_has_a_page_for_every_public_module() -> None:
    written = pages.reference_pages()
    text = "\n".join(written.values())
    source = ROOT / "src" / "teachlib"
    modules = [path.stem for path in source.glob("[a-z]*.py")]
    modules += [init.parent.name for init in source.glob("[a-z]*/__init__.py") if pages.exports(init)]
    assert {"figures", "data", "scale"} <= set(modules)
    assert {f"{pages.REFERENCE}/teachlib.{name}" for name in modules} <= set(written)
    assert all(text.count(f".. automodule:: teachlib.{name}\n") == 1 for name in modules)
    assert ".. automodule:: teachlib.figures." not in text, "what a package offers is described once"
    handed_on = written[f"{pages.REFERENCE}/teachlib.data"].partition(":exclude-members:")[2]
    assert "Entry" in handed_on, "teachlib.catalogue's page describes it"
    order = staging.toc_pages(ROOT)
    start = order.index(staging.LIBRARY) + 1
    assert order[start : start + len(written)] == list(written)
    listed = pages.library_reference()
    assert all(listed.count(f"</{page}>`") == 1 for page in written)


def test_notebooks_are_in_their_committed_form() -> None:
    changed = [path.relative_to(ROOT).as_posix() for path in format_notebooks.differing()]
    assert not changed, f"run make format: {changed}"


def test_formatting_strips_outputs_but_those_that_are_tests() -> None:
    kept = nbformat.v4.new_code_cell("1", metadata={"tags": ["nbval-check-output"], "papermill": {}}, execution_count=3)
    dropped = nbformat.v4.new_code_cell("2", execution_count=4)
    for cell in (kept, dropped):
        cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "1"}, execution_count=3)]
    text = format_notebooks.normalized(nbformat.writes(nbformat.v4.new_notebook(cells=[kept, dropped])))
    first, second = nbformat.reads(text, as_version=4).cells
    assert first.outputs[0].data["text/plain"] == "1"
    assert (first.execution_count, first.outputs[0].execution_count, second.outputs) == (1, None, [])
    assert "papermill" not in first.metadata
    assert format_notebooks.normalized(text) == text
