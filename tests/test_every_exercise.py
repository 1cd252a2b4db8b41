"""Every checker of the course tells the solution, each named mistake and the empty answer apart."""

import pytest
import torch

from teachlib import registry
from teachlib.checks import Exercise

EVERY = registry.exercises()
MISTAKES = [(name, mistake) for name, exercise in EVERY.items() for mistake in exercise.wrong]


@pytest.fixture
def exercise(name: str) -> Exercise:
    return EVERY[name]


@pytest.mark.parametrize("name", EVERY)
def test_solution_gets_full_marks_and_the_empty_answer_none(exercise: Exercise) -> None:
    verdict = exercise.check(exercise.solution)
    assert (verdict.points, verdict.message) == (1, "correct")
    for empty in (..., None, lambda *inputs: ..., lambda *inputs: None):
        verdict = exercise.check(empty)
        assert verdict.message == "nothing returned yet"
        assert verdict.task == exercise.task
        assert exercise.task in str(verdict)
    assert exercise.check(lambda *inputs: torch.zeros(())).points == 0


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_each_mistake_gets_its_own_message(exercise: Exercise, mistake: str) -> None:
    wrong = exercise.wrong[mistake]
    verdict = exercise.check(wrong.answer)
    assert (verdict.points, verdict.message) == (0, wrong.message)


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("rae.")])
def test_three_to_six_mistakes_with_messages_that_differ(exercise: Exercise) -> None:
    messages = [wrong.message for wrong in exercise.wrong.values()]
    assert 3 <= len(messages) <= 6
    assert len(set(messages)) == len(messages)


@pytest.mark.parametrize("name", [name for name in EVERY if name.startswith("rae.grammar.")])
def test_so_do_those_of_grammars(exercise: Exercise) -> None:
    assert 3 <= len({wrong.message for wrong in exercise.wrong.values()}) <= 6


def test_a_chapter_has_three_exercises_a_notebook() -> None:
    counts = {key: sum(name.rpartition(".")[0] == key for name in EVERY) for key in registry.CHAPTERS}
    assert counts.items() >= {"primer": 24, "rae": 15, "rae.grammar": 3, "gmmvae": 15, "gif": 18}.items()
