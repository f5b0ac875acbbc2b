"""CGAN: the adversarial game with a condition, so that one can ask for a class.

Paper: Mirza, Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv 1411.1784.

    D: max  E log D(x, y) + E log(1 - D(G(z, y), y))        (equation 2)
    G: max  E log D(G(z, y), y)                             (non-saturating; other objectives by config)

Step: Goodfellow et al. 2014, Algorithm 1, with the real images' labels y given to both networks: `train_step` in adversarial.py.

The condition y is a vector of `classes` numbers: one-hot for a label, or several labels at once, or continuous features (section 4.2
conditions on such vectors). D takes it as one more plane of the image, or as a projection (Miyato & Koyama 2018, arXiv 1802.05637).

Deviations from the paper: its networks are perceptrons (section 4.1), these are DCGAN's (Radford et al. 2015) with its optimizer and
initial weights; z is Gaussian, not uniform; the projection is onto D's last map as it is, not summed over pixels.

Presets: cgan_mnist (trained, in saved_models: 98.96 % of its digits are read as their label), cgan_digits, cgan_fashion_mnist.
"""

import dataclasses

import keras

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
from tfgan_zoo.models.latent import ConditionConfig


@dataclasses.dataclass(frozen=True)
class CGANConfig(ConditionConfig, AdversarialConfig):
    width: int = 128  # channels at half the image's size, doubled at every halving up to 8 * width
    kernel_size: int = 5  # pixels
    embedding_dim: int = 50  # numbers that G's z is joined by, a learned linear map of y
    discriminator_condition: str = "plane"  # or projection
    discriminator_norm: str = "batch"  # or none, or spectral (Miyato et al. 2018)

    def __post_init__(self):
        super().__post_init__()
        self.check_condition()
        check_at_least(
            1,
            width=self.width,
            kernel_size=self.kernel_size,
            embedding_dim=self.embedding_dim,
            classes=self.classes,
        )
        check_choice(
            "discriminator_condition", self.discriminator_condition, ("plane", "projection")
        )
        check_choice("discriminator_norm", self.discriminator_norm, ("batch", "none", "spectral"))
        feature_map_sizes(self.image_size, self.width)  # refuses sizes that do not fit


def generator(config):
    """z (n, latent_dim), y (n, classes) -> image (n, s, s, c) in [-1, 1].

    Args:
        config: a `CGANConfig`.

    Returns:
        A built `keras.Model`.
    """
    (start, first), *inner = reversed(feature_map_sizes(config.image_size, config.width))

    z = keras.Input((config.latent_dim,), name="z")
    y = keras.Input((config.classes,), name="condition")
    label = keras.layers.Dense(config.embedding_dim, use_bias=False, name="embedding")(
        y
    )  # (n, 50): for one-hot y a table of labels
    x = keras.layers.Concatenate()([z, label])  # (n, 150)
    x = project(x, start, first)  # (n, 4, 4, 512) for 28 pixels
    x = keras.layers.ReLU()(batch_norm()(x))
    for size, width in inner:  # (n, 7, 7, 256), (n, 14, 14, 128)
        x = transposed_convolution(x, width, config.kernel_size, size, use_bias=False)
        x = keras.layers.ReLU()(batch_norm()(x))
    x = transposed_convolution(
        x, config.channels, config.kernel_size, config.image_size
    )  # (n, 28, 28, 1)
    return keras.Model(
        (z, y), keras.layers.Activation("tanh", dtype="float32")(x), name="generator"
    )


def discriminator(config):
    """image (n, s, s, c) in [-1, 1], y (n, classes) -> logit (n, 1): is it real, and is it a y?

    Args:
        config: a `CGANConfig`.

    Returns:
        A built `keras.Model`.
    """
    spectral = config.discriminator_norm == "spectral"
    size = config.image_size
    image = keras.Input((size, size, config.channels), name="image")
    y = keras.Input((config.classes,), name="condition")
    x = image
    if config.discriminator_condition == "plane":
        plane = keras.layers.Dense(size * size, use_bias=False, name="plane")(y)
        x = keras.layers.Concatenate()(
            [image, keras.layers.Reshape((size, size, 1))(plane)]
        )  # (n, 28, 28, 2)
    for stage, (_, width) in enumerate(feature_map_sizes(size, config.width)):
        norm = (
            "none"
            if config.discriminator_norm == "batch" and stage == 0
            else config.discriminator_norm
        )
        x = keras.layers.LeakyReLU(0.2)(
            convolution(x, width, config.kernel_size, norm)
        )  # (n, 14, 14, 128), (n, 7, 7, 256), (n, 4, 4, 512)
    features = keras.layers.Flatten()(x)
    logit = dcgan_init(keras.layers.Dense, 1, spectral=spectral)(features)
    if config.discriminator_condition == "projection":
        embedded = dcgan_init(
            keras.layers.Dense, features.shape[-1], spectral=spectral, use_bias=False
        )(y)
        logit = keras.layers.Add()(
            [logit, keras.layers.Dot(axes=1)([embedded, features])]
        )  # psi(features) + <V y, features>
    return keras.Model(
        (image, y),
        keras.layers.Activation("linear", dtype="float32", name="logit")(logit),
        name="discriminator",
    )


@keras.saving.register_keras_serializable("tfgan_zoo")
class CGAN(AdversarialModel):
    """Conditional GAN (Mirza & Osindero 2014, arXiv 1411.1784).

    Example:
        >>> model = CGAN(CGANConfig(image_size=28, channels=1, width=8))
        >>> model.sample(10, seed=0, labels=[3, 8]).shape  # threes and eights in turn
        (10, 28, 28, 1)
    """

    Config = CGANConfig

    def build_generator(self):
        return generator(self.config)

    def build_discriminator(self):
        return discriminator(self.config)
