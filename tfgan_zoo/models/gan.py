"""GAN: two perceptrons play the game that started the field.

Paper: Goodfellow et al., "Generative Adversarial Networks", 2014, arXiv 1406.2661.

    D: max  E log D(x) + E log(1 - D(G(z)))
    G: max  E log D(G(z))                      (section 3; objective="minimax" gives min E log(1 - D(G(z))))

Step: the paper's Algorithm 1, k steps of D (`discriminator_steps`) and one of G: `train_step` in adversarial.py, whole on one screen.

Networks: the authors' for MNIST, G with 1200 rectified units twice, D with 240 maxout units of 5 pieces twice, and dropout on D.

Deviations from the paper: z is Gaussian, not uniform; G ends in tanh, not sigmoid, since images are in [-1, 1]; Adam in place of
momentum with a decaying rate (Radford et al. 2015), which needs no schedule to be tuned; initial weights of He et al. 2015 in G and of
Glorot & Bengio 2010 in D.

Presets: gan_digits (embedded data, readable digits in 24 s on two cores), gan_mnist (512 and 128 units and smoothed labels: with the
authors' sizes and Adam, D wins).
"""

import dataclasses
import math

import keras

from tfgan_zoo.errors import UserError, check_at_least, check_choice
from tfgan_zoo.layers import Dropout, SpectralNormalization
from tfgan_zoo.models.adversarial import AdversarialConfig, AdversarialModel


@dataclasses.dataclass(frozen=True)
class GANConfig(AdversarialConfig):
    image_size: int = 28
    channels: int = 1
    width: int = 1200  # rectified units in each of G's two hidden layers
    maxout_units: int = 240  # in each of D's two hidden layers
    maxout_pieces: int = 5  # linear pieces of a unit (Goodfellow et al. 2013)
    dropout: float = 0.5  # of D's hidden units in training
    discriminator_norm: str = "none"  # or spectral (Miyato et al. 2018)

    def __post_init__(self):
        super().__post_init__()
        check_at_least(
            1, width=self.width, maxout_units=self.maxout_units, maxout_pieces=self.maxout_pieces
        )
        check_choice("discriminator_norm", self.discriminator_norm, ("none", "spectral"))
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be in [0, 1), received dropout={self.dropout!r}")


def dense(config, units):
    if config.discriminator_norm == "spectral":
        return SpectralNormalization(keras.layers.Dense(units, use_bias=False))
    return keras.layers.Dense(units)


def maxout(config, x):
    """The largest of maxout_pieces linear functions, maxout_units times (Goodfellow et al. 2013, arXiv 1302.4389)."""
    x = dense(config, config.maxout_units * config.maxout_pieces)(x)
    x = keras.layers.Reshape((config.maxout_units, config.maxout_pieces))(x)
    return keras.ops.max(x, axis=-1)


def generator(config):
    """z (n, latent_dim) -> image (n, s, s, c) in [-1, 1].

    Args:
        config: a `GANConfig`.

    Returns:
        A built `keras.Model`.
    """
    shape = (config.image_size, config.image_size, config.channels)
    z = keras.Input((config.latent_dim,), name="z")
    x = keras.layers.Dense(config.width, activation="relu", kernel_initializer="he_normal")(
        z
    )  # (n, 1200)
    x = keras.layers.Dense(config.width, activation="relu", kernel_initializer="he_normal")(
        x
    )  # (n, 1200)
    x = keras.layers.Dense(math.prod(shape))(x)  # (n, 784)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    return keras.Model(
        z, keras.layers.Reshape(shape, dtype="float32")(x), name="generator"
    )  # (n, 28, 28, 1)


def discriminator(config):
    """image (n, s, s, c) in [-1, 1] -> logit (n, 1).

    Args:
        config: a `GANConfig`.

    Returns:
        A built `keras.Model`.
    """
    image = keras.Input((config.image_size, config.image_size, config.channels), name="image")
    x = keras.layers.Flatten()(image)  # (n, 784)
    for layer in range(2):
        x = maxout(config, x)  # (n, 240)
        x = Dropout(config.dropout, seed=layer)(x)
    x = dense(config, 1)(x)
    return keras.Model(
        image,
        keras.layers.Activation("linear", dtype="float32", name="logit")(x),
        name="discriminator",
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class GAN(AdversarialModel):
    """Generative adversarial network of two perceptrons (Goodfellow et al. 2014, arXiv 1406.2661).

    Example:
        >>> model = GAN(GANConfig(image_size=8, width=16))
        >>> model(keras.ops.zeros((2, 100))).shape
        TensorShape([2, 8, 8, 1])
    """

    Config = GANConfig

    def build_generator(self):
        return generator(self.config)

    def build_discriminator(self):
        return discriminator(self.config)
