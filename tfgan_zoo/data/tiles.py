"""Apply a function to a large image in overlapping tiles."""

import itertools

import numpy as np


def apply_in_tiles(function, image, tile, overlap):
    """A function of images over an image in tiles: (h, w, c) -> (h, w, c').

    Args:
        function: uint8 or uint16 (h, w, c) -> the same (h, w, c').
        image: of more than tile x tile pixels; a smaller one goes through at once.
        tile: pixels, more than overlap; 0: always at once.
        overlap: pixels over which the weight of a tile falls linearly from 1 to 0, as its neighbour's rises.
    """
    height, width = image.shape[:2]
    if not tile or height * width <= tile * tile:
        return function(image)
    rows, columns = tile_weights(height, tile, overlap), tile_weights(width, tile, overlap)
    out, begun = (
        None,
        np.zeros((0, 1, 1), np.float32),
    )  # what earlier rows of tiles give to the next one: no sum of the whole is kept
    for i, (top, share) in enumerate(rows):
        parts = [function(image[top : top + tile, left : left + tile]) for left, _ in columns]
        if out is None:
            out = np.empty((height, width, parts[0].shape[-1]), parts[0].dtype)
        band = np.zeros((len(share), width, out.shape[-1]), np.float32)
        for (left, across), part in zip(columns, parts, strict=True):
            band[:, left : left + tile] += share[:, None, None] * across[:, None] * part
        band[: len(begun)] += begun
        end = rows[i + 1][0] if i + 1 < len(rows) else height
        out[top:end] = np.round(band[: end - top])
        begun = band[end - top :]
    return out


def tile_weights(length, tile, overlap):
    """Tiles along an axis, evenly spread from end to end: a list of (where one begins, its weights float32 (min(tile, length),)).

    The weights at a pixel add up to 1. From one tile to the next they change in the middle of what both have, away from the tiles' ends,
    where a network knows least.
    """
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    tile = min(tile, length)
    begins = [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]
    seams = [
        -np.inf,
        *((begin + tile + after) / 2 for begin, after in itertools.pairwise(begins)),
        np.inf,
    ]

    def after(seam, pixels):
        return np.clip((pixels - seam) / max(overlap, 1) + 0.5, 0, 1)

    found = []
    for begin, (left, right) in zip(begins, itertools.pairwise(seams), strict=True):
        pixels = begin + np.arange(tile) + 0.5
        found.append((begin, (after(left, pixels) - after(right, pixels)).astype(np.float32)))
    return found
