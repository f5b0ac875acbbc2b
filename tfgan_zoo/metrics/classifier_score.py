"""Classifier score: high if each image has a clear class and all classes occur.

With Inception's probabilities it is the Inception score.

Reference: Salimans et al. 2016, Improved Techniques for Training GANs, arXiv 1606.03498, section 4.
"""

import numpy as np
from scipy.special import rel_entr

from tfgan_zoo.errors import UserError


def classifier_score(probabilities, splits=1, seed=0):
    """Compute exp(mean_i KL(p(y|x_i) || p(y))), p(y) being the mean over the images of a split.

    The score is between 1 and the number of classes. It is lower for few images, see
    `expected_for_perfect`.

    Args:
        probabilities: (n, classes), rows that sum to 1.
        splits: number of parts that the shuffled images are split into; 1 for all images at once.
        seed: seed of the shuffle.

    Returns:
        (mean over the splits, standard deviation over the splits).

    Raises:
        UserError: rows that are not probabilities, or fewer rows than splits.

    Example:
        >>> classifier_score([[1.0, 0.0], [0.0, 1.0]])  # two classes, each predicted with certainty
        (2.0, 0.0)
    """
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or len(p) < splits:
        raise UserError(
            f"probabilities must be of shape (n, classes) with n >= {splits}, got shape {p.shape}."
        )
    sums = p.sum(axis=1)
    if p.min() < 0 or np.abs(sums - 1).max() > 1e-3:
        raise UserError(
            "probabilities must be at least 0 and sum to 1, "
            f"got rows that sum to {sums.min()} ... {sums.max()}."
        )
    order = np.random.default_rng(seed).permutation(len(p)) if splits > 1 else slice(None)
    scores = [
        np.exp(rel_entr(part, part.mean(axis=0)).sum(axis=1).mean())
        for part in np.array_split(p[order], splits)
    ]
    return float(np.mean(scores)), float(np.std(scores))


def expected_for_perfect(n, classes):
    """Return the approximate score of n perfect images: classes * exp(-(classes - 1) / (2 n)).

    It is 9.56 for 100 images of 10 classes.
    """
    return float(classes * np.exp(-(classes - 1) / (2.0 * n)))
