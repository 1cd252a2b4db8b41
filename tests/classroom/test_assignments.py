"""The course's own assignments: known answers get their verdicts; what is handed out runs and gives nothing away."""

import json
import linecache
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pytest

from teachlib.checks import Exercise
from teachlib.classroom.release import release, solved, trial
from teachlib.classroom.source import Assignment, open_assignment, sources

matplotlib.use("agg")
SOURCES = Path(__file__).resolve().parents[2] / "assignments" / "source"
NAMES = tuple(sources(SOURCES))
VARIANTS = (0, 1, 2)


@cache
def assignment(name: str) -> Assignment:
    return open_assignment(name, SOURCES)


@cache
def exercises(name: str, variant: int, seed: int) -> dict[str, Exercise]:
    return assignment(name).exercises(variant, seed)


QUESTIONS = [(name, question.name) for name in NAMES for question in assignment(name).graded]


def test_there_is_one_for_each_chapter() -> None:
    assert set(NAMES) == {"primer", "rae", "gmmvae", "gif", "invgan", "energy"}


@pytest.mark.parametrize("name", NAMES)
def test_it_has_questions_of_every_kind(name: str) -> None:
    questions = assignment(name).questions
    assert {question.kind for question in questions} == {"derive", "implement", "predict", "explain", "experiment"}
    assert 6 <= len(questions) <= 8
    for question in assignment(name).graded:
        assert 3 <= len(question.mistakes) <= 6
        messages = [gap.message for gap in question.mistakes.values()]
        assert len(set(messages)) == len(messages)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("name", "question"), QUESTIONS)
def test_right_wrong_empty_and_fixed_answers_are_told_apart(name: str, question: str, variant: int) -> None:
    exercise = exercises(name, variant, 4711 + variant)[question]
    kind = next(one.kind for one in assignment(name).graded if one.name == question)
    said = trial(exercise, exercises(name, variant, 99)[question])
    assert (said["right"].points, said["right"].message) == (1, "correct")
    for mistake, wrong in exercise.wrong.items():
        assert (said[mistake].points, said[mistake].message) == (0, wrong.message), mistake
    assert said["empty"].points == 0
    if kind not in ("predict", "experiment"):
        assert said["fixed"].points == 0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("name", NAMES)
def test_the_solved_notebook_runs_and_passes_its_visible_tests(name: str, variant: int) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    for cell in json.loads(solved(assignment(name), variant))["cells"]:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            linecache.cache[cell["id"]] = (len(source), None, source.splitlines(keepends=True), cell["id"])
            exec(compile(source, cell["id"], "exec"), space)
    plt.close("all")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_handed_out_gives_nothing_away(name: str) -> None:
    text = release(assignment(name), 1)
    for forbidden in ("SOLUTION", "HIDDEN", "instead (", "MARK SCHEME", "def observe"):
        assert forbidden not in text
    cells = {cell["id"]: "".join(cell["source"]) for cell in json.loads(text)["cells"]}
    assert "SEED = 1" in "".join(cells.values())
    assert "⟨" not in "".join(cells.values())
    for question in assignment(name).graded:
        assert "raise NotImplementedError()" in cells[question.name]


@pytest.mark.parametrize("name", NAMES)
def test_variants_differ(name: str) -> None:
    texts = {json.dumps(json.loads(release(assignment(name), variant))["cells"]) for variant in range(6)}
    assert len(texts) == 6
    told = {
        tuple("".join(cell["source"]) for cell in json.loads(release(assignment(name), variant))["cells"]
              if cell["cell_type"] == "markdown")
        for variant in range(6)
    }  # fmt: skip
    assert len(told) > 1  # the tasks themselves, not only the seed
