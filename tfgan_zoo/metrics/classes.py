"""What a classifier reads in the images: which classes, how often, and whether the ones that were asked for."""

import numpy as np


def class_histogram(labels, classes):
    """The fraction of every class: integers (n,) -> float64 (classes,)."""
    return np.bincount(np.asarray(labels), minlength=classes) / len(labels)


def kl_divergence(p, q):
    """sum p log(p / q) in nats between two histograms; infinite where q lacks a class that p has.

    Example:
        >>> round(kl_divergence([0.5, 0.5], [0.25, 0.75]), 6)
        0.143841
    """
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    if np.any((p > 0) & (q == 0)):
        return float("inf")
    present = p > 0
    return float(np.sum(p[present] * np.log(p[present] / q[present])))


def label_accuracy(probabilities, labels):
    """The fraction of images that are read as their label: (n, classes), (n,)."""
    return float(np.mean(np.argmax(probabilities, axis=1) == np.asarray(labels)))
