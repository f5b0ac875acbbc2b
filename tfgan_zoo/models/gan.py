"""GAN: image generation by two perceptrons that are trained against each other.

Paper: Goodfellow et al., "Generative Adversarial Networks", 2014, arXiv 1406.2661.

    D: max  E log D(x) + E log(1 - D(G(z)))
    G: max  E log D(G(z))      (section 3; objective=minimax: min E log(1 - D(G(z))))

Training step: Algorithm 1, with k = `discriminator_steps` steps of D and one step of G. The losses
are in `compute_losses` of this file, the loop over the k steps in `train_step` of adversarial.py.

Networks: those of the authors for MNIST. G has two hidden layers of 1200 rectified linear units.
D has two hidden layers of 240 maxout units with 5 pieces each, and dropout.

Deviations from the paper:

- The last D step and the G step are computed from the same weights and the same generated images,
  as in the authors' code. Algorithm 1 updates G after D, on fresh noise.
- z is Gaussian, not uniform: common practice since, and spherical interpolation needs it.
- G ends in tanh, not in a sigmoid, because images are in [-1, 1].
- Adam (as in Radford et al. 2015) replaces momentum SGD with a decaying learning rate, which would
  need tuning.
- D has no dropout on its input. The authors' code drops 20 % of the pixels.
- Initial weights are those of He et al. 2015 in G and of Glorot & Bengio 2010 in D.

Presets: gan_digits (built-in data, readable digits after 24 s on 2 CPU cores) and gan_mnist (512
and 128 units and label smoothing, because with the authors' sizes and Adam D wins).
"""

import dataclasses
import math

import keras

from tfgan_zoo.errors import UserError, check_choice, check_range
from tfgan_zoo.layers import Dropout, SpectralNormalization
from tfgan_zoo.models.adversarial import AdversarialConfig, AdversarialModel
from tfgan_zoo.models.base import batch_size_of


@dataclasses.dataclass(frozen=True)
class GANConfig(AdversarialConfig):
    """Defaults: the authors' networks for MNIST."""

    image_size: int = 28  # pixels, square
    channels: int = 1  # of the images
    width: int = 1200  # units in each of G's two hidden layers
    maxout_units: int = 240  # in each of D's two hidden layers
    maxout_pieces: int = 5  # linear functions per unit (Goodfellow et al. 2013)
    dropout: float = 0.5  # probability for D's hidden units in training
    discriminator_norm: str = "none"  # or spectral (Miyato et al. 2018)

    def __post_init__(self):
        super().__post_init__()
        check_range(1, 10_000, width=self.width, maxout_units=self.maxout_units)
        check_range(1, 100, maxout_pieces=self.maxout_pieces)
        check_choice("discriminator_norm", self.discriminator_norm, ("none", "spectral"))
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout must be in [0, 1), got {self.dropout!r}.")


def generator(config):
    """Build G: z (n, latent_dim) -> image (n, s, s, c) in [-1, 1].

    Args:
        config: a `GANConfig`.

    Returns:
        A built `keras.Model`.
    """
    shape = (config.image_size, config.image_size, config.channels)

    def hidden(units):
        return keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal")

    z = keras.Input((config.latent_dim,), name="z")
    x = hidden(config.width)(z)  # (n, 1200)
    x = hidden(config.width)(x)  # (n, 1200)
    x = keras.layers.Dense(math.prod(shape))(x)  # (n, 784)
    x = keras.layers.Activation("tanh", dtype="float32")(x)
    image = keras.layers.Reshape(shape, dtype="float32")(x)  # (n, 28, 28, 1)
    return keras.Model(z, image, name="generator")


def discriminator(config):
    """Build D: image (n, s, s, c) in [-1, 1] -> logit (n, 1).

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
    x = dense(config, 1)(x)  # (n, 1)
    logit = keras.layers.Activation("linear", dtype="float32", name="logit")(x)
    return keras.Model(image, logit, name="discriminator")


def maxout(config, x):
    """Return the maximum of `maxout_pieces` linear functions, for each of `maxout_units` units.

    Reference:
        Goodfellow et al. 2013, Maxout Networks, arXiv 1302.4389.
    """
    x = dense(config, config.maxout_units * config.maxout_pieces)(x)  # (n, 1200)
    x = keras.layers.Reshape((config.maxout_units, config.maxout_pieces))(x)  # (n, 240, 5)
    return keras.ops.max(x, axis=-1)  # (n, 240)


def dense(config, units):
    if config.discriminator_norm == "spectral":
        return SpectralNormalization(keras.layers.Dense(units, use_bias=False))
    return keras.layers.Dense(units)


@keras.saving.register_keras_serializable("tfgan_zoo")
class GAN(AdversarialModel):
    """Generative adversarial network of two perceptrons (Goodfellow et al. 2014, arXiv 1406.2661).

    `call` and `predict` take z, float32 (n, latent_dim), and return generated images, float32
    (n, s, s, c) in [-1, 1].

    Example:
        >>> model = GAN(GANConfig(image_size=8, width=16))
        >>> model(keras.ops.zeros((2, 100))).shape
        TensorShape([2, 8, 8, 1])
    """

    Config = GANConfig

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
