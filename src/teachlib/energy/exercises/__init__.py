"""Exercises of the chapter, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.energy.exercises.assembling import iou, minds, over
from teachlib.energy.exercises.likelihood import bias, density, log_sum
from teachlib.energy.exercises.modes import apart, caught, evenness
from teachlib.energy.exercises.open_questions import imagine, interval, rate
from teachlib.energy.exercises.penalties import centred, effective, shares
from teachlib.energy.exercises.samples import keep, move, sandwich

EXERCISES: dict[str, Exercise] = by_name(
    *(log_sum, density, bias),
    *(shares, effective, centred),
    *(caught, evenness, apart),
    *(keep, move, sandwich),
    *(over, iou, minds),
    *(rate, imagine, interval),
)

__all__ = ["EXERCISES", *EXERCISES]
