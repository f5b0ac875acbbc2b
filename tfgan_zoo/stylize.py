"""Pictures in the style of others: by optimisation (Gatys et al. 2016), from coarse to fine, or by a trained network.

Coarse to fine: the picture is optimised small, enlarged by sqrt 2, optimised again. What it is about is settled where a step costs little,
and at full size only detail is left to do.
"""

import dataclasses
import hashlib
import json
import math
import pathlib
import tempfile
import time

import numpy as np
import tensorflow as tf

from tfgan_zoo import files
from tfgan_zoo.config import UserError, check_choice
from tfgan_zoo.data import colours, embedded, folders, transforms
from tfgan_zoo.data.transforms import resize, to_longer
from tfgan_zoo.models.style_transfer import Objective, StyleTransfer, needs_tiles, sight
from tfgan_zoo.models.styling import shares_of
from tfgan_zoo.translate import in_tiles

COLOURS = ("style", "keep", "match", "histogram")
KEEP = 20  # iterations after which the state is kept
FIRST_STEP = 0.1  # of L-BFGS, which knows no curvature yet: the largest change of a pixel


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
        image = folders.to_8_bits(folders.read(source, 3 if source.suffix.lower() == ".npy" else 4))
        return image if image.shape[2] == 4 else np.pad(image, ((0, 0), (0, 0), (0, 1)), constant_values=255)

    def make(image, target):
        # on white first: what is transparent must not shine through when it is resized
        flat, alpha = (to_longer(part, size, 1) if size else part for part in (on_white(image), image[..., 3:]))
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
        styles: uint8 (h, w, 3) each; none for `FastStyle`. Those of more than 1,024 pixels are made smaller.
        tile: larger pictures go in tiles of so many pixels; 0: never.
        **options: of the model's `stylize`: alpha, style_weights.
    """
    if tile and tile < 64:
        raise UserError(f"a tile must have at least 64 pixels, received tile={tile}")
    styles = [to_longer(style, min(max(style.shape), 1024)) for style in styles]

    def paint(content, recolour):
        more = {}
        if styles:  # all tiles are normalised alike
            own = model.moments(to_longer(content, min(max(content.shape), 1024)))
            more = {"styles": [recolour(style) for style in styles], "own": own, **options}
        return in_tiles(lambda part: model.stylize(part, **more), content, tile, tile // 8), {}

    return paint


def by_optimisation(styles, config, say=lambda line: None, masks=None, tile=1024, **options):
    """A painter for `stylize`; see `paint` for the arguments.

    Args:
        say: a function for a line about what is going to happen.
        masks: uint8 (h, w) for each style, of any size.
    """
    look = config.look(layers_of(config))
    objective = Objective(config, look)

    def painter(content, recolour):
        sizes = [content.shape[:2], *(to_longer(style, max(content.shape)).shape[:2] for style in styles)]
        say(f"{content.shape[1]}x{content.shape[0]}: about {memory(sizes, config, look, tile) / 2**30:.1f} GiB of memory")
        wanted = [recolour(style) for style in styles]
        regions = None if masks is None else [resize(mask[..., None], *content.shape[:2])[..., 0] for mask in masks]
        painting = paint(content, wanted, config, objective=objective, masks=regions, tile=tile, **options)
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


def paint(
    content,
    styles,
    config,
    *,
    objective=None,
    style_weights=None,
    style_scale=1.0,
    masks=None,
    tile=1024,
    seed=0,
    folder=None,
    progress=None,
):
    """The content in the style, by optimisation.

    Args:
        content: uint8 (h, w, 3), at least 32 pixels to each side; the picture has its size.
        styles: uint8 (h', w', 3) each; they are resized so that their longer sides are `style_scale` of the content's.
        config: a `StyleTransferConfig`.
        objective: the config's `Objective`, if it is there already.
        style_weights: how much each style counts.
        style_scale: below 1 for finer strokes, above for coarser ones.
        masks: uint8 (h, w) for each style, white where it belongs; without them the styles are blended.
        tile: images of more than tile x tile pixels have their gradient computed in tiles, in bounded memory; a multiple of 16. 0: never.
        seed: of init=noise.
        folder: a `pathlib.Path`, in which a folder of this painting (named by a digest of all arguments) takes the picture at every size
            and the state: called again with it, an interrupted painting goes on.
        progress: a function (size as (h, w), of how many iterations, iteration, losses), called after every iteration.

    Returns:
        `Painting`; after Ctrl-C the best so far.

    Raises:
        UserError: wrong arguments, or a folder of no use.
    """
    check_arguments(content, styles, style_weights, style_scale, masks, tile)
    objective = objective or Objective(config, config.look(layers_of(config)))
    begin, sizes = time.time(), scales(content.shape[:2], config.smallest)
    state = State(folder, content, styles, masks, (dataclasses.asdict(config), style_weights, style_scale, seed))
    picture, first, done = state.read()
    losses = {}
    try:
        for level, (height, width) in list(enumerate(sizes))[first:]:
            small = resize(content, height, width)
            targets = [as_batch(to_longer(style, round(max(height, width) * style_scale))) for style in styles]
            regions = None if masks is None else [resize(mask[..., None], height, width)[..., 0] / np.float32(255) for mask in masks]
            start = beginning(config.init, small, styles[0], seed) if picture is None else enlarged(picture, height, width)
            picture = start
            model = StyleTransfer(objective, as_batch(small), targets, start, style_weights, regions, tile)
            for done, picture, losses in descend(model, config.iterations - done, done):  # noqa: B020 (it is where it was left)
                if done % KEEP == 0:
                    state.write(picture, level, done)
                if progress:
                    progress((height, width), config.iterations, done, losses)
            state.write(picture, level + 1, 0)
            done = 0
    except KeyboardInterrupt:
        picture = picture if picture is not None else as_batch(content)
        state.write(picture, level, done)
        finished = False
    else:
        finished = True
    whole = enlarged(picture, *content.shape[:2])
    return Painting(transforms.to_uint8(whole)[0].numpy(), losses, time.time() - begin, finished)


def layers_of(config):
    return tuple(dict.fromkeys((*config.style_layers, *config.content_layers)))


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


def descend(model, iterations, done=0):
    """Goes downhill by the config's optimizer.

    Args:
        model: a `StyleTransfer`.
        iterations: how many.
        done: how many there were before.

    Yields:
        (iterations done, the best picture so far as float32 (1, h, w, 3), its losses), after every iteration.

    Raises:
        UserError: a loss that is NaN or infinite.
    """
    best, least = model.start.numpy(), {}
    steps = lbfgs(model) if model.config.optimizer == "lbfgs" else adam(model)
    for i, (pixels, losses) in zip(range(iterations), steps, strict=False):
        losses = {name: float(value) for name, value in losses.items()}
        if not np.isfinite(losses["image"]):
            raise UserError(f"the loss became {losses['image']}: lower the weights or the learning rate")
        if not least or losses["image"] < least["image"]:
            best, least = pixels, losses
        yield done + i + 1, best, least


def adam(model):
    """The pictures on the way of Adam, each with its losses."""
    model.compile(xla="off")
    while True:
        pixels = model.canvas.pixels.numpy()
        losses, gradient = model.value_and_gradient(tf.constant(pixels))
        yield pixels, losses
        model.image_optimizer.apply([gradient], [model.canvas.pixels])


def lbfgs(model, memory=10):
    """The pictures on the way of L-BFGS (Nocedal & Wright, Numerical Optimization, algorithm 7.5), each with its losses.

    Pixels stay in [-1, 1]: a pixel at the border that wants to go beyond rests (as in Bertsekas 1982), and a step is cut off there. Our
    own, since SciPy's L-BFGS-B took twice as long for its steps as the network for the gradient; a test compares their results.
    """

    def value_and_gradient(x):
        losses, gradient = model.value_and_gradient(tf.constant(x))
        return losses, np.array(gradient)

    x, pairs = model.start.numpy(), []  # of (change of x, change of the gradient, 1 / their product)
    losses, gradient = value_and_gradient(x)
    while True:
        rests = ((x <= -1) & (gradient > 0)) | ((x >= 1) & (gradient < 0))
        direction, factors = np.where(rests, 0, gradient), []
        for s, y, rho in reversed(pairs):
            factors.append(rho * np.vdot(s, direction))
            direction = direction - factors[-1] * y
        if pairs:
            s, y, rho = pairs[-1]
            direction = direction / (rho * np.vdot(y, y))
        for (s, y, rho), factor in zip(pairs, reversed(factors), strict=True):
            direction = direction + (factor - rho * np.vdot(y, direction)) * s
        direction = np.where(rests, 0, direction)
        if pairs and np.vdot(direction, gradient) <= 0:  # not downhill: begin anew
            pairs.clear()
            continue
        rate = 1.0 if pairs else FIRST_STEP / max(np.abs(direction).max(), 1e-30)
        for _ in range(10):  # backtracking, until the loss falls enough (Armijo)
            new = np.clip(x - rate * direction, -1, 1)
            new_losses, new_gradient = value_and_gradient(new)
            if float(new_losses["image"]) <= float(losses["image"]) + 1e-4 * np.vdot(gradient, new - x):
                break
            rate /= 2
        s, y = new - x, new_gradient - gradient
        curved = np.vdot(s, y) > 1e-10 * np.vdot(y, y)
        pairs = [*pairs[-memory + 1 :], (s, y, 1 / np.vdot(s, y))] if curved else []
        x, losses, gradient = new, new_losses, new_gradient
        yield x, losses


class State:
    """What an interrupted painting goes on from, in a folder of its own (or nowhere): the picture at every size, and state.npz."""

    def __init__(self, folder, content, styles, masks, settings):
        sha = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for image in (content, *styles, *(masks or ())):
            sha.update(str(image.shape).encode() + np.ascontiguousarray(image).tobytes())
        self.folder = folder and folder / sha.hexdigest()[:12]
        if folder:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"the folder for the state cannot be made ({error.strerror}), received {folder}") from None

    def read(self):
        """(picture, size number, iterations done there); at the very beginning (None, 0, 0)."""
        if not self.folder or not (self.folder / "state.npz").is_file():
            return None, 0, 0
        with np.load(self.folder / "state.npz") as stored:
            return stored["picture"], int(stored["level"]), int(stored["done"])

    def write(self, picture, level, done):
        if self.folder:
            partial = self.folder / "partial.npz"
            np.savez(partial, picture=picture, level=level, done=done)
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


def memory(sizes, config, look, tile):
    """About how many bytes an optimisation takes at its peak: the features of what is looked at at once and their gradients, and the
    optimizer's history.

    Args:
        sizes: (h, w) of the picture, and of the styles.
    """
    around = 2 * sight(layers_of(config)) if tile else 0
    areas = [min(h, tile + around) * min(w, tile + around) if needs_tiles((h, w), tile) else h * w for h, w in sizes]
    history = {"lbfgs": 30, "adam": 4}[config.optimizer] * 3 * math.prod(sizes[0]) * 4
    return int(4 * 2 * look.floats_per_pixel * max(areas) + history) + 2**27
