"""Mode coverage on distributions whose modes are known.

References: ring and grid as in Lin et al. 2018, PacGAN, arXiv 1712.04086, section 4.1; stacked digits of Metz et al. 2017, Unrolled GANs.
"""

import numpy as np

from tfgan_zoo.metrics.classes import kl_divergence


def ring_centers(modes=8, radius=1.0):
    """Centres on a circle: (modes, 2); the usual standard deviation is 0.01."""
    angles = 2.0 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def grid_centers(side=5, spacing=2.0):
    """Centres on a square grid around 0: (side * side, 2); the usual standard deviation is 0.05."""
    axis = spacing * (np.arange(side) - (side - 1) / 2.0)
    return np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)


def gaussian_modes(points, centres, deviation):
    """How a sample is spread over Gaussians of equal weight. A point within 3 standard deviations of a centre is of high quality.

    Args:
        points: (n, d).
        centres: (modes, d).
        deviation: of every Gaussian.

    Returns:
        A dict: modes (hit by a high-quality point), high_quality (fraction of the points), kl (of all points' nearest modes to uniform,
        in nats).
    """
    points, centres = np.asarray(points, np.float64), np.asarray(centres, np.float64)
    distances = np.linalg.norm(points[:, None] - centres, axis=2)
    nearest = distances.argmin(axis=1)
    good = distances.min(axis=1) <= 3.0 * deviation
    share = np.bincount(nearest, minlength=len(centres)) / len(points)
    return {
        "modes": len(np.unique(nearest[good])),
        "high_quality": float(good.mean()),
        "kl": kl_divergence(share, np.full(len(centres), 1.0 / len(centres))),
    }


def stacked_modes(labels, classes=10):
    """How digits stacked as the channels of an image are spread over their combinations.

    Args:
        labels: what a classifier reads in each channel, integers (n, channels).
        classes: of one channel.

    Returns:
        A dict: modes (combinations that occur, of classes ** channels), kl (nats, to uniform; 0.019 for 26,000 perfect samples).
    """
    labels = np.asarray(labels)
    total = classes ** labels.shape[1]
    combined = labels @ (classes ** np.arange(labels.shape[1]))
    share = np.bincount(combined, minlength=total) / len(labels)
    return {
        "modes": int((share > 0).sum()),
        "kl": kl_divergence(share, np.full(total, 1.0 / total)),
    }
