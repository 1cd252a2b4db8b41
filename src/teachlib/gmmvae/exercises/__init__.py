"""Exercises of the chapter, three a notebook: a module for each, ``EXERCISES`` in the notebooks' order."""

from teachlib.checks import Exercise, by_name
from teachlib.gmmvae.exercises.a_vae_that_classifies import gmm_loss, log_odds, place_means
from teachlib.gmmvae.exercises.attacks_that_came_after import attack_success, best_of_restarts, joint_loss
from teachlib.gmmvae.exercises.attacks_the_thesis_ran import fgsm_step, mim_momentum, project_l2
from teachlib.gmmvae.exercises.knowing_when_to_refuse import latent_ratio, risk_area, shares
from teachlib.gmmvae.exercises.reclassification import choose_search, search_step, second_opinion

EXERCISES: dict[str, Exercise] = by_name(
    log_odds,
    gmm_loss,
    place_means,
    latent_ratio,
    shares,
    risk_area,
    fgsm_step,
    mim_momentum,
    project_l2,
    attack_success,
    joint_loss,
    best_of_restarts,
    choose_search,
    search_step,
    second_opinion,
)

__all__ = ["EXERCISES", *EXERCISES]
