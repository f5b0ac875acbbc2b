"""DCGAN: two convolutional networks play the adversarial game, and images of up to 128 pixels come out.

Paper: Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
2015, arXiv 1511.06434.

    D: max  E log D(x) + E log(1 - D(G(z)))
    G: max  E log D(G(z))                      (non-saturating; other objectives by config)

Step: Goodfellow et al. 2014, Algorithm 1, one step of D and one of G: `train_step` in adversarial.py, whole on one screen.

Deviations from the paper: z is Gaussian, not uniform (common practice since, and spherical interpolation needs it); images of any
size have as many stages as lead to 3 to 5 pixels, at most 8 * width channels. For digits z has 4 dimensions: with 100, as in the paper,
one digit in six lies between two kinds (score 8.7); and codes near 0, where all kinds meet, are moved outwards (`min_latent_length`).

Presets: dcgan_digits (embedded data, readable digits in 92 s on two cores), dcgan_mnist (trained, in saved_models: classifier score 9.31,
real images 9.80), dcgan_fashion_mnist, dcgan_stacked_mnist, dcgan_cifar10, and dcgan_folder_64, the paper's form for a folder of pictures.
"""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.errors import check_at_least, check_choice
from tfgan_zoo.models.adversarial import AdversarialConfig, AdversarialModel
from tfgan_zoo.models.blocks import (
    batch_norm,
    convolution,
    dcgan_init,
    feature_map_sizes,
    project,
    transposed_convolution,
)


@dataclasses.dataclass(frozen=True)
class DCGANConfig(AdversarialConfig):
    width: int = 128  # channels at half the image's size; doubled at every halving, up to 8 * width (Figure 1: 128 ... 1024)
    kernel_size: int = 5  # pixels (Figure 1)
    discriminator_norm: str = "batch"  # batch (section 3), none, or spectral (Miyato et al. 2018)
    min_latent_length: float = (
        0.0  # of z at test time, shorter codes are lengthened: around 0 the kinds of image meet
    )

    def __post_init__(self):
        super().__post_init__()
        check_at_least(1, width=self.width, kernel_size=self.kernel_size)
        check_at_least(0, min_latent_length=self.min_latent_length)
        check_choice("discriminator_norm", self.discriminator_norm, ("batch", "none", "spectral"))
        feature_map_sizes(self.image_size, self.width)  # refuses sizes that do not fit


@keras.saving.register_keras_serializable("tfgan_zoo")
class MinimumLength(keras.layers.Layer):
    """Outside of training scales the rows of z (n, d) that are shorter than `length` to it; the others, and all in training, pass."""

    def __init__(self, length, **kwargs):
        super().__init__(**kwargs)
        self.length = length

    def call(self, z, training=False):
        if training or not self.length:
            return z
        return z * tf.maximum(
            1.0, self.length / tf.maximum(tf.norm(z, axis=1, keepdims=True), 1e-6)
        )

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "length": self.length}


def generator(config):
    """z (n, latent_dim) -> image (n, s, s, c) in [-1, 1]. Fractionally-strided convolutions, batch norm, ReLU, tanh (section 3).

    Args:
        config: a `DCGANConfig`.

    Returns:
        A built `keras.Model`; 64 pixels: 4x4x1024 -> 8x8x512 -> 16x16x256 -> 32x32x128 -> 64x64x3 (Figure 1).
    """
    (start, first), *inner = reversed(feature_map_sizes(config.image_size, config.width))

    z = keras.Input((config.latent_dim,), name="z")
    x = project(MinimumLength(config.min_latent_length)(z), start, first)  # (n, 4, 4, 1024)
    x = keras.layers.ReLU()(batch_norm()(x))
    for size, width in inner:  # (n, 8, 8, 512), (n, 16, 16, 256), (n, 32, 32, 128)
        x = transposed_convolution(x, width, config.kernel_size, size, use_bias=False)
        x = keras.layers.ReLU()(batch_norm()(x))
    x = transposed_convolution(
        x, config.channels, config.kernel_size, config.image_size
    )  # (n, 64, 64, 3); no batch norm at the output
    image = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(z, image, name="generator")


def discriminator(config):
    """image (n, s, s, c) in [-1, 1] -> logit (n, 1). Strided convolutions, batch norm, LeakyReLU(0.2), no pooling (section 3).

    Args:
        config: a `DCGANConfig`.

    Returns:
        A built `keras.Model`; 64 pixels: 64x64x3 -> 32x32x128 -> 16x16x256 -> 8x8x512 -> 4x4x1024 -> 1.
    """
    image = keras.Input((config.image_size, config.image_size, config.channels), name="image")
    x = image
    for stage, (_, width) in enumerate(feature_map_sizes(config.image_size, config.width)):
        norm = (
            "none"
            if config.discriminator_norm == "batch" and stage == 0
            else config.discriminator_norm
        )  # none at the input
        x = convolution(
            x, width, config.kernel_size, norm
        )  # (n, 32, 32, 128), (n, 16, 16, 256), (n, 8, 8, 512), (n, 4, 4, 1024)
        x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Flatten()(x)
    x = dcgan_init(keras.layers.Dense, 1, spectral=config.discriminator_norm == "spectral")(x)
    logit = keras.layers.Activation("linear", dtype="float32", name="logit")(
        x
    )  # the sigmoid is part of the loss
    return keras.Model(image, logit, name="discriminator")


@keras.saving.register_keras_serializable("tfgan_zoo")
class DCGAN(AdversarialModel):
    """Deep convolutional GAN (Radford et al. 2015, arXiv 1511.06434).

    Example:
        >>> model = DCGAN(DCGANConfig(image_size=28, channels=1, width=8))
        >>> model(keras.ops.zeros((2, 100))).shape
        TensorShape([2, 28, 28, 1])
    """

    Config = DCGANConfig

    def build_generator(self):
        return generator(self.config)

    def build_discriminator(self):
        return discriminator(self.config)
