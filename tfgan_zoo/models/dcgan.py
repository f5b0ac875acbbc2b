"""DCGAN: image generation by a deep convolutional GAN, for images of 16 to 128 pixels.

Paper: Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional
Generative Adversarial Networks", 2015, arXiv 1511.06434.

    D: max  E log D(x) + E log(1 - D(G(z)))
    G: max  E log D(G(z))      (non-saturating; `objective` offers others)

Training step: Goodfellow et al. 2014, Algorithm 1, with one step of D and one of G. The losses are
in `compute_losses` of this file, `train_step` is in adversarial.py.

Networks (section 3): strided convolutions in D and transposed ones in G instead of pooling, batch
norm in both except at G's output and D's input, no hidden dense layers, ReLU in G with a tanh
output, LeakyReLU(0.2) in D.

Deviations from the paper:

- The D step and the G step are computed from the same weights and the same generated images.
  Algorithm 1 updates G after D, on fresh noise.
- z is Gaussian, not uniform: common practice since, and spherical interpolation needs it.
- The number of stages depends on the image size, so that the smallest map has 3 to 5 pixels. There
  are at most 8 * width channels.
- Options, off by default: the learning rate falls along a cosine (`decay_steps`, used in
  dcgan_mnist), and at inference codes shorter than `min_latent_length` are scaled to this length
  (for few latent dimensions, where all classes meet near 0).

Presets: dcgan_digits (built-in data, readable digits after 92 s on 2 CPU cores), dcgan_mnist
(pretrained, classifier score 8.76, real images 9.80), dcgan_fashion_mnist, dcgan_stacked_mnist,
dcgan_cifar10, dcgan_folder_64 (the paper's networks for a folder of images), and r3gan_mnist (the
losses of R3GAN, Huang et al. 2024, arXiv 2501.05441, without batch norm in D).
"""

import dataclasses

import keras
import tensorflow as tf

from tfgan_zoo.errors import MAX_FLOAT, check_choice, check_range
from tfgan_zoo.models.adversarial import AdversarialConfig, AdversarialModel
from tfgan_zoo.models.base import batch_size_of
from tfgan_zoo.models.blocks import batch_norm, crop, dcgan_init, feature_map_sizes, project


@dataclasses.dataclass(frozen=True)
class DCGANConfig(AdversarialConfig):
    """Defaults: the networks of Figure 1."""

    width: int = 128  # channels of the largest map, doubled per stage up to 8 * width (Figure 1)
    kernel_size: int = 5  # pixels (Figure 1)
    discriminator_norm: str = "batch"  # batch (section 3), none, or spectral (Miyato et al. 2018)
    min_latent_length: float = 0.0  # norm to which shorter z are scaled at test time; 0: off

    def __post_init__(self):
        super().__post_init__()
        check_range(1, 1024, width=self.width)
        check_range(1, 31, kernel_size=self.kernel_size)
        check_range(0, MAX_FLOAT, min_latent_length=self.min_latent_length)
        check_choice("discriminator_norm", self.discriminator_norm, ("batch", "none", "spectral"))
        feature_map_sizes(self.image_size, self.width)  # raises for an unsuitable size


@keras.saving.register_keras_serializable("tfgan_zoo")
class MinimumLength(keras.layers.Layer):
    """Scale the rows of z (n, d) that are shorter than `length` to this norm, at inference only."""

    def __init__(self, length, **kwargs):
        super().__init__(**kwargs)
        self.length = length

    def call(self, z, training=False):
        if training or not self.length:
            return z
        norms = tf.norm(z, axis=1, keepdims=True)
        return z * tf.maximum(1.0, self.length / tf.maximum(norms, 1e-6))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "length": self.length}


def generator(config):
    """Build G: z (n, latent_dim) -> image (n, s, s, c) in [-1, 1].

    Transposed convolutions, batch norm, ReLU, tanh (section 3).

    Args:
        config: a `DCGANConfig`.

    Returns:
        A built `keras.Model`. Figure 1, for 64 pixels:
        4x4x1024 -> 8x8x512 -> 16x16x256 -> 32x32x128 -> 64x64x3.
    """
    (first_size, first_width), *stages = reversed(
        feature_map_sizes(config.image_size, config.width)
    )
    options = {"kernel_size": config.kernel_size, "strides": 2, "padding": "same"}

    z = keras.Input((config.latent_dim,), name="z")
    x = MinimumLength(config.min_latent_length)(z)
    x = project(x, first_size, first_width)  # (n, 4, 4, 1024)
    x = keras.layers.ReLU()(batch_norm()(x))
    for size, width in stages:  # (n, 8, 8, 512), (n, 16, 16, 256), (n, 32, 32, 128)
        x = dcgan_init(keras.layers.Conv2DTranspose, width, use_bias=False, **options)(x)
        x = keras.layers.ReLU()(batch_norm()(crop(x, size)))
    # No batch norm at the output.
    x = dcgan_init(keras.layers.Conv2DTranspose, config.channels, **options)(x)
    x = crop(x, config.image_size)  # (n, 64, 64, 3)
    image = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(z, image, name="generator")


def discriminator(config):
    """Build D: image (n, s, s, c) in [-1, 1] -> logit (n, 1).

    Strided convolutions, batch norm, LeakyReLU(0.2), no pooling (section 3).

    Args:
        config: a `DCGANConfig`.

    Returns:
        A built `keras.Model`. For 64 pixels:
        64x64x3 -> 32x32x128 -> 16x16x256 -> 8x8x512 -> 4x4x1024 -> 1.
    """
    spectral = config.discriminator_norm == "spectral"
    options = {"kernel_size": config.kernel_size, "strides": 2, "padding": "same"}

    image = keras.Input((config.image_size, config.image_size, config.channels), name="image")
    x = image
    # (n, 32, 32, 128), (n, 16, 16, 256), (n, 8, 8, 512), (n, 4, 4, 1024)
    for stage, (_, width) in enumerate(feature_map_sizes(config.image_size, config.width)):
        batch = config.discriminator_norm == "batch" and stage > 0  # no batch norm at the input
        convolution = dcgan_init(
            keras.layers.Conv2D, width, use_bias=not batch, spectral=spectral, **options
        )
        x = batch_norm()(convolution(x)) if batch else convolution(x)
        x = keras.layers.LeakyReLU(0.2)(x)
    x = keras.layers.Flatten()(x)  # (n, 16384)
    x = dcgan_init(keras.layers.Dense, 1, spectral=spectral)(x)  # (n, 1)
    # The sigmoid is part of the loss.
    logit = keras.layers.Activation("linear", dtype="float32", name="logit")(x)
    return keras.Model(image, logit, name="discriminator")


@keras.saving.register_keras_serializable("tfgan_zoo")
class DCGAN(AdversarialModel):
    """Deep convolutional GAN (Radford et al. 2015, arXiv 1511.06434).

    `call` and `predict` take z, float32 (n, latent_dim), and return generated images, float32
    (n, s, s, c) in [-1, 1].

    Example:
        >>> model = DCGAN(DCGANConfig(image_size=28, channels=1, width=8))
        >>> model(keras.ops.zeros((2, 100))).shape
        TensorShape([2, 28, 28, 1])
    """

    Config = DCGANConfig

    def build_networks(self):
        self.generator = generator(self.config)
        self.discriminator = discriminator(self.config)

    def compute_losses(self, batch, training=True):
        (real,) = batch  # x
        z = self.noise((batch_size_of(real), self.config.latent_dim), stream="z")
        fake = self.generator(z, training=training)  # G(z)
        real_logits = self.discriminate(real, stream="real", training=training)  # D(x)
        fake_logits = self.discriminate(fake, stream="fake", training=training)  # D(G(z))
        losses = self.adversarial_losses(real_logits, fake_logits)  # of D and of G
        return self.add_penalty(losses, real, fake, training=training)
