"""Exercises of the primer, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.primer.exercises.adversaries import best_discriminator, discriminator_loss, generator_loss
from teachlib.primer.exercises.classical_estimators import histogram_density, kernel_density, nearest_code
from teachlib.primer.exercises.diffusion import diffuse, guided, posterior_mean
from teachlib.primer.exercises.energy import langevin_step, noise_contrastive, score
from teachlib.primer.exercises.exact_likelihood import affine_step, bits_per_dimension, output_mask
from teachlib.primer.exercises.functions_and_relations import (
    least_squares_answer,
    mixture_log_prob,
    squared_error_of_a_guess,
)
from teachlib.primer.exercises.latent_variables import elbo, elbo_gap, importance_bound
from teachlib.primer.exercises.side_by_side import dequantized, levels_from_density, paired_difference

EXERCISES: dict[str, Exercise] = by_name(
    least_squares_answer,
    mixture_log_prob,
    squared_error_of_a_guess,
    histogram_density,
    kernel_density,
    nearest_code,
    elbo,
    importance_bound,
    elbo_gap,
    best_discriminator,
    discriminator_loss,
    generator_loss,
    diffuse,
    posterior_mean,
    guided,
    affine_step,
    bits_per_dimension,
    output_mask,
    score,
    langevin_step,
    noise_contrastive,
    dequantized,
    levels_from_density,
    paired_difference,
)

__all__ = ["EXERCISES", *EXERCISES]
