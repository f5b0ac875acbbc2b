"""translate(model, sources, output): picture files in, translated picture files of the same sizes out.

An image larger than a tile is translated in tiles that overlap and fade into each other: what the network needs does not grow with the
image, which itself must fit in memory, once as it is and once translated. Where the network normalises each image by its own
statistics, a tile's are those of the tile: colours may drift from one to the next.
"""

import itertools

import numpy as np

from tfgan_zoo import files
from tfgan_zoo.config import UserError, check_at_least
from tfgan_zoo.data import folders
from tfgan_zoo.export import ExportedTranslator
from tfgan_zoo.models.translation import on_one_size


def translate(model, sources, output, direction="xy", seed=0, tile=1024, overlap=128, compare=False, overwrite=False, progress=None):
    """Translates pictures, one after another.

    Args:
        model: a translation model, or an exported one.
        sources: paths of pictures (or .npy arrays), folders (with their sub-folders) or glob patterns.
        output: for one picture a file or a folder; for several a folder, in which names and sub-folders are kept. What is within it is
            no input. A name whose suffix cannot hold the result, such as .gif, gets .png, or .npy if it is no picture.
        direction: "xy" or "yx".
        seed: of the noise, if the model has any.
        tile: pixels; images of more than tile x tile are translated in tiles. 0: always at once.
        overlap: pixels over which neighbouring tiles fade into each other.
        compare: whether the file shows input and output side by side, as a picture of 8 bits.
        overwrite: whether files that are already there may be replaced.
        progress: a function (number done, number of all, path), called before each picture.

    Returns:
        A dict: translated [{input, output, width, height}], failed [{input, error}] of files that cannot be read, held in memory or
        held by their format.

    Raises:
        UserError: nothing to translate, an output that is already there or cannot be written, or a direction that the model lacks.
    """
    channels = model.channels(direction)  # refuses a direction that the model does not have
    check_at_least(0, seed=seed, tile=tile, overlap=overlap)
    if seed >= 2**31:
        raise UserError(f"a seed must be below 2^31, received seed={seed}")
    if tile and tile <= overlap:
        raise UserError(f"a tile must be larger than the overlap, received tile={tile} and overlap={overlap}")

    def read(source, target):
        image = folders.read(source, channels[0])
        # an exported model knows 8 bits alone
        deep = files.holds_16_bits(target, channels[1]) and not isinstance(model, ExportedTranslator)
        return image if deep else folders.to_8_bits(image)

    def make(image, target):
        out = in_tiles(lambda part: model.translate(part, direction, seed), image, tile, overlap)
        return np.concatenate(on_one_size([image, out]), axis=1) if compare else out, {}

    suffixes = tuple(files.PICTURES) if compare else files.holders(channels[1])
    smaller = f"a tile below {tile}" if tile else "tiles"
    translated, failed = files.convert(sources, output, suffixes, read, make, smaller, overwrite, progress)
    return {"translated": translated, "failed": failed}


def in_tiles(function, image, tile, overlap):
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
    rows, columns = tiles(height, tile, overlap), tiles(width, tile, overlap)
    out, begun = None, np.zeros((0, 1, 1), np.float32)  # what earlier rows of tiles give to the next one: no sum of the whole is kept
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


def tiles(length, tile, overlap):
    """Tiles along an axis, evenly spread from end to end: a list of (where one begins, its weights float32 (min(tile, length),)).

    The weights at a pixel add up to 1. From one tile to the next they change in the middle of what both have, away from the tiles' ends,
    where a network knows least.
    """
    count = max(1, -(-(length - overlap) // (tile - overlap)))
    tile = min(tile, length)
    begins = [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]
    seams = [-np.inf, *((begin + tile + after) / 2 for begin, after in itertools.pairwise(begins)), np.inf]

    def after(seam, pixels):
        return np.clip((pixels - seam) / max(overlap, 1) + 0.5, 0, 1)

    found = []
    for begin, (left, right) in zip(begins, itertools.pairwise(seams), strict=True):
        pixels = begin + np.arange(tile) + 0.5
        found.append((begin, (after(left, pixels) - after(right, pixels)).astype(np.float32)))
    return found
