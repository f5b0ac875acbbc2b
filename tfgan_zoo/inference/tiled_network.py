"""Apply a network that normalizes each image to the tiles of a large image.

Instance norm, and batch norm with the statistics of each image, need the mean and variance of
every feature map over the whole image. With those of a tile, colors change from tile to tile, and
a tile without content becomes noise. Thumbnail instance normalization (Chen et al. 2021, Towards
Ultra-Resolution Neural Style Transfer via Thumbnail Instance Normalization, arXiv 2103.11784) uses
the statistics of the image shrunk to the size of a tile in all tiles.

Deviation from the paper: the statistics of the shrunk image T are corrected by those of patches P
at full resolution, because a network with strides sees other structures in a shrunk image. T|P is
the part of T that the patches cover:

    mean = mean(T) + mean(P) - mean(T|P)
    variance = variance(T) (variance(P) + epsilon) / (variance(T|P) + epsilon)

P has about as many pixels as T. In the pass over P every layer is normalized with its corrected
statistics, so errors do not add up from layer to layer.
"""

import numpy as np
import tensorflow as tf

from tfgan_zoo.data.tiles import apply_in_tiles, pad_to_multiple
from tfgan_zoo.data.transforms import resize, to_float, to_integers
from tfgan_zoo.layers import image_statistics, moments_per_image

EPSILON = 1e-5  # that of the normalization layers: smaller variances make no difference
PATCHES_PER_SIDE = 4  # patches of a square image, unless they would be smaller than
SMALLEST_PATCH = 128  # pixels


class TiledNetwork:
    """A network for images of any size, in tiles that share the statistics of the whole image.

    Args:
        network: function (float32 (n, h, w, c) in [-1, 1], seed) -> the same, (n, h, w, c').
        multiple: the network accepts sides that are multiples of this.
        smallest: the smallest side that the network accepts, a multiple too.
    """

    def __init__(self, network, multiple, smallest):
        self.network, self.multiple, self.smallest = network, multiple, smallest
        self.thumbnail_graph = tf.function(self.measure_thumbnail, reduce_retracing=True)
        self.patches_graph = tf.function(self.measure_patches, reduce_retracing=True)
        self.tile_graph = tf.function(self.convert_tile, reduce_retracing=True)

    def __call__(self, image, tile, overlap, seed=0):
        """Convert an image of more than tile x tile pixels.

        Args:
            image: uint8 or uint16 (h, w, c).
            tile: see `apply_in_tiles`.
            overlap: see `apply_in_tiles`.
            seed: seed of a stochastic network.

        Returns:
            Array (h, w, c') of the same dtype.
        """
        seed = tf.constant(seed, tf.int32)
        padded, top, left = pad_to_multiple(image, self.multiple, self.smallest)
        statistics = self.measure(padded, tile, seed)

        def convert(part):
            return self.tile_graph(tf.constant(part), statistics, seed).numpy()

        converted = apply_in_tiles(convert, padded, tile, overlap, self.multiple)
        return converted[top : top + image.shape[0], left : left + image.shape[1]]

    def measure(self, image, tile, seed):
        """Estimate the statistics of all normalization layers for an image.

        Args:
            image: uint8 or uint16 (h, w, c), sides are multiples.
            tile: side of a square with as many pixels as the network may have at once.
            seed: int32 scalar.

        Returns:
            float32 (2, channels of all layers): means and variances.
        """
        size, m = image.shape[:2], self.multiple
        least = max(m, self.smallest)
        factor = tile / np.sqrt(np.prod(size))
        thumbnail = resize(image, *(max(least, int(side * factor) // m * m) for side in size))

        # Choose patches of equal distance that form a grid. The network has little context at
        # their borders, which are left out unless they are the image's.
        side = min(max(tile // PATCHES_PER_SIDE, SMALLEST_PATCH), tile) // m * m
        side = min(max(side, least), *size)
        number = max(1, tile**2 // side**2)
        rows = int(np.clip(round(np.sqrt(number * size[0] / size[1])), 1, size[0] // side))
        columns = int(np.clip(number // rows, 1, size[1] // side))
        tops, row_weights = place_patches(size[0], side, rows, m)
        lefts, column_weights = place_patches(size[1], side, columns, m)
        patches = [image[top : top + side, left : left + side] for top in tops for left in lefts]

        covered = (cover(size[0], tops, row_weights), cover(size[1], lefts, column_weights))
        of_thumbnail = self.thumbnail_graph(tf.constant(thumbnail[None]), *covered, seed)
        weights = np.repeat(row_weights, columns, axis=0), np.tile(column_weights, (rows, 1))
        return self.patches_graph(tf.constant(np.stack(patches)), *weights, of_thumbnail, seed)

    def measure_thumbnail(self, image, rows, columns, seed):
        """Return statistics of the image and of its covered part: (4, channels of all layers)."""
        measured = []

        def moments(x):
            mean, variance = moments_per_image(x)
            measured.append([mean, variance, *weighted_moments(x, rows, columns)])
            return mean, variance

        with image_statistics(moments):
            self.network(to_float(image), seed)
        return concatenate(measured, 4)

    def measure_patches(self, patches, rows, columns, of_thumbnail, seed):
        """Return the corrected statistics: (2, channels of all layers)."""
        thumbnail, corrected = split_by_layer(of_thumbnail), []

        def moments(x):
            mean_t, variance_t, mean_c, variance_c = thumbnail(x)
            mean, variance = weighted_moments(x, rows, columns)
            mean += mean_t - mean_c
            variance = variance_t * (variance + EPSILON) / (variance_c + EPSILON)
            corrected.append([mean, variance])
            return mean, variance

        with image_statistics(moments):
            self.network(to_float(patches), seed)
        return concatenate(corrected, 2)

    def convert_tile(self, image, statistics, seed):
        """Convert one tile with given statistics."""
        with image_statistics(split_by_layer(statistics)):
            result = self.network(to_float(image)[None], seed)
        return to_integers(result, image.dtype)[0]


def place_patches(length, side, count, multiple):
    """Place patches along an axis, evenly spaced from end to end.

    Returns:
        (starts, weights): a list of positions, and float32 (count, side), 0 at the borders of a
        patch that are not those of the axis, elsewhere 1.
    """
    room, border = (length - side) // multiple, side // 8
    if count == 1:
        starts = [room // 2 * multiple]
    else:
        starts = [round(i * room / (count - 1)) * multiple for i in range(count)]
    weights = np.ones((count, side), np.float32)
    for start, row in zip(starts, weights, strict=True):
        row[: border if start else 0] = 0.0
        row[side - border if start + side < length else side :] = 0.0
    return starts, weights


def cover(length, starts, weights):
    """Return the weights of patches as those of an axis: float32 (1, length)."""
    covered = np.zeros((1, length), np.float32)
    for start, row in zip(starts, weights, strict=True):
        covered[0, start : start + len(row)] = row
    return covered


def weighted_moments(x, rows, columns):
    """Return mean and variance of features over positions and images.

    Args:
        x: float32 (n, h, w, c).
        rows: float32 (n, H), weights of the rows of the image. They are averaged to h rows.
        columns: float32 (n, W).

    Returns:
        Two tensors (1, 1, 1, c).
    """
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    rows = tf.image.resize(rows[:, :, None, None], (height, 1), "area")
    columns = tf.image.resize(columns[:, None, :, None], (1, width), "area")
    weights = rows * columns
    weights /= tf.reduce_sum(weights)
    mean = tf.reduce_sum(weights * x, (0, 1, 2), keepdims=True)
    return mean, tf.reduce_sum(weights * tf.square(x - mean), (0, 1, 2), keepdims=True)


def concatenate(layers, count):
    """Return the statistics of all layers, lists of (1, 1, 1, c), as one tensor (count, sum of c).

    A network without such layers has (count, 0).
    """
    rows = [tf.reshape(tf.stack(statistics), (count, -1)) for statistics in layers]
    return tf.concat([tf.zeros((count, 0)), *rows], axis=1)


def split_by_layer(statistics):
    """Return a function that returns the statistics of one layer after another for its features."""
    position = 0

    def statistics_of(x):
        nonlocal position
        begin, position = position, position + x.shape[-1]
        return [row[None, None, None, begin:position] for row in tf.unstack(statistics)]

    return statistics_of
