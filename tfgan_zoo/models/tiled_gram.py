"""The gradient of Gram-matrix losses in bounded memory: an image is processed in tiles."""

import dataclasses
import re

import numpy as np
import tensorflow as tf

from tfgan_zoo.errors import UserError
from tfgan_zoo.features.vgg import VGG19_BLOCKS


@dataclasses.dataclass(frozen=True)
class Tile:
    """The pixels that are needed for a tile: it and what its features see around it."""

    rows: slice
    columns: slice


def needs_tiles(size, tile):
    """Whether an image of a size (h, w) is looked at in parts."""
    return bool(tile) and size[0] * size[1] > tile * tile


def receptive_radius(layers):
    """How far the values of layers such as block4_conv2 see to either side, in pixels, up to a multiple of 16.

    Raises:
        UserError: layers of another name, or deeper than 16 pixels a step.
    """
    farthest = 0
    for layer in layers:
        found = re.fullmatch(r"block([1-5])_conv([1-4])", layer)
        if not found:
            raise UserError(
                f"only VGG19's layers are looked at in tiles: set --tile 0, received the layer {layer}"
            )
        block, number = int(found[1]), int(found[2])
        before = sum(
            count * 2**b + 2**b for b, count in enumerate(VGG19_BLOCKS[: block - 1])
        )  # convolutions of 3x3, and a pooling
        farthest = max(farthest, before + number * 2 ** (block - 1))
    return -(-farthest // 16) * 16


def tile_bounds(length, tile):
    """[(from, to)] of the tiles along an axis."""
    begins = range(0, length, tile or length)
    return [(begin, min(begin + (tile or length), length)) for begin in begins]


def position_weights(weights, stride, vertical, horizontal, rows, columns):
    """The weights of positions within the tile, 0 for those around it: (regions, h, w) -> [(h', w')]."""
    weights = weights.numpy()
    kept = np.zeros_like(weights)
    inner = [
        slice(begin // stride, end // stride if end % 16 == 0 else None)
        for begin, end in (vertical, horizontal)
    ]
    kept[:, inner[0], inner[1]] = weights[:, inner[0], inner[1]]
    outer = [slice(side.start // stride, side.stop // stride) for side in (rows, columns)]
    return [tf.constant(region) for region in kept[:, outer[0], outer[1]]]
