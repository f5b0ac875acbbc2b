"""Shared parts of the stylization models: feature network, images of any size, argument checks."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from tfgan_zoo.config import PERCEPTUAL_NETWORKS, ModelConfig, check_features, field_types
from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.data.transforms import apply_at_any_size, resize_longer_side, to_float, to_uint8
from tfgan_zoo.errors import MAX_FLOAT, UserError, check_choice, check_range
from tfgan_zoo.features.vgg import VGG19_BLOCKS, layer_names, load_perceptual_network
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.inputs import check_pair
from tfgan_zoo.visualize import pad_to_common_size

STYLE_LAYERS = (  # Gatys et al. 2016, section 3
    "block1_conv1",
    "block2_conv1",
    "block3_conv1",
    "block4_conv1",
    "block5_conv1",
)
CONTENT_LAYERS = ("block4_conv2",)
UPSAMPLING = ("nearest", "bilinear")


@dataclasses.dataclass(frozen=True)
class StylizationConfig(ModelConfig):
    """Fields that all stylization models share."""

    image_size: int = 256  # side of a square training crop, in pixels
    features: str = "random"  # random, small, medium, hed, imagenet or a file (features/vgg.py)
    features_width: int = 32  # channels of its first block if features=random; VGG-19 has 64
    pooling: str = "max"  # of the feature network: max or average
    content_weight: float = 1.0  # of the error of the content features
    style_weight: float = 10.0  # of the error of the style's statistics

    task = "stylize"
    channels = 3
    takes_styles = False  # the model learns one style, that of the fields style and style_size

    def __post_init__(self):
        check_range(32, 2**13, image_size=self.image_size)
        check_range(1, 256, features_width=self.features_width)
        check_features("features", self.features, PERCEPTUAL_NETWORKS)
        check_choice("pooling", self.pooling, ("max", "average"))
        floats = [name for name, kind in field_types(type(self)).items() if kind is float]
        check_range(0, MAX_FLOAT, **{name: getattr(self, name) for name in floats})

    def check_layers(self):
        """Raise a `UserError` if content_layers or style_layers are empty or do not exist."""
        for name in ("content_layers", "style_layers"):
            if not getattr(self, name):
                raise UserError(f"{name} must name at least one layer, got ().")
            if not self.features.endswith(".keras"):  # which has layers of any names
                for layer in getattr(self, name):
                    check_choice(f"a layer of {name}", layer, layer_names(VGG19_BLOCKS))

    @property
    def feature_layers(self):
        """Names of all layers of the objective, without repetitions."""
        return tuple(dict.fromkeys((*self.style_layers, *self.content_layers)))

    def feature_network(self, layers, features=None):
        """Load a feature network: a `features.vgg.PerceptualNetwork` with these layers.

        Args:
            layers: names of layers.
            features: as the field `features`, which is the default.
        """
        features = features or self.features
        width = self.features_width if features == "random" else 64
        return load_perceptual_network(features, layers, self.pooling, width)

    def style_image(self):
        """Load the one style of the model: uint8 (h, w, 3), or None if the model takes styles."""
        return None if self.takes_styles else load_style_image(self.style, self.style_size)


@dataclasses.dataclass(frozen=True)
class OnePassConfig(StylizationConfig):
    """Options of one-pass networks that reduce grid patterns."""

    upsampling: str = "nearest"  # nearest or bilinear
    jitter: int = 0  # random shift of the images before the losses, in pixels, at most

    def __post_init__(self):
        super().__post_init__()
        check_choice("upsampling", self.upsampling, UPSAMPLING)
        check_range(0, self.image_size // 2, jitter=self.jitter)


class StylizationModel(ZooModel):
    """Model that stylizes images of any size.

    A subclass defines `stylize(image, ...)` for one uint8 image. If it is a network, it also
    defines `multiple`, of which the sides of the network's images are multiples, and
    `stylize_tensor(images, *args)`, from float32 (n, h, w, 3) in [-1, 1] to stylized images of
    the same shape.
    """

    multiple = 4
    smallest = 32  # sides of the network's images in pixels, at least

    def content_and_style(self, data, content_size=None):
        """Return the (content, style) images of a batch, float32 (n, h, w, 3) each.

        Args:
            data: a pair (content, style).
            content_size: side of square contents in pixels. None: any height and width.

        Raises:
            UserError: a batch that is not a pair, or images of another dtype or shape.
        """
        shapes = [(content_size, content_size, 3), (None, None, 3)]
        return check_pair(data, type(self).__name__, ("content", "style"), shapes)

    def random_shift(self, *batches):
        """Cut the same random window out of image batches, `config.jitter` pixels smaller.

        A feature network with pooling treats positions differently, with a period of 8 pixels and
        more. Without shifts the trained network answers with a pattern of that period. Images that
        are optimized through a network have the same fault (Mordvintsev et al. 2015, Inceptionism).

        Args:
            *batches: image batches (n, h, w, 3) of the same h and w.

        Returns:
            A list of batches (n, h - jitter, w - jitter, 3), or of the batches without jitter.
        """
        jitter = self.config.jitter
        if not jitter:
            return list(batches)
        corner = tf.cast(
            (jitter + 1) * self.noise((2,), "jitter", distribution="uniform"), tf.int32
        )
        n, height, width, channels = keras.ops.shape(batches[0])
        size = (n, height - jitter, width - jitter, channels)
        return [tf.slice(batch, (0, corner[0], corner[1], 0), size) for batch in batches]

    @property
    def takes_styles(self):
        """True if `stylize` takes style images, False if the model has learned one style."""
        return self.config.takes_styles

    def call_specs(self):
        images = tf.TensorSpec((None, None, None, 3))
        return (images, images) if self.takes_styles else images

    def stylize_uint8(self, image, *args):
        """Stylize one image of any size: uint8 tensor (h, w, 3) -> uint8 tensor (h, w, 3).

        Args:
            image: uint8 (h, w, 3).
            *args: further arguments of `stylize_tensor`.
        """
        return self.stylize_batch(image[None], *args)[0]

    def stylize_batch(self, images, *args):
        """Stylize images of any size: uint8 tensor (n, h, w, 3) -> uint8 tensor (n, h, w, 3)."""
        stylized = apply_at_any_size(
            lambda images: self.stylize_tensor(images, *args),
            to_float(images),
            self.multiple,
            self.smallest,
        )
        return to_uint8(stylized)

    def sample_grid(self, count, seed, fixed_images):
        """Return (images, columns): contents, styles if the model takes them, results below."""
        columns = []
        for i in range(min(count, len(fixed_images))):
            content, *styles = fixed_images.evaluation_images(i)
            result = self.stylize(content, *([styles] if self.takes_styles else []))
            columns.append([content, *styles, result])
        images = [image for row in zip(*columns, strict=True) for image in row]
        return pad_to_common_size(images), len(columns)


def check_image(image, name="The image", least=8):
    """Raise `UserError` unless an image is uint8 (h, w, 3) with sides of `least` pixels or more."""
    is_rgb = image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3
    if not is_rgb or min(image.shape[:2]) < least:
        raise UserError(
            f"{name} must be uint8 (h, w, 3) with at least {least} pixels on each side, "
            f"got {image.dtype} {image.shape}."
        )


def check_styles(styles, alpha):
    """Raise `UserError` unless all styles are valid images and alpha is in [0, 1]."""
    for style in styles or ():
        check_image(style, "A style image", 32)
    if not 0.0 <= alpha <= 1.0:
        raise UserError(f"alpha must be in [0, 1], got {alpha}.")


def normalized_weights(weights, count):
    """Return the weights of `count` styles, scaled so that they add up to 1.

    Args:
        weights: a list of numbers of at least 0; equal weights if None.
        count: number of styles.

    Raises:
        UserError: a wrong number of weights, one that is negative or not finite, or only zeros.
    """
    weights = [1.0] * count if weights is None else list(weights)
    valid = count and len(weights) == count and min(weights) >= 0
    if not valid or not 0 < sum(weights) < math.inf:
        raise UserError(
            f"style_weights must have a finite number of at least 0 for each of {count} styles, "
            f"and not only zeros, got {weights}."
        )
    return [weight / sum(weights) for weight in weights]


def stylize_with_statistics(moments, paint, image, styles, alpha, style_weights, own=None):
    """Run `AdaIN.stylize` on a model or on an exported one.

    Args:
        moments: function from a uint8 image to its feature statistics, float32 (2, 1, 1, c).
        paint: function (image, its statistics, the style's statistics, alpha) -> uint8 (h, w, 3).
        image: see `AdaIN.stylize`.
        styles: see `AdaIN.stylize`.
        alpha: see `AdaIN.stylize`.
        style_weights: see `AdaIN.stylize`.
        own: see `AdaIN.stylize`.

    Returns:
        uint8 (h, w, 3).
    """
    check_image(image)
    check_styles(styles, alpha)
    weights = normalized_weights(style_weights, len(styles))
    style_statistics = sum(
        weight * np.asarray(moments(style)) for weight, style in zip(weights, styles, strict=True)
    )
    if own is None:  # the encoder needs 32 pixels on each side: enlarge smaller images
        own = moments(resize_longer_side(image, max(image.shape)))
    return np.asarray(
        paint(
            image,
            tf.constant(own),
            tf.constant(style_statistics, tf.float32),
            tf.constant(alpha, tf.float32),
        )
    )


def reference_stylizations(model):
    """Stylize a random image of 52x75 pixels (no multiple of any stride) by a model.

    Args:
        model: a `StylizationModel` or an exported one.

    Returns:
        uint8 (52, 75, 3).
    """
    random = np.random.default_rng(0)
    content, *styles = (
        random.integers(0, 256, size, np.uint8) for size in ((52, 75, 3), (40, 64, 3), (55, 39, 3))
    )
    if model.takes_styles:
        return model.stylize(content, styles, 0.75, (1.0, 2.0))
    return model.stylize(content)
