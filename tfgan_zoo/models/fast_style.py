"""Fast style transfer: a network that gives any image one learned style, in one pass.

Paper: Johnson, Alahi, Fei-Fei, "Perceptual Losses for Real-Time Style Transfer and
Super-Resolution", 2016, arXiv 1603.08155.

    min over f:  E_x  content_weight |F(f(x)) - F(x)|^2
                      + style_weight mean over layers |G(f(x)) - G(style)|^2
                      + variation_weight TV(f(x))

    F: features of VGG-19,  G = F^T F / (h w): Gram matrix,  TV: total variation

Step: one step of Adam on the weighted sum. Only f is trained.

Deviations from the paper:

- Instance normalization instead of batch normalization, reflection padding and convolutions after
  nearest-neighbor upsampling. All are in the authors' later work and in common implementations.
- By default the features are those of a random network with VGG-19's layers at half the width,
  which needs no download. features=imagenet is VGG-19. The paper uses VGG-16.
- Errors are averaged over layers. The paper sums them.
- An option against blobs of one color, off by default: a factor before the last tanh. In the first
  steps of Adam all 9 * 9 * width weights of an output change by about the learning rate in the same
  direction, which saturates tanh in regions that do not recover. fast_mosaic has no such factor.
- Options against patterns of the upsampling layers, off by default: bilinear upsampling, and a
  random shift before the losses.
- Errors are divided by the mean square of the target, so that a weight means the same with every
  feature network (see `losses.relative_error`).

Presets: fast_folder_256 (as in the paper, for a folder of photographs), fast_mosaic (built-in
images), fast_starry_night and fast_great_wave (for a painting and a folder), fast_tiny (for tests).
"""

import dataclasses
import functools

import keras
import tensorflow as tf

from tfgan_zoo.data.transforms import to_float
from tfgan_zoo.errors import MAX_COUNT, UserError, check_range
from tfgan_zoo.layers import InstanceNormalization, ReflectionPadding, Upsampling
from tfgan_zoo.losses import gram_matrix, relative_error, total_variation
from tfgan_zoo.model_methods import check_image, reference_stylizations
from tfgan_zoo.models.base import cosine_decay
from tfgan_zoo.models.inputs import check_images, parts_of
from tfgan_zoo.models.stylization import (
    OnePassConfig,
    StylizationModel,
)
from tfgan_zoo.optimizers import Adam


@dataclasses.dataclass(frozen=True)
class FastStyleConfig(OnePassConfig):
    """Style, network and training of fast style transfer."""

    content_layers: tuple[str, ...] = ("block2_conv2",)  # section 4.1
    style_layers: tuple[str, ...] = (  # section 4.1, with equal weights
        "block1_conv2",
        "block2_conv2",
        "block3_conv3",
        "block4_conv3",
    )
    style: str = "mosaic"  # style image: mosaic, strokes, hatching or a file
    style_size: int = 256  # its longer side in pixels; a smaller one gives finer strokes
    width: int = 32  # channels of the first convolution
    blocks: int = 5  # number of residual blocks
    output_scale: float = 1.0  # factor before the tanh of the output; 0.05: no blobs
    variation_weight: float = 1.0  # of the total variation
    learning_rate: float = 1e-3  # of Adam
    decay_steps: int = 0  # steps over which the rate falls to 0 along a cosine; 0: constant

    def __post_init__(self):
        super().__post_init__()
        check_range(32, 2**12, style_size=self.style_size)
        check_range(1, 1024, width=self.width)
        check_range(0, 100, blocks=self.blocks)
        check_range(0, MAX_COUNT, decay_steps=self.decay_steps)
        self.check_layers()
        if self.image_size % 4:
            raise UserError(f"image_size must be a multiple of 4, got {self.image_size}.")


def generator(config):
    """Build f: x (n, h, w, 3) -> (n, h, w, 3) in [-1, 1] (the supplement's table 1).

    Args:
        config: a `FastStyleConfig`.

    Returns:
        A `keras.Model` for images whose sides are multiples of 4 and at least 32.
    """

    def convolution(x, width, kernel_size, strides=1):
        x = ReflectionPadding(kernel_size // 2)(x)
        return keras.layers.Conv2D(width, kernel_size, strides)(x)

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
        x = Upsampling(config.upsampling)(x)
        x = relu()(normalized(convolution(x, width, 3)))
    x = keras.layers.Rescaling(config.output_scale)(convolution(x, 3, 9))  # (n, 256, 256, 3)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(image, x, name="generator")


@keras.saving.register_keras_serializable("tfgan_zoo")
class FastStyle(StylizationModel):
    """Network for one style (Johnson et al. 2016, arXiv 1603.08155).

    `call` and `predict` stylize images, float32 (n, h, w, 3) in [-1, 1] with sides that are
    multiples of 4.

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
        return check_images(parts_of(data)[0], (None, None, 3), multiple=self.multiple)

    def make_optimizer(self, player):
        return Adam(cosine_decay(self.config.learning_rate, self.config.decay_steps))

    def compile(self, *args, **options):
        """Build the optimizer and compute the style's Gram matrices; see `ZooModel.compile`.

        Raises:
            UserError: a style or feature network that does not exist.
        """
        super().compile(*args, **options)
        self.extract_features = self.config.feature_network(self.config.feature_layers)
        features = self.extract_features(to_float(self.config.style_image())[None])
        self.style_targets = {
            layer: gram_matrix(features[layer]) for layer in self.config.style_layers
        }

    def compute_losses(self, x, training=True):
        y = self.generator(x, training=training)  # f(x)
        y, x = self.random_shift(y, tf.cast(x, tf.float32))
        features, content_features = self.extract_features(y), self.extract_features(x)
        style_errors = [
            relative_error(gram_matrix(features[layer]), target)
            for layer, target in self.style_targets.items()
        ]
        content_errors = [
            relative_error(features[layer], content_features[layer])
            for layer in self.config.content_layers
        ]
        style = tf.add_n(style_errors) / len(style_errors)
        content = tf.add_n(content_errors) / len(content_errors)
        variation = total_variation(y)
        config = self.config
        total = config.content_weight * content + config.style_weight * style
        total += config.variation_weight * variation
        return {"generator": total, "style": style, "content": content, "variation": variation}

    def stylize_tensor(self, images):
        return self.generator(images, training=False)

    def stylize(self, image):
        """Give an image the style that the network has learned.

        Args:
            image: uint8 (h, w, 3) of any size, at least 8 pixels on each side.

        Returns:
            uint8 (h, w, 3).

        Raises:
            UserError: an image of another type or shape.
        """
        check_image(image)
        return self.stylize_graph(image).numpy()

    @functools.cached_property
    def stylize_graph(self):
        spec = tf.TensorSpec((None, None, 3), tf.uint8)
        return tf.function(self.stylize_uint8, input_signature=[spec])

    def reference_outputs(self):
        """Return fixed outputs that an exported model must reproduce to within 1/255."""
        return reference_stylizations(self)

    def signatures(self):
        """Return the signatures of the exported model: `{name: (function, input specs)}`."""

        def stylize(images):
            return {"images": tf.map_fn(self.stylize_uint8, images)}

        signature = (stylize, [tf.TensorSpec((None, None, None, 3), tf.uint8, "images")])
        return {"stylize": signature, "serving_default": signature}
