"""The checker tells the solution, each named mistake and the empty answer apart."""

import pytest
import torch

from teachlib.primer.exercises import EXERCISES

MISTAKES = [(name, mistake) for name, exercise in EXERCISES.items() for mistake in exercise.wrong]


@pytest.mark.parametrize("name", EXERCISES)
def test_solution_gets_full_marks_and_the_empty_answer_none(name: str) -> None:
    exercise = EXERCISES[name]
    assert exercise.check(exercise.solution).message == "correct"
    for empty in (..., None, lambda *inputs: ..., lambda *inputs: None):
        assert exercise.check(empty).message == "nothing returned yet"
    assert exercise.check(lambda *inputs: torch.zeros(())).points == 0


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_each_mistake_gets_its_own_message(name: str, mistake: str) -> None:
    wrong = EXERCISES[name].wrong[mistake]
    verdict = EXERCISES[name].check(wrong.answer)
    assert (verdict.points, verdict.message) == (0, wrong.message)


def test_there_are_three_exercises_a_notebook_with_three_to_six_mistakes_each() -> None:
    assert len(EXERCISES) == 24
    assert all(3 <= len(exercise.wrong) <= 6 for exercise in EXERCISES.values())
    for exercise in EXERCISES.values():
        messages = [wrong.message for wrong in exercise.wrong.values()]
        assert len(set(messages)) == len(messages)
