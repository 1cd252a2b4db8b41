"""How far generated samples are from real ones: Fréchet distance, precision-recall curves, feature extractors."""

from teachlib.metrics.classifier import classifier_features, feature_classifier
from teachlib.metrics.coverage import DensityCoverage, density_coverage, nearest
from teachlib.metrics.frechet import frechet_distance
from teachlib.metrics.inception import inception_features
from teachlib.metrics.prd import PRD, prd, prd_from_histograms
from teachlib.metrics.statistics import FeatureStatistics, frechet_between, statistics_of

__all__ = [
    "PRD",
    "DensityCoverage",
    "FeatureStatistics",
    "classifier_features",
    "density_coverage",
    "feature_classifier",
    "frechet_between",
    "frechet_distance",
    "inception_features",
    "nearest",
    "prd",
    "prd_from_histograms",
    "statistics_of",
]
