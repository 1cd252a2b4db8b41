"""What helps readers of the rendered book: search, the ends of pages, a mark "read", print, and one file for a disk."""

import itertools
import json
import re
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from docutils import nodes
from docutils.core import publish_doctree
from rendered import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import glossary_page  # noqa: E402
import offline  # noqa: E402
import page_end  # noqa: E402
import page_start  # noqa: E402
import pdf  # noqa: E402
import staging  # noqa: E402

TERMS = {name: entry["page"] for entry in glossary_page.entries() for name in (entry["term"], *entry.get("also", ()))}


def visited(browser: Any, url: str, **options: Any) -> Any:
    page = browser.new_page(**options)
    page.set_default_timeout(PATIENCE)
    page.goto(url, wait_until="load")
    return page


# ---------------------------------------------------------------------------------------------------------- search

FOUND = "() => [...document.querySelectorAll('#search-results li a')].map(a => a.getAttribute('href').split('?')[0])"
FINISHED = "() => /Search finished|did not match/.test(document.querySelector('#search-results').innerText)"


def searched(page: Any, url: str) -> list[str]:
    page.goto(url, wait_until="load")
    page.wait_for_function(FINISHED)
    found: list[str] = page.evaluate(FOUND)
    return found


BEST = """names => Object.fromEntries(names.map(name => {
    history.replaceState(null, "", "?q=" + encodeURIComponent(name));
    return [name, Search._performSearch(...Search._parseQuery(name)).at(-1)];
}))"""


def test_whoever_looks_for_a_term_gets_the_page_first_that_teaches_it(browser: Any, address: str) -> None:
    page = visited(browser, f"{address}search.html")
    page.wait_for_function("() => Search.hasIndex()")
    first = page.evaluate(BEST, list(TERMS))
    assert not {name: first[name] for name, taught in TERMS.items() if (first[name] or [""])[0] != taught}
    for name in ("mode collapse", "AdaIN", "beta-VAE"):
        assert searched(page, f"{address}search.html?q={name}")[0] == f"{TERMS[name]}.html"
    page.close()


@pytest.mark.parametrize(
    ("query", "term"),
    [
        ("GANs", "GAN"),
        ("NORMALISING FLOWS", "normalizing flow"),
        ("VAEGAN", "VAE-GAN"),
        ("GMM-VAEs", "Gaussian-mixture VAE"),
        ("frechet distance", "FID"),
        ("gradient penalty zebra", "gradient penalty"),
        ("KL", "KL divergence"),
    ],
)
def test_terms_are_found_as_readers_write_them(browser: Any, address: str, query: str, term: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    assert searched(page, f"{address}search.html?q={query.replace(' ', '+')}")[0] == f"{TERMS[term]}.html"
    page.close()


def test_a_browser_that_keeps_nothing_searches_all_the_same(browser: Any, address: str) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script("Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError'); }")
    assert searched(page, f"{address}search.html?q=ELBO")[0] == f"{TERMS['ELBO']}.html"
    page.close()


@pytest.mark.parametrize("way", ["host", "disk"])
def test_results_of_a_search_have_excerpts(browser: Any, html: Path, address: str, way: str) -> None:
    root = address if way == "host" else html.as_uri() + "/"
    page = visited(browser, f"{root}search.html?q=posterior+collapse")
    page.wait_for_function("() => document.querySelector('#search-results li .context')?.innerText.length > 100")
    assert "collapse" in page.locator("#search-results li .context").first.inner_text().lower()
    page.close()


def test_every_page_says_what_the_glossary_says_it_teaches(html: Path) -> None:
    """A term is no use on a page without the word, or one of its other names."""
    silent = []
    for entry in glossary_page.entries():
        text = (html / f"{entry['page']}.html").read_text(encoding="utf-8").partition("<article")[2].lower()
        plain = re.sub(r"[\s-]+", " ", re.sub(r"<[^>]*>", "", text))
        names = (entry["term"], *entry.get("also", ()))
        if not any(re.sub(r"[\s-]+", " ", name.lower()) in plain for name in names):
            silent.append(entry["term"])
    assert not silent


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{term: a, page: book/welcome}", "says"),
        ("{term: a, page: book/nowhere, says: b}", "there is no page book/nowhere"),
        ("{term: a, page: book/welcome, says: b}\n- {term: c, also: [A], page: book/welcome, says: d}", "both a and c"),
        ("{term: a, page: book/welcome, says: b}\n- {term: a, page: book/errata, says: d}", "both a and a"),
        ("{term: a, also: FGSM, page: book/welcome, says: b}", "a list of names"),
        ("{term: a, also: [7], page: book/welcome, says: b}", "a list of names"),
        ("{term: [", "is no YAML"),
    ],
)
def test_wrong_entries_of_the_glossary_are_named(tmp_path: Path, entry: str, said: str) -> None:
    path = tmp_path / "glossary.yml"
    path.write_text(f"- {entry}\n")
    with pytest.raises(glossary_page.GlossaryError, match=said):
        glossary_page.entries(path)


# ---------------------------------------------------------------------------------------------------- ends of pages


def test_pages_lead_to_the_next_and_to_others_like_them(html: Path) -> None:
    order = staging.toc_pages(ROOT)
    notebooks = {path.relative_to(ROOT).with_suffix("").as_posix() for path in staging.notebooks(ROOT)}
    for page, following in itertools.pairwise(order):
        end = (html / f"{page}.html").read_text(encoding="utf-8").partition('<nav class="course-end"')[2]
        links = [
            (html / page).parent.joinpath(link).resolve()
            for link in re.findall(r'href="([^"]+)"', end.partition("</nav>")[0])
        ]
        assert links[0] == (html / f"{following}.html").resolve(), page
        assert len(set(links)) == len(links), page
        assert (html / f"{page}.html").resolve() not in links, page
        if page in notebooks:
            assert len(links) == 1 + page_end.RELATED, page


def test_pages_on_one_subject_are_related_before_others() -> None:
    texts = {
        "a": "heads and faces are rendered with light, faces have skin",
        "b": "skin and light of faces, rendered heads",
        "c": "flows bend a plane, couplings are splines",
        "d": "splines and couplings bend flows in a plane",
        "book/errata": "heads faces light skin flows plane",
        "chapter/index": "heads faces light skin",
    }
    found = page_end.related(texts)
    assert {page: others[0] for page, others in found.items()} == {"a": "b", "b": "a", "c": "d", "d": "c"}


def parsed(text: str) -> nodes.document:
    return publish_doctree(text, settings_overrides={"doctitle_xform": False})


def test_the_first_sentence_of_a_page_is_its_lead() -> None:
    text = "Title\n=====\n\nA sentence, e.g. of 0.5 words? And more of it.\n"
    assert page_end.lead(parsed(text)) == "A sentence, e.g. of 0.5 words?"
    assert page_end.lead(parsed("Title\n=====\n\nA pixel: no more. And more.\n")) == "A pixel: no more."
    assert page_end.lead(parsed("Title\n=====\n\nLoad it so:\n\nA second paragraph.\n")) == ""
    assert page_end.lead(parsed("Title\n=====\n\nAs :math:`x` says. No.\n")) == ""
    assert page_end.lead(nodes.document(None, None)) == ""


def test_reading_time_counts_sentences_and_no_code() -> None:
    page = parsed("Title\n=====\n\n" + "word " * 500 + "\n\n::\n\n    " + "code " * 900 + "\n")
    assert sum(len(node.astext().split()) for node in page.findall(nodes.literal_block)) == 900
    assert page_start.minutes(page) == round(500 / page_start.WORDS)
    assert page_start.minutes(parsed("Title\n=====\n\nShort.\n")) == 1


def test_notebooks_say_how_long_they_take_and_other_pages_do_not(html: Path) -> None:
    said = {
        page.relative_to(html).as_posix(): re.findall(r'<p class="course-reading">About (\d+) minutes? to read', text)
        for page in sorted(html.rglob("*.html"))
        if (text := page.read_text(encoding="utf-8"))
    }
    notebooks = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in staging.notebooks(ROOT)}
    assert {page for page, found in said.items() if found} == notebooks
    assert all(len(found) == 1 and 2 <= int(found[0]) <= 60 for page, found in said.items() if page in notebooks)


def test_pages_of_chapters_bear_the_numbers_of_their_files(html: Path) -> None:
    found = {}
    for page in sorted((html / "chapters").rglob("*.html")):
        (number,) = re.findall(r'<h1><span class="section-number">([\d.]+) ?</span>', page.read_text(encoding="utf-8"))
        found[page.relative_to(html / "chapters").as_posix()] = number
    for page, number in found.items():
        folder, name = page.split("/")
        chapter, notebook = folder.split("-")[0], name.split("-")[0]
        assert number == (f"{chapter}." if name == "index.html" else f"{chapter}.{notebook}."), page


def test_an_end_is_written_anew_when_the_page_changes_to_which_it_leads() -> None:
    texts = {name: f"{name}\n=====\n\nAbout {name}. More.\n" for name in ("one", "two", "three")}
    order = {"one": (None, None, "two"), "two": (None, "one", "three"), "three": (None, "two", None)}
    env = SimpleNamespace(
        found_docs=set(texts),
        get_doctree=lambda page: parsed(texts[page]),
        collect_relations=lambda: order,
        titles={name: nodes.title("", name) for name in texts},
    )
    builder = SimpleNamespace(format="html", get_relative_uri=lambda page, other: f"{other}.html")
    app: Any = SimpleNamespace(env=env, builder=builder)
    assert sorted(page_end.renew(app, env)) == ["one", "three", "two"]
    assert page_end.renew(app, env) == []
    texts["three"] = "three\n=====\n\nSomething else. More.\n"
    assert page_end.renew(app, env) == ["two"]
    env.titles["two"] = nodes.title("", "second")
    assert page_end.renew(app, env) == ["one"]


# ---------------------------------------------------------------------------------------------------------- progress


@pytest.mark.parametrize("way", ["host", "disk"])
def test_progress_is_kept_on_request_alone_and_forgotten(browser: Any, html: Path, address: str, way: str) -> None:
    root = address if way == "host" else html.as_uri() + "/"
    first, second = staging.toc_pages(ROOT)[:2]
    context = browser.new_context()
    page = visited(context, f"{root}{first}.html")
    kept = "() => localStorage.getItem('course-read')"
    assert page.evaluate(kept) is None
    assert page.locator(".course-progress button").is_hidden()
    page.get_by_label("I have read this page").focus()
    page.keyboard.press("Space")
    assert json.loads(page.evaluate(kept)) == [first]
    page.goto(f"{root}{second}.html", wait_until="load")
    assert not page.get_by_label("I have read this page").is_checked()
    page.locator(".course-progress [role=status]", has_text="1 of").wait_for()  # another process kept it, a moment ago
    page.get_by_role("button", name="Forget all").click()
    assert page.evaluate(kept) is None
    page.goto(f"{root}{first}.html", wait_until="load")
    assert not page.get_by_label("I have read this page").is_checked()
    context.close()


def test_pages_that_were_read_have_a_tick_in_the_contents(browser: Any, address: str) -> None:
    order = staging.toc_pages(ROOT)
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page = visited(context, f"{address}{order[1]}.html")
    page.get_by_label("I have read this page").check()
    page.goto(f"{address}{order[2]}.html", wait_until="load")
    page.locator(".course-read").first.wait_for(state="attached")
    ticked = page.evaluate("() => [...document.querySelectorAll('.course-read')].map(m => m.closest('a').href)")
    assert ticked == [f"{address}{order[1]}.html"]
    context.close()


def test_pages_that_are_none_do_not_count(browser: Any, address: str) -> None:
    context = browser.new_context()
    first, second = staging.toc_pages(ROOT)[:2]
    kept = json.dumps(json.dumps([first, "of/another/version"]))
    context.add_init_script(f"localStorage.setItem('course-read', {kept})")
    page = visited(context, f"{address}{second}.html")
    said = page.locator(".course-progress [role=status]").inner_text()
    assert said.startswith(f"1 of {len(staging.toc_pages(ROOT))} pages")
    context.close()


@pytest.mark.parametrize("words", ["not JSON", "{}", "[1, null]", '"book"'])
def test_words_of_others_under_the_same_name_do_no_harm(browser: Any, address: str, words: str) -> None:
    context = browser.new_context()
    context.add_init_script(f"localStorage.setItem('course-read', {json.dumps(words)})")
    errors: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{address}{staging.toc_pages(ROOT)[1]}.html", wait_until="load")
    assert not page.get_by_label("I have read this page").is_checked()
    assert errors == []
    context.close()


# ------------------------------------------------------------------------------------------------------------- print


@pytest.fixture(scope="module")
def whole(html: Path) -> Any:
    from bs4 import BeautifulSoup

    return BeautifulSoup(pdf.document(pdf.Book(html.parent.parent)), "html.parser")


def test_print_has_one_place_for_each_name_and_no_dead_link(whole: Any) -> None:
    names = [str(node["id"]) for node in whole.find_all(id=True)]
    assert len(names) == len(set(names))
    inside = [str(node["href"])[1:] for node in whole.find_all("a", href=re.compile("^#"))]
    assert set(inside) <= set(names)
    heads = {name for node in whole.select("[marker-end]") for name in re.findall(r"url\(#(.+?)\)", node["marker-end"])}
    assert heads
    assert heads <= set(names)
    assert not [
        node["href"] for node in whole.find_all("a", href=True) if not re.match("#|https?:|mailto:", node["href"])
    ]


def test_print_has_every_solution_once_and_last(whole: Any) -> None:
    summaries = re.compile(r"<summary>(?:Solution|Answer)</summary>")
    cells = [cell for path in staging.notebooks(ROOT) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
    wanted = sum(len(summaries.findall("".join(cell["source"]))) for cell in cells if cell["cell_type"] == "markdown")
    last = whole.find_all("section", class_="sheet")[-1]
    assert last["id"] == pdf.LAST
    assert len(last.select("div > p.aside")) == wanted > 100
    assert not [node for node in whole.find_all("summary") if node.get_text() in pdf.ASIDE]


def test_print_has_pictures_that_exist(whole: Any, html: Path) -> None:
    sources = [str(node["src"]) for node in whole.find_all(src=True)]
    files = [source for source in sources if not source.startswith("data:")]
    assert files
    assert not [name for name in files if not (html.parent / name.split("?")[0]).is_file()]
    assert not whole.select(".on-dark")


def test_contents_of_the_print_say_on_which_sheet(browser: Any, tmp_path: Path) -> None:
    """Two sheets of contents and text: the second heading begins on the third, after a page of lines."""
    lines = "".join(pdf._line(name, name, 0) for name in ("one", "two"))
    body = (
        "<section class='sheet' id='one'><h1>one</h1></section><section class='sheet' id='two'><h1>two</h1></section>"
    )
    source = tmp_path / "course.html"
    source.write_text(pdf._PAGE.format(head="", version="0", scale="ci", lines=lines, body=body), encoding="utf-8")
    with ThreadPoolExecutor(1) as apart:  # this thread has a browser already, and may have one
        assert apart.submit(pdf.printed, source, tmp_path / "course.pdf").result() == 4
    reader = pdf.PdfReader(tmp_path / "course.pdf")
    assert re.findall(r"(one|two)\s+(\d+)", reader.pages[1].extract_text()) == [("one", "3"), ("two", "4")]
    assert [entry["/Title"] for entry in reader.outline] == ["one", "two"]


def test_without_a_browser_nothing_is_printed_and_one_line_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(staging.BookError, match="install Chromium"):
        pdf.browser()


@pytest.mark.parametrize("tool", [pdf, offline])
def test_without_a_book_there_is_nothing_to_make(tool: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    book = pdf.Book(tmp_path)
    monkeypatch.setattr(tool, "Book", lambda: book)
    with pytest.raises(SystemExit, match="build it first, 'make book'"):
        tool.main()
    assert [path for path in (tmp_path / "_build").rglob("*") if path.is_file()] == []


# -------------------------------------------------------------------------------------------------------- one archive


def test_archive_opens_by_one_page_and_holds_the_others(browser: Any, html: Path, tmp_path: Path) -> None:
    archive = tmp_path / "course.zip"
    size = offline.packed(html, archive)
    assert size == archive.stat().st_size
    with zipfile.ZipFile(archive) as file:
        names = file.namelist()
        file.extractall(tmp_path / "a folder")
    assert {f"{offline.FOLDER}/{page}.html" for page in staging.toc_pages(ROOT)} < set(names)
    assert [name for name in names if "/" not in name] == [offline.FIRST]
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto((tmp_path / "a folder" / offline.FIRST).as_uri())
    page.wait_for_url(f"**/{staging.toc_pages(ROOT)[0]}.html")
    assert page.locator("h1").first.inner_text()
    page.close()


def test_one_book_gives_one_archive_and_a_failure_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<p>")
    for name in ("a", "b"):
        offline.packed(site, tmp_path / f"{name}.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", full)
    with pytest.raises(OSError, match="No space"):
        offline.packed(site, tmp_path / "c.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "b.zip", "site"]


# ------------------------------------------------------------------------------------------------- gallery and indices


@pytest.mark.parametrize(
    ("index", "sign"),
    [
        ("gallery", r"(?<!def )\b(?:figures\.)?(?:show|live)\("),
        ("claims", r"from teachlib\.checks import"),
        ("exercises", r"exercises\.\w+\.check\("),
    ],
)
def test_every_notebook_that_has_some_is_in_the_index(html: Path, index: str, sign: str) -> None:
    """The indices are read off outputs: should their form change, a page would be empty, and nothing else amiss."""
    listed = (html / "book" / f"{index}.html").read_text(encoding="utf-8")
    article = listed.partition("<article")[2].partition("</article>")[0].partition('<nav class="course-end"')[0]
    missing = []
    for path in staging.notebooks(ROOT):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        page = path.relative_to(ROOT).with_suffix(".html").as_posix()
        if re.search(sign, code) and f'href="../{page}' not in article:
            missing.append(page)
    assert not missing
