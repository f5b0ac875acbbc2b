"""What the image-to-image models share: their configuration, the schedule of the learning rate, `translate` for images of any size.

Domains are x and y; "xy" translates from x to y. At test time a translation is a pure function of the image: dropout is off unless
`test_dropout`, and batch norm takes each image's own statistics (`test_norm="image"`, what the network saw in training with
`data.batch_size=1`) or the running ones of the training ("running", for larger batches). Both are stored with the model, so that
whoever loads it need not know. The authors' code does as the paper says, dropout on and the statistics of the test batch, unless it is
given `--eval`; so the same image could come out differently twice, or among other images, which users took for a bug.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from tfgan_zoo.config import ModelConfig
from tfgan_zoo.data.transforms import apply_at_any_size, to_float, to_integers, to_uint8
from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.layers import dropout_at_inference
from tfgan_zoo.losses import CRITERIA
from tfgan_zoo.models.base import ZooModel
from tfgan_zoo.models.blocks import RECEPTIVE_FIELDS
from tfgan_zoo.optimizers import Adam
from tfgan_zoo.visualize import pad_to_common_size

DIRECTIONS = ("xy", "yx")


@dataclasses.dataclass(frozen=True)
class TranslationConfig(ModelConfig):
    """What both papers' models have; defaults are those that they agree on."""

    image_size: int = 256  # pixels of a training crop, square; translations may be of any size
    x_channels: int = 3
    y_channels: int = 3
    width: int = 64  # channels of the first convolution of G and of D
    norm: str = "instance"  # or batch
    upsampling: str = "transposed"  # convolutions; or resize, which has no checkerboard pattern
    receptive_field: int = 70  # pixels that a logit of D sees: 1, 16, 34, 70, 142 or 286
    objective: str = "least_squares"  # or cross_entropy
    test_norm: str = "image"  # statistics of batch norm at test time: image or running
    learning_rate: float = 2e-4  # Adam, both players
    beta_1: float = 0.5
    beta_2: float = 0.999
    constant_epochs: int = 100  # of the learning rate
    decay_epochs: int = 100  # over which it then falls linearly towards 0; 0: it stays

    task = "translate"
    multiple = 1  # sides of the images that the generator takes are multiples of this
    smallest = 0  # and at least this

    def __post_init__(self):
        check_at_least(
            1,
            image_size=self.image_size,
            x_channels=self.x_channels,
            y_channels=self.y_channels,
            width=self.width,
        )
        check_at_least(
            0,
            learning_rate=self.learning_rate,
            constant_epochs=self.constant_epochs,
            decay_epochs=self.decay_epochs,
        )
        check_choice("norm", self.norm, ("instance", "batch"))
        check_choice("upsampling", self.upsampling, ("transposed", "resize"))
        check_choice("receptive_field", self.receptive_field, RECEPTIVE_FIELDS)
        check_choice("objective", self.objective, CRITERIA)
        check_choice("test_norm", self.test_norm, ("image", "running"))
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise UserError(
                    f"{name} must be in [0, 1), received {name}={getattr(self, name)!r}"
                )
        if (
            RECEPTIVE_FIELDS[self.receptive_field]
            and self.image_size // 2 ** RECEPTIVE_FIELDS[self.receptive_field] < 3
        ):
            raise UserError(
                f"{self.image_size} pixels are too few for patches, received receptive_field={self.receptive_field}"
            )
        if self.image_size % self.multiple:
            raise UserError(
                f"image_size must be a multiple of {self.multiple}, received image_size={self.image_size}"
            )


class TranslationModel(ZooModel):
    """A model with `call(x)` giving y, both float32 (n, h, w, c) in [-1, 1]; a batch is a pair (x, y).

    A subclass has `compute_losses(batch)`, `generator_of(direction, seed)`, the function (images, training) -> images of a direction, and
    `evaluation_columns(x, y, seed)`, what is worth seeing of an x and a y, as a list of images.
    """

    directions = ("xy",)
    stochastic = False  # whether a translation also depends on a seed

    def make_optimizer(self, player):
        return Adam(self.config.learning_rate, beta_1=self.config.beta_1, beta_2=self.config.beta_2)

    def learning_rate_in(self, epoch):
        """The learning rate of an epoch, the first being 1: constant, then falling by equal steps, and not yet 0 in the last epoch."""
        if not self.config.decay_epochs:
            return self.config.learning_rate
        past = max(0, epoch - self.config.constant_epochs)
        return self.config.learning_rate * max(0.0, 1.0 - past / (self.config.decay_epochs + 1))

    def begin_epoch(self, epoch):
        for player in self.scheduled:
            getattr(self, f"{player}_optimizer").learning_rate = self.learning_rate_in(epoch + 1)

    def check_epochs(self, epochs):
        total = self.config.constant_epochs + self.config.decay_epochs
        if self.config.decay_epochs and epochs > total:
            raise UserError(
                f"the learning rate has fallen to 0 after {total} epochs: set model.constant_epochs and model.decay_epochs (0: it stays) "
                f"in a new run, received train.epochs={epochs}"
            )

    def epochs_warning(self, epochs):
        if epochs >= self.config.constant_epochs + self.config.decay_epochs:
            return None
        return (
            "the learning rate will not have decayed to 0 at the end: see model.constant_epochs and "
            "model.decay_epochs."
        )

    def unpack_batch(self, data):
        """A training batch as (x, y).

        Raises:
            UserError: not a pair of floating-point images of the right channels.
        """
        if not isinstance(data, (tuple, list)) or len(data) != 2:
            raise UserError(
                f"{type(self).__name__} needs batches (x, y) of images, received {type(data).__name__}"
            )
        for images, channels, name in zip(
            data, (self.config.x_channels, self.config.y_channels), "xy", strict=True
        ):
            if not images.dtype.is_floating:
                raise UserError(
                    f"images must be float32 in [-1, 1], received {name} of dtype={images.dtype.name}"
                )
            if images.shape[-1] != channels:
                raise UserError(
                    f"{name} must have model.{name}_channels={channels}, received {name} of shape {tuple(images.shape)}"
                )
        return tuple(data)

    def train_step(self, data):
        return self.report(**self.descend(lambda: self.compute_losses(self.unpack_batch(data))))

    def channels(self, direction):
        """(of the input, of the output) of a direction."""
        check_choice("direction", direction, self.directions)
        x, y = self.config.x_channels, self.config.y_channels
        return (x, y) if direction == "xy" else (y, x)

    def call(self, x, training=False):
        return self.generator_of("xy")(x, training=training)

    def map(self, images, direction="xy", seed=0):
        """Translates images of any size, mirrored at the borders up to the network's multiple and cropped back.

        Args:
            images: float32 tensor (n, h, w, c) in [-1, 1].
            direction: "xy" or, if the model has it, "yx".
            seed: of the noise, if the model is random.

        Returns:
            float32 tensor (n, h, w, c') in [-1, 1].
        """
        generator = self.generator_of(direction, seed)
        with dropout_at_inference(seed if self.stochastic else None):
            return apply_at_any_size(
                lambda x: generator(x, training=False),
                images,
                self.config.multiple,
                self.config.smallest,
            )

    def translate(self, images, direction="xy", seed=0):
        """Translated images.

        Args:
            images: uint8 (n, h, w, c), or (h, w, c) for one, of any height and width; uint16 where there are 16 bits a pixel.
            direction: "xy" or, if the model has it, "yx".
            seed: of the noise, if the model is random (`test_dropout`, or `latent_dim`).

        Returns:
            An array of the input's height, width and dtype.

        Raises:
            UserError: no such direction, or images that do not fit.
        """
        images = np.asarray(images)
        check_images(images, self.channels(direction)[0])
        many = images[None] if images.ndim == 3 else images
        name = f"graph_{direction}_{images.dtype}"
        if not hasattr(self, name):  # a graph for each kind of input, made once
            dtype = tf.as_dtype(images.dtype)
            specs = [
                tf.TensorSpec((1, None, None, images.shape[-1]), dtype),
                tf.TensorSpec((), tf.int32),
            ]
            graph = tf.function(
                lambda image, seed: to_integers(self.map(to_float(image), direction, seed), dtype),
                input_signature=specs,
            )
            setattr(self, name, graph)
        out = [getattr(self, name)(many[i : i + 1], seed) for i in range(len(many))]
        return out[0][0].numpy() if images.ndim == 3 else np.concatenate(out)

    def reference_outputs(self):
        """What an exported copy must make alike."""
        return reference_translations(self)

    def sample_grid(self, count, seed, fixed_images):
        """A picture of what the model has learnt, (images, columns): a column for each of the first `count` fixed_images, a row for each
        of `evaluation_columns`."""
        columns = [
            self.evaluation_columns(*fixed_images.evaluation_images(i), seed)
            for i in range(min(count, len(fixed_images)))
        ]
        return pad_to_common_size(
            [image for row in zip(*columns, strict=True) for image in row]
        ), len(columns)

    def signatures(self):
        """What an exported model can do: `{name: (function, its input specs)}`. With a seed each image of a batch has noise of its own."""
        seeds = [tf.TensorSpec((), tf.int32, "seed")] if self.stochastic else []
        found = {}
        for direction in self.directions:
            images = tf.TensorSpec(
                (None, None, None, self.channels(direction)[0]), tf.uint8, "images"
            )

            def translate(images, *seed, direction=direction):
                return {"images": to_uint8(self.map(to_float(images), direction, *seed))}

            found[f"translate_{direction}"] = (translate, [images, *seeds])
        return {
            "translate": found["translate_xy"],
            "serving_default": found["translate_xy"],
            **found,
        }


def check_images(images, channels):
    if (
        images.dtype not in (np.uint8, np.uint16)
        or images.ndim not in (3, 4)
        or images.shape[-1] != channels
        or not images.size
    ):
        raise UserError(
            f"uint8 (or uint16) images of shape (h, w, {channels}) or (n, h, w, {channels}) are needed, "
            f"received {images.dtype} {images.shape}"
        )


def reference_translations(model):
    """Translations of an image of noise, whose sides no network needs, in every direction: uint8 (n,)."""
    random = np.random.default_rng(0)
    images = {
        way: random.integers(0, 256, (52, 75, model.channels(way)[0]), np.uint8)
        for way in model.directions
    }
    found = [model.translate(image, way) for way, image in images.items()]
    return np.concatenate([image.ravel() for image in found])
