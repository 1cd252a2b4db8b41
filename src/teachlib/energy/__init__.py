"""GANs read as energy models (thesis chapter 7): what a discriminator knows, and what it takes to be a density."""

from teachlib.energy.chapter import CHAPTER
from teachlib.energy.constant import Anneal, Bounds, log_likelihood
from teachlib.energy.evaluation import Counts, count, counted, evaluate, on_grid, on_stacks
from teachlib.energy.improving import (
    isotonic,
    langevin_of_noise,
    latent_energy,
    log_normalizer,
    metropolis_hastings,
    platt,
    refitted,
    rejection,
    resampled,
)
from teachlib.energy.likelihood import likelihood_loss, log_mean, sums_of, support_loss
from teachlib.energy.networks import FlowGenerator, Judge, Pair, PointGenerator
from teachlib.energy.objective import PairObjective
from teachlib.energy.penalties import PENALTIES, penalty, slopes
from teachlib.energy.recipes import RECIPES, Recipe, recipe
from teachlib.energy.sets import CENTRES, Counted, gaussians, load, stacked
from teachlib.energy.spread import (
    SPREADS,
    Critic,
    Minibatch,
    determinantal,
    energy_distance,
    kernel_repulsion,
    repulsion,
    shared_information,
)

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "CENTRES",
    "CHAPTER",
    "PENALTIES",
    "RECIPES",
    "SPREADS",
    "Anneal",
    "Bounds",
    "Counted",
    "Counts",
    "Critic",
    "FlowGenerator",
    "Judge",
    "Minibatch",
    "Pair",
    "PairObjective",
    "PointGenerator",
    "Recipe",
    "count",
    "counted",
    "determinantal",
    "energy_distance",
    "evaluate",
    "from_zoo",
    "gaussians",
    "isotonic",
    "kernel_repulsion",
    "langevin_of_noise",
    "latent_energy",
    "likelihood_loss",
    "load",
    "log_likelihood",
    "log_mean",
    "log_normalizer",
    "metropolis_hastings",
    "on_grid",
    "on_stacks",
    "open_run",
    "penalty",
    "platt",
    "recipe",
    "refitted",
    "rejection",
    "repulsion",
    "resampled",
    "shared_information",
    "slopes",
    "stacked",
    "sums_of",
    "support_loss",
    "train",
]
