"""Evaluation metrics: pure functions of features, probabilities, labels or images, one per file."""

from tfgan_zoo.metrics.classes import class_histogram, kl_divergence, label_accuracy
from tfgan_zoo.metrics.classifier_score import classifier_score
from tfgan_zoo.metrics.frechet import frechet_distance
from tfgan_zoo.metrics.grid import grid_strength
from tfgan_zoo.metrics.kernel import kernel_distance
from tfgan_zoo.metrics.likelihood import importance_weighted_nll
from tfgan_zoo.metrics.memorization import nearest_images
from tfgan_zoo.metrics.modes import stacked_modes
from tfgan_zoo.metrics.neighbors import precision_recall_density_coverage
from tfgan_zoo.metrics.similarity import psnr, ssim

__all__ = [
    "class_histogram",
    "classifier_score",
    "frechet_distance",
    "grid_strength",
    "importance_weighted_nll",
    "kernel_distance",
    "kl_divergence",
    "label_accuracy",
    "nearest_images",
    "precision_recall_density_coverage",
    "psnr",
    "ssim",
    "stacked_modes",
]
