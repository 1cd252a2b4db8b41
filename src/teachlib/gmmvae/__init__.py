"""Gaussian-mixture VAEs that classify, and refuse (thesis chapter 4)."""

from teachlib.gmmvae import attacks
from teachlib.gmmvae.chapter import CHAPTER
from teachlib.gmmvae.evaluation import Evaluation, evaluate, measured_prior, selective
from teachlib.gmmvae.losses import reconstruction_error, supervised_loss, unsupervised_loss, variable_entropy_loss
from teachlib.gmmvae.mixture import (
    PLACEMENTS,
    GaussianClasses,
    MixturePrior,
    class_means,
    component_variance,
)
from teachlib.gmmvae.models import CNN, GMMVAE, MagNet, build
from teachlib.gmmvae.objectives import few_labels
from teachlib.gmmvae.recipes import BASELINES, MIXTURES, RECIPES, Recipe, from_dict, load, recipe
from teachlib.gmmvae.reclassify import nearest_code, reclassify, unrolled_errors
from teachlib.gmmvae.robustness import Budget, Robustness, robustness
from teachlib.gmmvae.selective import (
    Decision,
    Outcome,
    RiskCoverage,
    SelectiveClassifier,
    Thresholds,
    by_confidence,
    by_likelihood,
    by_reconstruction,
    fit_thresholds,
    outcome,
    risk_coverage,
)
from teachlib.gmmvae.tables import published

train, open_run, from_zoo = CHAPTER.train, CHAPTER.open_run, CHAPTER.from_zoo

__all__ = [
    "BASELINES",
    "CHAPTER",
    "CNN",
    "GMMVAE",
    "MIXTURES",
    "PLACEMENTS",
    "RECIPES",
    "Budget",
    "Decision",
    "Evaluation",
    "GaussianClasses",
    "MagNet",
    "MixturePrior",
    "Outcome",
    "Recipe",
    "RiskCoverage",
    "Robustness",
    "SelectiveClassifier",
    "Thresholds",
    "attacks",
    "build",
    "by_confidence",
    "by_likelihood",
    "by_reconstruction",
    "class_means",
    "component_variance",
    "evaluate",
    "few_labels",
    "fit_thresholds",
    "from_dict",
    "from_zoo",
    "load",
    "measured_prior",
    "nearest_code",
    "open_run",
    "outcome",
    "published",
    "recipe",
    "reclassify",
    "reconstruction_error",
    "risk_coverage",
    "robustness",
    "selective",
    "supervised_loss",
    "train",
    "unrolled_errors",
    "unsupervised_loss",
    "variable_entropy_loss",
]
