"""The density-estimation primer (thesis chapter 2, and §5.2)."""

from teachlib.primer.autoregressive import MADE, MixtureMADE, PixelCNN, Recurrent
from teachlib.primer.chapter import CHAPTER
from teachlib.primer.classical import (
    Histogram,
    KernelDensity,
    VectorQuantizer,
    best_bandwidth,
    conditional_log_prob,
)
from teachlib.primer.diffusion import Diffusion, NoiseSchedule, cosine_schedule, ddim_step, linear_schedule
from teachlib.primer.energy import (
    EnergyModel,
    EnergyNet,
    contrastive_divergence_loss,
    denoising_score_matching_loss,
    langevin,
    mala,
    noise_contrastive_loss,
    score,
    sliced_score_matching_loss,
)
from teachlib.primer.evaluation import Evaluation, evaluate, sample_distance
from teachlib.primer.flows import Flow, coupling_flow, spline, standard_normal_log_prob
from teachlib.primer.gan import DCGANObjective, Game, discriminator_loss, generator_loss, plane_game
from teachlib.primer.glow import Glow
from teachlib.primer.images import ImageCodes, ImageGaussian, ImageKernels, abilities
from teachlib.primer.objective import LossObjective
from teachlib.primer.pixels import bits_per_dimension, dequantize, from_levels, quantize, to_levels
from teachlib.primer.recipes import RECIPES, Recipe, recipe
from teachlib.primer.regression import MixtureDensityNetwork, Regression
from teachlib.primer.vae import VAE, discretized_logistic_log_prob, kl_to_standard_normal

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CHAPTER",
    "MADE",
    "RECIPES",
    "VAE",
    "DCGANObjective",
    "Diffusion",
    "EnergyModel",
    "EnergyNet",
    "Evaluation",
    "Flow",
    "Game",
    "Glow",
    "Histogram",
    "ImageCodes",
    "ImageGaussian",
    "ImageKernels",
    "KernelDensity",
    "LossObjective",
    "MixtureDensityNetwork",
    "MixtureMADE",
    "NoiseSchedule",
    "PixelCNN",
    "Recipe",
    "Recurrent",
    "Regression",
    "VectorQuantizer",
    "abilities",
    "best_bandwidth",
    "bits_per_dimension",
    "conditional_log_prob",
    "contrastive_divergence_loss",
    "cosine_schedule",
    "coupling_flow",
    "ddim_step",
    "denoising_score_matching_loss",
    "dequantize",
    "discretized_logistic_log_prob",
    "discriminator_loss",
    "evaluate",
    "from_levels",
    "from_zoo",
    "generator_loss",
    "kl_to_standard_normal",
    "langevin",
    "linear_schedule",
    "mala",
    "noise_contrastive_loss",
    "open_run",
    "plane_game",
    "quantize",
    "recipe",
    "sample_distance",
    "score",
    "sliced_score_matching_loss",
    "spline",
    "standard_normal_log_prob",
    "to_levels",
    "train",
]
