"""Fast style transfer: a network that learns to give any picture one style, in one pass.

Paper: Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016, arXiv 1603.08155.

    min over f:  E_x  a |F(f(x)) - F(x)|^2 + b sum over layers |G(f(x)) - G(style)|^2 + c TV(f(x))   F: features of VGG19, G: Gram matrix

Step: the network moves along the gradient of the weighted sum.

Deviations from the paper: instance norm in place of batch norm, reflection padding and resize-convolutions (all as in the authors' later
work and every implementation since), VGG19 in place of VGG16, and errors divided by the target's mean square, so that weights mean
the same through every network (see `losses.relative_error`).

Presets: fast_folder_256 (the paper's form, for a folder of photographs; the README has numbers), fast_mosaic (embedded data).
"""

import dataclasses
import functools

import keras
import tensorflow as tf

from tfgan_zoo.data.builtin_images import load_style_image
from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.errors import UserError
from tfgan_zoo.layers import InstanceNormalization, ReflectionPadding
from tfgan_zoo.losses import gram_matrix, relative_error, total_variation
from tfgan_zoo.models.replicated import check_float_images
from tfgan_zoo.models.stylization import (
    StylizationConfig,
    StylizationModel,
    check_image,
    reference_stylizations,
)
from tfgan_zoo.optimizers import Adam


@dataclasses.dataclass(frozen=True)
class FastStyleConfig(StylizationConfig):
    style: str = "mosaic"  # the picture to learn from: a file, or mosaic, strokes or hatching
    style_size: int = 256  # pixels of its longer side: smaller for finer strokes
    width: int = 32  # channels of the first convolution
    blocks: int = 5  # residual ones
    variation_weight: float = 1.0
    learning_rate: float = 1e-3  # Adam

    def __post_init__(self):
        super().__post_init__()
        if self.image_size % 4:
            raise UserError(
                f"image_size must be a multiple of 4, received image_size={self.image_size}"
            )


CONTENT_LAYER = "block2_conv2"
STYLE_LAYERS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")


def generator(config):
    """x (n, h, w, 3) -> (n, h, w, 3) in [-1, 1], h and w multiples of 4 and at least 32 (the supplement's table 1).

    Args:
        config: a `FastStyleConfig`.

    Returns:
        A built `keras.Model` for any image size.
    """

    def convolution(x, width, kernel_size, strides=1):
        return keras.layers.Conv2D(width, kernel_size, strides)(
            ReflectionPadding(kernel_size // 2)(x)
        )

    def normalized(x):
        return InstanceNormalization(affine=True)(x)

    relu, w = keras.layers.ReLU, config.width
    image = keras.Input((None, None, 3), name="x")
    x = relu()(normalized(convolution(image, w, 9)))  # (n, 256, 256, 32)
    x = relu()(normalized(convolution(x, 2 * w, 3, strides=2)))  # (n, 128, 128, 64)
    x = relu()(normalized(convolution(x, 4 * w, 3, strides=2)))  # (n, 64, 64, 128)
    for _ in range(config.blocks):
        inner = relu()(normalized(convolution(x, 4 * w, 3)))
        x = x + normalized(convolution(inner, 4 * w, 3))
    for width in (2 * w, w):  # (n, 128, 128, 64), (n, 256, 256, 32)
        x = relu()(normalized(convolution(keras.layers.UpSampling2D()(x), width, 3)))
    return keras.Model(
        image,
        keras.layers.Activation("tanh", dtype="float32")(convolution(x, 3, 9)),
        name="generator",
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class FastStyle(StylizationModel):
    """A network for one style (Johnson et al. 2016, arXiv 1603.08155).

    Example:
        >>> model = FastStyle(FastStyleConfig(image_size=32, width=4, blocks=1))
        >>> model(keras.ops.zeros((1, 32, 64, 3))).shape
        TensorShape([1, 32, 64, 3])
    """

    Config = FastStyleConfig

    def build_networks(self):
        self.generator = generator(self.config)

    def players(self):
        return {"generator": [self.generator]}

    def call(self, x, training=False):
        return self.generator(x, training=training)

    def unpack_batch(self, data):
        return check_float_images(data)

    def make_optimizer(self, player):
        return Adam(self.config.learning_rate)

    def compile(self, *args, **options):
        """See `ZooModel.compile`; also looks at the style, once for all.

        Raises:
            UserError: no such style, or no such network to look through.
        """
        super().compile(*args, **options)
        self.extract_features = self.config.feature_network(
            STYLE_LAYERS
        )  # the content's layer is one of them
        found = self.extract_features(to_float(self.style_image())[None])
        self.style_targets = {layer: gram_matrix(found[layer]) for layer in STYLE_LAYERS}

    def style_image(self):
        """The picture that the style is of: uint8 (h, w, 3)."""
        return load_style_image(self.config.style, self.config.style_size)

    def compute_losses(self, x):
        y = self.generator(x, training=True)  # f(x)
        found, kept = self.extract_features(y), self.extract_features(tf.cast(x, tf.float32))
        style = tf.add_n(
            [
                relative_error(gram_matrix(found[layer]), target)
                for layer, target in self.style_targets.items()
            ]
        ) / len(STYLE_LAYERS)
        content, variation = (
            relative_error(found[CONTENT_LAYER], kept[CONTENT_LAYER]),
            total_variation(y),
        )
        total = (
            self.config.content_weight * content
            + self.config.style_weight * style
            + self.config.variation_weight * variation
        )
        return {"generator": total, "style": style, "content": content, "variation": variation}

    def paint(self, images):
        return self.generator(images, training=False)

    def stylize(self, image):
        """A picture in the style that the network has learnt: uint8 (h, w, 3) of any size -> the same.

        Raises:
            UserError: no such picture.
        """
        check_image(image)
        return self.graph(image).numpy()

    @functools.cached_property
    def graph(self):
        return tf.function(self.apply, input_signature=[tf.TensorSpec((None, None, 3), tf.uint8)])

    def reference_outputs(self):
        """What an exported copy must make alike."""
        return reference_stylizations(self)

    def signatures(self):
        """What an exported model can do: `{name: (function, its input specs)}`."""

        def stylize(images):
            return {"images": tf.map_fn(self.apply, images)}

        found = (stylize, [tf.TensorSpec((None, None, None, 3), tf.uint8, "images")])
        return {"stylize": found, "serving_default": found}
