"""Frechet distance between two sets of features, as if both were Gaussian.

Reference: Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule, arXiv 1706.08500, equation 6.
"""

import numpy as np

from tfgan_zoo.errors import UserError


def frechet_distance(real, fake):
    """|m1 - m2|^2 + tr C1 + tr C2 - 2 tr (C1 C2)^(1/2), C with n - 1.

    The trace of the root comes from the eigenvalues of the symmetric C1^(1/2) C2 C1^(1/2), so nothing is ever complex. Biased upwards for
    few samples, the more so the more features there are: compare with real against real at the same n.

    Args:
        real, fake: features (n, d), any n of at least 2.

    Returns:
        A float, at least 0.

    Raises:
        UserError: fewer than 2 rows, or features that are not finite.

    Example:
        >>> float(round(frechet_distance([[0.0], [2.0]], [[3.0], [5.0]]), 6))  # two Gaussians of one variance, 3 apart
        9.0
    """
    (mean_1, covariance_1), (mean_2, covariance_2) = (
        mean_and_covariance(real),
        mean_and_covariance(fake),
    )
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    trace_of_root = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ covariance_2 @ root), 0.0)).sum()
    distance = (
        np.sum((mean_1 - mean_2) ** 2)
        + np.trace(covariance_1)
        + np.trace(covariance_2)
        - 2.0 * trace_of_root
    )
    return float(max(distance, 0.0))


def mean_and_covariance(features, chunk=4096):
    """Mean (d,) and covariance (d, d) in float64, a chunk of rows at a time."""
    features = np.asarray(features)
    n = len(features)
    if features.ndim != 2 or n < 2:
        raise UserError(
            f"features must be of shape (n, d) with n >= 2, received features of shape {features.shape}"
        )
    mean = features.mean(axis=0, dtype=np.float64)
    if not np.isfinite(mean).all():
        raise UserError("features must be finite, received NaN or infinite ones")
    scatter = np.zeros((features.shape[1],) * 2)
    for i in range(0, n, chunk):
        centred = features[i : i + chunk] - mean
        scatter += centred.T @ centred
    return mean, scatter / (n - 1)
