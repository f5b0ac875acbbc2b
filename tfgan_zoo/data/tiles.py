"""Apply a function to a large image in overlapping tiles."""

import itertools

import numpy as np

from tfgan_zoo.data.transforms import mirror_indices


def needs_tiles(size, tile):
    """Return True if an image of this size (h, w) has more than tile x tile pixels."""
    return bool(tile) and size[0] * size[1] > tile * tile


def apply_in_tiles(function, image, tile, overlap, multiple=1):
    """Apply a function of images to an image in tiles that are blended.

    Args:
        function: uint8 or uint16 (h, w, c) -> the same dtype, (h, w, c').
        image: uint8 or uint16 (h, w, c). An image of at most tile x tile pixels is processed whole.
        tile: side of a tile in pixels, more than `overlap`; 0: process any image whole.
        overlap: number of pixels over which the weight of a tile falls linearly from 1 to 0 while
            that of its neighbor rises.
        multiple: positions and sides of the tiles are multiples of this, and so must be those of
            the image. `tile` is rounded down, or up if `overlap` leaves no other choice. A network
            with strides then computes the same feature maps for a tile as for the whole image.

    Returns:
        Array (h, w, c') with the dtype of the function's results.
    """
    height, width = image.shape[:2]
    if not tile or height * width <= tile * tile:
        return function(image)
    tile = max(tile // multiple, 1 - (-overlap // multiple)) * multiple
    rows, columns = (tile_weights(side, tile, overlap, multiple) for side in (height, width))
    out = None
    carry = np.zeros((0, 1, 1), np.float32)  # sum over earlier rows of tiles, to save memory
    for i, (top, row_weights) in enumerate(rows):
        tiles = [function(image[top : top + tile, left : left + tile]) for left, _ in columns]
        if out is None:
            out = np.empty((height, width, tiles[0].shape[-1]), tiles[0].dtype)

        # Add the weighted tiles of this row to what earlier rows contribute.
        band = np.zeros((len(row_weights), width, out.shape[-1]), np.float32)
        for (left, column_weights), result in zip(columns, tiles, strict=True):
            weights = row_weights[:, None, None] * column_weights[:, None]
            band[:, left : left + tile] += weights * result
        band[: len(carry)] += carry

        # Write the lines that no later row of tiles changes.
        end = rows[i + 1][0] if i + 1 < len(rows) else height
        out[top:end] = np.round(band[: end - top])
        carry = band[end - top :]
    return out


def tile_weights(length, tile, overlap, multiple=1):
    """Place tiles along an axis, evenly spaced from end to end.

    The weights at each pixel sum to 1. They change from one tile to the next in the middle of the
    pixels that both cover, away from the ends of the tiles, where a network has least context.

    Args:
        length: length of the axis in pixels, a multiple of `multiple`.
        tile: length of a tile in pixels, a multiple of `multiple`.
        overlap: number of pixels over which the weights change.
        multiple: every tile starts at a multiple of this.

    Returns:
        A list of (start, weights); weights is float32 (min(tile, length),).
    """
    tile = min(tile, length)
    distance = (length - tile) // multiple  # of the last tile from the first, in multiples
    gaps = -(-distance // ((tile - overlap) // multiple)) if distance else 0
    starts = [round(i * distance / max(1, gaps)) * multiple for i in range(gaps + 1)]
    middles = [(start + tile + after) / 2 for start, after in itertools.pairwise(starts)]
    seams = [-np.inf, *middles, np.inf]

    def ramp(seam, pixels):
        return np.clip((pixels - seam) / max(overlap, 1) + 0.5, 0, 1)

    tiles = []
    for start, (left, right) in zip(starts, itertools.pairwise(seams), strict=True):
        pixels = start + np.arange(tile) + 0.5
        tiles.append((start, (ramp(left, pixels) - ramp(right, pixels)).astype(np.float32)))
    return tiles


def pad_to_multiple(image, multiple, smallest=0):
    """Mirror an image at its borders until its sides are multiples, as `apply_at_any_size` does.

    Returns:
        (padded image, top, left); the last two are the position of the image in it.
    """
    sides = image.shape[:2]
    (rows, top), (columns, left) = (mirror_indices(side, multiple, smallest) for side in sides)
    if (len(rows), len(columns)) != sides:
        image = image[rows.numpy()][:, columns.numpy()]
    return image, int(top), int(left)
