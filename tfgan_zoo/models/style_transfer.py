"""Style transfer by optimization: an image with the content of one image and the style of another.

Paper: Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016;
first as "A Neural Algorithm of Artistic Style", 2015, arXiv 1508.06576.

    min over x:  content_weight mean over layers |F(x) - F(content)|^2
                 + style_weight mean over layers |G(x) - G(style)|^2
                 + variation_weight TV(x)

    F: features of VGG-19,  G = F^T F / (h w): Gram matrix,  TV: total variation

Step: one iteration of L-BFGS or Adam on the weighted sum. The pixels of x are the only variables.

Extensions: several styles, blended by the weighted mean of their Gram matrices, or each in a region
of its own (`masks`; compare Gatys et al. 2017, arXiv 1611.07865).

Deviations from the paper:

- By default the features are those of a random network with VGG-19's layers at half the width,
  which needs no download. features=imagenet is the paper's network.
- Every squared difference is a mean, divided by the mean square of the target (see
  `losses.relative_error`). A weight then means the same at every size, in every layer and with
  every network.
- Total variation is added to the objective, against speckles (Johnson et al. 2016).
- Pixels stay in [-1, 1].
- The image starts as the content, not as noise (`init`), because it is then close to a good result.
- The image is optimized at several sizes, from coarse to fine (compare Gatys et al. 2017). Its
  composition is settled where an iteration is cheap, and only details are left at full size.
- Of all iterates at a size, the one with the lowest loss is kept.

Presets: gatys, with the features of the medium network of this package (an image of 384 pixels
in 22 s on 2 CPU cores); gatys_tiny for tests.
"""

import dataclasses
import functools
import itertools

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.data.tiles import needs_tiles
from tfgan_zoo.data.transforms import resize, resize_longer_side, to_float, to_uint8
from tfgan_zoo.errors import UserError, check_choice, check_range
from tfgan_zoo.losses import gram_matrix, relative_error, total_variation
from tfgan_zoo.model_methods import check_image, normalized_weights
from tfgan_zoo.models.base import batch_size_of
from tfgan_zoo.models.stylization import (
    CONTENT_LAYERS,
    STYLE_LAYERS,
    StylizationConfig,
    StylizationModel,
)
from tfgan_zoo.models.tiled_gram import (
    AnySizeFunction,
    split_image,
    sum_gram_matrices,
    tile_gradient,
    tiled_losses_and_gradient,
)
from tfgan_zoo.optimizers import Adam, lbfgs


@dataclasses.dataclass(frozen=True)
class StyleTransferConfig(StylizationConfig):
    """Objective and optimizer of Gatys' style transfer."""

    image_size: int = 512  # of `fit`, in pixels; `stylize` takes the size of the content
    pooling: str = "average"  # "slightly more appealing results" (section 2); or max
    content_layers: tuple[str, ...] = CONTENT_LAYERS  # section 3
    style_layers: tuple[str, ...] = STYLE_LAYERS  # section 3, with equal weights
    content_weight: float = 0.3  # of the mean error over content_layers
    variation_weight: float = 0.5  # of the total variation
    optimizer: str = "lbfgs"  # or adam
    learning_rate: float = 0.02  # of adam, for pixels in [-1, 1]
    iterations: int = 60  # at each size
    smallest: int = 128  # longer side at the first size, in pixels; it grows by sqrt(2)
    init: str = "content"  # start image: content, noise or style
    margin: int = 8  # mirrored pixels at each side during the optimization, cropped at the end

    trains = False  # `stylize` optimizes each image by itself
    takes_styles = True
    data_kind = "domains"
    x_channels = y_channels = 3
    multiple = 1

    def __post_init__(self):
        super().__post_init__()
        check_range(32, 2**16, smallest=self.smallest)
        check_range(1, 10**6, iterations=self.iterations)
        check_range(0, 31, margin=self.margin)
        check_choice("optimizer", self.optimizer, ("lbfgs", "adam"))
        check_choice("init", self.init, ("content", "noise", "style"))
        self.check_layers()


@keras.saving.register_keras_serializable("tfgan_zoo")
class PixelRange(keras.constraints.Constraint):
    """Clip pixels to [-1, 1]."""

    def __call__(self, w):
        return tf.clip_by_value(w, -1.0, 1.0)


class ImageVariable(keras.layers.Layer):
    """Image whose pixels are trainable weights: float32 (1, h, w, 3), noise at first."""

    def __init__(self, height, width, **kwargs):
        super().__init__(**kwargs)
        self.create(height, width)

    def create(self, height, width):
        self.pixels = self.add_weight(
            name="pixels",
            shape=(1, height, width, 3),
            initializer=keras.initializers.RandomUniform(-0.5, 0.5, seed=0),
            constraint=PixelRange(),
            autocast=False,
        )

    def assign(self, image):
        """Set the pixels. An image of another size replaces the variable: compile again."""
        if self.pixels.shape != image.shape:
            del self.pixels
            self.create(*image.shape[1:3])
        self.pixels.assign(image)


@dataclasses.dataclass
class Targets:
    """Features of the content and Gram matrices of the styles, to which an image is compared.

    Attributes:
        tiles: list of `tiled_gram.Tile`: one for the whole image, several for a large image.
        grams: for each style layer (regions, c, c). There is one region, unless there are masks.
        region_weights: (regions,), the weight of each region's error.
        content: for each tile, for each content layer: features (1, h, w, c), and the weights of
            their positions (h, w).
        content_scales: for each content layer the mean square of the features.
    """

    tiles: list
    grams: list
    region_weights: tf.Tensor
    content: list
    content_scales: list

    def whole(self):
        """Return the arguments of `StyleTransfer.losses_of_image` for an image of one tile."""
        (tile,), (content,) = self.tiles, self.content
        return tile.weights, self.grams, self.region_weights, content, self.content_scales


@dataclasses.dataclass
class DescentState:
    """Progress of `StyleTransfer.stylize`, from which it can be resumed.

    Attributes:
        canvas: float32 array (1, h + 2 margin, w + 2 margin, 3) in [-1, 1], the best image so far
            at this size, with its margin.
        margin: in pixels.
        scale: index of the size, 0 for the smallest.
        iteration: number of iterations done at this size.
        losses: {name: loss} of the image.
        optimizer: list of arrays, the state of the optimizer. With it, a resumed descent gives the
            image of an uninterrupted one.
    """

    canvas: np.ndarray
    margin: int
    scale: int
    iteration: int
    losses: dict
    optimizer: list

    @property
    def image(self):
        """The image without its margin: float32 array (1, h, w, 3)."""
        return crop(self.canvas, self.margin)


@keras.saving.register_keras_serializable("tfgan_zoo")
class StyleTransfer(StylizationModel):
    """Image optimized for a content and a style (Gatys et al. 2016, arXiv 1508.06576).

    `stylize` runs the whole algorithm for one content image, at several sizes. The model also works
    with `compile` and `fit`: its weights are the pixels of one image of `config.image_size`, and a
    batch (content, style) has the images to compare it with. If a batch has several pairs, the
    image is compared with all contents and with the mean Gram matrices of the styles.

    `call` and `predict` take (content, style), float32 (n, h, w, 3) in [-1, 1] each, and return the
    optimized image n times. They do not stylize the content.
    """

    Config = StyleTransferConfig

    def build_networks(self):
        self.extract_features = self.config.feature_network(self.config.feature_layers)
        features = self.extract_features(tf.zeros((1, 64, 64, 3)))
        self.strides = {layer: 64 // maps.shape[1] for layer, maps in features.items()}
        self.image = ImageVariable(self.config.image_size, self.config.image_size)
        # Each of these functions is traced once for images of all sizes.
        self.features_graph = AnySizeFunction(self.extract_features)
        self.gram_matrices_graph = AnySizeFunction(self.gram_matrices)
        self.gradient_graph = AnySizeFunction(self.objective_and_gradient)
        self.tile_gradient_graph = AnySizeFunction(functools.partial(tile_gradient, self))

    def players(self):
        return {"image": [self.image]}

    def make_optimizer(self, player):
        return Adam(self.config.learning_rate, beta_2=0.99)

    def call(self, batch, training=False):
        """Return the image, once for each (content, style) pair: float32 (n, h, w, 3)."""
        content, _ = self.content_and_style(batch)
        return tf.repeat(self.image.pixels, batch_size_of(content), axis=0)

    # --- the objective

    def losses_of_image(
        self, image, weights, target_grams, region_weights, content_targets, content_scales
    ):
        """Compute the losses of an image float32 (1, h, w, 3).

        Args:
            image: float32 (1, h, w, 3).
            weights: {layer: [(h, w) for each region]}, the weight of every position.
            target_grams: `grams` of `Targets`.
            region_weights: see `Targets`.
            content_targets: `content` of `Targets`, for one tile.
            content_scales: see `Targets`.

        Returns:
            {name: scalar}: image (the weighted sum), style, content and variation.
        """
        features = self.extract_features(image)  # F(x)
        grams = self.gram_matrices_of(features, weights)  # G(x)
        style_loss = self.style_loss(grams, target_grams, region_weights)
        content_loss = self.content_loss(features, content_targets, content_scales)
        return self.weighted_sum(style_loss, content_loss, total_variation(image))

    def weighted_sum(self, style, content, variation):
        """Return all terms of the objective and, as `image`, their weighted sum."""
        config = self.config
        total = config.content_weight * content + config.style_weight * style
        total += config.variation_weight * variation
        return {"image": total, "style": style, "content": content, "variation": variation}

    def gram_matrices_of(self, features, weights):
        """Return G of every style layer and region: a list of (regions, c, c)."""
        return [
            tf.concat([gram_matrix(features[layer], region) for region in weights[layer]], 0)
            for layer in self.config.style_layers
        ]

    def style_loss(self, grams, targets, region_weights):
        """Relative error of Gram matrices: mean over layers of the weighted sum over regions."""
        errors = [
            weight * relative_error(gram[region], target[region])
            for gram, target in zip(grams, targets, strict=True)
            for region, weight in enumerate(tf.unstack(region_weights))
        ]
        return tf.add_n(errors) / len(grams)

    def content_loss(self, features, targets, scales):
        """Relative error of features, mean over layers; of a tile, its part of the error."""
        errors = [
            tf.reduce_sum(tf.reduce_mean(tf.square(features[layer] - target), -1) * weights) / scale
            for layer, (target, weights), scale in zip(
                self.config.content_layers, targets, scales, strict=True
            )
        ]
        return tf.add_n(errors) / len(errors)

    # --- the targets

    def targets(self, content, styles, style_weights=None, masks=None, tile=0):
        """Compute the features and Gram matrices to which an image is compared.

        Args:
            content: float32 (1, h, w, 3) in [-1, 1].
            styles: list of float32 (1, h', w', 3), each of any size.
            style_weights: weight of each style; equal weights if None.
            masks: float32 (h, w) in [0, 1] for each style, the region that takes this style. If
                None, the styles are blended in the whole image.
            tile: see `tiled_gram.split_image`.

        Returns:
            `Targets`.
        """
        # Compute the Gram matrices of the styles.
        layers_of_styles = []
        for style in styles:
            tiles = split_image(style.shape[1:3], self.strides, None, tile)
            grams = sum_gram_matrices(self.gram_matrices_graph, style, tiles)
            layers_of_styles.append([tf.reduce_mean(gram, 0, keepdims=True) for gram in grams])
        grams = [tf.concat(layer, 0) for layer in zip(*layers_of_styles, strict=True)]
        region_weights = tf.constant(normalized_weights(style_weights, len(styles)), tf.float32)
        if masks is None:  # the weighted sum of errors has the gradient of the error to the blend
            grams = [tf.tensordot(region_weights, gram, 1)[None] for gram in grams]
            region_weights = tf.ones(1)

        # Compute the features of the content, and their mean squares over all tiles.
        size = content.shape[1:3]
        tiles = split_image(size, self.strides, masks, tile)
        unmasked = tiles if masks is None else split_image(size, self.strides, None, tile)
        content_targets = []
        for part in unmasked:
            features = self.features_graph(part.crop(content))
            content_targets.append(
                [(features[layer], part.weights[layer][0]) for layer in self.config.content_layers]
            )
        squares = [
            [tf.reduce_sum(tf.reduce_mean(tf.square(f), -1) * weights) for f, weights in layers]
            for layers in content_targets
        ]
        scales = [tf.maximum(tf.add_n(layer), 1e-12) for layer in zip(*squares, strict=True)]
        return Targets(tiles, grams, region_weights, content_targets, scales)

    # --- the gradient

    def losses_and_gradient(self, image, targets):
        """Compute ({name: loss}, gradient of the weighted sum) of an image float32 (1, h, w, 3)."""
        if len(targets.tiles) > 1:
            return tiled_losses_and_gradient(self, image, targets)
        return self.gradient_graph(image, *targets.whole())

    def objective_and_gradient(self, image, *targets):
        """Compute the losses of an image and their gradient, all at once."""
        with tf.GradientTape() as tape:
            tape.watch(image)
            losses = self.losses_of_image(image, *targets)
        return losses, tape.gradient(losses["image"], image)

    def gram_matrices(self, image, weights):
        """Compute G of every style layer and region of an image: a list of (regions, c, c)."""
        return self.gram_matrices_of(self.extract_features(image), weights)

    # --- one step of Adam

    def unpack_batch(self, data):
        """Return the `Targets` of a batch (content, style); `Targets` are returned unchanged."""
        if isinstance(data, Targets):
            return data
        content, style = self.content_and_style(data, self.config.image_size)
        return self.targets(content, [style])

    def compute_losses(self, targets, training=True):
        """Compute the losses of the current image; `targets` have one tile."""
        return self.losses_of_image(tf.convert_to_tensor(self.image.pixels), *targets.whole())

    def train_step(self, data):
        targets = self.unpack_batch(data)
        pixels = tf.identity(self.image.pixels)
        losses, gradient = self.losses_and_gradient(pixels, targets)

        # Tiles give the gradient, not a loss that a tape can differentiate. So `descend` gets the
        # linear approximation of the loss, which has this gradient.
        def linearized():
            change = tf.convert_to_tensor(self.image.pixels) - pixels  # 0
            return {**losses, "image": losses["image"] + tf.reduce_sum(gradient * change)}

        return self.report(**self.descend(linearized))

    # --- the descent

    def adam_iterates(self, start, targets, state=None):
        """Yield (image, losses) before and the state after every step of Adam.

        Sets the model's own image.
        """
        self.image.assign(start)
        self.compile(xla="off")
        variables = [self.image.pixels, *self.image_optimizer.variables]
        for variable, array in zip(variables, state or (), strict=state is not None):
            variable.assign(array)
        while True:
            image = self.image.pixels.numpy()
            losses = self.train_step(targets)
            yield image, losses, [np.array(variable) for variable in variables]

    def lbfgs_iterates(self, start, targets, state=None):
        """Yield (image, losses, state) after every step of L-BFGS."""

        def value_and_gradient(image):
            losses, gradient = self.losses_and_gradient(tf.constant(image), targets)
            return float(losses["image"]), np.array(gradient), losses

        return lbfgs(value_and_gradient, start, lower=-1.0, upper=1.0, state=state)

    def optimize(self, start, targets, iterations, state=None):
        """Minimize the objective at one size by the config's optimizer.

        Args:
            start: float32 array (1, h, w, 3).
            targets: `Targets`.
            iterations: number of iterations.
            state: `DescentState` to resume from; its iterations are part of the number.

        Yields:
            (image, {name: loss}) of the best image so far and the optimizer's state, after every
            iteration.

        Raises:
            UserError: a loss that is NaN or infinite.
        """
        methods = {"lbfgs": self.lbfgs_iterates, "adam": self.adam_iterates}
        best, best_losses, optimizer_state, done = start, {}, None, 0
        if state is not None:
            best, best_losses = state.canvas, state.losses
            optimizer_state, done = state.optimizer, state.iteration
        iterates = methods[self.config.optimizer](start, targets, optimizer_state)
        for image, losses, optimizer_state in itertools.islice(iterates, iterations - done):
            losses = {name: float(value) for name, value in losses.items()}
            if not np.isfinite(losses["image"]):
                raise UserError(
                    f"The loss must be finite, got {losses['image']}: lower the weights or the "
                    "learning rate."
                )
            if not best_losses or losses["image"] < best_losses["image"]:
                best, best_losses = image, losses
            yield best, best_losses, optimizer_state

    def stylize(
        self,
        content,
        styles,
        style_weights=None,
        style_scale=1.0,
        masks=None,
        tile=1024,
        seed=0,
        state=None,
        on_iteration=None,
    ):
        """Optimize an image of the content's size, from coarse to fine.

        Args:
            content: uint8 (h, w, 3), at least 32 pixels on each side.
            styles: list of uint8 (h', w', 3).
            style_weights: weight of each style; equal weights if None.
            style_scale: longer side of the styles relative to the content's. Below 1 strokes are
                finer, above 1 coarser.
            masks: uint8 (h, w) for each style, white where the style applies. If None, the styles
                are blended in the whole image.
            tile: images of more than tile x tile pixels have their gradient computed in tiles, in
                bounded memory; a multiple of 16. 0: no tiles.
            seed: seed of the start image if `config.init` is noise.
            state: `DescentState` to resume from.
            on_iteration: function of a `DescentState`, called after every iteration.

        Returns:
            uint8 (h, w, 3).

        Raises:
            UserError: invalid arguments.
        """
        check_arguments(content, styles, style_weights, style_scale, masks, tile)
        sizes = pyramid_sizes(content.shape[:2], self.config.smallest)
        image, first_scale, done, margin = None, 0, 0, self.config.margin
        if state is not None:
            first_scale, done = state.scale, state.iteration
        for scale, (height, width) in list(enumerate(sizes))[first_scale:]:
            # Resize everything to the current size.
            small_content = mirror(resize(content, height, width), margin)
            longer_side = round(max(height, width) * style_scale)
            small_styles = [as_batch(resize_longer_side(style, longer_side)) for style in styles]
            small_masks = masks and [
                mirror(resize_mask(mask, height, width), margin) for mask in masks
            ]
            if state is not None:
                canvas = state.canvas
            elif image is None:
                canvas = initial_image(self.config.init, small_content, styles[0], seed)
            else:
                canvas = mirror(resize_image(image, height, width)[0], margin)[None]
            # Descend.
            tiles = tile if needs_tiles((height, width), tile) else 0  # without the margin
            targets = self.targets(
                as_batch(small_content), small_styles, style_weights, small_masks, tiles
            )
            iterates = self.optimize(canvas, targets, self.config.iterations, state)
            for iteration, (canvas, losses, optimizer) in enumerate(iterates, done + 1):
                if on_iteration:
                    on_iteration(DescentState(canvas, margin, scale, iteration, losses, optimizer))
            image, done, state = crop(canvas, margin), 0, None
        return to_uint8(image)[0].numpy()


# --- images


def pyramid_sizes(size, smallest):
    """Return the sizes (h, w) from coarse to fine, each sqrt(2) times as large as the one before.

    Args:
        size: (h, w) of the result, the last size.
        smallest: longer side of the first size, approximately.
    """
    longer = max(size)
    count = max(0, round(2 * np.log2(longer / smallest))) if longer > smallest else 0
    smaller = [tuple(round(side / 2 ** (i / 2)) for side in size) for i in range(count, 0, -1)]
    return [sides for sides in smaller if min(sides) >= 32] + [tuple(size)]


def initial_image(init, content, style, seed):
    """Return the start image, float32 (1, h, w, 3) in [-1, 1]; `init` as in the config."""
    if init == "noise":
        shape = (1, *content.shape)
        return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)
    return as_batch(content if init == "content" else resize(style, *content.shape[:2])).numpy()


def resize_image(image, height, width):
    """Resize and clip to [-1, 1]: float32 (1, h, w, 3) -> array (1, height, width, 3)."""
    return tf.clip_by_value(tf.image.resize(image, (height, width), "bicubic"), -1.0, 1.0).numpy()


def mirror(image, margin):
    """Mirror `margin` pixels at each side: (h, w, ...) -> (h + 2 margin, w + 2 margin, ...).

    Pixels at the border of the optimized image take part in fewer features than those inside, and
    become colored dots. In a margin that is cropped they do no harm.
    """
    sides = ((margin, margin), (margin, margin)) + ((0, 0),) * (np.ndim(image) - 2)
    return np.pad(image, sides, "reflect")


def crop(canvas, margin):
    """Remove the margin: (1, h + 2 margin, w + 2 margin, 3) -> (1, h, w, 3)."""
    height, width = canvas.shape[1:3]
    return canvas[:, margin : height - margin, margin : width - margin]


def resize_mask(mask, height, width):
    """Resize a mask and scale it to [0, 1]: uint8 (h, w) -> float32 (height, width)."""
    return resize(mask[..., None], height, width)[..., 0] / np.float32(255)


def as_batch(image):
    """Convert uint8 (h, w, 3) to float32 (1, h, w, 3) in [-1, 1]."""
    return to_float(image)[None]


def check_style_options(count, style_weights=None, style_scale=1.0, **options):
    """Raise `UserError` unless the weights of `count` styles and their scale are valid."""
    normalized_weights(style_weights, count)
    if not 0.05 <= style_scale <= 20:
        raise UserError(f"style_scale must be between 0.05 and 20, got {style_scale}.")


def check_arguments(content, styles, style_weights, style_scale, masks, tile):
    """Raise `UserError` unless the arguments of `StyleTransfer.stylize` are valid."""
    check_image(content, "The content image", 32)
    for style in styles:
        check_image(style, "A style image", 1)
    check_style_options(len(styles), style_weights, style_scale)
    if masks is not None and len(masks) != len(styles):
        raise UserError(
            f"There must be one mask for each style, got {len(masks)} masks "
            f"for {len(styles)} styles."
        )
    for mask in masks or ():
        if mask.shape != content.shape[:2]:
            raise UserError(
                f"A mask must have the content's size {content.shape[:2]}, got {mask.shape}."
            )
        if not mask.any():
            raise UserError("A mask must have white pixels, got one that is black everywhere.")
    if tile % 16 or tile < 0:
        raise UserError(f"tile must be a multiple of 16 pixels or 0, got {tile}.")
