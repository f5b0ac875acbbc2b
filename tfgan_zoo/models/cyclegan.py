"""CycleGAN: unpaired image-to-image translation between two domains, such as photos and paintings.

Paper: Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent
Adversarial Networks", 2017, arXiv 1703.10593.

    D_y:  min  (E (D_y(y) - 1)^2 + E D_y(G(x))^2) / 2             and D_x likewise, with F(y)
    G, F: min  E (D_y(G(x)) - 1)^2 + E (D_x(F(y)) - 1)^2          adversarial
               + 10 (E |F(G(x)) - x| + E |G(F(y)) - y|)           cycle consistency
               + 5  (E |G(y) - y| + E |F(x) - x|)                 identity (section 5.2)

Step: one step of both generators and one of both discriminators, computed from the same weights.
The result equals that of the authors' code. It updates the generators first, but its discriminators
see images generated before that update, through a history of 50 images.

Implementation: with instance norm, batches share passes: 4 generator passes instead of 6, with the
same numbers.

Deviations from the paper:

- The identity loss is on unless `identity_weight=0`, as in the authors' code. The paper uses it for
  paintings only ("photo generation from paintings").

Presets: cyclegan_facades_synthetic (built-in data, 45 min on 2 CPU cores: L1 error 17.0 of 255,
best baseline 20.1), cyclegan_folder_256 and cyclegan_horse2zebra (the paper's settings).
"""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.errors import MAX_FLOAT, UserError, check_range
from tfgan_zoo.layers import replica_state
from tfgan_zoo.losses import CRITERIA, absolute_error
from tfgan_zoo.models.base import batch_size_of
from tfgan_zoo.models.blocks import patch_discriminator, resnet_generator
from tfgan_zoo.models.translation import TranslationConfig, TranslationModel


@dataclasses.dataclass(frozen=True)
class CycleGANConfig(TranslationConfig):
    """Configuration of `CycleGAN`."""

    blocks: int = 9  # residual blocks of a generator: 9 for 256 pixels, 6 for 128 (section 7.2)
    cycle_weight: float = 10.0  # lambda (equation 3)
    identity_weight: float = 0.5  # relative to cycle_weight (section 5.2); 0: no identity loss
    pool_size: int = 50  # generated images in the history (section 4)

    data_kind = "domains"
    multiple = 4
    smallest = 8  # feature maps are 4 times smaller and are padded by reflection of 1 pixel

    def __post_init__(self):
        super().__post_init__()
        check_range(1, 100, blocks=self.blocks)
        check_range(0, MAX_FLOAT, cycle_weight=self.cycle_weight)
        check_range(0, MAX_FLOAT, identity_weight=self.identity_weight)
        check_range(0, 1000, pool_size=self.pool_size)
        if self.identity_weight and self.x_channels != self.y_channels:
            raise UserError(
                "the identity loss needs domains with equal channels, got "
                f"x_channels={self.x_channels} and y_channels={self.y_channels}. "
                "Set model.identity_weight=0."
            )


class ImagePool(keras.layers.Layer):
    """History of generated images for the discriminator (Shrivastava et al. 2017, section 2.3).

    While fewer than `size` images are stored, each new image is stored and returned. After that,
    each new image is returned with probability 1/2. Otherwise a random stored image is returned and
    the new image replaces it. The images of a batch are processed one after another. Each replica
    has its own history. The history of the first replica is saved with the model, for all replicas.

    Reference: arXiv 1612.07828.

    Args:
        size: number of images to store; 0: every image is returned unchanged.
        image_shape: (h, w, c), all known.
    """

    def __init__(self, size, image_shape, **kwargs):
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.size = size
        if size:
            # The last slot receives the images that are not stored.
            self.stored = replica_state("stored", (size + 1, *image_shape), "float32")
            self.count = replica_state("count", (), "int32")
        self.built = True

    def call(self, images, draws):
        """Store new images and return new or stored ones.

        Args:
            images: float tensor (n, h, w, c), the new images.
            draws: float tensor (n, 2), uniform in [0, 1). The first draw decides whether an image
                is swapped, the second with which slot.

        Returns:
            Images (n, h, w, c) for the discriminator.
        """
        if not self.size:
            return images
        n = batch_size_of(images)
        stored, count = tf.convert_to_tensor(self.stored), tf.convert_to_tensor(self.count)

        # Choose a slot for each image.
        slot = count + tf.range(n)
        filling = slot < self.size
        swapping = tf.logical_and(~filling, draws[:, 0] < 0.5)
        slot = tf.where(filling, slot, tf.cast(draws[:, 1] * self.size, tf.int32))
        writing = tf.logical_or(filling, swapping)

        # Read the slots. An image must see what earlier images of this batch have written.
        order = tf.range(n)
        same_slot = (slot[:, None] == slot[None, :]) & writing[None, :]
        earlier = same_slot & (order[None, :] < order[:, None])
        latest = tf.reduce_max(tf.where(earlier, order[None, :], -1), axis=1)
        from_batch, from_store = tf.gather(images, tf.maximum(latest, 0)), tf.gather(stored, slot)
        previous = tf.where(per_image(latest >= 0), from_batch, from_store)

        # Write the slots. Of several images with one slot, only the last is stored.
        later = same_slot & (order[None, :] > order[:, None])
        storing = writing & ~tf.reduce_any(later, axis=1)
        target = tf.where(storing, slot, self.size)[:, None]
        values = tf.where(per_image(storing), images, 0.0)
        self.stored.assign(tf.tensor_scatter_nd_update(stored, target, values))
        self.count.assign(count + tf.reduce_sum(tf.cast(filling, tf.int32)))
        return tf.where(per_image(swapping), previous, images)


def per_image(flags):
    """Reshape one flag per image to broadcast over images: (n,) -> (n, 1, 1, 1)."""
    return flags[:, None, None, None]


@keras.saving.register_keras_serializable("tfgan_zoo")
class CycleGAN(TranslationModel):
    """Cycle-consistent GAN for unpaired translation (Zhu et al. 2017, arXiv 1703.10593).

    The networks are named as in the paper: G translates x to y, F translates y to x.

    `call` and `predict` translate x to y by G, both float32 (n, h, w, c) in [-1, 1] with sides that
    are multiples of 4. See `map` and `translate` for the other direction.

    Example:
        >>> model = CycleGAN(CycleGANConfig(image_size=32, blocks=1, width=4))
        >>> model(keras.ops.zeros((1, 32, 64, 3))).shape
        TensorShape([1, 32, 64, 3])
    """

    Config = CycleGANConfig
    directions = ("xy", "yx")

    def build_networks(self):
        c = self.config
        x, y, size = c.x_channels, c.y_channels, c.image_size
        self.g = resnet_generator(c, (x, y), "g")
        self.f = resnet_generator(c, (y, x), "f")
        self.d_x = patch_discriminator(x, c.width, c.receptive_field, c.norm, "d_x")
        self.d_y = patch_discriminator(y, c.width, c.receptive_field, c.norm, "d_y")
        self.pool_x = ImagePool(c.pool_size, (size, size, x))
        self.pool_y = ImagePool(c.pool_size, (size, size, y))

    @property
    def training_size(self):
        """Side of the images in the history, in pixels."""
        return self.config.image_size if self.config.pool_size else None

    def players(self):
        return {"generator": [self.g, self.f], "discriminator": [self.d_x, self.d_y]}

    def compute_losses(self, batch, training=True):
        config, criterion = self.config, CRITERIA[self.config.objective]
        x, y = batch

        # Generators: adversarial, cycle-consistency and identity losses.
        if config.identity_weight:
            fake_y, same_y = self.apply_to_batches(self.g, x, y, training=training)  # G(x), G(y)
            fake_x, same_x = self.apply_to_batches(self.f, y, x, training=training)  # F(y), F(x)
            identity = absolute_error(same_y, y) + absolute_error(same_x, x)
        else:
            fake_y, fake_x = self.g(x, training=training), self.f(y, training=training)
            identity = 0.0
        cycled_x = self.f(fake_y, training=training)  # F(G(x))
        cycled_y = self.g(fake_x, training=training)  # G(F(y))
        cycle = absolute_error(cycled_x, x) + absolute_error(cycled_y, y)
        fake_y_logits = self.d_y(fake_y, training=training)  # D_y(G(x))
        fake_x_logits = self.d_x(fake_x, training=training)  # D_x(F(y))
        adversarial = criterion(fake_y_logits, 1.0) + criterion(fake_x_logits, 1.0)

        # Discriminators: real images and images from the history. This updates the history, so
        # `compute_losses` must be called once per training step. A test has no history.
        old_y, old_x = tf.stop_gradient(fake_y), tf.stop_gradient(fake_x)
        if training:
            draws_y = self.noise((batch_size_of(x), 2), "pool y", "uniform")
            draws_x = self.noise((batch_size_of(y), 2), "pool x", "uniform")
            old_y, old_x = self.pool_y(old_y, draws_y), self.pool_x(old_x, draws_x)
        real_y_logits, old_y_logits = self.apply_to_batches(self.d_y, y, old_y, training=training)
        real_x_logits, old_x_logits = self.apply_to_batches(self.d_x, x, old_x, training=training)
        d_y = (criterion(real_y_logits, 1.0) + criterion(old_y_logits, 0.0)) / 2.0
        d_x = (criterion(real_x_logits, 1.0) + criterion(old_x_logits, 0.0)) / 2.0

        similarity = cycle + config.identity_weight * identity
        return {
            "generator": adversarial + config.cycle_weight * similarity,
            "discriminator": d_x + d_y,
            "adversarial": adversarial,
            "cycle": cycle,
            **({"identity": identity} if config.identity_weight else {}),
        }

    def apply_to_batches(self, network, *batches, training):
        """Apply a network to several batches of equal size.

        With instance norm, which treats every image alone, one pass over all batches gives the
        same result and is faster. With batch norm each batch has its own pass.
        """
        if self.config.norm != "instance":
            return [network(batch, training=training) for batch in batches]
        return tf.split(network(tf.concat(batches, 0), training=training), len(batches))

    def generator_of(self, direction):
        return self.g if direction == "xy" else self.f

    def evaluation_columns(self, x, y, seed):
        fake_y, fake_x = self.translate(x, "xy"), self.translate(y, "yx")
        return [x, fake_y, self.translate(fake_y, "yx"), y, fake_x, self.translate(fake_x, "xy")]
