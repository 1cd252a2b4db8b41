"""How far generated samples are from real ones: Fréchet distance, precision-recall curves, feature extractors."""

from teachlib.metrics.classifier import FeatureClassifier, classifier_features, feature_classifier, features_of
from teachlib.metrics.coverage import DensityCoverage, density_coverage, nearest
from teachlib.metrics.extractors import Extractor, extractor, untrained
from teachlib.metrics.frechet import frechet_distance
from teachlib.metrics.inception import inception_features
from teachlib.metrics.prd import PRD, prd, prd_from_histograms
from teachlib.metrics.sanity import sanity
from teachlib.metrics.statistics import FeatureStatistics, frechet_between, statistics_of

__all__ = [
    "PRD",
    "DensityCoverage",
    "Extractor",
    "FeatureClassifier",
    "FeatureStatistics",
    "classifier_features",
    "density_coverage",
    "extractor",
    "feature_classifier",
    "features_of",
    "frechet_between",
    "frechet_distance",
    "inception_features",
    "nearest",
    "prd",
    "prd_from_histograms",
    "sanity",
    "statistics_of",
    "untrained",
]
