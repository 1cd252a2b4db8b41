"""One setting names where the project is public: with it, pages and notebooks lead there; without it, nowhere."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / "tools"
if str(TOOLS) not in sys.path:
    sys.path.insert(0, str(TOOLS))

import address  # noqa: E402
import anywhere_page  # noqa: E402
import check_html  # noqa: E402
import format_notebooks  # noqa: E402
import staging  # noqa: E402

HERE = "https://github.com/someone/course"
FOLDERS = (
    "book",
    "chapters",
    "assignments",
    "src",
    "tools",
    "tests",
    "benchmarks",
    "examples",
    ".github",
    ".devcontainer",
)
READ = {".md", ".py", ".ipynb", ".toml", ".yml", ".yaml", ".cff", ".json", ".sh", ""}
# What stands for an address that nobody filled in.
PLACEHOLDER = re.compile(
    r"\bOWNER/|/REPO(SITORY)?\b|\byour[-_](org|name|user|repo|account|handle)|<(org|owner|user(name)?|repo)>|\bUSERNAME/",
    re.I,
)


def configuration(setting: str) -> str:
    """The project's own configuration with another address."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["sphinx"]["config"]["public_address"] = setting
    return yaml.safe_dump(config, allow_unicode=True)


def tiny_book(folder: Path, setting: str) -> Path:
    """A page and a notebook, built as the book is; returns the folder of its pages."""
    for name in (*staging.FILES, "book/glossary.yml", "book/references.bib", "_assets/logo.svg"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "_assets", folder / "_assets", dirs_exist_ok=True)
    (folder / "_config.yml").write_text(configuration(setting), encoding="utf-8")
    (folder / "_toc.yml").write_text("format: jb-book\nroot: page\nchapters:\n  - file: chapters/note\n")
    (folder / "page.md").write_text("# Boats & “oars” *<2*\n\nText.\n", encoding="utf-8")
    cells = [
        nbformat.v4.new_markdown_cell("# A note"),
        nbformat.v4.new_code_cell("1", metadata={"tags": ["parameters"]}),
    ]
    text = format_notebooks.normalized(nbformat.writes(nbformat.v4.new_notebook(cells=cells)), setting, "chapters/note")
    (folder / "chapters").mkdir()
    (folder / "chapters" / "note.ipynb").write_text(text, encoding="utf-8")
    command = (sys.executable, "-m", "jupyter_book.cli.main", "build", str(folder), "-W", "-n", "--keep-going", "-q")
    program = "from jupyter_book.cli.main import main; main()"
    done = subprocess.run([command[0], "-c", program, *command[3:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "_build" / "html"


def links(page: Path) -> list[str]:
    return [
        found.replace("&amp;", "&") for found in re.findall(r'href="(http[^"]+)"', page.read_text(encoding="utf-8"))
    ]


def test_pages_without_an_address_lead_to_no_project(tmp_path: Path) -> None:
    html = tiny_book(tmp_path, "")
    for name in ("page", "chapters/note"):
        text = (html / f"{name}.html").read_text(encoding="utf-8")
        assert not [link for link in links(html / f"{name}.html") if re.search("github|colab|binder", link)]
        assert "erratum" not in text
        assert "find_spec" not in text


def test_pages_with_an_address_lead_there(tmp_path: Path) -> None:
    html = tiny_book(tmp_path, HERE)
    note = links(html / "chapters" / "note.html")
    assert f"{address.COLAB}/github/someone/course/blob/main/chapters/note.ipynb" in note
    assert f"{address.BINDER}/v2/gh/someone/course/main?urlpath=lab/tree/chapters/note.ipynb" in note
    assert HERE in note
    assert "find_spec" not in (html / "chapters" / "note.html").read_text(encoding="utf-8")
    for name, title in (("page", "Boats & “oars” <2"), ("chapters/note", "A note")):
        (report,) = [link for link in links(html / f"{name}.html") if "/issues/new?" in link]
        asked = parse_qs(urlsplit(report).query)
        assert report.startswith(f"{HERE}/issues/new?")
        assert f"Page: {name}\n" in asked["body"][0]
        assert asked["title"] == [f"Erratum: {title}"]
    assert check_html.findings(html) == []
    assert "/issues/new" not in (html / "search.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "wrong", ["course", "http://github.com/a/b", f"{HERE}/", f"{HERE}.git", "https://github.com/a", f"{HERE}/tree/main"]
)
def test_what_is_no_address_is_refused_in_a_line(wrong: str, tmp_path: Path) -> None:
    (tmp_path / "_config.yml").write_text(configuration(wrong), encoding="utf-8")
    with pytest.raises(
        address.AddressError, match=r"^_config.yml: public_address is .*expected an address such as [^\n]*$"
    ):
        address.public_address(tmp_path)


def project(folder: Path, setting: str) -> Path:
    """Files that name the address, beside a chapter's notebook and an assignment."""
    for name in address.NAMING:
        shutil.copy(ROOT / name, folder)
    (folder / "_config.yml").write_text(configuration(setting), encoding="utf-8")
    note = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("1")])
    for name in ("chapters", "assignments/source"):
        (folder / name).mkdir(parents=True)
        text = format_notebooks.normalized(nbformat.writes(note))
        (folder / name / "note.ipynb").write_text(text, encoding="utf-8")
    return folder


def test_formatting_writes_the_address_and_takes_it_away_again(tmp_path: Path) -> None:
    folder = project(tmp_path, HERE)
    before = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file()}
    changed = format_notebooks.differing(folder)
    assert {path.relative_to(folder).as_posix() for path in changed} == {*address.NAMING, "chapters/note.ipynb"}
    for path, text in changed.items():
        path.write_text(text, encoding="utf-8")
    assert yaml.safe_load((folder / "CITATION.cff").read_text())["repository-code"] == HERE
    urls = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["urls"]
    assert urls == {"Repository": HERE, "Changelog": f"{HERE}/blob/main/CHANGELOG.md"}
    assert format_notebooks.differing(folder) == {}
    (folder / "_config.yml").write_text(configuration(""), encoding="utf-8")
    for path, text in format_notebooks.differing(folder).items():
        path.write_text(text, encoding="utf-8")
    assert {path: path.read_text(encoding="utf-8") for path in before} == {
        **before,
        folder / "_config.yml": configuration(""),
    }


def test_notebook_installs_what_the_page_says_and_only_where_it_is_missing() -> None:
    note = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("1")])
    first = nbformat.reads(format_notebooks.normalized(nbformat.writes(note), HERE), as_version=4).cells[1]
    assert address.install_line(HERE) in first.source
    assert f"@ git+{HERE}" in address.install_line(HERE)
    shell = pytest.importorskip("IPython.core.interactiveshell").InteractiveShell
    commands: list[str] = []
    for present in (True, False):
        program = shell.instance().transform_cell(first.source).replace("get_ipython()", "ipython")
        found = object() if present else None
        program = program.replace("from importlib.util import find_spec", "")
        magic = type("Recorder", (), {"run_line_magic": lambda self, *words: commands.append(" ".join(words))})()
        exec(program, {"find_spec": lambda name, found=found: found, "ipython": magic})
    assert commands == [address.install_line(HERE).removeprefix("%")]


@pytest.mark.parametrize(
    ("project", "site"),
    [
        ("someone/course", "https://someone.github.io/course/"),
        ("Some-One/Course", "https://some-one.github.io/Course/"),
        ("someone/someone.github.io", "https://someone.github.io/"),
    ],
)
def test_a_notebook_that_is_opened_alone_names_the_page_whose_links_work(
    project: str, site: str, tmp_path: Path
) -> None:
    (tmp_path / "_config.yml").write_text(configuration(f"https://github.com/{project}"), encoding="utf-8")
    path = tmp_path / "chapters" / "1-a" / "2-b.ipynb"
    path.parent.mkdir(parents=True)
    note = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# A"), nbformat.v4.new_code_cell("1")])
    nbformat.write(note, path)
    first = nbformat.reads(format_notebooks.committed_form(path, tmp_path), as_version=4).cells[1]
    assert f"# As a page, with links that work: {site}chapters/1-a/2-b.html\n" in first.source


@pytest.mark.parametrize(
    ("setting", "there", "missing"), [("", "make dist", "git+"), (HERE, f"git+{HERE}", "make dist")]
)
def test_page_on_colab_follows_the_setting(tmp_path: Path, setting: str, there: str, missing: str) -> None:
    (tmp_path / "_config.yml").write_text(configuration(setting), encoding="utf-8")
    text = anywhere_page.colab(tmp_path)
    assert there in text
    assert missing not in text


def test_no_address_stands_anywhere_unfilled() -> None:
    files = [path for folder in FOLDERS if (ROOT / folder).is_dir() for path in (ROOT / folder).rglob("*")]
    files += [path for path in ROOT.iterdir() if path.is_file()]
    files = [path for path in files if path.suffix in READ and path.is_file() and path != Path(__file__).resolve()]
    assert len(files) > 300
    unfilled = []
    for path in files:
        found = PLACEHOLDER.findall(path.read_text(encoding="utf-8", errors="replace"))
        unfilled += [(path.relative_to(ROOT).as_posix(), word) for word in found]
    assert not unfilled
