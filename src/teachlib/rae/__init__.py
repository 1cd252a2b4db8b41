"""Regularized autoencoders and ex-post density estimation (thesis chapter 3)."""

from teachlib.rae.chapter import CHAPTER
from teachlib.rae.demos import latent_maps
from teachlib.rae.density import (
    ESTIMATORS,
    Density,
    FlowDensity,
    MixtureDensity,
    fit_density,
    fit_dirichlet_mixture,
    fit_flow,
    fit_gaussian,
    fit_kernels,
    fit_mixture,
    standard_normal,
)
from teachlib.rae.evaluation import Evaluation, decode_all, densities, encode_all, evaluate
from teachlib.rae.interpolation import linear, rescaled, spherical
from teachlib.rae.losses import (
    constant_variance_kl,
    kl_divergence,
    latent_penalty,
    mmd,
    negative_elbo,
    rae_loss,
    reconstruction_loss,
    sample_posterior,
    weight_penalty,
)
from teachlib.rae.models import Autoencoder, AutoencoderObjective
from teachlib.rae.penalties import gradient_penalty
from teachlib.rae.recipes import RECIPES, Recipe, load, recipe
from teachlib.rae.second_stage import SecondStage, fit_second_stage
from teachlib.rae.tables import DISPLAY_NAMES, published

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CHAPTER",
    "DISPLAY_NAMES",
    "ESTIMATORS",
    "RECIPES",
    "Autoencoder",
    "AutoencoderObjective",
    "Density",
    "Evaluation",
    "FlowDensity",
    "MixtureDensity",
    "Recipe",
    "SecondStage",
    "constant_variance_kl",
    "decode_all",
    "densities",
    "encode_all",
    "evaluate",
    "fit_density",
    "fit_dirichlet_mixture",
    "fit_flow",
    "fit_gaussian",
    "fit_kernels",
    "fit_mixture",
    "fit_second_stage",
    "from_zoo",
    "gradient_penalty",
    "kl_divergence",
    "latent_maps",
    "latent_penalty",
    "linear",
    "load",
    "mmd",
    "negative_elbo",
    "open_run",
    "published",
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
