"""Grades as spreadsheets, and the files of Moodle and Canvas filled in."""

import csv
import io
from pathlib import Path

import pytest

from teachlib.classroom.worksheets import as_csv, bare, fill, read_csv, safe
from teachlib.errors import TeachlibError

GRADES = {"1234567": ("Jane Doe", 7.5, "scaled: the factor was added"), "007": ("=cmd()", 3.0, "=1+1")}
MOODLE = (
    "\ufeffIdentifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,Feedback comments\n"
    'Participant 1234567,"Doe, Jane",j@x.edu,Submitted,,10.00,Yes,\n'
    "Participant 55,Somebody Else,s@x.edu,No submission,,10.00,Yes,\n"
)
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Toy (4711),Essay (12)\n"
    "    Points Possible,,,,,10,5\n"
    '"Doe, Jane",1234567,,jane,A,,4\n'
    "Else,99,7654321,else,A,,\n"
    "Bond,007,,bond,A,,\n"
)


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_moodles_worksheet_is_filled_by_its_identifiers(tmp_path: Path) -> None:
    path = tmp_path / "moodle.csv"
    path.write_text(MOODLE)
    text, without = fill(path, GRADES, 10)
    rows = parsed(text)
    assert [row["Grade"] for row in rows] == ["7.5", ""]
    assert rows[0]["Feedback comments"] == "scaled: the factor was added"
    assert rows[1]["Full name"] == "Somebody Else"
    assert without == ["007"]


def test_canvass_gradebook_is_filled_by_one_kind_of_its_ids(tmp_path: Path) -> None:
    path = tmp_path / "canvas.csv"
    path.write_text(CANVAS)
    text, without = fill(path, GRADES, 10, column="Toy")
    rows = parsed(text)
    assert [row["Toy (4711)"] for row in rows] == ["10", "7.5", "", "3"]
    assert [row["Essay (12)"] for row in rows] == ["5", "4", "", ""]
    assert without == []
    assert text.splitlines()[0] == CANVAS.splitlines()[0]


def test_the_column_must_be_clear(tmp_path: Path) -> None:
    path = tmp_path / "canvas.csv"
    path.write_text(CANVAS)
    for column in (None, "Nothing"):
        with pytest.raises(TeachlibError, match="--column which assignment is meant; its columns: Toy"):
            fill(path, GRADES, 10, column=column)


def test_another_maximum_is_refused_or_converted(tmp_path: Path) -> None:
    path = tmp_path / "moodle.csv"
    path.write_text(MOODLE)
    with pytest.raises(TeachlibError, match="its maximum is 10, this assignment has 20 points"):
        fill(path, GRADES, 20)
    assert parsed(fill(path, GRADES, 20, rescale=True)[0])[0]["Grade"] == "3.75"


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "Identifier,Identifier,Grade\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(TeachlibError):
        fill(path, GRADES, 10)


def test_names_find_a_row_only_where_one_has_them(tmp_path: Path) -> None:
    path = tmp_path / "moodle.csv"
    path.write_text("Identifier,Full name,Grade\nParticipant 1,Ann,\nParticipant 2,Bob,\n")
    twice = {"x": ("Ann", 1.0, ""), "y": ("Ann", 2.0, ""), "z": ("Bob", 3.0, "")}
    assert [row["Grade"] for row in parsed(fill(path, twice, 10)[0])] == ["", "3"]


def test_an_id_of_another_kind_is_nobodys(tmp_path: Path) -> None:
    path = tmp_path / "moodle.csv"
    path.write_text("Identifier,ID number,Grade\nParticipant 999,55,\nParticipant 55,1,\nParticipant 7,2,\n")
    grades = {"55": ("", 5.0, ""), "7": ("", 7.0, "")}
    assert [row["Grade"] for row in parsed(fill(path, grades, 10)[0])] == ["", "5", "7"]


@pytest.mark.parametrize(("maximum", "said"), [("100,00", "its maximum is 100"), ("inf", "'inf'"), ("x", "'x'")])
def test_a_maximum_is_a_number(tmp_path: Path, maximum: str, said: str) -> None:
    path = tmp_path / "moodle.csv"
    path.write_text(f'Identifier;Grade;Maximum Grade\nParticipant 7;;"{maximum}"\n')
    with pytest.raises(TeachlibError, match=said):
        fill(path, {}, 10)


def test_the_separator_stays(tmp_path: Path) -> None:
    path = tmp_path / "moodle.csv"
    path.write_text("Identifier;Grade;Feedback comments\nParticipant 7;;\n")
    text, _ = fill(path, {"7": ("", 1.0, "=1+1")}, 10)
    assert text == "Identifier;Grade;Feedback comments\nParticipant 7;1;'=1+1\n"


@pytest.mark.parametrize("text", ["n;=1+1", "a;\t@x", "'=y", "=x", "plain", "-5", "'quoted'"])
def test_bare_is_the_inverse_of_safe(text: str) -> None:
    made = safe(text)
    assert ";=" not in made
    assert ";" in text or bare(made) == text


@pytest.mark.parametrize("text", ["=1+1", "+x", "-x", "@x", "\tx", "=HYPERLINK(1)"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert safe(text) == f"'{text}"
    assert next(csv.reader([as_csv([{"a": text}], ["a"]).splitlines()[-1]]))[0].startswith("'")


def test_numbers_and_ids_stay() -> None:
    assert [safe(text) for text in ("-1.5", "007", "3", "a=b")] == ["-1.5", "007", "3", "a=b"]


def test_other_separators_and_short_rows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\ufeffid;variant\n007;3\nb\n")
    assert read_csv(path) == (["id", "variant"], [{"id": "007", "variant": "3"}, {"id": "b", "variant": ""}])
    path.write_bytes(b"\xff\xfeid")
    with pytest.raises(TeachlibError, match="UTF-8"):
        read_csv(path)
