"""Exercises of the chapter, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.gif.exercises.a_head_from_numbers import barycentric, nearest_face, rodrigues
from teachlib.gif.exercises.does_it_obey import coin, explained, vertex_rmse
from teachlib.gif.exercises.gif import halfway, mismatch, texture_difference
from teachlib.gif.exercises.how_to_ask import best_logit, projection_logit, slopes
from teachlib.gif.exercises.moving_faces import between_rows, decibels, second_difference
from teachlib.gif.exercises.stylegan2_taken_apart import demodulated, equalized_layer, r1

EXERCISES: dict[str, Exercise] = by_name(
    best_logit,
    projection_logit,
    slopes,
    barycentric,
    nearest_face,
    rodrigues,
    equalized_layer,
    demodulated,
    r1,
    mismatch,
    texture_difference,
    halfway,
    explained,
    coin,
    vertex_rmse,
    between_rows,
    decibels,
    second_difference,
)

__all__ = ["EXERCISES", *EXERCISES]
