"""An assignment's source: what is read from it, what students get of it, and what is said of mistakes in it."""

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from toy_assignment import HIDDEN, NAMES, toy_notebook, write_toy

from teachlib.classroom.release import release, repeated, solved, trial, write_releases
from teachlib.classroom.source import Assignment, open_assignment, read_source
from teachlib.errors import TeachlibError


@pytest.fixture
def toy(tmp_path: Path) -> Assignment:
    return write_toy(tmp_path)


def test_questions_have_their_points_kinds_and_mistakes(toy: Assignment) -> None:
    assert [question.name for question in toy.questions] == [*NAMES, "why"]
    assert toy.points == 2 * len(NAMES) + 3
    assert {question.name: len(question.mistakes) for question in toy.graded} == dict.fromkeys(NAMES, 3)
    assert toy.questions[-1].by_hand


def test_a_mistake_is_the_solution_with_one_statement_changed(toy: Assignment) -> None:
    added = toy.questions[0].mistakes["added"]
    space: dict[str, Any] = {"FACTOR": 3.0}
    exec(added.code, space)
    assert space["scaled"](4.0) == 7.0
    assert added.message == "the factor was added"


def test_a_mistake_may_have_several_lines(toy: Assignment) -> None:
    space = toy.space(0)
    exec(toy.questions[0].mistakes["two_lines"].code, space)
    assert space["scaled"](space["torch"].tensor(3.0)) == 18.0


@pytest.mark.parametrize("variant", [0, 3])
def test_every_answer_gets_its_verdict(toy: Assignment, variant: int) -> None:
    exercises, others = toy.exercises(variant, 1), toy.exercises(variant, 2)
    for question in toy.graded:
        exercise = exercises[question.name]
        said = trial(exercise, others[question.name])
        assert said["right"].points == 1
        for name, mistake in question.mistakes.items():
            assert (said[name].points, said[name].message) == (0, mistake.message)
        assert said["empty"].points == 0
        assert said["fixed"].points == (question.kind == "predict")


def test_an_answer_of_another_variant_is_wrong(toy: Assignment) -> None:
    here, there = toy.exercises(0, 1), toy.exercises(1, 1)
    assert here["scaled"].check(there["scaled"].solution, hidden=True).points == 0
    assert here["slope"].check(there["slope"].solution, hidden=True).points == 0


def test_fixed_numbers_are_those_of_the_other_seed(toy: Assignment) -> None:
    right = toy.exercises(0, 5)["scaled"]
    assert right.check(repeated(right)).points == 1  # the same seed: the recording works
    assert right.check(repeated(toy.exercises(0, 6)["scaled"])).points == 0


def test_hidden_verdicts_tell_nothing_of_the_inputs(toy: Assignment) -> None:
    scaled = toy.exercises(0, 1)["scaled"]
    told = scaled.check(lambda x: x + 10, hidden=True).message
    assert told == "values: another result than expected; the inputs are not shown"
    assert "expected" in scaled.check(lambda x: x + 10).message

    def spy(x: Any) -> Any:
        raise ValueError(x)

    assert scaled.check(spy, hidden=True).message == "stopped with ValueError"
    assert scaled.check(lambda x: x[:3], hidden=True).message == "values: expected shape (5,); found another"


def test_a_release_holds_no_solution_mistake_or_hidden_test(toy: Assignment) -> None:
    text = release(toy, 4)
    cells = {cell["id"]: cell for cell in json.loads(text)["cells"]}
    for forbidden in ("SOLUTION", "HIDDEN", "instead", "observe", "MARK SCHEME", "the reason", "square().sum(1)"):
        assert forbidden not in text
    assert "raise NotImplementedError()" in "".join(cells["scaled"]["source"])
    assert "".join(cells["variant"]["source"]) == "SEED = 4"
    assert "The factor is 6." in "".join(cells["text"]["source"])
    assert cells["variant"]["metadata"]["editable"] is False
    assert "checksum" in cells["scaled_test"]["metadata"]["nbgrader"]
    assert "teachlib" not in cells["scaled_test"]["metadata"]


def test_a_solved_notebook_has_everything(toy: Assignment) -> None:
    text = solved(toy, 4)
    assert "SEED = 4" in text
    assert "BEGIN SOLUTION" in text
    assert "the reason" in text


def test_a_release_is_written_where_it_is_asked_for(toy: Assignment, tmp_path: Path) -> None:
    [path] = write_releases(toy, {tmp_path / "a" / "b": 1})
    assert nbformat.read(path, as_version=4).cells
    [solution] = write_releases(toy, {tmp_path: 0}, solutions=True)
    assert solution.name == "toy-solved.ipynb"


def test_of_several_releases_none_is_written_where_one_would_be_lost(toy: Assignment, tmp_path: Path) -> None:
    write_releases(toy, {tmp_path / "b": 1})
    with pytest.raises(TeachlibError, match="1 in all"):
        write_releases(toy, {tmp_path / "a": 0, tmp_path / "b": 2})
    assert not (tmp_path / "a").exists()


def test_values_in_the_text_must_exist(tmp_path: Path) -> None:
    notebook = toy_notebook()
    notebook.cells[0].source = "# Toy\n\n⟨NOWHERE⟩"
    path = tmp_path / "toy.ipynb"
    nbformat.write(notebook, path)
    with pytest.raises(TeachlibError, match="NOWHERE"):
        release(read_source(path), 0)


def broken(tmp_path: Path, **changes: str) -> Path:
    name = next(iter(changes))
    notebook = toy_notebook({**HIDDEN, **{k: v for k, v in changes.items() if k in HIDDEN and "observe" in v}})
    for cell in notebook.cells:
        if cell.id == name:
            cell.source = changes[name]
    path = tmp_path / "toy.ipynb"
    nbformat.write(notebook, path)
    return path


def test_a_mistake_without_a_message_is_refused(tmp_path: Path) -> None:
    path = broken(tmp_path, scaled="def scaled(x):\n    return x\n    # instead (other): return 1\n")
    with pytest.raises(TeachlibError, match="no message"):
        read_source(path)


def test_a_mistake_below_nothing_is_refused(tmp_path: Path) -> None:
    path = broken(tmp_path, scaled="# instead (other): return 1\n#     what\ndef scaled(x):\n    return x\n")
    with pytest.raises(TeachlibError, match="statement that it replaces"):
        read_source(path)


def test_a_solution_that_does_not_run_is_named(tmp_path: Path) -> None:
    path = broken(tmp_path, slope="slope = 1 / 0")
    with pytest.raises(TeachlibError, match="the solution of slope stopped with ZeroDivisionError"):
        read_source(path).exercises(0, 1)


@pytest.mark.parametrize("text", ["", "{}", "no", '{"cells": 3}'])
def test_what_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "toy.ipynb"
    path.write_text(text)
    with pytest.raises(TeachlibError, match="not a notebook"):
        read_source(path)


def test_an_unknown_assignment_names_the_known(toy: Assignment, tmp_path: Path) -> None:
    with pytest.raises(TeachlibError, match="did you mean 'toy'"):
        open_assignment("tot", tmp_path)
    with pytest.raises(TeachlibError, match="no assignments in"):
        open_assignment("toy", tmp_path / "elsewhere")
    assert open_assignment("toy", tmp_path) == toy
