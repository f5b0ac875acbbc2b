"""Translate image files with a trained model.

An image larger than a tile is translated in overlapping tiles that are blended. The memory for the
network is then independent of the image size; only the image and its translation must fit into
memory. A network that normalizes each image uses the statistics of the whole image in all tiles,
see `tiled_network`.
"""

import functools

import numpy as np

from tfgan_zoo.data import image_file
from tfgan_zoo.data.tiles import needs_tiles
from tfgan_zoo.errors import MAX_SEED, UserError, check_range
from tfgan_zoo.inference import image_files
from tfgan_zoo.saving.exported import ExportedTranslator
from tfgan_zoo.visualize import pad_to_common_size


def translate(
    model,
    sources,
    output,
    direction="xy",
    seed=0,
    tile=1024,
    overlap=128,
    compare=False,
    overwrite=False,
    progress=None,
):
    """Translate image files one after another.

    Args:
        model: a `TranslationModel` or an `ExportedTranslator`.
        sources: paths of images (or .npy arrays), folders (with their subfolders) or glob patterns.
        output: for one image a file or a folder, for several images a folder, in which names and
            subfolders are kept. Files inside of it are not used as inputs. A name whose suffix
            cannot hold the result, such as .gif, gets .png, or .npy if it is not an image.
        direction: "xy" or "yx".
        seed: seed of the noise of a stochastic model, from 0 to 2^31 - 1.
        tile: images of more than tile x tile pixels are translated in tiles; 0: never.
        overlap: number of pixels over which neighboring tiles are blended, less than `tile`.
        compare: if True, the file shows input and output side by side, with 8 bits per channel.
        overwrite: if True, existing files may be replaced.
        progress: function (number of images done, number of images, path), called before each
            image.

    Returns:
        A dict with two lists: translated [{input, output, width, height}], and failed
        [{input, error}] for images that cannot be read, do not fit into memory or do not fit into
        their file format.

    Raises:
        UserError: if there are no images, an output exists or cannot be written, or the model does
            not have the direction.
    """
    channels = model.channels(direction)  # also checks the direction
    check_range(0, MAX_SEED, seed=seed, tile=tile, overlap=overlap)
    if 0 < tile < 32:
        raise UserError(f"tile must be at least 32 pixels or 0, got {tile}.")
    if tile and tile <= overlap:
        raise UserError(f"tile must be larger than overlap, got tile={tile} and overlap={overlap}.")
    keep_16_bits = not isinstance(model, ExportedTranslator)  # exported models take uint8 only

    def read(source, target):
        image = image_file.read_image(source, channels[0])
        if keep_16_bits and image_files.holds_16_bits(target, channels[1]):
            return image
        return image_file.to_8_bits(image)

    @functools.cache
    def tiled_network():
        from tfgan_zoo.inference.tiled_network import TiledNetwork  # imports Keras, which is slow

        network = model.zoo_model if isinstance(model, ExportedTranslator) else model
        return TiledNetwork(
            lambda images, seed: network.map(images, direction, seed),
            network.config.multiple,
            network.config.smallest,
        )

    def convert(image, target):
        if needs_tiles(image.shape[:2], tile):
            translated = tiled_network()(image, tile, overlap, seed)
        else:
            translated = model.translate(image, direction, seed)
        if compare:
            translated = np.concatenate(pad_to_common_size([image, translated]), axis=1)
        return translated, {}

    suffixes = image_files.suffixes_for_channels(channels[1])
    if compare:
        suffixes = tuple(image_files.IMAGE_FORMATS)
    memory_advice = f"a tile below {tile}" if tile else "tiles"
    translated, failed = image_files.convert_images(
        sources, output, suffixes, read, convert, memory_advice, overwrite, progress
    )
    return {"translated": translated, "failed": failed}
