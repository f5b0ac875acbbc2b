"""Has the model learnt its training images by heart? Their distance to generated images, against that to real images it never saw."""

import numpy as np


def nearest_images(images, training, skip_self=False, chunk=2048):
    """The nearest training image of every image, by Euclidean distance over pixels in [0, 1].

    Args:
        images: uint8 (n, h, w, c).
        training: uint8 (m, h, w, c).
        skip_self: the images are the first n of the training images themselves: look for the nearest other one.
        chunk: training images at a time; changes nothing else.

    Returns:
        (distances float64 (n,), indices (n,)).
    """
    x = images.reshape(len(images), -1).astype(np.float32) / 255.0
    best, index = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    for begin in range(0, len(training), chunk):
        y = training[begin : begin + chunk].reshape(-1, x.shape[1]).astype(np.float32) / 255.0
        squared = np.sum(x**2, axis=1)[:, None] + np.sum(y**2, axis=1) - 2.0 * (x @ y.T)
        if skip_self:
            own = np.arange(begin, min(begin + len(y), len(x)))
            squared[own, own - begin] = np.inf
        closest = squared.argmin(axis=1)
        found = squared[np.arange(len(x)), closest]
        better = found < best
        best[better], index[better] = found[better], begin + closest[better]
    # the expansion above loses digits for near copies: the distance itself is computed once more, exactly
    difference = images.astype(np.float64) - training[index]
    return np.sqrt(np.sum(difference.reshape(len(images), -1) ** 2, axis=1)) / 255.0, index
