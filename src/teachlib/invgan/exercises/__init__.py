"""Exercises of the chapter, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.invgan.exercises.codes import joint, missing, precision
from teachlib.invgan.exercises.editing import fill, step, visible
from teachlib.invgan.exercises.larger import seam, tiles, window
from teachlib.invgan.exercises.loss_by_loss import error, match, reinject
from teachlib.invgan.exercises.no_inverse import encoder, preimages, starts
from teachlib.invgan.exercises.others import front, passes, until

EXERCISES: dict[str, Exercise] = by_name(
    *(preimages, starts, encoder),
    *(reinject, match, error),
    *(until, passes, front),
    *(fill, visible, step),
    *(tiles, seam, window),
    *(precision, joint, missing),
)

__all__ = ["EXERCISES", *EXERCISES]
