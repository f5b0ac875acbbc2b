"""The yardsticks: one short file a metric, around pure functions of features, probabilities, labels or images."""

from tfgan_zoo.metrics.classes import class_histogram, kl_divergence, label_accuracy
from tfgan_zoo.metrics.classifier_score import classifier_score
from tfgan_zoo.metrics.frechet import frechet_distance
from tfgan_zoo.metrics.kernel import kernel_distance
from tfgan_zoo.metrics.likelihood import importance_weighted_nll
from tfgan_zoo.metrics.memorisation import nearest
from tfgan_zoo.metrics.modes import gaussian_modes, grid_centres, ring_centres, stacked_modes
from tfgan_zoo.metrics.neighbours import neighbour_scores
from tfgan_zoo.metrics.similarity import ms_ssim, psnr, ssim

__all__ = [
    "class_histogram",
    "classifier_score",
    "frechet_distance",
    "gaussian_modes",
    "grid_centres",
    "importance_weighted_nll",
    "kernel_distance",
    "kl_divergence",
    "label_accuracy",
    "ms_ssim",
    "nearest",
    "neighbour_scores",
    "psnr",
    "ring_centres",
    "ssim",
    "stacked_modes",
]
