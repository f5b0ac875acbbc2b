"""Pix2Pix: image-to-image translation learned from pairs, such as photographs from label maps.

Paper: Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks",
2016, arXiv 1611.07004.

    D: min  (E ce(D(x, y), 1) + E ce(D(x, G(x)), 0)) / 2
    G: min  E ce(D(x, G(x)), 1) + 100 E |y - G(x)|

ce is the cross-entropy of logits. The factor 1/2 slows down D. The noise of G is dropout.

Step: one step of D and one of G, both computed from the same weights and the same G(x).

Deviations from the paper:

- D and G step together. The authors' code evaluates the updated D on G(x) again for the loss of G,
  which costs one more pass of D.
- No norm where the U-Net's feature map is 1x1: with one image per batch, batch norm would erase it
  (the authors' erratum).
- Dropout is in the `downs` - 5 decoder blocks that follow the innermost one, as in the authors'
  code. The paper has it in the first three blocks, the innermost included.
- The learning rate decays in the second half of training, as in the authors' code.
- At test time dropout is off unless `test_dropout` is set, and batch norm uses the statistics of
  each image (see translation.py).

Presets: pix2pix_facades_synthetic (built-in data, 15 min on 2 CPU cores: L1 error 11.4 of 255, best
baseline 20.3), pix2pix_facades_quick (the same in 1.5 min: 12.9), pix2pix_folder_128,
pix2pix_folder_256 (the paper's settings), and pix2pix_tutorial_128 for comparison with the
TensorFlow tutorial.
"""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.errors import MAX_FLOAT, UserError, check_range
from tfgan_zoo.layers import Dropout
from tfgan_zoo.losses import CRITERIA, absolute_error
from tfgan_zoo.models.blocks import downsample, norm_layer, patch_discriminator, upsample
from tfgan_zoo.models.translation import TranslationConfig, TranslationModel


@dataclasses.dataclass(frozen=True)
class Pix2PixConfig(TranslationConfig):
    """Configuration of `Pix2Pix`."""

    norm: str = "batch"  # or instance; for one image per batch they differ in their weights only
    objective: str = "cross_entropy"  # or least_squares
    downs: int = 8  # stride-2 convolutions: 8 for 256 pixels, 7 for 128 (section 6.1.1)
    dropout: float = 0.5  # of the inner decoder blocks, the paper's noise (section 3.1)
    test_dropout: bool = False  # True: dropout is on at test time too, with masks from a seed
    l1_weight: float = 100.0  # lambda (equation 4)
    discriminator_weight: float = 0.5  # of D's loss, to slow down D relative to G (section 3.3)
    slope: float = 0.2  # negative slope of the leaky ReLUs (section 6.1)
    bottleneck_norm: bool = False  # True: norm at the innermost map too (see Deviations)

    data_kind = "pairs"
    retired_fields = (("latent_dim", 0),)  # z as input planes, which no preset used

    @property
    def multiple(self):
        return 2**self.downs

    def __post_init__(self):
        check_range(5, 12, downs=self.downs)
        check_range(0, MAX_FLOAT, l1_weight=self.l1_weight, slope=self.slope)
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be in [0, 1), got {self.dropout!r}.")
        check_range(0, MAX_FLOAT, discriminator_weight=self.discriminator_weight)
        super().__post_init__()


def generator(config):
    """Build the U-Net generator G (section 6.1.1).

    Args:
        config: a `Pix2PixConfig`.

    Returns:
        A `keras.Model`, x (n, h, w, x_channels) -> y (n, h, w, y_channels), both in [-1, 1].
        h and w must be multiples of 2^downs. Shapes in the comments are for the default config.
    """
    # As in the authors' code: no bias with batch norm, also in layers without a norm.
    use_bias = config.norm == "instance"
    widths = [config.width * min(2**level, 8) for level in range(config.downs)]
    innermost = config.downs - 1

    image = keras.Input((None, None, config.x_channels), name="x")
    x = downsample(config.width, use_bias)(image)  # (n, 128, 128, 64)
    skips = [x]
    for level in range(1, config.downs):  # (n, 64, 64, 128) ... (n, 1, 1, 512)
        x = keras.layers.LeakyReLU(config.slope)(x)
        x = downsample(widths[level], use_bias)(x)
        if level < innermost or config.bottleneck_norm:
            x = norm_layer(config.norm, config.test_norm)(x)
        skips.append(x)

    x = keras.layers.ReLU()(skips.pop())
    for level in range(innermost, 0, -1):  # (n, 2, 2, 1024) ... (n, 128, 128, 128)
        x = upsample(x, widths[level - 1], 4, config.upsampling, use_bias)
        x = norm_layer(config.norm, config.test_norm)(x)
        if 4 <= level < innermost:
            x = Dropout(config.dropout, seed=level)(x)
        x = keras.layers.ReLU()(keras.layers.Concatenate()([skips.pop(), x]))

    x = upsample(x, config.y_channels, 4, config.upsampling)  # (n, 256, 256, 3)
    y = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(image, y, name="generator")


def discriminator(config):
    """Build the conditional PatchGAN discriminator D; see `patch_discriminator`.

    Args:
        config: a `Pix2PixConfig`.

    Returns:
        A `keras.Model`, the channels of x and of y (n, h, w, x_channels + y_channels) -> logits of
        patches (n, h', w', 1).
    """
    channels = config.x_channels + config.y_channels
    return patch_discriminator(
        channels, config.width, config.receptive_field, config.norm, "discriminator", config.slope
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class Pix2Pix(TranslationModel):
    """Conditional GAN for paired image-to-image translation (Isola et al. 2016, arXiv 1611.07004).

    `call` and `predict` translate x to y, both float32 (n, h, w, c) in [-1, 1] with sides that are
    multiples of 2^downs.

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
        return bool(self.config.test_dropout and self.config.dropout and self.config.downs > 5)

    def compute_losses(self, batch, training=True):
        config, criterion = self.config, CRITERIA[self.config.objective]
        x, y = batch
        fake = self.generator(x, training=training)  # G(x)
        real_logits = self.discriminator(tf.concat([x, y], -1), training=training)  # D(x, y)
        fake_logits = self.discriminator(tf.concat([x, fake], -1), training=training)  # D(x, G(x))
        real_loss, fake_loss = criterion(real_logits, 1.0), criterion(fake_logits, 0.0)
        adversarial, l1 = criterion(fake_logits, 1.0), absolute_error(y, fake)
        return {
            "discriminator": config.discriminator_weight * (real_loss + fake_loss),
            "generator": adversarial + config.l1_weight * l1,
            "adversarial": adversarial,
            "l1": l1,
        }

    def generator_of(self, direction):
        return self.generator

    def evaluation_columns(self, x, y, seed):
        return [x, self.translate(x, seed=seed), y]
