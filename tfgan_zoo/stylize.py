"""Pictures in the style of others: by optimisation (Gatys et al. 2016), from coarse to fine, or by a trained network.

Coarse to fine: the picture is optimised small, enlarged by sqrt 2, optimised again. What it is about is settled where a step costs little,
and at full size only detail is left to do.
"""

import dataclasses
import functools
import hashlib
import json
import pathlib
import tempfile
import time

import numpy as np
import scipy.optimize
import tensorflow as tf

from tfgan_zoo import files
from tfgan_zoo.config import UserError, check_choice
from tfgan_zoo.data import colours, embedded, folders, transforms
from tfgan_zoo.data.transforms import resize, to_longer
from tfgan_zoo.models.style_transfer import SIGHT, StyleTransfer
from tfgan_zoo.models.styling import shares_of
from tfgan_zoo.translate import in_tiles

COLOURS = ("style", "keep", "match", "histogram")


# --- files


def stylize(painter, sources, output, size=0, colour="style", overwrite=False, progress=None, judge=None):
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
    check_choice("colors", colour, COLOURS)

    def read(source, target):
        return folders.to_8_bits(folders.read(source, 4))

    def make(image, target):
        image = to_longer(image, size) if size else image
        flat, alpha = on_white(image), image[..., 3:]
        ways = {"match": colours.match_colours, "histogram": lambda style, content: colours.histogram_match([content])(style)}
        recolour = ways.get(colour, lambda style, content: style)
        picture, told = painter(flat, lambda style: recolour(style, flat))
        picture = colours.with_colours_of(picture, flat) if colour == "keep" else picture
        told |= {"scores": judge(picture, flat)} if judge else {}
        if alpha.min() < 255 and target.suffix.lower() in files.holders(4):  # kept aside, since a network knows nothing of it
            picture = np.concatenate([picture, alpha], axis=-1)
        return picture, {**told, "width": picture.shape[1], "height": picture.shape[0]}

    smaller = "a smaller --size, or a smaller --tile"
    with tempfile.TemporaryDirectory() as folder:
        given = {str(source): embedded_file(str(source), folder) for source in sources}
        done, failed = files.convert(given.values(), output, tuple(files.PICTURES), read, make, smaller, overwrite, progress)
        names = {path: name for name, path in given.items()}
        for each in (*done, *failed):
            each["input"] = names.get(each["input"], each["input"])
    return {"stylized": done, "failed": failed}


def embedded_file(source, folder):
    """The path of a source: itself, or that of an embedded photograph, written into the folder."""
    if source not in embedded.PHOTOGRAPHS or pathlib.Path(source).exists():
        return source
    path = pathlib.Path(folder) / f"{source}.png"
    files.write(embedded.photograph(source), path)
    return str(path)


def on_white(image):
    """uint8 (h, w, 4) -> (h, w, 3)."""
    share = image[..., 3:] / 255.0
    return np.round(image[..., :3] * share + 255.0 * (1.0 - share)).astype(np.uint8)


def by_network(model, styles=(), tile=1024, **options):
    """A painter for `stylize`: a trained model.

    Args:
        model: a `FastStyle` or `AdaIN`, or an exported one.
        styles: uint8 (h, w, 3) each; none for `FastStyle`.
        tile: larger pictures go in tiles of so many pixels; 0: never.
        **options: of the model's `stylize`: alpha, style_weights.
    """

    def paint(content, recolour):
        wanted = [recolour(style) for style in styles]
        return in_tiles(lambda part: model.stylize(part, *([wanted] if styles else []), **options), content, tile, tile // 8), {}

    return paint


def by_optimisation(styles, config, say=lambda line: None, progress=None, **options):
    """A painter for `stylize`: see `paint` for the arguments.

    Args:
        say: a function for a line about what is going to happen.
    """

    def painter(content, recolour):
        bytes_needed = memory(content.shape[:2], config, config.look((*config.style_layers, *config.content_layers)), options["tile"])
        say(f"{content.shape[1]}x{content.shape[0]}: about {bytes_needed / 2**30:.1f} GiB of memory")
        painting = paint(content, [recolour(style) for style in styles], config, progress=progress, **options)
        told = {"seconds": round(painting.seconds, 1), "losses": painting.losses, "finished": painting.finished}
        return painting.picture, told

    return painter


# --- optimisation


@dataclasses.dataclass
class Painting:
    """A picture, uint8 (h, w, 3), and how it came about."""

    picture: np.ndarray
    losses: dict  # at the end, at full size: image (the weighted sum), style, content, variation
    seconds: float
    finished: bool  # not if it was stopped by Ctrl-C


def paint(content, styles, config, *, style_weights=None, style_scale=1.0, masks=None, tile=1024, seed=0, folder=None, progress=None):
    """The content in the style, by optimisation.

    Args:
        content: uint8 (h, w, 3), at least 32 pixels; the picture has its size.
        styles: uint8 (h', w', 3) each; they are resized so that their longer sides are `style_scale` of the content's.
        config: a `StyleTransferConfig`.
        style_weights: how much each style counts.
        style_scale: below 1 for finer strokes, above for coarser ones.
        masks: uint8 (h, w) for each style, white where it belongs; without them the styles are blended.
        tile: images of more than tile x tile pixels have their gradient computed in tiles, in bounded memory; a multiple of 16. 0: never.
        seed: of init=noise.
        folder: a `pathlib.Path` for the picture at every size, and the state: called again with it, an interrupted painting goes on.
        progress: a function (size as (h, w), of how many iterations, iteration, losses), called after every iteration.

    Returns:
        `Painting`; after Ctrl-C the best so far.

    Raises:
        UserError: wrong arguments, or a folder that holds another painting.
    """
    check_arguments(content, styles, style_weights, style_scale, masks, tile)
    layers = tuple(dict.fromkeys((*config.style_layers, *config.content_layers)))
    look = config.look(layers)
    begin, sizes = time.time(), scales(content.shape[:2], config.smallest)
    state = State(folder, content, styles, masks, (dataclasses.asdict(config), style_weights, style_scale, seed))
    picture, first, done = state.read()
    finished, losses = True, {}
    for level, (height, width) in list(enumerate(sizes))[first:]:
        small = resize(content, height, width)
        targets = [to_longer(style, round(max(height, width) * style_scale)) for style in styles]
        regions = None if masks is None else [resize(mask[..., None], height, width)[..., 0] / np.float32(255) for mask in masks]
        start = beginning(config.init, small, targets[0], seed) if picture is None else enlarged(picture, height, width)
        in_parts = tile if needs_tiles((height, width), tile) else 0
        targets = [as_batch(style) for style in targets]
        model = StyleTransfer(config, look, as_batch(small), targets, start, style_weights, regions, in_parts)
        iterations = config.iterations if level == 0 else max(20, config.iterations // 2)
        say = functools.partial(progress or (lambda *_: None), (height, width), iterations)
        descent = Descent(model, iterations, done, say)
        finished = descent.run()
        picture, losses = descent.pixels, descent.losses
        state.write(picture, level, descent.count, finished)
        if not finished:
            break
        done = 0
    whole = enlarged(picture, *content.shape[:2])
    return Painting(transforms.to_uint8(whole)[0].numpy(), losses, time.time() - begin, finished)


def enlarged(picture, height, width):
    """float32 (1, h, w, 3) in [-1, 1] -> the same of another size."""
    return tf.clip_by_value(tf.image.resize(picture, (height, width), "bicubic"), -1.0, 1.0).numpy()


def scales(size, smallest):
    """The sizes from coarse to fine, [(h, w), ...]: the longer side grows by sqrt 2 from about `smallest` to the picture's own."""
    longer = max(size)
    count = max(0, round(2 * np.log2(longer / smallest))) if longer > smallest else 0
    smaller = [tuple(round(side / 2 ** (i / 2)) for side in size) for i in range(count, 0, -1)]
    return [each for each in smaller if min(each) >= 32] + [tuple(size)]


def beginning(init, content, style, seed):
    """float32 (1, h, w, 3) in [-1, 1]."""
    if init == "noise":
        return np.random.default_rng(seed).uniform(-0.5, 0.5, (1, *content.shape)).astype(np.float32)
    return as_batch(content if init == "content" else resize(style, *content.shape[:2]))


def as_batch(image):
    return transforms.to_float(image)[None]


class Descent:
    """The way of a `StyleTransfer` downhill, by its config's optimizer.

    Args:
        model: the model.
        iterations: how many.
        done: how many of them are done already.
        progress: a function (iteration, losses).
    """

    def __init__(self, model, iterations, done, progress):
        self.model, self.iterations, self.count, self.progress = model, iterations, done, progress
        self.pixels, self.losses = model.start.numpy(), {"image": np.inf}  # the best so far

    def run(self):
        """Goes all the way: True; or until Ctrl-C: False."""
        try:
            self.lbfgs() if self.model.config.optimizer == "lbfgs" else self.adam()
        except KeyboardInterrupt:
            return False
        return True

    def see(self, pixels, losses):
        losses = {name: float(value) for name, value in losses.items()}
        if not np.isfinite(losses["image"]):
            raise UserError(f"the loss became {losses['image']}: lower the weights or the learning rate")
        if losses["image"] < self.losses["image"]:
            self.pixels, self.losses = np.array(pixels, np.float32), losses

    def told(self):
        self.count += 1
        self.progress(self.count, self.losses)

    def lbfgs(self):
        """L-BFGS-B (Zhu et al. 1997), which keeps pixels in their range."""
        shape = self.model.start.shape

        def value_and_gradient(flat):
            pixels = tf.constant(flat.reshape(shape), tf.float32)
            losses, gradient = self.model.value_and_gradient(pixels)
            self.see(pixels, losses)
            return float(losses["image"]), np.asarray(gradient, np.float64).ravel()

        scipy.optimize.minimize(
            value_and_gradient,
            self.pixels.ravel().astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            bounds=scipy.optimize.Bounds(-1.0, 1.0),
            callback=lambda _: self.told(),
            options={"maxiter": self.iterations - self.count, "maxfun": 2 * self.iterations, "maxcor": 10, "ftol": 0.0, "gtol": 0.0},
        )

    def adam(self):
        model = self.model
        model.compile(xla="off")
        for _ in range(self.iterations - self.count):
            pixels = tf.identity(model.canvas.pixels.value)
            losses, gradient = model.value_and_gradient(pixels)
            self.see(pixels, losses)
            model.image_optimizer.apply([gradient], [model.canvas.pixels])
            self.told()


class State:
    """What an interrupted painting goes on from, in a folder (or nowhere): the picture at every size, and state.npz."""

    def __init__(self, folder, content, styles, masks, settings):
        self.folder = folder
        sha = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for image in (content, *styles, *(masks or ())):
            sha.update(np.ascontiguousarray(image))
        self.digest = sha.hexdigest()

    def read(self):
        """(picture, level, iterations done there); at the very beginning (None, 0, 0).

        Raises:
            UserError: of another painting.
        """
        if self.folder is None or not (self.folder / "state.npz").is_file():
            return None, 0, 0
        with np.load(self.folder / "state.npz") as stored:
            if str(stored["digest"]) != self.digest:
                raise UserError(f"{self.folder} holds another painting (other images or settings): choose another --work-dir")
            return stored["picture"], int(stored["level"]), int(stored["done"])

    def write(self, picture, level, done, finished):
        """What is done; a size that is finished is not begun again."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "partial.npz"
        np.savez(partial, digest=self.digest, picture=picture, level=level + finished, done=0 if finished else done)
        partial.replace(self.folder / "state.npz")
        files.write(transforms.to_uint8(picture)[0].numpy(), self.folder / f"{picture.shape[2]}x{picture.shape[1]}.png")


# --- arguments and numbers


def check_arguments(content, styles, style_weights, style_scale, masks, tile):
    for image in (content, *styles):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f"images must be uint8 (h, w, 3), received {image.dtype} {image.shape}")
    if min(content.shape[:2]) < 32:
        raise UserError(f"a picture must have at least 32 pixels to each side, received {content.shape[1]}x{content.shape[0]}")
    shares_of(style_weights, len(styles))
    if not 0.05 <= style_scale <= 20:
        raise UserError(f"style_scale must be between 0.05 and 20, received style_scale={style_scale}")
    if masks is not None and len(masks) != len(styles):
        raise UserError(f"every style needs a mask, received {len(masks)} masks for {len(styles)} styles")
    for mask in masks or ():
        if mask.shape != content.shape[:2]:
            raise UserError(f"a mask must have the content's size {content.shape[:2]}, received {mask.shape}")
        if not mask.any():
            raise UserError("a mask is black all over: its style has no place")
    if tile % 16 or tile < 0:
        raise UserError(f"a tile must be a multiple of 16 pixels, received tile={tile}")


def memory(size, config, look, tile):
    """About how many bytes the optimisation of a picture of a size (h, w) takes at its peak: the features of what is looked at at once and
    their gradients, and the optimizer's history."""
    height, width = (min(side, tile + 2 * SIGHT) if needs_tiles(size, tile) else side for side in size)
    history = {"lbfgs": 30, "adam": 4}[config.optimizer] * 3 * size[0] * size[1] * 8
    return int(4 * 2 * look.floats_per_pixel() * height * width + history)


def needs_tiles(size, tile):
    return bool(tile) and size[0] * size[1] > tile * tile
