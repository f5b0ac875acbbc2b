"""Stylize images by optimization (Gatys et al. 2016), with a saved state of each image."""

import dataclasses
import hashlib
import json
import math
import time

import numpy as np

from tfgan_zoo.data.tiles import needs_tiles
from tfgan_zoo.data.transforms import resize, resize_longer_side, to_uint8
from tfgan_zoo.errors import UserError, first_line
from tfgan_zoo.files import atomic_write
from tfgan_zoo.inference import image_files
from tfgan_zoo.model_methods import check_image
from tfgan_zoo.models.style_transfer import (
    DescentState,
    StyleTransfer,
    check_style_options,
    resize_image,
)
from tfgan_zoo.models.tiled_gram import receptive_radius

SAVE_EVERY = 20  # iterations of an optimization between two saved states


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
