"""Metrics of the classes that a classifier predicts: frequencies, divergence and label accuracy."""

import numpy as np
from scipy.special import rel_entr


def class_histogram(labels, classes):
    """Return the fraction of each class: integers (n,) -> float64 (classes,)."""
    return np.bincount(np.asarray(labels), minlength=classes) / len(labels)


def kl_divergence(p, q):
    """Return sum p log(p / q) of two histograms in nats; infinite if q lacks a class of p.

    Example:
        >>> round(kl_divergence([0.5, 0.5], [0.25, 0.75]), 6)
        0.143841
    """
    return float(rel_entr(np.asarray(p, np.float64), np.asarray(q, np.float64)).sum())


def label_accuracy(probabilities, labels):
    """Return the fraction of images whose predicted class is their label.

    Args:
        probabilities: (n, classes).
        labels: integers (n,).
    """
    return float(np.mean(np.argmax(probabilities, axis=1) == np.asarray(labels)))
