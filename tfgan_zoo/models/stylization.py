"""Shared parts of the stylization models: feature network, images of any size, argument checks."""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.config import PERCEPTUAL_NETWORKS, ModelConfig, check_features, field_types
from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.data.transforms import apply_at_any_size, to_float, to_uint8
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
