"""Stylize image files by optimization (Gatys et al. 2016) or with a trained network.

`stylize` handles files, transparency and colors. It calls a stylizer for each image, a function
that `gatys.gatys_stylizer` or `network_stylizer` returns.
"""

import functools
import pathlib
import tempfile

import numpy as np

from tfgan_zoo.data import builtin_images, image_file
from tfgan_zoo.data.color_transfer import histogram_matcher, keep_colors, match_color_statistics
from tfgan_zoo.data.image_file import composite_on_white
from tfgan_zoo.data.tiles import apply_in_tiles, needs_tiles, pad_to_multiple
from tfgan_zoo.data.transforms import resize_longer_side
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.inference import image_files
from tfgan_zoo.model_methods import normalized_weights
from tfgan_zoo.saving.exported import ExportedStylizer

STYLE_SIDE = 1024  # networks resize the longer side of a larger style image to this
COLOR_MODES = ("style", "keep", "match", "histogram")


# --- files


def stylize(
    stylizer,
    sources,
    output,
    size=0,
    colors="style",
    overwrite=False,
    progress=None,
    comparison=None,
):
    """Stylize image files one after another.

    Args:
        stylizer: function (content, color function) -> (stylized image, details), see
            `gatys_stylizer` and `network_stylizer`. Images are uint8 (h, w, 3). The color function
            adapts the colors of a style to the content. The dict `details` is added to the
            image's record.
        sources: paths of images, folders (with their subfolders), glob patterns, or names in
            `builtin_images.PHOTOGRAPHS`.
        output: for one image a file or a folder. For several a folder, in which names and
            subfolders are kept.
        size: longer side of the results in pixels. 0: the size of the input.
        colors: "style": the colors of the style. "keep": the colors of the content with the
            brightness of the stylized image. "match" or "histogram": the style with the colors of
            the content, by a linear map or channel by channel.
        overwrite: whether existing files may be replaced.
        progress: function (number of images done, number of images, path), called before each
            image.
        comparison: function (stylized image, content) -> scores for the image's record, such as
            `evaluation.style.StyleComparison`.

    Returns:
        A dict: stylized [{input, output, width, height, ...}], failed [{input, error}].

    Raises:
        UserError: no images, or an output that exists or cannot be written.
    """
    check_choice("colors", colors, COLOR_MODES)

    def read(source, target):
        channels = 3 if source.suffix.lower() == ".npy" else 4
        image = image_file.to_8_bits(image_file.read_image(source, channels, size))
        if image.shape[2] == 4:
            return image
        return np.pad(image, ((0, 0), (0, 0), (0, 1)), constant_values=255)

    def convert(image, target):
        # Composite on white before resizing, so that no color of transparent pixels shows.
        content, alpha = composite_on_white(image), image[..., 3:]
        if size:
            content, alpha = (resize_longer_side(part, size, 1) for part in (content, alpha))
        color_functions = {
            "match": lambda style: match_color_statistics(style, content),
            "histogram": lambda style: histogram_matcher([content])(style),
        }
        result, details = stylizer(content, color_functions.get(colors, lambda style: style))
        if colors == "keep":
            result = keep_colors(result, content)
        if comparison:
            details = {**details, "scores": comparison(result, content)}
        # Add the transparency of the content, which the stylizer does not see.
        has_alpha = target.suffix.lower() in image_files.suffixes_for_channels(4)
        if alpha.min() < 255 and has_alpha:
            result = np.concatenate([result, alpha], axis=-1)
        return result, {**details, "width": result.shape[1], "height": result.shape[0]}

    memory_advice = "a smaller --size, or a smaller --tile"
    with tempfile.TemporaryDirectory() as folder:
        files = {str(source): builtin_image_file(str(source), folder) for source in sources}
        stylized, failed = image_files.convert_images(
            files.values(),
            output,
            tuple(image_files.IMAGE_FORMATS),
            read,
            convert,
            memory_advice,
            overwrite,
            progress,
        )
        names = {file: name for name, file in files.items()}
        for record in (*stylized, *failed):
            record["input"] = names.get(record["input"], record["input"])
    return {"stylized": stylized, "failed": failed}


def builtin_image_file(source, folder):
    """Return a source's path; a built-in photograph is written into the folder first."""
    if source not in builtin_images.PHOTOGRAPHS or pathlib.Path(source).exists():
        return source
    path = pathlib.Path(folder) / f"{source}.png"
    image_files.write_image(builtin_images.photograph(source), path)
    return str(path)


# --- trained networks


def network_stylizer(model, styles=(), tile=1024, **options):
    """Return a stylizer that uses a trained model.

    Args:
        model: a `FastStyle` or `AdaIN`, or an exported one.
        styles: list of uint8 (h, w, 3), empty for `FastStyle`. Styles of more than 1,024 pixels
            are resized to 1,024.
        tile: side in pixels of the tiles in which larger images are stylized. 0: no tiles.
        **options: arguments of `AdaIN.stylize`: alpha, style_weights.

    Returns:
        A function for `stylize`.
    """
    if tile and tile < 64:
        raise UserError(f"tile must be at least 64 pixels or 0, got {tile}.")
    if styles:
        normalized_weights(options.get("style_weights"), len(styles))  # before any work
    styles = [resize_longer_side(style, min(max(style.shape), STYLE_SIDE)) for style in styles]
    overlap = tile // 8

    @functools.cache
    def tiled_network():
        from tfgan_zoo.inference.tiled_network import TiledNetwork  # imports Keras, which is slow

        network = model.zoo_model if isinstance(model, ExportedStylizer) else model
        return TiledNetwork(
            lambda images, seed: network.stylize_tensor(images), network.multiple, network.smallest
        )

    def stylizer(content, adapt_colors):
        if not styles:
            if needs_tiles(content.shape[:2], tile):
                return tiled_network()(content, tile, overlap), {}
            return model.stylize(content), {}
        own = model.moments(resize_longer_side(content, min(max(content.shape), STYLE_SIDE)))
        adapted = [adapt_colors(style) for style in styles]
        if not needs_tiles(content.shape[:2], tile):
            return model.stylize(content, adapted, own=own, **options), {}
        # The statistics of the whole image are used for all tiles.
        padded, top, left = pad_to_multiple(content, model.multiple)
        result = apply_in_tiles(
            lambda part: model.stylize(part, adapted, own=own, **options),
            padded,
            tile,
            overlap,
            model.multiple,
        )
        return result[top : top + content.shape[0], left : left + content.shape[1]], {}

    return stylizer
