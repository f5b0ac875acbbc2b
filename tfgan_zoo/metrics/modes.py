"""Mode coverage of stacked digits, a distribution of 1,000 known modes.

Reference: Metz et al. 2017, Unrolled Generative Adversarial Networks, arXiv 1611.02163.
"""

import numpy as np

from tfgan_zoo.metrics.classes import kl_divergence


def stacked_modes(labels, classes=10):
    """Count the combinations of digits that are stacked as the channels of an image.

    Args:
        labels: predicted class of each channel, integers (n, channels).
        classes: number of classes of one channel.

    Returns:
        A dict: modes, the number of combinations that occur (of classes ** channels), and kl, the
        divergence from the uniform distribution in nats (0.019 for 26,000 perfect samples).
    """
    labels = np.asarray(labels)
    total = classes ** labels.shape[1]
    combination = labels @ (classes ** np.arange(labels.shape[1]))
    frequencies = np.bincount(combination, minlength=total) / len(labels)
    return {
        "modes": int((frequencies > 0).sum()),
        "kl": kl_divergence(frequencies, np.full(total, 1.0 / total)),
    }
