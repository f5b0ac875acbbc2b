"""Precision, recall, density and coverage: how many generated images are like real ones, and how many kinds of real ones are generated.

References: Kynkaanniemi et al. 2019, Improved Precision and Recall Metric, arXiv 1904.06991; Naeem et al. 2020, Reliable Fidelity and
Diversity Metrics, arXiv 2002.09797.
"""

import numpy as np

from tfgan_zoo.errors import UserError


def precision_recall_density_coverage(real, fake, k=5, chunk=250):
    """Scores from balls around every image, each as large as the distance to its k-th neighbour (itself not counted) in its own set.

        precision   fakes inside the ball of any real image
        recall      reals inside the ball of any fake image
        density     mean over fakes of the number of real balls it is in, over k (may exceed 1)
        coverage    reals whose own ball has a fake in it; 1 - 2^-k for two samples of one distribution

    "Inside" includes the border (<=), so that repeated points count as found.

    Args:
        real, fake: features (n, d) and (m, d), more than k rows each.
        k: which neighbour.
        chunk: rows of distances in memory at once; changes nothing else.

    Returns:
        A dict of four floats.

    Raises:
        UserError: k or fewer rows.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if min(len(real), len(fake)) <= k:
        raise UserError(
            f"neighbour scores with k={k} need more than {k} rows on either side, received {len(real)} and {len(fake)}"
        )
    real_radii, fake_radii = radii(real, k, chunk), radii(fake, k, chunk)
    inside_real = np.zeros(len(fake))  # for every fake: in how many real balls
    inside_fake = np.zeros(len(real), bool)
    covered = np.zeros(len(real), bool)
    for i in range(0, len(real), chunk):
        rows = slice(i, i + chunk)
        distances = squared_distances(real[rows], fake)
        in_real_ball = distances <= real_radii[rows, None]
        inside_real += in_real_ball.sum(axis=0)
        covered[rows] = in_real_ball.any(axis=1)
        inside_fake[rows] = (distances <= fake_radii).any(axis=1)
    return {
        "precision": float(np.mean(inside_real > 0)),
        "recall": float(np.mean(inside_fake)),
        "density": float(np.mean(inside_real) / k),
        "coverage": float(np.mean(covered)),
    }


def radii(points, k, chunk):
    """The squared distance of every point to its k-th neighbour, itself not counted, and a rounding error more."""
    parts = []
    for i in range(0, len(points), chunk):
        distances = squared_distances(points[i : i + chunk], points)
        parts.append(
            np.partition(distances, k, axis=1)[:, k].copy()
        )  # a view would keep all distances in memory
    return np.concatenate(parts) + 1e-12 * np.max(np.sum(points**2, axis=1))


def squared_distances(x, y):
    return np.maximum(np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1) - 2.0 * (x @ y.T), 0.0)
