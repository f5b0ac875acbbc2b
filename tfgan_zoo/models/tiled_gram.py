"""Gradient of losses on Gram matrices in bounded memory.

A Gram matrix is a sum over all positions of an image. An image that is too large for one pass
through the network is therefore processed in tiles, in two passes. The first adds up the Gram
matrices of the tiles. The second sends the gradient of the loss with respect to these sums back
through the network, tile by tile. Each tile is cut with a margin as wide as the receptive field of
the deepest layer, so that the result is the gradient of the whole image.
"""

import dataclasses
import re

import numpy as np
import tensorflow as tf

from tfgan_zoo.data.tiles import needs_tiles
from tfgan_zoo.errors import UserError
from tfgan_zoo.features.vgg import VGG19_BLOCKS
from tfgan_zoo.losses import total_variation


@dataclasses.dataclass(frozen=True)
class Tile:
    """Part of an image that is processed at once.

    Attributes:
        rows, columns: the pixels of the tile and of the margin around it.
        weights: {layer: [(h, w) for each region]}, the weight of every position of the layer. It is
            0 in the margin. The weights of a region add up to 1 over all tiles.
    """

    rows: slice
    columns: slice
    weights: dict

    def crop(self, image):
        """Return the tile with its margin: (n, h, w, c) -> (n, h', w', c)."""
        return image[:, self.rows, self.columns]


def split_image(size, strides, masks, tile):
    """Split an image into tiles.

    Args:
        size: (h, w) of the image.
        strides: {layer: pixels of the image per position of the layer}.
        masks: float32 (h, w) in [0, 1] for each region; None: one region, the whole image.
        tile: side of a tile in pixels, a multiple of 16. Images of up to tile x tile pixels are one
            tile. 0: always one tile.

    Returns:
        A list of `Tile`.
    """
    height, width = size
    tile = tile if needs_tiles(size, tile) else 0
    margin = receptive_radius(strides) if tile else 0
    weights = {layer: layer_weights(size, stride, masks) for layer, stride in strides.items()}
    tiles = []
    for vertical in tile_bounds(height, tile):
        for horizontal in tile_bounds(width, tile):
            rows, columns = (
                slice(max(0, begin - margin), end + margin) for begin, end in (vertical, horizontal)
            )
            tile_weights = {
                layer: crop_weights(weights[layer], stride, vertical, horizontal, rows, columns)
                for layer, stride in strides.items()
            }
            tiles.append(Tile(rows, columns, tile_weights))
    return tiles


def receptive_radius(layers):
    """Return how far the receptive fields of VGG-19 layers reach to each side.

    Args:
        layers: names such as block4_conv2.

    Returns:
        Pixels, rounded up to a multiple of 16.

    Raises:
        UserError: a layer that is not one of VGG-19's convolutions.
    """
    radius = 0
    for layer in layers:
        match = re.fullmatch(r"block([1-5])_conv([1-4])", layer)
        if not match:
            raise UserError(f"Tiles need layers of VGG-19, got the layer {layer}: set --tile 0.")
        block, convolution = int(match[1]), int(match[2])
        # A 3x3 convolution adds one position of its block to each side, so does a pooling.
        earlier = sum(count * 2**b + 2**b for b, count in enumerate(VGG19_BLOCKS[: block - 1]))
        radius = max(radius, earlier + convolution * 2 ** (block - 1))
    return -(-radius // 16) * 16


def tile_bounds(length, tile):
    """Return [(begin, end)] of the tiles along an axis; one tile if `tile` is 0."""
    begins = range(0, length, tile or length)
    return [(begin, min(begin + (tile or length), length)) for begin in begins]


def layer_weights(size, stride, masks):
    """Return the weight of every position of a layer: float32 array (regions, h, w).

    The weights of each region add up to 1.
    """
    height, width = size
    regions = np.ones((1, height, width), np.float32) if masks is None else np.stack(masks)
    with tf.init_scope():  # plain numbers, also inside a tf.function: XLA cannot resize by area
        small = tf.image.resize(regions[..., None], (height // stride, width // stride), "area")
        small = small[..., 0]
        return (small / tf.maximum(tf.reduce_sum(small, (1, 2), keepdims=True), 1e-12)).numpy()


def crop_weights(weights, stride, vertical, horizontal, rows, columns):
    """Crop a layer's weights to a tile and set those in its margin to 0.

    Args:
        weights: (regions, h, w).
        stride: pixels per position.
        vertical: (begin, end) of the tile's rows without its margin, in pixels.
        horizontal: (begin, end) of its columns.
        rows: slice of the tile's rows with its margin, in pixels.
        columns: slice of its columns.

    Returns:
        A list of tensors (h', w'), one for each region.
    """
    inner = [
        slice(begin // stride, end // stride if end % 16 == 0 else None)
        for begin, end in (vertical, horizontal)
    ]
    outer = [slice(side.start // stride, side.stop // stride) for side in (rows, columns)]
    inner_weights = np.zeros_like(weights)
    inner_weights[:, inner[0], inner[1]] = weights[:, inner[0], inner[1]]
    return [tf.constant(region) for region in inner_weights[:, outer[0], outer[1]]]


def sum_gram_matrices(gram_matrices, image, tiles):
    """Add up the Gram matrices of an image's tiles.

    Args:
        gram_matrices: function (tile of the image, its weights) -> list of (regions, c, c).
        image: float32 (1, h, w, 3).
        tiles: see `split_image`.

    Returns:
        A list of (regions, c, c), one for each style layer.
    """
    layers_of_tiles = [gram_matrices(tile.crop(image), tile.weights) for tile in tiles]
    return [tf.add_n(layer) for layer in zip(*layers_of_tiles, strict=True)]


def tiled_losses_and_gradient(model, image, targets):
    """Compute the losses of an image and their gradient in tiles. Not usable in a `tf.function`.

    Args:
        model: a `StyleTransfer`, whose terms of the objective are used.
        image: float32 (1, h, w, 3).
        targets: `style_transfer.Targets` with several tiles.

    Returns:
        ({name: loss}, gradient (1, h, w, 3)).
    """
    grams = sum_gram_matrices(model.gram_matrices_graph, image, targets.tiles)
    with tf.GradientTape() as tape:
        tape.watch([image, *grams])
        style = model.style_loss(grams, targets.grams, targets.region_weights)
        variation = total_variation(image)
        loss = model.weighted_sum(style, 0.0, variation)["image"]
    gradient, *gram_gradients = tape.gradient(loss, [image, *grams])
    gradient, content = gradient.numpy(), 0.0
    for tile, content_targets in zip(targets.tiles, targets.content, strict=True):
        tile_gradient, tile_content = model.tile_gradient_graph(
            tile.crop(image), tile.weights, gram_gradients, content_targets, targets.content_scales
        )
        gradient[:, tile.rows, tile.columns] += tile_gradient
        content += tile_content
    return model.weighted_sum(style, content, variation), tf.constant(gradient)


def tile_gradient(model, image, weights, gram_gradients, content_targets, content_scales):
    """Compute a tile's contribution to the gradient and to the content error.

    Args:
        model: a `StyleTransfer`.
        image: float32 (1, h, w, 3), the tile with its margin.
        weights: see `Tile`.
        gram_gradients: gradient of the loss with respect to the Gram matrices of the whole image.
        content_targets: features of the content in this tile, see `style_transfer.Targets`.
        content_scales: see `style_transfer.Targets`.

    Returns:
        (gradient (1, h, w, 3), content error).
    """
    with tf.GradientTape() as tape:
        tape.watch(image)
        features = model.extract_features(image)
        error = model.content_loss(features, content_targets, content_scales)
        grams = model.gram_matrices_of(features, weights)
        # The gradient of these products is that of the loss through the Gram matrices.
        products = [
            tf.reduce_sum(gradient * gram)
            for gradient, gram in zip(gram_gradients, grams, strict=True)
        ]
        loss = tf.add_n(products) + model.config.content_weight * error
    return tape.gradient(loss, image), error


class AnySizeFunction:
    """`tf.function` that is traced once for images of all sizes.

    Args:
        function: a function of nested tensors. The height and width of images and features
            (n, h, w, c) and of weights (h, w) may differ from call to call.
    """

    def __init__(self, function):
        self.function, self.graphs = function, {}

    def __call__(self, *args):
        signature = tf.nest.map_structure(any_size_spec, args)
        key = str(signature)
        if key not in self.graphs:
            self.graphs[key] = tf.function(self.function, input_signature=signature)
        return self.graphs[key](*args)


def any_size_spec(tensor):
    """Return the `tf.TensorSpec` of a tensor, without the sizes of its spatial axes."""
    spatial = {4: (1, 2), 2: (0, 1)}.get(tensor.shape.rank, ())
    shape = [None if axis in spatial else size for axis, size in enumerate(tensor.shape)]
    return tf.TensorSpec(shape, tensor.dtype)
