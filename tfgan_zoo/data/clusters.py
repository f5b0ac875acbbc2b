"""Clusters of images as labels that need no supervision.

One continuous generator also generates images between the classes of its training data (Tanielian
et al. 2020, Learning disconnected manifolds, arXiv 2006.04596). A conditional model whose labels
are clusters of similar images does so less, and still needs no labels (Liu et al. 2020, Diverse
Image Generation via Self-Conditioned GANs, arXiv 2006.10728, who cluster features of D instead).
"""

import warnings

import numpy as np

from tfgan_zoo.errors import UserError

NUM_COMPONENTS = 50  # principal components of the pixels
PCA_IMAGES = 10_000  # images that the principal components are computed from, at most
PCA_VALUES = 2**27  # pixel values that they are computed from, at most: 1 GiB
BATCH_SIZE = 4096  # images that are projected at once


class ImageClusters:
    """k-means clusters of the principal components of images' pixels.

    Equal images and counts give equal clusters: the random seed is fixed, the computation is in
    double precision, and k-means runs on one thread. With several threads the order of its sums
    changes from run to run.

    Args:
        images: uint8 (n, h, w, c), all of one size.
        count: int, the number of clusters.

    Raises:
        UserError: there are fewer different images than clusters.
    """

    def __init__(self, images, count):
        from sklearn.cluster import KMeans
        from sklearn.decomposition import PCA
        from sklearn.exceptions import ConvergenceWarning
        from threadpoolctl import threadpool_limits

        if len(images) < count:
            raise UserError(
                "data.clusters must be at most the number of images, "
                f"which is {len(images)}, got {count}."
            )
        self.count = count
        size = int(np.prod(images.shape[1:]))
        selected = np.random.default_rng(0).permutation(len(images))
        selected = selected[: min(PCA_IMAGES, max(count, PCA_VALUES // size))]
        components = min(NUM_COMPONENTS, size, len(selected))
        self.kmeans = KMeans(count, n_init=1, random_state=0)
        # One thread: the order of summation does not depend on the number of cores.
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # an error below
            self.pca = PCA(components, random_state=0).fit(flatten(images[np.sort(selected)]))
            labels = self.kmeans.fit_predict(self.project(images))
        self.sizes = np.bincount(labels, minlength=count)
        if not self.sizes.all():
            raise UserError(
                "data.clusters must be at most the number of different images, of which there are "
                f"about {np.count_nonzero(self.sizes)}, got {count}."
            )

    def check_sizes(self, sizes):
        """Raise `UserError` if a model was trained with other clusters.

        Args:
            sizes: number of training images of each cluster of the model, int (count,).
        """
        if not np.array_equal(self.sizes, np.asarray(sizes)):
            raise UserError(
                "the clusters of the model belong to its training images, and those of the given "
                "data differ: leave data.dataset, data.path and data.limit as in the training."
            )

    def project(self, images):
        """Return the principal components of images: float64 (n, components)."""
        parts = [
            self.pca.transform(flatten(images[i : i + BATCH_SIZE]))
            for i in range(0, len(images), BATCH_SIZE)
        ]
        return np.concatenate(parts)

    def labels(self, images):
        """Return the nearest cluster of each image: uint8 (n, h, w, c) -> int64 (n,)."""
        from threadpoolctl import threadpool_limits

        with threadpool_limits(1):
            return self.kmeans.predict(self.project(images)).astype(np.int64)


def flatten(images):
    """Return the pixels of images as rows in [0, 1]: float64 (n, h * w * c)."""
    return images.reshape(len(images), -1) / 255.0
