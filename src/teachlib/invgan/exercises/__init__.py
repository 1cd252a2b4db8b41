"""Exercises of the chapter, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.invgan.exercises.loss_by_loss import error, match, reinject
from teachlib.invgan.exercises.no_inverse import encoder, preimages, starts

EXERCISES: dict[str, Exercise] = by_name(preimages, starts, encoder, reinject, match, error)

__all__ = ["EXERCISES", *EXERCISES]
