"""Finding submissions: what learning-management systems export, and what people put in between."""

import io
import json
import os
import subprocess
import threading
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from toy_assignment import submission, write_toy

from teachlib.classroom import notebooks, submissions
from teachlib.classroom.notebooks import SIZE, Unreadable, explanations, own_cells, read_cells, shingles
from teachlib.classroom.source import Assignment
from teachlib.classroom.submissions import File, Submission, find_submissions
from teachlib.errors import TeachlibError

NOTEBOOK = json.dumps(submission()).encode()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "handed-in"
    folder.mkdir()
    return folder


@pytest.fixture
def toy(tmp_path: Path) -> Assignment:
    return write_toy(tmp_path)


def put(place: Path, name: str, data: bytes = NOTEBOOK) -> None:
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def zipped(*names: str, data: bytes = NOTEBOOK) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "id_", "student"),
    [
        ("Jane Doe_1234567_assignsubmission_file/toy.ipynb", "1234567", "Jane Doe"),
        ("Jane Doe_1234567_assignsubmission_file_/deep/toy.ipynb", "1234567", "Jane Doe"),
        ("Jane Doe_1234567_assignsubmission_file_toy.ipynb", "1234567", "Jane Doe"),
        ("doejane_98765_4321_toy.ipynb", "98765", "doejane"),
        ("doejane_LATE_98765_4321_toy-2.ipynb", "98765", "doejane"),
        ("jane_s0042_toy.ipynb", "s0042", "jane"),
        ("van_der_Berg_s1_toy.ipynb", "s1", "van_der_Berg"),
        ("jane_doe_toy.ipynb", "doe", "jane"),
        ("p_8_toy.IPYNB", "8", "p"),
        ("s0042.ipynb", "s0042", ""),
        ("s0042/anything.ipynb", "s0042", ""),
        ("007/toy.ipynb", "007", ""),
        ("Zoë Ångström_77_assignsubmission_file_/toy.ipynb", "77", "Zoë Ångström"),
    ],
)
def test_names_of_exports_are_understood(place: Path, name: str, id_: str, student: str) -> None:
    put(place, name)
    archive = place.parent / "export.zip"
    archive.write_bytes(zipped(name))
    for source in (place, archive):
        (one,) = find_submissions(source)
        assert (one.id, one.name, len(one.files)) == (id_, student, 1)
        assert one.files[0].read() == NOTEBOOK


def test_zip_files_within_folders_and_exports(place: Path) -> None:
    put(place, "a/work.zip", zipped("x/toy.ipynb", "__MACOSX/x/toy.ipynb", "notes.txt"))
    put(place, "b_2_3_toy.zip", zipped("toy.ipynb"))
    found = {one.id: one for one in find_submissions(place)}
    assert [len(found[id_].files) for id_ in ("a", "2")] == [1, 1]
    archive = place.parent / "export.zip"
    archive.write_bytes(zipped("a/work.zip", data=zipped("toy.ipynb")))
    (one,) = find_submissions(archive)
    assert (one.id, one.files[0].read()) == ("a", NOTEBOOK)


def test_a_folder_that_was_zipped_is_no_student(place: Path) -> None:
    archive = place.parent / "export.zip"
    archive.write_bytes(zipped("homework/a/toy.ipynb", "homework/b/toy.ipynb"))
    assert [one.id for one in find_submissions(archive)] == ["a", "b"]


def test_students_without_a_notebook_are_there(place: Path) -> None:
    put(place, "a/notes.txt", b"sorry")
    put(place, "b/toy.ipynb")
    assert [(one.id, len(one.files)) for one in find_submissions(place)] == [("a", 0), ("b", 1)]


def test_the_notebook_with_our_cells_is_chosen_and_of_those_the_last(place: Path, toy: Assignment) -> None:
    put(place, "a/other.ipynb", b'{"cells": []}')
    put(place, "a/toy-2.ipynb")
    put(place, "a/toy-10.ipynb")
    (one,) = find_submissions(place)
    chosen, notes = one.chosen(toy)
    assert chosen is not None
    assert chosen.name == "toy-10.ipynb"
    assert notes == ["3 notebooks; toy-10.ipynb was graded"]


def test_links_pipes_and_devices_are_not_followed(place: Path, toy: Assignment) -> None:
    put(place, "a/toy.ipynb")
    (place / "a" / "secret.ipynb").symlink_to("/etc/passwd")
    (place / "b").symlink_to("/etc")
    (place / "c").mkdir()
    os.mkfifo(place / "c" / "pipe.ipynb")
    found = {one.id: one for one in find_submissions(place)}
    assert len(found["a"].files) == 1
    assert "link" in found["a"].notes[0]
    assert found["b"].files == ()
    with pytest.raises(Unreadable, match="regular"):
        found["c"].files[0].read()


def test_a_pipe_is_not_waited_for(place: Path) -> None:
    os.mkfifo(place / "pipe.ipynb")
    (one,) = find_submissions(place)
    reading = threading.Thread(target=lambda: suppressed(one.files[0]), daemon=True)
    reading.start()
    reading.join(60)  # at once, in truth; a busy machine may need a moment
    waits = reading.is_alive()
    os.close(os.open(place / "pipe.ipynb", os.O_RDWR | os.O_NONBLOCK))  # lets go whoever waits for a writer
    assert not waits


def suppressed(file: File) -> None:
    with suppress(Unreadable):
        file.read()


@pytest.mark.parametrize(("ours", "chosen"), [(1, "21.ipynb"), (2, "2.ipynb")])
def test_of_many_notebooks_the_last_twenty_are_looked_at(place: Path, toy: Assignment, ours: int, chosen: str) -> None:
    for number in range(1, 22):
        put(place, f"a/{number}.ipynb", NOTEBOOK if number == ours else b'{"cells": []}')
    (one,) = find_submissions(place)
    best, notes = one.chosen(toy)
    assert best is not None
    assert best.name == chosen
    assert notes == [f"21 notebooks; {chosen} was graded"]


@pytest.mark.parametrize(("size", "chosen"), [(SIZE, "4.ipynb"), (SIZE - 1, "3.ipynb")])
def test_one_students_notebooks_are_read_up_to_forty_mebibytes(
    place: Path, toy: Assignment, size: int, chosen: str
) -> None:
    for number in (1, 2):
        put(place, f"a/{number}.ipynb", b"")
        os.truncate(place / "a" / f"{number}.ipynb", size)
    put(place, "a/3.ipynb")
    put(place, "a/4.ipynb", b'{"cells": []}')
    (one,) = find_submissions(place)
    best, _ = one.chosen(toy)
    assert best is not None
    assert best.name == chosen


def test_paths_that_lead_out_of_a_zip_file_lead_nowhere(place: Path) -> None:
    archive = place.parent / "export.zip"
    archive.write_bytes(zipped("../../etc/evil.ipynb", "/abs/toy.ipynb", "a/../b/toy.ipynb", "C:\\x\\toy.ipynb"))
    before = sorted(place.parent.rglob("*"))
    for one in find_submissions(archive):
        assert one.files[0].read() == NOTEBOOK
        assert "/" not in one.key
        assert ".." not in one.key
    assert sorted(place.parent.rglob("*")) == before


def test_bombs_are_read_up_to_the_limit(place: Path) -> None:
    put(place, "a/bomb.zip", zipped("toy.ipynb", data=bytes(300 << 20)))
    (one,) = find_submissions(place)
    assert len(one.files[0].read()) == SIZE + 1
    with pytest.raises(Unreadable, match="larger than 20 MiB"):
        read_cells(one.files[0].read())


@pytest.mark.parametrize("kind", ["empty", "head", "text", "cut"])
def test_damaged_zip_files_cost_their_owner_alone(place: Path, kind: str) -> None:
    data = {"empty": b"", "head": b"PK\x03\x04", "text": b"no zip", "cut": zipped("toy.ipynb")[:60]}[kind]
    put(place, "a/work.zip", data)
    put(place, "b/toy.ipynb")
    found = {one.id: one for one in find_submissions(place)}
    assert found["a"].files == ()
    assert "cannot" not in found["a"].notes[0]
    assert "zip" in found["a"].notes[0]
    assert len(found["b"].files) == 1


def test_an_export_that_is_damaged_or_empty_is_refused(place: Path) -> None:
    with pytest.raises(TeachlibError, match="no submissions"):
        find_submissions(place)
    with pytest.raises(TeachlibError, match="no such folder"):
        find_submissions(place / "x")
    put(place.parent, "export.zip", b"PK no")
    with pytest.raises(TeachlibError, match="not a zip file"):
        find_submissions(place.parent / "export.zip")


def test_keys_tell_everybody_apart_and_are_safe() -> None:
    names = ["a/b", "a b", "A B", "ä", "a\u0308", "..", "=cmd", "x" * 500, "\u202egpj", "", "😀", "a\nb"]
    keys = {Submission(name, "").key for name in names}
    assert len(keys) == len(names)
    assert all(key.isascii() and len(key) < 60 and not set(key) & set("/\\.\n ") for key in keys)


def test_one_id_twice_is_said(place: Path) -> None:
    put(place, "anna_7_toy.ipynb")
    put(place, "berta_7_toy.ipynb")
    found = find_submissions(place)
    assert len({one.key for one in found}) == 2
    assert [one.id for one in found] == ["7 (anna)", "7 (berta)"]
    assert all("another submission has the id 7" in one.notes[0] for one in found)


def test_names_in_any_bytes_and_unicode_forms(place: Path) -> None:
    put(place, "a\u0308/toy.ipynb")
    os.makedirs(os.fsencode(place) + b"/\xff\xfe")
    Path(os.fsdecode(os.fsencode(place) + b"/\xff\xfe/toy.ipynb")).write_bytes(NOTEBOOK)
    found = find_submissions(place)
    assert {one.id for one in found} == {"ä", "\ufffd\ufffd"}
    assert all(one.files[0].read() == NOTEBOOK for one in found)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"[" * 200_000, b"\xff\xfe{}", b"{}", b'{"cells": "abc"}', b"[]", b"null",
        b'{"nbformat": 3, "worksheets": []}',
    ],
)  # fmt: skip
def test_what_is_no_notebook_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_cells(raw)


@pytest.mark.parametrize(
    "cell",
    [
        "null", "3", '"x"', "[]", "{}", '{"cell_type": "code", "source": 5}', '{"cell_type": 3}',
        '{"cell_type": "code", "source": [1, "x = 1"]}', '{"cell_type": "code", "source": "x = \'\\ud800\'"}',
        '{"cell_type": "code", "source": "", "metadata": []}', '{"cell_type": "code", "metadata": {"nbgrader": 7}}',
        '{"cell_type": "code", "metadata": {"nbgrader": {"grade_id": [1]}}}', '{"cell_type": "raw", "source": "x"}',
    ],
)  # fmt: skip
def test_odd_cells_are_read_or_left_out(cell: str) -> None:
    for one in read_cells(b'{"cells": [' + cell.encode() + b"]}"):
        assert isinstance(one.source, str)
        one.source.encode()


def test_a_notebooks_kernel_and_outputs_are_nobodys_business(toy: Assignment) -> None:
    notebook = submission() | {"metadata": {"kernelspec": {"name": "none-such", "language": "julia"}, "x": ["y"] * 9}}
    assert read_cells(json.dumps(notebook).encode()) == read_cells(NOTEBOOK)


def test_of_cells_code_and_explanations_there_is_a_limit(toy: Assignment, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = {"cell_type": "code", "source": "x" * 50, "metadata": {}}
    words = {"cell_type": "markdown", "source": "y" * 50, "metadata": {"nbgrader": {"grade_id": "why"}}}
    for name, value in (("CELLS", 7), ("CELL", 20), ("TEXT", 10)):
        monkeypatch.setattr(notebooks, name, value)
    found = read_cells(json.dumps({"cells": [words, *[cell] * 9]}).encode())
    assert len(found) == 7
    assert {len(one.source) for one in found} == {20}
    assert explanations(found, toy) == {"why": "y" * 10}


def test_an_answer_that_was_not_begun_is_none(toy: Assignment) -> None:
    words = {"cell_type": "markdown", "source": "YOUR ANSWER HERE\n", "metadata": {"nbgrader": {"grade_id": "why"}}}
    assert explanations(read_cells(json.dumps({"cells": [words]}).encode()), toy) == {"why": ""}


def test_an_export_of_too_many_files_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "MEMBERS", 2)
    archive = place.parent / "export.zip"
    archive.write_bytes(zipped("a/toy.ipynb", "b/toy.ipynb", "c/toy.ipynb"))
    with pytest.raises(TeachlibError, match="3 files in it; expected at most 2"):
        find_submissions(archive)


def test_of_a_students_own_zip_file_members_are_looked_at_up_to_a_limit(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(submissions, "MEMBERS", 2)
    (place / "b.zip").write_bytes(zipped("1.ipynb", "2.ipynb", "3.ipynb"))
    (one,) = find_submissions(place)
    assert [file.name for file in one.files] == ["1.ipynb", "2.ipynb"]


def test_of_a_students_own_zip_file_the_first_fifty_notebooks_are_found(place: Path) -> None:
    names = [f"{number:02}.ipynb" for number in range(51)]
    (place / "b.zip").write_bytes(zipped(*reversed(names), "notes.txt"))
    (one,) = find_submissions(place)
    assert [file.name for file in one.files] == names[:50]


def test_a_link_in_the_place_of_a_notebook_is_not_read(place: Path) -> None:
    put(place, "real.ipynb")
    (place / "link.ipynb").symlink_to(place / "real.ipynb")
    with pytest.raises(Unreadable):
        File(str(place / "link.ipynb")).read()


def test_folders_may_be_nested_ever_so_deep(place: Path) -> None:
    put(place, "a/toy.ipynb")
    here = os.getcwd()
    try:
        os.chdir(place / "a")
        for _ in range(1500):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    try:
        (one,) = find_submissions(place)
        assert len(one.files) == 1
    finally:
        subprocess.run(["rm", "-rf", str(place)], check=True)  # what tidies up after tests recurses


def test_own_cells_leave_the_locked_ones_out(toy: Assignment) -> None:
    cells = read_cells(NOTEBOOK)
    names = {cell.name for cell in own_cells(cells, toy)}
    assert names == {question.name for question in toy.graded}
    assert explanations(cells, toy) == {
        "why": "YOUR ANSWER HERE\n\n### BEGIN MARK SCHEME\n- the reason\n### END MARK SCHEME"
    }


def test_renamed_copies_have_the_same_runs_of_tokens() -> None:
    def of(source: str) -> list[int]:
        return shingles(read_cells(json.dumps({"cells": [{"cell_type": "code", "source": source}]}).encode()))

    one = of("def f(a, b):\n    return a + b * 2  # mine")
    assert one == of("def f(first, second):\n    # hers\n    return first + second * 2")
    assert one != of("def f(a, b):\n    return a - b * 2")
    assert of("'") == []


def test_files_are_named_by_their_last_part() -> None:
    assert File("/a/b.zip", ("c/d.zip", "e\\f.ipynb")).name == "f.ipynb"
