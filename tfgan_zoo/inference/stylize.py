"""Stylize image files by optimization (Gatys et al. 2016) or with a trained network.

`stylize` handles files, transparency and colors. It calls a stylizer for each image, a function
that `gatys_stylizer` or `network_stylizer` returns.
"""

import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import tempfile
import time

import numpy as np

from tfgan_zoo.data import builtin_images, image_file
from tfgan_zoo.data.color_transfer import histogram_matcher, keep_colors, match_color_statistics
from tfgan_zoo.data.image_file import composite_on_white
from tfgan_zoo.data.tiles import apply_in_tiles
from tfgan_zoo.data.transforms import resize, resize_longer_side, to_uint8
from tfgan_zoo.errors import UserError, check_choice, first_line
from tfgan_zoo.files import atomic_write
from tfgan_zoo.inference import image_files
from tfgan_zoo.inference.tiled_network import TiledNetwork, pad_to_multiple
from tfgan_zoo.models.style_transfer import (
    DescentState,
    StyleTransfer,
    check_style_options,
    resize_image,
)
from tfgan_zoo.models.stylization import check_image, normalized_weights
from tfgan_zoo.models.tiled_gram import needs_tiles, receptive_radius
from tfgan_zoo.saving.exported import ExportedStylizer

STYLE_SIDE = 1024  # networks resize the longer side of a larger style image to this
COLOR_MODES = ("style", "keep", "match", "histogram")
SAVE_EVERY = 20  # iterations of an optimization between two saved states


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


# --- optimization


def gatys_stylizer(
    styles,
    config,
    say=lambda line: None,
    progress=None,
    masks=None,
    tile=1024,
    folder=None,
    **options,
):
    """Return a stylizer that optimizes each image.

    On Ctrl-C the stylizer returns the best image so far.

    Args:
        styles: list of uint8 (h, w, 3).
        config: a `StyleTransferConfig`.
        say: function of one line: the memory that an image will need, a damaged saved state.
        progress: function (size as (h, w), number of iterations, iteration, {name: loss}), called
            after every iteration.
        masks: uint8 (h, w) for each style, of any size.
        tile: see `StyleTransfer.stylize`.
        folder: a `pathlib.Path` or None. An image that was interrupted is resumed from its state
            in this folder.
        **options: further arguments of `StyleTransfer.stylize`: style_weights, style_scale, seed.

    Returns:
        A function for `stylize`. Its details are the seconds, the losses at the end, and
        `finished`, False after Ctrl-C.
    """
    check_style_options(len(styles), **options)  # before the first image
    model = StyleTransfer(config)
    floats_per_pixel = model.extract_features.floats_per_pixel

    def stylizer(content, adapt_colors):
        check_image(content, "The content image", 32)  # before a folder for its state is created
        sizes = [content.shape[:2]]
        sizes += [resize_longer_side(style, max(content.shape)).shape[:2] for style in styles]
        gib = estimate_memory(sizes, config, floats_per_pixel, tile) / 2**30
        say(f"{content.shape[1]}x{content.shape[0]}: about {gib:.1f} GiB of memory")
        colored_styles = [adapt_colors(style) for style in styles]
        regions = masks and [resize(mask[..., None], *content.shape[:2])[..., 0] for mask in masks]
        settings = (dataclasses.asdict(config), options)
        saved = SavedState(folder, content, colored_styles, regions, settings)
        state = saved.read(say)

        def on_iteration(new_state):
            nonlocal state
            state = new_state
            if state.iteration % SAVE_EVERY == 0 or state.iteration == config.iterations:
                saved.write(state)
            if progress:
                size = state.image.shape[1:3]
                progress(size, config.iterations, state.iteration, state.losses)

        begin, finished = time.time(), True
        try:
            result = model.stylize(
                content,
                colored_styles,
                masks=regions,
                tile=tile,
                state=state,
                on_iteration=on_iteration,
                **options,
            )
        except KeyboardInterrupt:
            finished, result = False, content
            if state:
                saved.write(state)
                result = to_uint8(resize_image(state.image, *content.shape[:2]))[0].numpy()
        details = {
            "seconds": round(time.time() - begin, 1),
            "losses": state.losses if state else {},
            "finished": finished,
        }
        return result, details

    return stylizer


class SavedState:
    """State of an optimization on disk, from which it is resumed.

    The folder has a subfolder for each set of arguments, named by their digest. It contains
    state.npz, up to 23 float32 images with the state of L-BFGS, and the image at every size as a
    PNG file.

    Args:
        folder: a `pathlib.Path`, or None: nothing is read or written.
        content, styles, masks: the images, uint8; masks may be None.
        settings: everything else that the result depends on, as JSON values.
    """

    def __init__(self, folder, content, styles, masks, settings):
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for image in (content, *styles, *(masks or ())):
            digest.update(str(image.shape).encode() + np.ascontiguousarray(image).tobytes())
        self.folder = folder and folder / digest.hexdigest()[:12]
        if folder:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(
                    f"the folder for the state must be writable, got {folder} ({error.strerror})."
                ) from None

    def read(self, say):
        """Return the `DescentState`; None if there is none or, with a line, if it is damaged."""
        if not self.folder or not (self.folder / "state.npz").is_file():
            return None
        try:
            with np.load(self.folder / "state.npz") as stored:
                return DescentState(
                    stored["canvas"],
                    int(stored["margin"]),
                    int(stored["scale"]),
                    int(stored["iteration"]),
                    json.loads(str(stored["losses"])),
                    [stored[f"optimizer_{i}"] for i in range(int(stored["optimizer_count"]))],
                )
        except Exception as error:  # a damaged file raises errors of many types
            say(
                f"{self.folder / 'state.npz'} cannot be read ({first_line(error)}): "
                "starting this image again"
            )
            return None

    def write(self, state):
        """Write the state, and its image as a PNG file."""
        if not self.folder:
            return
        with atomic_write(self.folder / "state.npz") as partial:
            np.savez(
                partial,
                canvas=state.canvas,
                margin=state.margin,
                scale=state.scale,
                iteration=state.iteration,
                losses=json.dumps(state.losses),
                optimizer_count=len(state.optimizer),
                **{f"optimizer_{i}": array for i, array in enumerate(state.optimizer)},
            )
        height, width = state.image.shape[1:3]
        image = to_uint8(state.image)[0].numpy()
        image_files.write_image(image, self.folder / f"{width}x{height}.png")


def estimate_memory(sizes, config, floats_per_pixel, tile):
    """Estimate the peak memory of an optimization.

    The memory holds the features and gradients of one tile, and the history of the optimizer.

    Args:
        sizes: list of (h, w), of the content and of the styles.
        config: a `StyleTransferConfig`.
        floats_per_pixel: see `features.vgg.PerceptualNetwork`.
        tile: see `StyleTransfer.stylize`.

    Returns:
        Bytes.
    """
    margin = 2 * receptive_radius(config.feature_layers) if tile else 0
    areas = [
        min(h, tile + margin) * min(w, tile + margin) if needs_tiles((h, w), tile) else h * w
        for h, w in sizes
    ]
    history = {"lbfgs": 30, "adam": 8}[config.optimizer] * 3 * math.prod(sizes[0]) * 4
    return int(4 * 2 * floats_per_pixel * max(areas) + history) + 2**27
