"""Frechet distance between two sets of features, each approximated by a Gaussian.

Reference: Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, arXiv 1706.08500,
equation 6.
"""

import numpy as np

from tfgan_zoo.errors import UserError


def frechet_distance(real, fake):
    """Compute |m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2), with unbiased covariances C.

    The trace of the root is computed from the eigenvalues of the symmetric matrix
    C1^(1/2) C2 C1^(1/2), so nothing is ever complex. The distance is biased upwards for few
    samples, and the bias grows with the number of features. Compare it with the distance between
    two sets of real images of the same size.

    Args:
        real: features (n, d), n at least 2.
        fake: features (m, d), m at least 2.

    Returns:
        A float, at least 0.

    Raises:
        UserError: fewer than 2 rows, or features that are not finite.

    Example:
        >>> real, fake = [[0.0], [2.0]], [[3.0], [5.0]]  # equal variances, means 3 apart
        >>> round(frechet_distance(real, fake), 6)
        9.0
    """
    mean_1, covariance_1 = mean_and_covariance(real)
    mean_2, covariance_2 = mean_and_covariance(fake)
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ covariance_2 @ root)
    trace_of_root = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    distance = (
        np.sum((mean_1 - mean_2) ** 2)
        + np.trace(covariance_1)
        + np.trace(covariance_2)
        - 2.0 * trace_of_root
    )
    return float(max(distance, 0.0))


def mean_and_covariance(features, chunk=4096):
    """Compute mean (d,) and covariance (d, d) in float64, `chunk` rows at a time.

    Raises:
        UserError: fewer than 2 rows, or features that are not finite.
    """
    features = np.asarray(features)
    n = len(features)
    if features.ndim != 2 or n < 2:
        raise UserError(
            f"features must be of shape (n, d) with n >= 2, got shape {features.shape}."
        )
    mean = features.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise UserError("features must be finite, got NaN or infinite values.")
    scatter = np.zeros((features.shape[1],) * 2)
    for i in range(0, n, chunk):
        centered = features[i : i + chunk] - mean
        scatter += centered.T @ centered
    return mean, scatter / (n - 1)
