"""Precision, recall, density and coverage from the nearest neighbors of features.

Precision and density measure how many generated images are similar to real ones. Recall and
coverage measure how much of the variety of the real images is generated.

References: Kynkaanniemi et al. 2019, Improved Precision and Recall Metric, arXiv 1904.06991; Naeem
et al. 2020, Reliable Fidelity and Diversity Metrics, arXiv 2002.09797.
"""

import numpy as np
from sklearn.metrics import pairwise_distances_chunked

from tfgan_zoo.errors import UserError


def precision_recall_density_coverage(real, fake, k=5, memory_mib=64):
    """Compute four scores from a ball around each image.

    The radius of a ball is the distance to the k-th nearest neighbor in the image's own set, the
    image itself not counted.

        precision   fraction of fakes that are inside the ball of any real image
        recall      fraction of reals that are inside the ball of any fake image
        density     mean over the fakes of the number of real balls that contain it, divided by k
                    (can exceed 1)
        coverage    fraction of reals whose ball contains a fake; 1 - 2^-k for two samples of one
                    distribution

    The boundary counts as inside (<=), so that repeated points count as covered.

    Args:
        real: features (n, d), more than k rows.
        fake: features (m, d), more than k rows.
        k: rank of the neighbor that defines the radius.
        memory_mib: memory for the distances that are held at once, in MiB; it changes no score.

    Returns:
        A dict of four floats.

    Raises:
        UserError: k or fewer rows.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if min(len(real), len(fake)) <= k:
        raise UserError(
            f"precision and recall with k={k} need more than {k} rows per set, "
            f"got {len(real)} and {len(fake)}."
        )
    real_radii, fake_radii = squared_radii(real, k, memory_mib), squared_radii(fake, k, memory_mib)
    balls_of_fake = np.zeros(len(fake), int)  # number of real balls that contain the fake

    def compare(distances, start):
        in_real_ball = distances <= real_radii[start : start + len(distances), None]
        balls_of_fake[:] += in_real_ball.sum(axis=0)
        return in_real_ball.any(axis=1), (distances <= fake_radii).any(axis=1)

    chunks = squared_distances(real, fake, memory_mib, compare)
    covered, in_fake_ball = map(np.concatenate, zip(*chunks, strict=True))
    return {
        "precision": float(np.mean(balls_of_fake > 0)),
        "recall": float(np.mean(in_fake_ball)),
        "density": float(np.mean(balls_of_fake) / k),
        "coverage": float(np.mean(covered)),
    }


def squared_radii(points, k, memory_mib=64):
    """Return the squared distance of each point to its k-th neighbor, with a rounding margin."""

    def kth_smallest(distances, start):
        # The point itself has rank 0. A view would keep all distances in memory.
        return np.partition(distances, k, axis=1)[:, k].copy()

    chunks = squared_distances(points, points, memory_mib, kth_smallest)
    return np.concatenate(list(chunks)) + 1e-12 * np.max(np.sum(points**2, axis=1))


def squared_distances(x, y, memory_mib, reduce):
    """Yield `reduce(squared distances of some rows of x to all of y, first row)` in order."""
    return pairwise_distances_chunked(
        x, y, reduce_func=reduce, working_memory=memory_mib, metric="euclidean", squared=True
    )
