"""Pictures in the style of others: by optimisation (Gatys et al. 2016), from coarse to fine, or by a trained network.

Coarse to fine: the picture is optimised small, enlarged by sqrt 2, optimised again. What it is about is settled where a step costs little,
and at full size only detail is left to do.
"""

import math
import pathlib
import tempfile

import numpy as np

from tfgan_zoo.data import builtin_images, image_folder
from tfgan_zoo.data.color_transfer import histogram_matcher, keep_colors, match_color_statistics
from tfgan_zoo.data.tiles import apply_in_tiles
from tfgan_zoo.data.transforms import resize, resize_longer_side
from tfgan_zoo.errors import UserError, check_choice
from tfgan_zoo.inference import image_files
from tfgan_zoo.models.style_transfer import Objective, feature_layers, transfer_style
from tfgan_zoo.models.tiled_gram import needs_tiles, receptive_radius

COLOR_MODES = ("style", "keep", "match", "histogram")


# --- files


def stylize(
    painter, sources, output, size=0, colour="style", overwrite=False, progress=None, judge=None
):
    """Stylises pictures, one after another.

    Args:
        painter: (content uint8 (h, w, 3), function for styles) -> (uint8 (h, w, 3), a dict of what to say); see `by_optimisation` and
            `by_network`. The function gives a style the content's colours, or leaves it as it is.
        sources: paths of pictures, folders (with their sub-folders), glob patterns, or names in `embedded.PHOTOGRAPHS`.
        output: for one picture a file or a folder; for several a folder, in which names and sub-folders are kept.
        size: pixels of the result's longer side; 0: the picture's own size.
        colour: "style"; "keep", the content's own with the style's brightness; "match" or "histogram", the style in the content's
            colours, by a linear map or channel by channel.
        overwrite: whether files that are already there may be replaced.
        progress: a function (number done, number of all, path), called before each picture.
        judge: a function (picture, content) -> what is told as the picture's scores, such as `style_scores.Judge`.

    Returns:
        A dict: stylized [{input, output, width, height, ...}], failed [{input, error}].

    Raises:
        UserError: nothing to stylise, or an output that is already there or cannot be written.
    """
    check_choice("colors", colour, COLOR_MODES)

    def read(source, target):
        image = image_folder.to_8_bits(
            image_folder.read_image(source, 3 if source.suffix.lower() == ".npy" else 4)
        )
        return (
            image
            if image.shape[2] == 4
            else np.pad(image, ((0, 0), (0, 0), (0, 1)), constant_values=255)
        )

    def make(image, target):
        # on white first: what is transparent must not shine through when it is resized
        flat, alpha = (
            resize_longer_side(part, size, 1) if size else part
            for part in (composite_on_white(image), image[..., 3:])
        )
        ways = {
            "match": match_color_statistics,
            "histogram": lambda style, content: histogram_matcher([content])(style),
        }
        recolour = ways.get(colour, lambda style, content: style)
        picture, told = painter(flat, lambda style: recolour(style, flat))
        picture = keep_colors(picture, flat) if colour == "keep" else picture
        told |= {"scores": judge(picture, flat)} if judge else {}
        if alpha.min() < 255 and target.suffix.lower() in image_files.suffixes_for_channels(
            4
        ):  # kept aside, since a network knows nothing of it
            picture = np.concatenate([picture, alpha], axis=-1)
        return picture, {**told, "width": picture.shape[1], "height": picture.shape[0]}

    smaller = "a smaller --size, or a smaller --tile"
    with tempfile.TemporaryDirectory() as folder:
        given = {str(source): builtin_image_file(str(source), folder) for source in sources}
        done, failed = image_files.convert_images(
            given.values(),
            output,
            tuple(image_files.IMAGE_FORMATS),
            read,
            make,
            smaller,
            overwrite,
            progress,
        )
        names = {path: name for name, path in given.items()}
        for each in (*done, *failed):
            each["input"] = names.get(each["input"], each["input"])
    return {"stylized": done, "failed": failed}


def builtin_image_file(source, folder):
    """The path of a source: itself, or that of an embedded photograph, written into the folder."""
    if source not in builtin_images.PHOTOGRAPHS or pathlib.Path(source).exists():
        return source
    path = pathlib.Path(folder) / f"{source}.png"
    image_files.write_image(builtin_images.photograph(source), path)
    return str(path)


def composite_on_white(image):
    """uint8 (h, w, 4) -> (h, w, 3)."""
    share = image[..., 3:] / 255.0
    return np.round(image[..., :3] * share + 255.0 * (1.0 - share)).astype(np.uint8)


def network_stylizer(model, styles=(), tile=1024, **options):
    """A painter for `stylize`: a trained model.

    Args:
        model: a `FastStyle` or `AdaIN`, or an exported one.
        styles: uint8 (h, w, 3) each; none for `FastStyle`. Those of more than 1,024 pixels are made smaller.
        tile: larger pictures go in tiles of so many pixels; 0: never.
        **options: of the model's `stylize`: alpha, style_weights.
    """
    if tile and tile < 64:
        raise UserError(f"a tile must have at least 64 pixels, received tile={tile}")
    styles = [resize_longer_side(style, min(max(style.shape), 1024)) for style in styles]

    def paint(content, recolour):
        more = {}
        if styles:  # all tiles are normalised alike
            own = model.moments(resize_longer_side(content, min(max(content.shape), 1024)))
            more = {"styles": [recolour(style) for style in styles], "own": own, **options}
        return apply_in_tiles(
            lambda part: model.stylize(part, **more), content, tile, tile // 8
        ), {}

    return paint


def gatys_stylizer(styles, config, say=lambda line: None, masks=None, tile=1024, **options):
    """A painter for `stylize`; see `paint` for the arguments.

    Args:
        say: a function for a line about what is going to happen.
        masks: uint8 (h, w) for each style, of any size.
    """
    look = config.feature_network(feature_layers(config))
    objective = Objective(config, look)

    def painter(content, recolour):
        sizes = [
            content.shape[:2],
            *(resize_longer_side(style, max(content.shape)).shape[:2] for style in styles),
        ]
        say(
            f"{content.shape[1]}x{content.shape[0]}: about {estimate_memory(sizes, config, look, tile) / 2**30:.1f} GiB of memory"
        )
        wanted = [recolour(style) for style in styles]
        regions = (
            None
            if masks is None
            else [resize(mask[..., None], *content.shape[:2])[..., 0] for mask in masks]
        )
        painting = transfer_style(
            content, wanted, config, objective=objective, masks=regions, tile=tile, **options
        )
        told = {
            "seconds": round(painting.seconds, 1),
            "losses": painting.losses,
            "finished": painting.finished,
        }
        return painting.picture, told

    return painter


def estimate_memory(sizes, config, look, tile):
    """About how many bytes an optimisation takes at its peak: the features of what is looked at at once and their gradients, and the
    optimizer's history.

    Args:
        sizes: (h, w) of the picture, and of the styles.
    """
    around = 2 * receptive_radius(feature_layers(config)) if tile else 0
    areas = [
        min(h, tile + around) * min(w, tile + around) if needs_tiles((h, w), tile) else h * w
        for h, w in sizes
    ]
    history = {"lbfgs": 30, "adam": 4}[config.optimizer] * 3 * math.prod(sizes[0]) * 4
    return int(4 * 2 * look.floats_per_pixel * max(areas) + history) + 2**27
