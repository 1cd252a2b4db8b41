"""Books of tags: built each by its own files, kept, and led to by one page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import staging  # noqa: E402
import versions  # noqa: E402

import book as book_tool  # noqa: E402

MAKEFILE = (
    "book:\n\tmkdir -p _build/html/a && cp page.html _build/html/index.html && cp page.html _build/html/a/b.html\n"
)


def git(root: Path, *words: str) -> None:
    names = ("-c", "user.name=n", "-c", "user.email=n@example.org")
    subprocess.run(["git", *names, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one page with three versions and a tag that is none."""
    root = tmp_path / "course"
    root.mkdir()
    git(root, "init", "--initial-branch=main")
    (root / "Makefile").write_text(MAKEFILE)
    for tag in ("v0.9", "v0.10", "v1.0.0"):
        (root / "page.html").write_text(f'<html><body class="x"><h1>{tag}</h1></body></html>')
        git(root, "add", ".")
        git(root, "commit", "-m", tag)
        git(root, "tag", tag)
    git(root, "tag", "broken-v2")
    return root


def test_every_tag_has_its_own_book_and_one_page_leads_to_all(course: Path) -> None:
    book = book_tool.Book(course)
    assert versions.all_versions(book, "ci", course) == []
    folder = book.build / "versions"
    overview = (folder / "index.html").read_text()
    assert re.findall(r'href="([^"]+)"', overview) == [f"{tag}/index.html" for tag in ("v1.0.0", "v0.10", "v0.9")]
    for tag in ("v0.9", "v0.10", "v1.0.0"):
        for page in ("index.html", "a/b.html"):
            text = (folder / tag / page).read_text()
            assert f"<h1>{tag}</h1>" in text
            (link,) = re.findall(r'<body class="x"><aside[^>]*>Version .*?href="([^"]+)"', text)
            assert ((folder / tag / page).parent / link).resolve() == folder / "index.html"
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=course, capture_output=True, text=True, check=True)
    assert len(worktrees.stdout.splitlines()) == 1


def test_finished_versions_are_kept_and_the_present_book_is_renewed(course: Path) -> None:
    book = book_tool.Book(course)
    versions.all_versions(book, "ci", course)
    kept = book.build / "versions" / "v0.9" / "index.html"
    kept.write_text("mine")
    book.html.mkdir(parents=True)
    (book.html / "index.html").write_text("<body>now</body>")
    book.stamp.write_text('{"scale": "ci"}')
    versions.all_versions(book, "ci", course)
    assert kept.read_text() == "mine"
    latest = (book.build / "versions" / "latest" / "index.html").read_text()
    assert "between versions" in latest
    assert "now" in latest
    assert 'href="latest/index.html"' in (book.build / "versions" / "index.html").read_text()


def test_a_moved_tag_and_another_scale_are_built_again(course: Path) -> None:
    book = book_tool.Book(course)
    versions.all_versions(book, "ci", course)
    page = book.build / "versions" / "v0.9" / "index.html"
    git(course, "tag", "--force", "v0.9", "v1.0.0")
    versions.all_versions(book, "ci", course)
    assert "<h1>v1.0.0</h1>" in page.read_text()
    page.write_text("old")
    versions.all_versions(book, "laptop", course)
    assert "<h1>v1.0.0</h1>" in page.read_text()


def test_a_version_that_cannot_be_built_is_named_and_keeps_no_other_back(course: Path) -> None:
    (course / "Makefile").write_text("book:\n\t@echo no oven; exit 3\n")
    git(course, "commit", "-am", "broken")
    git(course, "tag", "v2.0")
    git(course, "rm", "Makefile")
    git(course, "commit", "-m", "emptied")
    git(course, "tag", "v3.0")
    book = book_tool.Book(course)
    without, broken = versions.all_versions(book, "ci", course)
    assert without == "v3.0 has no Makefile that could build its book"
    assert broken.startswith("the book of v2.0 could not be built:\nno oven")
    folder = book.build / "versions"
    assert sorted(path.name for path in folder.iterdir()) == ["index.html", "v0.10", "v0.9", "v1.0.0"]
    assert "v2.0" not in (folder / "index.html").read_text()
    assert not (book.build / "version").exists()


def test_a_full_disk_leaves_no_half_of_a_version(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(versions.Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        versions.all_versions(book_tool.Book(course), "ci", course)
    assert list((course / "_build" / "versions").iterdir()) == []


def test_without_a_tag_or_a_clone_one_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(staging.BookError, match="git tag failed"):
        versions.tags(tmp_path)
    git(tmp_path, "init")
    with pytest.raises(staging.BookError, match=r"git tag v0\.1\.0"):
        versions.tags(tmp_path)
