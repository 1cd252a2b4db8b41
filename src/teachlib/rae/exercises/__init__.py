"""Exercises of the chapter, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.rae.exercises.a_first_look import kl_divergence, rae_loss, sample_mixture
from teachlib.rae.exercises.autopsy_of_a_vae import aggregated_moments, k_sample_error, kl_of_gaussian
from teachlib.rae.exercises.ex_post_density_estimation import coverage, mixture_log_prob, standardized_log_prob
from teachlib.rae.exercises.from_noise_to_regularizer import hutchinson_penalty, jacobian_penalty, spectral_norm
from teachlib.rae.exercises.the_table import best_f_score, rank_correlation, standard_distance

EXERCISES: dict[str, Exercise] = by_name(
    kl_divergence,
    rae_loss,
    sample_mixture,
    k_sample_error,
    aggregated_moments,
    kl_of_gaussian,
    jacobian_penalty,
    hutchinson_penalty,
    spectral_norm,
    mixture_log_prob,
    coverage,
    standardized_log_prob,
    rank_correlation,
    best_f_score,
    standard_distance,
)

__all__ = ["EXERCISES", *EXERCISES]
