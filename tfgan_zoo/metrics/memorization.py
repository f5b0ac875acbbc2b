"""Memorization test: distances of images to their nearest training images.

Compare the distances of generated images with those of held-out images.
"""

import numpy as np
from sklearn.metrics.pairwise import euclidean_distances


def nearest_images(images, training, skip_self=False, chunk=2048):
    """Find the nearest training image of each image, by Euclidean distance of pixels in [0, 1].

    Args:
        images: uint8 (n, h, w, c).
        training: uint8 (m, h, w, c).
        skip_self: the images are the first n training images; find the nearest other one.
        chunk: number of training images that are held as floats at once; it changes no result.

    Returns:
        (distances float64 (n,), indices int64 (n,)).
    """
    x = as_rows(images)
    rows = np.arange(len(x))
    smallest, index = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    for begin in range(0, len(training), chunk):
        squared = euclidean_distances(x, as_rows(training[begin : begin + chunk]), squared=True)
        if skip_self:
            same = np.arange(begin, min(begin + squared.shape[1], len(x)))
            squared[same, same - begin] = np.inf
        column = squared.argmin(axis=1)
        distance = squared[rows, column]
        nearer = distance < smallest
        smallest[nearer], index[nearer] = distance[nearer], begin + column[nearer]
    # The squared distances lose digits for near copies: recompute the smallest ones exactly.
    difference = images.astype(np.float64) - training[index]
    return np.sqrt(np.sum(difference.reshape(len(x), -1) ** 2, axis=1)) / 255.0, index


def as_rows(images):
    """Return uint8 images (n, h, w, c) as float64 (n, h * w * c) in [0, 1]."""
    return images.reshape(len(images), -1) / 255.0
