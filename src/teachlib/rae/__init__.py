"""Regularized autoencoders and ex-post density estimation (thesis chapter 3)."""

from teachlib.rae.density import MixtureDensity, fit_gaussian, fit_mixture, standard_normal
from teachlib.rae.evaluation import Evaluation, decode_all, densities, encode_all, evaluate
from teachlib.rae.interpolation import linear, rescaled, spherical
from teachlib.rae.losses import (
    kl_divergence,
    latent_penalty,
    negative_elbo,
    rae_loss,
    reconstruction_loss,
    sample_posterior,
    weight_penalty,
)
from teachlib.rae.models import Autoencoder, AutoencoderObjective
from teachlib.rae.recipes import RECIPES, Recipe, recipe
from teachlib.rae.train import from_zoo, load, open_run, train

__all__ = [
    "RECIPES",
    "Autoencoder",
    "AutoencoderObjective",
    "Evaluation",
    "MixtureDensity",
    "Recipe",
    "decode_all",
    "densities",
    "encode_all",
    "evaluate",
    "fit_gaussian",
    "fit_mixture",
    "from_zoo",
    "kl_divergence",
    "latent_penalty",
    "linear",
    "load",
    "negative_elbo",
    "open_run",
    "rae_loss",
    "recipe",
    "reconstruction_loss",
    "rescaled",
    "sample_posterior",
    "spherical",
    "standard_normal",
    "train",
    "weight_penalty",
]
