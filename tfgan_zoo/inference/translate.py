"""translate(model, sources, output): picture files in, translated picture files of the same sizes out.

An image larger than a tile is translated in tiles that overlap and fade into each other: what the network needs does not grow with the
image, which itself must fit in memory, once as it is and once translated. Where the network normalises each image by its own
statistics, a tile's are those of the tile: colours may drift from one to the next.
"""

import numpy as np

from tfgan_zoo.data import image_folder
from tfgan_zoo.data.tiles import apply_in_tiles
from tfgan_zoo.errors import UserError, check_at_least
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
        raise UserError(
            f"a tile must be larger than the overlap, received tile={tile} and overlap={overlap}"
        )

    def read(source, target):
        image = image_folder.read_image(source, channels[0])
        # an exported model knows 8 bits alone
        deep = image_files.holds_16_bits(target, channels[1]) and not isinstance(
            model, ExportedTranslator
        )
        return image if deep else image_folder.to_8_bits(image)

    def make(image, target):
        out = apply_in_tiles(
            lambda part: model.translate(part, direction, seed), image, tile, overlap
        )
        return np.concatenate(pad_to_common_size([image, out]), axis=1) if compare else out, {}

    suffixes = (
        tuple(image_files.IMAGE_FORMATS)
        if compare
        else image_files.suffixes_for_channels(channels[1])
    )
    smaller = f"a tile below {tile}" if tile else "tiles"
    translated, failed = image_files.convert_images(
        sources, output, suffixes, read, make, smaller, overwrite, progress
    )
    return {"translated": translated, "failed": failed}
