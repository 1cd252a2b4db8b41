"""Figures: described, readable on both grounds, crisp; the slider in a real browser."""

import base64
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from teachlib import figures
from teachlib.errors import TeachlibError
from teachlib.figures.showing import draw_for_themes

PATIENCE = 300_000  # milliseconds, against hanging alone: on a busy machine pages and Chromium can take a minute
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Tags(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(text: str, name: str) -> list[dict[str, str]]:
    return [
        {key: value or "" for key, value in attributes.items()} for tag, attributes in Tags(text).found if tag == name
    ]


def picture(address: str) -> Image.Image:
    head, data = address.split(",", 1)
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def line() -> Figure:
    return figures.curves({"VAE": ([0, 1, 2], [1, 3, 2])}, xlabel="steps", ylabel="loss / nats")


def brightest_text(image: Image.Image) -> float:
    """Mean lightness, 0 to 1, of the opaque pixels without colour: text, ticks and spines."""
    pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4).astype(float)
    grey = (pixels[:, 3] > 250) & (np.ptp(pixels[:, :3], axis=1) < 30)
    assert grey.sum() > 500
    return float(pixels[grey, :3].mean() / 255)


# ------------------------------------------------------------------------------------------------------ showing


@pytest.mark.parametrize("alt", ["", "  \n"])
def test_figure_needs_a_description(alt: str) -> None:
    with pytest.raises(TeachlibError, match="without description"):
        figures.figure_html(line(), alt=alt)


def test_description_is_escaped_and_on_both_pictures() -> None:
    alt = 'a "curve" <b> & more'
    content = figures.figure_html(line(), alt=alt)
    assert [image["alt"] for image in tags(content, "img")] == [alt, alt]
    assert "<b>" not in content


def test_pictures_are_transparent_with_dark_and_with_light_text() -> None:
    light, dark = tags(figures.figure_html(line(), alt="a curve"), "img")
    assert "hidden" in dark
    assert "hidden" not in light
    for image in (light, dark):
        decoded = picture(image["src"])
        assert decoded.size == (1152, 691)
        assert image["width"] == "576"
        assert decoded.convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert brightest_text(picture(light["src"])) < 0.35
    assert brightest_text(picture(dark["src"])) > 0.7


def test_figure_of_another_style_is_made_readable() -> None:
    import matplotlib.pyplot as plt

    with plt.rc_context():
        plt.rcdefaults()
        figure, axes = plt.subplots()
        axes.plot([0, 1], color="black", label="black")
        axes.plot([1, 0], color="#D55E00", label="orange")
        axes.legend()
        images = tags(figures.figure_html(figure, alt="two lines"), "img")
    assert not plt.fignum_exists(figure.number)
    assert axes.lines[1].get_color() == "#D55E00"
    for image, bright in zip(images, (False, True), strict=True):
        decoded = picture(image["src"])
        assert (brightest_text(decoded) > 0.5) == bright
        share = (np.asarray(decoded.convert("RGBA"))[..., 3] > 0).mean()
        assert share < 0.2, "axes or legend still have a ground of their own"


def test_show_displays_html_and_text(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(figures.showing, "display", lambda data, raw: shown.append((data, raw)))
    figures.show(line(), alt="a curve")
    ((data, raw),) = shown
    assert raw
    assert data["text/plain"] == "Figure: a curve"
    assert data["text/html"].startswith("<div")


def test_twelve_figures_fit_in_a_page() -> None:
    steps = torch.linspace(0, 10, 200)
    busy = figures.curves({f"m{i}": (steps, torch.sin(steps + i)) for i in range(6)}, xlabel="x", ylabel="y")
    points = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0))
    cloud = figures.scatter({"a": points, "b": 2 * points}, xlabel="x", ylabel="y")
    assert 6 * sum(len(figures.figure_html(figure, alt="busy")) for figure in (busy, cloud)) < 1_700_000


def test_import_changes_no_defaults() -> None:
    code = "import matplotlib as m; a = dict(m.rcParams); import teachlib.figures; assert dict(m.rcParams) == a"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code]).returncode == 0


def luminance(colour: str) -> float:
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in to_rgb(colour)]
    return float(np.dot((0.2126, 0.7152, 0.0722), parts))


@pytest.mark.parametrize("colour", figures.COLOURS)
@pytest.mark.parametrize("ground", ["#ffffff", "#14191f"])
def test_colours_stand_out_from_both_grounds(colour: str, ground: str) -> None:
    low, high = sorted((luminance(colour), luminance(ground)))
    assert (high + 0.05) / (low + 0.05) >= 3


# ------------------------------------------------------------------------------------------------------- images


def test_pixels_of_a_grid_are_whole_squares() -> None:
    images = torch.rand(5, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    figure = figures.image_grid(images, columns=3)
    (axes,) = figure.axes
    canvas = np.asarray(axes.images[0].get_array())
    assert canvas.shape == (2 * 4 + 1, 3 * 6 + 2, 4)
    assert (canvas[5:9, 14:, 3] == 0).all(), "the place of a sixth image is empty"
    np.testing.assert_array_equal(canvas[5:9, 7:13, :3], (images[4] * 255).round().byte().permute(1, 2, 0))
    pixels = axes.get_window_extent().width * figures.DPI / figure.dpi / canvas.shape[1]
    assert pixels == pytest.approx(round(pixels), abs=1e-6)
    assert pixels >= 1
    decoded = picture(tags(figures.figure_html(figure, alt="noise"), "img")[0]["src"]).convert("RGBA")
    assert decoded.width == round(pixels) * canvas.shape[1]


def test_labelled_images_have_their_names_above_them() -> None:
    images = {name: torch.full((1, 1, 64, 96), value) for name, value in (("a", 0.0), ("b", 0.5), ("c", 1.0))}
    figure = figures.labelled_grid(images, columns=2, title="Three")
    canvas = np.asarray(figure.axes[0].images[0].get_array())
    figure.draw_without_rendering()
    places = {text.get_text(): text.get_window_extent() for text in figure.texts}
    assert places.keys() == {"a", "b", "c", "Three"}
    pixel = figure.axes[0].get_window_extent().height / len(canvas)
    # Of both rows: no pixel of an image lies where a name does, and the next below it is one of its own image.
    for name, value, column in (("a", 0, 0), ("b", 128, 100), ("c", 255, 0)):
        low = round((figure.axes[0].get_window_extent().y1 - places[name].y0) / pixel)
        high = round((figure.axes[0].get_window_extent().y1 - places[name].y1) / pixel)
        assert not canvas[max(high, 0) : low, column : column + 96, 3].any()
        below = canvas[low : low + 20, column]
        assert below[below[:, 3] > 0][0, 0] == value
    assert places["a"].y0 == places["b"].y0 > places["c"].y0
    assert places["b"].x0 > places["a"].x0 == places["c"].x0


def test_strips_have_their_names_beside_them() -> None:
    rows = {"originals": torch.zeros(4, 1, 8, 8), "samples": torch.ones(3, 3, 8, 8)}
    figure = figures.strips(rows, title="Both")
    texts = {text.get_text(): text.get_position()[1] for text in figure.texts}
    assert texts.keys() == {"originals", "samples", "Both"}
    assert texts["Both"] > texts["originals"] > texts["samples"]
    figure.draw_without_rendering()
    left = figure.axes[0].get_window_extent().x0
    assert all(text.get_window_extent().x1 <= left for text in figure.texts if text.get_text() != "Both")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.image_grid(torch.zeros(4, 8, 8), columns=2),
        lambda: figures.image_grid(torch.zeros(0, 1, 8, 8), columns=2),
        lambda: figures.image_grid(torch.zeros(4, 2, 8, 8), columns=2),
        lambda: figures.image_grid(torch.zeros(4, 1, 8, 8), columns=0),
        lambda: figures.labelled_grid({}, columns=2),
        lambda: figures.labelled_grid({"two": torch.zeros(2, 1, 64, 64)}, columns=2),
        lambda: figures.labelled_grid({"a": torch.zeros(1, 1, 64, 64), "b": torch.zeros(1, 1, 8, 8)}, columns=2),
        lambda: figures.labelled_grid({"wider than its image": torch.zeros(1, 1, 8, 8)}, columns=2),
        lambda: figures.strips({}),
        lambda: figures.strips({"a": torch.zeros(1, 1, 8, 8), "b": torch.zeros(1, 1, 4, 4)}),
        lambda: figures.curves({}, xlabel="x", ylabel="y"),
        lambda: figures.scatter({}, xlabel="x", ylabel="y"),
        lambda: figures.scatter({"a": torch.zeros(4, 3)}, xlabel="x", ylabel="y"),
        lambda: figures.bars({}, ylabel="y"),
        lambda: figures.bars({"a": {"b": 0.0}}, ylabel="y", log=True),
    ],
)
def test_wrong_input_is_told(draw: Callable[[], Figure]) -> None:
    with pytest.raises(TeachlibError):
        draw()


# -------------------------------------------------------------------------------------------------------- plots


def test_curves_differ_without_colour_and_no_legend_covers_them() -> None:
    series = {f"model {i}": ([1, 2, 4, 8], [1 + i, 2, 3, 4 - i]) for i in range(6)}
    figure = figures.curves(series, xlabel="k", ylabel="loss", xscale="log")
    (axes,) = figure.axes
    assert len({(artist.get_marker(), str(artist.get_linestyle())) for artist in axes.lines}) == 6
    assert len({artist.get_marker() for artist in axes.lines}) == 6
    figure.draw_without_rendering()
    (legend,) = figure.legends
    drawn = axes.get_tightbbox()
    assert drawn is not None
    assert not legend.get_window_extent().overlaps(drawn)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4", "8"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("k", "loss")


@pytest.mark.parametrize("name", ["short", "a name of a model that takes its time", "x" * 50])
def test_names_and_labels_are_within_the_figure_however_long(name: str) -> None:
    series = {f"{name} {i}": ([1, 2], [i, 2]) for i in range(4)}
    long = "share of all the pictures that are wrong and accepted"
    for figure in (
        figures.curves(series, xlabel="ε", ylabel=long),
        figures.scatter({n: torch.eye(2) for n in series}, xlabel="x", ylabel=long),
        figures.bars({"one": dict.fromkeys(series, 1.0)}, ylabel=long),
    ):
        figure.draw_without_rendering()
        (legend,), (axes,) = figure.legends, figure.axes
        whole = figure.bbox
        for part in (legend.get_window_extent(), axes.yaxis.label.get_window_extent()):
            assert whole.x0 <= part.x0
            assert part.x1 <= whole.x1
            assert whole.y0 <= part.y0
            assert part.y1 <= whole.y1


def test_only_curves_of_few_points_have_markers() -> None:
    series = {"measured": (range(5), range(5)), "formula": (range(200), range(200))}
    (axes,) = figures.curves(series, xlabel="x", ylabel="y").axes
    measured, formula = (line.get_marker() for line in axes.lines)
    assert (measured in ("None", ""), formula in ("None", "")) == (False, True)


def test_bars_carry_their_values_and_leave_gaps() -> None:
    figure = figures.bars({"a": {"x": 1.234, "y": 2.0}, "b": {"x": float("nan")}}, ylabel="FD")
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} - {""} == {"1.23", "2"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]


def test_scatter_keeps_the_scale_of_both_axes() -> None:
    figure = figures.scatter({"a": torch.randn(10, 2), "b": torch.randn(400, 2)}, xlabel="x", ylabel="y")
    assert figure.axes[0].get_aspect() == 1
    assert len(figure.axes[0].collections) == 2


def test_scatter_draws_thresholds_on_logarithmic_axes() -> None:
    points = torch.tensor([[0.1, 10.0], [2.0, 0.5]])
    axes = figures.scatter({"a": points}, xlabel="x", ylabel="y", scale="log", borders=(1, 3)).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    vertical, horizontal = axes.lines
    assert (vertical.get_xdata()[0], horizontal.get_ydata()[0]) == (1, 3)


# ------------------------------------------------------------------------------------------------------- slider

LEVELS = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def grey_slider(label: str = "Grey") -> str:
    frames = [torch.full((4, 8), level) for level in LEVELS]
    captions = [f"level <{level}> \"'&" for level in LEVELS]
    return figures.slider(frames, label=label, captions=captions, alt="a grey & plain field").data


def test_frames_travel_in_one_picture() -> None:
    (image,) = tags(grey_slider(), "img")
    sheet = picture(image["src"])
    assert (sheet.size, sheet.mode) == ((6 * 8, 4), "L")
    assert np.asarray(sheet)[0, ::8].tolist() == [round(255 * level) for level in LEVELS]
    assert image["alt"] == "a grey & plain field"
    assert "width:320px" in image["style"]


def test_slider_is_labelled_deterministic_and_without_script() -> None:
    content = grey_slider()
    assert content == grey_slider()
    assert "<script" not in content
    (control,) = tags(content, "input")
    assert (control["type"], control["min"], control["max"], control["value"]) == ("range", "0", "5", "0")
    assert control["aria-valuetext"] == "level <0.0> \"'&"
    names = [re.findall(r'id="([^"]+)"', grey_slider(label)) for label in ("Grey", "Other")]
    assert names[0] != names[1]
    assert all(ticks == f"{name}-ticks" for name, ticks in names)
    assert content.count("<option") == 6


NAMED = {"label": "x", "captions": ["a", "b"], "alt": "a field", "height": 300}
MIDDLES = """() => [...document.querySelectorAll('.rows span, .columns span, img')].map(element => {
    const words = document.createRange(), box = element.getBoundingClientRect();
    words.selectNodeContents(element);
    const { left, right, top, bottom } = element.tagName === 'IMG' ? box : words.getBoundingClientRect();
    return [(left + right) / 2, (top + bottom) / 2];
})"""


@pytest.mark.parametrize("width", [800, 320])
def test_names_stand_beside_and_above_the_parts_of_a_frame(width: int) -> None:
    names = {"rows": ["first", "a & b", "third"], "columns": ["one", "another"]}
    frames = [torch.zeros(30, 40), torch.ones(30, 40)]
    content = figures.slider(frames, **NAMED, **names).data
    assert content != figures.slider(frames, **NAMED, rows=names["columns"], columns=names["rows"]).data
    assert "<span>a &amp; b</span>" in content

    def visit(page: Any) -> None:
        *words, (middle, height) = page.evaluate(MIDDLES)
        wide, high = page.locator("img").bounding_box()["width"], page.locator("img").bounding_box()["height"]
        assert wide == pytest.approx(400 if width == 800 else wide, abs=1)
        assert [x for x, _ in words[:2]] == pytest.approx([middle - wide / 4, middle + wide / 4], abs=2)
        assert [y for _, y in words[2:]] == pytest.approx([height - high / 3, height, height + high / 3], abs=2)
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    in_chromium(content, visit, viewport={"width": width, "height": 700})


@pytest.mark.parametrize(
    "changed",
    [
        {"alt": " "},
        {"label": ""},
        {"captions": ["only one"]},
        {"frames": [torch.zeros(4, 4)], "captions": ["one"]},
        {"frames": [torch.zeros(4, 4), torch.zeros(4, 5)]},
        {"frames": [torch.zeros(2, 4, 4), torch.zeros(2, 4, 4)]},
    ],
)
def test_slider_that_makes_no_sense_is_told(changed: dict[str, Any]) -> None:
    frames = [torch.zeros(4, 4), torch.ones(4, 4)]
    arguments = {"frames": frames, "label": "x", "captions": ["a", "b"], "alt": "a field", **changed}
    with pytest.raises(TeachlibError):
        figures.slider(**arguments)


def in_chromium(content: str, visit: Callable[[Any], None], **options: Any) -> None:
    """Open a page and let ``visit`` use it; in a thread, because another test's playwright may run in this one."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    playwright = pytest.importorskip("playwright.sync_api")

    def work() -> None:
        with playwright.sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=CHROMIUM, args=["--headless", "--no-sandbox"], timeout=PATIENCE
            )
            page = browser.new_page(**{"viewport": {"width": 800, "height": 700}, **options})
            page.set_default_timeout(PATIENCE)
            page.set_content(f"<!doctype html><meta name=viewport content='width=device-width'>{content}")
            visit(page)
            browser.close()

    with ThreadPoolExecutor(1) as executor:
        executor.submit(work).result()


def shade(page: Any, index: int = 0) -> int:
    """Of the pixel in the middle of a slider's picture, 0 to 255."""
    image = Image.open(io.BytesIO(page.locator(".teachlib-slider img").nth(index).screenshot()))
    return int(np.asarray(image.convert("L"))[image.height // 2, image.width // 2])


def test_slider_by_keys_and_mouse() -> None:
    def visit(page: Any) -> None:
        first, second = page.get_by_role("slider", name="Grey").all()
        assert [shade(page), shade(page, 1)] == [0, 0]
        page.keyboard.press("Tab")
        assert first.evaluate("control => control === document.activeElement")
        assert first.evaluate("control => getComputedStyle(control).outlineStyle") == "solid"
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert [shade(page), shade(page, 1)] == [102, 0], "only the slider that was moved changes"
        assert first.get_attribute("aria-valuetext") == "level <0.4> \"'&"
        assert page.locator("output").first.inner_text() == "level <0.4> \"'&"
        page.keyboard.press("End")
        assert shade(page) == 255
        box = second.bounding_box()
        page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] / 2, steps=5)
        page.mouse.up()
        assert shade(page, 1) == 153
        assert second.get_attribute("aria-valuetext") == "level <0.6> \"'&"

    in_chromium(grey_slider() + grey_slider(), visit)


def test_a_slider_plays_pauses_and_yields_to_its_reader() -> None:
    def visit(page: Any) -> None:
        control, value = page.get_by_role("slider"), "control => control.value"
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # plays on from the second frame
        page.wait_for_function("document.querySelector('input').value === '3'")
        page.keyboard.press("Enter")
        assert page.get_by_role("button").inner_text() == "Play"
        held = control.evaluate(value)
        page.wait_for_timeout(900)
        assert control.evaluate(value) == held
        assert shade(page) == 51 * int(held)
        page.keyboard.press("Enter")
        page.wait_for_function("document.querySelector('button').textContent === 'Play'")
        assert control.evaluate(value) == "5"
        page.get_by_role("button").click()  # at the end it begins anew
        page.wait_for_function("document.querySelector('input').value === '1'")
        control.focus()
        page.wait_for_function("document.querySelector('button').textContent === 'Play'")
        assert int(control.evaluate(value)) < 5

    frames = [torch.full((4, 8), level) for level in LEVELS]
    in_chromium(figures.slider(frames, label="Grey", captions=list("abcdef"), alt="a", play=True).data or "", visit)


def test_slider_by_touch_on_a_phone() -> None:
    def visit(page: Any) -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        box = page.get_by_role("slider").bounding_box()
        assert box["height"] >= 24
        page.touchscreen.tap(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
        assert shade(page) == 204

    wide = [torch.full((4, 16), level) for level in LEVELS]
    content = figures.slider(wide, label="Grey", captions=list("abcdef"), alt="a field").data or ""
    in_chromium(content, visit, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)


def test_slider_without_javascript_shows_the_first_frame() -> None:
    in_chromium(
        grey_slider(),
        lambda page: None if shade(page) == 0 else pytest.fail("not the first frame"),
        java_script_enabled=False,
    )


@pytest.mark.parametrize(
    ("element", "attribute", "value", "seen"),
    [
        ("html", "data-theme", "light", "on-light"),
        ("html", "data-theme", "dark", "on-dark"),
        ("body", "data-jp-theme-light", "true", "on-light"),
        ("body", "data-jp-theme-light", "false", "on-dark"),
        ("body", "class", "", "on-light"),
    ],
)
def test_page_shows_the_picture_of_its_theme(element: str, attribute: str, value: str, seen: str) -> None:
    css = Path(__file__).parent.parent / "_assets" / "custom.css"
    content = (
        f"<style>{css.read_text(encoding='utf-8')}</style>"
        f'<div class="bd-content"><div class="bd-article"><div class="cell_output"><div class="output text_html">'
        f"{figures.figure_html(line(), alt='a curve')}</div></div></div></div>"
    )

    def visit(page: Any) -> None:
        page.evaluate(f"document.querySelector('{element}').setAttribute('{attribute}', '{value}')")
        visible = [image for image in page.locator(".teachlib-figure img").all() if image.is_visible()]
        assert [image.get_attribute("class") for image in visible] == [seen]
        look = visible[0].evaluate(
            "i => { const s = getComputedStyle(i); return [s.backgroundColor, s.filter, s.padding] }"
        )
        assert look == ["rgba(0, 0, 0, 0)", "none", "0px"]

    in_chromium(content, visit)


def drawn(level: float) -> Figure:
    return figures.curves({"line": ([0, 1], [level, level])}, xlabel="x", ylabel="y", ylim=(0, 1))


def test_figures_travel_in_a_picture_for_each_theme() -> None:
    frames = [drawn(level) for level in (0.2, 0.8)]
    content = figures.slider(frames, label="x", captions=["low", "high"], alt="a line").data or ""
    images = tags(content, "img")
    assert [image["class"] for image in images] == ["on-light", "on-dark"]
    light, dark = (np.asarray(picture(image["src"]).convert("RGBA")).astype(int) for image in images)
    assert light.shape == dark.shape
    assert not np.array_equal(light, dark)
    left, right = light[:, : light.shape[1] // 2], light[:, light.shape[1] // 2 :]
    blue = [(np.abs(half[..., :3] - (0, 0x72, 0xB2)).sum(2) < 12).nonzero()[0].mean() for half in (left, right)]
    assert blue[0] > blue[1] + 100, "the second line is higher"


def test_a_slider_of_figures_moves_both_themes() -> None:
    frames = [drawn(level) for level in (0.2, 0.8)]
    content = figures.slider(frames, label="Height", captions=["low", "high"], alt="a line").data or ""

    def visit(page: Any) -> None:
        page.get_by_role("slider", name="Height").press("End")
        places = "found => found.map(image => image.style.objectPosition)"
        assert page.locator(".teachlib-slider img").evaluate_all(places) == ["100% 0px", "100% 0px"]
        shown = [image.is_visible() for image in page.locator(".teachlib-slider img").all()]
        assert shown == [True, False]

    in_chromium(content, visit)


def test_an_explorer_shows_a_live_picture_and_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    shown: list[Any] = []

    def draw(value: float) -> torch.Tensor:
        asked.append(value)
        return torch.full((4, 8), value)

    monkeypatch.setattr(figures.sliders, "display", shown.append)
    figures.explorer(draw, [0.0, 0.5, 1.0], label="v", caption=lambda v: f"value {v:.1f}", alt="a field")
    live, twin = shown
    picture = live.children[2]
    assert asked == [0.0, 0.0, 0.5, 1.0]  # the live one, then the twin's three
    assert 'alt="a field"' in picture.value
    live.children[1].value = 0.25
    assert asked[-1] == 0.25
    assert "value 0.2" in picture.value
    assert '"value 0.5"' in twin.data.replace("&quot;", '"')


def test_heatmaps_share_one_scale_and_stand_upright() -> None:
    low, high = torch.zeros(4, 4), torch.zeros(4, 4)
    high[0, 3] = 2.0  # the upper right
    figure = figures.heatmaps({"low": low, "high": high}, extent=3.0, points={"low": torch.zeros(5, 2)})
    first, second, bar = figure.axes
    assert bar.get_ylabel() == "density"
    assert len(figures.heatmaps({"empty": torch.zeros(2, 2)}, extent=1.0).axes) == 1
    assert first.images[0].get_clim() == second.images[0].get_clim() == (0, 2)
    assert second.images[0].get_extent() == [-3, 3, -3, 3]
    assert second.images[0].origin == "upper"
    assert len(first.collections[0].get_offsets()) == 5
    with pytest.raises(TeachlibError, match="no panels"):
        figures.heatmaps({}, extent=1.0)


def test_coloured_runs_from_dark_to_bright() -> None:
    found = figures.coloured(torch.tensor([[0.0, 1.0, 2.0]]), 2.0)
    assert found.shape == (3, 1, 3)
    brightness = found.sum(0)[0]
    assert (brightness.diff() > 0).all()
    assert torch.equal(figures.coloured(torch.tensor([[5.0]]), 2.0), figures.coloured(torch.tensor([[2.0]]), 2.0))


def test_a_diagram_has_a_box_for_each_part_and_an_arrow_for_each_step() -> None:
    figure = figures.diagram({"z": (0, 0), "G": (1, 0), "x": (2, 0.5)}, [("z", "G"), ("G", "x")], learned=["G"])
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["z", "G", "x"]
    assert len(axes.patches) == 5
    widths = {patch.get_linewidth() for patch in axes.patches[:3]}
    assert len(widths) == 2  # what is learned is told by more than its colour


@pytest.mark.parametrize(
    ("boxes", "arrows", "learned", "message"),
    [
        ({}, [], [], "no boxes"),
        ({"a": (0, 0)}, [("a", "b")], [], "'b': no such box"),
        ({"a": (0, 0)}, [], ["c"], "'c': no such box"),
    ],
)
def test_a_diagram_names_what_is_no_box(boxes, arrows, learned, message: str) -> None:
    with pytest.raises(TeachlibError, match=message):
        figures.diagram(boxes, arrows, learned=learned)


def test_a_slider_opens_where_it_is_told_to() -> None:
    frames = [torch.full((4, 4), value) for value in (0.0, 0.5, 1.0)]
    page = figures.slider(frames, label="t", captions=["a", "b", "c"], alt="grey", start=1).data
    assert 'value="1"' in page
    assert "object-position:50% 0" in page
    assert '<output aria-live="off">b</output>' in page
    for wrong in (-1, 3):
        with pytest.raises(TeachlibError, match=f"start={wrong}; expected the number of a frame, 0 to 2"):
            figures.slider(frames, label="t", captions=["a", "b", "c"], alt="grey", start=wrong)
    with pytest.raises(TeachlibError, match=r"start=3; expected one of the values 0, 1, 2"):
        figures.explorer(lambda v: frames[int(v)], [0, 1, 2], label="t", caption=str, alt="grey", start=3)


@pytest.mark.parametrize(("panels", "columns"), [(3, 3), (4, 4), (2, 2), (6, 3)])
def test_heat_maps_are_not_cut_off(panels: int, columns: int) -> None:
    named = {f"β = {index}": torch.rand(8, 8) for index in range(panels)}
    sheet = draw_for_themes(figures.heatmaps(named, extent=4, columns=columns, names=("z₁", "z₂")))[0]
    ink = np.asarray(sheet)[..., 3] > 0
    assert not ink[0].any()
    assert not ink[-1].any()
