"""A class from submissions to grades: the same files whatever was killed, and marks by hand among them."""

import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from sandboxes import usable
from toy_assignment import NAMES, submission, write_toy

from teachlib.classroom import grading, job, pages
from teachlib.classroom.course import Record, Worksheets, _finished, grade_class, open_record
from teachlib.classroom.grading import Limits
from teachlib.classroom.job import fingerprint
from teachlib.classroom.marks import Marks, merged
from teachlib.classroom.source import Assignment, read_source
from teachlib.classroom.submissions import find_submissions
from teachlib.errors import TeachlibError

BRIEF = Limits(call=5.0, total=30.0)
STUDENTS: dict[str, dict[str, object]] = {
    "ann_1_toy": {},
    "bob_2_toy": {"scaled": read_source},
    "eve_3_toy": {"scaled": "import os; os._exit(1)"},
    "mal_4_toy": {"slope": "slope = 7", "choice": "choice = '<script>alert(1)</script>'"},
    "=cmd_5_toy": {"penalty": "raise SystemExit"},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("class")
    toy = write_toy(folder)
    mistake = toy.questions[0].mistakes["added"].code
    for name, answers in STUDENTS.items():
        given = {key: mistake if value is read_source else str(value) for key, value in answers.items()}
        notebook = submission(given, before=["print('<b>hello</b>')"])
        notebook.cells[-1].source = f"because of {name} <img src=x>"
        (folder / "in" / f"{name}.ipynb").parent.mkdir(exist_ok=True)
        (folder / "in" / f"{name}.ipynb").write_text(json.dumps(notebook))
    (folder / "in" / "lost_6_toy.ipynb").write_text("not a notebook")
    (folder / "in" / "none_7_assignsubmission_file_").mkdir()
    return folder


@pytest.fixture(scope="module")
def toy(place: Path) -> Assignment:
    return read_source(place / "toy" / "toy.ipynb")


@pytest.fixture(scope="module")
def graded(place: Path, toy: Assignment) -> Path:
    usable("strict")
    out = place / "out"
    open_record(toy, out, None, None)
    _fix_seed(out)
    grade_class(toy, place / "in", out, jobs=2, progress=False, limits=BRIEF)
    return out


def _fix_seed(out: Path) -> None:
    record = json.loads((out / "record.json").read_text())
    (out / "record.json").write_text(json.dumps(record | {"seed": 42}))


def rows(path: Path) -> dict[str, dict[str, str]]:
    with open(path, newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_everybody_has_the_points_that_are_due(graded: Path) -> None:
    got = rows(graded / "grades.csv")
    full = 2 * len(NAMES)
    assert {id_: int(row["total"]) for id_, row in got.items()} == {
        "1": full, "2": full - 2, "3": full - 2, "4": full - 4, "5": full - 2, "6": 0, "7": 0,
    }  # fmt: skip
    assert got["1"]["of"] == str(full + 3)
    assert got["1"]["unmarked points"] == "3"
    assert (got["7"]["unmarked points"], got["7"]["why"]) == ("0", "0")  # nothing was written
    assert "not a notebook" in got["6"]["notes"]
    assert "no notebook" in got["7"]["notes"]


def test_a_student_reads_the_misconception_and_nothing_hidden(graded: Path, toy: Assignment) -> None:
    page = next(path.read_text() for path in (graded / "feedback").glob("2-*.html"))
    assert "the factor was added" in page
    assert "&lt;b&gt;hello&lt;/b&gt;" in page
    for forbidden in ("observe", "seeded", str(json.loads((graded / "record.json").read_text())["seed"]), "<b>hello"):
        assert forbidden not in page
    assert "default-src 'none'" in page


def test_nothing_that_was_written_runs_in_a_page(graded: Path) -> None:
    for path in [*(graded / "feedback").glob("*.html"), graded / "report.html", graded / "explanations.html"]:
        text = path.read_text()
        assert "<script" not in text
        assert "<img" not in text
    assert "&lt;img src=x&gt;" in (graded / "explanations.html").read_text()


def test_the_report_names_misconceptions_and_troubles(graded: Path) -> None:
    report = (graded / "report.html").read_text()
    assert "the factor was added" in report
    assert "Students by points" in report
    assert "the process ended" in report


def test_the_record_is_for_its_owner_alone(graded: Path) -> None:
    assert (graded / "record.json").stat().st_mode & 0o077 == 0


def test_what_is_graded_is_not_graded_again(graded: Path, place: Path, toy: Assignment) -> None:
    before = {path: path.stat().st_mtime_ns for path in (graded / "results").iterdir()}
    text = (graded / "grades.csv").read_bytes()
    grade_class(toy, place / "in", graded, progress=False, limits=BRIEF)
    assert {path: path.stat().st_mtime_ns for path in (graded / "results").iterdir()} == before
    assert (graded / "grades.csv").read_bytes() == text


def test_the_order_of_files_and_the_number_of_jobs_do_not_matter(
    graded: Path, place: Path, toy: Assignment, tmp_path: Path
) -> None:
    other = tmp_path / "in"
    other.mkdir()
    for path in sorted((place / "in").iterdir(), reverse=True):
        shutil.copytree(path, other / path.name) if path.is_dir() else shutil.copy(path, other)
    out = tmp_path / "out"
    open_record(toy, out, None, None)
    _fix_seed(out)
    grade_class(toy, other, out, jobs=1, progress=False, limits=BRIEF)
    assert (out / "grades.csv").read_bytes() == (graded / "grades.csv").read_bytes()


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_ends_alike(graded: Path, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    shutil.copy(graded / "record.json", out)
    words = [sys.executable, "-m", "teachlib.cli", "grade", str(place / "toy" / "toy.ipynb"), str(place / "in")]
    words += ["--out", str(out), "--jobs", "2", "--seconds", "5", "--total", "30"]
    draw = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(2, 12))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    subprocess.run(words, check=True, capture_output=True)
    assert (out / "grades.csv").read_bytes() == (graded / "grades.csv").read_bytes()


def test_a_changed_submission_alone_is_graded_again(graded: Path, place: Path, toy: Assignment, tmp_path: Path) -> None:
    other, out = tmp_path / "in", tmp_path / "out"
    shutil.copytree(place / "in", other)
    shutil.copytree(graded, out)
    before = {path.name: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    (other / "bob_2_toy.ipynb").write_text(json.dumps(submission()))
    (other / "lost_6_toy.ipynb").unlink()
    grade_class(toy, other, out, jobs=1, progress=False, limits=BRIEF)
    after = {path.name: path.stat().st_mtime_ns for path in (out / "results").iterdir()}
    assert [name.split("-")[0] for name in after if after[name] != before[name]] == ["2"]
    assert "6" not in rows(out / "grades.csv")
    assert rows(out / "grades.csv")["2"]["total"] == "10"


def test_marks_by_hand_are_merged_and_kept(graded: Path, place: Path, toy: Assignment, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(graded, out)
    table = rows(out / "marks.csv")
    assert table["1"]["mark"] == ""
    text = (out / "marks.csv").read_text().replace("1,ann,why,3,,", "1,ann,why,3,2.5,good & clear")
    (out / "marks.csv").write_text(text)
    words = ["grade", "marks", str(toy.path), str(out)]
    subprocess.run([sys.executable, "-m", "teachlib.cli", *words], check=True, capture_output=True)
    assert rows(out / "grades.csv")["1"]["total"] == "12.5"
    assert rows(out / "grades.csv")["1"]["unmarked points"] == "0"
    page = next(path.read_text() for path in (out / "feedback").glob("1-*.html"))
    assert "good &amp; clear" in page
    grade_class(toy, place / "in", out, progress=False, limits=BRIEF)
    assert rows(out / "grades.csv")["1"]["total"] == "12.5"
    assert rows(out / "marks.csv")["1"]["comment"] == "good & clear"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,why,4", "expected a number from 0 to 3"),
        ("1,why,-1", "expected a number from 0 to 3"),
        ("1,why,good", "expected a number from 0 to 3"),
        ("1,why,nan", "expected a number from 0 to 3"),
        ("99,why,1", "nobody with the id '99'"),
        ("1,scaled,1", "'scaled' is not marked by hand"),
    ],
)
def test_marks_that_cannot_be_are_refused(toy: Assignment, tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "marks.csv"
    path.write_text(f"id,question,mark\n{line}\n")
    with pytest.raises(TeachlibError, match=said):
        merged(toy, ["1", "2"], path, Marks())


def test_worksheets_are_filled(graded: Path, place: Path, toy: Assignment, tmp_path: Path) -> None:
    sheet = tmp_path / "moodle.csv"
    sheet.write_text("Identifier,Full name,Grade,Maximum Grade\nParticipant 2,Bob,,13\n")
    grade_class(toy, place / "in", graded, worksheets=Worksheets((sheet,)), progress=False, limits=BRIEF)
    assert "Participant 2,Bob,8,13" in (graded / "moodle-filled.csv").read_text()
    other = tmp_path / "other.csv"
    other.write_text("Identifier,Full name,Grade,Maximum Grade\nParticipant 77,Zoe,,13\n")
    with pytest.raises(TeachlibError, match="has no row for any of"):
        grade_class(toy, place / "in", graded, worksheets=Worksheets((other,)), progress=False, limits=BRIEF)
    assert not (graded / "other-filled.csv").exists()


def test_pages_show_every_kind_of_space_and_no_sign_that_cannot_be_printed() -> None:
    assert pages._e("3\u202f/\u00a03\u200f\x07") == "3\u202f/\u00a03\ufffd\ufffd"


def test_variants_are_recorded_and_used(place: Path, toy: Assignment, tmp_path: Path) -> None:
    table = tmp_path / "variants.csv"
    table.write_text("id,variant\n1,3\n2,0\n")
    record = open_record(toy, tmp_path / "out", 5, table)
    assert [record.of(id_) for id_ in ("1", "2", "3")] == [3, 0, 5]
    assert open_record(toy, tmp_path / "out", None, None) == record
    assert open_record(toy, tmp_path / "out", 6, None).seed == record.seed  # nothing is graded yet: it may change
    (tmp_path / "out" / "results").mkdir()
    (tmp_path / "out" / "results" / "1.json").write_text("{}")
    with pytest.raises(TeachlibError, match="says other variants"):
        open_record(toy, tmp_path / "out", 5, None)
    table.write_text("id,variant\n1,x\n")
    with pytest.raises(TeachlibError, match="the variant of 1 is 'x'"):
        open_record(toy, tmp_path / "elsewhere", None, table)


def test_a_folder_of_another_assignment_is_refused(toy: Assignment, tmp_path: Path) -> None:
    open_record(toy, tmp_path, None, None)
    record = json.loads((tmp_path / "record.json").read_text())
    (tmp_path / "record.json").write_text(json.dumps(record | {"assignment": "other"}))
    with pytest.raises(TeachlibError, match="holds the grades of 'other'"):
        open_record(toy, tmp_path, None, None)
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(TeachlibError, match="not a record"):
        open_record(toy, tmp_path, None, None)


def test_grades_within_the_submissions_are_refused(place: Path, toy: Assignment) -> None:
    usable("strict")
    with pytest.raises(TeachlibError, match="lies within the submissions"):
        grade_class(toy, place / "in", place / "in" / "out", progress=False)


def result(id_: str, shingles: list[int], points: int) -> dict[str, object]:
    verdicts = [{"exercise": name, "points": points, "message": "correct" if points else "wrong"} for name in NAMES]
    return {
        "id": id_, "name": "", "file": "toy.ipynb", "variant": 0, "verdicts": verdicts, "explanations": {"why": ""},
        "notes": [], "log": [], "printed": "", "seconds": 0.1, "shingles": shingles,
    }  # fmt: skip


@pytest.fixture
def many(toy: Assignment) -> str:
    common = list(range(100))
    results = [result(f"s{n}", common + list(range(1000 * n + 1000, 1000 * n + 1050)), n % 2) for n in range(10)]
    results.append(result("copy", common + list(range(3000, 3049)), 0))
    drawn = [
        {
            "total": 2 * len(NAMES) * (n % 2),
            "unmarked points": 0,
            "of": 13,
            "why": "",
            **dict.fromkeys(NAMES, 2 * (n % 2)),
        }
        for n in range(11)
    ]
    for n, row in enumerate(drawn):
        row["choice"] = 2 * (n % 3 == 0)
    return pages.report(toy, results, drawn)


def test_copies_are_seen_and_what_all_share_is_not(many: str) -> None:
    assert "s2 and copy: 98% of their own code in common" in many
    assert many.count("of their own code in common") == 1


def test_a_question_that_tells_nobody_apart_is_named(many: str) -> None:
    line = next(part for part in many.split("<tr>") if "<td>5. choice</td>" in part)
    assert "did not discriminate" in line
    assert "did not discriminate" not in next(part for part in many.split("<tr>") if "<td>1. scaled</td>" in part)


def test_of_few_students_or_unmarked_answers_no_number_is_shown(toy: Assignment) -> None:
    few = [{"total": 2 * n, **dict.fromkeys([*NAMES, "why"], n % 2)} for n in range(9)]
    assert not any("discriminate" in line or "0." in line for line in pages._items(toy, few))
    few[0]["why"] = ""
    assert "1 not marked yet" in next(line for line in pages._items(toy, few) if "why" in line)


def test_inputs_follow_from_the_recorded_seed_and_the_students_variant(
    toy: Assignment, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    usual = Assignment.exercises

    def exercises(self: Assignment, variant: int, seed: int) -> object:
        asked.append((variant, seed))
        return usual(self, variant, seed)

    monkeypatch.setattr(Assignment, "exercises", exercises)
    monkeypatch.setattr(job, "Warm", lambda *given: SimpleNamespace(close=lambda: None))
    monkeypatch.setattr(job, "Grading", lambda *given: SimpleNamespace(outcome=job.Outcome))
    submissions = [
        {"id": id_, "name": "", "files": [[str(place / "in" / "ann_1_toy.ipynb"), []]], "notes": [], "variant": variant}
        for id_, variant in (("a", 3), ("b", 0))
    ]
    task = {"source": str(toy.path), "fingerprint": "f", "out": str(tmp_path), "way": "strict", "job": 0, "seed": 42}
    job.Job({**task, "limits": {"call": 5.0}, "submissions": submissions}).run()
    assert asked == [(3, 42), (0, 42)]


def test_what_a_result_rests_on_is_noticed(toy: Assignment, place: Path, tmp_path: Path) -> None:
    record = Record("toy", 1)
    (one,) = [one for one in find_submissions(place / "in") if one.id == "1"]
    file, _ = one.chosen(toy)
    assert file is not None
    mark = fingerprint(toy, 1, Limits())
    assert mark != fingerprint(toy, 2, Limits())
    assert mark != fingerprint(toy, 1, Limits(call=1.0))
    kept = result("1", [], 1) | {"fingerprint": mark, "hash": hashlib.sha256(file.read()).hexdigest()}
    path = tmp_path / f"{one.key}.json"
    for change, same in (
        ({}, True),
        ({"fingerprint": "other"}, False),
        ({"variant": 5}, False),
        ({"hash": "other"}, False),
    ):
        path.write_text(json.dumps(kept | change))
        assert _finished(tmp_path, one, file, record, mark) is same
    del kept["shingles"]  # of an earlier version, or damaged
    path.write_text(json.dumps(kept))
    assert not _finished(tmp_path, one, file, record, mark)


def test_two_graders_do_not_share_a_folder(
    toy: Assignment, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usable("strict")
    monkeypatch.setattr("teachlib.alone.PATIENCE", 0.1)
    hold = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(1, flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", hold, str(tmp_path / ".lock")]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(TeachlibError, match="grades here"):
            grade_class(toy, place / "in", tmp_path, progress=False)
    finally:
        holder.kill()


@pytest.mark.slow
def test_a_class_with_other_seeds_than_the_record_is_refused(
    toy: Assignment, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usable("strict")
    with pytest.raises(TeachlibError, match=r"5 of 5 notebooks have another SEED .*--variants"):
        grade_class(toy, place / "in", tmp_path / "out", variant=3, progress=False)
    assert open_record(toy, tmp_path / "out", 0, None).variant == 0  # which can be mended at once
    some = tmp_path / "some"
    shutil.copytree(place / "in", some)
    one = next(path for path in sorted(some.rglob("*.ipynb")) if "SEED = 0" in path.read_text())
    one.write_text(one.read_text().replace("SEED = 0", "SEED = 7"))
    with pytest.raises(TeachlibError, match=r"1 of \d+ notebooks have another SEED .*--variants"):
        grade_class(toy, some, tmp_path / "untold", progress=False)  # a minority, but nobody said who has which
    table = tmp_path / "variants.csv"
    table.write_text("id,variant\n1,4\n99,0\n")
    grade_class(toy, place / "in", tmp_path / "out", variants=table, progress=False, limits=BRIEF)
    said = capsys.readouterr().err
    assert "1 says 0, the record 4 (1 in all)" in said
    assert "variants of 1 who handed in nothing: 99" in said
    kept = [json.loads(path.read_text()) for path in (tmp_path / "out" / "results").glob("*.json")]
    assert {one["id"]: one["variant"] for one in kept if one["id"] in "12"} == {"1": 4, "2": 0}


def test_a_fault_of_the_grader_costs_nobody_else_and_is_tried_again(
    toy: Assignment, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object) -> None:
        raise RecursionError

    monkeypatch.setattr(job, "Grading", fails)
    monkeypatch.setattr(job, "Warm", lambda *given: SimpleNamespace(close=lambda: None))
    listed = {"id": "1", "name": "", "files": [[str(place / "in" / "ann_1_toy.ipynb"), []]], "notes": [], "variant": 0}
    task = {"source": str(toy.path), "fingerprint": "f", "out": str(tmp_path), "way": "strict", "job": 0, "seed": 42}
    job.Job({**task, "limits": {}, "submissions": [listed]}).run()
    (path,) = tmp_path.glob("*.json")
    kept = json.loads(path.read_text())
    assert kept["fingerprint"] == ""
    assert "the grader failed (RecursionError)" in kept["notes"][0]


@pytest.mark.parametrize("text", ["{", "[[1]]", '{"a": 1}'])
def test_damaged_marks_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "marks.json").write_text(text)
    with pytest.raises(TeachlibError, match="damaged"):
        Marks.of(tmp_path)


def test_seeds_cannot_be_tried_out(tmp_path: Path, toy: Assignment) -> None:
    """Who knows the seed knows the hidden inputs."""
    seeds = {open_record(toy, tmp_path / name, None, None).seed for name in "abcd"}
    assert len(seeds) == 4
    assert 2**32 < max(seeds) < 2**48


def test_lines_of_the_log_have_three_hundred_characters_at_most() -> None:
    assert grading._line("x" * 300) == "x" * 300
    assert grading._line("x" * 301) == "x" * 299 + "…"
