"""Pix2Pix: learns from pairs what an image looks like in another domain: photographs from label maps, maps from aerial photographs.

Paper: Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2016, arXiv 1611.07004.

    D: min  (E ce(D(x, y), 1) + E ce(D(x, G(x)), 0)) / 2         ce: cross-entropy of logits; half, to slow D down
    G: min  E ce(D(x, G(x)), 1) + 100 E |y - G(x)|

Step: one step of D and one of G, both from the same point and over the same G(x), whose noise is dropout.

Deviations from the paper: D and G step together (the authors' code asks the new D about G(x), for one more pass of D); no norm where
the U-Net is 1x1 (the authors' erratum: with one image a batch, batch norm would erase it), dropout behind the blocks after the innermost
one (none with 5 halvings), and a learning rate that falls in the second half (all as in the authors' code); at test time dropout is off
unless `test_dropout`, and batch norm takes each image's own statistics (see translation.py).

Presets: pix2pix_facades_synthetic (embedded data, 15 min on two cores: mean error 11.4 of 255, the best simple way has 20.3),
pix2pix_folder_128, pix2pix_folder_256 (the paper's form), and pix2pix_tutorial_128 to compare with.
"""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.errors import check_at_least
from tfgan_zoo.layers import Dropout
from tfgan_zoo.losses import CRITERIA, absolute_error
from tfgan_zoo.models.blocks import downsample, norm_layer, patch_discriminator, upsample
from tfgan_zoo.models.latent import sample_latent
from tfgan_zoo.models.replicated import batch_size_of
from tfgan_zoo.models.translation import TranslationConfig, TranslationModel


@dataclasses.dataclass(frozen=True)
class Pix2PixConfig(TranslationConfig):
    norm: str = "batch"  # or instance; the same thing for one image a batch, but for the parameters
    objective: str = "cross_entropy"  # or least_squares
    downs: int = 8  # halvings of the U-Net: 8 for 256 pixels, 7 for 128, 6 for 64 (section 6.1.1)
    dropout: float = 0.5  # of the inner decoder blocks, the paper's noise (section 3.2)
    latent_dim: int = (
        0  # of z ~ N(0, I), beside dropout: constant planes beside x; 0: none, as in the paper
    )
    test_dropout: bool = False  # whether dropout is on at test time too, drawn by a seed
    l1_weight: float = 100.0  # lambda (section 3.3)
    discriminator_weight: float = 0.5  # of D's loss, "which slows down the rate at which D learns relative to G" (section 3.3)
    slope: float = 0.2  # of the leaky ReLUs below 0 (section 6.1)
    bottleneck_norm: bool = False  # a norm at the U-Net's innermost, too; with 1x1 pixels and one image a batch it erases everything

    data_kind = "pairs"

    @property
    def multiple(self):
        return 2**self.downs

    def __post_init__(self):
        check_at_least(5, downs=self.downs)
        check_at_least(0, latent_dim=self.latent_dim, l1_weight=self.l1_weight)
        check_at_least(0, discriminator_weight=self.discriminator_weight, slope=self.slope)
        super().__post_init__()


def generator(config):
    """x (n, h, w, x_channels) -> y (n, h, w, y_channels) in [-1, 1]: a U-Net (section 6.1.1), h and w multiples of 2^downs.

    Args:
        config: a `Pix2PixConfig`; with a latent_dim, z follows x in the input's channels.

    Returns:
        A built `keras.Model` for any image size.
    """
    biased = config.norm == "instance"  # batch norm has a bias of its own
    widths = [
        config.width * min(2**level, 8) for level in range(config.downs)
    ]  # 64, 128, 256, 512, 512 ...

    image = keras.Input((None, None, config.x_channels + config.latent_dim), name="x")
    x, skips = image, []
    for level, width in enumerate(widths):
        x = downsample(width, biased)(
            keras.layers.LeakyReLU(config.slope)(x) if level else x
        )  # (n, 128, 128, 64), (n, 64, 64, 128) ... (n, 1, 1, 512)
        if 0 < level < config.downs - 1 or (level and config.bottleneck_norm):
            x = norm_layer(config.norm, config.test_norm)(x)
        skips.append(x)
    x = keras.layers.ReLU()(skips.pop())
    for level in range(config.downs - 1, 0, -1):
        x = upsample(
            x, widths[level - 1], 4, config.upsampling, biased
        )  # (n, 2, 2, 512) ... (n, 128, 128, 64)
        x = norm_layer(config.norm, config.test_norm)(x)
        if 4 <= level < config.downs - 1:
            x = Dropout(config.dropout, seed=level)(x)
        x = keras.layers.ReLU()(keras.layers.Concatenate()([skips.pop(), x]))
    x = upsample(x, config.y_channels, 4, config.upsampling)  # (n, 256, 256, 3)
    y = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(image, y, name="generator")


def discriminator(config):
    """(x, y) as channels (n, h, w, x_channels + y_channels) -> logits of patches (n, h', w', 1); see `patch_discriminator`."""
    channels = config.x_channels + config.y_channels
    return patch_discriminator(
        channels, config.width, config.receptive_field, config.norm, "discriminator", config.slope
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class Pix2Pix(TranslationModel):
    """Conditional adversarial networks for pairs of images (Isola et al. 2016, arXiv 1611.07004).

    Example:
        >>> model = Pix2Pix(Pix2PixConfig(image_size=32, downs=5, width=4))
        >>> model(keras.ops.zeros((1, 32, 64, 3))).shape
        TensorShape([1, 32, 64, 3])
    """

    Config = Pix2PixConfig

    def build_networks(self):
        self.generator = generator(self.config)
        self.discriminator = discriminator(self.config)

    def players(self):
        return {"generator": [self.generator], "discriminator": [self.discriminator]}

    @property
    def stochastic(self):
        drops = self.config.test_dropout and self.config.dropout and self.config.downs > 5
        return bool(drops or self.config.latent_dim)

    def compute_losses(self, batch):
        x, y = batch
        criterion = CRITERIA[self.config.objective]
        fake = self.generator(
            self.with_noise(x, self.noise((batch_size_of(x), self.config.latent_dim), "z")),
            training=True,
        )  # G(x)
        real_logits = self.discriminator(tf.concat([x, y], -1), training=True)  # D(x, y)
        fake_logits = self.discriminator(tf.concat([x, fake], -1), training=True)  # D(x, G(x))
        adversarial, l1 = criterion(fake_logits, 1.0), absolute_error(y, fake)
        return {
            "discriminator": self.config.discriminator_weight
            * (criterion(real_logits, 1.0) + criterion(fake_logits, 0.0)),
            "generator": adversarial + self.config.l1_weight * l1,
            "adversarial": adversarial,
            "l1": l1,
        }

    def with_noise(self, x, z):
        """x with z as planes beside it: (n, h, w, c), (n, latent_dim) -> (n, h, w, c + latent_dim)."""
        if not self.config.latent_dim:
            return x
        planes = tf.broadcast_to(
            z[:, None, None, :], (*tf.unstack(tf.shape(x)[:3]), self.config.latent_dim)
        )
        return tf.concat([x, tf.cast(planes, x.dtype)], -1)

    def generator_of(self, direction, seed=0):
        def generate(x, training):
            z = sample_latent(batch_size_of(x), self.config.latent_dim, seed)
            return self.generator(self.with_noise(x, z), training=training)

        return generate

    def evaluation_columns(self, x, y, seed):
        return [x, self.translate(x, seed=seed), y]
