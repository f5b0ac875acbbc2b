"""Log likelihood of images under a model with a latent code, by importance sampling.

Reference: Burda et al. 2015, Importance Weighted Autoencoders, arXiv 1509.00519, equation 8.
"""

import numpy as np
from scipy.special import logsumexp


def importance_weighted_nll(log_weights):
    """Compute -log(mean_k w_k), w = p(x, z) / q(z | x).

    It is an upper bound of -log p(x) that approaches it as k grows.

    Args:
        log_weights: (k, n), in nats.

    Returns:
        float64 (n,), in nats.

    Example:
        >>> importance_weighted_nll([[0.0], [-1000.0]]).round(6)  # -log(1 / 2)
        array([0.693147])
    """
    log_weights = np.asarray(log_weights, np.float64)
    return np.log(len(log_weights)) - logsumexp(log_weights, axis=0)
