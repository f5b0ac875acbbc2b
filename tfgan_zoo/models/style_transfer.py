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
import re

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.config import UserError, check_at_least, check_choice
from tfgan_zoo.features import VGG19
from tfgan_zoo.losses import gram, relative_error, total_variation
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.styling import CONTENT_LAYERS, STYLE_LAYERS, StyleConfig, shares_of
from tfgan_zoo.optimizers import Adam


@dataclasses.dataclass(frozen=True)
class StyleTransferConfig(StyleConfig):
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
            raise UserError(f"there must be layers, received {self.content_layers} and {self.style_layers}")


@keras.saving.register_keras_serializable("tfgan_zoo")
class InRange(keras.constraints.Constraint):
    """Keeps pixels in [-1, 1]."""

    def __call__(self, w):
        return tf.clip_by_value(w, -1.0, 1.0)


class Canvas(keras.layers.Layer):
    """A picture whose pixels are learnt: float32 (1, h, w, 3)."""

    def __init__(self, start, **kwargs):
        super().__init__(**kwargs)
        self.pixels = self.add_weight(name="pixels", shape=start.shape, initializer="zeros", constraint=InRange())
        self.pixels.assign(start)


class Objective:
    """The terms of the sum and their gradient, in graphs that are traced once for images of every size.

    Features are {layer: (1, h, w, c)}; `maps` tell how much each position counts, {layer: [(h, w) of every region]}.
    """

    def __init__(self, config, look):
        self.config, self.look, self.graphs = config, look, {}

    def graph(self, name, *args):
        """A method of these arguments, as a graph."""
        specs = tf.nest.map_structure(of_any_size, args)
        key = f"{name} {specs}"
        if key not in self.graphs:
            self.graphs[key] = tf.function(getattr(self, name), input_signature=specs)
        return self.graphs[key](*args)

    def features(self, image):
        return self.look(image)

    def grams(self, image, maps):
        """Of each style layer (regions, c, c)."""
        return self.grams_of(self.look(image), maps)

    def grams_of(self, features, maps):
        return [tf.concat([gram(features[layer], region) for region in maps[layer]], 0) for layer in self.config.style_layers]

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
            for layer, (target, weights), scale in zip(self.config.content_layers, targets, scales, strict=True)
        ]
        return tf.add_n(errors) / len(errors)

    def weigh(self, style, content, variation):
        c = self.config
        total = c.content_weight * content + c.style_weight * style + c.variation_weight * variation
        return {"image": total, "style": style, "content": content, "variation": variation}

    def losses(self, image, maps, style, shares, content, scales):
        features = self.look(image)
        style_error = self.style_error(self.grams_of(features, maps), style, shares)
        return self.weigh(style_error, self.content_error(features, content, scales), total_variation(image))

    def gradient(self, image, *targets):
        """({name: loss}, gradient) of a whole image."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            values = self.losses(image, *targets)
        return values, tape.gradient(values["image"], image)

    def part_gradient(self, image, maps, pulls, content, scales):
        """What a part adds to the gradient, its Gram matrices being pulled by `pulls`; and its share of the content error."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            features = self.look(image)
            error = self.content_error(features, content, scales)
            pulled = [tf.reduce_sum(pull * found) for pull, found in zip(pulls, self.grams_of(features, maps), strict=True)]
            value = tf.add_n(pulled) + self.config.content_weight * error
        return tape.gradient(value, image), error


def of_any_size(tensor):
    """The spec of an image, features (1, h, w, c) or weights (h, w) of any h and w, and of anything else."""
    free = {4: (1, 2), 2: (0, 1)}.get(tensor.shape.rank, ())
    return tf.TensorSpec([None if axis in free else size for axis, size in enumerate(tensor.shape)], tensor.dtype)


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

    def __init__(self, objective, content, styles, start, style_weights=None, masks=None, tile=0, **kwargs):
        self.start, self.objective = tf.convert_to_tensor(start, tf.float32), objective
        super().__init__(objective.config, **kwargs)
        probe = objective.graph("features", tf.zeros((1, 64, 64, 3)))
        self.strides = {layer: 64 // found.shape[1] for layer, found in probe.items()}

        targets = [self.grams_in_parts(style, *self.parts_of(style.shape[1:3], None, tile)) for style in styles]
        layers = zip(*targets, strict=True)  # of each layer (1, c, c) for every style
        shares = tf.constant(shares_of(style_weights, len(styles)), tf.float32)
        if masks is None:  # together all styles would pull to the blend of their Gram matrices
            style_targets, shares = [tf.tensordot(shares, tf.concat(layer, 0), 1)[None] for layer in layers], tf.ones(1)
        else:
            style_targets = [tf.concat(layer, 0) for layer in layers]
        self.style_targets = style_targets, shares
        self.parts, self.maps = self.parts_of(content.shape[1:3], masks, tile)
        everywhere = self.maps if masks is None else self.parts_of(content.shape[1:3], None, tile)[1]
        self.content_targets = []  # of each part, of each layer: the features, and how much each position counts
        for part, maps in zip(self.parts, everywhere, strict=True):
            found = objective.graph("features", content[:, part.rows, part.columns])
            self.content_targets.append([(found[layer], maps[layer][0]) for layer in self.config.content_layers])
        squares = [[tf.reduce_sum(tf.reduce_mean(tf.square(f), -1) * m) for f, m in part] for part in self.content_targets]
        self.content_scales = [tf.maximum(tf.add_n(layer), 1e-12) for layer in zip(*squares, strict=True)]

    def build_networks(self):
        self.canvas = Canvas(self.start)

    def players(self):
        return {"image": [self.canvas]}

    def make_optimizer(self, player):
        return Adam(self.config.learning_rate, beta_2=0.99)

    def call(self, inputs=None, training=False):
        return self.canvas.pixels

    def targets(self):
        """What a whole image is compared with: the arguments of `Objective.losses`."""
        return self.maps[0], *self.style_targets, self.content_targets[0], self.content_scales

    def train_step(self, data=None):
        return self.report(**self.descend(lambda: self.objective.losses(self.canvas.pixels.value, *self.targets())))

    # --- the gradient, at once or in parts

    def value_and_gradient(self, pixels):
        """({name: loss}, gradient): what L-BFGS asks for, at any pixels float32 (1, h, w, 3)."""
        objective = self.objective
        if len(self.parts) == 1:
            return objective.graph("gradient", pixels, *self.targets())
        grams = self.grams_in_parts(pixels, self.parts, self.maps)
        with tf.GradientTape() as tape:
            tape.watch([pixels, *grams])
            style, variation = objective.style_error(grams, *self.style_targets), total_variation(pixels)
            rest = objective.weigh(style, 0.0, variation)["image"]
        gradient, *pulls = tape.gradient(rest, [pixels, *grams])
        gradient, content = gradient.numpy(), 0.0
        for part, maps, targets in zip(self.parts, self.maps, self.content_targets, strict=True):
            piece = pixels[:, part.rows, part.columns]
            share, error = objective.graph("part_gradient", piece, maps, pulls, targets, self.content_scales)
            gradient[:, part.rows, part.columns] += share
            content += error
        return objective.weigh(style, content, variation), tf.constant(gradient)

    def grams_in_parts(self, image, parts, maps):
        """The Gram matrices of an image, part by part: of each layer (regions, c, c)."""
        found = [self.objective.graph("grams", image[:, part.rows, part.columns], own) for part, own in zip(parts, maps, strict=True)]
        return [tf.add_n(layer) for layer in zip(*found, strict=True)]

    def parts_of(self, size, masks, tile):
        """The parts of an image, and for each part of every layer how much each position counts: {layer: [(h, w) of every region]}.

        What a part's features see of the image is all there, so the sums over all parts are those of the whole image.
        """
        height, width = size
        tile = tile if needs_tiles(size, tile) else 0
        around = sight(self.strides) if tile else 0
        regions = np.ones((1, height, width), np.float32) if masks is None else np.stack(masks)
        maps = {}
        for layer, stride in self.strides.items():
            small = tf.image.resize(regions[..., None], (height // stride, width // stride), "area")[..., 0]
            maps[layer] = small / tf.maximum(tf.reduce_sum(small, (1, 2), keepdims=True), 1e-12)
        parts, shares = [], []
        for top, bottom in cuts(height, tile):
            for left, right in cuts(width, tile):
                rows, columns = (slice(max(0, a - around), b + around) for a, b in ((top, bottom), (left, right)))
                parts.append(Part(rows, columns))
                shares.append(
                    {
                        layer: share(maps[layer], stride, (top, bottom), (left, right), rows, columns)
                        for layer, stride in self.strides.items()
                    }
                )
        return parts, shares


@dataclasses.dataclass(frozen=True)
class Part:
    """The pixels that are needed for a tile: it and what its features see around it."""

    rows: slice
    columns: slice


def needs_tiles(size, tile):
    """Whether an image of a size (h, w) is looked at in parts."""
    return bool(tile) and size[0] * size[1] > tile * tile


def sight(layers):
    """How far the values of layers such as block4_conv2 see to either side, in pixels, up to a multiple of 16.

    Raises:
        UserError: layers of another name, or deeper than 16 pixels a step.
    """
    farthest = 0
    for layer in layers:
        found = re.fullmatch(r"block([1-5])_conv([1-4])", layer)
        if not found:
            raise UserError(f"only VGG19's layers are looked at in tiles: set --tile 0, received the layer {layer}")
        block, number = int(found[1]), int(found[2])
        before = sum(count * 2**b + 2**b for b, count in enumerate(VGG19[: block - 1]))  # convolutions of 3x3, and a pooling
        farthest = max(farthest, before + number * 2 ** (block - 1))
    return -(-farthest // 16) * 16


def cuts(length, tile):
    """[(from, to)] of the tiles along an axis."""
    begins = range(0, length, tile or length)
    return [(begin, min(begin + (tile or length), length)) for begin in begins]


def share(weights, stride, vertical, horizontal, rows, columns):
    """The weights of positions within the tile, 0 for those around it: (regions, h, w) -> [(h', w')]."""
    weights = weights.numpy()
    kept = np.zeros_like(weights)
    inner = [slice(begin // stride, end // stride if end % 16 == 0 else None) for begin, end in (vertical, horizontal)]
    kept[:, inner[0], inner[1]] = weights[:, inner[0], inner[1]]
    outer = [slice(side.start // stride, side.stop // stride) for side in (rows, columns)]
    return [tf.constant(region) for region in kept[:, outer[0], outer[1]]]
