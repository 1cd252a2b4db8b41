"""Exercises of the chapter, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.energy.exercises.likelihood import bias, density, log_sum
from teachlib.energy.exercises.penalties import centred, effective, shares

EXERCISES: dict[str, Exercise] = by_name(
    *(log_sum, density, bias),
    *(shares, effective, centred),
)

__all__ = ["EXERCISES", *EXERCISES]
