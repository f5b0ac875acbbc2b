"""Classifier score: are the images clearly of some class, and are all classes there? With Inception it is the Inception score.

Reference: Salimans et al. 2016, Improved Techniques for Training GANs, arXiv 1606.03498, section 4.
"""

import numpy as np

from tfgan_zoo.errors import UserError


def classifier_score(probabilities, splits=1, seed=0):
    """exp(mean_i KL(p(y|x_i) || p(y))), p(y) the mean over the images of a split; from 1 to the number of classes.

    Few images lower it: see `expected_for_perfect`.

    Args:
        probabilities: (n, classes), rows summing to 1.
        splits: the images, shuffled by the seed, are cut into so many parts; 1 for all images at once.
        seed: of the shuffle.

    Returns:
        (mean over splits, standard deviation over splits).

    Raises:
        UserError: rows that are no probabilities, or fewer rows than splits.

    Example:
        >>> classifier_score([[1.0, 0.0], [0.0, 1.0]])  # two classes, each clearly there once
        (2.0, 0.0)
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or len(p) < splits:
        raise UserError(
            f"probabilities must be of shape (n, classes) with n >= {splits}, received shape {p.shape}"
        )
    if p.min() < 0 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise UserError(
            f"probabilities must be at least 0 and sum to 1, received rows summing to {p.sum(axis=1).min()} ... {p.sum(axis=1).max()}"
        )
    parts = np.array_split(
        p[np.random.default_rng(seed).permutation(len(p))] if splits > 1 else p, splits
    )
    scores = [
        np.exp(np.mean(np.sum(plogp(part) - part * safe_log(part.mean(axis=0)), axis=1)))
        for part in parts
    ]
    return float(np.mean(scores)), float(np.std(scores))


def expected_for_perfect(n, classes):
    """About what n perfect images score: classes * exp(-(classes - 1) / (2 n)), 9.56 for 100 images of 10 classes."""
    return float(classes * np.exp(-(classes - 1) / (2.0 * n)))


def safe_log(p):
    return np.log(np.where(p > 0, p, 1.0))


def plogp(p):
    return p * safe_log(p)
