"""Style transfer: a picture with the content of one image and the style of another, found by gradient descent on its pixels.

Paper: Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016; first as "A Neural Algorithm of
Artistic Style", 2015, arXiv 1508.06576.

    min over x:  a |F(x) - F(content)|^2 + b sum over layers |G(x) - G(style)|^2 + c TV(x)        F: features of VGG19, G = F^T F / (h w)

Step: the image is the only player; its pixels move along the gradient of the weighted sum.

Deviations from the paper: every squared difference is a mean, divided by the target's mean square (see `losses.relative_error`), so that a
weight means the same at every size, in every layer and through every network; total variation is added (Johnson et al. 2016); pixels stay
in [-1, 1]; the picture begins as the content (as noise on request), small, and grows (see stylize.py).

Preset: gatys, through our small network unless told otherwise (a picture of 384 pixels in a quarter of a minute on two cores).
"""

import dataclasses
import hashlib
import json
import time

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data import transforms
from tfgan_zoo.data.transforms import resize, resize_longer_side
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.inference import image_files
from tfgan_zoo.losses import gram_matrix, relative_error, total_variation
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.stylization import (
    CONTENT_LAYERS,
    STYLE_LAYERS,
    StylizationConfig,
    normalized_weights,
)
from tfgan_zoo.models.tiled_gram import (
    Tile,
    needs_tiles,
    position_weights,
    receptive_radius,
    tile_bounds,
)
from tfgan_zoo.optimizers import Adam, lbfgs


@dataclasses.dataclass(frozen=True)
class StyleTransferConfig(StylizationConfig):
    image_size: int = 512  # for lists alone: a picture has the size of its content
    pooling: str = "average"  # "slightly more appealing results" (section 2); or max
    content_layers: tuple[str, ...] = CONTENT_LAYERS  # section 3
    style_layers: tuple[str, ...] = STYLE_LAYERS  # section 3, all alike
    content_weight: float = 0.3
    variation_weight: float = 0.5
    optimizer: str = "lbfgs"  # or adam
    learning_rate: float = 0.02  # of adam, pixels in [-1, 1]
    iterations: int = 60  # at every size
    smallest: int = 128  # pixels of the longer side to begin with; it grows by sqrt 2
    init: str = "content"  # what the picture begins as: content, noise or style

    trains = False  # `stylize` makes each picture by itself

    def __post_init__(self):
        super().__post_init__()
        check_at_least(32, smallest=self.smallest)
        check_at_least(1, iterations=self.iterations)
        check_choice("optimizer", self.optimizer, ("lbfgs", "adam"))
        check_choice("init", self.init, ("content", "noise", "style"))
        if not self.style_layers or not self.content_layers:
            raise UserError(
                f"there must be layers, received {self.content_layers} and {self.style_layers}"
            )


@keras.saving.register_keras_serializable("tfgan_zoo")
class PixelRange(keras.constraints.Constraint):
    """Keeps pixels in [-1, 1]."""

    def __call__(self, w):
        return tf.clip_by_value(w, -1.0, 1.0)


class ImageVariable(keras.layers.Layer):
    """A picture whose pixels are learnt: float32 (1, h, w, 3)."""

    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.pixels = self.add_weight(
            name="pixels", shape=start.shape, initializer="zeros", constraint=PixelRange()
        )
        self.pixels.assign(start)


class Objective:
    """The terms of the sum and their gradient, in graphs that are traced once for images of every size.

    Features are {layer: (1, h, w, c)}; `maps` tell how much each position counts, {layer: [(h, w) of every region]}.
    """

    def __init__(self, config, extract_features):
        self.config, self.extract_features, self.graphs = config, extract_features, {}

    def graph(self, name, *args):
        """A method of these arguments, as a graph."""
        specs = tf.nest.map_structure(any_size_spec, args)
        key = f"{name} {specs}"
        if key not in self.graphs:
            self.graphs[key] = tf.function(getattr(self, name), input_signature=specs)
        return self.graphs[key](*args)

    def features(self, image):
        return self.extract_features(image)

    def grams(self, image, maps):
        """Of each style layer (regions, c, c)."""
        return self.grams_of(self.extract_features(image), maps)

    def grams_of(self, features, maps):
        return [
            tf.concat([gram_matrix(features[layer], region) for region in maps[layer]], 0)
            for layer in self.config.style_layers
        ]

    def style_error(self, grams, targets, shares):
        """Mean over the layers, weighted mean over the regions."""
        errors = [
            share * relative_error(found[region], target[region])
            for found, target in zip(grams, targets, strict=True)
            for region, share in enumerate(tf.unstack(shares))
        ]
        return tf.add_n(errors) / len(grams)

    def content_error(self, features, targets, scales):
        """Mean over the layers of the relative error, or a part's share of it."""
        errors = [
            tf.reduce_sum(tf.reduce_mean(tf.square(features[layer] - target), -1) * weights) / scale
            for layer, (target, weights), scale in zip(
                self.config.content_layers, targets, scales, strict=True
            )
        ]
        return tf.add_n(errors) / len(errors)

    def weigh(self, style, content, variation):
        c = self.config
        total = c.content_weight * content + c.style_weight * style + c.variation_weight * variation
        return {"image": total, "style": style, "content": content, "variation": variation}

    def compute_losses(self, image, maps, style, shares, content, scales):
        features = self.extract_features(image)
        style_error = self.style_error(self.grams_of(features, maps), style, shares)
        return self.weigh(
            style_error, self.content_error(features, content, scales), total_variation(image)
        )

    def gradient(self, image, *targets):
        """({name: loss}, gradient) of a whole image."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            values = self.compute_losses(image, *targets)
        return values, tape.gradient(values["image"], image)

    def part_gradient(self, image, maps, pulls, content, scales):
        """What a part adds to the gradient, its Gram matrices being pulled by `pulls`; and its share of the content error."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            features = self.extract_features(image)
            error = self.content_error(features, content, scales)
            pulled = [
                tf.reduce_sum(pull * found)
                for pull, found in zip(pulls, self.grams_of(features, maps), strict=True)
            ]
            value = tf.add_n(pulled) + self.config.content_weight * error
        return tape.gradient(value, image), error


def any_size_spec(tensor):
    """The spec of an image, features (1, h, w, c) or weights (h, w) of any h and w, and of anything else."""
    free = {4: (1, 2), 2: (0, 1)}.get(tensor.shape.rank, ())
    return tf.TensorSpec(
        [None if axis in free else size for axis, size in enumerate(tensor.shape)], tensor.dtype
    )


class StyleTransfer(ZooModel):
    """A picture on its way from `start` to the content of one image and the style of others (Gatys et al. 2016, arXiv 1508.06576).

    Args:
        objective: an `Objective`, which paintings of several sizes may share.
        content: float32 (1, h, w, 3) in [-1, 1].
        styles: images float32 (1, h', w', 3), each of any size.
        start: float32 (1, h, w, 3), what the picture begins as.
        style_weights: how much each style counts; all alike where it is missing.
        masks: float32 (h, w) in [0, 1] for each style, the region that it is for; without them the styles are blended everywhere.
        tile: pixels, a multiple of 16; of images of more than tile x tile the same gradient is computed part by part, in less memory.
            0: always at once.
    """

    Config = StyleTransferConfig

    def __init__(
        self, objective, content, styles, start, style_weights=None, masks=None, tile=0, **kwargs
    ):
        self.start, self.objective = tf.convert_to_tensor(start, tf.float32), objective
        super().__init__(objective.config, **kwargs)
        probe = objective.graph("features", tf.zeros((1, 64, 64, 3)))
        self.strides = {layer: 64 // found.shape[1] for layer, found in probe.items()}

        targets = [
            self.grams_in_parts(style, *self.parts_of(style.shape[1:3], None, tile))
            for style in styles
        ]
        layers = zip(*targets, strict=True)  # of each layer (1, c, c) for every style
        shares = tf.constant(normalized_weights(style_weights, len(styles)), tf.float32)
        if masks is None:  # together all styles would pull to the blend of their Gram matrices
            style_targets, shares = (
                [tf.tensordot(shares, tf.concat(layer, 0), 1)[None] for layer in layers],
                tf.ones(1),
            )
        else:
            style_targets = [tf.concat(layer, 0) for layer in layers]
        self.style_targets = style_targets, shares
        self.parts, self.maps = self.parts_of(content.shape[1:3], masks, tile)
        everywhere = (
            self.maps if masks is None else self.parts_of(content.shape[1:3], None, tile)[1]
        )
        self.content_targets = []  # of each part, of each layer: the features, and how much each position counts
        for part, maps in zip(self.parts, everywhere, strict=True):
            found = objective.graph("features", content[:, part.rows, part.columns])
            self.content_targets.append(
                [(found[layer], maps[layer][0]) for layer in self.config.content_layers]
            )
        squares = [
            [tf.reduce_sum(tf.reduce_mean(tf.square(f), -1) * m) for f, m in part]
            for part in self.content_targets
        ]
        self.content_scales = [
            tf.maximum(tf.add_n(layer), 1e-12) for layer in zip(*squares, strict=True)
        ]

    def build_networks(self):
        self.canvas = ImageVariable(self.start)

    def players(self):
        return {"image": [self.canvas]}

    def make_optimizer(self, player):
        return Adam(self.config.learning_rate, beta_2=0.99)

    def call(self, inputs=None, training=False):
        return self.canvas.pixels

    def targets(self):
        """What a whole image is compared with: the arguments of `Objective.compute_losses`."""
        return self.maps[0], *self.style_targets, self.content_targets[0], self.content_scales

    def train_step(self, data=None):
        return self.report(
            **self.descend(
                lambda: self.objective.compute_losses(self.canvas.pixels.value, *self.targets())
            )
        )

    # --- the gradient, at once or in parts

    def value_and_gradient(self, pixels):
        """({name: loss}, gradient): what L-BFGS asks for, at any pixels float32 (1, h, w, 3)."""
        objective = self.objective
        if len(self.parts) == 1:
            return objective.graph("gradient", pixels, *self.targets())
        grams = self.grams_in_parts(pixels, self.parts, self.maps)
        with tf.GradientTape() as tape:
            tape.watch([pixels, *grams])
            style, variation = (
                objective.style_error(grams, *self.style_targets),
                total_variation(pixels),
            )
            rest = objective.weigh(style, 0.0, variation)["image"]
        gradient, *pulls = tape.gradient(rest, [pixels, *grams])
        gradient, content = gradient.numpy(), 0.0
        for part, maps, targets in zip(self.parts, self.maps, self.content_targets, strict=True):
            piece = pixels[:, part.rows, part.columns]
            share, error = objective.graph(
                "part_gradient", piece, maps, pulls, targets, self.content_scales
            )
            gradient[:, part.rows, part.columns] += share
            content += error
        return objective.weigh(style, content, variation), tf.constant(gradient)

    def grams_in_parts(self, image, parts, maps):
        """The Gram matrices of an image, part by part: of each layer (regions, c, c)."""
        found = [
            self.objective.graph("grams", image[:, part.rows, part.columns], own)
            for part, own in zip(parts, maps, strict=True)
        ]
        return [tf.add_n(layer) for layer in zip(*found, strict=True)]

    def parts_of(self, size, masks, tile):
        """The parts of an image, and for each part of every layer how much each position counts: {layer: [(h, w) of every region]}.

        What a part's features see of the image is all there, so the sums over all parts are those of the whole image.
        """
        height, width = size
        tile = tile if needs_tiles(size, tile) else 0
        around = receptive_radius(self.strides) if tile else 0
        regions = np.ones((1, height, width), np.float32) if masks is None else np.stack(masks)
        maps = {}
        for layer, stride in self.strides.items():
            small = tf.image.resize(
                regions[..., None], (height // stride, width // stride), "area"
            )[..., 0]
            maps[layer] = small / tf.maximum(tf.reduce_sum(small, (1, 2), keepdims=True), 1e-12)
        parts, shares = [], []
        for top, bottom in tile_bounds(height, tile):
            for left, right in tile_bounds(width, tile):
                rows, columns = (
                    slice(max(0, a - around), b + around) for a, b in ((top, bottom), (left, right))
                )
                parts.append(Tile(rows, columns))
                shares.append(
                    {
                        layer: position_weights(
                            maps[layer], stride, (top, bottom), (left, right), rows, columns
                        )
                        for layer, stride in self.strides.items()
                    }
                )
        return parts, shares


SAVE_EVERY = 20  # iterations after which the state is kept


# --- optimisation


@dataclasses.dataclass
class StyleTransferResult:
    """A picture, uint8 (h, w, 3), and how it came about."""

    picture: np.ndarray
    losses: dict  # at the end, at full size: image (the weighted sum), style, content, variation
    seconds: float
    finished: bool  # not if it was stopped by Ctrl-C


def transfer_style(
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
    check_inputs(content, styles, style_weights, style_scale, masks, tile)
    objective = objective or Objective(config, config.feature_network(feature_layers(config)))
    begin, sizes = time.time(), pyramid_sizes(content.shape[:2], config.smallest)
    state = SavedState(
        folder,
        content,
        styles,
        masks,
        (dataclasses.asdict(config), style_weights, style_scale, seed),
    )
    picture, first, done = state.read()
    losses = {}
    try:
        for level, (height, width) in list(enumerate(sizes))[first:]:
            small = resize(content, height, width)
            targets = [
                as_batch(resize_longer_side(style, round(max(height, width) * style_scale)))
                for style in styles
            ]
            regions = (
                None
                if masks is None
                else [
                    resize(mask[..., None], height, width)[..., 0] / np.float32(255)
                    for mask in masks
                ]
            )
            start = (
                initial_image(config.init, small, styles[0], seed)
                if picture is None
                else resize_image(picture, height, width)
            )
            picture = start
            model = StyleTransfer(
                objective, as_batch(small), targets, start, style_weights, regions, tile
            )
            for done, picture, losses in optimize(model, config.iterations - done, done):  # noqa: B020 (it is where it was left)
                if done % SAVE_EVERY == 0:
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
    whole = resize_image(picture, *content.shape[:2])
    return StyleTransferResult(
        transforms.to_uint8(whole)[0].numpy(), losses, time.time() - begin, finished
    )


def feature_layers(config):
    return tuple(dict.fromkeys((*config.style_layers, *config.content_layers)))


def resize_image(picture, height, width):
    """float32 (1, h, w, 3) in [-1, 1] -> the same of another size."""
    return tf.clip_by_value(tf.image.resize(picture, (height, width), "bicubic"), -1.0, 1.0).numpy()


def pyramid_sizes(size, smallest):
    """The sizes from coarse to fine, [(h, w), ...]: the longer side grows by sqrt 2 from about `smallest` to the picture's own."""
    longer = max(size)
    count = max(0, round(2 * np.log2(longer / smallest))) if longer > smallest else 0
    smaller = [tuple(round(side / 2 ** (i / 2)) for side in size) for i in range(count, 0, -1)]
    return [each for each in smaller if min(each) >= 32] + [tuple(size)]


def initial_image(init, content, style, seed):
    """float32 (1, h, w, 3) in [-1, 1]."""
    if init == "noise":
        return (
            np.random.default_rng(seed).uniform(-0.5, 0.5, (1, *content.shape)).astype(np.float32)
        )
    return as_batch(content if init == "content" else resize(style, *content.shape[:2]))


def as_batch(image):
    return transforms.to_float(image)[None]


def optimize(model, iterations, done=0):
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
    steps = lbfgs(model) if model.config.optimizer == "lbfgs" else adam_iterates(model)
    for i, (pixels, losses) in zip(range(iterations), steps, strict=False):
        losses = {name: float(value) for name, value in losses.items()}
        if not np.isfinite(losses["image"]):
            raise UserError(
                f"the loss became {losses['image']}: lower the weights or the learning rate"
            )
        if not least or losses["image"] < least["image"]:
            best, least = pixels, losses
        yield done + i + 1, best, least


def adam_iterates(model):
    """The pictures on the way of Adam, each with its losses."""
    model.compile(xla="off")
    while True:
        pixels = model.canvas.pixels.numpy()
        losses, gradient = model.value_and_gradient(tf.constant(pixels))
        yield pixels, losses
        model.image_optimizer.apply([gradient], [model.canvas.pixels])


class SavedState:
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
                raise UserError(
                    f"the folder for the state cannot be made ({error.strerror}), received {folder}"
                ) from None

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
            image_files.write_image(
                transforms.to_uint8(picture)[0].numpy(),
                self.folder / f"{picture.shape[2]}x{picture.shape[1]}.png",
            )


# --- arguments and numbers


def check_inputs(content, styles, style_weights, style_scale, masks, tile):
    for image in (content, *styles):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(f"images must be uint8 (h, w, 3), received {image.dtype} {image.shape}")
    if min(content.shape[:2]) < 32:
        raise UserError(
            f"a picture must have at least 32 pixels to each side, received {content.shape[1]}x{content.shape[0]}"
        )
    normalized_weights(style_weights, len(styles))
    if not 0.05 <= style_scale <= 20:
        raise UserError(
            f"style_scale must be between 0.05 and 20, received style_scale={style_scale}"
        )
    if masks is not None and len(masks) != len(styles):
        raise UserError(
            f"every style needs a mask, received {len(masks)} masks for {len(styles)} styles"
        )
    for mask in masks or ():
        if mask.shape != content.shape[:2]:
            raise UserError(
                f"a mask must have the content's size {content.shape[:2]}, received {mask.shape}"
            )
        if not mask.any():
            raise UserError("a mask is black all over: its style has no place")
    if tile % 16 or tile < 0:
        raise UserError(f"a tile must be a multiple of 16 pixels, received tile={tile}")
