"""Every checker of the course tells the solution, each named mistake and the empty answer apart."""

import pytest
import torch

from teachlib.checks import Exercise
from teachlib.gmmvae.exercises import EXERCISES as SELECTIVE
from teachlib.primer.exercises import EXERCISES as PRIMER
from teachlib.rae.exercises import EXERCISES as AUTOENCODERS
from teachlib.rae.grammar.exercises import EXERCISES as STRINGS

CHAPTERS = {"primer": PRIMER, "rae": AUTOENCODERS, "grammar": STRINGS, "gmmvae": SELECTIVE}
EVERY = {f"{chapter}-{name}": found for chapter, all_ in CHAPTERS.items() for name, found in all_.items()}
MISTAKES = [(name, mistake) for name, exercise in EVERY.items() for mistake in exercise.wrong]


@pytest.fixture
def exercise(name: str) -> Exercise:
    return EVERY[name]


@pytest.mark.parametrize("name", EVERY)
def test_solution_gets_full_marks_and_the_empty_answer_none(exercise: Exercise) -> None:
    verdict = exercise.check(exercise.solution)
    assert (verdict.points, verdict.message) == (1, "correct")
    for empty in (..., None, lambda *inputs: ..., lambda *inputs: None):
        assert exercise.check(empty).message == "nothing returned yet"
    assert exercise.check(lambda *inputs: torch.zeros(())).points == 0


@pytest.mark.parametrize(("name", "mistake"), MISTAKES)
def test_each_mistake_gets_its_own_message(exercise: Exercise, mistake: str) -> None:
    wrong = exercise.wrong[mistake]
    verdict = exercise.check(wrong.answer)
    assert (verdict.points, verdict.message) == (0, wrong.message)


@pytest.mark.parametrize("name", [name for name in EVERY if not name.startswith("rae-")])
def test_three_to_six_mistakes_with_messages_that_differ(exercise: Exercise) -> None:
    messages = [wrong.message for wrong in exercise.wrong.values()]
    assert 3 <= len(messages) <= 6
    assert len(set(messages)) == len(messages)


def test_there_are_three_exercises_a_notebook_of_the_primer() -> None:
    assert len(PRIMER) == 24
