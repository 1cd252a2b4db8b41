"""The commands of a teacher: list, build, check, grade, marks, doctor; and what they say to mistakes."""

import json
import sys
from pathlib import Path

import pytest
from sandboxes import usable
from toy_assignment import CELLS, HIDDEN, submission, write_toy

from teachlib import cli
from teachlib.classroom import sandbox
from teachlib.classroom.inside import isolation
from teachlib.errors import TeachlibError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    write_toy(tmp_path / "source")
    return tmp_path / "source"


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["teachlib", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_list(monkeypatch: pytest.MonkeyPatch, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "assignment", "list", "--source", source) == 0
    said = capsys.readouterr().out
    assert "toy: Toy (13 points)" in said
    assert "2 slope (derive, 3 named mistakes)" in said
    assert "3 why (explain, marked by hand)" in said


def test_build_a_variant(monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path) -> None:
    assert (
        run(monkeypatch, "assignment", "build", "toy", "--variant", 7, "--source", source, "--out", tmp_path / "o") == 0
    )
    text = (tmp_path / "o" / "toy-7" / "toy.ipynb").read_text()
    assert "SEED = 7" in text
    assert "BEGIN SOLUTION" not in text


def test_build_for_a_class(monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path) -> None:
    students, out = tmp_path / "class.csv", tmp_path / "o"
    students.write_text("id,name\n007,Ann\nb,Bob\n")
    words = ("assignment", "build", "toy", "--source", source, "--out", out, "--students", students)
    assert run(monkeypatch, *words, "--variant", 3) == 0
    assert "SEED = 3" in (out / "toy" / "007" / "toy.ipynb").read_text()
    assert "SEED = 4" in (out / "toy" / "b" / "toy.ipynb").read_text()
    assert (out / "toy" / "variants.csv").read_text() == "id,variant\n007,3\nb,4\n"


@pytest.mark.parametrize(
    "table", ["name\nAnn\n", "id\na/b\n", "id\n..\n", "id\na\na\n", "id\n \n", "id\n", 'id\n"a\nb"\n']
)
def test_ids_that_are_no_folders_are_refused(
    monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str
) -> None:
    students = tmp_path / "class.csv"
    students.write_text(table)
    words = ("assignment", "build", "toy", "--source", source, "--out", tmp_path / "o", "--students", students)
    assert run(monkeypatch, *words, "--term", "spring") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_solutions_lie_elsewhere_and_nobodys_work_is_lost(
    monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("assignment", "build", "toy", "--source", source)
    assert run(monkeypatch, *words) == run(monkeypatch, *words) == 0  # the same once more is no loss
    assert run(monkeypatch, *words, "--solutions", "--term", "spring") == 0
    for path in (tmp_path / "handed-out").rglob("*.ipynb"):
        assert "BEGIN SOLUTION" not in path.read_text()
    assert (tmp_path / "solved" / "spring" / "toy" / "toy-solved.ipynb").exists()
    mine = tmp_path / "handed-out" / "toy" / "toy.ipynb"
    mine.write_text(mine.read_text().replace("Toy", "Mine"))
    capsys.readouterr()
    assert run(monkeypatch, *words) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert "Mine" in mine.read_text()
    assert run(monkeypatch, *words, "--replace") == 0
    assert "Mine" not in mine.read_text()


def test_a_term_keeps_its_source(
    monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("assignment", "build", "toy", "--source", source, "--out", tmp_path / "o", "--term", "2027-spring")
    assert run(monkeypatch, *words) == 0
    kept = tmp_path / "terms" / "2027-spring" / "source"
    assert (kept / "toy" / "toy.ipynb").read_bytes() == (source / "toy" / "toy.ipynb").read_bytes()
    assert run(monkeypatch, *words, "--variant", 2) == 0
    changed = {**CELLS, "scaled": CELLS["scaled"].replace("FACTOR * x", "x * FACTOR")}
    write_toy(source, cells=changed)
    assert run(monkeypatch, *words) == 1
    assert "differs from today's source" in capsys.readouterr().err
    assert run(monkeypatch, "assignment", "build", "toy", "--source", kept, "--out", tmp_path / "p") == 0
    for term in ("../out", "", ".hidden", "a\nb"):
        assert run(monkeypatch, *words[:-1], term) == 1


@pytest.mark.parametrize("way", ["none", "strict"])
def test_check_finds_what_is_not_told_apart(
    monkeypatch: pytest.MonkeyPatch, source: Path, capsys: pytest.CaptureFixture[str], way: str
) -> None:
    if way != "none":
        usable(way)
    words = ("assignment", "check", "toy", "--source", source, "--variants", 1, "--sandbox", way)
    assert run(monkeypatch, *words) == 0
    assert "  scaled, added: the factor was added" in capsys.readouterr().out
    blind = HIDDEN["scaled"].replace("answer(torch.randn(5, generator=seeded(seed)))", "answer(torch.zeros(5))")
    write_toy(source, hidden={**HIDDEN, "scaled": blind})
    assert run(monkeypatch, *words) == 1
    captured = capsys.readouterr()
    assert "! scaled, halved: correct" in captured.out
    assert "! scaled, fixed: correct" in captured.out
    assert captured.err.count("\n") == 1


def test_grade_and_marks(
    monkeypatch: pytest.MonkeyPatch, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usable("strict")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_text(json.dumps(submission()))
    out = tmp_path / "out"
    words = ("toy", tmp_path / "in", "--source", source, "--out", out, "--jobs", 1)
    assert run(monkeypatch, "grade", *words) == 0
    assert f"1 submissions: {out / 'grades.csv'}" in capsys.readouterr().out
    (out / "marks.csv").write_text("id,question,mark\nann,why,3\n")
    assert run(monkeypatch, "grade", "marks", "toy", out, "--source", source) == 0
    assert (out / "grades.csv").read_text().splitlines()[1].startswith("ann,,13,13,0")


@pytest.mark.parametrize(
    "words",
    [
        ("nothing", "in"),
        ("toy", "nowhere"),
        ("toy", "in", "--sandbox", "none"),
        ("toy", "in", "--variants", "nowhere.csv"),
        ("toy", "in", "--jobs", "0"),
        ("marks", "toy", "out"),
    ],
)
def test_mistakes_get_one_line(
    monkeypatch: pytest.MonkeyPatch,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "ann.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    out = () if words[0] == "marks" else ("--out", "out")
    assert run(monkeypatch, "grade", *words, *out, "--source", source) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("teachlib: ")
    assert not (tmp_path / "out" / "results").exists()


def test_the_doctor_tries_both(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(isolation, "supported", lambda: False)
    assert run(monkeypatch, "grade", "doctor") == 0
    said = capsys.readouterr().out
    assert "strict: it needs Linux on x86-64" in said
    assert "! nothing can be graded here" in said


def test_without_a_sandbox_nothing_is_graded_and_it_is_said_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.shutil, "which", lambda name: None)
    with pytest.raises(TeachlibError, match=r"bubblewrap is not installed.*--sandbox weak"):
        sandbox.refuse_impossible("strict")
    monkeypatch.setattr(isolation, "landlock_version", lambda: 0)
    with pytest.raises(TeachlibError, match="Landlock is older than version 6"):
        sandbox.refuse_impossible("weak")
