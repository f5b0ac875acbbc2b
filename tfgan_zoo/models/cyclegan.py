"""CycleGAN: learns from two heaps of images, without pairs, what an image of one looks like in the other: paintings from photographs.

Paper: Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017, arXiv 1703.10593.

    D_y: min  (E (D_y(y) - 1)^2 + E D_y(G(x))^2) / 2            and so D_x, with F(y)
    G, F: min E (D_y(G(x)) - 1)^2 + E (D_x(F(y)) - 1)^2
            + 10 (E |F(G(x)) - x| + E |G(F(y)) - y|)            there and back
            + 5  (E |G(y) - y| + E |F(x) - x|)                  what is there already stays (section 5.2, "photo generation")

Step: one step of both generators and one of both discriminators from the same point, which is the authors' order: their discriminators
see the images from before the generators' step, through a history of 50.

Deviations from the paper: the identity loss is on unless `identity_weight` is 0, as in the authors' code (the paper has it for paintings
alone). Under instance norm, translation and identity are one pass of a generator, and real and old images one of
a discriminator: the same numbers (a test compares), in 4 passes of generators where there are 6 terms.

Presets: cyclegan_facades_synthetic (embedded data, 45 min on two cores: mean error 17.0 of 255, the best simple way has 20.1),
cyclegan_folder_256 and cyclegan_horse2zebra (the paper's form).
"""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.errors import UserError, check_at_least
from tfgan_zoo.layers import replica_state
from tfgan_zoo.losses import CRITERIA, absolute_error
from tfgan_zoo.models.blocks import patch_discriminator, resnet_generator
from tfgan_zoo.models.replicated import batch_size_of
from tfgan_zoo.models.translation import TranslationConfig, TranslationModel


@dataclasses.dataclass(frozen=True)
class CycleGANConfig(TranslationConfig):
    blocks: int = 9  # residual blocks of a generator: 9 for 256 pixels, 6 for 128 (section 7.2)
    cycle_weight: float = 10.0  # lambda (equation 3)
    identity_weight: float = 0.5  # times the cycle weight (section 5.2); 0: none
    pool_size: int = 50  # images in the history (section 4)

    data_kind = "domains"
    multiple = 4
    smallest = 8  # a quarter of it is mirrored by a pixel

    def __post_init__(self):
        check_at_least(1, blocks=self.blocks)
        check_at_least(
            0,
            cycle_weight=self.cycle_weight,
            identity_weight=self.identity_weight,
            pool_size=self.pool_size,
        )
        if self.identity_weight and self.x_channels != self.y_channels:
            raise UserError(
                "the identity loss needs domains of equal channels: set model.identity_weight=0, received "
                f"x_channels={self.x_channels} and y_channels={self.y_channels}"
            )
        super().__post_init__()


class ImagePool(keras.layers.Layer):
    """A history of generated images: D sees old ones among the new (Shrivastava et al. 2017, arXiv 1612.07828, section 2.3).

    Until `size` images are stored a new one is stored and returned. Then with probability 1/2 it is returned as it is, else a random stored
    one is returned in its place, and it takes that one's place. Images of a batch come one after another. Each replica has its own
    history; the first one's is saved with the model, for all.

    Args:
        size: images; 0: every image is returned as it is.
        image_shape: (h, w, c), all known.
    """

    def __init__(self, size, image_shape, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.size = size
        if size:
            self.stored = replica_state(
                "stored", (size + 1, *image_shape), "float32"
            )  # the last place is for what is not kept
            self.count = replica_state("count", (), "int32")
        self.built = True

    def call(self, images, draws):
        """images (n, h, w, c), draws (n, 2) uniform in [0, 1): whether to swap, and with which place -> (n, h, w, c)."""
        if not self.size:
            return images
        n = batch_size_of(images)
        stored, count = tf.convert_to_tensor(self.stored), tf.convert_to_tensor(self.count)
        place = count + tf.range(n)
        filling = place < self.size
        swapping = tf.logical_and(~filling, draws[:, 0] < 0.5)
        place = tf.where(filling, place, tf.cast(draws[:, 1] * self.size, tf.int32))
        writing = tf.logical_or(filling, swapping)
        # An image may find in its place one of its own batch: the last that was put there before it.
        order = tf.range(n)
        same = (place[:, None] == place[None, :]) & writing[None, :]
        latest = tf.reduce_max(
            tf.where(same & (order[None, :] < order[:, None]), order[None, :], -1), axis=1
        )
        found = tf.where(
            per_image(latest >= 0),
            tf.gather(images, tf.maximum(latest, 0)),
            tf.gather(stored, place),
        )
        kept = writing & ~tf.reduce_any(
            same & (order[None, :] > order[:, None]), axis=1
        )  # nobody after it takes its place
        target = tf.where(kept, place, self.size)[:, None]
        self.stored.assign(
            tf.tensor_scatter_nd_update(stored, target, tf.where(per_image(kept), images, 0.0))
        )
        self.count.assign(count + tf.reduce_sum(tf.cast(filling, tf.int32)))
        return tf.where(per_image(swapping), found, images)


def per_image(flags):
    """A flag for each image, (n,) -> (n, 1, 1, 1)."""
    return flags[:, None, None, None]


@keras.saving.register_keras_serializable("tfgan_zoo")
class CycleGAN(TranslationModel):
    """Cycle-consistent adversarial networks for images without pairs (Zhu et al. 2017, arXiv 1703.10593).

    Example:
        >>> model = CycleGAN(CycleGANConfig(image_size=32, blocks=1, width=4))
        >>> model(keras.ops.zeros((1, 32, 64, 3))).shape
        TensorShape([1, 32, 64, 3])
    """

    Config = CycleGANConfig
    directions = ("xy", "yx")

    def build_networks(self):
        c = self.config
        x, y = c.x_channels, c.y_channels
        self.g, self.f = (
            resnet_generator(c, (x, y), "g"),
            resnet_generator(c, (y, x), "f"),
        )  # x -> y, y -> x
        self.d_x, self.d_y = (
            patch_discriminator(n, c.width, c.receptive_field, c.norm, f"d_{name}")
            for n, name in ((x, "x"), (y, "y"))
        )
        self.pool_x, self.pool_y = (
            ImagePool(c.pool_size, (c.image_size, c.image_size, n)) for n in (x, y)
        )

    def players(self):
        return {"generator": [self.g, self.f], "discriminator": [self.d_x, self.d_y]}

    def compute_losses(self, batch):
        config, criterion = self.config, CRITERIA[self.config.objective]
        x, y = batch
        if config.identity_weight:
            fake_y, same_y = self.passes(self.g, x, y)  # G(x), G(y)
            fake_x, same_x = self.passes(self.f, y, x)  # F(y), F(x)
            identity = absolute_error(same_y, y) + absolute_error(same_x, x)
        else:
            fake_y, fake_x, identity = self.g(x, training=True), self.f(y, training=True), 0.0
        again_x, again_y = (
            self.f(fake_y, training=True),
            self.g(fake_x, training=True),
        )  # F(G(x)), G(F(y))
        cycle = absolute_error(again_x, x) + absolute_error(again_y, y)
        adversarial = criterion(self.d_y(fake_y, training=True), 1.0) + criterion(
            self.d_x(fake_x, training=True), 1.0
        )

        old_y = self.pool_y(
            tf.stop_gradient(fake_y), self.noise((batch_size_of(x), 2), "pool y", "uniform")
        )
        old_x = self.pool_x(
            tf.stop_gradient(fake_x), self.noise((batch_size_of(y), 2), "pool x", "uniform")
        )
        real_y_logits, old_y_logits = self.passes(self.d_y, y, old_y)
        real_x_logits, old_x_logits = self.passes(self.d_x, x, old_x)
        d_y = (criterion(real_y_logits, 1.0) + criterion(old_y_logits, 0.0)) / 2.0
        d_x = (criterion(real_x_logits, 1.0) + criterion(old_x_logits, 0.0)) / 2.0
        return {
            "generator": adversarial
            + config.cycle_weight * (cycle + config.identity_weight * identity),
            "discriminator": d_x + d_y,
            "adversarial": adversarial,
            "cycle": cycle,
            **({"identity": identity} if config.identity_weight else {}),
        }

    def passes(self, network, *batches):
        """The network on each batch: in one pass where the norm treats every image alone, so that the result is the same."""
        if self.config.norm != "instance":
            return [network(batch, training=True) for batch in batches]
        return tf.split(network(tf.concat(batches, 0), training=True), len(batches))

    def generator_of(self, direction, seed=0):
        return self.g if direction == "xy" else self.f

    def evaluation_columns(self, x, y, seed):
        fake_y, fake_x = self.translate(x, "xy"), self.translate(y, "yx")
        return [x, fake_y, self.translate(fake_y, "yx"), y, fake_x, self.translate(fake_x, "xy")]
