"""Base class and configuration of the image-to-image translation models Pix2Pix and CycleGAN.

The domains are x and y. The direction "xy" translates from x to y. At test time a translation is a
deterministic function of the image. Dropout is off unless `test_dropout` is set. Batch norm uses
the statistics of each image (`test_norm="image"`, which is what the network sees during training
with `data.batch_size=1`) or the moving averages (`test_norm="running"`, for larger batches). Both
settings are stored with the model, so loading it needs no further options.

In the paper, dropout stays on and batch norm uses the statistics of the test batch. The authors'
code does the same unless it is run with `--eval`. One image can then have different translations in
two calls or in two batches, which users reported as a bug.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from tfgan_zoo.config import ModelConfig
from tfgan_zoo.data.transforms import apply_at_any_size, to_float, to_integers, to_uint8
from tfgan_zoo.errors import MAX_COUNT, MAX_FLOAT, UserError, check_choice, check_range
from tfgan_zoo.layers import dropout_at_inference
from tfgan_zoo.losses import CRITERIA
from tfgan_zoo.model_methods import check_images, reference_translations
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.blocks import RECEPTIVE_FIELDS
from tfgan_zoo.models.inputs import check_pair, format_shape
from tfgan_zoo.optimizers import Adam
from tfgan_zoo.visualize import pad_to_common_size


@dataclasses.dataclass(frozen=True)
class TranslationConfig(ModelConfig):
    """Configuration shared by the translation models. Defaults are those both papers agree on."""

    image_size: int = 256  # pixels of a square training crop; test images may have any size
    x_channels: int = 3  # of images of domain x
    y_channels: int = 3  # of images of domain y
    width: int = 64  # channels of the first convolution of G and of D
    norm: str = "instance"  # or batch
    upsampling: str = "transposed"  # convolutions; or resize, which avoids checkerboard artifacts
    receptive_field: int = 70  # of a logit of D, in pixels: 1, 16, 34, 70, 142 or 286
    objective: str = "least_squares"  # or cross_entropy
    test_norm: str = "image"  # statistics of batch norm at test time: image or running
    frozen_layers: int = 0  # first layers of D that are not trained (FreezeD, Mo et al. 2020)
    learning_rate: float = 2e-4  # of Adam, for both players
    beta_1: float = 0.5  # of Adam: decay of the mean of the gradients
    beta_2: float = 0.999  # of Adam: decay of the mean of their squares
    constant_epochs: int = 100  # epochs at the full learning rate
    decay_epochs: int = 100  # further epochs, with linear decay towards 0; 0: no decay

    task = "translate"
    multiple = 1  # the generator needs image sides that are multiples of this
    smallest = 0  # and at least this, in pixels

    def __post_init__(self):
        check_range(1, 2**13, image_size=self.image_size)
        check_range(1, 1024, width=self.width)
        check_range(1, 64, x_channels=self.x_channels, y_channels=self.y_channels)
        check_range(0, MAX_FLOAT, learning_rate=self.learning_rate)
        check_range(0, MAX_COUNT, constant_epochs=self.constant_epochs)
        check_range(0, MAX_COUNT, decay_epochs=self.decay_epochs)
        check_range(0, 64, frozen_layers=self.frozen_layers)
        check_choice("norm", self.norm, ("instance", "batch"))
        check_choice("upsampling", self.upsampling, ("transposed", "resize"))
        check_choice("receptive_field", self.receptive_field, RECEPTIVE_FIELDS)
        check_choice("objective", self.objective, CRITERIA)
        check_choice("test_norm", self.test_norm, ("image", "running"))
        for name, value in (("beta_1", self.beta_1), ("beta_2", self.beta_2)):
            if not 0 <= value < 1:
                raise UserError(f"{name} must be in [0, 1), got {value!r}.")
        strides = RECEPTIVE_FIELDS[self.receptive_field]
        if strides and self.image_size // 2**strides < 3:
            raise UserError(
                f"image_size={self.image_size} is too small for the discriminator's patches, "
                f"got receptive_field={self.receptive_field}. Choose a smaller receptive_field."
            )
        if self.image_size % self.multiple:
            raise UserError(
                f"image_size must be a multiple of {self.multiple}, got {self.image_size}."
            )


class TranslationModel(ZooModel):
    """Base class of the translation models.

    `call` maps x to y, both float32 (n, h, w, c) in [-1, 1]. A training batch is a pair (x, y).
    A subclass defines its networks, `players`, `compute_losses(batch)` and:

    - `generator_of(direction)`: the generator network of a direction;
    - `evaluation_columns(x, y, seed)`: the list of images that a sample grid shows for one x and y.
    """

    directions = ("xy",)
    training_size = None  # side of square training images in pixels; None: any height and width
    stochastic = False  # True: a translation also depends on a seed

    def make_optimizer(self, player):
        return Adam(self.config.learning_rate, beta_1=self.config.beta_1, beta_2=self.config.beta_2)

    def learning_rate_in(self, epoch):
        """Return the learning rate of an epoch, counted from 1.

        The rate is constant for `constant_epochs`, then decays in equal steps over `decay_epochs`.
        The last epoch still has a rate above 0.
        """
        if not self.config.decay_epochs:
            return self.config.learning_rate
        decayed = max(0, epoch - self.config.constant_epochs)
        return self.config.learning_rate * max(0.0, 1.0 - decayed / (self.config.decay_epochs + 1))

    def begin_epoch(self, epoch):
        for player in self.scheduled:
            getattr(self, f"{player}_optimizer").learning_rate = self.learning_rate_in(epoch + 1)

    def check_epochs(self, epochs):
        total = self.config.constant_epochs + self.config.decay_epochs
        if self.config.decay_epochs and epochs > total:
            raise UserError(
                f"the learning rate has decayed to 0 after {total} epochs, got "
                f"train.epochs={epochs}. Set model.constant_epochs and model.decay_epochs "
                "(0: no decay) in a new run."
            )

    def epochs_warning(self, epochs):
        if epochs >= self.config.constant_epochs + self.config.decay_epochs:
            return None
        return (
            "the learning rate will not have decayed to 0 at the end: see model.constant_epochs "
            "and model.decay_epochs."
        )

    def unpack_batch(self, data):
        """Return a training batch as a tuple (x, y).

        Raises:
            UserError: if `data` is not a pair of floating-point images of equal size with the
                configured channels.
        """
        size = self.training_size
        shapes = [(size, size, c) for c in (self.config.x_channels, self.config.y_channels)]
        x, y = check_pair(data, type(self).__name__, "xy", shapes, self.config.multiple)
        if not x.shape[1:3].is_compatible_with(y.shape[1:3]):
            raise UserError(
                f"x and y must have the same height and width, got {format_shape(x.shape)} and "
                f"{format_shape(y.shape)}: resize or crop them."
            )
        return x, y

    def channels(self, direction):
        """Return the number of input and of output channels of a direction.

        Raises:
            UserError: if the model does not have the direction, or its generator is not trained.
        """
        check_choice("direction", direction, type(self).directions)
        if direction not in self.directions:
            raise UserError(
                f"{self.source} has no trained generator {direction} "
                f"(imported: {', '.join(self.directions)}). Import it into this directory with "
                f"tfgan-zoo import-torch --direction {direction}, or train the run."
            )
        x, y = self.config.x_channels, self.config.y_channels
        return (x, y) if direction == "xy" else (y, x)

    def keep_directions(self, directions, source):
        """Refuse all other directions, whose generators are not trained.

        Args:
            directions: list of "xy" and "yx".
            source: name of the model in error messages.
        """
        self.directions = tuple(name for name in type(self).directions if name in directions)
        self.source = str(source)

    def call(self, x, training=False):
        self.channels("xy")  # raises an error if that generator is not trained
        return self.generator_of("xy")(x, training=training)

    def call_specs(self):
        return tf.TensorSpec((None, None, None, self.config.x_channels))

    def map(self, images, direction="xy", seed=0):
        """Translate float images of any size.

        Images are padded by reflection to the size that the network needs; the result is cropped
        back.

        Args:
            images: float32 tensor (n, h, w, c) in [-1, 1].
            direction: "xy" or, if the model has it, "yx".
            seed: seed of the noise of a stochastic model.

        Returns:
            A float32 tensor (n, h, w, c') in [-1, 1].

        Raises:
            UserError: as `channels`.
        """
        self.channels(direction)
        generator, config = self.generator_of(direction), self.config
        with dropout_at_inference(seed if self.stochastic else None):
            return apply_at_any_size(
                lambda x: generator(x, training=False), images, config.multiple, config.smallest
            )

    def translate(self, images, direction="xy", seed=0):
        """Translate integer images of any size.

        Args:
            images: uint8 or uint16 array (n, h, w, c), or (h, w, c) for one image.
            direction: "xy" or, if the model has it, "yx".
            seed: seed of the noise of a stochastic model (`test_dropout`).

        Returns:
            An array with the height, width and dtype of the input.

        Raises:
            UserError: if the model does not have the direction, or the images do not fit.
        """
        images = np.asarray(images)
        check_images(images, self.channels(direction)[0])
        batch = images[None] if images.ndim == 3 else images
        graph = self.translation_graph(direction, tf.as_dtype(images.dtype))
        translated = [graph(batch[i : i + 1], seed).numpy() for i in range(len(batch))]
        return translated[0][0] if images.ndim == 3 else np.concatenate(translated)

    def translation_graph(self, direction, dtype):
        """Return the `tf.function` (image, seed) -> image of a direction and an integer dtype."""
        name = f"graph_{direction}_{dtype.name}"
        if name not in vars(self):
            shape = (1, None, None, self.channels(direction)[0])
            graph = tf.function(
                lambda image, seed: to_integers(self.map(to_float(image), direction, seed), dtype),
                input_signature=[tf.TensorSpec(shape, dtype), tf.TensorSpec((), tf.int32)],
            )
            setattr(self, name, graph)
        return getattr(self, name)

    def reference_outputs(self):
        """Return fixed-seed outputs that an exported model must reproduce to within 1/255."""
        return reference_translations(self)

    def sample_grid(self, count, seed, fixed_images):
        """Return images for the run's samples folder, and the number of columns.

        The grid has one column for each of the first `count` evaluation images of `fixed_images`
        and one row for each image of `evaluation_columns`.
        """
        columns = [
            self.evaluation_columns(*fixed_images.evaluation_images(i), seed)
            for i in range(min(count, len(fixed_images)))
        ]
        images = [image for row in zip(*columns, strict=True) for image in row]
        return pad_to_common_size(images), len(columns)

    def signatures(self):
        """Return the functions of the exported model: `{name: (function, input specs)}`.

        A stochastic model takes a seed; each image of a batch has its own noise. The signature
        "translate" is that of the first direction.
        """
        seed_specs = [tf.TensorSpec((), tf.int32, "seed")] if self.stochastic else []
        signatures = {}
        for direction in self.directions:
            shape = (None, None, None, self.channels(direction)[0])

            def translate(images, *seed, direction=direction):
                return {"images": to_uint8(self.map(to_float(images), direction, *seed))}

            image_spec = tf.TensorSpec(shape, tf.uint8, "images")
            signatures[f"translate_{direction}"] = (translate, [image_spec, *seed_specs])
        default = signatures[f"translate_{self.directions[0]}"]
        return {"translate": default, "serving_default": default, **signatures}
